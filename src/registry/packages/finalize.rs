//! From a draft to a package.
//!
//! The content manifest and, of a package in parts, the part manifests are stored first; one command then pushes the
//! manifest and finalizes the draft, if nothing changed it meanwhile. A crash in between leaves a blob or a part that
//! nothing names.

use bytes::Bytes;
use futures_util::stream;

use super::commands::RecordPackage;
use super::{Finalize, Package, Status};
use crate::clock::Micros;
use crate::hash;
use crate::oci::{Algorithm, Digest, Reference, RepositoryName, media};
use crate::package::mapping::{BlobRef, Composed, compose, names};
use crate::package::{
    ContentManifest, Description, File, Manifest, PackageId, Record, RetentionSummary, StorageReceipt,
};
use crate::registry::commands::PushManifest;
use crate::registry::uploads::run;
use crate::registry::{Actor, Error, Registry};
use crate::retention::Retained;
use crate::views::{contents, manifests, package_files};

/// How often a draft that changes while it is being finalized is read again.
const ATTEMPTS: usize = 5;

/// Files read at a time.
const PAGE: i64 = 1000;

/// Bytes of our own on their way into storage, at a time.
const FRAME: usize = 256 * 1024;

/// A package that is known but for its id, and the manifest that is it.
pub(super) struct Whole {
    pub(super) content: ContentManifest,
    /// BLAKE3 of its canonical CBOR.
    pub(super) digest: Digest,
    pub(super) receipts: Vec<StorageReceipt>,
}

/// When a package began and ended to be a draft, and by which name.
pub(super) struct Stamp {
    pub(super) id: PackageId,
    pub(super) created_at: Micros,
    pub(super) finalized_at: Micros,
}

impl Registry {
    /// Makes a draft a package: immutable, with a manifest, named by the tag if there is one. Nothing of it is visible
    /// before; on any error the draft is as it was. Again with the same tag it returns the package.
    pub async fn finalize_package(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        id: &PackageId,
        finalize: Finalize,
    ) -> Result<Package, Error> {
        let (registry, repository, id) = (self.clone(), repository.clone(), id.clone());
        run(Box::pin(async move {
            let mut attempt = 1;
            loop {
                match registry.try_finalize(&repository, &actor, &id, &finalize).await {
                    // Or what was stored for it a moment ago was deleted by somebody.
                    Err(Error::PackageChanged(_) | Error::ReferencesUnknown(_)) if attempt < ATTEMPTS => {
                        attempt += 1;
                    }
                    outcome => return outcome,
                }
            }
        }))
        .await
    }

    async fn try_finalize(
        &self,
        repository: &RepositoryName,
        actor: &Actor,
        id: &PackageId,
        finalize: &Finalize,
    ) -> Result<Package, Error> {
        // Before its files: whatever changes from here on changes the revision.
        let draft = self.package_in(repository, id).await?;
        if draft.status == Status::Finalized {
            return self.finalized_before(draft, finalize).await;
        }
        if !draft.status.is_draft() {
            return Err(Error::PackageNotDraft { package: id.clone(), status: draft.status });
        }
        let mut description = draft.description;
        if let Some(class) = &finalize.retention_class {
            description.retention_class = Some(class.clone());
        }
        if let Some(metadata) = &finalize.metadata {
            description.metadata = metadata.clone();
        }
        let finalized_at = self.recorded_now();
        let retained = self.settle(repository, &description).await?;
        let files = usize::try_from(draft.files).unwrap_or(usize::MAX);
        let _room = self.inner.composing.take(files).await?;
        let (files, receipts) = self.table(id).await?;
        let (content, cbor, composed) =
            on_a_thread(move || packed(description, files, draft.provenance)).await??;
        let digest = hash::digest(Algorithm::Blake3, &cbor);
        self.store_own(repository, actor, cbor.into()).await?;
        self.store_parts(repository, actor, &composed).await?;
        let (bytes, tags) = (Bytes::from(composed.manifest), finalize.tag.iter().cloned().collect());
        let push = self.prepare_own(repository, tags, composed.media_type, bytes).await?;
        let stamp = Stamp { id: id.clone(), created_at: draft.created_at, finalized_at };
        let manifest = complete(Whole { content, digest, receipts }, stamp, &push, &retained)?;
        let (held, draft) = (Vec::new(), Some(draft.revision));
        let command = RecordPackage { push, beside: None, manifest, retained, held, draft };
        self.submit(actor.clone(), command).await?;
        self.package(id).await
    }

    /// Somebody asks for what was done: because the answer got lost, or for something else.
    async fn finalized_before(&self, package: Package, finalize: &Finalize) -> Result<Package, Error> {
        let is_same_class = finalize.retention_class.as_deref().is_none_or(|asked| {
            let given = package.description.retention_class.as_deref();
            // The policy may give another class than the one asked for.
            let rule = self.inner.policy.rule(package.repository.as_str(), Some(asked));
            given == Some(asked) || rule.is_ok_and(|rule| given == Some(&rule.class))
        });
        let metadata = finalize.metadata.as_ref();
        let is_same_metadata = metadata.is_none_or(|metadata| *metadata == package.description.metadata);
        let is_tagged = match (&finalize.tag, &package.reference) {
            (Some(tag), Some(reference)) => {
                let tag = Reference::Tag(tag.clone());
                let tagged = manifests::find(&self.inner.db, &package.repository, &tag).await?;
                tagged.map(|tagged| tagged.content) == contents::find(&self.inner.db, reference).await?
            }
            (tag, _) => tag.is_none(),
        };
        if is_same_class && is_same_metadata && is_tagged {
            return Ok(package);
        }
        Err(Error::PackageNotDraft { package: package.id, status: package.status })
    }

    /// Every file of a draft, and where their bytes are.
    async fn table(&self, id: &PackageId) -> Result<(Vec<File>, Vec<StorageReceipt>), Error> {
        let (mut files, mut receipts) = (Vec::<File>::new(), Vec::new());
        loop {
            let after = files.last().map_or("", |file| file.path.as_str()).to_owned();
            let page = package_files::page(&self.inner.db, id, &after, PAGE).await?;
            let is_end = page.len() < usize::try_from(PAGE).expect("a small number");
            for (file, blob) in page {
                let blob = blob.ok_or_else(|| Error::ReferencesUnknown(vec![file.sha256.clone()]))?;
                receipts.push(StorageReceipt {
                    content_address: blob.content,
                    backend_id: blob.backend,
                    size: blob.size,
                });
                files.push(file);
            }
            if is_end {
                return Ok((files, receipts));
            }
        }
    }

    /// The retention a package comes under now, if it may have its class and its metadata.
    pub(super) async fn settle(
        &self,
        repository: &RepositoryName,
        description: &Description,
    ) -> Result<Retained, Error> {
        let rule = self.inner.policy.rule(repository.as_str(), description.retention_class.as_deref())?;
        self.check_metadata(description).await?;
        Ok(Retained::begin(rule, self.retention_begins()))
    }

    /// Stores a blob of the registry's own making.
    pub(super) async fn store_own(
        &self,
        repository: &RepositoryName,
        actor: &Actor,
        bytes: Bytes,
    ) -> Result<Digest, Error> {
        let digest = hash::digest(Algorithm::Sha256, &bytes);
        let frames: Vec<_> = bytes.chunks(FRAME).map(|frame| Ok(bytes.slice_ref(frame))).collect();
        let body = Box::pin(stream::iter(frames));
        Ok(self.push_blob(repository, actor.clone(), &digest, body).await?.digest)
    }

    async fn store_parts(
        &self,
        repository: &RepositoryName,
        actor: &Actor,
        composed: &Composed,
    ) -> Result<(), Error> {
        if composed.parts.len() > 1 {
            self.store_own(repository, actor, Bytes::from_static(names::EMPTY_CONFIG)).await?;
        }
        for part in &composed.parts {
            let (bytes, tags) = (Bytes::copy_from_slice(part), Vec::new());
            let push = self.prepare_own(repository, tags, media::OCI_IMAGE_MANIFEST, bytes).await?;
            self.submit(actor.clone(), push).await?;
        }
        Ok(())
    }
}

fn packed(
    description: Description,
    files: Vec<File>,
    provenance: crate::package::Object,
) -> Result<(ContentManifest, Vec<u8>, Composed), Error> {
    let content = ContentManifest::new(description, files, provenance)?;
    let cbor = content.encode()?;
    let composed = compose(&content, &BlobRef::of(&cbor));
    Ok((content, cbor, composed))
}

/// The registry manifest of a package.
pub(super) fn complete(
    whole: Whole,
    stamp: Stamp,
    push: &PushManifest,
    retained: &Retained,
) -> Result<Manifest, Error> {
    let Description { kind, retention_class, schema, metadata } = whole.content.package.clone();
    let record = Record {
        id: stamp.id,
        repository: push.repository.clone(),
        kind,
        retention_class,
        schema,
        metadata,
        created_at: stamp.created_at,
        finalized_at: stamp.finalized_at,
        content_manifest: whole.digest,
        reference: push.sha256().clone(),
    };
    let summary = RetentionSummary {
        class: retained.rule.class.clone(),
        policy_version: retained.rule.policy_version,
        expires_at: retained.until,
    };
    let manifest = Manifest::new(whole.content, record, whole.receipts, summary);
    // Refused here, with a reason, and not by the log: it is longer than what it was made of.
    manifest.encode()?;
    Ok(manifest)
}

/// Work on many files is for a thread of its own.
pub(super) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Stopping)
}

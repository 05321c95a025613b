//! Packages that come as OCI manifests.
//!
//! Whatever a producer claims, the table of a package says what is true of the stored bytes: both digests and the
//! sizes are compared with what the registry found when it received them.

use bytes::{Bytes, BytesMut};

use super::archives::Unpacked;
use super::commands::RecordPackage;
use super::finalize::{Stamp, Whole, complete, on_a_thread};
use super::{Filter, Package, Status};
use crate::hash;
use crate::oci::{self, Algorithm, Descriptor, Digest, Reference, RepositoryName, excerpt};
use crate::package::mapping::{
    self, Declared, Mismatch, Recognised, Titled, check_content_address, check_layers, implicit_description,
    implicit_files,
};
use crate::package::{ContentManifest, File, Invalid, LIMITS, MAX_FILES, PackageId, StorageReceipt};
use crate::registry::commands::PushManifest;
use crate::registry::{Actor, Blob, Error, Manifest, Registry};
use crate::views::{blobs, contents, links, packages};

/// What a manifest that is a package leads to.
struct Derived {
    whole: Whole,
    /// What must be linked besides what the manifest itself names.
    held: Vec<Digest>,
    /// The content manifest, where the producer sent none.
    generated: Option<Bytes>,
}

impl Registry {
    /// Carries out the push of a manifest, and records the package it is, if it is one. `Ok(None)` for all others.
    pub(in crate::registry) async fn push_recognised(
        &self,
        actor: Actor,
        push: PushManifest,
    ) -> Result<Option<Package>, Error> {
        // One comparison for manifests that are no package.
        if mapping::recognise(&push.manifest)? == Recognised::Ordinary {
            self.submit(actor, push).await?;
            return Ok(None);
        }
        // On the heap: the future of every push would be as large.
        Box::pin(self.push_package(actor, push)).await
    }

    async fn push_package(&self, actor: Actor, push: PushManifest) -> Result<Option<Package>, Error> {
        // What the manifest asks for is the package's: one retention, that protects both.
        let push = PushManifest { retained: None, ..push };
        let (repository, reference) = (push.repository.clone(), push.sha256().clone());
        if let Some(package) = self.known_as(&repository, &reference).await? {
            self.publish_again(&actor, &push, &package).await?;
            self.submit(actor, push).await?;
            return Ok(Some(package));
        }
        let (unpacked, reading) = match mapping::recognise(&push.manifest)? {
            Recognised::Archive { layers } => {
                let reading = self.inner.composing.read_archives().await?;
                (self.unpacked(&repository, &layers).await?, Some(reading))
            }
            _ => (Unpacked::default(), None),
        };
        // What is in an archive is known only now.
        let _room = self.inner.composing.take(weight(&push.manifest)? + unpacked.files.len()).await?;
        drop(reading);
        let derived = self.derive(&push, unpacked).await?;
        let now = self.recorded_now();
        let retained = self.settle(&repository, &derived.whole.content.package).await?;
        let beside = match derived.generated {
            Some(cbor) => Some(self.publish_generated(&actor, &push, cbor).await?),
            None => None,
        };
        let stamp = Stamp { id: PackageId::generate(), created_at: now, finalized_at: now };
        let manifest = complete(derived.whole, stamp, &push, &retained)?;
        // What is in a package is kept here.
        let push = PushManifest { allow_sparse: false, ..push };
        let command = RecordPackage { push, beside, manifest, retained, held: derived.held, draft: None };
        self.submit(actor, command).await?;
        // Ours, or that of another push of the same manifest that was a moment earlier.
        self.known_as(&repository, &reference).await
    }

    /// The oldest package that an OCI manifest (SHA-256) is.
    async fn known_as(
        &self,
        repository: &RepositoryName,
        reference: &Digest,
    ) -> Result<Option<Package>, Error> {
        let filter = Filter {
            status: Some(Status::Finalized),
            reference: Some(reference.clone()),
            ..Filter::default()
        };
        Ok(packages::page(&self.inner.db, repository, &filter, "", 1).await?.pop())
    }

    async fn derive(&self, push: &PushManifest, unpacked: Unpacked) -> Result<Derived, Error> {
        let (repository, manifest) = (&push.repository, &push.manifest);
        match mapping::recognise(manifest)? {
            Recognised::Declared(declared) => self.declared(repository, &declared).await,
            Recognised::DeclaredIndex { parts } => {
                let parts = self.parts(repository, parts).await?;
                self.declared(repository, &mapping::join(manifest, &parts)?).await
            }
            Recognised::Implicit | Recognised::Archive { .. } => {
                self.implicit(repository, manifest, unpacked).await
            }
            Recognised::Ordinary => {
                unreachable!("it was recognised a moment ago")
            }
        }
    }

    /// The part manifests of an index, which the repository must hold.
    async fn parts(
        &self,
        repository: &RepositoryName,
        children: &[Descriptor],
    ) -> Result<Vec<oci::Manifest>, Error> {
        let mut parts = Vec::with_capacity(children.len());
        let mut layers = 0;
        for (at, child) in children.iter().enumerate() {
            let part = match self.manifest(repository, &Reference::Digest(child.digest.clone())).await {
                Err(Error::ManifestUnknown(_)) => {
                    return Err(Error::ReferencesUnknown(vec![child.digest.clone()]));
                }
                part => part?,
            };
            check_child(at, child, &part)?;
            let part = oci::Manifest::parse(&part.bytes, Some(&part.media_type))?;
            layers += part.layers.len();
            // Before the next one is read: all of them could be as large as a manifest can be.
            if layers > MAX_FILES + 1 {
                return Err(Invalid::TooMany(layers - 1).into());
            }
            parts.push(part);
        }
        Ok(parts)
    }

    async fn declared(&self, repository: &RepositoryName, declared: &Declared<'_>) -> Result<Derived, Error> {
        let cbor = self.read_config(repository, declared.config).await?;
        let (content, digest) = on_a_thread(move || {
            let content = ContentManifest::decode(&cbor)?;
            Ok::<_, Error>((content, hash::digest(Algorithm::Blake3, &cbor)))
        })
        .await??;
        check_layers(&content, declared)?;
        let named: Vec<Digest> = content.files.iter().map(|file| file.sha256.clone()).collect();
        let stored = self.stored(repository, &named).await?;
        for (file, blob) in content.files.iter().zip(&stored) {
            check_content_address(file, &blob.content)?;
            check_size(file, blob.size)?;
        }
        let held = stored.iter().map(|blob| blob.content.clone()).chain([digest.clone()]).collect();
        let receipts = stored.into_iter().map(receipt).collect();
        Ok(Derived { whole: Whole { content, digest, receipts }, held, generated: None })
    }

    /// A package whose table is made of the titles of its layers and of what its archives have in them.
    async fn implicit(
        &self,
        repository: &RepositoryName,
        manifest: &oci::Manifest,
        unpacked: Unpacked,
    ) -> Result<Derived, Error> {
        let titled = implicit_files(manifest)?;
        let (titled, unpacked) = on_a_thread(move || {
            unpacked.check_beside(&titled)?;
            Ok::<_, Error>((titled, unpacked))
        })
        .await??;
        let Unpacked { mut files, mut receipts, provenance, .. } = unpacked;
        let description = implicit_description(manifest)?;
        let named: Vec<Digest> = titled.iter().map(|file| file.digest.clone()).collect();
        for (titled, blob) in titled.into_iter().zip(self.stored(repository, &named).await?) {
            let file = self.titled(titled, &blob).await?;
            check_size(&file, blob.size)?;
            receipts.push(receipt(blob));
            files.push(file);
        }
        let packed = on_a_thread(move || {
            let content = ContentManifest::new(description, files, provenance)?;
            let cbor = content.encode()?;
            Ok::<_, Error>((content, cbor))
        });
        let (content, cbor) = packed.await??;
        let digest = hash::digest(Algorithm::Blake3, &cbor);
        let whole = Whole { content, digest, receipts };
        Ok(Derived { whole, held: Vec::new(), generated: Some(cbor.into()) })
    }

    async fn titled(&self, titled: Titled, blob: &blobs::Blob) -> Result<File, Error> {
        let sha256 = if titled.digest.algorithm() == Algorithm::Sha256 {
            titled.digest
        } else {
            let digests = contents::digests_of(&self.inner.db, &blob.content).await?;
            let sha256 = digests.into_iter().find(|digest| digest.algorithm() == Algorithm::Sha256);
            sha256.ok_or_else(|| Error::BlobUnknown(blob.content.clone()))?
        };
        Ok(File {
            path: titled.path,
            media_type: titled.media_type,
            size: titled.size,
            content_address: blob.content.clone(),
            sha256,
            role: titled.role,
        })
    }

    /// The canonical CBOR a declared package brings.
    async fn read_config(&self, repository: &RepositoryName, config: &Descriptor) -> Result<Bytes, Error> {
        let held = links::find(&self.inner.db, repository, &config.digest).await?;
        // One that is damaged is repaired when it is pushed again.
        let blob = held.filter(|blob| blob.damage.is_none());
        let blob = blob.ok_or_else(|| Error::ReferencesUnknown(vec![config.digest.clone()]))?;
        if blob.size != config.size || blob.size > LIMITS.total as u64 {
            let reason = format!("its size is {}, the blob has {} bytes", config.size, blob.size);
            return Err(Mismatch::Config { reason }.into());
        }
        let blob = Blob::new(config.digest.clone(), blob)?;
        // Stored bytes are not trusted either: what is decided on them stays for decades.
        let mut body = self.open_whole(&blob).await?;
        let mut bytes = BytesMut::with_capacity(usize::try_from(blob.size).unwrap_or_default());
        while let Some(frame) = body.next().await? {
            bytes.extend_from_slice(&frame);
        }
        Ok(bytes.freeze())
    }

    /// The stored blobs of this repository that some digests stand for, in their order. What only another one holds
    /// is unknown: to compare with it would tell of it. That they are still held the command makes sure.
    async fn stored(
        &self,
        repository: &RepositoryName,
        digests: &[Digest],
    ) -> Result<Vec<blobs::Blob>, Error> {
        let found = links::find_all(&self.inner.db, repository, digests).await?;
        // What is damaged is repaired when it is pushed again.
        let is_missing = |blob: &Option<blobs::Blob>| blob.as_ref().is_none_or(|blob| blob.damage.is_some());
        let missing = digests.iter().zip(&found).filter(|(_, blob)| is_missing(blob));
        let missing: Vec<Digest> = missing.map(|(digest, _)| digest.clone()).collect();
        if missing.is_empty() {
            Ok(found.into_iter().flatten().collect())
        } else {
            Err(Error::ReferencesUnknown(missing))
        }
    }
}

/// How many files a manifest stands for, about, besides those in archives.
fn weight(manifest: &oci::Manifest) -> Result<usize, Error> {
    Ok(match mapping::recognise(manifest)? {
        Recognised::Declared(declared) => {
            usize::try_from(declared.config.size).unwrap_or(usize::MAX) / (LIMITS.total / MAX_FILES)
        }
        Recognised::DeclaredIndex { .. } => MAX_FILES,
        Recognised::Implicit | Recognised::Archive { .. } | Recognised::Ordinary => manifest.layers.len(),
    })
}

pub(super) fn receipt(blob: blobs::Blob) -> StorageReceipt {
    StorageReceipt { content_address: blob.content, backend_id: blob.backend, size: blob.size }
}

/// An index says a size and a type of each part, and readers trust it.
fn check_child(at: usize, child: &Descriptor, part: &Manifest) -> Result<(), Mismatch> {
    let (size, media_type) = (part.bytes.len() as u64, &part.media_type);
    if child.size != size {
        let reason = format!("size is {}, the manifest has {size} bytes", child.size);
        return Err(Mismatch::Part { at, reason });
    }
    if child.media_type != *media_type {
        let reason = format!(
            "mediaType is {:?}, the manifest is stored as {media_type:?}",
            excerpt(&child.media_type)
        );
        return Err(Mismatch::Part { at, reason });
    }
    Ok(())
}

/// Layers say a size as well, and readers trust it.
fn check_size(file: &File, stored: u64) -> Result<(), Mismatch> {
    if file.size == stored {
        return Ok(());
    }
    Err(Mismatch::Differs {
        path: file.path.clone(),
        field: "size",
        layer: stored.to_string(),
        table: file.size.to_string(),
    })
}

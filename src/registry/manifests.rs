//! Manifests: pull, push, delete.

use std::collections::HashSet;

use bytes::Bytes;

use super::commands::{DeleteManifest, DeleteTag, Named, PushManifest, descriptors};
use super::{Actor, Error, Registry};
use crate::events::{Role, Target};
use crate::hash;
use crate::oci::{self, Algorithm, Digest, Kind, Reference, RepositoryName, Tag};
use crate::package::PackageId;
use crate::package::mapping::names::RETENTION_CLASS;
use crate::retention::Retained;
use crate::views::{blobs, contents, links, manifests, retentions};

/// Tags one push may set; the spec asks for at least 10.
const MAX_TAGS: usize = 64;

/// A manifest as a repository holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The digest asked for, or the one the tag was pushed with.
    pub digest: Digest,
    /// What it is served as.
    pub media_type: String,
    /// Exactly the bytes that were pushed.
    pub bytes: Bytes,
}

/// A manifest that is durable and named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedManifest {
    /// The client's digest; SHA-256 when it pushed by tag.
    pub digest: Digest,
    /// Every tag that names it now because of this push.
    pub tags: Vec<Tag>,
    /// The digest of its subject, if it has one.
    pub subject: Option<Digest>,
    /// What the client should know.
    pub warnings: Vec<String>,
    /// The package it is, if it is one.
    pub package: Option<PackageId>,
}

impl Registry {
    /// The manifest behind a tag or a digest of any known algorithm.
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, Error> {
        let cached = self.cached(|cache| cache.manifest(repository, reference)).await?;
        let (found, bytes) = if let Some(cached) = cached {
            cached
        } else {
            let cache = &self.inner.cache;
            let version = cache.version(repository);
            let found = manifests::find(&self.inner.db, repository, reference).await?;
            let Some(found) = found else { return Err(self.absent(repository, reference).await?) };
            let bytes = manifests::bytes(&self.inner.db, &found.content).await?;
            // A database is a disk, too.
            let is_whole = |bytes: &Vec<u8>| hash::digest(found.content.algorithm(), bytes) == found.content;
            let bytes = bytes.filter(is_whole);
            let bytes = Bytes::from(bytes.ok_or_else(|| Error::ManifestLost(found.content.clone()))?);
            cache.keep_manifest(version, repository, reference, &found, &bytes);
            (found, bytes)
        };
        Ok(Manifest { digest: found.digest, media_type: found.media_type, bytes })
    }

    /// Stores a manifest and names it: by the digest or tag of `reference`, and by every tag of `tags`,
    /// which only a push by digest may have. All or nothing. A manifest that is a package is recorded as one in the
    /// same command, unless it was before.
    pub async fn push_manifest(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        reference: &Reference,
        tags: Vec<Tag>,
        content_type: Option<&str>,
        bytes: Bytes,
    ) -> Result<PushedManifest, Error> {
        if bytes.len() > self.inner.options.max_manifest {
            return Err(Error::ManifestTooLarge { limit: self.inner.options.max_manifest });
        }
        if tags.len() > MAX_TAGS {
            return Err(Error::TooManyTags { limit: MAX_TAGS });
        }
        let named = digests(reference, &bytes)?;
        let manifest = oci::Manifest::parse(&bytes, content_type)?;
        let mut tags = tags;
        if let Reference::Tag(tag) = reference {
            tags.push(tag.clone());
        }
        let mut seen = HashSet::new();
        tags.retain(|tag| seen.insert(tag.clone()));
        let subject = manifest.subject.as_ref().map(|subject| subject.digest.clone());
        let retained = self.retained(repository, &manifest)?;
        let is_retained = retained.is_some();
        let push = self.prepare(repository, named, tags.clone(), manifest, bytes).await?;
        let push = PushManifest { retained, ..push };
        let (digest, mut warnings) = (push.digest.clone(), self.warnings(&push).await?);
        let content = push.content.clone();
        let package = self.push_recognised(actor, push).await?;
        if is_retained || package.is_some() {
            let package = package.as_ref().map(|package| Target::Package(package.id.clone()));
            let target = package.unwrap_or(Target::Manifest(content));
            // What was applied is told to whoever pushed.
            let retention = retentions::find(&self.inner.db, repository, &target).await?;
            warnings.extend(retention.map(|it| format!("retention: {}", it.retained)));
        }
        Ok(PushedManifest { digest, tags, subject, warnings, package: package.map(|package| package.id) })
    }

    /// Removes a tag, or a manifest with every tag on it. Visible at once.
    pub async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        reference: &Reference,
    ) -> Result<(), Error> {
        let now = self.compliance_now();
        match reference {
            Reference::Tag(tag) => {
                let command = DeleteTag { repository: repository.clone(), tag: tag.clone(), now };
                self.submit(actor, command).await.map(drop)
            }
            Reference::Digest(digest) => {
                let content = contents::find(&self.inner.db, digest).await?;
                let content = content.ok_or_else(|| Error::ManifestUnknown(digest.to_string()))?;
                let (repository, digest) = (repository.clone(), digest.clone());
                let command = DeleteManifest { repository, content, digest, now };
                self.submit(actor, command).await.map(drop)
            }
        }
    }

    /// A push of a manifest of the registry's own making.
    pub(super) async fn prepare_own(
        &self,
        repository: &RepositoryName,
        tags: Vec<Tag>,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<PushManifest, Error> {
        let manifest = oci::Manifest::parse(&bytes, Some(media_type))?;
        let named = sha256_and_all(&bytes);
        // What the registry makes names nothing it does not hold.
        let push = self.prepare(repository, named, tags, manifest, bytes).await?;
        Ok(PushManifest { allow_sparse: false, ..push })
    }

    /// A sparse manifest may be legal, but whoever pushed it should know. What another repository holds is nobody's
    /// business here.
    async fn warnings(&self, push: &PushManifest) -> Result<Vec<String>, Error> {
        if push.manifest.kind == Kind::Image && !push.allow_sparse {
            return Ok(Vec::new());
        }
        let wanted: Vec<&Named> = push.named.iter().filter(|named| !named.is_foreign).collect();
        let digests: Vec<Digest> = wanted.iter().map(|named| named.digest.clone()).collect();
        let (db, repository) = (&self.inner.db, &push.repository);
        let held: Vec<bool> = match push.manifest.kind {
            Kind::Image => {
                links::find_all(db, repository, &digests).await?.iter().map(Option::is_some).collect()
            }
            Kind::Index => manifests::are_held(db, repository, &digests).await?,
        };
        let absent = digests.iter().zip(held).filter(|(_, is_held)| !is_held);
        Ok(absent
            .map(|(digest, _)| format!("the manifest names {digest}, which this repository does not hold"))
            .collect())
    }

    /// What can be found out about a push before it is decided.
    pub(super) async fn prepare(
        &self,
        repository: &RepositoryName,
        (digest, digests): (Digest, Vec<Digest>),
        tags: Vec<Tag>,
        manifest: oci::Manifest,
        bytes: Bytes,
    ) -> Result<PushManifest, Error> {
        let is_lost = self.is_lost(repository, &digest, &bytes).await?;
        let named = self.resolve(&manifest).await?;
        self.refuse_damaged(&named).await?;
        Ok(PushManifest {
            repository: repository.clone(),
            is_lost,
            named,
            manifest,
            bytes,
            content: digests[0].clone(),
            digest,
            digests,
            displaced: self.displaced(repository, &tags).await?,
            tags,
            allow_sparse: self.inner.options.allow_sparse,
            retained: None,
            now: self.compliance_now(),
        })
    }

    /// Refuses a manifest that needs a blob whose bytes are known to be damaged: pushed again, that is repaired. Only as
    /// long as anything is damaged there is more to ask than that.
    async fn refuse_damaged(&self, named: &[Named]) -> Result<(), Error> {
        if self.inner.options.allow_sparse || !self.has_troubles().await? {
            return Ok(());
        }
        let is_needed = |named: &&Named| named.role != Role::Child && !named.is_foreign;
        let needed: Vec<&Named> = named.iter().filter(is_needed).collect();
        let contents: Vec<Digest> = needed.iter().filter_map(|named| named.content.clone()).collect();
        let blobs = blobs::find_all(&self.inner.db, &contents).await?;
        let is_damaged = |content: &Digest| blobs.get(content).is_some_and(|blob| blob.damage.is_some());
        let damaged: Vec<Digest> = needed
            .into_iter()
            .filter(|named| named.content.as_ref().is_some_and(is_damaged))
            .map(|named| named.digest.clone())
            .collect();
        if damaged.is_empty() { Ok(()) } else { Err(Error::ReferencesUnknown(damaged)) }
    }

    /// Whether a manifest was pushed before and its bytes are not there any more, or others.
    async fn is_lost(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        bytes: &Bytes,
    ) -> Result<bool, Error> {
        let reference = Reference::Digest(digest.clone());
        let Some(found) = manifests::find(&self.inner.db, repository, &reference).await? else {
            return Ok(false);
        };
        let stored = manifests::bytes(&self.inner.db, &found.content).await?;
        Ok(stored.is_none_or(|stored| stored != *bytes))
    }

    /// The retention that a manifest which is no package comes under: if it asks for a class, or if its repository has
    /// a default.
    fn retained(
        &self,
        repository: &RepositoryName,
        manifest: &oci::Manifest,
    ) -> Result<Option<Retained>, Error> {
        let class = manifest.annotations.get(RETENTION_CLASS).map(String::as_str);
        let rule = self.inner.policy.rule_of_manifest(repository.as_str(), class)?;
        Ok(rule.map(|rule| Retained::begin(rule, self.retention_begins())))
    }

    /// What tags name now, so that the decision finds loaded what it will look at. It may be outdated by then.
    async fn displaced(&self, repository: &RepositoryName, tags: &[Tag]) -> Result<Vec<Digest>, Error> {
        let mut displaced = Vec::new();
        for tag in tags {
            let tag = Reference::Tag(tag.clone());
            displaced.extend(manifests::find(&self.inner.db, repository, &tag).await?.map(|it| it.content));
        }
        Ok(displaced)
    }

    /// Every descriptor of a manifest with its content address, where its digest is known at all. Safe
    /// before the decision: what a digest stands for never changes.
    async fn resolve(&self, manifest: &oci::Manifest) -> Result<Vec<Named>, Error> {
        let descriptors = descriptors(manifest);
        let wanted: Vec<Digest> = descriptors.iter().map(|(_, digest, _)| (*digest).clone()).collect();
        let found = contents::find_all(&self.inner.db, &wanted).await?;
        let named = descriptors.iter().zip(wanted).zip(found);
        Ok(named
            .map(|((&(role, _, is_foreign), digest), content)| Named { role, digest, content, is_foreign })
            .collect())
    }
}

/// The digest a manifest is remembered by, and all of its digests with the content address first.
fn digests(reference: &Reference, bytes: &[u8]) -> Result<(Digest, Vec<Digest>), Error> {
    let (sha256, all) = sha256_and_all(bytes);
    let Reference::Digest(claimed) = reference else {
        return Ok((sha256, all));
    };
    let actual = all.iter().find(|digest| digest.algorithm() == claimed.algorithm()).cloned();
    let actual = actual.expect("it is every digest");
    if actual != *claimed {
        return Err(Error::DigestMismatch { claimed: claimed.clone(), actual });
    }
    Ok((actual, all))
}

/// The digest most clients use, and all: the content address, SHA-256 and SHA-512. All of them whatever the client
/// uses: an index may name the manifest by another one than it is pushed by, and protects it all the same.
fn sha256_and_all(bytes: &[u8]) -> (Digest, Vec<Digest>) {
    let [blake3, sha256, sha512] =
        [Algorithm::Blake3, Algorithm::Sha256, Algorithm::Sha512].map(|it| hash::digest(it, bytes));
    (sha256.clone(), vec![blake3, sha256, sha512])
}

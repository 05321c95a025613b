//! Answers that are asked for often, correct because the log invalidates them.
//!
//! Every repository hashes to a version that the appender raises after each commit that touches it and
//! before it answers. A reader notes the version, asks the database, and caches the answer under the noted
//! version; an entry of another version is never used. So an answer is at most as old as the newest
//! write this process knew of before the request began; the log's read barrier makes sure that it knows those
//! of other replicas.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::Weighter;

use crate::oci::{Digest, Reference, RepositoryName};
use crate::views::links::Held;
use crate::views::manifests::Manifest;

/// Repositories share this many versions; a collision costs a query.
const VERSIONS: usize = 1024;

/// What a manifest entry weighs besides its bytes.
const ENTRY: u64 = 256;

/// Blob locations kept.
const BLOBS: usize = 16 * 1024;

/// The version an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version(u64);

#[derive(Debug)]
pub(super) struct Cache {
    versions: Vec<AtomicU64>,
    manifests: quick_cache::sync::Cache<(RepositoryName, Reference), (Version, Manifest, Bytes), Bytewise>,
    blobs: quick_cache::sync::Cache<(RepositoryName, Digest), (Version, Held)>,
}

#[derive(Clone, Debug)]
struct Bytewise;

impl Weighter<(RepositoryName, Reference), (Version, Manifest, Bytes)> for Bytewise {
    fn weight(&self, _: &(RepositoryName, Reference), value: &(Version, Manifest, Bytes)) -> u64 {
        ENTRY + value.2.len() as u64
    }
}

impl Cache {
    pub(super) fn new(manifest_bytes: u64) -> Self {
        let entries = usize::try_from(manifest_bytes / (4 * ENTRY)).unwrap_or(usize::MAX);
        Self {
            versions: (0..VERSIONS).map(|_| AtomicU64::new(0)).collect(),
            manifests: quick_cache::sync::Cache::with_weighter(entries, manifest_bytes, Bytewise),
            blobs: quick_cache::sync::Cache::new(BLOBS),
        }
    }

    /// The version to note before asking the database.
    pub(super) fn version(&self, repository: &RepositoryName) -> Version {
        Version(self.slot(repository).load(Ordering::Acquire))
    }

    /// Makes every cached answer about the repository stale.
    pub(super) fn invalidate(&self, repository: &RepositoryName) {
        self.slot(repository).fetch_add(1, Ordering::AcqRel);
    }

    /// Makes every cached answer stale.
    pub(super) fn invalidate_all(&self) {
        for version in &self.versions {
            version.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(super) fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Option<(Manifest, Bytes)> {
        let (version, manifest, bytes) = self.manifests.get(&(repository.clone(), reference.clone()))?;
        (version == self.version(repository)).then_some((manifest, bytes))
    }

    pub(super) fn keep_manifest(
        &self,
        version: Version,
        repository: &RepositoryName,
        reference: &Reference,
        manifest: &Manifest,
        bytes: &Bytes,
    ) {
        let key = (repository.clone(), reference.clone());
        self.manifests.insert(key, (version, manifest.clone(), bytes.clone()));
    }

    pub(super) fn blob(&self, repository: &RepositoryName, digest: &Digest) -> Option<Held> {
        let (version, blob) = self.blobs.get(&(repository.clone(), digest.clone()))?;
        (version == self.version(repository)).then_some(blob)
    }

    pub(super) fn keep_blob(
        &self,
        version: Version,
        repository: &RepositoryName,
        digest: &Digest,
        blob: &Held,
    ) {
        self.blobs.insert((repository.clone(), digest.clone()), (version, blob.clone()));
    }

    fn slot(&self, repository: &RepositoryName) -> &AtomicU64 {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(repository);
        &self.versions[usize::try_from(hash % VERSIONS as u64).expect("it is below VERSIONS")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_read_before_a_write_is_never_served_after_it() {
        let cache = Cache::new(1 << 20);
        let repository: RepositoryName = "a/b".parse().unwrap();
        let digest = crate::hash::digest(crate::oci::Algorithm::Blake3, b"x");
        let blob = crate::views::blobs::Blob {
            content: digest.clone(),
            size: 1,
            backend: "local".to_owned(),
            key: "k".to_owned(),
            version: None,
            state: crate::views::blobs::State::Live,
            damage: None,
        };
        let blob = Held { blob, unused_since: Some(7) };
        let noted = cache.version(&repository);
        cache.invalidate(&repository); // a write commits while the reader is at the database
        cache.keep_blob(noted, &repository, &digest, &blob);
        assert_eq!(cache.blob(&repository, &digest), None);
        cache.keep_blob(cache.version(&repository), &repository, &digest, &blob);
        assert_eq!(cache.blob(&repository, &digest), Some(blob));
    }
}

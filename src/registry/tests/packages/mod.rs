//! Drafts and what becomes of them, on both engines.

mod drafts;
pub(super) mod files;
mod finalizing;

use std::sync::Arc;

use super::*;
use crate::db::testing::{On, Place, on_both};
use crate::package::{ContentManifest, Description, File, Manifest as PackageManifest, Object, PackageId};

/// A registry over storage in memory.
pub(super) struct Bench {
    pub(super) registry: Registry,
    pub(super) db: Db,
    pub(super) clock: ManualClock,
    pub(super) backend: Faulty,
    pub(super) place: Place,
}

impl Bench {
    pub(super) async fn new(on: On) -> Self {
        Self::with(on, Options::default()).await
    }

    pub(super) async fn with(on: On, options: Options) -> Self {
        let clock = ManualClock::at(1_000_000 * SECOND);
        let place = Place::new(on).await;
        let db = place.open(Access::Create).await;
        let backend = Faulty::new(Arc::new(Memory::with_clock(clock.clock())));
        let data = DataPlane::new(Arc::new(backend.clone()));
        let registry = Registry::open(db.clone(), data, clock.clock(), options).await.unwrap();
        Self { registry, db, clock, backend, place }
    }

    pub(super) async fn draft(&self, repository: &str, description: Description) -> PackageId {
        let new = NewPackage { description, provenance: object(r#"{"commit":"abc"}"#) };
        self.registry.create_package(&name(repository), Actor::anonymous(), new).await.unwrap().id
    }

    pub(super) async fn ingest(
        &self,
        repository: &str,
        id: &PackageId,
        path: &str,
        bytes: &'static [u8],
    ) -> Result<File, Error> {
        self.put(repository, id, new_file(path), bytes).await
    }

    pub(super) async fn put(
        &self,
        repository: &str,
        id: &PackageId,
        new: NewFile,
        bytes: &'static [u8],
    ) -> Result<File, Error> {
        let body = whole(&Bytes::from_static(bytes));
        self.registry.ingest_file(&name(repository), Actor::anonymous(), id, new, body).await
    }

    pub(super) async fn drop_file(&self, repository: &str, id: &PackageId, path: &str) -> Result<(), Error> {
        let path = path.parse().unwrap();
        self.registry.drop_file(&name(repository), Actor::anonymous(), id, &path).await
    }

    pub(super) async fn finalize(
        &self,
        repository: &str,
        id: &PackageId,
        finalize: Finalize,
    ) -> Result<Package, Error> {
        self.registry.finalize_package(&name(repository), Actor::anonymous(), id, finalize).await
    }

    pub(super) async fn abort(&self, repository: &str, id: &PackageId) -> Result<(), Error> {
        self.registry.abort_package(&name(repository), Actor::anonymous(), id).await
    }

    pub(super) async fn delete_blob(&self, repository: &str, digest: &Digest) -> Result<(), Error> {
        self.registry.delete_blob(&name(repository), Actor::anonymous(), digest).await
    }

    pub(super) async fn delete_manifest(&self, repository: &str, reference: &str) -> Result<(), Error> {
        let reference: Reference = reference.parse().unwrap();
        self.registry.delete_manifest(&name(repository), Actor::anonymous(), &reference).await
    }

    pub(super) async fn paths(&self, id: &PackageId) -> Vec<String> {
        let files = self.registry.package_files(id, "", 10_000).await.unwrap();
        files.into_iter().map(|file| file.file.path.to_string()).collect()
    }

    pub(super) async fn download(&self, id: &PackageId, path: &str) -> Vec<u8> {
        let (file, blob) = self.registry.package_file(id, &path.parse().unwrap()).await.unwrap();
        assert_eq!((&file.sha256, file.size), (&blob.digest, blob.size));
        collect(self.registry.open_blob(&blob, None).await.unwrap().body).await.unwrap()
    }

    async fn nothing_is_tagged(&self, repository: &str) {
        assert_eq!(self.registry.tags(&name(repository), "", 10).await.unwrap(), (vec![], false));
    }

    /// The registry manifest, read back.
    pub(super) async fn manifest(&self, id: &PackageId) -> PackageManifest {
        PackageManifest::decode(&self.registry.package_manifest(id).await.unwrap()).unwrap()
    }

    pub(super) async fn types(&self, id: &PackageId) -> Vec<&'static str> {
        let events = self.registry.package_events(id, 0, 1000).await.unwrap();
        events.iter().map(|event| event.fact.type_name()).collect()
    }

    /// The log has no gap, and the views are what it says.
    pub(super) async fn check(&self) {
        let scratch = TempDir::new().unwrap();
        let checked = replay_check(&self.db, scratch.path()).await.unwrap();
        let Check::Compared { replayed, live } = checked else { panic!("{checked:?}") };
        assert_eq!(replayed.state.differences(&live), [""; 0]);
        assert_eq!(replayed.state, live);
    }
}

/// Whether a deletion was refused because of the retention of a package.
pub(super) fn is_kept_by<T>(outcome: &Result<T, Error>, id: &PackageId) -> bool {
    let Err(Error::Protected(protected)) = outcome else { return false };
    protected.reasons.iter().any(|reason| reason.by() == Some(id.as_str()))
}

pub(super) fn object(json: &str) -> Object {
    Object::from_json(json.as_bytes()).unwrap()
}

pub(super) fn new_file(path: &str) -> NewFile {
    NewFile { path: path.parse().unwrap(), media_type: None, role: None, claimed: None, replace: false }
}

pub(super) fn tagged(text: &str) -> Finalize {
    Finalize { tag: Some(tag(text)), ..Finalize::default() }
}

fn blake3(bytes: &[u8]) -> Digest {
    hash::digest(Algorithm::Blake3, bytes)
}

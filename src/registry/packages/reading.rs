//! What can be asked of packages.

use super::{Filter, Package};
use crate::events::Target;
use crate::oci::{Digest, RepositoryName};
use crate::package::{File, PackageId, PackagePath};
use crate::registry::blobs::location;
use crate::registry::tags::count;
use crate::registry::{Blob, Error, Event, Registry, Status, Tombstone};
use crate::retention::Classes;
use crate::views::{self, links, package_files, packages, repositories, tombstones};

/// What producers may say of all packages on a page, in bytes.
const PAGE_BYTES: i64 = 1024 * 1024;

/// A file, and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFile {
    /// The file.
    pub file: File,
    /// Where its bytes are by themselves; `None` when they are inside an archive that was pushed whole.
    pub location: Option<FileLocation>,
}

/// Where bytes are now; a repair or a move changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLocation {
    /// The backend that holds them.
    pub backend_id: String,
    /// As that of a keyed object: `file://{absolute path}`, `s3://{bucket}/{key}`.
    pub storage_uri: String,
}

impl Registry {
    /// A package by its id, in whatever repository.
    pub async fn package(&self, id: &PackageId) -> Result<Package, Error> {
        let found = packages::find(&self.inner.db, id).await?;
        found.ok_or_else(|| Error::PackageUnknown(id.clone()))
    }

    /// A package of this repository: it is unknown in every other.
    pub async fn package_in(&self, repository: &RepositoryName, id: &PackageId) -> Result<Package, Error> {
        let package = self.package(id).await?;
        if package.repository == *repository { Ok(package) } else { Err(Error::PackageUnknown(id.clone())) }
    }

    /// Up to `limit` packages of a repository that pass the filter, by id, after a text that need not be one.
    pub async fn packages(
        &self,
        repository: &RepositoryName,
        filter: &Filter,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Package>, Error> {
        let found = packages::page(&self.inner.db, repository, filter, after, count(limit)).await?;
        if found.is_empty() && !repositories::exists(&self.inner.db, repository).await? {
            return Err(Error::RepositoryUnknown(repository.clone()));
        }
        Ok(found)
    }

    /// A page of them, and whether more follow it. It ends before `limit` when what producers say of them comes to more
    /// than a mebibyte, and has at least one.
    pub async fn packages_page(
        &self,
        repository: &RepositoryName,
        filter: &Filter,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<Package>, bool), Error> {
        let rows = count(limit.saturating_add(1));
        let sizes = packages::sizes(&self.inner.db, repository, filter, after, rows).await?;
        let mut total = 0;
        let fitting = sizes.iter().take_while(|size| {
            total += **size;
            total <= PAGE_BYTES || total == **size
        });
        let fitting = fitting.count();
        if fitting < sizes.len() && fitting <= limit {
            return Ok((self.packages(repository, filter, after, fitting).await?, true));
        }
        let mut found = self.packages(repository, filter, after, limit.saturating_add(1)).await?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        Ok((found, has_more))
    }

    /// Up to `limit` files of a package by path, after a text that need not be one.
    pub async fn package_files(
        &self,
        id: &PackageId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<PackageFile>, Error> {
        let found = package_files::page(&self.inner.db, id, after, count(limit)).await?;
        if found.is_empty() {
            self.package(id).await?;
        }
        let file = |(file, blob): (File, Option<views::blobs::Blob>)| {
            Ok(PackageFile { file, location: self.located(blob)? })
        };
        found.into_iter().map(file).collect()
    }

    /// A file of a draft or package, and its bytes for [`open_blob`](Self::open_blob), by SHA-256.
    pub async fn package_file(&self, id: &PackageId, path: &PackagePath) -> Result<(File, Blob), Error> {
        let package = self.package(id).await?;
        let Some(file) = package_files::find(&self.inner.db, id, path).await? else {
            return Err(match self.tombstone(&package).await? {
                Some(left) => Error::Disposed {
                    reference: format!("{id}/{path}"),
                    repository: package.repository,
                    disposition: left.disposition,
                    at: left.deleted_at,
                },
                None => Error::FileUnknown { package: id.clone(), path: path.clone() },
            });
        };
        let blob = links::find(&self.inner.db, &package.repository, &file.content_address).await?;
        let blob = blob.ok_or_else(|| Error::FileInArchive { package: id.clone(), path: path.clone() })?;
        let blob = Blob::new(file.sha256.clone(), blob)?;
        Ok((file, blob))
    }

    /// What is left of a package that was disposed of.
    pub async fn tombstone(&self, package: &Package) -> Result<Option<Tombstone>, Error> {
        if package.status != Status::Deleted {
            return Ok(None);
        }
        let target = Target::Package(package.id.clone());
        Ok(tombstones::find(&self.inner.db, &package.repository, &target).await?)
    }

    /// Where the bytes of a file of this repository are by themselves.
    pub async fn file_location(
        &self,
        repository: &RepositoryName,
        file: &File,
    ) -> Result<Option<FileLocation>, Error> {
        let blob = links::find(&self.inner.db, repository, &file.content_address).await?;
        self.located(blob)
    }

    fn located(&self, blob: Option<views::blobs::Blob>) -> Result<Option<FileLocation>, Error> {
        let Some(blob) = blob else { return Ok(None) };
        let location = location(blob);
        let storage_uri = self.inner.data.uri(&location)?;
        Ok(Some(FileLocation { backend_id: location.backend, storage_uri }))
    }

    /// The canonical CBOR of a finalized package's manifest, byte for byte as the log has it.
    pub async fn package_manifest(&self, id: &PackageId) -> Result<Vec<u8>, Error> {
        if let Some(manifest) = packages::manifest(&self.inner.db, id).await? {
            return Ok(manifest);
        }
        let status = self.package(id).await?.status;
        Err(Error::PackageNotFinalized { package: id.clone(), status })
    }

    /// How many bytes its manifest has.
    pub async fn package_manifest_size(&self, id: &PackageId) -> Result<usize, Error> {
        if let Some(size) = packages::manifest_size(&self.inner.db, id).await? {
            return Ok(size);
        }
        let status = self.package(id).await?.status;
        Err(Error::PackageNotFinalized { package: id.clone(), status })
    }

    /// How many events [`package_events`](Self::package_events) leads to, and how many bytes of payload.
    pub async fn package_events_size(
        &self,
        id: &PackageId,
        after: i64,
        limit: usize,
    ) -> Result<(usize, usize), Error> {
        let (events, bytes) = self.inner.log.size_of_package(id, after, count(limit)).await?;
        Ok((usize::try_from(events).unwrap_or_default(), usize::try_from(bytes).unwrap_or_default()))
    }

    /// Refuses a place in the log that is beyond its end: whoever has one read another log, or one that was set back.
    pub async fn check_cursor(&self, since: i64) -> Result<(), Error> {
        // Another replica may have recorded what this one has not heard of.
        let head = self.inner.log.current_at(since).await.map_err(Error::Log)?;
        if since > head { Err(Error::CursorAhead { since, head }) } else { Ok(()) }
    }

    /// Up to `limit` events about a package in order, after the one given, those of its retention and its holds too;
    /// fewer where they are large, as of [`events`](Self::events).
    pub async fn package_events(
        &self,
        id: &PackageId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Event>, Error> {
        let events = self.inner.log.of_package(id, after, count(limit)).await?;
        if events.is_empty() {
            self.package(id).await?;
        }
        Ok(events)
    }

    /// The packages an OCI manifest of this repository stands for, by any digest of it, the oldest first.
    pub async fn packages_of(
        &self,
        repository: &RepositoryName,
        reference: &Digest,
        limit: usize,
    ) -> Result<Vec<Package>, Error> {
        let digests = self.digests_of(repository, reference).await?;
        let sha256 = digests.into_iter().find(|digest| digest.algorithm() == crate::oci::Algorithm::Sha256);
        let filter =
            Filter { reference: Some(sha256.unwrap_or_else(|| reference.clone())), ..Filter::default() };
        Ok(packages::page(&self.inner.db, repository, &filter, "", count(limit)).await?)
    }

    /// The retention classes in force.
    pub fn retention_classes(&self) -> &Classes {
        self.inner.policy.classes()
    }
}

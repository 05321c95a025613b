//! What became of one blob of what was disposed of.

use crate::clock::Micros;
use crate::events::{Damage, Sequence};
use crate::oci::{Digest, RepositoryName};
use crate::package::PackageId;
use crate::registry::{Error, Registry};
use crate::views::blobs::{self, Standing, State};
use crate::views::purges::{self, Purge};
use crate::views::{contents, links, manifests, objects, package_files, packages};

/// Repositories that are asked whether they keep a blob.
const REPOSITORIES: i64 = 100;

/// Manifests of the same repository that a certificate names as a reason.
const MANIFESTS: i64 = 3;

/// What became of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Its content address, or the digest of one that was never here.
    pub(super) content: Digest,
    pub(super) sha256: Option<Digest>,
    pub(super) size: Option<u64>,
    pub(super) backend: Option<String>,
    /// What is wrong with the copy that is there.
    pub(super) damage: Option<Damage>,
    /// The event that stored the copy that is there, when that was after the disposition.
    pub(super) stored_again: Option<Sequence>,
    pub(super) end: End,
}

/// Where a blob came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its bytes were deleted.
    Purged { at: Micros, by: Sequence },
    /// Its bytes are there because these name it.
    Kept(Vec<Because>),
    /// It waits for a collection, at this step.
    Pending(&'static str),
    /// A manifest named it, and it was never here.
    Absent,
}

/// What keeps a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Because {
    Package(PackageId),
    Manifest(Digest),
    /// A key of the repository.
    Object,
    /// So many other repositories, or more. Which they are is not for everybody who may read this one.
    Elsewhere(usize),
}

impl Outcome {
    /// Whether nothing more happens to the blob because of the disposition.
    pub(super) fn is_settled(&self) -> bool {
        !matches!(self.end, End::Pending(_))
    }

    /// The event of its deletion.
    pub(super) fn purged_by(&self) -> Option<Sequence> {
        match self.end {
            End::Purged { by, .. } => Some(by),
            _ => None,
        }
    }
}

impl Registry {
    /// What became of blobs of a repository since the event that disposed of them.
    pub(super) async fn outcomes(
        &self,
        repository: &RepositoryName,
        since: Sequence,
        blobs: &[Digest],
    ) -> Result<Vec<Outcome>, Error> {
        let db = &self.inner.db;
        let standing = blobs::standing(db, blobs).await?;
        let purged = purges::find_all(db, blobs).await?;
        let sha256 = contents::sha256_of_all(db, blobs).await?;
        let mut outcomes = Vec::with_capacity(blobs.len());
        for content in blobs {
            let found = standing.get(content);
            let blob = found.map(|found| &found.blob);
            let is_there = blob.is_some_and(|blob| blob.state != State::Purged);
            let copy = found.filter(|_| is_there);
            outcomes.push(Outcome {
                content: content.clone(),
                sha256: sha256.get(content).cloned(),
                size: blob.map(|blob| blob.size),
                backend: blob.map(|blob| blob.backend.clone()),
                damage: copy.and_then(|copy| copy.damage),
                stored_again: copy.map(|copy| copy.sequence).filter(|sequence| *sequence > since),
                end: self.end(repository, content, found, purged.get(content)).await?,
            });
        }
        Ok(outcomes)
    }

    async fn end(
        &self,
        repository: &RepositoryName,
        content: &Digest,
        found: Option<&Standing>,
        purge: Option<&Purge>,
    ) -> Result<End, Error> {
        let Some(Standing { blob, .. }) = found else { return Ok(End::Absent) };
        Ok(match (blob.state, purge) {
            (State::Purged, Some(purge)) => End::Purged { at: purge.at, by: purge.sequence },
            (State::Condemned, _) => End::Pending("condemned"),
            (State::Deleting | State::Purged, _) => End::Pending("deleting"),
            (State::Live, _) => self.live(repository, content).await?,
        })
    }

    /// A blob whose bytes are there stays if anything names it, wherever that is.
    async fn live(&self, repository: &RepositoryName, content: &Digest) -> Result<End, Error> {
        let links = links::naming(&self.inner.db, content, REPOSITORIES).await?;
        let mut because = Vec::new();
        if links.iter().any(|(holder, is_named)| *is_named && holder == repository) {
            because = self.naming(repository, content).await?;
        }
        let elsewhere = links.iter().filter(|(holder, is_named)| *is_named && holder != repository).count();
        if elsewhere > 0 {
            because.push(Because::Elsewhere(elsewhere));
        }
        Ok(match (because.is_empty(), links.is_empty()) {
            (false, _) => End::Kept(because),
            (true, false) => End::Pending("unused"),
            (true, true) => End::Pending("unlinked"),
        })
    }

    /// Some of what names a blob in its own repository.
    async fn naming(&self, repository: &RepositoryName, content: &Digest) -> Result<Vec<Because>, Error> {
        let db = &self.inner.db;
        let mut because = Vec::new();
        let packages = [
            package_files::having_now(db, repository, content).await?,
            packages::described_now(db, repository, content).await?.map(|package| package.id),
        ];
        for package in packages.into_iter().flatten().map(Because::Package) {
            if !because.contains(&package) {
                because.push(package);
            }
        }
        let mut digests = contents::digests_of(db, content).await?;
        digests.insert(0, content.clone());
        for digest in digests {
            let named = manifests::naming_now(db, repository, &digest, MANIFESTS).await?;
            for manifest in named.into_iter().map(Because::Manifest) {
                if !because.contains(&manifest) {
                    because.push(manifest);
                }
            }
        }
        if objects::is_named_now(db, repository, content).await? {
            because.push(Because::Object);
        }
        Ok(because)
    }
}

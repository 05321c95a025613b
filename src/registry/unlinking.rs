//! Blobs that somebody wants to go, and what stands against it.

use super::commands::UnlinkBlob;
use super::{Actor, Error, Registry, protection};
use crate::events::{Target, look};
use crate::oci::{Digest, Reference, RepositoryName};
use crate::views::{contents, links, manifests, package_files, packages};

/// Manifests that name a blob and are asked together whether they are protected when somebody wants the blob to go.
const NAMING: i64 = 64;

/// Manifests and packages that are asked at most. A refusal that did not ask them all is put on record as well.
const ASKED: usize = 10_000;

/// A blob that somebody wants to go, with every digest it can be named by.
#[derive(Clone, Copy)]
struct Named<'a> {
    repository: &'a RepositoryName,
    digest: &'a Digest,
    content: &'a Digest,
    digests: &'a [Digest],
}

impl Registry {
    /// Takes a blob out of a repository. Its bytes stay until a collection finds them unreferenced.
    pub async fn delete_blob(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        digest: &Digest,
    ) -> Result<(), Error> {
        let held = links::find(&self.inner.db, repository, digest).await?;
        let content = held.ok_or_else(|| Error::BlobUnknown(digest.clone()))?.content;
        // Answers the usual refusal from an index, however many manifests and packages name the blob.
        let digests = contents::digests_of(&self.inner.db, &content).await?;
        let named = Named { repository, digest, content: &content, digests: &digests };
        if let Some(refusal) = self.kept(&actor, &named).await? {
            return Err(refusal);
        }
        let command = UnlinkBlob {
            repository: repository.clone(),
            content: content.clone(),
            digest: digest.clone(),
            digests: digests.clone(),
        };
        let Err(refusal) = self.submit(actor.clone(), command).await else { return Ok(()) };
        if !matches!(refusal, Error::BlobInUse { .. } | Error::BlobInPackage { .. }) {
            return Err(refusal);
        }
        // Something came to name it in between, and may be gone again.
        match self.kept(&actor, &named).await? {
            Some(refusal) => Err(refusal),
            None => Err(self.named(repository, refusal).await),
        }
    }

    /// Why a blob stays that something names: because one of those is protected, which is put on record, or because
    /// they are there. `None` when nothing names it.
    async fn kept(&self, actor: &Actor, named: &Named<'_>) -> Result<Option<Error>, Error> {
        let Named { repository, digest, content, digests } = *named;
        let (db, mut otherwise, mut asked) = (&self.inner.db, None, 0);
        // First, since the manifest that names it is kept by the same package.
        if let Some(package) = packages::described_now(db, repository, content).await? {
            let by = [Target::Package(package.id.clone())];
            if let Some(protected) = self.protected(actor, named, &by).await? {
                return Ok(Some(protected));
            }
            otherwise = Some(Error::BlobInPackage { blob: digest.clone(), package: package.id });
        }
        for known in digests {
            let mut after: Option<Digest> = None;
            while asked < ASKED {
                let page = manifests::naming_after(db, repository, known, after.as_ref(), NAMING).await?;
                let Some(last) = page.last() else { break };
                (after, asked) = (Some(last.clone()), asked + page.len());
                let by: Vec<Target> = page.into_iter().map(Target::Manifest).collect();
                if let Some(protected) = self.protected(actor, named, &by).await? {
                    return Ok(Some(protected));
                }
                if let Some(Target::Manifest(manifest)) = by.into_iter().next() {
                    otherwise.get_or_insert(Error::BlobInUse { blob: digest.clone(), manifest });
                }
            }
        }
        let mut after = None;
        while asked < ASKED {
            let Some(package) = package_files::having_after(db, repository, content, after.as_ref()).await?
            else {
                break;
            };
            asked += 1;
            if let Some(protected) = self.protected(actor, named, &[Target::Package(package.clone())]).await?
            {
                return Ok(Some(protected));
            }
            otherwise.get_or_insert(Error::BlobInPackage { blob: digest.clone(), package: package.clone() });
            after = Some(package);
        }
        let Some(refusal) = otherwise else { return Ok(None) };
        let refusal = self.named(repository, refusal).await;
        if asked >= ASKED {
            // One of the others may well be protected.
            self.note_kept(actor, repository, digest, &refusal).await;
        }
        Ok(Some(refusal))
    }

    /// The refusal if one of these is protected, after it was put on record.
    async fn protected(
        &self,
        actor: &Actor,
        named: &Named<'_>,
        by: &[Target],
    ) -> Result<Option<Error>, Error> {
        let now = self.compliance_now();
        let judge = |rows: &_| protection::of_blob(rows, named.repository, named.digest, by, now);
        let protected = look(&self.inner.db, judge).await?;
        if let Some(protected) = &protected {
            self.note_refusal(actor, protected).await;
        }
        Ok(protected)
    }

    /// A refusal that tells the manifest as clients know it. By its content only if it has left meanwhile.
    async fn named(&self, repository: &RepositoryName, refusal: Error) -> Error {
        let Error::BlobInUse { blob, manifest: content } = refusal else { return refusal };
        match manifests::find(&self.inner.db, repository, &Reference::Digest(content.clone())).await {
            Ok(found) => Error::BlobInUse { blob, manifest: found.map_or(content, |found| found.pushed_as) },
            Err(error) => error.into(),
        }
    }
}

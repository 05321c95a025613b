//! Drafts: begun, filled, given up.

use super::commands::{CreatePackage, DropFile, FailPackage, IngestFile, in_package};
use super::{NewFile, NewPackage, Package};
use crate::clock::Micros;
use crate::events::{PackageCreated, PackageFailure, Rows, look};
use crate::oci::media::is_media_type;
use crate::oci::{Algorithm, Digest, RepositoryName, UploadId};
use crate::package::{File, Invalid, PackageId, PackagePath, check_kind, guess_media_type};
use crate::registry::commands::LinkBlob;
use crate::registry::protection::{self, Action};
use crate::registry::sessions::Owner;
use crate::registry::uploads::run;
use crate::registry::{Actor, Body, Error, Registry};
use crate::retention::Retained;
use crate::views::{contents, links, package_files, packages};

/// Drafts looked at together.
const DRAFTS: i64 = 1000;

/// How many times that many in one run at most.
const PAGES: usize = 10;

impl Registry {
    /// Begins a draft.
    pub async fn create_package(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        new: NewPackage,
    ) -> Result<Package, Error> {
        let NewPackage { description, provenance } = new;
        check_kind("kind", description.kind.as_deref())?;
        check_kind("schema", description.schema.as_deref())?;
        let class = description.retention_class.as_deref();
        let rule = self.inner.policy.rule(repository.as_str(), class)?;
        let expires_at = Retained::begin(rule, self.retention_begins()).until;
        let id = PackageId::generate();
        let fact = PackageCreated {
            repository: repository.clone(),
            package: id.clone(),
            description,
            provenance,
            expires_at,
        };
        self.submit(actor, CreatePackage { fact }).await?;
        self.package(&id).await
    }

    /// Streams a file into a draft. On any error the draft is as it was.
    pub async fn ingest_file(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        id: &PackageId,
        new: NewFile,
        body: Body,
    ) -> Result<File, Error> {
        check(&new)?;
        let (registry, repository, id) = (self.clone(), repository.clone(), id.clone());
        // In a task of its own: a client that goes away must not leave bytes that nobody removes.
        run(async move {
            let mark = registry.mark_draft(&repository, &id).await?;
            let received = registry.receive_file(&repository, actor, &id, new, body).await;
            if let Some((mark, draft)) = mark
                && let Err(error) = registry.sessions().unmark(&mark, &draft).await
            {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "A note of an upload cannot be removed"
                );
            }
            received
        })
        .await
    }

    /// Notes that a file is on its way into a draft that could expire meanwhile: what arrives is an event only at its
    /// end. Most drafts are younger, and cost nothing.
    async fn mark_draft(
        &self,
        repository: &RepositoryName,
        id: &PackageId,
    ) -> Result<Option<(UploadId, Owner)>, Error> {
        let now = self.inner.clock.now();
        let updated_at = self.package_in(repository, id).await?.updated_at;
        if updated_at.saturating_add(self.draft_expiry()) > now.saturating_add(self.upload_expiry()) {
            return Ok(None);
        }
        let draft = mark(repository, id);
        Ok(Some((self.sessions().mark(&draft, now).await?, draft)))
    }

    async fn receive_file(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        id: &PackageId,
        new: NewFile,
        body: Body,
    ) -> Result<File, Error> {
        self.check_place(repository, &actor, id, &new).await?;
        let sealed = self.receive_whole(new.claimed.as_ref(), body).await?;
        let content = sealed.digests.content().clone();
        let sha256 = sealed.digests.get(Algorithm::Sha256).expect("every digester runs SHA-256").clone();
        let digest = new.claimed.clone().unwrap_or_else(|| sha256.clone());
        let replace = new.replace;
        let file = file(new, content.clone(), sha256, sealed.size);
        let command = |stored, lost| IngestFile {
            link: LinkBlob {
                repository: repository.clone(),
                content: content.clone(),
                digest: digest.clone(),
                stored,
                lost,
                from: None,
                stale_before: self.stale_before(),
            },
            package: id.clone(),
            file: file.clone(),
            replace,
            now: self.compliance_now(),
        };
        self.place(actor, sealed, command).await?;
        Ok(file)
    }

    /// Makes a blob that the repository holds already a file of a draft.
    pub async fn ingest_blob(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        id: &PackageId,
        new: NewFile,
        blob: &Digest,
    ) -> Result<File, Error> {
        check(&new)?;
        self.check_place(repository, &actor, id, &new).await?;
        let held = links::find(&self.inner.db, repository, blob).await?;
        let held = held.filter(|held| held.damage.is_none());
        let held = held.ok_or_else(|| Error::BlobUnknown(blob.clone()))?;
        let digests = contents::digests_of(&self.inner.db, &held.content).await?;
        let known = |algorithm| digests.iter().find(|digest| digest.algorithm() == algorithm);
        if let Some(claimed) = new.claimed.as_ref().filter(|claimed| !digests.contains(claimed)) {
            let actual = known(claimed.algorithm()).unwrap_or(blob).clone();
            return Err(Error::DigestMismatch { claimed: claimed.clone(), actual });
        }
        let sha256 = known(Algorithm::Sha256).ok_or_else(|| Error::BlobUnknown(blob.clone()))?.clone();
        let link = LinkBlob {
            repository: repository.clone(),
            content: held.content.clone(),
            digest: blob.clone(),
            stored: None,
            lost: None,
            from: Some(repository.clone()),
            stale_before: self.stale_before(),
        };
        let replace = new.replace;
        let file = file(new, held.content, sha256, held.size);
        let (package, now) = (id.clone(), self.compliance_now());
        let command = IngestFile { link, package, file: file.clone(), replace, now };
        self.submit(actor, command).await?;
        Ok(file)
    }

    /// Takes a file out of a draft.
    pub async fn drop_file(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        id: &PackageId,
        path: &PackagePath,
    ) -> Result<(), Error> {
        let (repository, package, path) = (repository.clone(), id.clone(), path.clone());
        let command = DropFile { repository, package, path, now: self.compliance_now() };
        self.submit(actor, command).await.map(drop)
    }

    /// Gives a draft up. Idempotent.
    pub async fn abort_package(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        id: &PackageId,
    ) -> Result<(), Error> {
        let command = FailPackage {
            repository: repository.clone(),
            package: id.clone(),
            reason: PackageFailure::Aborted,
            idle_since: None,
            now: self.compliance_now(),
        };
        self.submit(actor, command).await.map(drop)
    }

    /// Ends drafts that nothing happened to for too long and says how many. Bounded per run; any number of replicas
    /// may do it at once.
    pub(in crate::registry) async fn sweep_drafts(&self) -> Result<u64, Error> {
        let since = self.inner.clock.now().saturating_sub(self.draft_expiry());
        let (mut swept, mut from) = (0, Micros::MIN);
        // Those that are held come again every time, and must not keep the others.
        for _ in 0..PAGES {
            let page = packages::idle(&self.inner.db, from..since, DRAFTS).await?;
            let is_end = page.len() < usize::try_from(DRAFTS).expect("a small number");
            from = page.last().map_or(since, |(_, _, at)| *at);
            for (package, repository, _) in page {
                // A file on its way is no event yet.
                if self.sessions().is_marked(&mark(&repository, &package), self.inner.clock.now()).await? {
                    continue;
                }
                swept += u64::from(self.expire(repository, package, since).await?);
            }
            if is_end {
                break;
            }
        }
        Ok(swept)
    }

    /// Whether a draft came to its end.
    async fn expire(
        &self,
        repository: RepositoryName,
        package: PackageId,
        since: Micros,
    ) -> Result<bool, Error> {
        let reason = PackageFailure::Expired;
        let now = self.compliance_now();
        let command = FailPackage { repository, package, reason, idle_since: Some(since), now };
        match self.submit(Actor::system(), command).await {
            Ok(committed) => Ok(!committed.events.is_empty()),
            // It was finalized in between.
            Err(Error::PackageNotDraft { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Refuses before the body what would be refused after it. What changes in between the command decides.
    async fn check_place(
        &self,
        repository: &RepositoryName,
        actor: &Actor,
        id: &PackageId,
        new: &NewFile,
    ) -> Result<(), Error> {
        let package = self.package_in(repository, id).await?;
        if !package.status.is_draft() {
            if new.replace && package_files::find(&self.inner.db, id, &new.path).await?.is_some() {
                let (subject, now) = (in_package(id, &new.path), self.compliance_now());
                let check = |rows: &Rows| {
                    protection::check_package(rows, &package, Action::ReplaceFile, &subject, now)
                };
                if let Err(protected) = look(&self.inner.db, check).await? {
                    self.note_refusal(actor, &protected).await;
                    return Err(protected);
                }
            }
            return Err(Error::PackageNotDraft { package: id.clone(), status: package.status });
        }
        if !new.replace && package_files::find(&self.inner.db, id, &new.path).await?.is_some() {
            return Err(Error::FileExists { package: id.clone(), path: new.path.clone() });
        }
        if let Some(inside) = package_files::below(&self.inner.db, id, &new.path).await? {
            return Err(Error::PathConflict { file: new.path.clone(), inside });
        }
        Ok(())
    }
}

/// Under which a file on its way into a draft is noted among the uploads.
fn mark(repository: &RepositoryName, draft: &PackageId) -> Owner {
    Owner { repository: repository.clone(), principal: format!("draft {draft}") }
}

fn check(new: &NewFile) -> Result<(), Invalid> {
    if new.media_type.as_deref().is_some_and(|text| !is_media_type(text)) {
        let reason = "media_type is not a media type".to_owned();
        return Err(Invalid::File { path: new.path.clone(), reason });
    }
    check_kind("role", new.role.as_deref())
}

fn file(new: NewFile, content_address: Digest, sha256: Digest, size: u64) -> File {
    let media_type = new.media_type.unwrap_or_else(|| guess_media_type(&new.path).to_owned());
    File { path: new.path, media_type, size, content_address, sha256, role: new.role }
}

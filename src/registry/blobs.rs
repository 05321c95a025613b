//! Blobs: pull, push in one piece, mount, delete.

use std::time::Duration;

use super::collection::{KeepLink, rules};
use super::commands::LinkBlob;
use super::uploads::run;
use super::{Actor, Body, Error, Registry};
use crate::clock::{Micros, SECOND};
use crate::dataplane::{self, Finding, Location, Received, Sealed, Stored, Verdict};
use crate::events::{Command, Committed, Fact};
use crate::oci::{Digest, RepositoryName};
use crate::storage::StagingId;
use crate::views::{self, contents, links};

/// Repositories looked at when a mount does not say where from.
const DISCOVERY: i64 = 16;

/// How long a URL of the storage works at most; a backend may be told to give out shorter ones.
const URL_TTL: Duration = Duration::from_mins(5);

/// A copy of at most this many bytes is read and compared before it is kept in the place of the same content that was
/// pushed.
const COMPARED: u64 = 16 << 20;

/// An object whose event took longer than this is looked at once more: a collection may have taken it for nobody's. It
/// looks twice, with more time than this in between.
const PROMPT: Micros = 10 * 60 * SECOND;

/// A blob as a repository holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The digest asked for.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    pub(super) location: Location,
    pub(super) content: Digest,
    /// Since when nothing of its repository seems to name it.
    unused_since: Option<Micros>,
}

/// A blob that is durable and linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedBlob {
    /// The digest the client used.
    pub digest: Digest,
}

impl Registry {
    /// The blob a repository holds under a digest of any known algorithm. [`Error::BlobDamaged`] when its bytes are
    /// known not to be what was stored.
    pub async fn blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<Blob, Error> {
        if let Some(blob) = self.cached(|cache| cache.blob(repository, digest)).await? {
            return Blob::held(digest.clone(), blob);
        }
        let cache = &self.inner.cache;
        let version = cache.version(repository);
        let found = links::held(&self.inner.db, repository, digest).await?;
        let blob = found.ok_or_else(|| Error::BlobUnknown(digest.clone()))?;
        cache.keep_blob(version, repository, digest, &blob);
        Blob::held(digest.clone(), blob)
    }

    /// The same for somebody who asks because it need not be pushed then: what seems unused begins its grace again,
    /// so that it is still there when a manifest names it. What is damaged or cannot be read is unknown here:
    /// pushed again, it is repaired.
    pub async fn blob_to_rely_on(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        digest: &Digest,
    ) -> Result<Blob, Error> {
        let blob = match self.blob(repository, digest).await {
            Err(Error::BlobDamaged { digest, .. }) => return Err(Error::BlobUnknown(digest)),
            blob => blob?,
        };
        if self.is_in_trouble(&blob.location.key).await? {
            return Err(Error::BlobUnknown(digest.clone()));
        }
        let stale_before = self.stale_before();
        if blob.unused_since.is_none_or(|since| since >= stale_before) {
            return Ok(blob);
        }
        let Some(content) = contents::find(&self.inner.db, digest).await? else { return Ok(blob) };
        let (repository, digest) = (repository.clone(), digest.clone());
        match self.submit(actor, KeepLink { repository, content, digest, stale_before }).await {
            Err(error @ Error::BlobUnknown(_)) => Err(error),
            Err(error) => {
                // It is there now, and that was the question.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "A blob that was asked for may not stay"
                );
                Ok(blob)
            }
            Ok(_) => Ok(blob),
        }
    }

    /// A URL of the storage under which anyone can GET the blob's bytes for a few minutes, if the storage gives out
    /// such, and for `longest` at most. The caller has checked that its client may have the blob; the URL asks nobody
    /// again.
    pub async fn blob_url(&self, blob: &Blob, longest: Option<Duration>) -> Result<Option<String>, Error> {
        let time = longest.unwrap_or(URL_TTL).min(URL_TTL);
        // No storage has URLs for less than a second.
        if time < Duration::from_secs(1) {
            return Ok(None);
        }
        Ok(self.inner.data.url(&blob.location, time).await?)
    }

    /// Stores a blob that arrives in one request. On any error nothing of it is kept.
    pub async fn push_blob(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        digest: &Digest,
        body: Body,
    ) -> Result<PushedBlob, Error> {
        let (registry, repository, digest) = (self.clone(), repository.clone(), digest.clone());
        // In a task of its own: a client that goes away must not leave bytes that nobody removes.
        run(async move {
            let sealed = registry.receive_whole(Some(&digest), body).await?;
            registry.link(&repository, actor, &digest, sealed).await
        })
        .await
    }

    /// Receives bytes that arrive in one request and compares the digest its client claimed. On any error nothing of
    /// them is kept. To be called in a task that goes on when the client goes away.
    pub(super) async fn receive_whole(
        &self,
        claimed: Option<&Digest>,
        mut body: Body,
    ) -> Result<Sealed, Error> {
        let id: StagingId =
            format!("once-{}", ulid::Ulid::generate()).parse().expect("ULIDs make staging ids");
        let mut ingest = self.inner.data.ingest(id, claimed.map(Digest::algorithm));
        let error = match ingest.append(&mut body, self.inner.options.max_blob).await {
            Ok(Received { broken: None, .. }) => {
                return match claimed {
                    Some(claimed) => Ok(ingest.seal(claimed).await?),
                    None => Ok(ingest.seal_unclaimed()),
                };
            }
            Ok(Received { broken: Some(broken), .. }) => Error::BodyBroken { received: 0, reason: broken.0 },
            Err(error) => error.into(),
        };
        forget(ingest.discard().await);
        Err(error)
    }

    /// Makes a complete blob durable and links it; keeps the copy that is there if its content is live.
    pub(super) async fn link(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        digest: &Digest,
        sealed: Sealed,
    ) -> Result<PushedBlob, Error> {
        let content = sealed.digests.content().clone();
        let command = |stored, lost| LinkBlob {
            repository: repository.clone(),
            content: content.clone(),
            digest: digest.clone(),
            stored,
            lost,
            from: None,
            stale_before: self.stale_before(),
        };
        self.place(actor, sealed, command).await?;
        Ok(PushedBlob { digest: digest.clone() })
    }

    /// Makes complete bytes durable, unless there is a copy that stays, by way of a command that names them.
    ///
    /// The command is made of the fresh copy, if one is needed, and of the key of the copy that turned out to be lost;
    /// without a copy it must be rejected with [`Error::BlobUnknown`] when there is none that stays.
    ///
    /// Whatever happens, the bytes are an object that the log names, or gone; unless the log failed after
    /// they became an object: then a collection finds it.
    pub(super) async fn place<C: Command<Rejection = Error>>(
        &self,
        actor: Actor,
        sealed: Sealed,
        command: impl Fn(Option<Stored>, Option<String>) -> C,
    ) -> Result<Committed, Error> {
        let content = sealed.digests.content().clone();
        let live = match self.copy_to_keep(&content).await {
            Ok(live) => live,
            Err(error) => {
                self.dispose(sealed).await;
                return Err(error);
            }
        };
        if matches!(live, Live::Whole) {
            match self.submit(actor.clone(), command(None, None)).await {
                // It is leaving: ours is needed.
                Err(Error::BlobUnknown(_)) => {}
                known => {
                    self.dispose(sealed).await;
                    return known;
                }
            }
        }
        let published_at = self.inner.clock.now();
        let stored = sealed.publish().await?;
        let location = stored.location.clone();
        let committed = match self.submit(actor, command(Some(stored), live.lost())).await {
            Ok(committed) => committed,
            Err(error @ (Error::Log(_) | Error::Stopping)) => {
                tracing::warn!(key = location.key, "Left an object behind whose event was not recorded");
                return Err(error);
            }
            Err(rejection) => {
                // No event names it, and none will.
                forget(self.inner.data.delete(&location).await);
                return Err(rejection);
            }
        };
        let is_named = |fact: &Fact| matches!(fact, Fact::BlobStored(_) | Fact::BlobRepaired(_));
        if !committed.events.iter().any(|event| is_named(&event.fact)) {
            self.drop_duplicate(&content, &location).await;
        } else if self.inner.clock.now() > published_at.saturating_add(PROMPT)
            && !self.inner.data.is_there(&location).await?
        {
            // Pushed again, it is repaired.
            let Location { backend, key, .. } = location;
            return Err(dataplane::Error::Missing { backend, key }.into());
        }
        Ok(committed)
    }

    /// Removes complete bytes that are not needed.
    async fn dispose(&self, sealed: Sealed) {
        if !sealed.is_object() {
            return forget(sealed.discard().await);
        }
        let content = sealed.digests.content().clone();
        match sealed.publish().await {
            Ok(stored) => self.drop_duplicate(&content, &stored.location).await,
            unknown => forget(unknown),
        }
    }

    /// Another upload of the same content was first, and its copy is the one the log names. Both may be the same
    /// object: of an upload that was finished twice, by a replica that was thought dead and the one that took over.
    async fn drop_duplicate(&self, content: &Digest, stored: &Location) {
        match views::blobs::of_any_state(&self.inner.db, content).await {
            Ok(copy) if rules::is_duplicate(copy.as_ref().map(|copy| copy.key.as_str()), &stored.key) => {
                forget(self.inner.data.delete(stored).await);
            }
            Ok(Some(_)) => {}
            // Not sure whose it is: a collection will be.
            Ok(None) | Err(_) => {
                tracing::warn!(key = stored.key, "Left an object behind that nobody may need");
            }
        }
    }

    /// Looks for the copy of some content that stays although it is pushed again. The good bytes are in hand, and maybe
    /// for the last time: a copy of moderate size is compared, and of a larger one the first byte must be readable.
    async fn copy_to_keep(&self, content: &Digest) -> Result<Live, Error> {
        let Some(location) = self.kept_at(content).await? else { return Ok(Live::Nowhere) };
        if self.is_in_trouble(&location.key).await? {
            return Ok(Live::Lost(location.key));
        }
        let data = &self.inner.data;
        let looked = if location.size <= COMPARED {
            data.verify(&location, content).await
        } else {
            match data.is_readable(&location).await {
                Ok(true) => Ok(Verdict::Intact),
                Ok(false) => Ok(Verdict::Damaged(Finding::Missing)),
                Err(error) => Err(error),
            }
        };
        let is_told = match looked {
            Ok(Verdict::Intact) => return Ok(Live::Whole),
            // The event of the repair says as much.
            Ok(Verdict::Damaged(Finding::Missing | Finding::Size { .. })) => false,
            Err(error) if error.is_unavailable() || matches!(error, dataplane::Error::UnknownBackend(_)) => {
                return Err(error.into());
            }
            Ok(Verdict::Damaged(_)) | Err(_) => true,
        };
        if is_told {
            self.put_on_record(content, &location).await;
        }
        Ok(Live::Lost(location.key))
    }

    /// Whether there is a copy that can be relied on by somebody who has not the bytes: its size, and what is known of
    /// it. The bytes themselves are the scrub's work.
    async fn is_reliable(&self, content: &Digest) -> Result<bool, Error> {
        let Some(location) = self.kept_at(content).await? else { return Ok(false) };
        if self.is_in_trouble(&location.key).await? {
            return Ok(false);
        }
        match self.inner.data.is_there(&location).await {
            Err(error) if error.is_unavailable() => Err(error.into()),
            is_there => Ok(is_there.unwrap_or(false)),
        }
    }

    /// Where the copy of some content is that is kept.
    async fn kept_at(&self, content: &Digest) -> Result<Option<Location>, Error> {
        let blob = views::blobs::of_any_state(&self.inner.db, content).await?;
        Ok(blob.filter(|blob| blob.state.is_kept()).map(location))
    }

    /// Links a blob that another repository holds. `None` when that cannot be done: the client uploads.
    ///
    /// `from` must be a repository the caller may pull from. Without it any repository that holds the blob
    /// will do (automatic content discovery, distribution-spec "Mounting a blob from another repository").
    pub async fn mount_blob(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        digest: &Digest,
        from: Option<&RepositoryName>,
    ) -> Result<Option<PushedBlob>, Error> {
        let Some(content) = contents::find(&self.inner.db, digest).await? else {
            return Ok(None);
        };
        if !self.is_reliable(&content).await? {
            return Ok(None);
        }
        let sources = match from {
            Some(from) => vec![from.clone()],
            None => links::holders(&self.inner.db, digest, DISCOVERY).await?,
        };
        for source in sources {
            let command = LinkBlob {
                repository: repository.clone(),
                content: content.clone(),
                digest: digest.clone(),
                stored: None,
                lost: None,
                from: Some(source),
                stale_before: self.stale_before(),
            };
            match self.submit(actor.clone(), command).await {
                Ok(_) => return Ok(Some(PushedBlob { digest: digest.clone() })),
                Err(Error::BlobUnknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// What there is of some content.
enum Live {
    /// No blob has it, or one that is leaving.
    Nowhere,
    /// A copy that is what was stored, as far as was looked.
    Whole,
    /// The copy with this key is gone, cut short, damaged or cannot be read.
    Lost(String),
}

impl Live {
    fn lost(self) -> Option<String> {
        match self {
            Self::Lost(key) => Some(key),
            Self::Nowhere | Self::Whole => None,
        }
    }
}

impl Blob {
    /// Having one is proof that nothing was known to be wrong with its bytes; [`Error::BlobDamaged`] otherwise.
    pub(super) fn new(digest: Digest, blob: views::blobs::Blob) -> Result<Self, Error> {
        Self::held(digest, links::Held { blob, unused_since: None })
    }

    fn held(digest: Digest, held: links::Held) -> Result<Self, Error> {
        if let Some(damage) = held.blob.damage {
            return Err(Error::BlobDamaged { digest, damage });
        }
        let (content, unused_since) = (held.blob.content.clone(), held.unused_since);
        let location = location(held.blob);
        Ok(Self { digest, size: location.size, location, content, unused_since })
    }
}

/// Where the views say a blob is.
pub(super) fn location(blob: views::blobs::Blob) -> Location {
    Location { backend: blob.backend, key: blob.key, size: blob.size, version: blob.version }
}

/// Bytes of no use that cannot be removed now are found by a sweep: no reason to fail a request for.
pub(super) fn forget<T>(removed: Result<T, dataplane::Error>) {
    if let Err(error) = removed {
        tracing::warn!(error = &error as &dyn std::error::Error, "Left bytes behind that nobody needs");
    }
}

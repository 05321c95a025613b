//! Resumable uploads.
//!
//! A request that writes runs in a task of its own: when its client goes away the connection drops the
//! handler, but the task lives on, sees the body break off, and puts what arrived where the next request
//! finds it, whichever replica that reaches.
//!
//! ```text
//! claim the row -> resume the object -> receive -> suspend it -> note length and checkpoint, release
//!                  \_________ the claim is renewed every few seconds _________/
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::sessions::{Claim, LEASE, Owner, Sessions, Unclaimed};
use super::{Actor, Body, Error, Origin, PushedBlob, Registry};
use crate::clock::Micros;
use crate::dataplane::{self, Digester, Ingest};
use crate::oci::{Algorithm, ContentRange, Digest, RepositoryName, UploadId};
use crate::storage::{self, StagingId};

/// Hash states kept between requests; one that is not kept costs reading the staged bytes again.
const KEPT_STATES: usize = 256;

/// How often a claim is renewed, and progress noted, while its request is at work.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// How long a request waits for another one that still holds the session, typically one whose client is
/// gone and which is about to notice.
const PATIENCE: Duration = Duration::from_secs(3);

/// The same where the holder may be a replica that was killed: its claim runs out first.
const LONG_PATIENCE: Duration = Duration::from_micros(LEASE.unsigned_abs()).saturating_add(PATIENCE);

/// How often a row is looked at that another replica may release.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Names an upload for one caller.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its repository; the session is unknown in any other.
    pub repository: RepositoryName,
    /// Who began it; the session is unknown to anyone else.
    pub actor: Actor,
    /// The session.
    pub id: UploadId,
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes received.
    pub received: u64,
}

/// What this process knows of sessions beyond their rows.
#[derive(Debug, Default)]
pub(super) struct Active {
    released: Arc<Notify>,
    states: Mutex<States>,
}

#[derive(Debug, Default)]
struct States {
    by_id: HashMap<UploadId, Kept>,
    order: VecDeque<UploadId>,
}

/// A hash state, and which bytes it is of: as many as these, written under this claim.
#[derive(Debug)]
struct Kept {
    received: u64,
    written_by: String,
    digester: Digester,
}

impl Active {
    fn keep(&self, claim: &Claim, received: u64, digester: Digester) {
        let (id, written_by) = (claim.id.clone(), claim.lease.clone());
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.by_id.insert(id.clone(), Kept { received, written_by, digester });
        states.order.push_back(id);
        while states.order.len() > KEPT_STATES {
            let oldest = states.order.pop_front().expect("it is longer than a positive number");
            if !states.order.contains(&oldest) {
                states.by_id.remove(&oldest);
            }
        }
    }

    /// Drops what is kept of a session.
    pub(super) fn forget(&self, id: &UploadId) {
        self.remove(id);
    }

    /// The hash state of exactly the bytes the claimed session has, if it was kept. The same length is not enough:
    /// after a crash of the database a session can stand where it stood before, and another replica can have
    /// written other bytes up to there since.
    fn take(&self, claim: &Claim) -> Option<Digester> {
        let kept = self.remove(&claim.id)?;
        let is_same = kept.received == claim.session.received
            && claim.written_by.as_deref() == Some(kept.written_by.as_str());
        is_same.then_some(kept.digester)
    }

    fn remove(&self, id: &UploadId) -> Option<Kept> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.order.retain(|known| known != id);
        states.by_id.remove(id)
    }
}

impl Upload {
    fn owner(&self) -> Owner {
        Owner { repository: self.repository.clone(), principal: self.actor.as_str().to_owned() }
    }

    pub(super) fn staging(&self) -> StagingId {
        staging(&self.id)
    }

    fn unknown(&self) -> Error {
        Error::UploadUnknown(self.id.clone())
    }
}

impl Registry {
    pub(super) fn sessions(&self) -> Sessions {
        Sessions::new(self.inner.db.operational(), self.upload_expiry())
    }

    /// Opens an upload session. `algorithm` is hashed while receiving, beside SHA-256 and BLAKE3.
    pub async fn begin_upload(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        algorithm: Option<Algorithm>,
    ) -> Result<Upload, Error> {
        let mut random = [0; 20];
        getrandom::fill(&mut random).expect("the operating system gives random bytes");
        let id = UploadId::from_random(random);
        let upload = Upload { repository: repository.clone(), actor, id };
        self.sessions().open(&upload.id, &upload.owner(), algorithm, self.inner.clock.now()).await?;
        Ok(upload)
    }

    fn wait(&self) -> Wait {
        Wait { since: tokio::time::Instant::now(), is_shared: self.inner.is_shared, first: None }
    }

    /// How far an upload is. Waits a moment for a request that is writing to it: a client that asks has
    /// lost that request.
    pub async fn upload_progress(&self, upload: &Upload) -> Result<Progress, Error> {
        let sessions = self.sessions();
        let find = async || -> Result<_, Error> {
            let found = sessions.find(&upload.id, &upload.owner(), self.inner.clock.now()).await?;
            found.filter(|session| session.finished.is_none()).ok_or_else(|| upload.unknown())
        };
        let mut wait = self.wait();
        loop {
            let released = self.inner.uploads.released.notified();
            let session = find().await?;
            let Some(until) = session.busy_until else {
                return Ok(Progress { received: session.received });
            };
            if !wait.once(released, until).await {
                return Ok(Progress { received: find().await?.received });
            }
        }
    }

    /// Appends a chunk. With a range it must continue exactly where the upload stands and have the length
    /// it says; otherwise nothing is appended. What arrives of a body that breaks off is kept.
    pub async fn append_upload(
        &self,
        upload: Upload,
        range: Option<ContentRange>,
        body: Body,
    ) -> Result<Progress, Error> {
        let registry = self.clone();
        run(async move {
            let claim = match registry.claim(&upload, range).await? {
                Claimed::Open(claim) => claim,
                Claimed::Finished(_) => return Err(upload.unknown()),
            };
            let ingest = registry.receive(&upload, &claim, range, body).await?;
            let received = ingest.length();
            registry.suspend(&upload, &claim, ingest).await?;
            Ok(Progress { received })
        })
        .await
    }

    /// Appends the rest, if any, and turns the upload into a blob of the repository. Repeating it after a
    /// lost answer succeeds again. When the storage is not available the upload stands where it stood; after any
    /// other failure of the close it is gone.
    pub async fn finish_upload(
        &self,
        upload: Upload,
        digest: Digest,
        range: Option<ContentRange>,
        body: Body,
    ) -> Result<PushedBlob, Error> {
        let registry = self.clone();
        // On the heap: the future of every request would be as large as this one.
        run(Box::pin(async move {
            let claim = match registry.claim(&upload, range).await? {
                Claimed::Open(claim) => claim,
                Claimed::Finished(finished) if finished == digest => {
                    registry.blob(&upload.repository, &digest).await?;
                    return Ok(PushedBlob { digest });
                }
                Claimed::Finished(_) => return Err(upload.unknown()),
            };
            let ingest = match registry.receive(&upload, &claim, range, body).await {
                // Killed after the blob was recorded and before the session was: the answer is due again.
                Err(Error::UploadUnknown(_)) if registry.blob(&upload.repository, &digest).await.is_ok() => {
                    return Ok(PushedBlob { digest });
                }
                received => received?,
            };
            if let Err(error) = registry.hold(&upload, &claim, &ingest).await {
                // Nothing was done with the bytes yet: what was there before this request stays.
                drop(ingest);
                return Err(registry.rewind(&upload, &claim, error).await);
            }
            let progress = ingest.progress();
            let mut pushed = Box::pin(async {
                let sealed = ingest.seal(&digest).await?;
                registry.link(&upload.repository, upload.actor.clone(), &digest, sealed).await
            });
            let pushed = tokio::select! {
                biased;
                pushed = &mut pushed => pushed,
                // Nothing is given up for a claim that was lost here: the bytes may be an object already.
                _ = registry.keep_alive(&upload, &claim, || progress.staged()) => pushed.await,
            };
            match pushed {
                Ok(blob) => {
                    registry.note_finished(&claim, &digest).await;
                    Ok(blob)
                }
                // As above, found out later: storage may not look at staged bytes before it needs them.
                Err(error) if is_gone(&error) && registry.blob(&upload.repository, &digest).await.is_ok() => {
                    registry.note_finished(&claim, &digest).await;
                    Ok(PushedBlob { digest: digest.clone() })
                }
                // The storage is away: what was there before this request is there when it comes back.
                Err(error @ Error::Data(_)) if error.is_temporary() || is_gone(&error) => {
                    Err(registry.rewind(&upload, &claim, error).await)
                }
                Err(error) => {
                    // The bytes are gone or of no use: so is the session.
                    registry.forget(&upload, &claim).await;
                    Err(error)
                }
            }
        }))
        .await
    }

    /// Ends an upload and removes what it received.
    pub async fn cancel_upload(&self, upload: Upload) -> Result<(), Error> {
        let registry = self.clone();
        run(async move {
            match registry.wait_for_claim(&upload).await?.0 {
                Claimed::Open(claim) => {
                    registry.forget(&upload, &claim).await;
                    Ok(())
                }
                Claimed::Finished(_) => Err(upload.unknown()),
            }
        })
        .await
    }

    /// Claims the session for writing at the right offset.
    async fn claim(&self, upload: &Upload, range: Option<ContentRange>) -> Result<Claimed, Error> {
        let (claim, waited) = match self.wait_for_claim(upload).await? {
            (Claimed::Open(claim), waited) => (claim, waited),
            (finished, _) => return Ok(finished),
        };
        let received = claim.session.received;
        // Without a range a chunk follows whatever is there; if that changed while it waited, its client
        // did not know.
        let continues = range.map_or(!waited, |range| range.start == received);
        if continues {
            return Ok(Claimed::Open(claim));
        }
        self.release(&claim, received).await?;
        Err(Error::UploadOutOfOrder { received })
    }

    /// Claims the session wherever it stands, and says whether another request had to end for that.
    async fn wait_for_claim(&self, upload: &Upload) -> Result<(Claimed, bool), Error> {
        let sessions = self.sessions();
        let owner = upload.owner();
        let mut wait = self.wait();
        let mut waited = false;
        loop {
            // Listening before looking: a release in between is not missed.
            let released = self.inner.uploads.released.notified();
            match sessions.claim(&upload.id, &owner, self.inner.clock.now()).await? {
                Ok(claim) => return Ok((Claimed::Open(claim), waited)),
                Err(Unclaimed::Unknown) => return Err(upload.unknown()),
                Err(Unclaimed::Finished(digest)) => return Ok((Claimed::Finished(digest), waited)),
                Err(Unclaimed::Busy { received, until }) => {
                    waited = true;
                    if !wait.once(released, until).await {
                        return Err(Error::UploadOutOfOrder { received });
                    }
                }
            }
        }
    }

    /// Receives a body under a claim. On an error the claim is released and what counts is kept.
    async fn receive(
        &self,
        upload: &Upload,
        claim: &Claim,
        range: Option<ContentRange>,
        body: Body,
    ) -> Result<Ingest, Error> {
        let start = claim.session.received;
        let resumed = self.alive(upload, claim, || start, self.resume(upload, claim)).await;
        let mut ingest = match resumed {
            Ok(ingest) => ingest,
            Err(error) => return Err(self.rewind(upload, claim, error).await),
        };
        let received = match self.stream(upload, claim, &mut ingest, body).await {
            Ok(received) => received,
            Err(error) => {
                drop(ingest);
                return Err(self.rewind(upload, claim, error).await);
            }
        };
        if let Some(broken) = received.broken {
            self.suspend(upload, claim, ingest).await?;
            return Err(Error::BodyBroken { received: received.length, reason: broken.0 });
        }
        if let Some(range) = range
            && received.length - start != range.len()
        {
            drop(ingest);
            let error = Error::ChunkSize { declared: range.len(), actual: received.length - start };
            return Err(self.rewind(upload, claim, error).await);
        }
        Ok(ingest)
    }

    async fn resume(&self, upload: &Upload, claim: &Claim) -> Result<Ingest, Error> {
        let (received, algorithm) = (claim.session.received, claim.session.algorithm);
        let digester = self.inner.uploads.take(claim);
        let checkpoint = claim.checkpoint.as_ref();
        match self.inner.data.resume(upload.staging(), received, checkpoint, digester, algorithm).await {
            // A program of another version began it: the client starts over.
            Err(error @ dataplane::Error::NotResumable(_)) => {
                tracing::debug!(upload = %claim.id, error = &error as &dyn std::error::Error, "An upload ends");
                self.forget(upload, claim).await;
                Err(upload.unknown())
            }
            resumed => Ok(resumed?),
        }
    }

    /// Streams the body into the object, noting progress and renewing the claim on the way.
    async fn stream(
        &self,
        upload: &Upload,
        claim: &Claim,
        ingest: &mut Ingest,
        mut body: Body,
    ) -> Result<dataplane::Received, Error> {
        let limit = self.inner.options.max_blob;
        let left = limit.saturating_sub(ingest.length());
        let progress = ingest.progress();
        let append = async {
            ingest.append(&mut body, left).await.map_err(|error| match error {
                dataplane::Error::TooLarge { .. } => Error::BlobTooLarge { limit },
                error => error.into(),
            })
        };
        self.alive(upload, claim, || progress.staged(), append).await
    }

    /// Puts the object aside and releases the claim, which is kept alive until its bytes are safe.
    async fn suspend(&self, upload: &Upload, claim: &Claim, ingest: Ingest) -> Result<(), Error> {
        self.hold(upload, claim, &ingest).await?;
        let (received, progress) = (ingest.length(), ingest.progress());
        let suspend = async { ingest.suspend().await.map_err(Error::from) };
        match self.alive(upload, claim, || progress.staged(), suspend).await {
            Ok(suspended) => {
                let now = self.inner.clock.now();
                let noted =
                    self.sessions().suspend(claim, received, suspended.checkpoint.as_ref(), now).await;
                self.inner.uploads.released.notify_waiters();
                if !noted? {
                    return Err(self.lost(upload).await);
                }
                // Only now: the state of bytes that were not noted must never meet other bytes.
                if let Some(digester) = suspended.digester {
                    self.inner.uploads.keep(claim, received, digester);
                }
                Ok(())
            }
            Err(error) => Err(self.rewind(upload, claim, error).await),
        }
    }

    /// Does some work under a claim that is kept alive meanwhile; ends it when the claim has ended.
    async fn alive<T>(
        &self,
        upload: &Upload,
        claim: &Claim,
        staged: impl Fn() -> u64,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done,
            error = self.keep_alive(upload, claim, staged) => Err(error),
        }
    }

    /// Renews the claim and notes progress for as long as it is polled. Returns why the claim has ended.
    async fn keep_alive(&self, upload: &Upload, claim: &Claim, staged: impl Fn() -> u64) -> Error {
        let mut until = claim.until;
        loop {
            tokio::time::sleep(NOTE_EVERY).await;
            let now = self.inner.clock.now();
            match self.sessions().renew(claim, staged(), now).await {
                Ok(true) => until = now + LEASE,
                Ok(false) => return self.lost(upload).await,
                // The database is away for a moment. What was claimed stays claimed for its time.
                Err(error) if error.is_temporary() && self.inner.clock.now() < until => {}
                Err(error) => return error,
            }
        }
    }

    /// Makes sure that the session is still ours before its bytes are put to use.
    async fn hold(&self, upload: &Upload, claim: &Claim, ingest: &Ingest) -> Result<(), Error> {
        let staged = ingest.progress().staged();
        if self.sessions().renew(claim, staged, self.inner.clock.now()).await? {
            return Ok(());
        }
        Err(self.lost(upload).await)
    }

    /// The claim ended before its time, because this process or its clock stood still: what another request
    /// did to the session since is what counts.
    async fn lost(&self, upload: &Upload) -> Error {
        match self.sessions().find(&upload.id, &upload.owner(), self.inner.clock.now()).await {
            Ok(Some(session)) if session.finished.is_none() => {
                Error::UploadOutOfOrder { received: session.received }
            }
            Ok(_) => upload.unknown(),
            Err(error) => error,
        }
    }

    /// Cuts the object back to where the claim began and releases it there. Returns what to say about it: the error that
    /// led here, or, when the claim had ended before, what others did to the session. That is then the reason: they
    /// removed the bytes under our hands. A session whose bytes are gone is removed. A claim that stays runs out.
    async fn rewind(&self, upload: &Upload, claim: &Claim, error: Error) -> Error {
        let start = claim.session.received;
        if is_gone(&error) {
            // Not to be met again and again by whoever goes on.
            self.forget(upload, claim).await;
            return self.lost(upload).await;
        }
        let rewound = async {
            let is_ours = self.sessions().renew(claim, start, self.inner.clock.now()).await?;
            if is_ours {
                // Now, and not when the client goes on: on a full disk others wait for this space.
                self.inner.data.cut_back(&upload.staging(), start, claim.checkpoint.as_ref()).await?;
            }
            Ok::<_, Error>(is_ours)
        };
        let rewound = rewound.await;
        let released = self.release(claim, start).await;
        match rewound.and_then(|is_ours| released.map(|_| is_ours)) {
            // Repeated, a request that was told to come back learns the rest.
            Ok(is_ours) if is_ours || error.is_temporary() => error,
            Ok(_) => self.lost(upload).await,
            Err(also) => {
                tracing::warn!(upload = %claim.id, error = &also as &dyn std::error::Error, "An upload was not cut back");
                error
            }
        }
    }

    /// Ends the claim, at what was received. `false` when it had ended already.
    async fn release(&self, claim: &Claim, received: u64) -> Result<bool, Error> {
        let released = self.sessions().release(claim, received, self.inner.clock.now()).await;
        self.inner.uploads.released.notify_waiters();
        released
    }

    /// Keeps the result for a client that did not get the answer. Without it the repeated close is refused.
    async fn note_finished(&self, claim: &Claim, digest: &Digest) {
        if let Err(error) = self.sessions().finish(claim, digest, self.inner.clock.now()).await {
            tracing::warn!(upload = %claim.id, error = &error as &dyn std::error::Error, "An upload session outlives its upload");
        }
        self.inner.uploads.released.notify_waiters();
    }

    /// Removes the session and its bytes, if it is still ours. What stays behind is swept when it expires.
    async fn forget(&self, upload: &Upload, claim: &Claim) {
        self.inner.uploads.forget(&claim.id);
        let removed = async {
            if self.sessions().remove(claim).await? {
                self.inner.data.unstage(&upload.staging()).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = removed.await {
            tracing::warn!(upload = %claim.id, error = &error as &dyn std::error::Error, "An upload session outlives its upload");
        }
        self.inner.uploads.released.notify_waiters();
    }
}

/// Waiting for a request that holds a session.
struct Wait {
    since: tokio::time::Instant,
    is_shared: bool,
    /// Until when the holder's claim was when it was first seen.
    first: Option<Micros>,
}

impl Wait {
    /// Waits for a release, or where replicas share the database for the next look at the row. `false` when it was
    /// long enough.
    ///
    /// A holder that renews its claim, here seen at `until`, is at work and can be told so; one that does not may
    /// be a replica that was killed, whose claim runs out.
    async fn once(&mut self, released: impl Future<Output = ()>, until: Micros) -> bool {
        let is_renewed = *self.first.get_or_insert(until) < until;
        let patience = if self.is_shared && !is_renewed { LONG_PATIENCE } else { PATIENCE };
        let end = self.since + patience;
        if !self.is_shared {
            return tokio::time::timeout_at(end, released).await.is_ok();
        }
        let next = tokio::time::Instant::now() + LOOK_EVERY;
        let _ = tokio::time::timeout_at(next.min(end), released).await;
        tokio::time::Instant::now() < end
    }
}

/// Whether staged bytes did not survive: a power cut, or a database that forgot its newest moments in a crash, whose
/// session then names bytes that were replaced since. The client starts over.
fn is_gone(error: &Error) -> bool {
    use storage::Error::{NotFound, Short};
    matches!(error, Error::Data(dataplane::Error::Storage(NotFound { .. } | Short { .. })))
}

/// Where the bytes of a session are staged.
pub(super) fn staging(id: &UploadId) -> StagingId {
    id.as_str().parse().expect("upload ids make staging ids")
}

enum Claimed {
    Open(Claim),
    /// The upload is a blob already.
    Finished(Digest),
}

/// Runs a use case to its end even when whoever waits for it goes away.
pub(super) async fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(Origin::carry(Origin::here(), work)).await.unwrap_or(Err(Error::Stopping))
}

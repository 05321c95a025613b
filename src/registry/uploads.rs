//! Resumable uploads.
//!
//! A request that writes runs in a task of its own: when its client goes away the connection drops the
//! handler, but the task lives on, sees the body break off, and puts what arrived where the next request
//! finds it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::sessions::{Claim, Owner, Sessions, Unclaimed};
use super::{Actor, Body, Error, PushedBlob, Registry};
use crate::dataplane::{self, Digester, Ingest};
use crate::oci::{Algorithm, ContentRange, Digest, RepositoryName, UploadId};
use crate::storage::{self, StagingId};

/// Hash states kept between requests; one that is not kept costs reading the staged bytes again.
const KEPT_STATES: usize = 256;

/// How often progress is noted while a body streams.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// How long a request waits for another one that still holds the session, typically one whose client is
/// gone and which is about to notice.
const PATIENCE: Duration = Duration::from_secs(3);

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
    by_id: HashMap<UploadId, (u64, Digester)>,
    order: VecDeque<UploadId>,
}

impl Active {
    fn keep(&self, id: UploadId, received: u64, digester: Digester) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.by_id.insert(id.clone(), (received, digester));
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
        self.take(id, 0);
    }

    /// The hash state at exactly this offset, if it was kept.
    fn take(&self, id: &UploadId, received: u64) -> Option<Digester> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.order.retain(|known| known != id);
        let (at, digester) = states.by_id.remove(id)?;
        (at == received).then_some(digester)
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

    /// How far an upload is. Waits a moment for a request that is writing to it: a client that asks has
    /// lost that request.
    pub async fn upload_progress(&self, upload: &Upload) -> Result<Progress, Error> {
        let sessions = self.sessions();
        let find = async || -> Result<_, Error> {
            let found = sessions.find(&upload.id, &upload.owner(), self.inner.clock.now()).await?;
            found.filter(|session| session.finished.is_none()).ok_or_else(|| upload.unknown())
        };
        let patient = async {
            loop {
                let released = self.inner.uploads.released.notified();
                let session = find().await?;
                if !session.is_busy() {
                    return Ok::<_, Error>(session);
                }
                released.await;
            }
        };
        let session = match tokio::time::timeout(PATIENCE, patient).await {
            Ok(session) => session?,
            Err(_) => find().await?,
        };
        Ok(Progress { received: session.received })
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
    /// lost answer succeeds again.
    pub async fn finish_upload(
        &self,
        upload: Upload,
        digest: Digest,
        range: Option<ContentRange>,
        body: Body,
    ) -> Result<PushedBlob, Error> {
        let registry = self.clone();
        run(async move {
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
            let pushed = async {
                registry.hold(&upload, &claim, &ingest).await?;
                let sealed = ingest.seal(&digest).await?;
                registry.link(&upload.repository, upload.actor.clone(), &digest, sealed).await
            };
            match pushed.await {
                Ok(blob) => {
                    registry.note_finished(&claim, &digest).await;
                    Ok(blob)
                }
                Err(error) => {
                    // The bytes are gone or of no use: so is the session.
                    registry.forget(&upload, &claim).await;
                    Err(error)
                }
            }
        })
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
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut waited = false;
        loop {
            // Listening before looking: a release in between is not missed.
            let released = self.inner.uploads.released.notified();
            match sessions.claim(&upload.id, &owner, self.inner.clock.now()).await? {
                Ok(claim) => return Ok((Claimed::Open(claim), waited)),
                Err(Unclaimed::Unknown) => return Err(upload.unknown()),
                Err(Unclaimed::Finished(digest)) => return Ok((Claimed::Finished(digest), waited)),
                Err(Unclaimed::Busy { received }) => {
                    waited = true;
                    if tokio::time::timeout_at(deadline, released).await.is_err() {
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
        let mut ingest = match self.resume(upload, claim).await {
            Ok(ingest) => ingest,
            Err(error) => {
                self.rewind(upload, claim).await;
                return Err(error);
            }
        };
        let received = match self.stream(upload, claim, &mut ingest, body).await {
            Ok(received) => received,
            Err(error) => {
                drop(ingest);
                self.rewind(upload, claim).await;
                return Err(error);
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
            self.rewind(upload, claim).await;
            return Err(Error::ChunkSize { declared: range.len(), actual: received.length - start });
        }
        Ok(ingest)
    }

    async fn resume(&self, upload: &Upload, claim: &Claim) -> Result<Ingest, Error> {
        let (received, algorithm) = (claim.session.received, claim.session.algorithm);
        let digester = self.inner.uploads.take(&claim.id, received);
        match self.inner.data.resume(upload.staging(), received, digester, algorithm).await {
            // The staged bytes did not survive (a power cut): the client starts over.
            Err(dataplane::Error::Storage(
                storage::Error::NotFound { .. } | storage::Error::Short { .. },
            )) => {
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
        let append = ingest.append(&mut body, left);
        tokio::pin!(append);
        let mut ticks = tokio::time::interval(NOTE_EVERY);
        ticks.tick().await;
        loop {
            tokio::select! {
                received = &mut append => return received.map_err(|error| match error {
                    dataplane::Error::TooLarge { .. } => Error::BlobTooLarge { limit },
                    error => error.into(),
                }),
                _ = ticks.tick() => {
                    if !self.sessions().renew(claim, progress.staged(), self.inner.clock.now()).await? {
                        return Err(self.lost(upload).await);
                    }
                }
            }
        }
    }

    /// Puts the object aside and releases the claim, which is kept alive until its bytes are safe.
    async fn suspend(&self, upload: &Upload, claim: &Claim, ingest: Ingest) -> Result<(), Error> {
        self.hold(upload, claim, &ingest).await?;
        let received = ingest.length();
        match ingest.suspend().await {
            Ok(digester) => {
                if !self.release(claim, received).await? {
                    return Err(self.lost(upload).await);
                }
                // Only now: the state of bytes that were not noted must never meet other bytes.
                self.inner.uploads.keep(claim.id.clone(), received, digester);
                Ok(())
            }
            Err(error) => {
                self.rewind(upload, claim).await;
                Err(error.into())
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

    /// Cuts the object back to where the claim began and releases it there. Called on the way to another
    /// error, which says more than one of this; a claim that stays runs out.
    async fn rewind(&self, upload: &Upload, claim: &Claim) {
        let start = claim.session.received;
        let rewound = async {
            let is_ours = self.sessions().renew(claim, start, self.inner.clock.now()).await?;
            if is_ours {
                // Now, and not when the client goes on: on a full disk others wait for this space.
                self.inner.data.cut_back(&upload.staging(), start).await?;
            }
            Ok::<_, Error>(())
        };
        let rewound = rewound.await;
        if let Err(error) = rewound.and(self.release(claim, start).await) {
            tracing::warn!(upload = %claim.id, error = &error as &dyn std::error::Error, "An upload was not cut back");
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
    tokio::spawn(work).await.unwrap_or(Err(Error::Stopping))
}

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

    fn staging(&self) -> StagingId {
        self.id.as_str().parse().expect("upload ids make staging ids")
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
            registry.suspend(&claim, ingest).await?;
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
            let ingest = registry.receive(&upload, &claim, range, body).await?;
            let sealed = match ingest.seal(&digest).await {
                Ok(sealed) => sealed,
                Err(error) => {
                    // The bytes are gone or of no use: so is the session.
                    registry.forget(&claim).await;
                    return Err(error.into());
                }
            };
            match registry.link(&upload.repository, upload.actor.clone(), &digest, sealed).await {
                Ok(blob) => {
                    registry.sessions().finish(&claim, &digest, registry.inner.clock.now()).await?;
                    registry.inner.uploads.released.notify_waiters();
                    Ok(blob)
                }
                Err(error) => {
                    registry.forget(&claim).await;
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
            match registry.claim(&upload, None).await {
                Ok(Claimed::Open(claim)) => {
                    registry.inner.uploads.take(&claim.id, claim.session.received);
                    registry.inner.data.unstage(&upload.staging()).await?;
                    registry.forget(&claim).await;
                    Ok(())
                }
                Ok(Claimed::Finished(_)) => Err(upload.unknown()),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Claims the session for writing at the right offset.
    async fn claim(&self, upload: &Upload, range: Option<ContentRange>) -> Result<Claimed, Error> {
        let sessions = self.sessions();
        let owner = upload.owner();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut waited = false;
        let claim = loop {
            let released = self.inner.uploads.released.notified();
            match sessions.claim(&upload.id, &owner, self.inner.clock.now()).await? {
                Ok(claim) => break claim,
                Err(Unclaimed::Unknown) => return Err(upload.unknown()),
                Err(Unclaimed::Finished(digest)) => return Ok(Claimed::Finished(digest)),
                Err(Unclaimed::Busy { received }) => {
                    waited = true;
                    if tokio::time::timeout_at(deadline, released).await.is_err() {
                        return Err(Error::UploadOutOfOrder { received });
                    }
                }
            }
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
                self.release(claim, start).await?;
                return Err(error);
            }
        };
        let received = match self.stream(claim, &mut ingest, body).await {
            Ok(received) => received,
            Err(error) => {
                drop(ingest);
                self.rewind(upload, claim).await?;
                return Err(error);
            }
        };
        if let Some(broken) = received.broken {
            self.suspend(claim, ingest).await?;
            return Err(Error::BodyBroken { received: received.length, reason: broken.0 });
        }
        if let Some(range) = range
            && received.length - start != range.len()
        {
            drop(ingest);
            self.rewind(upload, claim).await?;
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
                self.forget(claim).await;
                Err(upload.unknown())
            }
            resumed => Ok(resumed?),
        }
    }

    /// Streams the body into the object, noting progress and renewing the claim on the way.
    async fn stream(
        &self,
        claim: &Claim,
        ingest: &mut Ingest,
        mut body: Body,
    ) -> Result<dataplane::Received, Error> {
        let left = self.inner.options.max_blob.saturating_sub(ingest.length());
        let progress = ingest.progress();
        let append = ingest.append(&mut body, left);
        tokio::pin!(append);
        let mut ticks = tokio::time::interval(NOTE_EVERY);
        ticks.tick().await;
        loop {
            tokio::select! {
                received = &mut append => return Ok(received?),
                _ = ticks.tick() => {
                    self.sessions().renew(claim, progress.staged(), self.inner.clock.now()).await?;
                }
            }
        }
    }

    /// Puts the object aside and releases the claim.
    async fn suspend(&self, claim: &Claim, ingest: Ingest) -> Result<(), Error> {
        let received = ingest.length();
        match ingest.suspend().await {
            Ok(digester) => {
                self.inner.uploads.keep(claim.id.clone(), received, digester);
                self.release(claim, received).await
            }
            Err(error) => {
                self.release(claim, claim.session.received).await?;
                Err(error.into())
            }
        }
    }

    /// Releases the claim at the offset it began with: the next request cuts back what came after.
    async fn rewind(&self, upload: &Upload, claim: &Claim) -> Result<(), Error> {
        if claim.session.received == 0 {
            self.inner.data.unstage(&upload.staging()).await?;
        }
        self.release(claim, claim.session.received).await
    }

    async fn release(&self, claim: &Claim, received: u64) -> Result<(), Error> {
        let released = self.sessions().release(claim, received, self.inner.clock.now()).await;
        self.inner.uploads.released.notify_waiters();
        released
    }

    /// Removes the session. A row that stays behind is swept when it expires.
    async fn forget(&self, claim: &Claim) {
        if let Err(error) = self.sessions().remove(&claim.id).await {
            tracing::warn!(upload = %claim.id, error = &error as &dyn std::error::Error, "An upload session outlives its upload");
        }
        self.inner.uploads.released.notify_waiters();
    }
}

enum Claimed {
    Open(Claim),
    /// The upload is a blob already.
    Finished(Digest),
}

/// Runs a use case to its end even when whoever waits for it goes away.
async fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or(Err(Error::Stopping))
}

//! The data plane: every rule of content addressing, over dumb backends (DP-1).
//!
//! - [`Ingest`] takes a stream in one pass: received, hashed with SHA-256 and BLAKE3 and written side by
//!   side, compared with what the client claimed, then made durable under a key that is never reused.
//! - [`DataPlane::open`] serves an object or a range of it; [`DataPlane::compared`] a whole one whose last bytes come only
//!   when all of them are what was stored.
//! - [`DataPlane::verify`] re-digests what is stored.
//!
//! Nothing here knows repositories or events. Bytes become durable here first; the event that names them
//! comes after.

mod checkpoint;
mod compared;
mod copy;
mod digester;
mod ingest;
mod pieces;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

pub use checkpoint::Checkpoint;
pub use compared::Compared;
pub use digester::Digester;
pub use ingest::{Ingest, Received, Sealed, Staging, Stored, Suspended};
pub use verify::{Finding, Reading, Verdict};

use crate::oci::{Algorithm, Digest};
use crate::storage::{
    self, Backend, BackendId, ByteRange, Capability, Deletion, Health, Key, Metadata, Object, Page, StagingId,
};

/// A body on its way in. An error means that the client went away or broke the protocol.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, ClientError>> + Send>>;

/// Why a client's body ended early.
#[derive(Debug, thiserror::Error)]
#[error("the request body broke off: {0}")]
pub struct ClientError(pub String);

/// Where the bytes of a blob are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The backend's id.
    pub backend: String,
    /// The key there.
    pub key: String,
    /// The size that was recorded when it was stored.
    pub size: u64,
    /// Which version of the key it was where it was stored first, if that backend keeps several. A copy elsewhere has
    /// versions of its own.
    pub version: Option<String>,
}

/// What can go wrong with bytes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client's fault: the stream broke.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The body is longer than allowed.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The bytes are not what the client said.
    #[error("the content has digest {actual}, not {claimed}")]
    DigestMismatch {
        /// What the client said.
        claimed: Digest,
        /// What it is.
        actual: Digest,
    },
    /// A stored object is gone although the log says it is there.
    #[error("object {key} is missing from storage {backend}")]
    Missing {
        /// The backend.
        backend: String,
        /// The key.
        key: String,
    },
    /// A stored object does not have its recorded size.
    #[error("object {key} has {actual} bytes, {expected} were stored")]
    Size {
        /// The key.
        key: String,
        /// The recorded size.
        expected: u64,
        /// The size found.
        actual: u64,
    },
    /// The log names a backend that is not configured.
    #[error("storage {0:?} is not configured; name it in storage.also where its objects are")]
    UnknownBackend(String),
    /// What is known of a staged object does not suffice to go on with it: its client begins anew.
    #[error("the upload cannot be gone on with: {0}")]
    NotResumable(&'static str),
    /// The backend failed.
    #[error("storage failed")]
    Storage(#[from] storage::Error),
}

impl Error {
    /// Whether the same may succeed later without anybody doing anything.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Storage(storage::Error::Unavailable { .. }))
    }
}

/// The configured backends, looked up by id (CAS-6); new objects go to the default one.
#[derive(Clone, Debug)]
pub struct DataPlane {
    default: Arc<dyn Backend>,
    backends: Arc<BTreeMap<String, Arc<dyn Backend>>>,
}

impl DataPlane {
    /// A data plane over one backend.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        let backends = BTreeMap::from([(backend.id().to_string(), Arc::clone(&backend))]);
        Self { default: backend, backends: Arc::new(backends) }
    }

    /// The same, with its backend also answering for these ids: objects of other backends were copied into it,
    /// and events name the backend that stored them first.
    #[must_use]
    pub fn with_aliases(self, ids: &[BackendId]) -> Self {
        let mut backends = BTreeMap::clone(&self.backends);
        for id in ids {
            backends.entry(id.to_string()).or_insert_with(|| Arc::clone(&self.default));
        }
        Self { backends: Arc::new(backends), ..self }
    }

    fn backend(&self, id: &str) -> Result<&Arc<dyn Backend>, Error> {
        self.backends.get(id).ok_or_else(|| Error::UnknownBackend(id.to_owned()))
    }

    /// Begins an object that arrives in one go; `extra` is hashed beside SHA-256 and BLAKE3. Nothing is stored
    /// yet. One that may have to wait for a later request begins with [`resume`](Self::resume) at 0.
    pub fn ingest(&self, id: StagingId, extra: Option<Algorithm>) -> Ingest {
        Ingest::new(Arc::clone(&self.default), id, Digester::new(extra))
    }

    /// Continues an object of which `received` bytes are staged, with the checkpoint of its last
    /// [`suspend`](Ingest::suspend). `digester` is the hash state at that offset if the caller kept it; otherwise
    /// it comes from the checkpoint, or the staged bytes are read again.
    ///
    /// [`Error::NotResumable`], or the storage's `NotFound` or `Short`: the client has to begin anew.
    pub async fn resume(
        &self,
        id: StagingId,
        received: u64,
        checkpoint: Option<&Checkpoint>,
        digester: Option<Digester>,
        extra: Option<Algorithm>,
    ) -> Result<Ingest, Error> {
        Ingest::resume(Arc::clone(&self.default), id, received, checkpoint, digester, extra).await
    }

    /// Cuts what was staged under an id back to `length`, where `checkpoint` was made: the space of the rest is
    /// free at once.
    pub async fn cut_back(
        &self,
        id: &StagingId,
        length: u64,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<(), Error> {
        if length == 0 {
            self.default.unstage(id).await?;
        } else {
            let (_, state) = checkpoint.map_or(Ok((None, [].as_slice())), |it| it.read(id, length))?;
            drop(self.default.resume(id, length, state).await?);
        }
        Ok(())
    }

    /// Removes what was staged under an id. Idempotent.
    pub async fn unstage(&self, id: &StagingId) -> Result<Deletion, Error> {
        Ok(self.default.unstage(id).await?)
    }

    /// Everything staged, whoever began it.
    pub async fn leftovers(&self, limit: usize) -> Result<Vec<storage::Leftover>, Error> {
        Ok(self.default.leftovers(limit).await?)
    }

    /// Opens a stored object or the given bytes of it. An object that is gone is [`Error::Missing`]: the
    /// log says it exists, so this is damage and never "not found".
    pub async fn open(&self, location: &Location, range: Option<ByteRange>) -> Result<Object, Error> {
        let backend = self.backend(&location.backend)?;
        let key = parse_key(location)?;
        let object = match backend.get(&key, range).await {
            Err(storage::Error::NotFound { .. }) => return Err(missing(location)),
            // The caller's range is within the recorded size, so the object is shorter than it was.
            Err(storage::Error::Range { size, .. }) if size != location.size => {
                return Err(wrong_size(location, size));
            }
            found => found?,
        };
        if object.size != location.size {
            return Err(wrong_size(location, object.size));
        }
        Ok(object)
    }

    /// Whether a stored object exists with its recorded size.
    pub async fn is_there(&self, location: &Location) -> Result<bool, Error> {
        match self.backend(&location.backend)?.head(&parse_key(location)?).await {
            Ok(found) => Ok(found.size == location.size),
            Err(storage::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The same, and that its first byte can be read: of one too large to be read just to know.
    pub async fn is_readable(&self, location: &Location) -> Result<bool, Error> {
        let first = (location.size > 0).then_some(ByteRange { start: 0, end: 1 });
        match self.open(location, first).await {
            Ok(mut object) => Ok(object.body.next().await.transpose()?.is_some() || first.is_none()),
            Err(Error::Missing { .. } | Error::Size { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Objects of the backend that new ones go to, after the key given, at most `limit`. With its aliases: it is one
    /// storage, whatever name an event has for it.
    pub async fn list(&self, after: Option<&Key>, limit: usize) -> Result<Page, Error> {
        Ok(self.default.list("", after, limit).await?)
    }

    /// Objects of that backend whose keys say that they are copies of some content, at most `limit`. A copy that was
    /// received in parts may have another key.
    pub async fn copies(&self, content: &Digest, limit: usize) -> Result<Vec<Metadata>, Error> {
        Ok(self.default.list(&ingest::prefix(content), None, limit).await?.objects)
    }

    /// Removes an object that no event names or whose deletion was recorded. Idempotent.
    ///
    /// By its key after by its version: a copied registry knows the versions of the original, and nothing else is ever
    /// stored under the key.
    pub async fn delete(&self, location: &Location) -> Result<Deletion, Error> {
        let (backend, key) = (self.backend(&location.backend)?, parse_key(location)?);
        let named = match &location.version {
            Some(version) => backend.delete(&key, Some(version)).await?,
            None => Deletion::Missing,
        };
        match backend.delete(&key, None).await? {
            Deletion::Missing => Ok(named),
            Deletion::Deleted => Ok(Deletion::Deleted),
        }
    }

    /// A URL under which anyone can GET the object for `ttl` at most, if its backend gives out such. Says nothing
    /// about whether the object is there.
    pub async fn url(&self, location: &Location, ttl: Duration) -> Result<Option<String>, Error> {
        let key = parse_key(location)?;
        Ok(self.backend(&location.backend)?.presign(&key, ttl).await?)
    }

    /// The same where the backend gives out URLs that work for `ttl` and no shorter.
    pub async fn url_for(&self, location: &Location, ttl: Duration) -> Result<Option<String>, Error> {
        match self.backend(&location.backend)?.longest_url() {
            Some(longest) if ttl <= longest => self.url(location, ttl).await,
            _ => Ok(None),
        }
    }

    /// The URI of an object, as receipts show it (CAS-12).
    pub fn uri(&self, location: &Location) -> Result<String, Error> {
        Ok(self.backend(&location.backend)?.uri(&parse_key(location)?))
    }

    /// Tries what every backend can do, by its own id. Writes objects of its own and removes them again.
    pub async fn probe(&self) -> Result<Vec<(String, Vec<Capability>)>, storage::Error> {
        let mut all = Vec::new();
        for (id, backend) in self.backends.iter().filter(|(id, backend)| backend.id().as_str() == id.as_str())
        {
            all.push((id.clone(), backend.probe().await?));
        }
        Ok(all)
    }

    /// Whether every backend works now, by its own id.
    pub async fn health(&self) -> Vec<(String, Health)> {
        let mut all = Vec::new();
        for (id, backend) in self.backends.iter().filter(|(id, backend)| backend.id().as_str() == id.as_str())
        {
            all.push((id.clone(), backend.health().await));
        }
        all
    }
}

fn parse_key(location: &Location) -> Result<Key, Error> {
    location.key.parse().map_err(|_| missing(location))
}

fn missing(location: &Location) -> Error {
    Error::Missing { backend: location.backend.clone(), key: location.key.clone() }
}

fn wrong_size(location: &Location, actual: u64) -> Error {
    Error::Size { key: location.key.clone(), expected: location.size, actual }
}

//! The registry for callers without a runtime (CAS-1).
//!
//! A [`Store`] has a small runtime of its own and waits on it. It must not be used on a thread that a runtime runs
//! on, where waiting would hold up everybody else: every call there answers [`Error::InRuntime`] and does nothing.
//! Async callers have [`registry::Store`].
//!
//! ```
//! use std::io::Read as _;
//!
//! let directory = tempfile::tempdir()?;
//! let store = artifactstore::blocking::Store::open(directory.path().join("data"))?;
//! let digest = store.put(&b"hello"[..])?;
//! assert_eq!(store.stat(&digest)?.size, 5);
//! let mut text = String::new();
//! store.get(&digest)?.read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything else the registry does goes through [`wait`](Store::wait):
//!
//! ```
//! use artifactstore::registry::Actor;
//!
//! let directory = tempfile::tempdir()?;
//! let store = artifactstore::blocking::Store::open(directory.path())?;
//! let registry = store.registry();
//! let digest = store.put(&b"hello"[..])?;
//! store.wait(registry.delete_blob(&"local".parse()?, Actor::system(), &digest))??;
//! assert!(store.stat(&digest).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;

use crate::cli;
use crate::oci::{Digest, RepositoryName};
use crate::registry::{self, Actor, Body, ClientError, Registry, Stat, Verified};

/// Bytes read from a source at once.
const PIECE: usize = 256 * 1024;

/// Pieces that wait to be stored; a slow disk slows the source.
const PIECES: usize = 2;

/// How long work that nobody waits for may go on when the store is dropped.
const PATIENCE: Duration = Duration::from_secs(5);

/// Content by its digest. Dropping it closes what was opened; readers that are still in use keep it open.
#[derive(Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

/// The bytes of some content. The read that finds them damaged fails, at the latest the one that finds their end: what
/// was read must not be used before that.
pub struct Reader {
    inner: Arc<Inner>,
    body: Verified,
    piece: Bytes,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was made on a thread of a runtime.
    #[error("the blocking store was called on a thread of an async runtime; use registry::Store there")]
    InRuntime,
    /// The runtime cannot be started.
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
    /// The store cannot be opened; one sentence says why.
    #[error("{0}")]
    Open(String),
    /// The source of a put failed. Nothing was stored.
    #[error("cannot read what is to be stored")]
    Source(#[source] io::Error),
    /// The registry said no.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

#[derive(Debug)]
struct Inner {
    /// `None` only while it is dropped.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    runtime: Runtime,
    store: registry::Store,
    /// What this store opened itself, with its locks.
    parts: Option<cli::Parts>,
}

impl Store {
    /// Opens the store in a data directory, with `SQLite` and a folder for the bytes, and makes it if there is none.
    /// The same directory serves the commands: `artifactstore push --data DIRECTORY`. One process at a time.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, Error> {
        let runtime = runtime()?;
        let (registry, parts) =
            runtime.block_on(cli::open_directory(directory.as_ref())).map_err(Error::Open)?;
        Ok(Self::of(Open { runtime, store: registry::Store::local(registry), parts: Some(parts) }))
    }

    /// A store over any registry, which `opening` opens on the store's own runtime; what is put goes to `repository`
    /// in the name of `actor`. What `opening` locks or closes stays its caller's.
    pub fn over<E: std::error::Error>(
        opening: impl Future<Output = Result<Registry, E>>,
        repository: RepositoryName,
        actor: Actor,
    ) -> Result<Self, Error> {
        let runtime = runtime()?;
        let registry = runtime.block_on(opening).map_err(|error| Error::Open(error.to_string()))?;
        let store = registry::Store::new(registry, repository, actor);
        Ok(Self::of(Open { runtime, store, parts: None }))
    }

    fn of(open: Open) -> Self {
        Self { inner: Arc::new(Inner { open: Some(open) }) }
    }

    /// The registry it stands on, for [`wait`](Self::wait).
    pub fn registry(&self) -> &Registry {
        self.inner.open().store.registry()
    }

    /// Waits for any other use case of the registry.
    pub fn wait<F: Future>(&self, work: F) -> Result<F::Output, Error> {
        outside()?;
        Ok(self.inner.open().runtime.block_on(work))
    }

    /// Stores everything `source` gives, and tells its content address; see [`registry::Store::put`].
    pub fn put(&self, mut source: impl Read) -> Result<Digest, Error> {
        outside()?;
        let Open { runtime, store, .. } = self.inner.open();
        let (pieces, received) = mpsc::channel(PIECES);
        let next = |mut received: mpsc::Receiver<_>| async move { Some((received.recv().await?, received)) };
        let body: Body = Box::pin(stream::unfold(received, next));
        let store = store.clone();
        let put = runtime.spawn(async move { store.put(body).await });
        let mut buffer = vec![0; PIECE];
        let mut failure = None;
        loop {
            let piece = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => Ok(Bytes::copy_from_slice(&buffer[..read])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(ClientError(failure.insert(error).to_string())),
            };
            // Nobody takes any more when the put has failed: its own answer says why.
            if pieces.blocking_send(piece).is_err() || failure.is_some() {
                break;
            }
        }
        drop(pieces);
        let stored = runtime.block_on(put).unwrap_or(Err(registry::Error::Stopping));
        match (stored, failure) {
            (Ok(digest), None) => Ok(digest),
            (_, Some(failure)) => Err(Error::Source(failure)),
            (Err(error), None) => Err(error.into()),
        }
    }

    /// The bytes with this digest; see [`registry::Store::get`].
    pub fn get(&self, digest: &Digest) -> Result<Reader, Error> {
        let body = self.wait(self.inner.open().store.get(digest))??;
        Ok(Reader { inner: Arc::clone(&self.inner), body, piece: Bytes::new() })
    }

    /// What is known of the content with this digest; see [`registry::Store::stat`].
    pub fn stat(&self, digest: &Digest) -> Result<Stat, Error> {
        Ok(self.wait(self.inner.open().store.stat(digest))??)
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            outside().map_err(io::Error::other)?;
            match self.inner.open().runtime.block_on(self.body.next()) {
                Some(piece) => self.piece = piece.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let piece = self.piece.split_to(buffer.len().min(self.piece.len()));
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Inner {
    fn open(&self) -> &Open {
        self.open.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(Open { runtime, store, parts }) = self.open.take() else { return };
        drop(store);
        if Handle::try_current().is_ok() {
            // Nobody may wait here. What was acknowledged is durable all the same.
            return runtime.shutdown_background();
        }
        if let Some(parts) = &parts {
            runtime.block_on(parts.close());
        }
        // The locks go last.
        runtime.shutdown_timeout(PATIENCE);
    }
}

fn runtime() -> Result<Runtime, Error> {
    outside()?;
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).thread_name("artifactstore").enable_all();
    builder.build().map_err(Error::Runtime)
}

/// Whether this thread may wait.
fn outside() -> Result<(), Error> {
    match Handle::try_current() {
        Ok(_) => Err(Error::InRuntime),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;

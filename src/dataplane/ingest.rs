//! Ingest: from a client's stream to a durable object in one pass.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::checkpoint::Checkpoint;
use super::digester::{Digester, Digests};
use super::pieces::Pieces;
use super::{Body, ClientError, Error, Location};
use crate::hash::Hasher;
use crate::oci::{Algorithm, Digest};
use crate::storage::{self, Backend, Key, Staged, StagingId};

/// An object being received. Dropping it keeps what [`progress`](Self::progress) tells; see
/// [`DataPlane::resume`](super::DataPlane::resume).
#[derive(Debug)]
pub struct Ingest {
    backend: Arc<dyn Backend>,
    id: StagingId,
    digester: Digester,
    held: Held,
    length: u64,
    staged: Staging,
}

/// How many bytes of an object survive this process with the checkpoint there is, readable while more is being
/// received.
#[derive(Clone, Debug, Default)]
pub struct Staging(Arc<AtomicU64>);

impl Staging {
    /// Bytes staged so far.
    pub fn staged(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Where the bytes received so far are.
enum Held {
    /// A small object is kept in memory until it is clear that it stays small.
    Memory(Vec<Bytes>),
    Staged(Box<dyn Staged>),
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory(_) => "Memory",
            Self::Staged(_) => "Staged",
        })
    }
}

/// How an append ended. In every case what arrived is part of the object.
#[derive(Debug)]
pub struct Received {
    /// Bytes the object has now.
    pub length: u64,
    /// Why the body ended before its end, if it did.
    pub broken: Option<ClientError>,
}

/// What is left of an object that was put aside.
#[derive(Debug)]
pub struct Suspended {
    /// What any process needs to go on with it, if it needs anything.
    pub checkpoint: Option<Checkpoint>,
    /// The hash state at its length, where keeping it saves this process reading the bytes again.
    pub digester: Option<Digester>,
}

/// A complete object with known digests that is not yet durable.
#[derive(Debug)]
pub struct Sealed {
    backend: Arc<dyn Backend>,
    id: StagingId,
    held: Held,
    /// Its digests, among them the one that was claimed.
    pub digests: Digests,
    /// Bytes.
    pub size: u64,
    is_object: bool,
}

/// A durable object (DP-2).
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its digests.
    pub digests: Digests,
    /// Where it is.
    pub location: Location,
}

impl Ingest {
    pub(super) fn new(backend: Arc<dyn Backend>, id: StagingId, digester: Digester) -> Self {
        let staged = Staging::default();
        Self { backend, id, digester, held: Held::Memory(Vec::new()), length: 0, staged }
    }

    pub(super) async fn resume(
        backend: Arc<dyn Backend>,
        id: StagingId,
        received: u64,
        checkpoint: Option<&Checkpoint>,
        digester: Option<Digester>,
        extra: Option<Algorithm>,
    ) -> Result<Self, Error> {
        if received == 0 {
            let rereads = backend.rereads_staged();
            let digester = if rereads { Digester::new(extra) } else { Digester::resumable(extra) };
            return Ok(Self::new(backend, id, digester));
        }
        let (written, state) = checkpoint.map_or(Ok((None, [].as_slice())), |it| it.read(&id, received))?;
        let digester = digester.or(written);
        if digester.is_none() && !backend.rereads_staged() {
            return Err(Error::NotResumable("its hash state was not kept"));
        }
        let mut staged = backend.resume(&id, received, state).await?;
        let digester = if let Some(digester) = digester {
            digester
        } else {
            let mut digester = Digester::new(extra);
            let mut body = staged.read().await?;
            while let Some(bytes) = body.next().await {
                digester.update(&[bytes?]).await;
            }
            digester
        };
        let progress = Staging(Arc::new(AtomicU64::new(received)));
        Ok(Self { backend, id, digester, held: Held::Staged(staged), length: received, staged: progress })
    }

    /// Bytes received so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Follows how much is staged while [`append`](Self::append) runs.
    pub fn progress(&self) -> Staging {
        self.staged.clone()
    }

    /// Receives up to `limit` bytes more. While one piece is hashed and written the next is received; a
    /// slow disk slows the client.
    ///
    /// A body that breaks off is not an error here: what arrived counts. A body over the limit is
    /// [`Error::TooLarge`]; the object is then of no use.
    pub async fn append(&mut self, body: &mut Body, limit: u64) -> Result<Received, Error> {
        let start = self.length;
        let mut pieces = Pieces::of(body);
        let mut piece = pieces.next().await;
        loop {
            if self.length - start + piece.bytes.len() as u64 > limit {
                return Err(Error::TooLarge { limit });
            }
            if piece.end.is_some() {
                self.take(piece.bytes, true).await?;
                let broken = piece.end.and_then(Result::err);
                return Ok(Received { length: self.length, broken });
            }
            // A failing disk ends the request at once, however slow the client is.
            let next = async { Ok(pieces.next().await) };
            (piece, ()) = tokio::try_join!(next, self.take(piece.bytes, false))?;
        }
    }

    /// Hashes and stages one piece. The last piece of a small object stays in memory.
    async fn take(&mut self, bytes: Bytes, is_last: bool) -> Result<(), Error> {
        let len = bytes.len() as u64;
        if len == 0 {
            return Ok(());
        }
        if is_last && let Held::Memory(held) = &mut self.held {
            self.digester.update(slice::from_ref(&bytes)).await;
            held.push(bytes);
        } else {
            self.stage().await?;
            let Held::Staged(staged) = &mut self.held else { unreachable!("it was staged a moment ago") };
            let ((), written) = tokio::join!(
                self.digester.update(slice::from_ref(&bytes)),
                staged.append(vec![bytes.clone()])
            );
            written?;
            self.note_kept();
        }
        self.length += len;
        Ok(())
    }

    /// Moves what is in memory to staging, where it survives this process.
    async fn stage(&mut self) -> Result<(), Error> {
        let Held::Memory(held) = &mut self.held else {
            return Ok(());
        };
        let staged = match self.backend.stage(&self.id).await {
            // Bytes of a session that were never acknowledged: its row says zero.
            Err(storage::Error::Exists { .. }) => {
                self.backend.unstage(&self.id).await?;
                self.backend.stage(&self.id).await?
            }
            staged => staged?,
        };
        let kept = std::mem::take(held);
        self.held = Held::Staged(staged);
        if let Held::Staged(staged) = &mut self.held
            && !kept.is_empty()
        {
            staged.append(kept).await?;
            self.note_kept();
        }
        Ok(())
    }

    /// What cannot be read back counts only once its hash state was written down.
    fn note_kept(&self) {
        if let Held::Staged(staged) = &self.held
            && self.backend.rereads_staged()
        {
            self.staged.0.store(staged.kept(), Ordering::Release);
        }
    }

    /// Puts the object aside for a later request, in this process or another.
    pub async fn suspend(mut self) -> Result<Suspended, Error> {
        let rereads = self.backend.rereads_staged();
        if self.length == 0 {
            return Ok(Suspended { checkpoint: None, digester: None });
        }
        self.stage().await?;
        let Held::Staged(staged) = self.held else { unreachable!("it was staged a moment ago") };
        let state = staged.suspend().await?;
        let checkpoint = if rereads && state.is_empty() {
            None
        } else {
            Some(Checkpoint::new(&self.id, self.length, &self.digester, &state)?)
        };
        Ok(Suspended { checkpoint, digester: rereads.then_some(self.digester) })
    }

    /// Ends receiving when nobody said what the content is.
    pub fn seal_unclaimed(self) -> Sealed {
        Sealed {
            backend: self.backend,
            id: self.id,
            held: self.held,
            digests: self.digester.finish(),
            size: self.length,
            is_object: false,
        }
    }

    /// Ends receiving: computes the digests and compares the claimed one. On a mismatch the bytes are gone; when the
    /// storage is not available for the moment they are as [`resume`](super::DataPlane::resume) found them.
    pub async fn seal(self, claimed: &Digest) -> Result<Sealed, Error> {
        let mut sealed = self.seal_unclaimed();
        let algorithm = claimed.algorithm();
        if sealed.digests.get(algorithm).is_none() {
            // Asked for only now: one more read instead of hashing every upload with every algorithm.
            match sealed.rehash(algorithm).await {
                Ok(digest) => sealed.digests.add(digest),
                Err(error) => {
                    if sealed.is_object || !error.is_unavailable() {
                        sealed.give_up().await;
                    }
                    return Err(error);
                }
            }
        }
        let actual = sealed.digests.get(algorithm).expect("it was just computed").clone();
        if actual == *claimed {
            return Ok(sealed);
        }
        sealed.give_up().await;
        Err(Error::DigestMismatch { claimed: claimed.clone(), actual })
    }

    /// Ends receiving and removes the bytes.
    pub async fn discard(self) -> Result<(), Error> {
        remove(&*self.backend, &self.id, self.held).await
    }
}

impl Sealed {
    /// Whether the bytes are an object already, because they had to be read back from storage that keeps no
    /// unfinished write readable. It may be the object of another request that finished the same upload.
    pub fn is_object(&self) -> bool {
        self.is_object
    }

    /// Makes the object durable under a key of its own. On an error its bytes are gone, except when the storage is
    /// not available for the moment: then an upload may be resumed and closed again.
    pub async fn publish(self) -> Result<Stored, Error> {
        let key = key(&prefix(self.digests.content()));
        self.publish_under(key).await
    }

    /// The same of an object that is no blob: `<kind>/<hex>.<incarnation>`, which nobody takes for a copy of some
    /// content.
    pub async fn publish_as(self, kind: &str) -> Result<Stored, Error> {
        let key = key(&format!("{kind}/{}.", self.digests.content().hex()));
        self.publish_under(key).await
    }

    async fn publish_under(self, key: Key) -> Result<Stored, Error> {
        let published = match self.held {
            Held::Memory(held) => self.backend.put(&key, concat(held)).await,
            Held::Staged(staged) => staged.publish(&key).await,
        };
        let receipt = match published {
            Ok(receipt) => receipt,
            Err(error) => {
                // The answer may be what got lost, and no event will ever name this key.
                forget(&key, self.backend.delete(&key, None).await);
                let error = Error::from(error);
                if !error.is_unavailable() {
                    forget(&self.id, self.backend.unstage(&self.id).await);
                }
                return Err(error);
            }
        };
        if receipt.size != self.size {
            if receipt.key == key {
                forget(&key, self.backend.delete(&key, receipt.version.as_deref()).await);
            }
            // One of the backend's own making may be what another request made of the same upload.
            let (key, expected, actual) = (receipt.key.to_string(), self.size, receipt.size);
            return Err(Error::Size { key, expected, actual });
        }
        let location = Location {
            backend: receipt.backend.to_string(),
            key: receipt.key.to_string(),
            size: receipt.size,
            version: receipt.version,
        };
        Ok(Stored { digests: self.digests, location })
    }

    /// Removes the bytes.
    pub async fn discard(self) -> Result<(), Error> {
        remove(&*self.backend, &self.id, self.held).await
    }

    /// Removes the bytes on the way to another error, which says more than one of this.
    async fn give_up(self) {
        let id = self.id.clone();
        forget(&id, self.discard().await);
    }

    async fn rehash(&mut self, algorithm: Algorithm) -> Result<Digest, Error> {
        let mut hasher = Hasher::new(algorithm);
        match &mut self.held {
            Held::Memory(held) => held.iter().for_each(|bytes| hasher.update(bytes)),
            Held::Staged(staged) => {
                let mut body = staged.read().await?;
                self.is_object = !self.backend.rereads_staged();
                let mut read = 0;
                while let Some(bytes) = body.next().await {
                    let bytes = bytes?;
                    read += bytes.len() as u64;
                    let task = tokio::task::spawn_blocking(move || {
                        hasher.update(&bytes);
                        hasher
                    });
                    hasher = task.await.expect("hashing does not panic");
                }
                if read != self.size {
                    // Its digest would be taken for the client's mistake.
                    let key = format!("staging/{}", self.id);
                    return Err(Error::Size { key, expected: self.size, actual: read });
                }
            }
        }
        Ok(hasher.finish())
    }
}

/// Removes a staged write by its name: one whose answer got lost has no handle. Where reading it back made it an
/// object, only the handle knows that one.
async fn remove(backend: &dyn Backend, id: &StagingId, held: Held) -> Result<(), Error> {
    let discarded = match held {
        Held::Staged(staged) if !backend.rereads_staged() => staged.discard().await,
        held => {
            drop(held);
            Ok(())
        }
    };
    backend.unstage(id).await?;
    Ok(discarded?)
}

/// What cannot be removed now is found by a sweep.
fn forget<T, E: std::error::Error + 'static>(what: &impl std::fmt::Display, removed: Result<T, E>) {
    if let Err(error) = removed {
        tracing::warn!(%what, error = &error as &dyn std::error::Error, "Left bytes behind for the next sweep");
    }
}

/// `blake3/ab/cd/<hex>.<incarnation>`. The incarnation is new for every stored copy and never reused, so a
/// late delete of one copy can never hit another of the same content.
fn key(prefix: &str) -> Key {
    let incarnation = ulid::Ulid::generate().to_string().to_lowercase();
    format!("{prefix}{incarnation}").parse().expect("hex and ULIDs make keys")
}

/// What the keys of all copies of some content begin with.
pub(super) fn prefix(content: &Digest) -> String {
    let hex = content.hex();
    format!("{}/{}/{}/{hex}.", content.algorithm(), &hex[..2], &hex[2..4])
}

fn concat(mut buffers: Vec<Bytes>) -> Bytes {
    match buffers.len() {
        1 => buffers.remove(0),
        _ => buffers.concat().into(),
    }
}

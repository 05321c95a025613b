//! Storage backends: dumb keyed objects.
//!
//! A [`Backend`] stores bytes under keys. It knows nothing of digests, repositories or events; every
//! rule of content addressing lives in the data plane above. What it promises is small and strict:
//!
//! - **Durable when acknowledged.** When `put` or [`Staged::publish`] returns `Ok`, the bytes and the
//!   name survive a power cut.
//! - **Written once.** Callers make keys unique (one incarnation per stored copy), so a late delete never hits
//!   new bytes. A backend that can tell answers a second write under a key with [`Error::Exists`].
//! - **Errors are not absence.** [`Error::NotFound`] means the backend looked and there is nothing; a
//!   failing disk or network is [`Error::Io`].
//! - **Bounded memory.** Bodies are streams; no call collects an object.
//!
//! Every implementation passes the contract suite in [`testing`], bare and through the fault wrapper.

mod error;
mod key;
pub mod local;
pub mod memory;
mod options;
mod owner;
pub mod s3;
pub mod testing;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

pub use self::error::Error;
pub use self::key::{BackendId, Key, KeyError, StagingId};
pub use self::local::Local;
pub use self::memory::Memory;
pub use self::options::{BACKEND, Engine, Options};
pub use self::owner::{Owner, PlaceId};
pub use self::s3::S3;

/// A body in motion. Frames are at most [`MAX_FRAME`] bytes and never empty.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// The largest frame a backend yields when it reads.
pub const MAX_FRAME: usize = 256 * 1024;

/// The largest state a suspended staged write needs.
pub const MAX_STATE: usize = 1024 * 1024;

/// Bytes `start..end` of an object; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// What is known about a stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Where it is.
    pub key: Key,
    /// Its length in bytes.
    pub size: u64,
}

/// Proof of a durable write (CAS-5, CAS-12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The backend that holds the bytes.
    pub backend: BackendId,
    /// Under which key.
    pub key: Key,
    /// How many bytes.
    pub size: u64,
    /// `file://{absolute path}`, `s3://{bucket}/{key}`, `memory:{key}`, …
    pub uri: String,
    /// Which version of the key this write made, where the backend keeps several (CAS-9). A delete names it.
    pub version: Option<String>,
}

/// An opened object: its full size and the bytes that were asked for.
pub struct Object {
    /// Size of the whole object, whatever range was asked for.
    pub size: u64,
    /// The bytes; ends with an error when fewer than promised could be read.
    pub body: ByteStream,
}

/// Outcome of a delete. Deleting what is not there is not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The object was there and is gone, durably.
    Deleted,
    /// There was nothing under the key.
    Missing,
}

/// One page of a listing, in key order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What was found.
    pub objects: Vec<Metadata>,
    /// Pass as `after` to continue; `None` at the end.
    pub next: Option<Key>,
}

/// A staged write that exists in the backend, finished or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its name.
    pub id: StagingId,
    /// Bytes received so far.
    pub size: u64,
    /// When it was last written, microseconds since the epoch.
    pub touched_at: i64,
}

/// What a backend says of itself (API-3, CAS-7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether it takes writes. `false` after a failed fsync until an operator looked (the volume is suspect).
    pub writable: bool,
    /// One sentence when something is wrong.
    pub problem: Option<String>,
    /// Bytes in total and available, where the backend knows.
    pub capacity: Option<Capacity>,
    /// What it could do when it was last probed; empty when it was not.
    pub capabilities: Vec<Capability>,
}

/// Something a backend can do, or cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// `put`, `range`, `multipart`, `versioning`, …
    pub name: &'static str,
    /// Whether it can.
    pub supported: bool,
    /// Whether the registry cannot do without.
    pub needed: bool,
    /// What it said when it could not, or what is worth knowing.
    pub detail: Option<String>,
}

/// Space on a volume, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Size of the volume.
    pub total: u64,
    /// What this process may still write.
    pub available: u64,
}

/// The service-provider interface. No default methods: an implementation answers every question itself.
///
/// A caller may stop waiting for any call. Whether the call was carried out is then unknown, as with a
/// lost response, and it may still be at work for a moment.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync {
    /// The name this backend has in receipts and views.
    fn id(&self) -> &BackendId;

    /// Stores a small object in one step. Durable on `Ok`; on error nothing is visible under `key`.
    async fn put(&self, key: &Key, body: Bytes) -> Result<Receipt, Error>;

    /// Stores an object of `size` bytes from a stream, under exactly this key. Durable on `Ok`; on error, also when
    /// the stream has another length, nothing is visible under `key`.
    async fn put_stream(&self, key: &Key, size: u64, body: ByteStream) -> Result<Receipt, Error>;

    /// Opens an object, or the given bytes of it.
    async fn get(&self, key: &Key, range: Option<ByteRange>) -> Result<Object, Error>;

    /// Size of an object without its bytes.
    async fn head(&self, key: &Key) -> Result<Metadata, Error>;

    /// Removes exactly this key, and of a backend that keeps versions the named one for good. Idempotent.
    async fn delete(&self, key: &Key, version: Option<&str>) -> Result<Deletion, Error>;

    /// Objects whose key starts with `prefix` (any string; `""` is everything), after `after`, at most `limit`
    /// (0 counts as 1, so that every page but the last gets on).
    ///
    /// Objects written or deleted while pages are read may or may not be there; all others are, once.
    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Page, Error>;

    /// Checks that the backend works now: writes, reads and removes a probe.
    async fn health(&self) -> Health;

    /// Tries what the backend can do, with objects of its own that it removes again.
    async fn probe(&self) -> Result<Vec<Capability>, Error>;

    /// The log whose objects the backend holds, and which place it is; `None` when it is new. [`Error::Foreign`] when
    /// it holds something else.
    async fn owner(&self) -> Result<Option<Owner>, Error>;

    /// Makes a new backend the given log's, durably, and gives it the id of a place of its own, as it does for one
    /// that a release without such ids had claimed. Returns that id, the same to everybody. Idempotent.
    /// [`Error::Foreign`] when it is another's.
    async fn claim(&self, log_id: &str) -> Result<PlaceId, Error>;

    /// The URI of a key, as receipts show it.
    fn uri(&self, key: &Key) -> String;

    /// A URL under which anyone can GET the object for `ttl`, without this process; `None` when the backend has
    /// no such thing or was not told to give them out.
    async fn presign(&self, key: &Key, ttl: Duration) -> Result<Option<String>, Error>;

    /// The longest such a URL works; `None` when the backend gives out none.
    fn longest_url(&self) -> Option<Duration> {
        None
    }

    /// Opens a new staged write. [`Error::Exists`] when the id is taken and the backend can tell.
    async fn stage(&self, id: &StagingId) -> Result<Box<dyn Staged>, Error>;

    /// Opens a staged write again, also after a restart and in another process that reaches the backend, cut back
    /// to `length` bytes: what was written beyond that was never acknowledged. `state` is what
    /// [`Staged::suspend`] returned at that length, or empty when there was no suspend since (see
    /// [`Staged::kept`]). [`Error::NotFound`], or [`Error::Short`] when bytes are missing.
    ///
    /// One caller has a staged write open at a time. An implementation may turn a second one away
    /// (`ResourceBusy`) and waits for work that a dropped [`Staged`] left running.
    async fn resume(&self, id: &StagingId, length: u64, state: &[u8]) -> Result<Box<dyn Staged>, Error>;

    /// Whether an unfinished staged write can be read back and then continued. Where it cannot, whoever writes
    /// keeps the state of its hashes itself.
    fn rereads_staged(&self) -> bool;

    /// Removes a staged write that nobody has open. Idempotent.
    async fn unstage(&self, id: &StagingId) -> Result<Deletion, Error>;

    /// Every staged write, in no order, at most `limit`.
    async fn leftovers(&self, limit: usize) -> Result<Vec<Leftover>, Error>;
}

/// A small object's bytes: at most `limit` of them, [`Error::Io`] when there are more.
async fn collect(mut body: ByteStream, limit: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.next().await {
        bytes.extend_from_slice(&frame?);
        if bytes.len() > limit {
            let reason = format!("more than {limit} bytes where a few were expected");
            return Err(Error::io("read a small object", std::io::Error::other(reason)));
        }
    }
    Ok(bytes)
}

/// [`Backend::put_stream`] for a backend whose staged writes are published under any key.
async fn put_staged(
    backend: &dyn Backend,
    key: &Key,
    size: u64,
    mut body: ByteStream,
) -> Result<Receipt, Error> {
    let id: StagingId = format!("put-{}", ulid::Ulid::generate()).parse().expect("ULIDs make staging ids");
    let mut staged = backend.stage(&id).await?;
    let filled = async {
        while let Some(frame) = body.next().await {
            staged.append(vec![frame?]).await?;
        }
        if staged.len() == size { Ok(()) } else { Err(Error::length(key, size, staged.len())) }
    };
    match filled.await {
        Ok(()) => staged.publish(key).await,
        Err(error) => {
            staged.discard().await?;
            Err(error)
        }
    }
}

/// One object being written in steps. Dropping it keeps the first [`kept`](Self::kept) bytes (see [`Backend::resume`]).
#[async_trait]
pub trait Staged: Send + Sync {
    /// Bytes appended so far.
    fn len(&self) -> u64;

    /// Whether nothing was appended yet.
    fn is_empty(&self) -> bool;

    /// How many bytes, from the start, are still there for [`Backend::resume`] with the state of the last
    /// suspend (or none) when this process ends now.
    fn kept(&self) -> u64;

    /// Appends the buffers in order. On error the staged write is broken and must be discarded or resumed.
    ///
    /// Durability is [`publish`](Self::publish)'s work; an implementation may start it in the background here.
    async fn append(&mut self, chunk: Vec<Bytes>) -> Result<(), Error>;

    /// Reads back what was appended so far, from the start. Where [`Backend::rereads_staged`] is false this
    /// ends appending: only [`publish`](Self::publish) and [`discard`](Self::discard) may follow.
    async fn read(&mut self) -> Result<ByteStream, Error>;

    /// Puts everything appended where any process that reaches the backend can go on with it. What it returns is
    /// for [`Backend::resume`] and opaque; at most [`MAX_STATE`] bytes.
    async fn suspend(self: Box<Self>) -> Result<Vec<u8>, Error>;

    /// Makes the object durable under `key`, or under a key of the backend's own making that the receipt tells,
    /// and ends the staged write. On error nothing is visible under `key`.
    ///
    /// [`Error::Exists`] keeps the staged write, as dropping it would; other errors may have ended it.
    async fn publish(self: Box<Self>, key: &Key) -> Result<Receipt, Error>;

    /// Ends the staged write and removes its bytes.
    async fn discard(self: Box<Self>) -> Result<(), Error>;
}

//! Objects as files under one folder, the backend that runs when nothing is configured.
//!
//! ```text
//! <root>/blake3/ab/cd/<hex>.<incarnation>     an object; the path below the root is its key
//! <root>/staging/<id>                         a staged write
//! ```
//!
//! **Durability.** A write goes to a file nobody can name by a key, is fsynced, gets its name in a step
//! that never replaces one, and then the folder is fsynced, and the parent of every folder that this
//! process has not yet seen durable. Only then is it acknowledged. Naming the file before its fsync was
//! measured and is no faster. A large staged write is written out in the background every 32 MiB, so
//! that the fsync at its end is short; pieces that are aligned for it do not go through the page cache at
//! all. That saves a copy into memory nobody asked for, and is no promise: fsync stays what makes it durable.
//!
//! **Failed fsync.** Linux marks pages clean when it could not write them, so a second fsync succeeds
//! although bytes are gone. A failed fsync therefore ends the write it was for, is never repeated on
//! that descriptor, and makes the volume *suspect*: it still serves reads, [`Backend::health`] says what
//! happened, and everything that writes or deletes objects answers [`Error::Suspect`]. The process forgets it
//! only by being restarted, which is for the operator who looked at the disk. A failed write
//! (no space, say) fails only the upload that made it.
//!
//! **Symlinks.** Every path is walked from the open root folder by folder and no symlink is followed at
//! any step, the last included: a link planted inside the root is an error, never a way out. The root
//! itself may be reached through links; it is resolved once.
//!
//! **Threads.** All file work runs on the blocking pool, one task per step: an append of many buffers,
//! a whole `put`, one frame of up to [`MAX_FRAME`](super::MAX_FRAME) bytes when streaming.
//!
//! One process writes to a root at a time; which folders are durable and which staged writes are open is
//! remembered in memory. Network file systems are not supported. Linux only (`O_TMPFILE`, `renameat2`).

mod claims;
mod files;
mod folders;
mod health;
mod list;
mod owner;
mod pool;
mod probe;
mod publish;
mod read;
mod staged;
mod sync;
#[cfg(test)]
mod tests;
mod volume;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::spawn_blocking;

pub use self::owner::{LOCK, owner_of};

use self::sync::Fsync;
use self::volume::Volume;
use super::{
    Backend, BackendId, ByteRange, ByteStream, Capability, Deletion, Error, Health, Key, Leftover, Metadata,
    Object, Owner, Page, PlaceId, Receipt, Staged, StagingId, put_staged,
};

/// The local file system as a [`Backend`]. Cheap to clone; clones share the folder.
#[derive(Clone, Debug)]
pub struct Local {
    volume: Arc<Volume>,
}

impl Local {
    /// Opens the folder `root` under the name `local`, durably creating it when it is missing.
    ///
    /// Clears health probes of killed processes, and nothing else: staged writes stay until somebody
    /// asks for [`Backend::leftovers`] and decides. Blocks: meant for start-up.
    pub fn open(root: &Path) -> Result<Self, Error> {
        Self::open_as("local".parse().expect("a literal id"), root)
    }

    /// The same under another name, for a second local volume.
    pub fn open_as(id: BackendId, root: &Path) -> Result<Self, Error> {
        Self::open_with(id, root, Fsync::real())
    }

    fn open_with(id: BackendId, root: &Path, sync: Fsync) -> Result<Self, Error> {
        Ok(Self { volume: Arc::new(Volume::open(id, root, sync)?) })
    }

    async fn on_volume<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Volume>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let volume = Arc::clone(&self.volume);
        blocking(move || work(&volume)).await
    }
}

#[async_trait]
impl Backend for Local {
    fn id(&self) -> &BackendId {
        self.volume.id()
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<Receipt, Error> {
        let key = key.clone();
        self.on_volume(move |volume| volume.put(&key, &body)).await
    }

    async fn put_stream(&self, key: &Key, size: u64, body: ByteStream) -> Result<Receipt, Error> {
        put_staged(self, key, size, body).await
    }

    async fn get(&self, key: &Key, range: Option<ByteRange>) -> Result<Object, Error> {
        let key = key.clone();
        self.on_volume(move |volume| volume.get(&key, range)).await
    }

    async fn head(&self, key: &Key) -> Result<Metadata, Error> {
        let key = key.clone();
        self.on_volume(move |volume| volume.head(&key)).await
    }

    async fn delete(&self, key: &Key, _: Option<&str>) -> Result<Deletion, Error> {
        let key = key.clone();
        self.on_volume(move |volume| volume.delete(&key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Page, Error> {
        let (prefix, after) = (prefix.to_owned(), after.cloned());
        self.on_volume(move |volume| volume.list(&prefix, after.as_ref(), limit)).await
    }

    async fn health(&self) -> Health {
        match self.on_volume(|volume| Ok(volume.health())).await {
            Ok(health) => health,
            Err(e) => Health {
                writable: false,
                problem: Some(e.to_string()),
                capacity: None,
                capabilities: Vec::new(),
            },
        }
    }

    async fn probe(&self) -> Result<Vec<Capability>, Error> {
        self.on_volume(|volume| Ok(volume.probe())).await
    }

    async fn owner(&self) -> Result<Option<Owner>, Error> {
        self.on_volume(|volume| owner::owner_of(volume.path())).await
    }

    async fn claim(&self, log_id: &str) -> Result<PlaceId, Error> {
        let log_id = log_id.to_owned();
        self.on_volume(move |volume| owner::claim(volume.path(), &log_id)).await
    }

    fn uri(&self, key: &Key) -> String {
        self.volume.uri(key)
    }

    async fn presign(&self, _: &Key, _: Duration) -> Result<Option<String>, Error> {
        Ok(None)
    }

    fn rereads_staged(&self) -> bool {
        true
    }

    async fn stage(&self, id: &StagingId) -> Result<Box<dyn Staged>, Error> {
        Ok(Box::new(staged::create(&self.volume, id).await?))
    }

    async fn resume(&self, id: &StagingId, length: u64, _: &[u8]) -> Result<Box<dyn Staged>, Error> {
        Ok(Box::new(staged::resume(&self.volume, id, length).await?))
    }

    async fn unstage(&self, id: &StagingId) -> Result<Deletion, Error> {
        staged::remove(&self.volume, id).await
    }

    async fn leftovers(&self, limit: usize) -> Result<Vec<Leftover>, Error> {
        self.on_volume(move |volume| volume.leftovers(limit)).await
    }
}

/// Runs one step of file work to its end on the blocking pool, also when the caller stops waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        // The runtime is shutting down and never ran it.
        Err(e) => Err(Error::io("run file work", std::io::Error::other(e))),
    }
}

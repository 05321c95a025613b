//! Objects written in steps: one file each in the staging folder.

use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::FileType;
use rustix::io::Errno;
use tokio::task::{JoinHandle, spawn_blocking};

use super::blocking;
use super::claims::Claim;
use super::files;
use super::read::Source;
use super::sync::Scope;
use super::volume::Volume;
use crate::storage::{ByteStream, Deletion, Error, Key, Receipt, Staged, StagingId};

/// Bytes appended before their write-back is started, so that the fsync at the end finds little to do.
pub(super) const WRITE_BACK: u64 = 32 * 1024 * 1024;

/// What offset, length and memory of a direct write are multiples of. No common device wants more.
const BLOCK: usize = 4096;

/// The most buffers one system call takes (`IOV_MAX`).
const MAX_SLICES: usize = 1024;

/// Starts a new staged write.
pub(super) async fn create(volume: &Arc<Volume>, id: &StagingId) -> Result<StagedFile, Error> {
    let claim = volume.claims.take(id).await.ok_or_else(|| Error::staged_already(id))?;
    open(volume, id, claim, 0, |volume, id| {
        volume.check_writable()?;
        files::create(&volume.staging()?, id.as_str()).map_err(|e| match e {
            Errno::EXIST => Error::staged_already(id),
            e => Error::io(format!("create staged write {id}"), e),
        })
    })
    .await
}

/// Opens a staged write again and cuts it to `length`.
pub(super) async fn resume(volume: &Arc<Volume>, id: &StagingId, length: u64) -> Result<StagedFile, Error> {
    let claim = volume.claims.take(id).await.ok_or_else(|| in_use("resume", id))?;
    open(volume, id, claim, length, move |volume, id| reopen(volume, id, length)).await
}

/// Removes a staged write.
pub(super) async fn remove(volume: &Arc<Volume>, id: &StagingId) -> Result<Deletion, Error> {
    let claim = volume.claims.take(id).await.ok_or_else(|| in_use("remove", id))?;
    let (volume, id) = (Arc::clone(volume), id.clone());
    blocking(move || {
        let _claim = claim;
        match files::unlink(&volume.staging()?, id.as_str()) {
            Ok(()) => Ok(Deletion::Deleted),
            Err(Errno::NOENT) => Ok(Deletion::Missing),
            Err(e) => Err(Error::io(format!("remove staged write {id}"), e)),
        }
    })
    .await
}

async fn open(
    volume: &Arc<Volume>,
    id: &StagingId,
    claim: Claim,
    len: u64,
    file: impl FnOnce(&Volume, &StagingId) -> Result<File, Error> + Send + 'static,
) -> Result<StagedFile, Error> {
    let (volume, id) = (Arc::clone(volume), id.clone());
    blocking(move || {
        let file = Arc::new(file(&volume, &id)?);
        let direct = files::open_direct(&volume.staging()?, id.as_str()).ok();
        let open = Arc::new(Open { volume, id, file, direct, claim });
        Ok(StagedFile::new(open, len))
    })
    .await
}

fn reopen(volume: &Volume, id: &StagingId, length: u64) -> Result<File, Error> {
    let failed = |e: io::Error| Error::io(format!("resume staged write {id}"), e);
    volume.check_writable()?;
    let staging = volume.staging()?;
    let file = match files::open_write(&staging, id.as_str()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Err(Error::not_staged(id)),
        Err(e) => return Err(failed(e.into())),
    };
    let stat = rustix::fs::fstat(&file).map_err(|e| failed(e.into()))?;
    if files::kind(&stat) != FileType::RegularFile {
        return Err(failed(files::not_a_file()));
    }
    if stat.st_nlink != 1 {
        // Published by link and unlink, and killed between the two: the bytes belong to an object now.
        files::unlink(&staging, id.as_str()).map_err(|e| failed(e.into()))?;
        return Err(Error::not_staged(id));
    }
    let actual = files::size(&stat);
    if actual < length {
        return Err(Error::Short { id: id.as_str().into(), expected: length, actual });
    }
    file.set_len(length).map_err(failed)?;
    Ok(file)
}

/// A staged write that is open. Shared with every blocking task that works on it, so that the claim ends
/// with the last of them.
struct Open {
    volume: Arc<Volume>,
    id: StagingId,
    file: Arc<File>,
    /// The same file past the page cache.
    direct: Option<File>,
    claim: Claim,
}

/// The local [`Staged`].
pub(super) struct StagedFile {
    open: Arc<Open>,
    len: u64,
    /// Set while an append runs and for good when one fails or its caller stops waiting.
    broken: bool,
    since_write_back: u64,
    write_back: Option<JoinHandle<Result<(), Error>>>,
}

impl StagedFile {
    fn new(open: Arc<Open>, len: u64) -> Self {
        open.claim.hold();
        Self { open, len, broken: false, since_write_back: 0, write_back: None }
    }

    fn check_usable(&self) -> Result<(), Error> {
        self.open.volume.check_writable()?;
        if self.broken {
            let broken = io::Error::other("an earlier append failed or was cut off");
            return Err(Error::io(format!("go on with staged write {}", self.open.id), broken));
        }
        Ok(())
    }

    /// Starts to write out what was appended, unless that is under way.
    fn start_write_back(&mut self) {
        if self.since_write_back < WRITE_BACK || self.write_back.is_some() {
            return;
        }
        self.since_write_back = 0;
        let open = Arc::clone(&self.open);
        self.write_back = Some(spawn_blocking(move || open.write_back()));
    }

    /// Waits for the write-back. Its error is seen here and nowhere else: the kernel reports a failed
    /// write-back once per descriptor, and the fsync at the end would say that all is well.
    async fn finish_write_back(&mut self) -> Result<(), Error> {
        let Some(task) = &mut self.write_back else { return Ok(()) };
        let result = task.await;
        self.write_back = None;
        result.unwrap_or_else(|e| Err(Error::io("write back a staged write", io::Error::other(e))))
    }
}

impl Open {
    /// Writes all buffers in order, starting at `offset`; past the page cache if they lie as that needs.
    ///
    /// An object is written once and read rarely, and must be on the disk before it is acknowledged: a copy
    /// in the page cache only delays that and displaces what is read often.
    fn write(&self, buffers: &[Bytes], offset: u64) -> io::Result<()> {
        if let (Some(direct), [buffer]) = (&self.direct, buffers)
            && is_aligned(buffer, offset)
        {
            match rustix::io::pwrite(direct, buffer, offset) {
                Ok(written) if written == buffer.len() => return Ok(()),
                // Cut short, or the device wants more than we align to: write it the usual way, which
                // takes the bytes or has a reason.
                Ok(_) | Err(Errno::INTR | Errno::INVAL) => {}
                Err(e) => return Err(e.into()),
            }
        }
        write_all_at(&self.file, buffers, offset)
    }

    fn write_back(&self) -> Result<(), Error> {
        let action = format!("write-back of staged write {}", self.id);
        self.volume.sync(Scope::Progress, &self.file, &action).inspect_err(|_| {
            // The owner may be gone already. Without its file nobody resumes a write with lost pages.
            if let Ok(staging) = self.volume.staging() {
                let _ = files::unlink(&staging, self.id.as_str());
            }
        })
    }
}

#[async_trait]
impl Staged for StagedFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    async fn append(&mut self, chunk: Vec<Bytes>) -> Result<(), Error> {
        self.check_usable()?;
        let size = chunk.iter().map(|buffer| buffer.len() as u64).sum::<u64>();
        if size == 0 {
            return Ok(());
        }
        self.broken = true;
        if self.write_back.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish_write_back().await?;
        }
        let (open, at) = (Arc::clone(&self.open), self.len);
        blocking(move || {
            open.write(&chunk, at).map_err(|e| Error::io(format!("append to staged write {}", open.id), e))
        })
        .await?;
        self.broken = false;
        self.len += size;
        self.since_write_back += size;
        self.start_write_back();
        Ok(())
    }

    async fn read(&mut self) -> Result<ByteStream, Error> {
        let source = Source {
            file: Arc::clone(&self.open.file),
            pool: Arc::clone(&self.open.volume.pool),
            action: format!("read staged write {}", self.open.id).into(),
        };
        Ok(source.stream(0..self.len, None))
    }

    fn kept(&self) -> u64 {
        self.len
    }

    async fn suspend(self: Box<Self>) -> Result<Vec<u8>, Error> {
        Ok(Vec::new()) // the file has everything
    }

    async fn publish(mut self: Box<Self>, key: &Key) -> Result<Receipt, Error> {
        self.finish_write_back().await?;
        self.check_usable()?;
        let (open, key, len) = (Arc::clone(&self.open), key.clone(), self.len);
        blocking(move || {
            open.volume.publish(&open.id, &open.file, &key)?;
            Ok(open.volume.receipt(&key, len))
        })
        .await
    }

    async fn discard(mut self: Box<Self>) -> Result<(), Error> {
        // The bytes go, so whether they could be written does not matter; the volume is suspect if not.
        let _ = self.finish_write_back().await;
        let open = Arc::clone(&self.open);
        blocking(move || match files::unlink(&open.volume.staging()?, open.id.as_str()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(Error::io(format!("discard staged write {}", open.id), e)),
        })
        .await
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        self.open.claim.release();
    }
}

/// Whether direct I/O can write `buffer` at `offset`.
fn is_aligned(buffer: &Bytes, offset: u64) -> bool {
    offset.is_multiple_of(BLOCK as u64)
        && buffer.len().is_multiple_of(BLOCK)
        && buffer.as_ptr().align_offset(BLOCK) == 0
}

/// Writes all buffers in order, starting at `offset`.
fn write_all_at(file: &File, buffers: &[Bytes], mut offset: u64) -> io::Result<()> {
    for group in buffers.chunks(MAX_SLICES) {
        let mut slices = group.iter().map(|buffer| IoSlice::new(buffer)).collect::<Vec<_>>();
        let mut left = slices.as_mut_slice();
        // Steps over empty buffers, so that nothing written means that nothing more can be.
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match rustix::io::pwritev(file, left, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut left, written);
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
    Ok(())
}

fn in_use(verb: &str, id: &StagingId) -> Error {
    Error::io(format!("{verb} staged write {id}"), io::Error::from(io::ErrorKind::ResourceBusy))
}

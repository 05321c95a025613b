//! The bytes of a part while it is gathered and sent: in memory while there is room, else in a file.
//!
//! Nobody waits for memory. If they did, a few slow clients with half a part each would stop all the others.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use aws_sdk_s3::primitives::{ByteStream as Body, Length};
use bytes::{Bytes, BytesMut};
use rustix::fs::{Mode, OFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::storage::Error;

/// What memory is counted in.
const UNIT: usize = 64 * 1024;

/// Where parts wait.
#[derive(Debug)]
pub(super) struct Spool {
    folder: Arc<PathBuf>,
    memory: Arc<Semaphore>,
}

/// A part, or the beginning of one.
#[derive(Debug)]
pub(super) struct Part {
    folder: Arc<PathBuf>,
    memory: Arc<Semaphore>,
    held: Held,
    len: u64,
}

#[derive(Debug)]
enum Held {
    Memory { bytes: BytesMut, permits: Option<OwnedSemaphorePermit> },
    File(Arc<File>),
}

/// A whole part that can be sent as often as needed.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) len: u64,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Memory { bytes: Bytes, _permits: Arc<Option<OwnedSemaphorePermit>> },
    File(Arc<File>),
}

impl Spool {
    pub(super) fn new(folder: PathBuf, memory: u64) -> Self {
        let units = usize::try_from(memory).unwrap_or(usize::MAX) / UNIT;
        let memory = Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS)));
        Self { folder: Arc::new(folder), memory }
    }

    pub(super) fn part(&self) -> Part {
        Part {
            folder: Arc::clone(&self.folder),
            memory: Arc::clone(&self.memory),
            held: Held::Memory { bytes: BytesMut::new(), permits: None },
            len: 0,
        }
    }
}

impl Part {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Adds bytes. On an error the part is of no use.
    pub(super) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.len += bytes.len() as u64;
        if let Held::Memory { bytes: held, permits } = &mut self.held {
            if room(held, permits, &self.memory, bytes.len()) {
                held.extend_from_slice(&bytes);
                return Ok(());
            }
            self.spill().await?;
        }
        let Held::File(file) = &self.held else { unreachable!("it was spilled a moment ago") };
        self.write(Arc::clone(file), bytes).await
    }

    /// Moves what is in memory to a file nobody else can name.
    async fn spill(&mut self) -> Result<(), Error> {
        let folder = Arc::clone(&self.folder);
        let opened = spawn_blocking(move || {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            rustix::fs::open(folder.as_path(), flags, Mode::RUSR | Mode::WUSR)
        });
        let opened = opened.await.map_err(std::io::Error::other);
        let file = opened.and_then(|opened| opened.map(File::from).map_err(std::io::Error::from));
        let file = Arc::new(file.map_err(|error| self.failed(error))?);
        let before = std::mem::replace(&mut self.held, Held::File(Arc::clone(&file)));
        if let Held::Memory { bytes, .. } = before {
            self.write(file, bytes.freeze()).await?;
        }
        Ok(())
    }

    async fn write(&self, file: Arc<File>, bytes: Bytes) -> Result<(), Error> {
        let written = spawn_blocking(move || (&*file).write_all(&bytes)).await;
        written.map_err(std::io::Error::other).and_then(|written| written).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::io(format!("keep part of an upload in {} (storage.s3.spool)", self.folder.display()), error)
    }

    /// Ends gathering.
    pub(super) fn ready(self) -> Ready {
        let content = match self.held {
            Held::Memory { bytes, permits } => {
                Content::Memory { bytes: bytes.freeze(), _permits: Arc::new(permits) }
            }
            Held::File(file) => Content::File(file),
        };
        Ready { len: self.len, content }
    }
}

/// Makes room for more bytes in memory, if there is any.
fn room(
    held: &mut BytesMut,
    permits: &mut Option<OwnedSemaphorePermit>,
    memory: &Arc<Semaphore>,
    more: usize,
) -> bool {
    let wanted = held.len() + more;
    if wanted <= held.capacity() && permits.is_some() {
        return true;
    }
    // By doubling: a small object takes little, a large part is copied few times.
    let capacity = wanted.next_power_of_two().max(UNIT);
    let has = permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let Ok(missing) = u32::try_from((capacity / UNIT).saturating_sub(has)) else { return false };
    let Ok(got) = Arc::clone(memory).try_acquire_many_owned(missing) else { return false };
    match permits {
        Some(permits) => permits.merge(got),
        None => *permits = Some(got),
    }
    held.reserve(capacity - held.len());
    true
}

impl Ready {
    /// A body that the SDK can send again.
    pub(super) async fn body(&self) -> Result<Body, Error> {
        match &self.content {
            Content::Memory { bytes, .. } => Ok(Body::from(bytes.clone())),
            Content::File(file) => {
                // Each attempt opens the file anew; it has no other name than this.
                let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                let body = Body::read_from().path(path).length(Length::Exact(self.len)).build().await;
                body.map_err(|error| {
                    Error::io("read back part of an upload (storage.s3.spool)", std::io::Error::other(error))
                })
            }
        }
    }
}

impl Ready {
    /// Its bytes after the first `from`, in memory.
    pub(super) async fn bytes_from(&self, from: u64) -> Result<Bytes, Error> {
        let from = usize::try_from(from).expect("parts fit the memory of the machine");
        match &self.content {
            Content::Memory { bytes, .. } => Ok(bytes.slice(from..)),
            Content::File(_) => {
                let all = self.body().await?.collect().await;
                let all = all.map_err(|error| {
                    Error::io("read back part of an upload (storage.s3.spool)", std::io::Error::other(error))
                })?;
                Ok(all.into_bytes().slice(from..))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(ready: &Ready) -> Vec<u8> {
        ready.body().await.unwrap().collect().await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn a_part_without_room_in_memory_waits_in_a_file() {
        let spool = Spool::new(std::env::temp_dir(), 4 * UNIT as u64);
        let bytes = Bytes::from(vec![7; 3 * UNIT]);
        let mut parts = [spool.part(), spool.part()];
        for part in &mut parts {
            for piece in bytes.chunks(1000) {
                part.push(bytes.slice_ref(piece)).await.unwrap();
            }
            assert_eq!(part.len(), bytes.len() as u64);
        }
        let [first, second] = parts.map(Part::ready);
        assert!(matches!(first.content, Content::Memory { .. }));
        assert!(matches!(second.content, Content::File(_)));
        for ready in [&first, &second] {
            assert_eq!(body(ready).await, bytes);
            assert_eq!(body(ready).await, bytes, "and again");
        }
        drop((first, second));
        assert_eq!(spool.memory.available_permits(), 4, "memory is given back");
    }

    #[tokio::test]
    async fn a_spool_that_is_not_there_is_named() {
        let spool = Spool::new("/nonexistent/spool".into(), 0);
        let error = spool.part().push(Bytes::from_static(b"x")).await.unwrap_err();
        assert!(error.to_string().contains("storage.s3.spool"), "{error}");
    }
}

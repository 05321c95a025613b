//! The bytes of a part while they wait and travel: in memory as long as there is room, else in a file.
//!
//! What a caller appends is copied into chunks of our own, so that its buffers are free again at once. All chunks
//! of all uploads share one budget and nobody ever waits for it: a part that finds it empty goes on in a file
//! without a name. So an upload whose client or part is slow never holds up another one. On the disk there are
//! never more than `parts_in_flight + 1` parts per open upload.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use rustix::fs::{Mode, OFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};

/// Memory is taken in steps of this size; also the largest frame on the wire.
pub(super) const CHUNK: usize = 256 * 1024;

/// Room for parts. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    chunks: Arc<Semaphore>,
    spool: PathBuf,
}

/// Bytes to send, as often as it takes. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pieces: Vec<Piece>,
    len: u64,
}

#[derive(Clone, Debug)]
enum Piece {
    Memory(Bytes),
    File { file: Arc<File>, len: u64 },
}

/// A part that still grows.
#[derive(Debug)]
pub(super) struct Filling {
    memory: Memory,
    part: Part,
    chunk: Option<Chunk>,
    file: Option<Arc<File>>,
    spooled: u64,
}

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Memory {
    /// Room for `bytes`, and files in `spool` beyond.
    pub(super) fn new(bytes: u64, spool: &Path) -> Self {
        let chunks = usize::try_from(bytes / CHUNK as u64).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { chunks: Arc::new(Semaphore::new(chunks)), spool: spool.to_owned() }
    }

    /// A part with nothing in it.
    pub(super) fn filling(&self) -> Filling {
        Filling { memory: self.clone(), part: Part::default(), chunk: None, file: None, spooled: 0 }
    }

    fn chunk(&self) -> Option<Chunk> {
        let room = Arc::clone(&self.chunks).try_acquire_owned().ok()?;
        Some(Chunk { bytes: Vec::with_capacity(CHUNK), _room: room })
    }
}

impl Filling {
    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.part.len + self.chunk.as_ref().map_or(0, |chunk| chunk.bytes.len() as u64) + self.spooled
    }

    /// Adds bytes. After an error the part is of no use.
    pub(super) async fn append(&mut self, mut bytes: Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.chunk.is_none() && self.file.is_none() {
                self.chunk = self.memory.chunk();
            }
            if let Some(chunk) = &mut self.chunk {
                let take = bytes.len().min(CHUNK - chunk.bytes.len());
                chunk.bytes.extend_from_slice(&bytes.split_to(take));
                if chunk.bytes.len() == CHUNK {
                    self.close_chunk();
                }
            } else {
                let (file, spool) = (self.file.clone(), self.memory.spool.clone());
                let (at, rest) = (self.spooled, std::mem::take(&mut bytes));
                self.spooled += rest.len() as u64;
                let written = spawn_blocking(move || {
                    let file = file.map_or_else(|| nameless(&spool).map(Arc::new), Ok)?;
                    file.write_all_at(&rest, at)?;
                    io::Result::Ok(file)
                });
                self.file = Some(written.await.map_err(io::Error::other)??);
            }
        }
        Ok(())
    }

    /// What was added so far; nothing is left here.
    pub(super) fn take(&mut self) -> Part {
        self.close_chunk();
        if let Some(file) = self.file.take() {
            let len = std::mem::take(&mut self.spooled);
            self.part.pieces.push(Piece::File { file, len });
            self.part.len += len;
        }
        std::mem::take(&mut self.part)
    }

    fn close_chunk(&mut self) {
        if let Some(chunk) = self.chunk.take() {
            self.part.push(Bytes::from_owner(chunk));
        }
    }
}

impl Part {
    /// A part of bytes that are in memory already.
    pub(super) fn of(bytes: Bytes) -> Self {
        let mut part = Self::default();
        part.push(bytes);
        part
    }

    /// Bytes in it.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    fn push(&mut self, mut bytes: Bytes) {
        self.len += bytes.len() as u64;
        while !bytes.is_empty() {
            self.pieces.push(Piece::Memory(bytes.split_to(bytes.len().min(CHUNK))));
        }
    }

    /// Puts what `next` holds behind this.
    pub(super) fn join(&mut self, next: Self) {
        self.len += next.len;
        self.pieces.extend(next.pieces);
    }

    /// A request body that can be sent again.
    pub(super) fn body(&self) -> SdkBody {
        let part = self.clone();
        SdkBody::retryable(move || SdkBody::from_body_1_x(part.frames()))
    }

    /// The bytes from the start.
    pub(super) fn frames(&self) -> Frames {
        Frames { pieces: self.pieces.iter().cloned().collect(), at: 0, left: self.len, reading: None }
    }
}

/// The bytes of a part in frames of at most [`CHUNK`] bytes: small, so that a slow line shows progress.
pub(super) struct Frames {
    pieces: VecDeque<Piece>,
    /// Position in the first piece, when that is a file.
    at: u64,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Frames {
    /// The next frame, or `None` at the end.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.reading.is_none() {
            match self.pieces.pop_front() {
                None => return Poll::Ready(None),
                Some(Piece::Memory(bytes)) => {
                    self.left -= bytes.len() as u64;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Piece::File { file, len }) => {
                    let at = self.at;
                    let size = usize::try_from(len - at).map_or(CHUNK, |left| left.min(CHUNK));
                    self.at += size as u64;
                    if self.at < len {
                        self.pieces.push_front(Piece::File { file: Arc::clone(&file), len });
                    } else {
                        self.at = 0;
                    }
                    self.reading = Some(spawn_blocking(move || {
                        let mut frame = vec![0; size];
                        file.read_exact_at(&mut frame, at)?;
                        Ok(frame.into())
                    }));
                }
            }
        }
        let reading = self.reading.as_mut().expect("it was just started");
        let frame = ready!(Pin::new(reading).poll(cx)).unwrap_or_else(|e| Err(io::Error::other(e)));
        self.reading = None;
        if let Ok(frame) = &frame {
            self.left -= frame.len() as u64;
        }
        Poll::Ready(Some(frame))
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.poll_next(cx).map(|frame| frame.map(|frame| frame.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A file that goes with this process.
fn nameless(folder: &Path) -> io::Result<File> {
    let mode = Mode::from_raw_mode(0o600);
    match rustix::fs::open(folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode) {
        Ok(file) => Ok(file.into()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
            let path = folder.join(format!(".artifactstore-part-{}", ulid::Ulid::generate()));
            let file = File::options().read(true).write(true).create_new(true).open(&path)?;
            std::fs::remove_file(&path)?;
            Ok(file)
        }
        Err(e) => Err(io::Error::new(
            io::Error::from(e).kind(),
            format!("cannot put a part aside in {}: {}", folder.display(), io::Error::from(e)),
        )),
    }
}

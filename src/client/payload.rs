//! Bodies of requests: made anew for every attempt, streamed, and watched.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::stream::try_unfold;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::{Error, Progress};

/// Bytes read from a file at a time.
const CHUNK: usize = 256 << 10;

/// What hyper sends.
pub(super) type Outgoing = UnsyncBoxBody<Bytes, io::Error>;

/// What a request carries.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    /// Bytes in memory; empty for none.
    Bytes(Bytes),
    /// A part of a file.
    File(FilePart),
}

/// A part of a file that must not change.
#[derive(Clone, Debug)]
pub(super) struct FilePart {
    pub(super) path: PathBuf,
    /// The whole file's size.
    pub(super) size: u64,
    /// Where the part begins; it ends with the file.
    pub(super) start: u64,
    pub(super) progress: Arc<Progress>,
}

impl Payload {
    pub(super) fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(part) => part.size - part.start,
        }
    }

    /// The body for one attempt. `moved` grows with everything that is taken from it.
    pub(super) async fn body(&self, moved: Arc<AtomicU64>) -> Result<Outgoing, Error> {
        match self {
            Self::Bytes(bytes) => Ok(Full::new(bytes.clone()).map_err(|never| match never {}).boxed_unsync()),
            Self::File(part) => part.body(moved).await,
        }
    }

    /// Whether the file is still as long as it was; true for bytes.
    pub(super) async fn check_unchanged(&self) -> Result<(), Error> {
        match self {
            Self::Bytes(_) => Ok(()),
            Self::File(part) => {
                let meta = tokio::fs::metadata(&part.path).await;
                let meta = meta.map_err(Error::file(&part.path, "read"))?;
                if meta.len() == part.size { Ok(()) } else { Err(Error::Changed { path: part.path.clone() }) }
            }
        }
    }

    /// The file it comes from.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Bytes(_) => None,
            Self::File(part) => Some(&part.path),
        }
    }
}

impl FilePart {
    async fn body(&self, moved: Arc<AtomicU64>) -> Result<Outgoing, Error> {
        let mut file = File::open(&self.path).await.map_err(Error::file(&self.path, "read"))?;
        let size = file.metadata().await.map_err(Error::file(&self.path, "read"))?.len();
        if size != self.size {
            return Err(Error::Changed { path: self.path.clone() });
        }
        file.seek(SeekFrom::Start(self.start)).await.map_err(Error::file(&self.path, "read"))?;
        let progress = Arc::clone(&self.progress);
        let frames = try_unfold((file, self.size - self.start), move |(mut file, left)| {
            let (moved, progress) = (Arc::clone(&moved), Arc::clone(&progress));
            async move {
                if left == 0 {
                    return Ok(None);
                }
                let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                let mut chunk = BytesMut::with_capacity(most);
                (&mut file).take(most as u64).read_buf(&mut chunk).await?;
                if chunk.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
                }
                let len = chunk.len() as u64;
                moved.fetch_add(len, Ordering::Relaxed);
                progress.add_bytes(len);
                Ok(Some((Frame::data(chunk.freeze()), (file, left - len))))
            }
        });
        Ok(StreamBody::new(frames).boxed_unsync())
    }
}

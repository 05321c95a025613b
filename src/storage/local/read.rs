//! Streaming files: frames out of a pool, one read ahead.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use rustix::fs::FileType;
use rustix::io::Errno;
use tokio::task::{JoinHandle, spawn_blocking};

use super::files;
use super::folders::Walk;
use super::pool::Pool;
use super::volume::Volume;
use crate::storage::{ByteRange, ByteStream, Error, Key, MAX_FRAME, Object};

/// A file to read frames from, and what to call it in an error.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) file: Arc<File>,
    pub(super) pool: Arc<Pool>,
    pub(super) action: Arc<str>,
}

impl Volume {
    /// Opens an object and reads its first frame; see [`Backend::get`](crate::storage::Backend::get).
    pub(super) fn get(&self, key: &Key, range: Option<ByteRange>) -> Result<Object, Error> {
        let action = format!("read {key}");
        let opened = match self.walk(key) {
            Ok(Walk::Arrived(folder)) => files::open_read(folder.file(), folder.name()),
            Ok(Walk::Missing(_)) => Err(Errno::NOENT),
            Err(e) => Err(e),
        };
        let file = match opened {
            Ok(file) => file,
            Err(Errno::NOENT) => return self.absent(&action, Err(Error::not_found(key))),
            Err(e) => return Err(Error::io(action, e)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|e| Error::io(&action, e))?;
        match files::kind(&stat) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(Error::not_found(key)),
            _ => return Err(Error::io(action, files::not_a_file())),
        }
        let size = files::size(&stat);
        let span = span(range, size)?;
        let source =
            Source { file: Arc::new(file), pool: Arc::clone(&self.pool), action: action.as_str().into() };
        let first = (!span.is_empty()).then(|| source.read_frame(&span)).transpose()?;
        Ok(Object { size, body: source.stream(span, first) })
    }
}

impl Source {
    /// The bytes of `span`, of which `first` has been read already.
    pub(super) fn stream(self, span: Range<u64>, first: Option<Bytes>) -> ByteStream {
        let ahead = first.map(Ahead::Read);
        Box::pin(stream::unfold(Reading { source: self, left: span, ahead }, Reading::next))
    }

    /// The first frame of `span`, whole or an error.
    fn read_frame(&self, span: &Range<u64>) -> Result<Bytes, Error> {
        let len = usize::try_from(span.end - span.start).map_or(MAX_FRAME, |len| len.min(MAX_FRAME));
        self.pool
            .frame(len, |buffer| self.file.read_exact_at(buffer, span.start))
            .map_err(|e| Error::io(self.action.as_ref(), e))
    }
}

struct Reading {
    source: Source,
    left: Range<u64>,
    ahead: Option<Ahead>,
}

enum Ahead {
    Read(Bytes),
    Started(JoinHandle<Result<Bytes, Error>>),
}

impl Reading {
    async fn next(mut self) -> Option<(Result<Bytes, Error>, Self)> {
        if self.left.is_empty() {
            return None;
        }
        let frame = match self.ahead.take() {
            Some(Ahead::Read(frame)) => Ok(frame),
            Some(Ahead::Started(task)) => join(&self.source, task).await,
            None => {
                let task = self.start();
                join(&self.source, task).await
            }
        };
        match &frame {
            Ok(frame) => {
                self.left.start += frame.len() as u64;
                if !self.left.is_empty() {
                    self.ahead = Some(Ahead::Started(self.start()));
                }
            }
            // Nothing follows an error.
            Err(_) => self.left.start = self.left.end,
        }
        Some((frame, self))
    }

    fn start(&self) -> JoinHandle<Result<Bytes, Error>> {
        let (source, span) = (self.source.clone(), self.left.clone());
        spawn_blocking(move || source.read_frame(&span))
    }
}

async fn join(source: &Source, task: JoinHandle<Result<Bytes, Error>>) -> Result<Bytes, Error> {
    task.await.unwrap_or_else(|e| Err(Error::io(source.action.as_ref(), io::Error::other(e))))
}

/// The bytes a `get` asks for, checked against the size of the object.
fn span(range: Option<ByteRange>, size: u64) -> Result<Range<u64>, Error> {
    match range {
        None => Ok(0..size),
        Some(ByteRange { start, end }) if start < end && end <= size => Ok(start..end),
        Some(ByteRange { start, end }) => Err(Error::Range { start, end, size }),
    }
}

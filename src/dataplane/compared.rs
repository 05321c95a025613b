//! A whole object that is compared with its content address on its way out: nobody gets all of it unless it is what
//! was stored.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::task::{JoinHandle, spawn_blocking};

use super::digester::INLINE;
use super::{DataPlane, Error, Location};
use crate::hash::Hasher;
use crate::oci::Digest;
use crate::storage::{ByteStream, MAX_FRAME};

/// An object being read. Its last frame is held back until all of it was compared.
///
/// A frame is hashed by another thread while it is being sent and the next one is being read: of the time a reader
/// waits only the last frame's hash is left.
pub struct Compared {
    body: ByteStream,
    /// Read and compared ahead.
    ahead: VecDeque<Bytes>,
    /// Here, unless it is at work.
    hasher: Option<Hasher>,
    task: Option<JoinHandle<Hasher>>,
    content: Digest,
    key: String,
    size: u64,
    read: u64,
    is_over: bool,
}

impl DataPlane {
    /// Opens a whole object to compare it on the way. One of at most [`MAX_FRAME`] bytes has been compared when this
    /// returns.
    ///
    /// [`Error::Missing`], [`Error::Size`] and [`Error::DigestMismatch`] are what is wrong with the object.
    pub async fn compared(&self, location: &Location, content: &Digest) -> Result<Compared, Error> {
        let object = self.open(location, None).await?;
        let mut compared = Compared {
            body: object.body,
            ahead: VecDeque::new(),
            hasher: Some(Hasher::new(content.algorithm())),
            task: None,
            content: content.clone(),
            key: location.key.clone(),
            size: location.size,
            read: 0,
            is_over: false,
        };
        if location.size <= MAX_FRAME as u64 {
            let mut ahead = VecDeque::new();
            while let Some(frame) = compared.step().await? {
                ahead.push_back(frame);
            }
            compared.ahead = ahead;
        }
        Ok(compared)
    }
}

impl Compared {
    /// The next bytes; `None` after the last ones. After an error what came before must not be used, and nothing
    /// follows.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self.ahead.pop_front() {
            Some(frame) => Ok(Some(frame)),
            None => self.step().await,
        }
    }

    async fn step(&mut self) -> Result<Option<Bytes>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let frame = match self.body.next().await {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                self.is_over = true;
                return Err(error.into());
            }
            None if self.read < self.size => {
                self.is_over = true;
                return Err(Error::Size { key: self.key.clone(), expected: self.size, actual: self.read });
            }
            None => return self.finish().await.map(|()| None),
        };
        self.read += frame.len() as u64;
        self.hash(frame.clone()).await;
        if self.read >= self.size {
            self.finish().await?;
        }
        Ok(Some(frame))
    }

    async fn hash(&mut self, frame: Bytes) {
        let mut hasher = self.hasher().await;
        if frame.len() <= INLINE {
            hasher.update(&frame);
            self.hasher = Some(hasher);
        } else {
            self.task = Some(spawn_blocking(move || {
                hasher.update(&frame);
                hasher
            }));
        }
    }

    /// The hasher, when it has done what it was given.
    async fn hasher(&mut self) -> Hasher {
        let Some(task) = &mut self.task else { return self.hasher.take().expect("it is not at work") };
        let hasher = task.await.expect("hashing does not panic");
        self.task = None;
        hasher
    }

    async fn finish(&mut self) -> Result<(), Error> {
        self.is_over = true;
        let actual = self.hasher().await.finish();
        if actual == self.content {
            return Ok(());
        }
        Err(Error::DigestMismatch { claimed: self.content.clone(), actual })
    }
}

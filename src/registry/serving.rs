//! Giving out stored bytes, and what follows when they are not what was stored.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;

use super::{Blob, ByteRange, ByteStream, Error, Object, Registry};
use crate::dataplane::{self, Compared, Location};
use crate::oci::Digest;
use crate::storage::{self, MAX_FRAME};

/// How long somebody is kept waiting for a finding, so that whoever asks next, often the same, is told of the damage.
/// A large object takes longer to be read again.
const PATIENCE: Duration = Duration::from_secs(10);

/// All bytes of a blob, compared with its content address on the way. What is wrong with them is put on record.
pub(super) struct Whole {
    registry: Registry,
    blob: Blob,
    compared: Compared,
}

impl Registry {
    /// Opens a blob's bytes, or a range of them.
    ///
    /// All of them are compared with their content address on the way, if that is set: the last ones come only when
    /// all are right, and a small blob that is damaged does not open at all, nor does a part of it.
    pub async fn open_blob(&self, blob: &Blob, range: Option<ByteRange>) -> Result<Object, Error> {
        let is_whole = range.is_none_or(|range| range.start == 0 && range.end == blob.size);
        if is_whole && self.inner.options.verify_reads {
            let body = self.open_whole(blob).await?.into_stream();
            return Ok(Object { size: blob.size, body });
        }
        if let Some(range) = range
            && self.inner.options.verify_reads
            && blob.size <= MAX_FRAME as u64
        {
            return self.open_part(blob, range).await;
        }
        match self.inner.data.open(&blob.location, range).await {
            Ok(object) => Ok(object),
            Err(error) => Err(self.doubted(blob, error).await),
        }
    }

    /// Opens a part of a blob that is small enough to be compared before anything of it is given out.
    async fn open_part(&self, blob: &Blob, range: ByteRange) -> Result<Object, Error> {
        let (mut whole, mut bytes) = (self.open_whole(blob).await?, BytesMut::new());
        while let Some(frame) = whole.next().await? {
            bytes.extend_from_slice(&frame);
        }
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let part = at(range.start)..at(range.end);
        let part = bytes.freeze().slice(part);
        Ok(Object { size: blob.size, body: Box::pin(stream::iter([Ok(part)])) })
    }

    /// Opens all bytes of a blob to decide something by them: they are compared whatever is set.
    pub(super) async fn open_whole(&self, blob: &Blob) -> Result<Whole, Error> {
        match self.inner.data.compared(&blob.location, &blob.content).await {
            Ok(compared) => Ok(Whole { registry: self.clone(), blob: blob.clone(), compared }),
            Err(error) => Err(self.doubted(blob, error).await),
        }
    }

    /// What a reader met, after it was put on record if it is damage.
    async fn doubted(&self, blob: &Blob, error: dataplane::Error) -> Error {
        use dataplane::Error as E;
        if matches!(error, E::Missing { .. } | E::Size { .. } | E::DigestMismatch { .. }) {
            let (content, key) = (&blob.content, &blob.location.key);
            tracing::error!(
                key,
                error = &error as &dyn std::error::Error,
                "Stored bytes of {content} were not served"
            );
            self.put_on_record(&blob.content, &blob.location).await;
        }
        Error::Data(error)
    }

    /// Looks at a copy again and records what is wrong with it. Waits for that, but not for long: then it goes on by
    /// itself.
    pub(super) async fn put_on_record(&self, content: &Digest, location: &Location) {
        let (registry, content, location) = (self.clone(), content.clone(), location.clone());
        // In a task of its own: it goes on when whoever asked goes away.
        let look = tokio::spawn(async move {
            if let Err(error) = registry.look_again(&content, &location).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(key = location.key, error, "What is wrong with a copy was not recorded");
            }
        });
        drop(tokio::time::timeout(PATIENCE, look).await);
    }
}

impl Whole {
    /// The next bytes; `None` after the last ones. After an error what came before must not be used.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self.compared.next().await {
            Ok(frame) => Ok(frame),
            Err(error) => Err(self.registry.doubted(&self.blob, error).await),
        }
    }

    fn into_stream(self) -> ByteStream {
        Box::pin(stream::try_unfold(self, |mut whole| async move {
            match whole.next().await {
                Ok(frame) => Ok(frame.map(|frame| (frame, whole))),
                Err(Error::Data(dataplane::Error::Storage(error))) => Err(error),
                Err(error) => {
                    let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
                    Err(storage::Error::io(format!("serve {}", whole.blob.location.key), source))
                }
            }
        }))
    }
}

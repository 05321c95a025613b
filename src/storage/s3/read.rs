//! Reading an object, also over connections that break.

use std::sync::Arc;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream as Body;
use bytes::Bytes;
use futures_util::stream;

use super::bucket::Bucket;
use super::failure::Failure;
use crate::storage::{ByteRange, ByteStream, Error, Key, MAX_FRAME, Object};

/// How often in a row reading is taken up again without one more byte having come.
const BREAKS: u32 = 4;

/// Opens an object or the given bytes of it.
pub(super) async fn open(bucket: &Arc<Bucket>, key: &Key, range: Option<ByteRange>) -> Result<Object, Error> {
    open_name(bucket, &bucket.names.of(key.as_str()), range).await.map_err(|error| match error {
        Error::NotFound { .. } => Error::not_found(key),
        error => error,
    })
}

/// The same for a name in the bucket.
pub(super) async fn open_name(
    bucket: &Arc<Bucket>,
    name: &str,
    range: Option<ByteRange>,
) -> Result<Object, Error> {
    let answer = match request(bucket, name, range.map(|r| (r.start, r.end)), None).await {
        Ok(answer) => answer,
        Err(failure) if failure.is_missing() => return Err(Error::NotFound { key: name.to_owned() }),
        Err(failure) if failure.is_out_of_range() => return Err(beyond(bucket, name, range).await),
        Err(failure) => return Err(bucket.failed_at("read", name, failure)),
    };
    let length = answer.content_length.unwrap_or(0).cast_unsigned();
    let (size, start, end) = match range {
        None => (length, 0, length),
        Some(ByteRange { start, end }) => {
            let size = answer.content_range().and_then(total).unwrap_or(length);
            if end > size || length != end - start {
                return Err(Error::Range { start, end, size });
            }
            (size, start, end)
        }
    };
    let reading = Reading {
        bucket: Arc::clone(bucket),
        name: name.to_owned(),
        etag: answer.e_tag,
        body: Some(answer.body),
        rest: Bytes::new(),
        at: start,
        end,
        breaks: 0,
    };
    Ok(Object { size, body: reading.stream() })
}

async fn request(
    bucket: &Bucket,
    name: &str,
    range: Option<(u64, u64)>,
    etag: Option<&str>,
) -> Result<GetObjectOutput, Failure> {
    let request = bucket.client.get_object().bucket(&bucket.options.bucket).key(name);
    let range = range.map(|(start, end)| format!("bytes={start}-{}", end - 1));
    Ok(request.set_range(range).set_if_match(etag.map(str::to_owned)).send().await?)
}

/// The server has nothing of the range: says how large the object is.
async fn beyond(bucket: &Bucket, name: &str, range: Option<ByteRange>) -> Error {
    let (start, end) = range.map_or((0, 0), |range| (range.start, range.end));
    match bucket.head(name, None).await {
        Ok(Some(found)) => Error::Range { start, end, size: found.size },
        Ok(None) => Error::NotFound { key: name.to_owned() },
        Err(failure) => bucket.failed_at("read", name, failure),
    }
}

/// The size of the object in `bytes 0-9/1234`.
fn total(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}

/// An object on its way.
struct Reading {
    bucket: Arc<Bucket>,
    name: String,
    /// Reading goes on only in the very same object.
    etag: Option<String>,
    body: Option<Body>,
    /// What of the last frame is too much for one of ours.
    rest: Bytes,
    at: u64,
    end: u64,
    breaks: u32,
}

impl Reading {
    fn stream(self) -> ByteStream {
        Box::pin(stream::try_unfold(self, |mut reading| async move {
            Ok(reading.next().await?.map(|frame| (frame, reading)))
        }))
    }

    /// The next frame; `None` only when every byte that was promised has come.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if !self.rest.is_empty() {
                let frame = self.rest.split_to(self.rest.len().min(MAX_FRAME));
                self.at += frame.len() as u64;
                return Ok(Some(frame));
            }
            if self.at == self.end {
                return Ok(None);
            }
            if self.body.is_none() {
                self.take_up().await?;
            }
            let body = self.body.as_mut().expect("it was taken up a moment ago");
            let reason = match tokio::time::timeout(self.bucket.options.idle_timeout, body.next()).await {
                Ok(Some(Ok(frame))) if frame.len() as u64 <= self.end - self.at => {
                    if !frame.is_empty() {
                        self.breaks = 0;
                        self.rest = frame;
                    }
                    continue;
                }
                Ok(Some(Ok(_))) => "the server sent more than it promised".to_owned(),
                Ok(Some(Err(error))) => error.to_string(),
                Ok(None) => "the body ended early".to_owned(),
                Err(_) => "the body stood still".to_owned(),
            };
            self.broke(reason)?;
        }
    }

    /// The body broke off: forgets it, or gives up.
    fn broke(&mut self, reason: String) -> Result<(), Error> {
        self.body = None;
        self.breaks += 1;
        if self.breaks <= BREAKS {
            tracing::debug!(
                name = self.name,
                at = self.at,
                reason,
                "Reading an object broke off; taking it up again"
            );
            return Ok(());
        }
        let action = format!("read {} at byte {}", self.bucket.uri_of(&self.name), self.at);
        Err(Error::unavailable(action, std::io::Error::new(std::io::ErrorKind::UnexpectedEof, reason)))
    }

    /// Asks for the rest of the object.
    async fn take_up(&mut self) -> Result<(), Error> {
        let rest = (self.at, self.end);
        match request(&self.bucket, &self.name, Some(rest), self.etag.as_deref()).await {
            Ok(answer) if answer.content_length == Some((self.end - self.at).cast_signed()) => {
                self.body = Some(answer.body);
                Ok(())
            }
            Ok(_) => {
                let reason = "the server answered with other bytes than asked for";
                let action = format!("go on reading {}", self.bucket.uri_of(&self.name));
                Err(Error::io(action, std::io::Error::other(reason)))
            }
            Err(failure) if failure.is_missing() || failure.is_replaced() => {
                let action = format!("go on reading {}", self.bucket.uri_of(&self.name));
                Err(Error::io(action, std::io::Error::other("the object was removed or replaced meanwhile")))
            }
            Err(failure) => Err(self.bucket.failed_at("go on reading", &self.name, failure)),
        }
    }
}

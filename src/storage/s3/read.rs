//! Reading objects: a body that breaks off is taken up where it broke, and never ends early in silence.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives;
use bytes::Bytes;
use futures_util::stream;

use super::bucket::Bucket;
use super::fault::{Fault, Kind};
use crate::storage::{ByteRange, ByteStream, Error, Key, MAX_FRAME, Object};
use crate::telemetry::with_causes;

impl Bucket {
    /// See [`Backend::get`](crate::storage::Backend::get).
    pub(super) async fn open(self: &Arc<Self>, key: &Key, range: Option<ByteRange>) -> Result<Object, Error> {
        self.open_name(key.as_str(), range).await?.ok_or_else(|| Error::not_found(key))
    }

    /// Opens anything by its name; `None` when it is not there.
    pub(super) async fn open_name(
        self: &Arc<Self>,
        name: &str,
        range: Option<ByteRange>,
    ) -> Result<Option<Object>, Error> {
        let action = format!("read {name}");
        let header = range.map(|ByteRange { start, end }| format!("bytes={start}-{}", end.saturating_sub(1)));
        let output = match self.get(name, header, None).await {
            Ok(output) => output,
            Err(fault) => {
                return match (fault.kind, range) {
                    (Kind::Absent, _) => Ok(None),
                    (Kind::Range, Some(ByteRange { start, end })) => {
                        match self.head(name).await.map_err(|fault| fault.during(action))? {
                            Some(found) => Err(Error::Range { start, end, size: found.size }),
                            None => Ok(None),
                        }
                    }
                    _ => Err(fault.during(action)),
                };
            }
        };
        let length = output.content_length.and_then(|n| u64::try_from(n).ok());
        let (span, size) = match (range, output.content_range.as_deref().map(content_range), length) {
            (None, _, Some(length)) => (0..length, length),
            (Some(asked), Some(Some((given, size))), _) => {
                if asked.end > size || asked.start >= size {
                    return Err(Error::Range { start: asked.start, end: asked.end, size });
                }
                if given != (asked.start..asked.end) {
                    return Err(Fault::odd("other bytes than asked for were given").during(action));
                }
                (given, size)
            }
            // A range of the whole answered with the whole, as a 200.
            (Some(asked), None, Some(size)) => {
                if asked.end > size {
                    return Err(Error::Range { start: asked.start, end: asked.end, size });
                }
                if (asked.start, asked.end) != (0, size) {
                    return Err(Fault::odd("the range was ignored").during(action));
                }
                (0..size, size)
            }
            _ => return Err(Fault::odd("the answer tells no length").during(action)),
        };
        let reading = Reading {
            bucket: Arc::clone(self),
            name: name.to_owned(),
            etag: output.e_tag.clone(),
            body: Some(output.body),
            frame: Bytes::new(),
            left: span,
            tries: self.options.attempts.max(1),
        };
        let body: ByteStream = Box::pin(stream::unfold(reading, Reading::next));
        Ok(Some(Object { size, body }))
    }
}

/// `bytes 0-4/10` as `0..5` of 10.
fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (span, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    Some((first..last.checked_add(1)?, size.parse().ok()?))
}

struct Reading {
    bucket: Arc<Bucket>,
    name: String,
    etag: Option<String>,
    body: Option<primitives::ByteStream>,
    /// What of a large frame is still to be given out.
    frame: Bytes,
    /// What is still to be received or given out.
    left: Range<u64>,
    /// How often the body may break off in a row without a byte in between.
    tries: u32,
}

impl Reading {
    async fn next(mut self) -> Option<(Result<Bytes, Error>, Self)> {
        if self.left.is_empty() {
            return None;
        }
        let frame = self.frame().await.map_err(|fault| fault.during(format!("read {}", self.name)));
        match &frame {
            Ok(frame) => self.left.start += frame.len() as u64,
            // Nothing follows an error.
            Err(_) => self.left.start = self.left.end,
        }
        Some((frame, self))
    }

    async fn frame(&mut self) -> Result<Bytes, Fault> {
        loop {
            if !self.frame.is_empty() {
                return Ok(self.frame.split_to(self.frame.len().min(MAX_FRAME)));
            }
            let broken = match &mut self.body {
                None => self.reopen().await.err().map(|fault| (fault.kind == Kind::Unavailable, fault)),
                Some(body) => match body.next().await {
                    Some(Ok(frame)) if frame.len() as u64 > self.left.end - self.left.start => {
                        return Err(Fault::odd("more bytes came than there are"));
                    }
                    Some(Ok(frame)) => {
                        if !frame.is_empty() {
                            self.tries = self.bucket.options.attempts.max(1);
                        }
                        self.frame = frame;
                        None
                    }
                    Some(Err(error)) => {
                        Some((true, Fault::odd(format!("the body broke off: {}", with_causes(&error)))))
                    }
                    None => Some((true, Fault::odd("the body ended early"))),
                },
            };
            if let Some((may_recover, fault)) = broken {
                self.body = None;
                self.tries = self.tries.saturating_sub(1);
                if self.tries == 0 || !may_recover {
                    return Err(fault);
                }
            }
        }
    }

    /// Asks for the rest, of the same bytes.
    async fn reopen(&mut self) -> Result<(), Fault> {
        let range = format!("bytes={}-{}", self.left.start, self.left.end - 1);
        let output: GetObjectOutput = self.bucket.get(&self.name, Some(range), self.etag.as_deref()).await?;
        match output.content_range.as_deref().and_then(content_range) {
            Some((given, _)) if given == self.left => {}
            // The whole object is the rest when nothing came before.
            None if self.left.start == 0
                && output.content_length.and_then(|n| u64::try_from(n).ok()) == Some(self.left.end) => {}
            _ => return Err(Fault::odd("other bytes than asked for were given")),
        }
        self.body = Some(output.body);
        Ok(())
    }
}

/// The error for an object that is shorter or longer than what was written.
pub(super) fn other_size(name: &str, expected: u64, actual: u64) -> Error {
    let text = format!("{actual} bytes are there, {expected} were written");
    Error::io(format!("write {name}"), io::Error::new(io::ErrorKind::InvalidData, text))
}

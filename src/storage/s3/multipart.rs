//! A multipart upload: parts on their way, and its completion.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use md5::{Digest as _, Md5};
use tokio::task::JoinSet;

use super::bucket::{Bucket, Found, version};
use super::client::patient;
use super::failure::Failure;
use super::keys;
use super::spool::Ready;
use super::state::{Done, Upload};
use crate::storage::{Error, Key, Receipt, StagingId};

/// Parts of one upload at most; the protocol's own limit.
const MAX_PARTS: usize = 10_000;

/// Parts double in size each time this many were sent, so that the limit is never met before 5 TiB.
const DOUBLE_EVERY: usize = 1_000;

/// The largest part; the protocol's own limit is five times this.
const MAX_PART: u64 = 1 << 30;

/// How much longer a server may take to put the parts together.
const COMPLETION: Duration = Duration::from_mins(10);

/// An upload whose parts are sent side by side.
#[derive(Debug)]
pub(super) struct Multipart {
    bucket: Arc<Bucket>,
    upload: Upload,
    /// Parts of the front of `upload.parts` that have arrived; the rest are placeholders.
    sending: JoinSet<Result<(usize, Done), Error>>,
}

/// How large the part with this number is, counted from 0.
pub(super) fn part_size(bucket: &Bucket, number: usize) -> u64 {
    let doublings = u32::try_from(number / DOUBLE_EVERY).unwrap_or(u32::MAX).min(30);
    (bucket.options.part_size << doublings).min(MAX_PART.max(bucket.options.part_size))
}

impl Multipart {
    /// Begins an upload under a key of its own.
    pub(super) async fn begin(bucket: &Arc<Bucket>, id: &StagingId) -> Result<Self, Error> {
        Self::begin_at(bucket, &keys::multipart_key(id)).await
    }

    /// Begins an upload of an object whose key is known.
    pub(super) async fn begin_at(bucket: &Arc<Bucket>, key: &Key) -> Result<Self, Error> {
        let begun = bucket
            .client
            .create_multipart_upload()
            .bucket(&bucket.options.bucket)
            .key(bucket.names.of(key.as_str()))
            .send()
            .await
            .map_err(|error| bucket.failed("begin", key.as_str(), error.into()))?;
        let Some(upload) = begun.upload_id else {
            let reason = std::io::Error::other("the server gave no upload id");
            return Err(Error::io(format!("begin {}", bucket.uri(key.as_str())), reason));
        };
        Ok(Self::resume(bucket, Upload { key: key.to_string(), id: upload, parts: Vec::new() }))
    }

    /// Goes on with an upload.
    pub(super) fn resume(bucket: &Arc<Bucket>, upload: Upload) -> Self {
        Self { bucket: Arc::clone(bucket), upload, sending: JoinSet::new() }
    }

    /// How many parts there are, arrived or not.
    pub(super) fn parts(&self) -> usize {
        self.upload.parts.len()
    }

    /// Sends one more part; waits while as many as allowed are on their way.
    pub(super) async fn send(&mut self, part: Ready) -> Result<(), Error> {
        if self.upload.parts.len() == MAX_PARTS {
            let reason =
                std::io::Error::other(format!("it has {MAX_PARTS} parts; raise storage.s3.part_size"));
            return Err(Error::io(format!("go on with {}", self.bucket.uri(&self.upload.key)), reason));
        }
        while self.sending.len() >= self.bucket.options.parts_in_flight.max(1) {
            self.one_arrived().await?;
        }
        let number = self.upload.parts.len();
        self.upload.parts.push(Done { etag: String::new(), len: part.len });
        let (bucket, key, id) = (Arc::clone(&self.bucket), self.upload.key.clone(), self.upload.id.clone());
        self.sending.spawn(async move {
            let etag = send(&bucket, &key, &id, number, &part).await?;
            Ok((number, Done { etag, len: part.len }))
        });
        Ok(())
    }

    async fn one_arrived(&mut self) -> Result<(), Error> {
        match self.sending.join_next().await {
            None => Ok(()),
            Some(Ok(arrived)) => {
                let (number, done) = arrived?;
                self.upload.parts[number] = done;
                Ok(())
            }
            Some(Err(cut)) => {
                Err(Error::io(format!("send part of {}", self.upload.key), std::io::Error::other(cut)))
            }
        }
    }

    /// Waits until every part has arrived.
    pub(super) async fn arrived(&mut self) -> Result<&Upload, Error> {
        while !self.sending.is_empty() {
            self.one_arrived().await?;
        }
        Ok(&self.upload)
    }

    /// Puts the parts together: an object of `size` bytes. When the answer is lost the object itself tells.
    pub(super) async fn complete(mut self, size: u64) -> Result<Receipt, Error> {
        self.arrived().await?;
        let (bucket, name) = (&self.bucket, self.bucket.names.of(&self.upload.key));
        let parts = self
            .upload
            .parts
            .iter()
            .zip(1..)
            .map(|(part, number)| CompletedPart::builder().part_number(number).e_tag(&part.etag).build());
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let completed = bucket
            .client
            .complete_multipart_upload()
            .bucket(&bucket.options.bucket)
            .key(&name)
            .upload_id(&self.upload.id)
            .multipart_upload(parts)
            .customize()
            .config_override(patient(bucket.options.idle_timeout, 0, COMPLETION))
            .send()
            .await;
        let (failure, made) = match completed {
            Ok(done) => (None, version(done.version_id)),
            Err(error) => (Some(Failure::from(error)), None),
        };
        let found = bucket.head(&name, None).await;
        let key: Key = self.upload.key.parse().expect("it was made as a key");
        match (failure, found) {
            (None, Ok(Some(found))) if found.size == size => {
                Ok(bucket.receipt(&key, size, made.or(found.version)))
            }
            (None, Ok(found)) => {
                let found =
                    found.map_or_else(|| "nothing".to_owned(), |found| format!("{} bytes", found.size));
                let reason = format!("the server has {found} under it, {size} bytes were sent");
                Err(Error::io(
                    format!("complete {}", bucket.uri(key.as_str())),
                    std::io::Error::other(reason),
                ))
            }
            (None, Err(failure)) => Err(bucket.failed("look at", key.as_str(), failure)),
            // The answer was lost, or an earlier attempt of the SDK was carried out and the repeated one found
            // no upload any more.
            (Some(failure), Ok(Some(found))) if self.is_ours(&found, size) => {
                tracing::debug!(%key, %failure, "The completion of an upload was carried out all the same");
                Ok(bucket.receipt(&key, size, found.version))
            }
            (Some(failure), _) => Err(bucket.failed("complete", key.as_str(), failure)),
        }
    }

    /// Whether an object is made of exactly our parts: another process may have gone on with the same upload. The
    /// tag of such an object is the MD5 of the MD5s of its parts, on every server known.
    fn is_ours(&self, found: &Found, size: u64) -> bool {
        let expected = combined_etag(&self.upload.parts);
        found.size == size && expected.is_some() && expected.as_deref() == found.etag.as_deref().map(unquoted)
    }

    /// Ends the upload and forgets its parts.
    pub(super) async fn abort(mut self) -> Result<(), Error> {
        self.sending.shutdown().await;
        abort(&self.bucket, &self.bucket.names.of(&self.upload.key), &self.upload.id).await.map(drop)
    }
}

/// Ends an upload. `false` when there is none (any more).
pub(super) async fn abort(bucket: &Bucket, name: &str, upload: &str) -> Result<bool, Error> {
    let request = bucket.client.abort_multipart_upload().bucket(&bucket.options.bucket).key(name);
    match request.upload_id(upload).send().await.map_err(Failure::from) {
        Ok(_) => Ok(true),
        Err(failure) if failure.is_no_upload() || failure.is_missing() => Ok(false),
        Err(failure) => Err(failure.during(format!("abort the upload of {name}"))),
    }
}

async fn send(bucket: &Bucket, key: &str, id: &str, number: usize, part: &Ready) -> Result<String, Error> {
    let number = i32::try_from(number + 1).expect("there are at most 10 000 parts");
    let sent = bucket
        .client
        .upload_part()
        .bucket(&bucket.options.bucket)
        .key(bucket.names.of(key))
        .upload_id(id)
        .part_number(number)
        .content_length(part.len.cast_signed())
        .body(part.body().await?)
        .customize()
        .config_override(patient(bucket.options.idle_timeout, part.len, Duration::ZERO))
        .send()
        .await
        .map_err(Failure::from);
    match sent {
        Ok(sent) => sent.e_tag.ok_or_else(|| {
            let reason = std::io::Error::other("the server gave no tag for it");
            Error::io(format!("send part {number} of {}", bucket.uri(key)), reason)
        }),
        // Gone: somebody ended the upload. The caller's write is not there any more.
        Err(failure) if failure.is_no_upload() => Err(Error::NotFound { key: key.to_owned() }),
        Err(failure) => Err(bucket.failed(&format!("send part {number} of"), key, failure)),
    }
}

fn unquoted(etag: &str) -> &str {
    etag.trim_matches('"')
}

/// The tag of an object made of these parts; `None` when their tags are no MD5s (some kinds of encryption).
fn combined_etag(parts: &[Done]) -> Option<String> {
    let mut md5 = Md5::new();
    for part in parts {
        let hex = unquoted(&part.etag);
        if hex.len() != 32 {
            return None;
        }
        for at in (0..32).step_by(2) {
            md5.update([u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?]);
        }
    }
    let hex: String = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{hex}-{}", parts.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_an_object_follows_from_its_parts() {
        let done = |etag: &str| Done { etag: etag.to_owned(), len: 1 };
        // MD5 of "a" and of "b"; then MD5 over their raw bytes.
        let parts = [done("\"0cc175b9c0f1b6a831c399e269772661\""), done("92eb5ffee6ae2fec3ad71c777531578f")];
        assert_eq!(combined_etag(&parts).as_deref(), Some("96e024ba2074fe77e8e965ba43a704be-2"));
        assert_eq!(combined_etag(&[done("opaque")]), None);
        assert_ne!(combined_etag(&parts), combined_etag(&[parts[1].clone(), parts[0].clone()]));
    }
}

//! Multipart uploads: requests about them, and their parts on the way.

use std::fmt::Write as _;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, MultipartUpload, Part as ListedPart,
};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::Checksums;
use super::bucket::{Bucket, Found, signed};
use super::fault::{Fault, Kind};
use super::part::Part;
use super::verify::Sum;

/// The most parts the protocol allows.
const MOST_PARTS: usize = 10_000;

/// The size of parts doubles whenever this many are there, so that 10 000 of them hold more than an object may.
const STEP: usize = 1000;

/// The largest part the protocol allows: 5 GiB.
const LARGEST_PART: u64 = 5 << 30;

/// The size of part `index` (the first is 0), unless it is the last.
pub(super) fn size_of(index: usize, part_size: u64) -> u64 {
    part_size.saturating_mul(1 << (index / STEP).min(20)).min(LARGEST_PART)
}

/// A part the server has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    /// Without its quotes.
    #[serde(rename = "e")]
    pub(super) etag: String,
    #[serde(rename = "s")]
    pub(super) size: u64,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub(super) sum: Option<Sum>,
}

/// One upload, open. Dropping it stops its parts.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) id: String,
    parts: Vec<Option<Sent>>,
    flying: JoinSet<(usize, Result<Sent, Fault>)>,
}

impl Upload {
    pub(super) fn new(name: String, id: String, parts: Vec<Sent>) -> Self {
        let parts = parts.into_iter().map(Some).collect();
        Self { name, id, parts, flying: JoinSet::new() }
    }

    /// Parts sent or on their way.
    pub(super) fn count(&self) -> usize {
        self.parts.len()
    }

    /// Sends the next part in the background, once fewer than `most` are on their way.
    pub(super) async fn send(&mut self, bucket: &Arc<Bucket>, part: Part) -> Result<(), Fault> {
        if self.parts.len() >= MOST_PARTS {
            return Err(Fault::odd(format!("an upload has at most {MOST_PARTS} parts")));
        }
        while self.flying.len() >= bucket.options.parts_in_flight.max(1) {
            self.land().await?;
        }
        let (bucket, name, id) = (Arc::clone(bucket), self.name.clone(), self.id.clone());
        let index = self.parts.len();
        self.parts.push(None);
        self.flying.spawn(async move { (index, bucket.send(&name, &id, index, &part).await) });
        Ok(())
    }

    /// Takes in what has arrived without waiting, so that a failed part ends the upload soon.
    pub(super) fn look(&mut self) -> Result<(), Fault> {
        while let Some(landed) = self.flying.try_join_next() {
            self.record(landed.map_err(|e| Fault::odd(e.to_string()))?)?;
        }
        Ok(())
    }

    /// Waits for every part.
    pub(super) async fn settle(&mut self) -> Result<Vec<Sent>, Fault> {
        while !self.flying.is_empty() {
            self.land().await?;
        }
        self.parts.iter().cloned().collect::<Option<_>>().ok_or_else(|| Fault::odd("a part was not sent"))
    }

    async fn land(&mut self) -> Result<(), Fault> {
        match self.flying.join_next().await {
            Some(landed) => self.record(landed.map_err(|e| Fault::odd(e.to_string()))?),
            None => Ok(()),
        }
    }

    fn record(&mut self, (index, sent): (usize, Result<Sent, Fault>)) -> Result<(), Fault> {
        self.parts[index] = Some(sent?);
        Ok(())
    }
}

impl Bucket {
    /// Begins an upload; returns its id.
    pub(super) async fn create_upload(&self, name: &str) -> Result<String, Fault> {
        let request = self.client.create_multipart_upload().bucket(self.name()).key(self.full(name));
        let algorithm = (self.options.checksums == Checksums::Full).then_some(ChecksumAlgorithm::Sha256);
        let created = request.set_checksum_algorithm(algorithm).send().await?;
        created.upload_id.ok_or_else(|| Fault::odd("the new upload has no id"))
    }

    async fn send(&self, name: &str, id: &str, index: usize, part: &Part) -> Result<Sent, Fault> {
        let sum = if self.options.verify_writes { Some(Sum::of(part).await?) } else { None };
        let request = self.client.upload_part().bucket(self.name()).key(self.full(name)).upload_id(id);
        let sha256 = self.checksum(part).await?;
        let request = request.set_checksum_sha256(sha256.clone());
        let request = request.part_number(number(index)).content_length(signed(part.len()));
        let sent = request.body(ByteStream::new(part.body())).send().await?;
        let etag = sent.e_tag.ok_or_else(|| Fault::odd("the part has no ETag"))?;
        Ok(Sent { etag: etag.trim_matches('"').to_owned(), size: part.len(), sha256, sum })
    }

    /// Makes the parts an object. When the answer leaves open whether that happened the object itself is looked
    /// at. It counts when it is made of exactly these parts: another process may have had the same upload, from a
    /// state of its own.
    pub(super) async fn complete(&self, name: &str, id: &str, parts: &[Sent]) -> Result<Found, Fault> {
        let size = parts.iter().map(|part| part.size).sum::<u64>();
        let completed = parts.iter().enumerate().map(|(index, part)| {
            CompletedPart::builder()
                .part_number(number(index))
                .e_tag(format!("\"{}\"", part.etag))
                .set_checksum_sha256(part.sha256.clone())
                .build()
        });
        let completed = CompletedMultipartUpload::builder().set_parts(Some(completed.collect())).build();
        let request = self.client.complete_multipart_upload().bucket(self.name()).key(self.full(name));
        let answer = request.upload_id(id).multipart_upload(completed).send().await.map_err(Fault::from);
        match answer {
            Ok(done) => match self.head(name).await {
                Ok(Some(found)) if found.size == size && has_count(&found.etag, parts.len()) => {
                    let version = done.version_id.or(found.version);
                    Ok(Found { version, ..found })
                }
                Ok(Some(found)) => {
                    let text = format!("the object has {} bytes, {size} were sent", found.size);
                    Err(Fault::odd(text).read_as(Kind::Refused))
                }
                Ok(None) => Err(Fault::odd("the object is not there although it was acknowledged")),
                // The answer itself tells what the object is made of; losing the upload now would lose its bytes.
                Err(fault) => match done.e_tag {
                    Some(etag) if fault.kind == Kind::Unavailable && is_made_of(&etag, parts) => {
                        Ok(Found { size, version: done.version_id, etag })
                    }
                    _ => Err(fault),
                },
            },
            // Repeating a request that had been carried out finds no upload any more.
            Err(fault) if matches!(fault.kind, Kind::Unavailable | Kind::NoUpload | Kind::Absent) => {
                match self.head(name).await? {
                    Some(found) if found.size == size && is_made_of(&found.etag, parts) => {
                        tracing::debug!(%name, error = fault.text(), "The upload was completed all the same");
                        Ok(found)
                    }
                    _ if fault.kind == Kind::Absent => Err(fault.read_as(Kind::NoUpload)),
                    _ => Err(fault),
                }
            }
            Err(fault) => Err(fault),
        }
    }

    /// Drops an upload and its parts. Idempotent.
    pub(super) async fn abort(&self, full: &str, id: &str) -> Result<(), Fault> {
        let request = self.client.abort_multipart_upload().bucket(self.name()).key(full).upload_id(id);
        match request.send().await.map_err(Fault::from) {
            Err(fault) if !matches!(fault.kind, Kind::NoUpload | Kind::Absent) => Err(fault),
            _ => Ok(()),
        }
    }

    /// Whether an upload is still open.
    pub(super) async fn has_upload(&self, name: &str, id: &str) -> Result<bool, Fault> {
        let request = self.client.list_parts().bucket(self.name()).key(self.full(name)).upload_id(id);
        match request.max_parts(1).send().await.map_err(Fault::from) {
            Ok(_) => Ok(true),
            Err(fault) if matches!(fault.kind, Kind::NoUpload | Kind::Absent) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// The parts of an upload; nothing when it has ended.
    pub(super) async fn parts_of(&self, full: &str, id: &str) -> Result<Vec<ListedPart>, Fault> {
        let mut found = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let request = self.client.list_parts().bucket(self.name()).key(full).upload_id(id);
            let page = match request.set_part_number_marker(marker.clone()).send().await.map_err(Fault::from)
            {
                Ok(page) => page,
                Err(fault) if matches!(fault.kind, Kind::NoUpload | Kind::Absent) => return Ok(Vec::new()),
                Err(fault) => return Err(fault),
            };
            found.extend(page.parts.unwrap_or_default());
            match page.next_part_number_marker {
                Some(next) if page.is_truncated == Some(true) && Some(&next) != marker.as_ref() => {
                    marker = Some(next);
                }
                _ => return Ok(found),
            }
        }
    }

    /// Open uploads whose name starts with `prefix`, at most about `limit`.
    pub(super) async fn uploads(&self, prefix: &str, limit: usize) -> Result<Vec<MultipartUpload>, Fault> {
        let full = self.full(prefix);
        let (mut key, mut id): (Option<String>, Option<String>) = (None, None);
        let mut found = Vec::new();
        loop {
            let request = self.client.list_multipart_uploads().bucket(self.name()).prefix(&full);
            let request = request.set_key_marker(key.clone()).set_upload_id_marker(id.clone());
            let page = request.send().await?;
            let ours = |upload: &MultipartUpload| upload.key().is_some_and(|key| key.starts_with(&full));
            found.extend(page.uploads.unwrap_or_default().into_iter().filter(ours));
            let next = (page.next_key_marker, page.next_upload_id_marker);
            // A page that says there is more and does not say where would be read for ever.
            let goes_on =
                page.is_truncated == Some(true) && next.0.is_some() && next != (key.clone(), id.clone());
            if !goes_on || found.len() >= limit {
                return Ok(found);
            }
            (key, id) = next;
        }
    }
}

/// Whether an object that is there was made of exactly these parts. Where their tags are no MD5s (some kinds of
/// encryption) their number has to do, and [`Options::verify_writes`](super::Options::verify_writes) tells the rest.
fn is_made_of(etag: &str, parts: &[Sent]) -> bool {
    match combined_etag(parts) {
        Some(expected) => etag.trim_matches('"').eq_ignore_ascii_case(&expected),
        None => has_count(etag, parts.len()),
    }
}

/// `…-3` on the `ETag` of an object of three parts. A server whose tags look otherwise is believed by the size.
fn has_count(etag: &str, parts: usize) -> bool {
    let count = etag.trim_matches('"').rsplit_once('-').and_then(|(_, count)| count.parse::<usize>().ok());
    count.is_none_or(|count| count == parts)
}

/// The tag of an object made of these parts: the MD5 of their MD5s; `None` when their tags are none.
fn combined_etag(parts: &[Sent]) -> Option<String> {
    let mut md5 = Md5::new();
    for part in parts {
        if part.etag.len() != 32 {
            return None;
        }
        for at in (0..32).step_by(2) {
            md5.update([u8::from_str_radix(part.etag.get(at..at + 2)?, 16).ok()?]);
        }
    }
    let mut tag = String::new();
    for byte in md5.finalize() {
        let _ = write!(tag, "{byte:02x}");
    }
    Some(format!("{tag}-{}", parts.len()))
}

fn number(index: usize) -> i32 {
    i32::try_from(index + 1).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_an_object_follows_from_its_parts() {
        let sent = |etag: &str| Sent { etag: etag.to_owned(), size: 1, sha256: None, sum: None };
        // MD5 of "a" and of "b"; then MD5 over their raw bytes.
        let parts = [sent("0cc175b9c0f1b6a831c399e269772661"), sent("92eb5ffee6ae2fec3ad71c777531578f")];
        assert!(is_made_of("\"96e024ba2074fe77e8e965ba43a704be-2\"", &parts));
        let swapped = [parts[1].clone(), parts[0].clone()];
        assert!(!is_made_of("\"96e024ba2074fe77e8e965ba43a704be-2\"", &swapped));
        assert!(!is_made_of("\"opaque-2\"", &parts));
        let opaque = [sent("opaque"), sent("opaque")];
        assert!(is_made_of("\"whatever-2\"", &opaque) && !is_made_of("\"whatever-3\"", &opaque));
    }
}

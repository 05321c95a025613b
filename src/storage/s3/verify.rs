//! Checksums on the way, and read-after-write: what the server gives back is what was sent.

use std::future::poll_fn;
use std::sync::Arc;

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::Checksums;
use super::bucket::Bucket;
use super::fault::Fault;
use super::part::Part;
use super::upload::Sent;
use crate::hash::Hasher;
use crate::oci::Algorithm;
use crate::storage::{ByteStream, Error};

/// Half of a BLAKE3 digest in hex: enough to notice a server's mistake, small enough for ten thousand parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Sum(String);

impl Sum {
    /// The sum of a part.
    pub(super) async fn of(part: &Part) -> Result<Self, Fault> {
        Ok(Self::finish(hash(part, Algorithm::Blake3).await?))
    }

    fn finish(hasher: Hasher) -> Self {
        Self(hasher.finish().hex()[..32].to_owned())
    }
}

async fn hash(part: &Part, algorithm: Algorithm) -> Result<Hasher, Fault> {
    let mut hasher = Hasher::new(algorithm);
    let mut frames = part.frames();
    while let Some(frame) = poll_fn(|cx| frames.poll_next(cx)).await {
        hasher.update(&frame.map_err(|e| Fault::odd(format!("cannot read a part put aside: {e}")))?);
        // A frame takes a fraction of a millisecond; other tasks go on in between.
        tokio::task::yield_now().await;
    }
    Ok(hasher)
}

impl Bucket {
    /// The checksum that goes with a body, where the settings want one: SHA-256, which every server knows.
    pub(super) async fn checksum(&self, part: &Part) -> Result<Option<String>, Fault> {
        if self.options.checksums == Checksums::WhenRequired {
            return Ok(None);
        }
        let digest = hash(part, Algorithm::Sha256).await?.finish();
        Ok(Some(aws_smithy_types::base64::encode(digest.to_bytes())))
    }

    /// With [`verify_writes`](super::Options::verify_writes): reads back what was made of parts. An upload that was
    /// begun without has no sums and is believed.
    pub(super) async fn verify_parts(self: &Arc<Self>, name: &str, parts: &[Sent]) -> Result<(), Error> {
        let sums = parts.iter().map(|part| Some((part.size, part.sum.clone()?))).collect::<Option<Vec<_>>>();
        match sums {
            Some(sums) if self.options.verify_writes => self.compare(name, &sums).await,
            _ => Ok(()),
        }
    }

    /// Reads an object back and compares it with the sums and sizes of what it was made of.
    pub(super) async fn compare(self: &Arc<Self>, name: &str, parts: &[(u64, Sum)]) -> Result<(), Error> {
        let differs = || Error::io(format!("verify {name}"), std::io::Error::other("other bytes came back"));
        let object = self.open_name(name, None).await?.ok_or_else(differs)?;
        let mut body: ByteStream = object.body;
        let mut parts = parts.iter();
        let mut part = parts.next();
        let (mut hasher, mut left) = (Hasher::new(Algorithm::Blake3), part.map_or(0, |(size, _)| *size));
        while let Some(frame) = body.next().await {
            let mut frame = frame?;
            while !frame.is_empty() {
                let take = usize::try_from(left).map_or(frame.len(), |left| left.min(frame.len()));
                if take == 0 {
                    return Err(differs());
                }
                hasher.update(&frame.split_to(take));
                left -= take as u64;
                if left == 0 {
                    let done = std::mem::replace(&mut hasher, Hasher::new(Algorithm::Blake3));
                    if part.is_none_or(|(_, sum)| Sum::finish(done) != *sum) {
                        return Err(differs());
                    }
                    part = parts.next();
                    left = part.map_or(0, |(size, _)| *size);
                }
            }
        }
        if left == 0 { Ok(()) } else { Err(differs()) }
    }
}

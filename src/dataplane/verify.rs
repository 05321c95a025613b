//! Verify: do the stored bytes still have their digests?

use futures_util::StreamExt as _;
use tokio::task::spawn_blocking;

use super::{DataPlane, Error, Location};
use crate::hash::Hasher;
use crate::oci::Digest;
use crate::storage;

/// What re-digesting an object showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bytes are what was stored.
    Intact,
    /// They are not.
    Damaged(Finding),
}

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is gone.
    Missing,
    /// It has another length.
    Size {
        /// The recorded size.
        expected: u64,
        /// The size found.
        actual: u64,
    },
    /// It cannot be read: says nothing about its content, and is as bad.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// It has other content.
    Content {
        /// What it hashes to.
        actual: Digest,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Size { expected, actual } => write!(f, "has {actual} bytes instead of {expected}"),
            Self::Unreadable { reason } => write!(f, "cannot be read: {reason}"),
            Self::Content { actual } => write!(f, "hashes to {actual}"),
        }
    }
}

impl DataPlane {
    /// Reads an object and compares its content address. What cannot be read is a finding too, so that one
    /// bad sector does not keep the rest from being looked at; storage that is not available is none, since that
    /// says nothing about any byte.
    pub async fn verify(&self, location: &Location, content: &Digest) -> Result<Verdict, Error> {
        let mut object = match self.open(location, None).await {
            Ok(object) => object,
            Err(Error::Missing { .. }) => return Ok(Verdict::Damaged(Finding::Missing)),
            Err(Error::Size { expected, actual, .. }) => {
                return Ok(Verdict::Damaged(Finding::Size { expected, actual }));
            }
            Err(Error::Storage(error)) => return unreadable(error),
            Err(error) => return Err(error),
        };
        // The content address alone: what has it has the other digests too.
        let mut hasher = Hasher::new(content.algorithm());
        let mut read = 0;
        while let Some(bytes) = object.body.next().await {
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => return unreadable(error),
            };
            read += bytes.len() as u64;
            let update = spawn_blocking(move || {
                hasher.update(&bytes);
                hasher
            });
            hasher = update.await.expect("hashing does not panic");
        }
        if read != location.size {
            return Ok(Verdict::Damaged(Finding::Size { expected: location.size, actual: read }));
        }
        let actual = hasher.finish();
        if actual == *content {
            Ok(Verdict::Intact)
        } else {
            Ok(Verdict::Damaged(Finding::Content { actual }))
        }
    }
}

fn unreadable(error: storage::Error) -> Result<Verdict, Error> {
    if matches!(error, storage::Error::Unavailable { .. }) {
        return Err(error.into());
    }
    let cause = std::error::Error::source(&error);
    let reason = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    Ok(Verdict::Damaged(Finding::Unreadable { reason }))
}

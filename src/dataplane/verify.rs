//! Verify: do the stored bytes still have their digests?

use futures_util::StreamExt as _;
use tokio::task::spawn_blocking;

use super::{DataPlane, Error, Location};
use crate::hash::Hasher;
use crate::oci::Digest;
use crate::storage::{self, ByteStream};

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

/// An object that is being re-digested, step by step, so that whoever does it can do other things in between.
pub struct Reading {
    body: Option<ByteStream>,
    hasher: Option<Hasher>,
    content: Digest,
    size: u64,
    read: u64,
    found: Option<Finding>,
}

impl DataPlane {
    /// Begins to read an object and to compare its content address. What is wrong with it is a finding, also that it
    /// cannot be read, so that one bad sector does not keep the rest from being looked at; storage that is not
    /// available is none, since that says nothing about any byte.
    pub async fn reading(&self, location: &Location, content: &Digest) -> Result<Reading, Error> {
        let (mut body, mut found) = (None, None);
        match self.open(location, None).await {
            Ok(object) => body = Some(object.body),
            Err(Error::Missing { .. }) => found = Some(Finding::Missing),
            Err(Error::Size { expected, actual, .. }) => found = Some(Finding::Size { expected, actual }),
            Err(Error::Storage(error)) => found = Some(unreadable(error)?),
            Err(error) => return Err(error),
        }
        // The content address alone: what has it has the other digests too.
        let hasher = Some(Hasher::new(content.algorithm()));
        Ok(Reading { body, hasher, content: content.clone(), size: location.size, read: 0, found })
    }

    /// Reads an object to its end; see [`reading`](Self::reading).
    pub async fn verify(&self, location: &Location, content: &Digest) -> Result<Verdict, Error> {
        let mut reading = self.reading(location, content).await?;
        while reading.step().await?.is_some() {}
        Ok(reading.verdict())
    }
}

impl Reading {
    /// Reads on, and says how many bytes that were; `None` at the end.
    pub async fn step(&mut self) -> Result<Option<u64>, Error> {
        let Some(body) = &mut self.body else { return Ok(None) };
        let Some(bytes) = body.next().await else {
            self.body = None;
            return Ok(None);
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                self.body = None;
                self.found = Some(unreadable(error)?);
                return Ok(None);
            }
        };
        let length = bytes.len() as u64;
        self.read += length;
        let mut hasher = self.hasher.take().expect("it is put back below");
        let update = spawn_blocking(move || {
            hasher.update(&bytes);
            hasher
        });
        self.hasher = Some(update.await.expect("hashing does not panic"));
        Ok(Some(length))
    }

    /// What came of it, at the end.
    pub fn verdict(self) -> Verdict {
        if let Some(finding) = self.found {
            return Verdict::Damaged(finding);
        }
        if self.read != self.size {
            return Verdict::Damaged(Finding::Size { expected: self.size, actual: self.read });
        }
        let actual = self.hasher.expect("it was put back").finish();
        if actual == self.content { Verdict::Intact } else { Verdict::Damaged(Finding::Content { actual }) }
    }
}

fn unreadable(error: storage::Error) -> Result<Finding, Error> {
    if matches!(error, storage::Error::Unavailable { .. }) {
        return Err(error.into());
    }
    let cause = std::error::Error::source(&error);
    let reason = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    Ok(Finding::Unreadable { reason })
}

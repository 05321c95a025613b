//! What a storage backend can answer instead of a result.

use std::io;

use super::{Key, StagingId};

/// What can go wrong below the data plane.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The backend looked and there is no such object.
    #[error("no object under {key}")]
    NotFound {
        /// What was asked for.
        key: String,
    },
    /// A write met an existing object; nothing was changed.
    #[error("{key} exists already")]
    Exists {
        /// The occupied key.
        key: String,
    },
    /// A range reaches beyond the object.
    #[error("bytes {start}..{end} of an object of {size} bytes")]
    Range {
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// The object's size.
        size: u64,
    },
    /// A staged write holds fewer bytes than the caller was told were received.
    #[error("staged write {id} holds {actual} bytes, {expected} were acknowledged")]
    Short {
        /// The staged write.
        id: String,
        /// What was acknowledged.
        expected: u64,
        /// What is there.
        actual: u64,
    },
    /// The backend refuses writes since an earlier failure made the volume suspect.
    #[error("storage {backend} refuses writes: {reason}")]
    Suspect {
        /// Which backend.
        backend: String,
        /// What happened.
        reason: String,
    },
    /// The backend holds objects of somebody else.
    #[error("{0}")]
    Foreign(String),
    /// The backend cannot be used as it is set up: a sentence that says what is wrong and what to do.
    #[error("{0}")]
    Unusable(String),
    /// The backend is overloaded or cannot be reached for the moment, also after retries: later it may work.
    #[error("storage is not available for the moment: {action}")]
    Unavailable {
        /// What was being done, with the key.
        action: String,
        /// What the backend said.
        #[source]
        source: io::Error,
    },
    /// The backend itself failed. Says nothing about whether the object exists.
    #[error("{action} failed")]
    Io {
        /// What was being done, with the key.
        action: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// The backend failed while doing `action` (a verb with its object: `"read blake3/ab/…"`).
    pub fn io(action: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Io { action: action.into(), source: source.into() }
    }

    /// The backend cannot be had for the moment, seen while doing `action`.
    pub fn unavailable(action: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Unavailable { action: action.into(), source: source.into() }
    }

    /// A stream for `key` ended at another length than it promised.
    pub fn length(key: &Key, promised: u64, actual: u64) -> Self {
        let text = format!("the stream has {actual} bytes, {promised} were promised");
        Self::io(format!("store {key}"), io::Error::new(io::ErrorKind::InvalidData, text))
    }

    /// There is nothing under `key`.
    pub fn not_found(key: &Key) -> Self {
        Self::NotFound { key: key.as_str().into() }
    }

    /// There is no staged write `id`.
    pub fn not_staged(id: &StagingId) -> Self {
        Self::NotFound { key: format!("staging/{id}") }
    }

    /// `key` is taken.
    pub fn exists(key: &Key) -> Self {
        Self::Exists { key: key.as_str().into() }
    }

    /// A staged write `id` exists already.
    pub fn staged_already(id: &StagingId) -> Self {
        Self::Exists { key: format!("staging/{id}") }
    }
}

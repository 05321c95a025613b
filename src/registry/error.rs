//! What a use case can say no with.

use std::sync::Arc;

use super::places::WrongPlace;
use crate::oci::{Digest, ManifestError, RepositoryName, Tag, UploadId};
use crate::storage::PlaceId;
use crate::{dataplane, db, events};

/// Everything a caller can act on, and the failures below.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was ever pushed to this repository.
    #[error("repository {0} is not known")]
    RepositoryUnknown(RepositoryName),
    /// The repository does not hold this blob.
    #[error("blob {0} is not known in this repository")]
    BlobUnknown(Digest),
    /// The repository does not hold this manifest.
    #[error("manifest {0} is not known in this repository")]
    ManifestUnknown(String),
    /// A blob cannot leave while a manifest names it.
    #[error("blob {blob} is named by manifest {manifest}")]
    BlobInUse {
        /// The blob.
        blob: Digest,
        /// One manifest that names it.
        manifest: Digest,
    },
    /// A manifest names content the repository does not hold.
    #[error("the manifest names content that this repository does not hold")]
    ReferencesUnknown(Vec<Digest>),
    /// The bytes are not an acceptable manifest.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// The manifest is too large.
    #[error("the manifest is larger than {limit} bytes")]
    ManifestTooLarge {
        /// The limit.
        limit: usize,
    },
    /// More tags than one request may set.
    #[error("at most {limit} tags can be set at once")]
    TooManyTags {
        /// The limit.
        limit: usize,
    },
    /// The repository does not have this tag.
    #[error("tag {0} is not known in this repository")]
    TagUnknown(Tag),
    /// The content is not what its digest says.
    #[error("the content has digest {actual}, not {claimed}")]
    DigestMismatch {
        /// What the client said.
        claimed: Digest,
        /// What it is.
        actual: Digest,
    },
    /// There is no such upload session here, or not any more.
    #[error("upload {0} is not known in this repository")]
    UploadUnknown(UploadId),
    /// The chunk does not continue where the upload stands; nothing was appended.
    #[error("the upload stands at {received} bytes, the chunk does not continue there")]
    UploadOutOfOrder {
        /// Bytes received.
        received: u64,
    },
    /// The body has another length than its range says; nothing was appended.
    #[error("the chunk has {actual} bytes, its range says {declared}")]
    ChunkSize {
        /// What the range says.
        declared: u64,
        /// What came.
        actual: u64,
    },
    /// The body broke off. What arrived is kept.
    #[error("the request body broke off after {received} bytes of the upload: {reason}")]
    BodyBroken {
        /// Bytes the upload has now.
        received: u64,
        /// What happened.
        reason: String,
    },
    /// The blob is too large.
    #[error("the blob is larger than {limit} bytes")]
    BlobTooLarge {
        /// The limit.
        limit: u64,
    },
    /// Stored bytes failed.
    #[error("stored bytes cannot be used")]
    Data(#[source] dataplane::Error),
    /// The log failed.
    #[error("the event log failed")]
    Log(#[source] Arc<events::Error>),
    /// The database failed.
    #[error("the database failed")]
    Db(#[from] db::Error),
    /// A manifest row exists without its bytes.
    #[error("the bytes of manifest {0} are missing")]
    ManifestLost(Digest),
    /// A copy leads to other views than its original: this program folds events differently than the one before.
    #[error("the views of the copy differ from the original's: {0}")]
    CopyDiffers(String),
    /// The storage is not the one that the objects of the log are in.
    #[error(transparent)]
    WrongPlace(WrongPlace),
    /// Both sides of a copy store in one place.
    #[error(
        "both sides store in place {0}: what is written to the copy or removed from it would be the original's; give \
         the copy a folder or a bucket of its own"
    )]
    SamePlace(PlaceId),
    /// Part of a request was ended by a shutdown.
    #[error("the registry is shutting down")]
    Stopping,
}

impl Error {
    /// Whether the same request may well succeed in a few seconds: the storage or the database cannot be had for
    /// the moment. Says nothing about whether this one was carried out.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Data(error) => error.is_unavailable(),
            Self::Db(error) => error.is_unavailable(),
            // Another replica may be the one to ask: this one has to be restarted.
            Self::Log(error) => {
                let must_restart =
                    matches!(**error, events::Error::Forked(_) | events::Error::Superseded { .. });
                must_restart || error.is_unavailable()
            }
            Self::Stopping => true,
            _ => false,
        }
    }
}

impl From<dataplane::Error> for Error {
    fn from(error: dataplane::Error) -> Self {
        match error {
            dataplane::Error::DigestMismatch { claimed, actual } => Self::DigestMismatch { claimed, actual },
            dataplane::Error::TooLarge { limit } => Self::BlobTooLarge { limit },
            other => Self::Data(other),
        }
    }
}

impl From<events::Error> for Error {
    fn from(error: events::Error) -> Self {
        Self::Log(Arc::new(error))
    }
}

//! Why a request asks for nothing that exists.

use crate::oci::{DigestError, NameError, ReferenceError, TagError};
use crate::package::{PackageIdError, PathError};
use crate::registry::{ItemError, WebhookIdError};
use crate::retention::{DispositionIdError, HoldIdError};

/// Why a request asks for nothing that exists.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// There is no such path.
    #[error("there is nothing at this path")]
    NotFound,
    /// The path exists, with other methods.
    #[error("this path takes {}", .0.join(", "))]
    Method(&'static [&'static str]),
    /// The repository name is malformed.
    #[error("invalid repository name: {0}")]
    Name(#[source] NameError),
    /// A digest is malformed or of an unknown algorithm.
    #[error("invalid digest: {0}")]
    Digest(#[source] DigestError),
    /// A session is to be closed without a digest.
    #[error("the query parameter digest is missing: it says what the upload is")]
    DigestMissing,
    /// A reference to push to or to delete is malformed.
    #[error("invalid reference: {0}")]
    Reference(#[source] ReferenceError),
    /// A tag to read is malformed, so there is none like it.
    #[error("there is no such tag: {0}")]
    NoSuchTag(#[source] TagError),
    /// A tag is malformed.
    #[error("invalid tag: {0}")]
    Tag(#[source] TagError),
    /// A session id is malformed; none of ours is.
    #[error("there is no such upload")]
    Upload,
    /// A package id is malformed; none of ours is.
    #[error("there is no such package: {0}")]
    Package(#[source] PackageIdError),
    /// A hold id is malformed; none of ours is.
    #[error("there is no such hold: {0}")]
    Hold(#[source] HoldIdError),
    /// A disposition id is malformed; none of ours is.
    #[error("there is no such disposition: {0}")]
    Disposition(#[source] DispositionIdError),
    /// A webhook id is malformed; none of ours is.
    #[error("there is no such webhook: {0}")]
    Webhook(#[source] WebhookIdError),
    /// What is asked about is neither a tag nor a digest nor a package id.
    #[error("query parameter reference: {0}")]
    Item(#[source] ItemError),
    /// The path of a file is not one.
    #[error("invalid file path: {0}")]
    Path(#[source] PathError),
    /// A signed URL is used to change something.
    #[error("a signed URL opens what it names for GET and HEAD, and for no other method")]
    SignedForReading,
    /// The key of an object, or how the keys of a list begin, is not one.
    #[error("invalid key: {0}")]
    Key(#[source] PathError),
    /// A part of the path of a file has a slash in it.
    #[error("part {0:?} of the path has an encoded slash; the slashes of a path are sent as they are")]
    EncodedSlash(String),
    /// The path is not UTF-8 behind its percent-encoding.
    #[error("segment {0:?} of the path is not percent-encoded UTF-8")]
    Encoding(String),
    /// A query parameter has no meaning.
    #[error("query parameter {name}: {reason}")]
    Query {
        /// The parameter.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// There is no query parameter of this name, where none is ignored.
    #[error(
        "there is no query parameter {name:?}{}",
        nearest.as_ref().map(|it| format!("; is it {it}?")).unwrap_or_default()
    )]
    UnknownQuery {
        /// The name.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A query parameter of the extension is no digest.
    #[error("query parameter {name}: invalid digest: {reason}")]
    QueryDigest {
        /// The parameter.
        name: &'static str,
        /// What is wrong.
        #[source]
        reason: DigestError,
    },
}

//! What keeps a document from being a package manifest.

use super::manifest::{MAX_WORD, VERSION};
use super::mapping::Mismatch;
use super::{MAX_FILES, ObjectError, PackagePath};
use crate::codec::cbor;
use crate::oci::Algorithm;

/// Why a document is not a package manifest. Each message names the path, the field or the rule.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Not canonical CBOR, or fields that are not a manifest's.
    #[error("the package manifest is not canonical CBOR of version 1: {0}")]
    Encoding(#[from] cbor::Error),
    /// Another version.
    #[error("manifest_version is {0}, this registry knows {VERSION}")]
    Version(u64),
    /// There is no file.
    #[error("a package has at least one file")]
    Empty,
    /// There are too many.
    #[error("a package has at most {MAX_FILES} files, this one has {0}")]
    TooMany(usize),
    /// The table is out of order.
    #[error("file {0} stands behind one with a greater path; files are sorted bytewise by path")]
    Order(PackagePath),
    /// A path stands there twice.
    #[error("file {0} is there twice")]
    Duplicate(PackagePath),
    /// A path is a file and a folder.
    #[error("{file} is a file and also the folder of {inside}")]
    FileAndFolder {
        /// The file.
        file: PackagePath,
        /// What is in the folder.
        inside: PackagePath,
    },
    /// A field of a file is not what it should be.
    #[error("file {path}: {reason}")]
    File {
        /// The file.
        path: PackagePath,
        /// What is wrong with it.
        reason: String,
    },
    /// A kind, role, class or schema name is malformed.
    #[error("{field} {value:?} is not 1 to {MAX_WORD} of a-z, 0-9, '.', '_' and '-'")]
    Word {
        /// Which field.
        field: &'static str,
        /// What it was.
        value: String,
    },
    /// A digest of the wrong sort.
    #[error("{field} is not a {algorithm} digest")]
    Digest {
        /// Which field.
        field: &'static str,
        /// What it should be.
        algorithm: Algorithm,
    },
    /// Receipts that the registry does not write.
    #[error("storage_receipts are not one or more with a backend_id each, sorted by content_address")]
    Receipts,
    /// Metadata that the encodings cannot say.
    #[error("metadata: {0}")]
    Metadata(#[from] ObjectError),
    /// It does not fit the OCI manifest it came with.
    #[error(transparent)]
    Mapping(#[from] Mismatch),
}

//! What happens to keyed objects.

use serde::{Deserialize, Serialize};

use crate::oci::{Digest, RepositoryName};
use crate::package::PackagePath;

/// A key got an object, or another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectStored {
    /// Where the key is.
    pub repository: RepositoryName,
    /// The key.
    pub key: PackagePath,
    /// BLAKE3 of the bytes.
    pub content: Digest,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub media_type: String,
    /// The content the key had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
}

/// A key lost its object. The bytes stay until a collection finds them unreferenced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectDeleted {
    /// Where the key is.
    pub repository: RepositoryName,
    /// The key.
    pub key: PackagePath,
    /// The content it had.
    pub content: Digest,
}

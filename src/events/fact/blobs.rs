//! What happens to blobs.

use serde::{Deserialize, Serialize};

use crate::oci::{Digest, RepositoryName};

/// A new blob is durable in a backend and live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobStored {
    /// The BLAKE3 digest that identifies the content.
    pub content: Digest,
    /// Every digest by which it can be asked for, `content` included.
    pub digests: Vec<Digest>,
    /// Bytes.
    pub size: u64,
    /// The backend that holds it.
    pub backend: String,
    /// Its key there; written once, never reused.
    pub key: String,
    /// Which version of the key it is, where the backend keeps several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A live blob whose stored copy was lost or damaged has a good copy again, pushed by a client or made of another copy.
/// The damaged one stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRepaired {
    /// The content.
    pub content: Digest,
    /// Bytes.
    pub size: u64,
    /// The backend that holds the new copy.
    pub backend: String,
    /// Its key there.
    pub key: String,
    /// The key of the copy that was lost.
    pub lost: String,
    /// Which version of the key the new copy is, where the backend keeps several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A repository gained a blob, by push or by mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobLinked {
    /// The repository.
    pub repository: RepositoryName,
    /// The blob.
    pub content: Digest,
    /// The digest the client used.
    pub digest: Digest,
    /// The repository it was mounted from, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounted_from: Option<RepositoryName>,
}

/// A repository lost a blob. The bytes stay until a collection finds them unreferenced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobUnlinked {
    /// The repository.
    pub repository: RepositoryName,
    /// The blob.
    pub content: Digest,
}

/// Known content was asked for under one more digest, which was checked against the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentDigested {
    /// The content.
    pub content: Digest,
    /// Its further digest.
    pub digest: Digest,
}

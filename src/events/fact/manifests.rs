//! What happens to manifests and tags.

use serde::{Deserialize, Serialize};

use crate::oci::{Digest, RepositoryName, Tag};

/// What a manifest says of a descriptor it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The config of an image manifest.
    Config,
    /// A layer of an image manifest.
    Layer,
    /// A child of an index.
    Child,
}

impl Role {
    /// As the views store it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Layer => "layer",
            Self::Child => "child",
        }
    }
}

/// One descriptor of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Its place in the manifest.
    pub role: Role,
    /// The content address of what it names if the repository had it, otherwise the digest as written.
    pub target: Digest,
}

/// How a manifest refers to another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The subject's digest as written.
    pub digest: Digest,
    /// The referrer's artifact type, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The referrer's annotations, sorted by key. Pairs, since keys are free text.
    pub annotations: Vec<(String, String)>,
}

/// A repository gained a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestPushed {
    /// The repository.
    pub repository: RepositoryName,
    /// The BLAKE3 digest that identifies the bytes.
    pub content: Digest,
    /// Every digest by which it can be asked for, `content` included.
    pub digests: Vec<Digest>,
    /// The digest it was pushed by; SHA-256 when it was pushed by tag.
    pub digest: Digest,
    /// The media type it is served with.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// What it names, sorted, each once.
    pub references: Vec<Reference>,
    /// Its subject, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
}

/// A repository lost a manifest and with it every tag on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestDeleted {
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub content: Digest,
    /// The digest it had been pushed by.
    pub digest: Digest,
    /// The tags that went with it, sorted.
    pub tags: Vec<Tag>,
}

/// A tag was set or moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagMoved {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// The digest it answers with, in the algorithm the client used.
    pub digest: Digest,
    /// The manifest it names.
    pub content: Digest,
    /// What it named before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
}

/// A tag was removed; its manifest stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagDeleted {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// The digest it had.
    pub digest: Digest,
}

//! Descriptors: how a manifest names content (image-spec `descriptor.md`).

use std::collections::BTreeMap;

use super::digest::Digest;
use super::media;

/// Names content by type, digest and size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The content's type as the manifest states it; never empty, otherwise unchecked.
    pub media_type: String,
    /// The content's digest.
    pub digest: Digest,
    /// The content's size in bytes, at most `i64::MAX`: clients and databases count in signed numbers.
    pub size: u64,
    /// Where else the content can be had.
    pub urls: Vec<String>,
    /// Free-form notes, sorted by key.
    pub annotations: BTreeMap<String, String>,
    /// The type of the artifact a manifest carries, if stated.
    pub artifact_type: Option<String>,
    /// The content itself in base64, if it is embedded; not checked.
    pub data: Option<String>,
}

impl Descriptor {
    /// Whether the content lies elsewhere by intent and a push may leave it out: it has URLs, or its type
    /// is one of the non-distributable ones.
    pub fn is_foreign(&self) -> bool {
        !self.urls.is_empty() || media::is_foreign_layer(&self.media_type)
    }
}

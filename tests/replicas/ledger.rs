//! What clients were told, to hold the registry to it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::support::{Answer, Content};

/// What was acknowledged.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    Blob { repository: String, content: Content, digest: String },
    Manifest { repository: String, digest: String, bytes: Arc<Vec<u8>> },
}

/// The values a tag was sent, in order; each tag has one writer.
#[derive(Default)]
pub(crate) struct Tag {
    pub(crate) sent: Vec<String>,
    /// The tag shows this one or a later one.
    pub(crate) floor: Option<usize>,
}

/// Everything the clients were told.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) kept: Vec<Kept>,
    pub(crate) tags: HashMap<(String, String), Tag>,
}

impl Kept {
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Blob { repository, digest, .. } => format!("/v2/{repository}/blobs/{digest}"),
            Self::Manifest { repository, digest, .. } => format!("/v2/{repository}/manifests/{digest}"),
        }
    }

    pub(crate) fn is_blob(&self) -> bool {
        matches!(self, Self::Blob { .. })
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Blob { content, .. } => content.bytes(),
            Self::Manifest { bytes, .. } => bytes.to_vec(),
        }
    }
}

impl Tag {
    /// It shows its last acknowledged value or one that was sent later.
    pub(crate) fn check(&self, answer: &Answer) {
        if answer.status == 404 {
            assert_eq!(self.floor, None, "a tag was acknowledged and is gone");
            return;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        let shown = answer.header("docker-content-digest").expect("manifests have a digest");
        let place = self.sent.iter().rposition(|sent| sent == shown).expect("a tag shows what was sent");
        assert!(Some(place) >= self.floor, "a tag fell back to value {place} of {:?}", self.floor);
    }
}

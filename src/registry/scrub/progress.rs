//! How far a cycle is: what stands in the table of maintenance.

use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::events::ScrubCompleted;
use crate::oci::Digest;

/// What every id of a cycle begins with.
pub(super) const PREFIX: &str = "scrub_";

/// Where a cycle goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cursor {
    /// With the blobs after this one.
    Blobs(Option<Digest>),
    /// With the manifests after this one.
    Manifests(Option<Digest>),
}

/// A cycle that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// What was done so far.
    pub(super) done: ScrubCompleted,
    pub(super) cursor: Cursor,
    /// Why the last pass ended early, if it did.
    pub(super) failure: Option<String>,
}

impl Progress {
    /// Begins a cycle, when the newest event is this one.
    pub(super) fn begin(started_at: Micros, covers: i64) -> Self {
        let run = format!("{PREFIX}{}", ulid::Ulid::generate().to_string().to_lowercase());
        let done = ScrubCompleted { run, started_at, covers, ..ScrubCompleted::default() };
        Self { done, cursor: Cursor::Blobs(None), failure: None }
    }

    /// What was noted. `None` for what cannot be read: then a new cycle begins.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts become JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_noted_and_anything_else_is_none() {
        let mut progress = Progress::begin(7, 11);
        progress.done.bytes = u64::MAX >> 1;
        progress.failure = Some("the disk \"failed\"".to_owned());
        let digest: Digest = format!("blake3:{}", "ab".repeat(32)).parse().unwrap();
        for cursor in
            [Cursor::Blobs(None), Cursor::Blobs(Some(digest.clone())), Cursor::Manifests(Some(digest))]
        {
            progress.cursor = cursor;
            assert_eq!(Progress::read(&progress.text()), Some(progress.clone()));
        }
        for other in ["", "{}", "blake3:ab"] {
            assert_eq!(Progress::read(other), None);
        }
    }
}

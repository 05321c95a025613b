//! The fact of a snapshot.

use serde::{Deserialize, Serialize};

use super::Copy;
use crate::events::Sequence;
use crate::oci::Digest;

/// The views were written to the storage as they were at one moment. Says what they must come to, so that whoever
/// begins there instead of at event 1 can tell that it is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotCreated {
    /// The newest event the views included; earlier than this one.
    pub sequence: Sequence,
    /// The version of the projections. A snapshot is of no use to another one.
    pub views_version: i64,
    /// The state digest of the views then.
    pub state: Digest,
    /// The rows of all views.
    pub rows: u64,
    /// The object that holds them; its content address is over the object as it is stored.
    pub object: Copy,
    /// The object of an older snapshot that is about to be removed: the newest two are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires: Option<Copy>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::hash;
    use crate::oci::Algorithm;

    /// One fact of every type, with everything optional set.
    pub(in crate::events) fn examples() -> Vec<Fact> {
        let object = |at: u64| Copy {
            content: hash::digest(Algorithm::Blake3, &at.to_be_bytes()),
            size: 7,
            backend: "local".to_owned(),
            key: format!("snapshots/{at}.01arz3ndektsv4rrffq69g5fav"),
            version: Some("null".to_owned()),
        };
        let fact = SnapshotCreated {
            sequence: 3,
            views_version: 2,
            state: hash::digest(Algorithm::Blake3, b"state"),
            rows: 1,
            object: object(3),
            retires: Some(object(1)),
        };
        vec![fact.into()]
    }
}

//! Findings out of nothing, for tests of what happens between a look and its record.

use super::commands::{RecordFinding, Shown};
use crate::events::Damage;
use crate::oci::Digest;

/// That a copy in memory is damaged.
pub(in crate::registry) fn finding(
    content: &Digest,
    key: &str,
) -> impl crate::events::Command<Rejection = crate::registry::Error> {
    RecordFinding {
        run: "scrub_01arz3ndektsv4rrffq69g5fav".to_owned(),
        content: content.clone(),
        backend: "memory".to_owned(),
        key: key.to_owned(),
        shown: Shown::Damaged(Damage::Corrupt, "looks odd".to_owned()),
    }
}

//! Payloads of event types that are not recorded any more, and what each says in today's terms.
//!
//! Stored events keep their bytes, so nothing here is ever removed or changed. An upcast is a pure function of the
//! payload: it does not guess what an older event left unsaid.

use serde::Deserialize;

use super::{BlobsKept, KeptBecause};
use crate::oci::{Digest, RepositoryName};

/// `v1.blob.kept`: it did not tell blobs that were mentioned from those that were asked for, nor which run looked at
/// them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlobsKeptV1 {
    repository: RepositoryName,
    contents: Vec<Digest>,
    is_named: bool,
}

impl BlobsKeptV1 {
    pub(super) fn upcast(self) -> BlobsKept {
        let reason = if self.is_named { KeptBecause::Used } else { KeptBecause::Unsaid };
        BlobsKept { run: None, repository: self.repository, contents: self.contents, reason }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fact;
    use super::*;

    /// Payloads as releases before `v2.blob.kept` recorded them, byte for byte.
    const USED: &str = "a368636f6e74656e7473817847626c616b65333a61663133343962396635663961316136613034303464\
             656133366463633934393962636232356339616463313132623763633961393363616534316633323632\
             6869735f6e616d6564f56a7265706f7369746f727963612f62";
    const ASKED: &str = "a368636f6e74656e7473817847626c616b65333a61663133343962396635663961316136613034303464\
             656133366463633934393962636232356339616463313132623763633961393363616534316633323632\
             6869735f6e616d6564f46a7265706f7369746f727963612f62";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// A payload of every older type, and of some two.
    pub(in crate::events) fn examples() -> Vec<(&'static str, Vec<u8>)> {
        [USED, ASKED].map(|hex| ("v1.blob.kept", bytes(hex))).into()
    }

    #[test]
    fn what_an_older_event_left_unsaid_stays_so() {
        for (hex, reason) in [(USED, KeptBecause::Used), (ASKED, KeptBecause::Unsaid)] {
            let fact = Fact::decode("v1.blob.kept", &bytes(hex)).unwrap();
            let Fact::BlobsKept(kept) = &fact else { panic!("{fact:?}") };
            assert_eq!((kept.run.as_deref(), kept.repository.as_str(), kept.reason), (None, "a/b", reason));
            assert_eq!(kept.contents, [crate::hash::digest(crate::oci::Algorithm::Blake3, b"")]);
            assert_eq!((fact.type_name(), fact.subject()), ("v2.blob.kept", "a/b"));
        }
    }

    #[test]
    fn an_older_payload_under_the_new_name_is_refused() {
        for hex in [USED, ASKED] {
            assert!(Fact::decode("v2.blob.kept", &bytes(hex)).is_err());
        }
    }

    #[test]
    fn every_older_type_leads_to_one_that_is_recorded() {
        for (older, now) in Fact::OLDER {
            assert!(!Fact::TYPES.contains(older) && Fact::TYPES.contains(now), "{older}");
            let name = |name: &'static str| name.split_once('.').unwrap().1;
            assert_eq!(name(older), name(now));
        }
    }
}

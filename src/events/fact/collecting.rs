//! The facts of collection and verification, and the compliance clock. Those of a run are found by its id.

use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::oci::{Digest, RepositoryName};

/// A repository gave up blobs that nothing of it named for the grace period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobsReleased {
    /// The run that found them.
    pub run: String,
    /// The repository.
    pub repository: RepositoryName,
    /// The blobs, sorted.
    pub contents: Vec<Digest>,
}

/// Links that looked unused are in use, or were just asked for: their grace begins again, if they need any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobsKept {
    /// The run that looked at them; none where nobody collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The repository.
    pub repository: RepositoryName,
    /// The blobs, sorted.
    pub contents: Vec<Digest>,
    /// Why.
    pub reason: KeptBecause,
}

/// Why blobs are kept that looked unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeptBecause {
    /// Something has them that will say so when it gives them up: they are no candidates any more.
    Used,
    /// A manifest or a package mentions them in a way that says nothing when it ends: they are looked at again after
    /// another grace.
    Mentioned,
    /// Somebody asked for them, or pushed or mounted them again: their grace begins anew.
    Asked,
    /// Mentioned or asked for: events of `v1.blob.kept` do not tell which. Not recorded any more.
    Unsaid,
}

impl KeptBecause {
    /// Whether the links still seem unused, and will be looked at again.
    pub fn is_for_now(self) -> bool {
        match self {
            Self::Used => false,
            Self::Mentioned | Self::Asked | Self::Unsaid => true,
        }
    }
}

/// Blobs that no repository holds wait for their deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobsCondemned {
    /// The run that found them.
    pub run: String,
    /// The blobs, sorted.
    pub contents: Vec<Digest>,
}

/// A condemned blob was pushed again, and its copy kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRevived {
    /// The blob.
    pub content: Digest,
}

/// One stored copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// The content.
    pub content: Digest,
    /// Bytes.
    pub size: u64,
    /// The backend that holds it.
    pub backend: String,
    /// Its key there.
    pub key: String,
    /// Which version of the key it is, where the backend keeps several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Exactly these copies are about to be deleted (G2): from here on they are not there for anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobsDeleteIntended {
    /// The run.
    pub run: String,
    /// The copies, by content.
    pub copies: Vec<Copy>,
    /// Damaged copies of the same contents, which were kept aside: they go with them. Of their sizes nothing is known:
    /// these are the contents'.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<Copy>,
}

/// These copies are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobsPurged {
    /// The run.
    pub run: String,
    /// The copies, by content.
    pub copies: Vec<Copy>,
    /// Damaged copies that were kept aside, and are gone as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<Copy>,
}

/// An object in a storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orphan {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
}

/// Objects that no event names were seen twice, and are about to be removed, except for one that an event comes to name
/// meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrphansRemoved {
    /// The run that found them.
    pub run: String,
    /// The backend that holds them.
    pub backend: String,
    /// The objects, by key.
    pub objects: Vec<Orphan>,
}

/// What is wrong with a stored copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Damage {
    /// Other bytes than were stored, or fewer, or more.
    Corrupt,
    /// No bytes at all.
    Missing,
}

impl Damage {
    /// As the views store it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Missing => "missing",
        }
    }

    /// The damage of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Corrupt, Self::Missing].into_iter().find(|damage| damage.as_str() == text)
    }
}

/// The copy of a blob is not what was stored. Nobody is served from it until it is repaired. Or the bytes of a manifest
/// are not: the database holds them, and the key is [`manifest_key`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobCorrupted {
    /// The cycle that found it; empty for a reader or a push.
    pub run: String,
    /// The content.
    pub content: Digest,
    /// The backend that holds the copy.
    pub backend: String,
    /// Its key there.
    pub key: String,
    /// What is wrong.
    pub damage: Damage,
    /// What was found, in words.
    pub finding: String,
}

/// A copy could not be read: that says nothing about its bytes, and they were not verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobUnreadable {
    /// The cycle that tried to; empty for a reader or a push.
    pub run: String,
    /// The content.
    pub content: Digest,
    /// The backend that holds the copy.
    pub backend: String,
    /// Its key there.
    pub key: String,
    /// Why, in words.
    pub reason: String,
}

/// A copy that was thought damaged, or that could not be read, is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRecovered {
    /// The content.
    pub content: Digest,
    /// The key of the copy.
    pub key: String,
}

/// What a collection came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GcCompleted {
    /// The run.
    pub run: String,
    /// When it began.
    pub started_at: Micros,
    /// Links that repositories gave up.
    pub released: u64,
    /// Blobs condemned.
    pub condemned: u64,
    /// Copies purged.
    pub purged: u64,
    /// Their bytes.
    pub purged_bytes: u64,
    /// Objects without an event that were removed.
    pub orphans: u64,
    /// Why it ended early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A cycle over everything stored ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrubCompleted {
    /// The cycle.
    pub run: String,
    /// When it began.
    pub started_at: Micros,
    /// The newest event then: every copy that one up to it named was read, unless it was found unreadable.
    pub covers: i64,
    /// Blobs looked at.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Manifests looked at.
    pub manifests: u64,
    /// Damaged ones among all of them, also those that were known to be.
    pub damaged: u64,
    /// Those that could not be read.
    pub unreadable: u64,
    /// Those that were thought damaged or unreadable and are whole.
    pub recovered: u64,
    /// Of the damaged ones, repaired from another copy.
    pub repaired: u64,
}

/// What stands for the key of a manifest's bytes, which the database holds.
pub fn manifest_key(content: &Digest) -> String {
    format!("manifest/{content}")
}

/// The compliance clock was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockTicked {
    /// What the system's clock showed.
    pub wall: Micros,
    /// Compliance time.
    pub compliance: Micros,
    /// Whether dispositions are frozen: the system's clock went ahead further than time did.
    pub is_frozen: bool,
}

/// Somebody confirmed the system's clock, and the compliance clock follows it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockResynchronised {
    /// Compliance time from now on.
    pub compliance: Micros,
    /// Why.
    pub reason: String,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::hash;
    use crate::oci::Algorithm;

    /// One fact of every type, with everything optional set.
    pub(in crate::events) fn examples(repository: &RepositoryName) -> Vec<Fact> {
        let content = hash::digest(Algorithm::Blake3, b"content");
        let contents = vec![content.clone()];
        let run = || "gc_01arz3ndektsv4rrffq69g5fav".to_owned();
        let copies = vec![Copy {
            content: content.clone(),
            size: 7,
            backend: "local".to_owned(),
            key: "blake3/ab/cd/ab.01".to_owned(),
            version: Some("null".to_owned()),
        }];
        let (backend, key) = ("local".to_owned(), "blake3/ab/cd/ab.01".to_owned());
        vec![
            BlobsReleased { run: run(), repository: repository.clone(), contents: contents.clone() }.into(),
            BlobsKept {
                run: Some(run()),
                repository: repository.clone(),
                contents: contents.clone(),
                reason: KeptBecause::Mentioned,
            }
            .into(),
            BlobsCondemned { run: run(), contents }.into(),
            BlobRevived { content: content.clone() }.into(),
            BlobsDeleteIntended { run: run(), copies: copies.clone(), aside: copies.clone() }.into(),
            BlobsPurged { run: run(), copies: copies.clone(), aside: copies }.into(),
            OrphansRemoved {
                run: run(),
                backend: backend.clone(),
                objects: vec![Orphan { key: key.clone(), size: 7 }],
            }
            .into(),
            BlobCorrupted {
                run: run(),
                content: content.clone(),
                backend: backend.clone(),
                key: key.clone(),
                damage: Damage::Missing,
                finding: "is not there".to_owned(),
            }
            .into(),
            BlobUnreadable {
                run: run(),
                content: content.clone(),
                backend,
                key: key.clone(),
                reason: "the disk failed".to_owned(),
            }
            .into(),
            BlobRecovered { content, key }.into(),
            GcCompleted {
                run: run(),
                started_at: 1,
                released: 2,
                condemned: 3,
                purged: 4,
                purged_bytes: 5,
                orphans: 6,
                failure: Some("the disk failed".to_owned()),
            }
            .into(),
            ScrubCompleted {
                run: "scrub_01arz3ndektsv4rrffq69g5fav".to_owned(),
                started_at: 1,
                covers: 2,
                blobs: 3,
                bytes: 4,
                manifests: 5,
                damaged: 6,
                unreadable: 7,
                recovered: 8,
                repaired: 9,
            }
            .into(),
            ClockTicked { wall: 2, compliance: 1, is_frozen: true }.into(),
            ClockResynchronised { compliance: 2, reason: "looked at it".to_owned() }.into(),
        ]
    }
}

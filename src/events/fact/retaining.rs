//! The facts of retention: policies, retentions, holds, dispositions.

use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::events::Target;
use crate::oci::{Digest, RepositoryName, Tag};
use crate::package::PackageId;
use crate::retention::{DispositionId, Floor, HoldId, HoldKind, Rule};

/// The policy in force became another one; what was resolved before stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyChanged {
    /// Its number; the seeded policy is 1.
    pub version: u64,
    /// The whole policy in canonical JSON.
    pub policy: String,
    /// BLAKE3 of that.
    pub digest: Digest,
}

/// A manifest or a package came under a rule, which is pinned here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionResolved {
    /// Its repository.
    pub repository: RepositoryName,
    /// What is retained.
    pub target: Target,
    /// The rule as it was then.
    pub rule: Rule,
    /// When the period began; `None` while it waits for an event.
    pub from: Option<Micros>,
    /// The earliest permitted deletion; `None` for never, or while it waits.
    pub until: Option<Micros>,
}

/// A retention got a later end, or a stronger class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionExtended {
    /// Its repository.
    pub repository: RepositoryName,
    /// What is retained.
    pub target: Target,
    /// The rule from now on, when the class was raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// When the period began.
    pub from: Option<Micros>,
    /// The earliest permitted deletion from now on; `None` for never, or while it waits for an event.
    pub until: Option<Micros>,
    /// The end it has at the least once it has begun, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Floor>,
    /// The one before.
    pub previous: Option<Micros>,
    /// Why.
    pub reason: String,
}

/// The event a retention waited for happened: an event hold was released and none is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionStarted {
    /// Its repository.
    pub repository: RepositoryName,
    /// What is retained.
    pub target: Target,
    /// The hold whose release it was.
    pub hold: HoldId,
    /// When the period began.
    pub from: Micros,
    /// The earliest permitted deletion.
    pub until: Option<Micros>,
}

/// A retention in governance mode was shortened by somebody with the right to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionShortened {
    /// Its repository.
    pub repository: RepositoryName,
    /// What is retained.
    pub target: Target,
    /// The earliest permitted deletion from now on.
    pub until: Micros,
    /// The one before.
    pub previous: Option<Micros>,
    /// Why.
    pub reason: String,
}

/// Somebody tried to take away what is protected, and was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionDenied {
    /// Its repository.
    pub repository: RepositoryName,
    /// What was tried: `manifest.delete`, `tag.move`, …
    pub action: String,
    /// What is protected there; `None` when only the whole repository is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// What it was tried on, as the client wrote it: a digest, a tag, a key, an id.
    pub subject: String,
    /// What stood against it, each as a short sentence.
    pub reasons: Vec<String>,
    /// How often in a row; repeated attempts are told together.
    pub count: u64,
}

/// Something is held, or a whole repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldPlaced {
    /// The repository.
    pub repository: RepositoryName,
    /// The hold.
    pub hold: HoldId,
    /// What is held; `None` for the repository with all that is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// What it is for.
    pub kind: HoldKind,
    /// The matter it belongs to.
    pub matter: String,
    /// Why.
    pub reason: String,
}

/// A hold ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldReleased {
    /// The repository.
    pub repository: RepositoryName,
    /// The hold.
    pub hold: HoldId,
    /// Why.
    pub reason: String,
}

/// Somebody proposes to dispose of something whose retention is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispositionProposed {
    /// Its repository.
    pub repository: RepositoryName,
    /// The proposal.
    pub disposition: DispositionId,
    /// What would leave.
    pub target: Target,
    /// The newest event that changed its protection; an approval is for this state only (R6).
    pub revision: i64,
    /// How many principals must approve.
    pub approvals: u8,
    /// Seconds from the last approval to the execution.
    pub cooling_off: u32,
    /// Why.
    pub reason: String,
}

/// A principal other than the proposer agrees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispositionApproved {
    /// Its repository.
    pub repository: RepositoryName,
    /// The proposal.
    pub disposition: DispositionId,
    /// The revision that was approved.
    pub revision: i64,
    /// Whether it was the last approval that was needed.
    pub is_complete: bool,
}

/// A principal does not agree: the proposal is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispositionRejected {
    /// Its repository.
    pub repository: RepositoryName,
    /// The proposal.
    pub disposition: DispositionId,
    /// Why.
    pub reason: String,
}

/// A proposal lost its ground: a new hold, an extension, too much time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispositionVoided {
    /// Its repository.
    pub repository: RepositoryName,
    /// The proposal.
    pub disposition: DispositionId,
    /// Why.
    pub reason: String,
}

/// Something was disposed of: it is gone from its repository, and this stays (R9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispositionExecuted {
    /// Its repository.
    pub repository: RepositoryName,
    /// The proposal.
    pub disposition: DispositionId,
    /// What left.
    pub target: Target,
    /// The rule it was under to the end.
    pub rule: Rule,
    /// When its period began.
    pub from: Option<Micros>,
    /// When it ended.
    pub until: Option<Micros>,
    /// SHA-256 of its OCI manifest.
    pub reference: Digest,
    /// The manifests that left with it, by content address, sorted.
    pub manifests: Vec<Digest>,
    /// The tags that were on it, sorted.
    pub tags: Vec<Tag>,
    /// Whether those tags may never be used again.
    pub retires_tags: bool,
    /// The blobs it named, by content address, sorted; what became of each stands in the certificate.
    pub blobs: Vec<Digest>,
}

/// A package left its repository; its record and its manifest stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageDeleted {
    /// Its repository.
    pub repository: RepositoryName,
    /// The package.
    pub package: PackageId,
    /// The disposition that ended it.
    pub disposition: DispositionId,
}

/// What became of every byte of what was disposed of is known and certified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateIssued {
    /// The repository.
    pub repository: RepositoryName,
    /// The disposition.
    pub disposition: DispositionId,
    /// The certificate in canonical JSON, at most 15 MiB.
    pub certificate: String,
    /// BLAKE3 of that.
    pub digest: Digest,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::hash;
    use crate::oci::Algorithm;
    use crate::retention::Classes;

    /// One fact of every type, with everything optional set.
    pub(in crate::events) fn examples(repository: &RepositoryName) -> Vec<Fact> {
        let repository = || repository.clone();
        let content = hash::digest(Algorithm::Blake3, b"content");
        let digest = || content.clone();
        let hold: HoldId = "hold_01arz3ndektsv4rrffq69g5fav".parse().unwrap();
        let package: PackageId = "pkg_01arz3ndektsv4rrffq69g5fav".parse().unwrap();
        let target = Target::Package(package);
        let manifest = Target::Manifest(digest());
        let reason = || "case 7 says so".to_owned();
        let rule = Classes::default().rule(Some("raw-evidence")).unwrap();
        vec![
            PolicyChanged { version: 2, policy: "{}".to_owned(), digest: digest() }.into(),
            RetentionResolved {
                repository: repository(),
                target: target.clone(),
                rule: rule.clone(),
                from: Some(1),
                until: Some(2),
            }
            .into(),
            RetentionExtended {
                repository: repository(),
                target: manifest,
                rule: Some(rule),
                from: Some(1),
                until: Some(3),
                floor: Some(Floor::Until(3)),
                previous: Some(2),
                reason: reason(),
            }
            .into(),
            RetentionStarted {
                repository: repository(),
                target: target.clone(),
                hold: hold.clone(),
                from: 1,
                until: Some(2),
            }
            .into(),
            RetentionShortened {
                repository: repository(),
                target: target.clone(),
                until: 1,
                previous: Some(2),
                reason: reason(),
            }
            .into(),
            RetentionDenied {
                repository: repository(),
                action: "tag.move".to_owned(),
                target: Some(target.clone()),
                subject: "v1".to_owned(),
                reasons: vec![reason()],
                count: 2,
            }
            .into(),
            HoldPlaced {
                repository: repository(),
                hold: hold.clone(),
                target: Some(target.clone()),
                kind: HoldKind::Event,
                matter: "case 7".to_owned(),
                reason: reason(),
            }
            .into(),
            HoldReleased { repository: repository(), hold, reason: reason() }.into(),
        ]
        .into_iter()
        .chain(disposition_examples(repository))
        .collect()
    }

    fn disposition_examples(repository: impl Fn() -> RepositoryName) -> Vec<Fact> {
        let content = hash::digest(Algorithm::Blake3, b"content");
        let digest = || content.clone();
        let disposition: DispositionId = "disp_01arz3ndektsv4rrffq69g5fav".parse().unwrap();
        let package: PackageId = "pkg_01arz3ndektsv4rrffq69g5fav".parse().unwrap();
        let target = Target::Package(package.clone());
        let reason = || "case 7 says so".to_owned();
        let tag: Tag = "v1".parse().unwrap();
        vec![
            DispositionProposed {
                repository: repository(),
                disposition: disposition.clone(),
                target: target.clone(),
                revision: 7,
                approvals: 2,
                cooling_off: 86_400,
                reason: reason(),
            }
            .into(),
            DispositionApproved {
                repository: repository(),
                disposition: disposition.clone(),
                revision: 7,
                is_complete: true,
            }
            .into(),
            DispositionRejected {
                repository: repository(),
                disposition: disposition.clone(),
                reason: reason(),
            }
            .into(),
            DispositionVoided {
                repository: repository(),
                disposition: disposition.clone(),
                reason: reason(),
            }
            .into(),
            DispositionExecuted {
                repository: repository(),
                disposition: disposition.clone(),
                target,
                rule: Classes::default().rule(Some("raw-evidence")).unwrap(),
                from: Some(1),
                until: Some(2),
                reference: hash::digest(Algorithm::Sha256, b"content"),
                manifests: vec![digest()],
                tags: vec![tag],
                retires_tags: true,
                blobs: vec![digest()],
            }
            .into(),
            PackageDeleted { repository: repository(), package, disposition: disposition.clone() }.into(),
            CertificateIssued {
                repository: repository(),
                disposition,
                certificate: "{}".to_owned(),
                digest: digest(),
            }
            .into(),
        ]
    }
}

//! The catalogue of facts: every event type with its payload.
//!
//! A fact is a statement about the past and is never changed. A payload's encoding is canonical CBOR; an
//! optional field may be added to a type, a change of meaning is a new `v2.` type and an upcast in
//! [`Fact::decode`]: what was stored as `v1.` stays so for ever, and is read as what it would be today (`older`). An
//! unknown type stops a replay: guessing would rebuild a different state.

mod blobs;
mod collecting;
mod manifests;
mod objects;
mod older;
mod packages;
mod retaining;
mod snapshots;
mod webhooks;

#[cfg(test)]
mod document;
#[cfg(test)]
pub(super) mod tests;

use serde::de::DeserializeOwned;

pub use blobs::{BlobLinked, BlobRepaired, BlobStored, BlobUnlinked, ContentDigested};
pub use collecting::{
    BlobCorrupted, BlobRecovered, BlobRevived, BlobUnreadable, BlobsCondemned, BlobsDeleteIntended,
    BlobsKept, BlobsPurged, BlobsReleased, ClockResynchronised, ClockTicked, Copy, Damage, GcCompleted,
    KeptBecause, Orphan, OrphansRemoved, ScrubCompleted, manifest_key,
};
pub use manifests::{ManifestDeleted, ManifestPushed, Reference, Role, Subject, TagDeleted, TagMoved};
pub use objects::{ObjectDeleted, ObjectStored};
pub use packages::{
    PackageCreated, PackageFailed, PackageFailure, PackageFileDropped, PackageFileIngested,
    PackageFileReplaced, PackageFinalized, SchemaRegistered,
};

pub use retaining::{
    CertificateIssued, DispositionApproved, DispositionExecuted, DispositionProposed, DispositionRejected,
    DispositionVoided, HoldPlaced, HoldReleased, PackageDeleted, PolicyChanged, RetentionDenied,
    RetentionExtended, RetentionResolved, RetentionShortened, RetentionStarted,
};
pub use snapshots::SnapshotCreated;

use older::BlobsKeptV1;

pub use webhooks::{Subscribed, WebhookChanged, WebhookCreated, WebhookDeleted, WebhookId, WebhookIdError};

use super::Target;
use crate::codec::cbor::{self, Limits};
use crate::oci::RepositoryName;

/// A payload, and a view row, may hold what a manifest of 4 MiB holds: one long annotation, escaped.
pub(crate) const LIMITS: Limits = Limits { text: 16 * 1024 * 1024, ..Limits::DOCUMENT };

/// The list of types exists once, here; the enum, its names and its codec follow from it.
macro_rules! facts {
    (
        $($name:literal => $variant:ident),+ $(,)?;
        older: $($older:literal => $payload:ident, now $now:literal),+ $(,)?
    ) => {
        /// One thing that happened.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each variant is its payload type, documented there")]
        pub enum Fact { $($variant($variant)),+ }

        $(impl From<$variant> for Fact {
            fn from(payload: $variant) -> Self {
                Self::$variant(payload)
            }
        })+

        impl Fact {
            /// Every event type that is recorded.
            pub const TYPES: &'static [&'static str] = &[$($name),+];

            /// Event types that were recorded once, each with the type its events are read as.
            pub const OLDER: &'static [(&'static str, &'static str)] = &[$(($older, $now)),+];

            /// The event type it is recorded as, e.g. `v1.tag.moved`.
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),+ }
            }

            /// The payload in canonical CBOR.
            pub fn encode(&self) -> Result<Vec<u8>, cbor::Error> {
                match self { $(Self::$variant(payload) => cbor::to_vec_with_limits(payload, &LIMITS)),+ }
            }

            /// The fact of a stored payload; of an older type, what it says in today's terms.
            pub fn decode(type_name: &str, payload: &[u8]) -> Result<Self, FactError> {
                match type_name {
                    $($name => read(payload).map(Self::$variant),)+
                    $($older => read::<$payload>(payload).map(|older| Self::from(older.upcast())),)+
                    _ => Err(FactError::UnknownType(type_name.to_owned())),
                }
            }
        }
    };
}

facts! {
    "v1.blob.stored" => BlobStored,
    "v1.blob.repaired" => BlobRepaired,
    "v1.blob.linked" => BlobLinked,
    "v1.blob.unlinked" => BlobUnlinked,
    "v1.content.digested" => ContentDigested,
    "v1.manifest.pushed" => ManifestPushed,
    "v1.manifest.deleted" => ManifestDeleted,
    "v1.tag.moved" => TagMoved,
    "v1.tag.deleted" => TagDeleted,
    "v1.package.created" => PackageCreated,
    "v1.package.file_ingested" => PackageFileIngested,
    "v1.package.file_replaced" => PackageFileReplaced,
    "v1.package.file_dropped" => PackageFileDropped,
    "v1.package.finalized" => PackageFinalized,
    "v1.package.failed" => PackageFailed,
    "v1.schema.registered" => SchemaRegistered,
    "v1.object.stored" => ObjectStored,
    "v1.object.deleted" => ObjectDeleted,
    "v1.policy.changed" => PolicyChanged,
    "v1.retention.resolved" => RetentionResolved,
    "v1.retention.extended" => RetentionExtended,
    "v1.retention.started" => RetentionStarted,
    "v1.retention.shortened" => RetentionShortened,
    "v1.retention.denied" => RetentionDenied,
    "v1.hold.placed" => HoldPlaced,
    "v1.hold.released" => HoldReleased,
    "v1.disposition.proposed" => DispositionProposed,
    "v1.disposition.approved" => DispositionApproved,
    "v1.disposition.rejected" => DispositionRejected,
    "v1.disposition.voided" => DispositionVoided,
    "v1.disposition.executed" => DispositionExecuted,
    "v1.package.deleted" => PackageDeleted,
    "v1.certificate.issued" => CertificateIssued,
    "v1.blob.released" => BlobsReleased,
    "v2.blob.kept" => BlobsKept,
    "v1.blob.condemned" => BlobsCondemned,
    "v1.blob.revived" => BlobRevived,
    "v1.blob.delete_intended" => BlobsDeleteIntended,
    "v1.blob.purged" => BlobsPurged,
    "v1.orphan.removed" => OrphansRemoved,
    "v1.blob.corrupted" => BlobCorrupted,
    "v1.blob.unreadable" => BlobUnreadable,
    "v1.blob.recovered" => BlobRecovered,
    "v1.gc.completed" => GcCompleted,
    "v1.scrub.completed" => ScrubCompleted,
    "v1.clock.ticked" => ClockTicked,
    "v1.clock.resynchronised" => ClockResynchronised,
    "v1.snapshot.created" => SnapshotCreated,
    "v1.webhook.created" => WebhookCreated,
    "v1.webhook.changed" => WebhookChanged,
    "v1.webhook.deleted" => WebhookDeleted;
    older:
    "v1.blob.kept" => BlobsKeptV1, now "v2.blob.kept",
}

/// Why a stored payload could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    /// This program is older than the log, or the log is not ours.
    #[error("unknown event type {0:?}")]
    UnknownType(String),
    /// The payload is not canonical CBOR or not of its type.
    #[error("malformed payload")]
    Payload(#[source] cbor::Error),
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, FactError> {
    cbor::from_slice_with_limits(payload, &LIMITS).map_err(FactError::Payload)
}

impl Fact {
    /// The repository it concerns, if it concerns one.
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::BlobStored(_)
            | Self::BlobRepaired(_)
            | Self::ContentDigested(_)
            | Self::SchemaRegistered(_)
            | Self::PolicyChanged(_)
            | Self::BlobsCondemned(_)
            | Self::BlobRevived(_)
            | Self::BlobsDeleteIntended(_)
            | Self::BlobsPurged(_)
            | Self::OrphansRemoved(_)
            | Self::BlobCorrupted(_)
            | Self::BlobUnreadable(_)
            | Self::BlobRecovered(_)
            | Self::GcCompleted(_)
            | Self::ScrubCompleted(_)
            | Self::ClockTicked(_)
            | Self::ClockResynchronised(_)
            | Self::SnapshotCreated(_)
            | Self::WebhookCreated(_)
            | Self::WebhookChanged(_)
            | Self::WebhookDeleted(_) => None,
            Self::BlobLinked(fact) => Some(&fact.repository),
            Self::BlobUnlinked(fact) => Some(&fact.repository),
            Self::ManifestPushed(fact) => Some(&fact.repository),
            Self::ManifestDeleted(fact) => Some(&fact.repository),
            Self::TagMoved(fact) => Some(&fact.repository),
            Self::TagDeleted(fact) => Some(&fact.repository),
            Self::PackageCreated(fact) => Some(&fact.repository),
            Self::PackageFileIngested(fact) => Some(&fact.repository),
            Self::PackageFileReplaced(fact) => Some(&fact.repository),
            Self::PackageFileDropped(fact) => Some(&fact.repository),
            Self::PackageFinalized(fact) => Some(&fact.package.repository),
            Self::PackageFailed(fact) => Some(&fact.repository),
            Self::ObjectStored(fact) => Some(&fact.repository),
            Self::ObjectDeleted(fact) => Some(&fact.repository),
            Self::RetentionResolved(fact) => Some(&fact.repository),
            Self::RetentionExtended(fact) => Some(&fact.repository),
            Self::RetentionStarted(fact) => Some(&fact.repository),
            Self::RetentionShortened(fact) => Some(&fact.repository),
            Self::RetentionDenied(fact) => Some(&fact.repository),
            Self::HoldPlaced(fact) => Some(&fact.repository),
            Self::HoldReleased(fact) => Some(&fact.repository),
            Self::DispositionProposed(fact) => Some(&fact.repository),
            Self::DispositionApproved(fact) => Some(&fact.repository),
            Self::DispositionRejected(fact) => Some(&fact.repository),
            Self::DispositionVoided(fact) => Some(&fact.repository),
            Self::DispositionExecuted(fact) => Some(&fact.repository),
            Self::PackageDeleted(fact) => Some(&fact.repository),
            Self::CertificateIssued(fact) => Some(&fact.repository),
            Self::BlobsReleased(fact) => Some(&fact.repository),
            Self::BlobsKept(fact) => Some(&fact.repository),
        }
    }

    /// What it is about: a package id, a schema's name, otherwise a content address, or the digest a tag had.
    pub fn subject(&self) -> &str {
        match self {
            Self::BlobStored(fact) => fact.content.as_str(),
            Self::BlobRepaired(fact) => fact.content.as_str(),
            Self::BlobLinked(fact) => fact.content.as_str(),
            Self::BlobUnlinked(fact) => fact.content.as_str(),
            Self::ContentDigested(fact) => fact.content.as_str(),
            Self::ManifestPushed(fact) => fact.content.as_str(),
            Self::ManifestDeleted(fact) => fact.content.as_str(),
            Self::TagMoved(fact) => fact.content.as_str(),
            Self::TagDeleted(fact) => fact.digest.as_str(),
            Self::PackageCreated(fact) => fact.package.as_str(),
            Self::PackageFileIngested(fact) => fact.package.as_str(),
            Self::PackageFileReplaced(fact) => fact.package.as_str(),
            Self::PackageFileDropped(fact) => fact.package.as_str(),
            Self::PackageFinalized(fact) => fact.package.id.as_str(),
            Self::PackageFailed(fact) => fact.package.as_str(),
            Self::SchemaRegistered(fact) => &fact.name,
            Self::ObjectStored(fact) => fact.content.as_str(),
            Self::ObjectDeleted(fact) => fact.content.as_str(),
            Self::PolicyChanged(fact) => fact.digest.as_str(),
            Self::RetentionResolved(fact) => fact.target.as_str(),
            Self::RetentionExtended(fact) => fact.target.as_str(),
            Self::RetentionStarted(fact) => fact.target.as_str(),
            Self::RetentionShortened(fact) => fact.target.as_str(),
            Self::RetentionDenied(fact) => fact.target.as_ref().map_or(&*fact.subject, Target::as_str),
            Self::HoldPlaced(fact) => {
                fact.target.as_ref().map_or_else(|| fact.repository.as_str(), Target::as_str)
            }
            Self::HoldReleased(fact) => fact.hold.as_str(),
            Self::DispositionProposed(fact) => fact.target.as_str(),
            Self::DispositionApproved(fact) => fact.disposition.as_str(),
            Self::DispositionRejected(fact) => fact.disposition.as_str(),
            Self::DispositionVoided(fact) => fact.disposition.as_str(),
            Self::DispositionExecuted(fact) => fact.target.as_str(),
            Self::PackageDeleted(fact) => fact.package.as_str(),
            Self::CertificateIssued(fact) => fact.disposition.as_str(),
            Self::BlobsReleased(fact) => &fact.run,
            Self::BlobsKept(fact) => fact.run.as_deref().unwrap_or(fact.repository.as_str()),
            Self::BlobsCondemned(fact) => &fact.run,
            Self::BlobRevived(fact) => fact.content.as_str(),
            Self::BlobsDeleteIntended(fact) => &fact.run,
            Self::BlobsPurged(fact) => &fact.run,
            Self::OrphansRemoved(fact) => &fact.run,
            Self::BlobCorrupted(fact) => fact.content.as_str(),
            Self::BlobUnreadable(fact) => fact.content.as_str(),
            Self::BlobRecovered(fact) => fact.content.as_str(),
            Self::GcCompleted(fact) => &fact.run,
            Self::ScrubCompleted(fact) => &fact.run,
            Self::ClockTicked(_) | Self::ClockResynchronised(_) => "clock",
            Self::SnapshotCreated(_) => "snapshot",
            Self::WebhookCreated(fact) => fact.webhook.as_str(),
            Self::WebhookChanged(fact) => fact.webhook.as_str(),
            Self::WebhookDeleted(fact) => fact.webhook.as_str(),
        }
    }
}

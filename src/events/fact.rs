//! The catalogue of facts: every event type with its payload.
//!
//! A fact is a statement about the past and is never changed. A payload's encoding is canonical CBOR; an
//! optional field may be added to a type, a change of meaning is a new `v2.` type and an upcast in
//! [`Fact::decode`]. An unknown type stops a replay: guessing would rebuild a different state.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::codec::cbor::{self, Limits};
use crate::oci::{Digest, RepositoryName, Tag};
pub use crate::package::Manifest as PackageFinalized;
use crate::package::{Description, File, Object, PackageId, PackagePath};

use super::Target;
use super::collecting::{
    BlobCorrupted, BlobRecovered, BlobRevived, BlobsCondemned, BlobsDeleteIntended, BlobsKept, BlobsPurged,
    BlobsReleased, ClockResynchronised, ClockTicked, GcCompleted, ScrubCompleted,
};
use super::retaining::{
    CertificateIssued, DispositionApproved, DispositionExecuted, DispositionProposed, DispositionRejected,
    DispositionVoided, HoldPlaced, HoldReleased, PackageDeleted, PolicyChanged, RetentionDenied,
    RetentionExtended, RetentionResolved, RetentionShortened, RetentionStarted,
};

/// A payload, and a view row, may hold what a manifest of 4 MiB holds: one long annotation, escaped.
pub(super) const LIMITS: Limits = Limits { text: 16 * 1024 * 1024, ..Limits::DOCUMENT };

/// A new blob is durable in a backend and live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobStored {
    /// The BLAKE3 digest that identifies the content.
    pub content: Digest,
    /// Every digest by which it can be asked for, `content` included.
    pub digests: Vec<Digest>,
    /// Bytes.
    pub size: u64,
    /// The backend that holds it.
    pub backend: String,
    /// Its key there; written once, never reused.
    pub key: String,
    /// Which version of the key it is, where the backend keeps several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A live blob whose stored copy was lost or damaged has a good copy again, pushed by a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRepaired {
    /// The content.
    pub content: Digest,
    /// Bytes.
    pub size: u64,
    /// The backend that holds the new copy.
    pub backend: String,
    /// Its key there.
    pub key: String,
    /// The key of the copy that was lost.
    pub lost: String,
    /// Which version of the key the new copy is, where the backend keeps several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A repository gained a blob, by push or by mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobLinked {
    /// The repository.
    pub repository: RepositoryName,
    /// The blob.
    pub content: Digest,
    /// The digest the client used.
    pub digest: Digest,
    /// The repository it was mounted from, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounted_from: Option<RepositoryName>,
}

/// A repository lost a blob. The bytes stay until a collection finds them unreferenced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobUnlinked {
    /// The repository.
    pub repository: RepositoryName,
    /// The blob.
    pub content: Digest,
}

/// Known content was asked for under one more digest, which was checked against the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentDigested {
    /// The content.
    pub content: Digest,
    /// Its further digest.
    pub digest: Digest,
}

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

/// A draft of a package was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageCreated {
    /// Its repository.
    pub repository: RepositoryName,
    /// Its id.
    pub package: PackageId,
    /// What its producer said of it.
    pub description: Description,
    /// Where it comes from.
    pub provenance: Object,
    /// The earliest deletion if it were finalized now; `None` for never.
    pub expires_at: Option<Micros>,
}

/// A draft gained a file, which its repository links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageFileIngested {
    /// The package's repository.
    pub repository: RepositoryName,
    /// The package.
    pub package: PackageId,
    /// The file.
    pub file: File,
}

/// A file of a draft became another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageFileReplaced {
    /// The package's repository.
    pub repository: RepositoryName,
    /// The package.
    pub package: PackageId,
    /// The file as it is now.
    pub file: File,
    /// The content it had.
    pub previous: Digest,
}

/// A draft lost a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageFileDropped {
    /// The package's repository.
    pub repository: RepositoryName,
    /// The package.
    pub package: PackageId,
    /// Which file.
    pub path: PackagePath,
    /// The content it had.
    pub content: Digest,
}

/// Why a draft will never be finalized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageFailure {
    /// Its producer gave it up.
    Aborted,
    /// Nothing was done to it for too long.
    Expired,
}

impl PackageFailure {
    /// As the views store it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::Expired => "expired",
        }
    }
}

/// A draft ended without becoming a package; its files are let go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageFailed {
    /// Its repository.
    pub repository: RepositoryName,
    /// The package.
    pub package: PackageId,
    /// Why.
    pub reason: PackageFailure,
}

/// A metadata schema was registered, or replaced by another one for packages to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRegistered {
    /// Its name.
    pub name: String,
    /// The JSON Schema, as it was sent.
    pub schema: String,
    /// BLAKE3 of the schema.
    pub digest: Digest,
}

/// A key got an object, or another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectStored {
    /// Where the key is.
    pub repository: RepositoryName,
    /// The key.
    pub key: PackagePath,
    /// BLAKE3 of the bytes.
    pub content: Digest,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub media_type: String,
    /// The content the key had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
}

/// A key lost its object. The bytes stay until a collection finds them unreferenced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectDeleted {
    /// Where the key is.
    pub repository: RepositoryName,
    /// The key.
    pub key: PackagePath,
    /// The content it had.
    pub content: Digest,
}

/// The list of types exists once, here; the enum, its names and its codec follow from it.
macro_rules! facts {
    ($($name:literal => $variant:ident),+ $(,)?) => {
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
            /// Every event type there is.
            pub const TYPES: &'static [&'static str] = &[$($name),+];

            /// The event type, e.g. `v1.tag.moved`.
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),+ }
            }

            /// The payload in canonical CBOR.
            pub fn encode(&self) -> Result<Vec<u8>, cbor::Error> {
                match self { $(Self::$variant(payload) => cbor::to_vec_with_limits(payload, &LIMITS)),+ }
            }

            /// The fact of a stored payload.
            pub fn decode(type_name: &str, payload: &[u8]) -> Result<Self, FactError> {
                match type_name {
                    $($name => read(payload).map(Self::$variant),)+
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
    "v1.blob.kept" => BlobsKept,
    "v1.blob.condemned" => BlobsCondemned,
    "v1.blob.revived" => BlobRevived,
    "v1.blob.delete_intended" => BlobsDeleteIntended,
    "v1.blob.purged" => BlobsPurged,
    "v1.blob.corrupted" => BlobCorrupted,
    "v1.blob.recovered" => BlobRecovered,
    "v1.gc.completed" => GcCompleted,
    "v1.scrub.completed" => ScrubCompleted,
    "v1.clock.ticked" => ClockTicked,
    "v1.clock.resynchronised" => ClockResynchronised,
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
            | Self::BlobCorrupted(_)
            | Self::BlobRecovered(_)
            | Self::GcCompleted(_)
            | Self::ScrubCompleted(_)
            | Self::ClockTicked(_)
            | Self::ClockResynchronised(_) => None,
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
            Self::RetentionDenied(fact) => &fact.subject,
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
            Self::BlobsKept(fact) => fact.repository.as_str(),
            Self::BlobsCondemned(fact) => &fact.run,
            Self::BlobRevived(fact) => fact.content.as_str(),
            Self::BlobsDeleteIntended(fact) => &fact.run,
            Self::BlobsPurged(fact) => &fact.run,
            Self::BlobCorrupted(fact) => fact.content.as_str(),
            Self::BlobRecovered(fact) => fact.content.as_str(),
            Self::GcCompleted(fact) => &fact.run,
            Self::ScrubCompleted(fact) => &fact.run,
            Self::ClockTicked(_) | Self::ClockResynchronised(_) => "clock",
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::hash;
    use crate::oci::Algorithm;
    use crate::package::{ContentManifest, Record, RetentionSummary, StorageReceipt};

    /// One fact of every type, with everything optional set.
    pub(in crate::events) fn examples(repository: &str, tag: &str) -> Vec<Fact> {
        let repository: RepositoryName = repository.parse().unwrap();
        let tag: Tag = tag.parse().unwrap();
        let content = hash::digest(Algorithm::Blake3, b"content");
        let digest = hash::digest(Algorithm::Sha512, b"content");
        let digests = vec![content.clone(), digest.clone()];
        let reference = |role| Reference { role, target: content.clone() };
        let subject = Subject {
            digest: digest.clone(),
            artifact_type: Some("application/vnd.example+json".to_owned()),
            annotations: vec![(String::new(), "ä\"\n".to_owned()), ("key".to_owned(), String::new())],
        };
        vec![
            BlobStored {
                content: content.clone(),
                digests: digests.clone(),
                size: (1 << 53) - 1,
                backend: "local".to_owned(),
                key: "blake3/ab/cd/ab.01".to_owned(),
                version: Some("3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY".to_owned()),
            }
            .into(),
            BlobRepaired {
                content: content.clone(),
                size: 7,
                backend: "local".to_owned(),
                key: "blake3/new".to_owned(),
                lost: "blake3/old".to_owned(),
                version: Some("null".to_owned()),
            }
            .into(),
            BlobLinked {
                repository: repository.clone(),
                content: content.clone(),
                digest: digest.clone(),
                mounted_from: Some(repository.clone()),
            }
            .into(),
            BlobUnlinked { repository: repository.clone(), content: content.clone() }.into(),
            ContentDigested { content: content.clone(), digest: digest.clone() }.into(),
            ManifestPushed {
                repository: repository.clone(),
                content: content.clone(),
                digests,
                digest: digest.clone(),
                media_type: crate::oci::media::OCI_IMAGE_INDEX.to_owned(),
                size: 0,
                references: [Role::Config, Role::Layer, Role::Child].map(reference).into(),
                subject: Some(subject),
            }
            .into(),
            ManifestDeleted {
                repository: repository.clone(),
                content: content.clone(),
                digest: digest.clone(),
                tags: vec![tag.clone()],
            }
            .into(),
            TagMoved {
                repository: repository.clone(),
                tag: tag.clone(),
                digest: digest.clone(),
                content: content.clone(),
                previous: Some(content),
            }
            .into(),
            TagDeleted { repository: repository.clone(), tag, digest }.into(),
        ]
        .into_iter()
        .chain(package_examples(&repository))
        .chain(crate::events::retaining::tests::examples(&repository))
        .chain(crate::events::collecting::tests::examples(&repository))
        .collect()
    }

    fn package_examples(repository: &RepositoryName) -> Vec<Fact> {
        let content = hash::digest(Algorithm::Blake3, b"content");
        let sha256 = hash::digest(Algorithm::Sha256, b"content");
        let package: PackageId = "pkg_01arz3ndektsv4rrffq69g5fav".parse().unwrap();
        let path: PackagePath = "logs/ä b.txt".parse().unwrap();
        let object = Object::from_json(br#"{"run":{"id":"r-1"},"n":[1,null]}"#).unwrap();
        let description = Description {
            kind: Some("test-run".to_owned()),
            retention_class: Some("raw-evidence".to_owned()),
            schema: Some("run".to_owned()),
            metadata: object.clone(),
        };
        let file = File {
            path: path.clone(),
            media_type: "text/plain".to_owned(),
            size: 7,
            content_address: content.clone(),
            sha256: sha256.clone(),
            role: Some("log".to_owned()),
        };
        let record = Record {
            id: package.clone(),
            repository: repository.clone(),
            kind: description.kind.clone(),
            retention_class: description.retention_class.clone(),
            schema: description.schema.clone(),
            metadata: object.clone(),
            created_at: 1,
            finalized_at: 2,
            content_manifest: content.clone(),
            reference: sha256.clone(),
        };
        let receipt =
            StorageReceipt { content_address: content.clone(), backend_id: "local".to_owned(), size: 7 };
        let retention =
            RetentionSummary { class: "raw-evidence".to_owned(), policy_version: 1, expires_at: Some(3) };
        let whole = ContentManifest::new(description.clone(), vec![file.clone()], object.clone()).unwrap();
        vec![
            PackageCreated {
                repository: repository.clone(),
                package: package.clone(),
                description,
                provenance: object,
                expires_at: Some(3),
            }
            .into(),
            PackageFileIngested {
                repository: repository.clone(),
                package: package.clone(),
                file: file.clone(),
            }
            .into(),
            PackageFileReplaced {
                repository: repository.clone(),
                package: package.clone(),
                file,
                previous: content.clone(),
            }
            .into(),
            PackageFileDropped {
                repository: repository.clone(),
                package: package.clone(),
                path: path.clone(),
                content: content.clone(),
            }
            .into(),
            PackageFinalized::new(whole, record, vec![receipt], retention).into(),
            PackageFailed { repository: repository.clone(), package, reason: PackageFailure::Expired }.into(),
            SchemaRegistered {
                name: "run".to_owned(),
                schema: r#"{"type":"object"}"#.to_owned(),
                digest: content.clone(),
            }
            .into(),
            ObjectStored {
                repository: repository.clone(),
                key: path.clone(),
                content: content.clone(),
                sha256,
                size: 7,
                media_type: "text/plain".to_owned(),
                previous: Some(content.clone()),
            }
            .into(),
            ObjectDeleted { repository: repository.clone(), key: path, content }.into(),
        ]
    }

    /// The examples with everything optional left out.
    fn bare() -> Vec<Fact> {
        let mut facts = examples("r", "t");
        for fact in &mut facts {
            match fact {
                Fact::BlobStored(fact) => fact.version = None,
                Fact::BlobRepaired(fact) => fact.version = None,
                Fact::BlobLinked(fact) => fact.mounted_from = None,
                Fact::TagMoved(fact) => fact.previous = None,
                Fact::ManifestPushed(fact) => fact.subject = None,
                Fact::PackageCreated(fact) => {
                    fact.description = Description::default();
                    fact.expires_at = None;
                }
                Fact::PackageFileIngested(fact) => fact.file.role = None,
                Fact::PackageFinalized(fact) => {
                    fact.package.kind = None;
                    fact.package.retention_class = None;
                    fact.package.schema = None;
                    fact.retention_summary.expires_at = None;
                }
                Fact::ObjectStored(fact) => fact.previous = None,
                Fact::RetentionResolved(fact) => {
                    fact.rule.period = None;
                    fact.rule.auto_dispose_after = None;
                    (fact.from, fact.until) = (None, None);
                }
                Fact::RetentionExtended(fact) => {
                    fact.rule = None;
                    (fact.from, fact.until, fact.previous) = (None, None, None);
                }
                Fact::RetentionStarted(fact) => fact.until = None,
                Fact::RetentionShortened(fact) => fact.previous = None,
                Fact::HoldPlaced(fact) => fact.target = None,
                Fact::GcCompleted(fact) => fact.failure = None,
                _ => {}
            }
        }
        facts
    }

    #[test]
    fn every_type_is_read_back_as_it_was_written() {
        for fact in examples("a/b", "v1").into_iter().chain(bare()) {
            let payload = fact.encode().unwrap();
            assert_eq!(Fact::decode(fact.type_name(), &payload).unwrap(), fact);
        }
    }

    #[test]
    fn a_blob_without_a_version_is_written_as_before_there_were_versions() {
        #[derive(Serialize)]
        struct Before {
            content: Digest,
            digests: Vec<Digest>,
            size: u64,
            backend: &'static str,
            key: &'static str,
        }
        let content = hash::digest(Algorithm::Blake3, b"");
        let (digests, size, backend, key) = (vec![content.clone()], 0, "local", "blake3/x");
        let fact = BlobStored {
            content: content.clone(),
            digests: digests.clone(),
            size,
            backend: backend.to_owned(),
            key: key.to_owned(),
            version: None,
        };
        let before = cbor::to_vec(&Before { content, digests, size, backend, key }).unwrap();
        assert_eq!(Fact::from(fact.clone()).encode().unwrap(), before);
        assert_eq!(Fact::decode("v1.blob.stored", &before).unwrap(), fact.into());
    }

    #[test]
    fn there_is_an_example_of_every_type_and_no_name_twice() {
        let names: Vec<_> = examples("r", "t").iter().map(Fact::type_name).collect();
        assert_eq!(names, Fact::TYPES);
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let payload = examples("r", "t")[0].encode().unwrap();
        assert!(matches!(Fact::decode("v2.blob.stored", &payload), Err(FactError::UnknownType(_))));
        assert!(matches!(Fact::decode("v1.tag.moved", &payload), Err(FactError::Payload(_))));
        assert!(matches!(Fact::decode("v1.blob.stored", &payload[1..]), Err(FactError::Payload(_))));
    }

    #[test]
    fn a_payload_with_an_unknown_field_is_refused() {
        #[derive(Serialize)]
        struct Extended {
            repository: &'static str,
            content: Digest,
            extra: u8,
        }
        let content = hash::digest(Algorithm::Blake3, b"");
        let payload = cbor::to_vec(&Extended { repository: "r", content, extra: 1 }).unwrap();
        assert!(matches!(Fact::decode("v1.blob.unlinked", &payload), Err(FactError::Payload(_))));
    }
}

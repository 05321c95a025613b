//! The document the registry completes and records at finalize.

use serde::{Deserialize, Serialize};

use super::manifest::{VERSION, check_words, stated};
use super::{
    ContentManifest, Description, File, Invalid, LIMITS, Object, PackageId, check_files, check_kind,
};
use crate::clock::Micros;
use crate::codec::cbor;
use crate::hash;
use crate::oci::{Algorithm, Digest, RepositoryName};

/// What the registry adds to the description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Names the package for ever.
    pub id: PackageId,
    /// Where it is.
    pub repository: RepositoryName,
    /// As the producer gave it.
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// As the producer asked.
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub retention_class: Option<String>,
    /// As the producer gave it.
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// As the producer gave it.
    pub metadata: Object,
    /// When it was created, µs since the epoch.
    pub created_at: Micros,
    /// When it was finalized, µs since the epoch.
    pub finalized_at: Micros,
    /// BLAKE3 of the canonical CBOR of its [`ContentManifest`].
    pub content_manifest: Digest,
    /// SHA-256 of its OCI manifest or index.
    pub reference: Digest,
}

/// Where the bytes of a file went. Never a physical key: those change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageReceipt {
    /// The BLAKE3 digest of the bytes.
    pub content_address: Digest,
    /// The backend that acknowledged them.
    pub backend_id: String,
    /// Bytes.
    pub size: u64,
}

/// What was resolved for the package when it was finalized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSummary {
    /// The class.
    pub class: String,
    /// Which version of the policy said so.
    pub policy_version: u64,
    /// The earliest permitted deletion, µs since the epoch; `None` for never.
    // Named, because a derived reader takes a missing field for `None`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub expires_at: Option<Micros>,
}

/// A finalized package: the payload of `v1.package.finalized`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// 1.
    pub manifest_version: u64,
    /// The package.
    pub package: Record,
    /// Sorted by path.
    pub files: Vec<File>,
    /// One per distinct content that is stored, sorted by content address: the files, or the archives they are in.
    pub storage_receipts: Vec<StorageReceipt>,
    /// How long it stays.
    pub retention_summary: RetentionSummary,
    /// As the producer gave it.
    pub provenance: Object,
}

impl Manifest {
    /// Completes a content manifest.
    pub fn new(
        content: ContentManifest,
        record: Record,
        mut storage_receipts: Vec<StorageReceipt>,
        retention_summary: RetentionSummary,
    ) -> Self {
        storage_receipts.sort();
        storage_receipts.dedup();
        Self {
            manifest_version: VERSION,
            package: record,
            files: content.files,
            storage_receipts,
            retention_summary,
            provenance: content.provenance,
        }
    }

    /// The content manifest it completes.
    pub fn into_content(self) -> ContentManifest {
        let Record { kind, retention_class, schema, metadata, .. } = self.package;
        ContentManifest {
            manifest_version: VERSION,
            package: Description { kind, retention_class, schema, metadata },
            files: self.files,
            provenance: self.provenance,
        }
    }

    /// Reads canonical CBOR, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let manifest: Self = cbor::from_slice_with_limits(bytes, &LIMITS)?;
        if manifest.manifest_version != VERSION {
            return Err(Invalid::Version(manifest.manifest_version));
        }
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), Invalid> {
        let Record { kind, retention_class, schema, content_manifest, reference, .. } = &self.package;
        check_words(kind.as_deref(), retention_class.as_deref(), schema.as_deref())?;
        check_kind("class", Some(&self.retention_summary.class))?;
        check_algorithm("content_manifest", content_manifest, Algorithm::Blake3)?;
        check_algorithm("reference", reference, Algorithm::Sha256)?;
        check_receipts(&self.storage_receipts)?;
        check_files(&self.files)
    }

    /// Its canonical CBOR, which is what its digest is over.
    pub fn encode(&self) -> Result<Vec<u8>, Invalid> {
        Ok(cbor::to_vec_with_limits(self, &LIMITS)?)
    }

    /// BLAKE3 over the canonical CBOR.
    pub fn digest(bytes: &[u8]) -> Digest {
        hash::digest(Algorithm::Blake3, bytes)
    }
}

fn check_algorithm(field: &'static str, digest: &Digest, algorithm: Algorithm) -> Result<(), Invalid> {
    if digest.algorithm() == algorithm { Ok(()) } else { Err(Invalid::Digest { field, algorithm }) }
}

/// Not that every file has one: of an archive package the archives are stored.
fn check_receipts(receipts: &[StorageReceipt]) -> Result<(), Invalid> {
    let is_ascending = receipts.is_sorted_by(|a, b| a < b);
    if receipts.is_empty() || !is_ascending || receipts.iter().any(|receipt| receipt.backend_id.is_empty()) {
        return Err(Invalid::Receipts);
    }
    let mut addresses = receipts.iter().map(|receipt| &receipt.content_address);
    addresses.try_for_each(|digest| check_algorithm("storage_receipts", digest, Algorithm::Blake3))
}

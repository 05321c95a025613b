//! The two documents that describe a package, version 1.

use serde::{Deserialize, Serialize};

use super::mapping::Mismatch;
use super::{Object, ObjectError, PackageId, PackagePath};
use crate::clock::Micros;
use crate::codec::cbor;
use crate::hash;
use crate::oci::media::is_media_type;
use crate::oci::{Algorithm, Digest, RepositoryName};

/// The one version there is.
const VERSION: u64 = 1;

/// Files in one package at most.
pub const MAX_FILES: usize = 40_000;

/// What a manifest may weigh: 16 MiB.
pub const LIMITS: cbor::Limits = cbor::Limits::DOCUMENT;

/// The longest kind or role, in bytes.
const MAX_WORD: usize = 64;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its logical path, unique in the package.
    pub path: PackagePath,
    /// What it is.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// Its BLAKE3 digest.
    pub content_address: Digest,
    /// Its SHA-256 digest.
    pub sha256: Digest,
    /// What it is for, e.g. `scorecard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// What a producer says of a package. Nothing in it varies by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// What sort of package it is, in the producer's words; lower-case letters, digits, `.`, `_` and `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The retention class asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_class: Option<String>,
    /// The registered schema its metadata follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whatever else.
    pub metadata: Object,
}

/// A package as its content alone determines it; a producer can compute it without a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentManifest {
    /// 1.
    pub manifest_version: u64,
    /// What the producer says of it.
    pub package: Description,
    /// Sorted by path.
    pub files: Vec<File>,
    /// Where it comes from, in the producer's words: source commits, tools, machines.
    pub provenance: Object,
}

/// What the registry adds to the description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Names the package for ever.
    pub id: PackageId,
    /// Where it is.
    pub repository: RepositoryName,
    /// As the producer gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// As the producer asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_class: Option<String>,
    /// As the producer gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// One per distinct content, sorted by content address.
    pub storage_receipts: Vec<StorageReceipt>,
    /// How long it stays.
    pub retention_summary: RetentionSummary,
    /// As the producer gave it.
    pub provenance: Object,
}

/// Why a document is not a package manifest. Each message names the path, the field or the rule.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Not canonical CBOR, or fields that are not a manifest's.
    #[error("the package manifest is not canonical CBOR of version 1: {0}")]
    Encoding(#[from] cbor::Error),
    /// Another version.
    #[error("manifest_version is {0}, this registry knows {VERSION}")]
    Version(u64),
    /// There is no file.
    #[error("a package has at least one file")]
    Empty,
    /// There are too many.
    #[error("a package has at most {MAX_FILES} files, this one has {0}")]
    TooMany(usize),
    /// The table is out of order.
    #[error("file {0} stands behind one with a greater path; files are sorted bytewise by path")]
    Order(PackagePath),
    /// A path stands there twice.
    #[error("file {0} is there twice")]
    Duplicate(PackagePath),
    /// A path is a file and a folder.
    #[error("{file} is a file and also the folder of {inside}")]
    FileAndFolder {
        /// The file.
        file: PackagePath,
        /// What is in the folder.
        inside: PackagePath,
    },
    /// A field of a file is not what it should be.
    #[error("file {path}: {reason}")]
    File {
        /// The file.
        path: PackagePath,
        /// What is wrong with it.
        reason: String,
    },
    /// A kind, role, class or schema name is malformed.
    #[error("{field} {value:?} is not 1 to {MAX_WORD} of a-z, 0-9, '.', '_' and '-'")]
    Word {
        /// Which field.
        field: &'static str,
        /// What it was.
        value: String,
    },
    /// Metadata that the encodings cannot say.
    #[error("metadata: {0}")]
    Metadata(#[from] ObjectError),
    /// It does not fit the OCI manifest it came with.
    #[error(transparent)]
    Mapping(#[from] Mismatch),
}

impl ContentManifest {
    /// Puts the files in order and checks everything.
    pub fn new(package: Description, mut files: Vec<File>, provenance: Object) -> Result<Self, Invalid> {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = Self { manifest_version: VERSION, package, files, provenance };
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads canonical CBOR, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let manifest: Self = cbor::from_slice_with_limits(bytes, &LIMITS)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Its canonical CBOR.
    pub fn encode(&self) -> Result<Vec<u8>, Invalid> {
        Ok(cbor::to_vec_with_limits(self, &LIMITS)?)
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.manifest_version != VERSION {
            return Err(Invalid::Version(self.manifest_version));
        }
        let package = &self.package;
        check_kind("kind", package.kind.as_deref())?;
        check_kind("retention_class", package.retention_class.as_deref())?;
        check_kind("schema", package.schema.as_deref())?;
        check_files(&self.files)
    }
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

    /// Reads canonical CBOR, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let manifest: Self = cbor::from_slice_with_limits(bytes, &LIMITS)?;
        if manifest.manifest_version != VERSION {
            return Err(Invalid::Version(manifest.manifest_version));
        }
        check_files(&manifest.files)?;
        Ok(manifest)
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

/// Whether a kind, role, class or schema name, if there is one, is a word.
pub fn check_kind(field: &'static str, value: Option<&str>) -> Result<(), Invalid> {
    let is_word = |text: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        !text.is_empty() && text.len() <= MAX_WORD && text.bytes().all(plain)
    };
    match value {
        Some(text) if !is_word(text) => {
            Err(Invalid::Word { field, value: text.chars().take(MAX_WORD).collect() })
        }
        _ => Ok(()),
    }
}

/// Whether the files, in the order they have, make a package.
pub fn check_files(files: &[File]) -> Result<(), Invalid> {
    if files.is_empty() {
        return Err(Invalid::Empty);
    }
    if files.len() > MAX_FILES {
        return Err(Invalid::TooMany(files.len()));
    }
    for pair in files.windows(2) {
        match pair[0].path.cmp(&pair[1].path) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => return Err(Invalid::Duplicate(pair[1].path.clone())),
            std::cmp::Ordering::Greater => return Err(Invalid::Order(pair[1].path.clone())),
        }
    }
    for file in files {
        check_file(file)?;
        // Not the neighbours: `a`, `a-b`, `a/c` are in order.
        for folder in file.path.folders() {
            let found = files.binary_search_by(|other| other.path.as_str().cmp(folder));
            if let Ok(found) = found {
                return Err(Invalid::FileAndFolder {
                    file: files[found].path.clone(),
                    inside: file.path.clone(),
                });
            }
        }
    }
    Ok(())
}

fn check_file(file: &File) -> Result<(), Invalid> {
    let wrong = |reason: &str| Err(Invalid::File { path: file.path.clone(), reason: reason.to_owned() });
    if file.content_address.algorithm() != Algorithm::Blake3 {
        return wrong("content_address is not a blake3 digest");
    }
    if file.sha256.algorithm() != Algorithm::Sha256 {
        return wrong("sha256 is not a sha256 digest");
    }
    if !is_media_type(&file.media_type) {
        return wrong("media_type is not a media type");
    }
    check_kind("role", file.role.as_deref())
}

//! The document that describes the content of a package, version 1.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Invalid, Object, PackagePath};
use crate::codec::cbor;
use crate::oci::media::is_media_type;
use crate::oci::{Algorithm, Digest};

/// The one version there is.
pub(super) const VERSION: u64 = 1;

/// Files in one package at most.
pub const MAX_FILES: usize = 40_000;

/// What a manifest may weigh: 16 MiB.
pub const LIMITS: cbor::Limits = cbor::Limits::DOCUMENT;

/// The longest kind or role, in bytes.
pub(super) const MAX_WORD: usize = 64;

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
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// What a producer says of a package. Nothing in it varies by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// What sort of package it is, in the producer's words; lower-case letters, digits, `.`, `_` and `-`.
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The retention class asked for.
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub retention_class: Option<String>,
    /// The registered schema its metadata follows.
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
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
        let Description { kind, retention_class, schema, .. } = &self.package;
        check_words(kind.as_deref(), retention_class.as_deref(), schema.as_deref())?;
        check_files(&self.files)
    }
}

/// Reads a field that is there: `null` would be a second spelling of one that is not.
pub(super) fn stated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

pub(super) fn check_words(
    kind: Option<&str>,
    class: Option<&str>,
    schema: Option<&str>,
) -> Result<(), Invalid> {
    check_kind("kind", kind)?;
    check_kind("retention_class", class)?;
    check_kind("schema", schema)
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

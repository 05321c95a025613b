//! From files to a package in a registry.

use std::path::PathBuf;

use super::Place;
use crate::oci::{Digest, RepositoryName, Tag};
use crate::package::{Description, Object, PackageId, PackagePath};

/// A file to be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path in the package.
    pub path: PackagePath,
    /// Where its bytes are.
    pub file: PathBuf,
    /// What it is; `None` guesses by its name.
    pub media_type: Option<String>,
    /// What it is for.
    pub role: Option<String>,
}

/// What to pack, and where to.
#[derive(Clone, Debug)]
pub struct Job {
    /// The repository, and the tag if the package gets one. A digest as reference is what it must come out as.
    pub to: Place,
    /// The files, in any order.
    pub files: Vec<Source>,
    /// What the producer says of the package.
    pub description: Description,
    /// Where it comes from.
    pub provenance: Object,
}

/// A package that is in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its id; `None` from a registry that knows no packages.
    pub id: Option<PackageId>,
    /// Where it is.
    pub repository: RepositoryName,
    /// The digest of its OCI manifest or index.
    pub reference: Digest,
    /// The tag it got.
    pub tag: Option<Tag>,
    /// BLAKE3 of its content manifest.
    pub content_manifest: Digest,
    /// The class the registry resolved, if it told.
    pub class: Option<String>,
    /// The earliest permitted deletion in RFC 3339, if the registry told one.
    pub expires_at: Option<String>,
    /// Files in the package.
    pub files: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// Blobs that were sent, the content manifest not counted.
    pub uploaded: usize,
    /// Their bytes.
    pub uploaded_bytes: u64,
}

//! What happens to packages and to the schemas of their metadata. The payload of the event that finalizes one is its
//! registry manifest.

use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::oci::{Digest, RepositoryName};
pub use crate::package::Manifest as PackageFinalized;
use crate::package::{Description, File, Object, PackageId, PackagePath};

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

//! What retentions, holds and dispositions are about.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::oci::Digest;
use crate::package::PackageId;

/// Something of a repository that can be retained, held and disposed of. Written as its id or digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// A package, finalized or not.
    Package(PackageId),
    /// A manifest, by its content address.
    Manifest(Digest),
}

impl Target {
    /// The id or digest as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Package(id) => id.as_str(),
            Self::Manifest(content) => content.as_str(),
        }
    }

    /// The target of a text that a view holds.
    pub fn parse(text: &str) -> Option<Self> {
        let package = text.parse().map(Self::Package).ok();
        package.or_else(|| text.parse().map(Self::Manifest).ok())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

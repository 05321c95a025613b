//! Package ids: stable names that other systems store.

use std::str::FromStr;

use crate::oci::checked_text;

const PREFIX: &str = "pkg_";

/// Names a package among all packages of all registries: `pkg_` and a ULID in lower case, 30 bytes.
///
/// Ordered by when the package was created, as far as the clocks of its registry's replicas agree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(Box<str>);

/// Why a text is not a package id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a package id is pkg_ and a ULID in lower case")]
pub struct PackageIdError;

impl PackageId {
    /// A new one, unlike every other.
    pub fn generate() -> Self {
        Self(format!("{PREFIX}{}", ulid::Ulid::generate().to_string().to_lowercase()).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackageId {
    type Err = PackageIdError;

    fn from_str(text: &str) -> Result<Self, PackageIdError> {
        let ulid = text.strip_prefix(PREFIX).ok_or(PackageIdError)?;
        let parsed: ulid::Ulid = ulid.parse().map_err(|_| PackageIdError)?;
        // Only the one spelling: ULIDs are read in any case, and some letters stand for others.
        let is_canonical = parsed.to_string().to_lowercase() == ulid;
        if is_canonical { Ok(Self(text.into())) } else { Err(PackageIdError) }
    }
}

checked_text!(PackageId, "a package id");

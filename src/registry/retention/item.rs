//! What somebody names when asking for a retention or a hold.

use std::fmt;
use std::str::FromStr;

use crate::events::{Rows, Target};
use crate::oci::{Algorithm, Digest, Reference, ReferenceError, RepositoryName};
use crate::package::PackageId;
use crate::registry::Error;
use crate::views::packages::{Package, Status};
use crate::views::{contents, manifests, packages, tags};

/// A package by its id, or a manifest by a tag or digest. A text that can be a package id is one, unless there is none
/// and a tag of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A package.
    Package(PackageId),
    /// A manifest.
    Manifest(Reference),
}

/// Why a text names nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reference is a tag, a digest or the id of a package: {0}")]
pub struct ItemError(#[source] ReferenceError);

impl FromStr for Item {
    type Err = ItemError;

    fn from_str(text: &str) -> Result<Self, ItemError> {
        match text.parse() {
            Ok(id) => Ok(Self::Package(id)),
            Err(_) => text.parse().map(Self::Manifest).map_err(ItemError),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(id) => f.write_str(id.as_str()),
            Self::Manifest(reference) => write!(f, "{reference}"),
        }
    }
}

impl From<Target> for Item {
    fn from(target: Target) -> Self {
        match target {
            Target::Package(id) => Self::Package(id),
            Target::Manifest(content) => Self::Manifest(Reference::Digest(content)),
        }
    }
}

/// What an item is, among loaded rows.
pub(in crate::registry) enum Found {
    Package(Box<Package>),
    /// A manifest by its content, with the finalized packages that it is, the oldest first.
    Manifest(Digest, Vec<Package>),
}

impl Found {
    /// What is retained or held when somebody names it: of a manifest that is one package, the package.
    pub(in crate::registry) fn target(&self) -> Target {
        match self {
            Self::Package(package) => Target::Package(package.id.clone()),
            Self::Manifest(_, packages) if packages.len() == 1 => Target::Package(packages[0].id.clone()),
            Self::Manifest(content, _) => Target::Manifest(content.clone()),
        }
    }

    /// The package it stands for, if it is one.
    pub(super) fn package(&self) -> Option<&Package> {
        match self {
            Self::Package(package) => Some(package.as_ref()),
            Self::Manifest(_, packages) => packages.first().filter(|_| packages.len() == 1),
        }
    }
}

/// Looks an item up.
pub(in crate::registry) fn find(
    rows: &Rows,
    repository: &RepositoryName,
    item: &Item,
) -> Result<Found, Error> {
    let unknown = || Error::ManifestUnknown(item.to_string());
    let content = match item {
        Item::Package(id) => {
            let package = packages::get(rows, id).filter(|package| package.repository == *repository);
            if let Some(package) = package {
                return Ok(Found::Package(Box::new(package)));
            }
            // A tag may look like an id.
            let content = id.as_str().parse().ok().and_then(|tag| tags::content(rows, repository, &tag));
            Some(content.ok_or_else(|| Error::PackageUnknown(id.clone()))?)
        }
        Item::Manifest(Reference::Tag(tag)) => tags::content(rows, repository, tag),
        Item::Manifest(Reference::Digest(digest)) => contents::content_of(rows, digest),
    };
    let content = content.ok_or_else(unknown)?;
    manifests::pushed_as(rows, repository, &content).ok_or_else(unknown)?;
    let packages = packages_of(rows, repository, &content);
    Ok(Found::Manifest(content, packages))
}

/// The finalized packages that a manifest is, the oldest first.
pub(super) fn packages_of(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Vec<Package> {
    let sha256 = |digest: &Digest| digest.algorithm() == Algorithm::Sha256;
    let digests = contents::known(rows, content).into_iter().filter(sha256);
    let packages = digests.flat_map(|digest| packages::named_by(rows, repository, &digest));
    packages.filter(|package| package.status == Status::Finalized).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_a_package_id_is_one() {
        let id = PackageId::generate();
        assert_eq!(id.as_str().parse::<Item>().unwrap(), Item::Package(id.clone()));
        assert!(matches!("v1".parse::<Item>().unwrap(), Item::Manifest(Reference::Tag(_))));
        // Not a ULID: a tag like any other.
        assert!(matches!("pkg_x".parse::<Item>().unwrap(), Item::Manifest(Reference::Tag(_))));
        for text in ["", "a b", "sha256:x", "a/b"] {
            assert!(text.parse::<Item>().is_err(), "{text:?}");
        }
    }
}

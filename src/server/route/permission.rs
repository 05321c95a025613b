//! What a caller must be allowed to do.

use std::fmt;

use crate::oci::RepositoryName;
use crate::package::PackageId;

/// What a caller must be allowed to do. A mount needs [`Pull`](Self::Pull) on its source as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission<'a> {
    /// Nothing: probes.
    None,
    /// To be somebody the registry knows.
    Known,
    /// To list repositories.
    Catalog,
    /// To read a repository.
    Pull(&'a RepositoryName),
    /// To have a URL of something in a repository, which the registry signed. It checks that itself.
    Signed(&'a RepositoryName),
    /// To add to a repository.
    Push(&'a RepositoryName),
    /// To read the repository a package is in, which its id does not say.
    PullPackage(&'a PackageId),
    /// To change what holds for every repository.
    Configure,
    /// To hold and to retain what is in a repository.
    Retain(&'a RepositoryName),
    /// To approve dispositions.
    Approve(&'a RepositoryName),
    /// To shorten retentions in governance mode.
    Shorten(&'a RepositoryName),
    /// To remove from a repository.
    Delete(&'a RepositoryName),
}

impl fmt::Display for Permission<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing"),
            Self::Known => f.write_str("to be known"),
            Self::Catalog => f.write_str("registry:catalog:*"),
            Self::Pull(name) => write!(f, "repository:{name}:pull"),
            Self::Signed(name) => write!(f, "a signed URL of repository:{name}"),
            Self::PullPackage(id) => write!(f, "the repository of {id}:pull"),
            Self::Configure => f.write_str("registry:configuration:*"),
            Self::Push(name) => write!(f, "repository:{name}:pull,push"),
            Self::Retain(name) => write!(f, "repository:{name}:retain"),
            Self::Approve(name) => write!(f, "repository:{name}:approve"),
            Self::Shorten(name) => write!(f, "repository:{name}:bypass-governance-retention"),
            Self::Delete(name) => write!(f, "repository:{name}:delete"),
        }
    }
}

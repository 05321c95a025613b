//! What a caller must be allowed to do.

use crate::auth::Action;
use crate::oci::RepositoryName;
use crate::package::PackageId;

/// What a caller must be allowed to do before a handler runs.
///
/// Some of it is decided later, where what a request touches is known: a mount needs [`Action::Pull`] on its source as
/// well, and a tag that moves [`Action::Overwrite`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission<'a> {
    /// Nothing: probes.
    None,
    /// To be somebody the registry knows.
    Known,
    /// The same. What the answer tells is only what the caller may see.
    Sight,
    /// One of these in a repository, whether there is such a repository or not.
    In(&'a RepositoryName, &'static [Action]),
    /// This for the registry as a whole.
    Everywhere(Action),
    /// To have a URL of something in a repository, which the registry signed. It checks that itself.
    Signed(&'a RepositoryName),
    /// To read the repository a package is in, which its id does not say.
    PullPackage(&'a PackageId),
}

impl<'a> Permission<'a> {
    /// To read a repository.
    pub(super) fn pull(name: &'a RepositoryName) -> Self {
        Self::In(name, &[Action::Pull])
    }

    /// To add to a repository.
    pub(super) fn push(name: &'a RepositoryName) -> Self {
        Self::In(name, &[Action::Push])
    }

    /// To remove from a repository.
    pub(super) fn delete(name: &'a RepositoryName) -> Self {
        Self::In(name, &[Action::Delete])
    }

    /// To change how long something in a repository is kept.
    pub(super) fn retain(name: &'a RepositoryName) -> Self {
        Self::In(name, &[Action::Retain])
    }
}

//! What is answered for a manifest that is not there.

use crate::events::Target;
use crate::oci::{Algorithm, Reference, RepositoryName};
use crate::registry::{Error, Registry};
use crate::views::{contents, tombstones};

impl Registry {
    /// Why a manifest is not here: because it was disposed of, or because it is not known.
    pub(in crate::registry) async fn absent(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Error, Error> {
        let db = &self.inner.db;
        let left = match reference {
            Reference::Tag(tag) => tombstones::tagged(db, repository, tag).await?,
            Reference::Digest(digest) if digest.algorithm() == Algorithm::Sha256 => {
                tombstones::named(db, repository, digest).await?
            }
            Reference::Digest(digest) => match contents::find(db, digest).await? {
                Some(content) => tombstones::find(db, repository, &Target::Manifest(content)).await?,
                None => None,
            },
        };
        Ok(match left {
            Some(left) => Error::Disposed {
                repository: repository.clone(),
                reference: reference.to_string(),
                disposition: left.disposition,
                at: left.deleted_at,
            },
            None => Error::ManifestUnknown(reference.to_string()),
        })
    }
}

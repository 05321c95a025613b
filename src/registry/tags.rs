//! Tag lists.

use super::{Error, Registry};
use crate::oci::{RepositoryName, Tag};
use crate::views::{repositories, tags};

impl Registry {
    /// Up to `limit` tags in bytewise order after `last`, which need not exist, and whether more follow.
    pub async fn tags(
        &self,
        repository: &RepositoryName,
        last: &str,
        limit: usize,
    ) -> Result<(Vec<Tag>, bool), Error> {
        let mut tags = tags::page(&self.inner.db, repository, last, count(limit) + 1).await?;
        if tags.is_empty() && !repositories::exists(&self.inner.db, repository).await? {
            return Err(Error::RepositoryUnknown(repository.clone()));
        }
        let more = tags.len() > limit;
        tags.truncate(limit);
        Ok((tags, more))
    }
}

/// A page size as the database takes it.
pub(super) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1)
}

//! The list of repositories.

use super::tags::count;
use super::{Error, Registry};
use crate::oci::RepositoryName;
use crate::views::repositories;

impl Registry {
    /// Up to `limit` repositories in bytewise order after `last`, and whether more follow.
    pub async fn repositories(&self, last: &str, limit: usize) -> Result<(Vec<RepositoryName>, bool), Error> {
        let mut names = repositories::page(&self.inner.db, last, count(limit) + 1).await?;
        let more = names.len() > limit;
        names.truncate(limit);
        Ok((names, more))
    }
}

//! The log as it can be read.

use super::{Error, Registry};
use crate::db::Db;
use crate::events::feed::{self, Filter, Page};
use crate::events::{self, Event, Head};
use crate::oci::RepositoryName;
use crate::views::repositories;

/// A page of the log in a database, and where it ended then, without opening the registry: beside a running server, or
/// where there is none. It reads and does nothing else.
///
/// [`Error::CursorExpired`] where the next event is not in the log any more; beyond its end the page is empty.
pub async fn read_events(db: &Db, after: i64, filter: &Filter, limit: usize) -> Result<(Head, Page), Error> {
    feed::read(db, after, filter, limit).await.map_err(|error| match error {
        events::Error::Expired { horizon } => Error::CursorExpired { since: after, horizon },
        error => error.into(),
    })
}

/// Whether anything was ever pushed to a repository, without opening the registry: the log of any other is empty for
/// ever, and its name more likely misspelt.
pub async fn has_repository(db: &Db, name: &RepositoryName) -> Result<bool, Error> {
    Ok(repositories::exists(db, name).await?)
}

impl Registry {
    /// Up to `limit` events in order, after the one with this number; 0 is before the first. Fewer do not say that
    /// there are no more: events with large payloads make short pages, of 4 MiB or of one event.
    pub async fn events(&self, after: i64, limit: usize) -> Result<Vec<Event>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(self.inner.log.after(after, limit).await?)
    }
}

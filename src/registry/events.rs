//! The log as it can be read.

use super::{Error, Registry};
use crate::events::Event;

impl Registry {
    /// Up to `limit` events in order, after the one with this number; 0 is before the first. Fewer do not say that
    /// there are no more: events with large payloads make short pages, of 4 MiB or of one event.
    pub async fn events(&self, after: i64, limit: usize) -> Result<Vec<Event>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(self.inner.log.after(after, limit).await?)
    }
}

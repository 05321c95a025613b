//! Following the log: what lists, streams, webhooks and other consumers of it read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Error, Registry};
use crate::events;
use crate::events::feed::{Filter, Limit, Page, Record, Scout};
use crate::oci::RepositoryName;
use crate::views::repositories;

/// Who may not see what there was looks again after this time at the earliest, however much is recorded.
const REST: Duration = Duration::from_millis(50);

/// Which events a consumer may see. It is asked about every record each time one goes to the consumer, so that a right
/// that was withdrawn counts from then on. What it may not see is passed over: the pages say that they looked at it.
pub type Sight = Arc<dyn Fn(&Record) -> bool + Send + Sync>;

/// Where a consumer begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// After the event of this number; 0 is before the first.
    After(i64),
    /// With what is recorded from now on.
    Now,
}

/// The log that a consumer believes to read. Nothing is compared of what it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedLog {
    /// Its id.
    pub log_id: Option<String>,
    /// Its epoch.
    pub epoch: Option<i64>,
}

/// One consumer of the log. It keeps nothing but its place: dropped, it leaves no trace.
pub struct Feed {
    registry: Registry,
    filter: Filter,
    sight: Sight,
    /// Once it waited.
    scout: Option<Scout>,
    after: i64,
    /// Until then it is not worth looking again.
    rests_until: Option<Instant>,
}

impl Registry {
    /// Begins to follow the log. Every event that was acknowledged anywhere before the call is within reach of the
    /// first page.
    ///
    /// [`Error::CursorAhead`] for a place beyond the end, [`Error::OtherLog`] for that of another log, and
    /// [`Error::CursorExpired`] for one whose next event is not in the log any more: in none of them may a consumer
    /// begin anew by itself, since it would not know what it missed.
    pub async fn follow(
        &self,
        begin: Begin,
        expected: &ExpectedLog,
        filter: Filter,
        sight: Sight,
    ) -> Result<Feed, Error> {
        let since = if let Begin::After(since) = begin { since } else { 0 };
        let last = self.inner.log.current_at(since).await.map_err(Error::Log)?;
        let (log_id, epoch) = {
            let head = self.inner.log.watch();
            let head = head.borrow();
            (head.log_id.clone(), head.epoch)
        };
        if expected.log_id.as_ref().is_some_and(|id| *id != log_id)
            || expected.epoch.is_some_and(|known| known != epoch)
        {
            return Err(Error::OtherLog { log_id, epoch });
        }
        let horizon = self.inner.log.horizon();
        let after = match begin {
            Begin::Now => last,
            Begin::After(since) if since > last => return Err(Error::CursorAhead { since, head: last }),
            Begin::After(since) if since < horizon => return Err(Error::CursorExpired { since, horizon }),
            Begin::After(since) => since,
        };
        Ok(Feed { registry: self.clone(), filter, sight, scout: None, after, rests_until: None })
    }

    /// [`Error::RepositoryUnknown`] when there never was such a repository: its log would be empty for ever, and its name
    /// is more likely misspelt.
    pub async fn check_repository(&self, name: &RepositoryName) -> Result<(), Error> {
        let exists = repositories::exists(&self.inner.db, name).await?;
        exists.then_some(()).ok_or_else(|| Error::RepositoryUnknown(name.clone()))
    }

    /// Sees everything.
    pub fn full_sight() -> Sight {
        Arc::new(|_| true)
    }
}

impl Feed {
    /// The number of the last event that was looked at.
    pub fn after(&self) -> i64 {
        self.after
    }

    /// Whether the consumer may see an event now. Every page was asked that when it was read; whoever hands its events on
    /// later asks again.
    pub fn sees(&self, record: &Record) -> bool {
        (self.sight)(record)
    }

    /// The next page of up to `limit` events, without waiting: an empty one says how far it has looked.
    pub async fn page(&mut self, limit: impl Into<Limit>) -> Result<Page, Error> {
        if let Some(to) = self.scout.as_ref().and_then(|scout| scout.passes(self.after)) {
            self.after = to;
        }
        let mut page = self.registry.inner.log.feed(self.after, &self.filter, limit).await.map_err(
            |error| match error {
                events::Error::Expired { horizon } => Error::CursorExpired { since: self.after, horizon },
                error => error.into(),
            },
        )?;
        let is_something = !page.records.is_empty();
        page.records.retain(|record| (self.sight)(record));
        let is_in_vain = is_something && page.records.is_empty();
        self.rests_until = is_in_vain.then(|| Instant::now() + REST);
        self.after = page.scanned_to;
        Ok(page)
    }

    /// Goes back to a place before the last page, so that what follows it comes again.
    pub fn back_to(&mut self, after: i64) {
        self.after = self.after.min(after);
    }

    /// The next page on which there is something. Waits for it as long as `wait`, then, or when it has looked at
    /// [many](crate::events::feed::SCANNED) events in vain, the page is empty.
    pub async fn next(&mut self, limit: usize, wait: Duration) -> Result<Page, Error> {
        let until = Instant::now() + wait;
        loop {
            let before = self.after;
            let page = self.page(limit).await?;
            let has_worked =
                page.scanned_to - before >= i64::try_from(events::feed::SCANNED).unwrap_or(i64::MAX);
            if !page.records.is_empty() || has_worked {
                return Ok(page);
            }
            if !page.is_last() {
                continue;
            }
            match tokio::time::timeout_at(until, self.wait()).await {
                Ok(waited) => waited?,
                Err(_) => return Ok(page),
            }
        }
    }

    /// Waits until there is something behind the last page that the filter lets through, or may be. Can be given up at
    /// any time.
    pub async fn wait(&mut self) -> Result<(), Error> {
        let log = &self.registry.inner.log;
        let scout = self.scout.get_or_insert_with(|| log.scout(&self.filter));
        if !scout.wait(self.after).await {
            // The log is closed, and the process about to end.
            return Err(Error::Stopping);
        }
        if let Some(until) = self.rests_until {
            tokio::time::sleep_until(until).await;
        }
        Ok(())
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feed(after {}, {:?})", self.after, self.filter)
    }
}

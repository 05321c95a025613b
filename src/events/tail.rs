//! What this process knows of the end of the log.
//!
//! The appender here and the follower of what other replicas append both come through this: the observer is
//! told of every event once and in order, whoever recorded it, and the head that is published only moves on.

use std::sync::{Arc, OnceLock};

use tokio::sync::{Mutex, watch};

use super::event::EVENTS;
use super::{Error, Event, Forked, Head, Observer, Sequence};
use crate::db::{Db, Row};

/// Events read at once; bounds memory.
const PAGE: i64 = 256;

/// More missed events than this are not worth reading: forgetting everything is cheaper.
const MANY: i64 = 10_000;

const BETWEEN: &str = "SELECT sequence, type, recorded_at, actor, repository, subject, command_id, header, \
    payload, salt, leaf_hash FROM events WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3";

/// Every named statement of this module.
pub(super) static STATEMENTS: &[&str] = &[BETWEEN];

pub(super) struct Tail {
    db: Db,
    observer: Arc<dyn Observer>,
    publish: watch::Sender<Head>,
    /// The last event the observer was told of. Held while it is told, and while a look at the database is on
    /// its way: a head that was read before an append must not be compared with what was known after it.
    told: Mutex<Sequence>,
    forked: OnceLock<Forked>,
}

impl Tail {
    pub(super) fn new(db: Db, observer: Arc<dyn Observer>, head: Head) -> Self {
        let told = Mutex::new(head.last());
        Self { db, observer, publish: watch::Sender::new(head), told, forked: OnceLock::new() }
    }

    /// The newest head known.
    pub(super) fn watch(&self) -> watch::Receiver<Head> {
        self.publish.subscribe()
    }

    /// The newest event known.
    pub(super) fn last(&self) -> Sequence {
        self.publish.borrow().last()
    }

    /// Why this process must be restarted, when the log is not the one it knows.
    pub(super) fn forked(&self) -> Option<&Forked> {
        self.forked.get()
    }

    /// A head that was read under its lock, or under ours: it must continue the one known. Once it did not,
    /// nothing is accepted any more.
    pub(super) fn accept(&self, head: &Head) -> Result<(), Error> {
        if self.forked.get().is_none() {
            let known = self.publish.borrow();
            let is_same = head.log_id == known.log_id && head.epoch == known.epoch;
            // Of the same length it must be the very same log.
            let goes_on = head.last() > known.last()
                || (head.last() == known.last() && head.last_recorded_at == known.last_recorded_at);
            if is_same && goes_on {
                return Ok(());
            }
            let forked = Forked { known: Box::new(known.clone()), found: Box::new(head.clone()) };
            drop(known);
            tracing::error!("{forked}");
            // The first one stays.
            let _ = self.forked.set(forked);
        }
        let forked = self.forked.get().expect("it is set and never unset");
        Err(Error::Forked(forked.clone()))
    }

    /// Events were committed here, the first of them `first`; `head` is the head after them.
    pub(super) async fn committed<'a>(
        &self,
        first: Sequence,
        head: Head,
        events: impl Iterator<Item = &'a [Event]>,
    ) {
        let mut told = self.told.lock().await;
        if *told < first - 1 && self.catch_up(&mut told, first - 1, &head.log_id).await.is_err() {
            self.observer.lost_track();
            *told = first - 1;
        }
        for events in events {
            let new = events.partition_point(|event| event.sequence <= *told);
            if let Some(last) = events[new..].last() {
                self.observer.committed(&events[new..]);
                *told = last.sequence;
            }
        }
        self.publish(head);
    }

    /// Looks at the database: tells the observer what others appended and publishes the head.
    pub(super) async fn look(&self) -> Result<(), Error> {
        let mut told = self.told.lock().await;
        let head = Head::newest(&self.db).await?;
        self.accept(&head)?;
        if head.views_version != self.publish.borrow().views_version {
            self.observer.lost_track();
        }
        self.catch_up(&mut told, head.last(), &head.log_id).await?;
        self.publish(head);
        Ok(())
    }

    /// What is remembered may be wrong: views were rebuilt, or nobody knows.
    pub(super) fn lost_track(&self) {
        self.observer.lost_track();
    }

    fn publish(&self, head: Head) {
        self.publish.send_if_modified(|known| {
            let is_news = *known != head && head.last() >= known.last();
            if is_news {
                *known = head;
            }
            is_news
        });
    }

    /// Tells the observer of the events after `told` up to `until`.
    async fn catch_up(&self, told: &mut Sequence, until: Sequence, log_id: &str) -> Result<(), Error> {
        if until - *told > MANY {
            self.observer.lost_track();
            *told = until;
        }
        while *told < until {
            let rows = self.db.query(BETWEEN, vec![(*told).into(), until.into(), PAGE.into()]).await?;
            let Some(last) = rows.last().map(|row| row.integer(0)) else {
                return Err(Error::Gap { expected: *told + 1, found: until + 1 });
            };
            match read(&rows, log_id) {
                Ok(events) => self.observer.committed(&events),
                Err(error) => {
                    // A newer replica may record what this program does not know.
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "Events of another replica are not understood"
                    );
                    self.observer.lost_track();
                }
            }
            *told = last;
        }
        Ok(())
    }
}

fn read(rows: &[Row], log_id: &str) -> Result<Vec<Event>, Error> {
    debug_assert_eq!(rows.first().map_or(0, |row| row.0.len()), EVENTS.columns.len());
    let event = |row: &Row| {
        let damaged = |source| Error::Damaged { sequence: row.integer(0), source };
        Event::from_row(row, log_id).map_err(damaged)
    };
    rows.iter().map(event).collect()
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tail(at {})", self.last())
    }
}

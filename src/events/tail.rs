//! What this process knows of the end of the log.
//!
//! The appender here and the follower of what other replicas append both come through this: the observer is
//! told of every event once and in order, whoever recorded it, and the head that is published only moves on.

use std::sync::{Arc, OnceLock, PoisonError};

use tokio::sync::{Mutex, watch};

use super::event::EVENTS;
use super::feed::{Record, Ring};
use super::{Error, Event, Forked, Head, Observer, Sequence};
use crate::db::{Db, PAGE_BYTES, Row, Tx};

/// Events read at once, and no more bytes of them than [`PAGE_BYTES`]; bounds memory.
const PAGE: i64 = 256;

/// More missed events than this are not worth reading: forgetting everything is cheaper.
const MANY: i64 = 10_000;

/// The first one is known already, and does not count to the bytes of the page.
const BETWEEN: &str = "WITH sized AS (SELECT sequence, \
    CASE WHEN sequence = $1 THEN 0 ELSE OCTET_LENGTH(payload) END AS size \
    FROM events WHERE sequence >= $1 AND sequence <= $2 ORDER BY sequence LIMIT $3), \
    totals AS (SELECT size, SUM(size) OVER (ORDER BY sequence) AS total FROM sized) \
    SELECT sequence, type, recorded_at, actor, repository, subject, command_id, header, payload, salt, leaf_hash \
    FROM events WHERE sequence >= $1 AND sequence <= $2 \
    ORDER BY sequence LIMIT (SELECT COUNT(*) FROM totals WHERE total <= CAST($4 AS BIGINT) OR total = size)";
const LEAF: &str = "SELECT leaf_hash FROM events WHERE sequence = $1";

/// Every named statement of this module.
pub(super) static STATEMENTS: &[&str] = &[BETWEEN, LEAF];

/// The last event the observer was told of.
#[derive(Clone)]
struct Told {
    sequence: Sequence,
    /// Its leaf hash, by which it is known again. `None` before the first event, and where events were skipped.
    leaf: Option<Vec<u8>>,
}

pub(super) struct Tail {
    db: Db,
    observer: Arc<dyn Observer>,
    publish: watch::Sender<Head>,
    /// Held while the observer is told, and while a look at the database is on its way: a head that was read
    /// before an append must not be compared with what was known after it.
    telling: Mutex<()>,
    /// Changed by who holds `telling`; an append, which must not wait for a look, reads it.
    told: std::sync::Mutex<Told>,
    forked: OnceLock<Forked>,
    ring: Arc<Ring>,
}

impl Tail {
    /// Starts after the last event of `head`, which was just read.
    pub(super) async fn open(db: Db, observer: Arc<dyn Observer>, head: Head) -> Result<Self, Error> {
        let rows = db.query(LEAF, vec![head.last().into()]).await?;
        let leaf = rows.first().map(|row| row.blob(0).to_vec());
        let told = std::sync::Mutex::new(Told { sequence: head.last(), leaf });
        let (publish, telling) = (watch::Sender::new(head), Mutex::new(()));
        Ok(Self { db, observer, publish, telling, told, forked: OnceLock::new(), ring: Arc::default() })
    }

    /// The newest head known.
    pub(super) fn watch(&self) -> watch::Receiver<Head> {
        self.publish.subscribe()
    }

    /// The newest event known.
    pub(super) fn last(&self) -> Sequence {
        self.publish.borrow().last()
    }

    /// The newest events.
    pub(super) fn ring(&self) -> &Arc<Ring> {
        &self.ring
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
            drop(known);
            return Err(self.refuse(head, None));
        }
        let forked = self.forked.get().expect("it is set and never unset");
        Err(Error::Forked(forked.clone()))
    }

    /// From now on nothing is accepted: the log that ends at `found` is not the one known.
    fn refuse(&self, found: &Head, differs_at: Option<Sequence>) -> Error {
        // The first one stays.
        let forked = self.forked.get_or_init(|| {
            let known = Box::new(self.publish.borrow().clone());
            let forked = Forked { known, found: Box::new(found.clone()), differs_at };
            tracing::error!("{forked}");
            forked
        });
        Error::Forked(forked.clone())
    }

    /// Where an append finds that others appended since: what is known must be part of their log. Under the lock of
    /// the head, and before anything is written behind it.
    pub(super) async fn recognise(&self, head: &Head, tx: &mut Tx) -> Result<(), Error> {
        let told = self.told();
        if head.last() == told.sequence {
            return Ok(());
        }
        let rows = tx.query(LEAF, vec![told.sequence.into()]).await?;
        rows.first().map_or(Ok(()), |row| self.is_known(&told, row.blob(0), head))
    }

    /// Events were committed here, the first of them `first`; `head` is the head after them.
    pub(super) async fn committed<'a>(
        &self,
        first: Sequence,
        head: Head,
        events: impl Iterator<Item = &'a [Event]>,
    ) {
        let _telling = self.telling.lock().await;
        if self.told().sequence < first - 1 && self.catch_up(first - 1, &head).await.is_err() {
            // The log is the one that is known: the append looked.
            self.observer.lost_track();
            self.tell(Told { sequence: first - 1, leaf: None });
        }
        for events in events {
            let told = self.told().sequence;
            let new = events.partition_point(|event| event.sequence <= told);
            if let Some(last) = events[new..].last() {
                self.ring.push(events[new..].iter().map(Record::from));
                self.observer.committed(&events[new..]);
                self.tell(Told { sequence: last.sequence, leaf: Some(last.leaf_hash().to_vec()) });
            }
        }
        self.publish(head);
    }

    fn told(&self) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, told: Told) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }

    /// Looks at the database: tells the observer what others appended and publishes the head.
    pub(super) async fn look(&self) -> Result<(), Error> {
        let _telling = self.telling.lock().await;
        let head = Head::newest(&self.db).await?;
        self.accept(&head)?;
        if head.views_version != self.publish.borrow().views_version {
            self.observer.lost_track();
        }
        self.catch_up(head.last(), &head).await?;
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

    /// Tells the observer of the events after the last one it was told of up to `until`, in the log that ends at
    /// `head`. That last one is read again: when the log went back and grew past it, it is another one.
    async fn catch_up(&self, until: Sequence, head: &Head) -> Result<(), Error> {
        let mut told = self.told();
        if until - told.sequence > MANY {
            let rows = self.db.query(LEAF, vec![told.sequence.into()]).await?;
            rows.first().map_or(Ok(()), |row| self.is_known(&told, row.blob(0), head))?;
            self.observer.lost_track();
            told = Told { sequence: until - 1, leaf: None };
        }
        while told.sequence < until {
            let range = vec![told.sequence.into(), until.into(), PAGE.into(), PAGE_BYTES.into()];
            let mut rows = self.db.query(BETWEEN, range).await?;
            if rows.first().is_some_and(|row| row.integer(0) == told.sequence) {
                self.is_known(&told, rows.remove(0).blob(10), head)?;
            }
            let Some(last) = rows.last() else {
                return Err(Error::Gap { expected: told.sequence + 1, found: until + 1 });
            };
            let records = rows.iter().map(|row| Record::from_row(row, &head.log_id));
            if let Ok(records) = records.collect::<Result<Vec<_>, _>>() {
                // What cannot be read leaves a gap, and is met again where it is asked for.
                self.ring.push(records);
            }
            match read(&rows, &head.log_id) {
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
            told = Told { sequence: last.integer(0), leaf: Some(last.blob(10).to_vec()) };
            self.tell(told.clone());
        }
        Ok(())
    }

    fn is_known(&self, told: &Told, leaf: &[u8], head: &Head) -> Result<(), Error> {
        match &told.leaf {
            Some(known) if known != leaf => Err(self.refuse(head, Some(told.sequence))),
            _ => Ok(()),
        }
    }
}

pub(super) fn read(rows: &[Row], log_id: &str) -> Result<Vec<Event>, Error> {
    debug_assert!(rows.first().is_none_or(|row| row.0.len() == EVENTS.columns.len()));
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

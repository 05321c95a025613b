//! The head row: where the log ends. Taken first in every append, written last.

use super::{Error, Sequence};
use crate::clock::Micros;
use crate::db::{self, Column, Db, Row, Table, Tx};

/// The `log_head` table (truth): one row.
static LOG_HEAD: Table = Table {
    name: "log_head",
    columns: &[
        Column::integer("id"),
        Column::text("log_id"),
        Column::integer("epoch"),
        Column::integer("next_sequence"),
        Column::integer("last_recorded_at"),
        Column::integer("views_version"),
    ],
    key: 1,
    indexes: &[],
};

const NEWEST: &str =
    "SELECT id, log_id, epoch, next_sequence, last_recorded_at, views_version FROM log_head WHERE id = 1";
const LAST: &str = "SELECT MAX(sequence) FROM events";

/// Every named statement of this module.
pub(super) static STATEMENTS: &[&str] = &[NEWEST, LAST];

/// Where a log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Identifies this log among all logs.
    pub log_id: String,
    /// Grows when a log is restored from an older copy. Zero or less while a copy into the database is not
    /// finished.
    pub epoch: i64,
    /// The number the next event gets.
    pub next_sequence: Sequence,
    /// When the last event was recorded.
    pub last_recorded_at: Micros,
    /// The version of the projections that wrote the views.
    pub views_version: i64,
}

impl Head {
    /// The number of the newest event; 0 when there is none.
    pub fn last(&self) -> Sequence {
        self.next_sequence - 1
    }

    /// Writes the first head of a database; [`db::Error::Constraint`] when somebody was quicker.
    pub(super) async fn insert(&self, tx: &mut Tx) -> Result<(), Error> {
        Ok(tx.insert(&LOG_HEAD, &[self.row()]).await?)
    }

    /// Whether this is a log of its own and not a copy that was not finished (see [`transfer`](super::transfer)).
    pub fn is_whole(&self) -> bool {
        self.epoch > 0
    }

    fn new() -> Self {
        Self {
            log_id: ulid::Ulid::generate().to_string(),
            epoch: 1,
            next_sequence: 1,
            last_recorded_at: 0,
            views_version: 0,
        }
    }

    /// Reads the head inside a transaction.
    pub(super) async fn load(tx: &mut Tx) -> Result<Self, Error> {
        let rows = tx.page(&LOG_HEAD, None, 1).await?;
        rows.first().map(Self::from_row).ok_or(Error::Absent)
    }

    /// Reads the newest committed head, in one round trip.
    pub async fn newest(db: &Db) -> Result<Self, Error> {
        db.query(NEWEST, Vec::new()).await?.first().map(Self::from_row).ok_or(Error::Absent)
    }

    fn from_row(row: &Row) -> Self {
        Self {
            log_id: row.text(1).to_owned(),
            epoch: row.integer(2),
            next_sequence: row.integer(3),
            last_recorded_at: row.integer(4),
            views_version: row.integer(5),
        }
    }

    /// Reads the head of a database and checks it against the newest event; [`Error::Absent`] when there is no
    /// log.
    pub async fn read(db: &Db) -> Result<Self, Error> {
        let mut tx = db.snapshot().await?;
        let head = Self::load(&mut tx).await?;
        head.check(&mut tx).await?;
        Ok(head)
    }

    /// Reads the head, or starts a log where there is none. Waits for whoever is writing, also for a replica that
    /// rebuilds the views.
    pub(super) async fn load_or_create(db: &Db) -> Result<Self, Error> {
        let mut tx = db.write_unlimited().await?;
        match Self::load(&mut tx).await {
            Err(Error::Absent) => {}
            known => return known?.checked(&mut tx).await,
        }
        let head = Self::new();
        // Not an upsert: where there was no row there was nothing to lock, and another replica may be first.
        match tx.insert(&LOG_HEAD, &[head.row()]).await {
            Ok(()) => {
                tx.commit().await?;
                Ok(head)
            }
            Err(db::Error::Constraint(_)) => {
                drop(tx);
                let mut tx = db.write_unlimited().await?;
                Self::load(&mut tx).await?.checked(&mut tx).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn checked(self, tx: &mut Tx) -> Result<Self, Error> {
        if self.epoch <= 0 {
            return Err(Error::Unfinished);
        }
        self.check(tx).await?;
        Ok(self)
    }

    /// Compares the head with the newest event: a log whose end was lost, or a head that was moved, must not be
    /// appended to. One look at the end of the key.
    pub(super) async fn check(&self, tx: &mut Tx) -> Result<(), Error> {
        let rows = tx.query(LAST, Vec::new()).await?;
        let events = rows.first().and_then(|row| row.optional_integer(0)).unwrap_or(0);
        if events == self.last() { Ok(()) } else { Err(Error::Head { head: self.last(), events }) }
    }

    pub(super) async fn store(&self, tx: &mut Tx) -> Result<(), Error> {
        Ok(tx.upsert(&LOG_HEAD, &[self.row()]).await?)
    }

    fn row(&self) -> Row {
        Row(vec![
            1.into(),
            self.log_id.as_str().into(),
            self.epoch.into(),
            self.next_sequence.into(),
            self.last_recorded_at.into(),
            self.views_version.into(),
        ])
    }

    /// Its table.
    pub(super) fn table() -> &'static Table {
        &LOG_HEAD
    }
}

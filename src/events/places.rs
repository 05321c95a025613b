//! Which storage the objects of the log are in: the place that it turned out to be when it was first used.
//!
//! Beside the truth: in the database of the log, so that replicas and backups agree, and neither an event nor a view.
//! A copy of the log has its objects elsewhere, and so rows of its own.

use super::Error;
use crate::db::{self, Column, Db, Row, Table};

/// The `storage_places` table: one row per backend that objects were stored with.
static STORAGE_PLACES: Table = Table {
    name: "storage_places",
    columns: &[Column::text("backend"), Column::text("place")],
    key: 1,
    indexes: &[],
};

/// A registry has one storage.
const FIRST: i64 = 1;

/// Where the objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPlace {
    /// The id of the backend.
    pub backend: String,
    /// The id of the place.
    pub place: String,
}

impl KnownPlace {
    fn from_row(row: &Row) -> Self {
        Self { backend: row.text(0).to_owned(), place: row.text(1).to_owned() }
    }

    fn row(&self) -> Row {
        Row(vec![self.backend.as_str().into(), self.place.as_str().into()])
    }
}

/// The place that the database knows.
pub async fn known(db: &Db) -> Result<Option<KnownPlace>, Error> {
    let rows = db.snapshot().await?.page(&STORAGE_PLACES, None, FIRST).await?;
    Ok(rows.first().map(KnownPlace::from_row))
}

/// Remembers a place, durably, where the database knows none. Returns the one it knows then: of many replicas that
/// come with a place each, one is first. The log must have been begun.
pub async fn remember(db: &Db, place: KnownPlace) -> Result<KnownPlace, Error> {
    if let Some(known) = known(db).await? {
        return Ok(known);
    }
    // Whoever writes has the head to itself, so that nobody adds a row between the look and the insert.
    let mut tx = db.write().await?;
    let rows = tx.page(&STORAGE_PLACES, None, FIRST).await?;
    if let Some(known) = rows.first() {
        return Ok(KnownPlace::from_row(known));
    }
    match tx.insert(&STORAGE_PLACES, &[place.row()]).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(place)
        }
        Err(error @ db::Error::Constraint(_)) => {
            drop(tx);
            known(db).await?.ok_or(Error::Db(error))
        }
        Err(error) => Err(error.into()),
    }
}

/// Its table.
pub(super) fn table() -> &'static Table {
    &STORAGE_PLACES
}

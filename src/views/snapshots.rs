//! Snapshots of the views whose objects are kept: the newest two.

use crate::clock::Micros;
use crate::db::{Column, Db, Error, Key, Row, Table};
use crate::events::{Change, Copy, Event, Fact, Projection, Read, Rows, Sequence};
use crate::oci::Digest;

/// One row per snapshot: 0 is the newest, 1 the one before.
pub static SNAPSHOTS: Table = Table {
    name: "snapshots",
    columns: &[
        Column::integer("position"),
        Column::integer("snapshot"),
        Column::integer("views_version"),
        Column::text("state"),
        Column::integer("row_count"),
        Column::text("content"),
        Column::integer("size"),
        Column::text("backend"),
        Column::text("storage_key"),
        Column::text("version"),
        Column::integer("created_at"),
        Column::integer("sequence"),
    ],
    key: 1,
    indexes: &[],
};

const NEWEST: i64 = 0;
const BEFORE: i64 = 1;

/// The two there are.
const ALL: &str = "SELECT position, snapshot, views_version, state, row_count, content, size, backend, storage_key, \
    version, created_at, sequence FROM snapshots WHERE position IN (0, 1) ORDER BY position";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[ALL];

/// A snapshot whose object is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The newest event it includes.
    pub sequence: Sequence,
    /// The version of the projections.
    pub views_version: i64,
    /// The state digest of its views.
    pub state: Digest,
    /// The rows of all its views.
    pub rows: u64,
    /// Its object.
    pub object: Copy,
    /// When it was made.
    pub created_at: Micros,
}

/// The fold.
#[derive(Debug)]
pub struct Snapshots;

impl Projection for Snapshots {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&SNAPSHOTS]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        if matches!(event.fact, Fact::SnapshotCreated(_)) { vec![read(NEWEST)] } else { Vec::new() }
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        let Fact::SnapshotCreated(fact) = &event.fact else { return Vec::new() };
        let older = rows.get(&SNAPSHOTS, &key(NEWEST)).map(|row| {
            let mut row = row.clone();
            row.0[0] = BEFORE.into();
            Change::Upsert(&SNAPSHOTS, row)
        });
        let object = &fact.object;
        let row = Row(vec![
            NEWEST.into(),
            fact.sequence.into(),
            fact.views_version.into(),
            fact.state.as_str().into(),
            fact.rows.cast_signed().into(),
            object.content.as_str().into(),
            object.size.cast_signed().into(),
            object.backend.as_str().into(),
            object.key.as_str().into(),
            object.version.as_deref().into(),
            event.recorded_at.into(),
            event.sequence.into(),
        ]);
        older.into_iter().chain([Change::Upsert(&SNAPSHOTS, row)]).collect()
    }
}

fn key(position: i64) -> Key {
    vec![position.into()]
}

fn read(position: i64) -> Read {
    Read::row(&SNAPSHOTS, key(position))
}

/// The reads of every snapshot that is kept.
pub fn reads() -> [Read; 2] {
    [read(NEWEST), read(BEFORE)]
}

/// Every snapshot that is kept, the newest first, among loaded rows.
pub fn kept_now(rows: &Rows) -> Vec<Snapshot> {
    [NEWEST, BEFORE].iter().filter_map(|at| rows.get(&SNAPSHOTS, &key(*at)).map(snapshot)).collect()
}

/// Every snapshot that is kept, the newest first.
pub async fn kept(db: &Db) -> Result<Vec<Snapshot>, Error> {
    Ok(db.query(ALL, Vec::new()).await?.iter().map(snapshot).collect())
}

fn snapshot(row: &Row) -> Snapshot {
    let digest = |at| row.text(at).parse().expect("views hold only checked digests");
    Snapshot {
        sequence: row.integer(1),
        views_version: row.integer(2),
        state: digest(3),
        rows: row.integer(4).unsigned_abs(),
        object: Copy {
            content: digest(5),
            size: row.integer(6).unsigned_abs(),
            backend: row.text(7).to_owned(),
            key: row.text(8).to_owned(),
            version: row.optional_text(9).map(str::to_owned),
        },
        created_at: row.integer(10),
    }
}

//! What collections and scrubs came to.

use crate::clock::Micros;
use crate::db::{Column, Db, Error, Row, Table, Value};
use crate::events::{Change, Event, Fact, GcCompleted, Projection, Read, Rows, ScrubCompleted};

/// One row per collection that did something, or of which somebody wanted to know.
pub static GC_RUNS: Table = Table {
    name: "gc_runs",
    columns: &[
        Column::text("run"),
        Column::integer("started_at"),
        Column::integer("finished_at"),
        Column::integer("released"),
        Column::integer("condemned"),
        Column::integer("purged"),
        Column::integer("purged_bytes"),
        Column::integer("orphans"),
        Column::text("failure"),
        Column::integer("sequence"),
    ],
    key: 1,
    indexes: &[],
};

/// One row per cycle of the scrub.
pub static SCRUB_RUNS: Table = Table {
    name: "scrub_runs",
    columns: &[
        Column::text("run"),
        Column::integer("started_at"),
        Column::integer("finished_at"),
        Column::integer("covers"),
        Column::integer("blobs"),
        Column::integer("bytes"),
        Column::integer("manifests"),
        Column::integer("damaged"),
        Column::integer("unreadable"),
        Column::integer("recovered"),
        Column::integer("repaired"),
        Column::integer("sequence"),
    ],
    key: 1,
    indexes: &[],
};

/// The newest first: ids sort by when they were made.
const COLLECTIONS: &str = "SELECT run, started_at, finished_at, released, condemned, purged, purged_bytes, orphans, \
    failure, sequence FROM gc_runs WHERE run < $1 ORDER BY run DESC LIMIT $2";

const COLLECTION: &str = "SELECT run, started_at, finished_at, released, condemned, purged, purged_bytes, orphans, \
    failure, sequence FROM gc_runs WHERE run = $1";

const SCRUBS: &str = "SELECT run, started_at, finished_at, covers, blobs, bytes, manifests, damaged, unreadable, \
    recovered, repaired, sequence FROM scrub_runs WHERE run < $1 ORDER BY run DESC LIMIT $2";

const SCRUB: &str = "SELECT run, started_at, finished_at, covers, blobs, bytes, manifests, damaged, unreadable, \
    recovered, repaired, sequence FROM scrub_runs WHERE run = $1";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[COLLECTIONS, COLLECTION, SCRUBS, SCRUB];

/// After every run there is.
const LAST: &str = "~";

/// The fold.
#[derive(Debug)]
pub struct Runs;

impl Projection for Runs {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&GC_RUNS, &SCRUB_RUNS]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        part(&event.fact).map(|(run, _)| Read::row(&GC_RUNS, vec![run.into()])).into_iter().collect()
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        if let Some((run, part)) = part(&event.fact) {
            return vec![under_way(event, rows, run, part)];
        }
        match &event.fact {
            Fact::GcCompleted(fact) => {
                let row = Row(vec![
                    fact.run.as_str().into(),
                    fact.started_at.into(),
                    event.recorded_at.into(),
                    fact.released.cast_signed().into(),
                    fact.condemned.cast_signed().into(),
                    fact.purged.cast_signed().into(),
                    fact.purged_bytes.cast_signed().into(),
                    fact.orphans.cast_signed().into(),
                    fact.failure.as_deref().into(),
                    event.sequence.into(),
                ]);
                vec![Change::Upsert(&GC_RUNS, row)]
            }
            Fact::ScrubCompleted(fact) => {
                let row = Row(vec![
                    fact.run.as_str().into(),
                    fact.started_at.into(),
                    event.recorded_at.into(),
                    fact.covers.into(),
                    fact.blobs.cast_signed().into(),
                    fact.bytes.cast_signed().into(),
                    fact.manifests.cast_signed().into(),
                    fact.damaged.cast_signed().into(),
                    fact.unreadable.cast_signed().into(),
                    fact.recovered.cast_signed().into(),
                    fact.repaired.cast_signed().into(),
                    event.sequence.into(),
                ]);
                vec![Change::Upsert(&SCRUB_RUNS, row)]
            }
            _ => Vec::new(),
        }
    }
}

/// What one event of a collection adds to what it did.
#[derive(Clone, Copy, Default)]
struct Part {
    released: usize,
    condemned: usize,
    purged: usize,
    purged_bytes: u64,
    orphans: usize,
}

/// The run of an event of a collection that is no end of it.
fn part(fact: &Fact) -> Option<(&str, Part)> {
    match fact {
        Fact::BlobsReleased(fact) => {
            Some((&fact.run, Part { released: fact.contents.len(), ..Part::default() }))
        }
        Fact::BlobsCondemned(fact) => {
            Some((&fact.run, Part { condemned: fact.contents.len(), ..Part::default() }))
        }
        Fact::BlobsDeleteIntended(fact) => Some((&fact.run, Part::default())),
        Fact::BlobsPurged(fact) => {
            let purged_bytes = fact.copies.iter().chain(&fact.aside).map(|copy| copy.size).sum();
            let purged = fact.copies.len() + fact.aside.len();
            Some((&fact.run, Part { purged, purged_bytes, ..Part::default() }))
        }
        Fact::OrphansRemoved(fact) => {
            Some((&fact.run, Part { orphans: fact.objects.len(), ..Part::default() }))
        }
        _ => None,
    }
}

/// The row of a collection that did something: from then on it is known of, were it to end without a word.
fn under_way(event: &Event, rows: &Rows, run: &str, part: Part) -> Change {
    let before = rows.get(&GC_RUNS, &[run.into()]);
    let sum = |at: usize, more: u64| -> Value {
        (before.map_or(0, |row| row.integer(at)) + more.cast_signed()).into()
    };
    let started_at = before.map_or(event.recorded_at, |row| row.integer(1));
    let row = Row(vec![
        run.into(),
        started_at.into(),
        before.and_then(|row| row.optional_integer(2)).into(),
        sum(3, part.released as u64),
        sum(4, part.condemned as u64),
        sum(5, part.purged as u64),
        sum(6, part.purged_bytes),
        sum(7, part.orphans as u64),
        before.and_then(|row| row.optional_text(8)).into(),
        event.sequence.into(),
    ]);
    Change::Upsert(&GC_RUNS, row)
}

/// Up to `limit` collections, the newest first, before a run if one is given, each with when it ended if it did.
pub async fn collections(
    db: &Db,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<(GcCompleted, Option<Micros>)>, Error> {
    let rows = db.query(COLLECTIONS, vec![before.unwrap_or(LAST).into(), limit.into()]).await?;
    Ok(rows.iter().map(collected).collect())
}

/// A collection, and when it ended if it did.
pub async fn collection(db: &Db, run: &str) -> Result<Option<(GcCompleted, Option<Micros>)>, Error> {
    Ok(db.query(COLLECTION, vec![run.into()]).await?.first().map(collected))
}

fn collected(row: &Row) -> (GcCompleted, Option<Micros>) {
    let run = GcCompleted {
        run: row.text(0).to_owned(),
        started_at: row.integer(1),
        released: row.integer(3).unsigned_abs(),
        condemned: row.integer(4).unsigned_abs(),
        purged: row.integer(5).unsigned_abs(),
        purged_bytes: row.integer(6).unsigned_abs(),
        orphans: row.integer(7).unsigned_abs(),
        failure: row.optional_text(8).map(str::to_owned),
    };
    (run, row.optional_integer(2))
}

/// Up to `limit` cycles of the scrub, the newest first, before a run if one is given, each with when it ended.
pub async fn scrubs(
    db: &Db,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<(ScrubCompleted, Micros)>, Error> {
    let rows = db.query(SCRUBS, vec![before.unwrap_or(LAST).into(), limit.into()]).await?;
    Ok(rows.iter().map(scrubbed).collect())
}

/// The read of a cycle of the scrub.
pub fn read_scrub(run: &str) -> Read {
    Read::row(&SCRUB_RUNS, vec![run.into()])
}

/// Whether a cycle of the scrub has ended, among loaded rows.
pub fn has_scrub(rows: &Rows, run: &str) -> bool {
    rows.get(&SCRUB_RUNS, &[run.into()]).is_some()
}

/// A cycle of the scrub that ended, and when.
pub async fn scrub(db: &Db, run: &str) -> Result<Option<(ScrubCompleted, Micros)>, Error> {
    Ok(db.query(SCRUB, vec![run.into()]).await?.first().map(scrubbed))
}

fn scrubbed(row: &Row) -> (ScrubCompleted, Micros) {
    let count = |at| row.integer(at).unsigned_abs();
    let run = ScrubCompleted {
        run: row.text(0).to_owned(),
        started_at: row.integer(1),
        covers: row.integer(3),
        blobs: count(4),
        bytes: count(5),
        manifests: count(6),
        damaged: count(7),
        unreadable: count(8),
        recovered: count(9),
        repaired: count(10),
    };
    (run, row.integer(2))
}

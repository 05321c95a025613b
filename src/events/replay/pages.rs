//! Reading ahead: pages of events, decoded and checked on other threads, in order.

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::super::event::EVENTS;
use super::super::{Error, Event, Head, Projections, Read, Sequence};
use crate::db::{Db, Key, Row};

/// Events folded between two bulk writes, unless they are large: see [`Tx::page`](crate::db::Tx::page).
const PAGE: i64 = 2000;

/// Pages that are read and not folded yet, at most. With the size of a page it bounds memory.
const AHEAD: usize = 2;

/// Events in order, whole.
pub(super) struct Page {
    pub(super) events: Vec<Event>,
    /// What folding them will look at, as far as the projections say.
    pub(super) reads: Vec<Read>,
    /// The number of the last of them.
    pub(super) last: Sequence,
}

type Decoding = JoinHandle<Result<Page, Error>>;

/// The pages after one event up to the head.
pub(super) struct Pages {
    pages: mpsc::Receiver<Result<Decoding, Error>>,
    /// Ends with this.
    _reader: JoinSet<()>,
}

impl Pages {
    /// Begins to read. Whoever has the head, by its lock or in a snapshot, knows that events up to it stay as they are.
    pub(super) fn start(db: &Db, head: &Head, projections: &Projections, after: Sequence) -> Self {
        let (into, pages) = mpsc::channel(AHEAD);
        let mut reader = JoinSet::new();
        reader.spawn(read(db.clone(), head.clone(), projections.clone(), after, into));
        Self { pages, _reader: reader }
    }

    /// The next page, `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Page>, Error> {
        let Some(page) = self.pages.recv().await else { return Ok(None) };
        match page?.await {
            Ok(page) => Ok(Some(page?)),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

async fn read(
    db: Db,
    head: Head,
    projections: Projections,
    mut after: Sequence,
    into: mpsc::Sender<Result<Decoding, Error>>,
) {
    while after < head.last() {
        let rows = match page(&db, after, head.last()).await {
            Ok(rows) => rows,
            Err(error) => {
                // Whoever has gone away does not need to know.
                let _ = into.send(Err(error)).await;
                return;
            }
        };
        let Some(last) = rows.last().map(|row| row.integer(0)) else { return };
        let (projections, log_id) = (projections.clone(), head.log_id.clone());
        let decoding = tokio::task::spawn_blocking(move || decode(&rows, after, &log_id, &projections));
        if into.send(Ok(decoding)).await.is_err() {
            return;
        }
        after = last;
    }
}

/// Each page is a short transaction of its own: none is open while its reader waits for whoever folds.
async fn page(db: &Db, after: Sequence, last: Sequence) -> Result<Vec<Row>, Error> {
    let key: Option<Key> = (after > 0).then(|| vec![after.into()]);
    let limit = PAGE.min(last - after);
    Ok(db.snapshot().await?.page(&EVENTS, key.as_ref(), limit).await?)
}

fn decode(rows: &[Row], after: Sequence, log_id: &str, projections: &Projections) -> Result<Page, Error> {
    let mut events = Vec::with_capacity(rows.len());
    for (row, expected) in rows.iter().zip(after + 1..) {
        let found = row.integer(0);
        if found != expected {
            return Err(Error::Gap { expected, found });
        }
        let damaged = |source| Error::Damaged { sequence: found, source };
        events.push(Event::from_row(row, log_id).map_err(damaged)?);
    }
    let reads = events.iter().flat_map(|event| projections.reads(event)).collect();
    let last = events.last().map_or(after, |event| event.sequence);
    Ok(Page { events, reads, last })
}

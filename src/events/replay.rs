//! Replay: the views follow from the log and nothing else.

use std::path::Path;

use super::event::EVENTS;
use super::{Error, Event, Head, Projections, Rows, Sequence, appender, follower, state};
use crate::db::{Db, Key, Row, Tx};

/// Events folded between two bulk writes, unless they are large: see [`Tx::page`]. Bounds memory.
const PAGE: i64 = 1000;

/// What a replay did.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Events folded.
    pub events: Sequence,
    /// The digest of the views they lead to.
    pub state: state::StateDigest,
}

/// Empties every view and rebuilds it from event 1, in one transaction: a crash leaves the old views.
///
/// Checks on the way that the log is gapless and that every event is what was recorded.
pub async fn rebuild(db: &Db, projections: &Projections) -> Result<Replayed, Error> {
    let mut tx = db.write_unlimited().await?;
    let head = Head::load(&mut tx).await?;
    let (replayed, _) = rebuild_in(tx, head, projections).await?;
    follower::announce_rebuilt(db).await;
    Ok(replayed)
}

/// Rebuilds the views unless another replica has done so meanwhile. Returns the head.
pub(super) async fn bring_up_to_date(db: &Db, projections: &Projections) -> Result<Head, Error> {
    let mut tx = db.write_unlimited().await?;
    let head = Head::load(&mut tx).await?;
    if head.views_version == projections.version() {
        return Ok(head);
    }
    let (_, head) = rebuild_in(tx, head, projections).await?;
    follower::announce_rebuilt(db).await;
    Ok(head)
}

async fn rebuild_in(
    mut tx: Tx,
    mut head: Head,
    projections: &Projections,
) -> Result<(Replayed, Head), Error> {
    for table in projections.tables() {
        tx.clear(table).await?;
    }
    let mut folded = 0;
    loop {
        let rows = tx.page(&EVENTS, after(folded).as_ref(), PAGE).await?;
        let Some(last) = fold_page(&rows, folded, &head, projections, &mut tx).await? else { break };
        folded = last;
    }
    complete(&head, folded)?;
    head.views_version = projections.version();
    head.store(&mut tx).await?;
    let state = state::digest(&mut tx, projections).await?;
    tx.commit().await?;
    Ok((Replayed { events: folded, state }, head))
}

/// Rebuilds the views of one moment into a scratch database in `directory` and returns its state digest
/// beside that of the live views of the same moment. Changes nothing; works beside a running server.
pub async fn check(
    db: &Db,
    projections: &Projections,
    directory: &Path,
) -> Result<(Replayed, state::StateDigest), Error> {
    let mut live = db.snapshot().await?;
    let head = Head::load(&mut live).await?;
    let scratch = Db::scratch(directory).await?;
    let mut tx = scratch.write().await?;
    let mut folded = 0;
    loop {
        let rows = live.page(&EVENTS, after(folded).as_ref(), PAGE).await?;
        let Some(last) = fold_page(&rows, folded, &head, projections, &mut tx).await? else { break };
        folded = last;
    }
    complete(&head, folded)?;
    head.store(&mut tx).await?;
    // The live ones first: a server does not keep a snapshot open for somebody who is busy elsewhere.
    let found = state::digest(&mut live, projections).await?;
    drop(live);
    let rebuilt = state::digest(&mut tx, projections).await?;
    drop(tx);
    scratch.close().await;
    Ok((Replayed { events: folded, state: rebuilt }, found))
}

fn after(sequence: Sequence) -> Option<Key> {
    (sequence > 0).then(|| vec![sequence.into()])
}

/// Folds one page; returns the number of its last event, `None` at the end of the log.
async fn fold_page(
    page: &[Row],
    folded: Sequence,
    head: &Head,
    projections: &Projections,
    tx: &mut Tx,
) -> Result<Option<Sequence>, Error> {
    if page.is_empty() {
        return Ok(None);
    }
    let mut events = Vec::with_capacity(page.len());
    for (row, expected) in page.iter().zip(folded + 1..) {
        let found = row.integer(0);
        if found != expected {
            return Err(Error::Gap { expected, found });
        }
        let damaged = |source| Error::Damaged { sequence: found, source };
        events.push(Event::from_row(row, &head.log_id).map_err(damaged)?);
    }
    let mut rows = Rows::default();
    rows.load(tx, events.iter().flat_map(|event| projections.reads(event)).collect()).await?;
    for event in &events {
        appender::fold(event, projections, &mut rows, tx).await?;
    }
    appender::write(rows, tx).await?;
    Ok(events.last().map(|event| event.sequence))
}

fn complete(head: &Head, events: Sequence) -> Result<(), Error> {
    if head.last() == events { Ok(()) } else { Err(Error::Head { head: head.last(), events }) }
}

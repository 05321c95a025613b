//! Replay: the views follow from the log and nothing else.
//!
//! ```text
//! reader:  page -> page -> …            (a connection of its own)
//! threads:    decode and check every event, find out what it reads
//! writer:        fold in order -> write -> …            (one transaction)
//! ```
//!
//! A page is read and checked while the one before it is folded, and no more than a few are in memory, so the memory
//! a replay takes does not grow with the log. Nothing is checked less for that: every header, hash and payload is held
//! against its row before it is folded.

mod pages;
mod progress;

use std::path::Path;

use self::pages::{Page, Pages};
pub use self::progress::Folded;
use super::snapshot::{self, Shelf, Usable};
use super::{Error, Head, Projections, Rows, Sequence, appender, follower, state};
use crate::db::{Db, Tx};

/// What a replay did.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The newest event the views include now.
    pub events: Sequence,
    /// The event of the snapshot it began with; 0 when it began with event 1.
    pub from: Sequence,
    /// The digest of the views they lead to.
    pub state: state::StateDigest,
}

/// Told how far a replay is, after every page.
pub type Progress<'a> = &'a mut (dyn FnMut(Folded) + Send);

/// Empties every view and rebuilds it from event 1, in one transaction: a crash leaves the old views.
///
/// Checks on the way that the log is gapless and that every event is what was recorded.
pub async fn rebuild(db: &Db, projections: &Projections) -> Result<Replayed, Error> {
    rebuild_with(db, projections, None, &mut |_| {}).await
}

/// The same from the newest snapshot on the shelf that can be used, if there is one: only later events are read and
/// checked. One that is damaged or gone is passed over with a warning.
pub async fn rebuild_with(
    db: &Db,
    projections: &Projections,
    shelf: Option<&dyn Shelf>,
    progress: Progress<'_>,
) -> Result<Replayed, Error> {
    // Before anybody is kept from writing: it reads the object.
    let from = usable(db, projections, shelf).await?;
    let mut tx = db.write_unlimited().await?;
    let head = Head::load(&mut tx).await?;
    let (replayed, _) = rebuild_in(db, tx, head, projections, from, progress).await?;
    follower::announce_rebuilt(db).await;
    Ok(replayed)
}

/// Rebuilds the views unless another replica has done so meanwhile. Returns the head.
pub(super) async fn bring_up_to_date(
    db: &Db,
    projections: &Projections,
    shelf: Option<&dyn Shelf>,
) -> Result<Head, Error> {
    let from = usable(db, projections, shelf).await?;
    let mut tx = db.write_unlimited().await?;
    let head = Head::load(&mut tx).await?;
    if head.views_version == projections.version() && !are_lost(&mut tx, &head, projections).await? {
        return Ok(head);
    }
    if head.last() > 0 {
        let begun = from.as_ref().map_or(0, Usable::sequence);
        tracing::info!(events = head.last(), from = begun, "Rebuilding the views");
    }
    let (_, head) = rebuild_in(db, tx, head, projections, from, &mut progress::logged()).await?;
    follower::announce_rebuilt(db).await;
    Ok(head)
}

/// Whether the log has events and no view has a row, now.
pub(super) async fn are_lost_in(db: &Db, projections: &Projections) -> Result<bool, Error> {
    let mut tx = db.snapshot().await?;
    let head = Head::load(&mut tx).await?;
    are_lost(&mut tx, &head, projections).await
}

/// Whether the log has events and no view has a row: the log alone was restored, whose head tells the version of the
/// views that were there. Where the events lead to no row at all they are few, and folding them again costs nothing.
async fn are_lost(tx: &mut Tx, head: &Head, projections: &Projections) -> Result<bool, Error> {
    if head.last() == 0 {
        return Ok(false);
    }
    for table in projections.tables() {
        if !tx.page(table, None, 1).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes sure that the views can be asked: [`Error::Superseded`] when another version of the projections wrote them, and
/// [`Error::Unbuilt`] when nobody did.
pub async fn check_views(db: &Db, projections: &Projections) -> Result<(), Error> {
    let mut tx = db.snapshot().await?;
    let head = Head::load(&mut tx).await?;
    let known = projections.version();
    if head.views_version != known {
        return Err(Error::Superseded { known, found: head.views_version });
    }
    if are_lost(&mut tx, &head, projections).await? { Err(Error::Unbuilt) } else { Ok(()) }
}

async fn usable<'a>(
    db: &Db,
    projections: &Projections,
    shelf: Option<&'a dyn Shelf>,
) -> Result<Option<Usable<'a>>, Error> {
    match shelf {
        Some(shelf) => snapshot::newest_usable(db, projections, shelf).await,
        None => Ok(None),
    }
}

async fn rebuild_in(
    db: &Db,
    mut tx: Tx,
    mut head: Head,
    projections: &Projections,
    from: Option<Usable<'_>>,
    progress: Progress<'_>,
) -> Result<(Replayed, Head), Error> {
    // Before anything is emptied: what is behind the head would be in no view and beside the next event.
    head.check(&mut tx).await?;
    let from = begin(&mut tx, &head, projections, from).await?;
    fold(db, &head, projections, from, &mut tx, progress).await?;
    head.views_version = projections.version();
    head.store(&mut tx).await?;
    let state = state::digest(&mut tx, projections).await?;
    tx.commit().await?;
    Ok((Replayed { events: head.last(), from, state }, head))
}

/// Rebuilds the views of one moment into a scratch database in `directory` and returns its state digest
/// beside that of the live views of the same moment. Changes nothing; works beside a running server.
pub async fn check(
    db: &Db,
    projections: &Projections,
    directory: &Path,
) -> Result<(Replayed, state::StateDigest), Error> {
    check_with(db, projections, directory, None, &mut |_| {}).await
}

/// The same from the newest snapshot that can be used: proves that it leads to the live views.
pub async fn check_with(
    db: &Db,
    projections: &Projections,
    directory: &Path,
    shelf: Option<&dyn Shelf>,
    progress: Progress<'_>,
) -> Result<(Replayed, state::StateDigest), Error> {
    let from = usable(db, projections, shelf).await?;
    let mut live = db.snapshot().await?;
    let head = Head::load(&mut live).await?;
    head.check(&mut live).await?;
    // The live ones first: a server does not keep a snapshot open for somebody who is busy elsewhere. Events up to
    // the head of it never change.
    let found = state::digest(&mut live, projections).await?;
    drop(live);
    // What was written after that moment is of no use for it.
    let from = from.filter(|from| from.sequence() <= head.last());
    let scratch = Db::scratch(directory).await?;
    let mut tx = scratch.write_unlimited().await?;
    let from = begin(&mut tx, &head, projections, from).await?;
    fold(db, &head, projections, from, &mut tx, progress).await?;
    head.store(&mut tx).await?;
    let rebuilt = state::digest(&mut tx, projections).await?;
    drop(tx);
    scratch.close().await;
    Ok((Replayed { events: head.last(), from, state: rebuilt }, found))
}

/// Empties the views, or fills them from a snapshot. Returns the newest event they include.
async fn begin(
    tx: &mut Tx,
    head: &Head,
    projections: &Projections,
    from: Option<Usable<'_>>,
) -> Result<Sequence, Error> {
    clear(tx, projections).await?;
    let Some(from) = from else { return Ok(0) };
    match from.load(tx, head, projections).await? {
        Ok(()) => Ok(from.sequence()),
        Err(unusable) => {
            from.warn(&unusable);
            clear(tx, projections).await?;
            Ok(0)
        }
    }
}

async fn clear(tx: &mut Tx, projections: &Projections) -> Result<(), Error> {
    for table in projections.tables() {
        tx.clear(table).await?;
    }
    Ok(())
}

/// Folds the events after `from` up to the head into the views of `tx`; they are read from `db`.
async fn fold(
    db: &Db,
    head: &Head,
    projections: &Projections,
    from: Sequence,
    tx: &mut Tx,
    progress: Progress<'_>,
) -> Result<(), Error> {
    let mut pages = Pages::start(db, head, projections, from);
    let mut folded = from;
    let mut report = progress::Report::new(from, head.last(), progress);
    while let Some(page) = pages.next().await? {
        folded = page.last;
        fold_page(page, projections, tx).await?;
        report.folded(folded);
    }
    if folded == head.last() { Ok(()) } else { Err(Error::Head { head: head.last(), events: folded }) }
}

async fn fold_page(page: Page, projections: &Projections, tx: &mut Tx) -> Result<(), Error> {
    let mut rows = Rows::default();
    rows.load(tx, page.reads).await?;
    for event in &page.events {
        appender::fold(event, projections, &mut rows, tx).await?;
    }
    for (table, upserts, deletes) in rows.into_changes() {
        tx.delete(table, &deletes).await?;
        tx.fill(table, &upserts).await?;
    }
    Ok(())
}

//! Moving a log to another database, byte for byte.
//!
//! The copy is a prefix of the log at every moment: a page of events and the head that counts it commit together.
//! Until [`finish`] the head of the copy has an epoch below zero, and [`Log::open`](super::Log::open) refuses
//! such a log: nobody goes on with half a history.

use super::event::EVENTS;
use super::{Error, Event, Head, MANIFEST_CONTENTS, Sequence};
use crate::db::{Db, Key, Row, Tx};
use crate::hash::{self, Hasher};
use crate::oci::{Algorithm, Digest};

/// Events per transaction, unless they are large: see [`Tx::page`]. Bounds memory.
const PAGE: i64 = 500;

/// The same of manifests.
const CONTENTS: i64 = 16;

/// Begins a copy of the log in `from`, or finds the one that an earlier run began. Returns the id of the log and
/// whether the copy is whole already.
///
/// [`Error::OtherLog`] when `to` holds another log, [`Error::Grown`] when an earlier copy was finished and the
/// two have gone on since: they are two histories then.
pub async fn begin(from: &Db, to: &Db) -> Result<(String, bool), Error> {
    let source = Head::read(from).await?;
    let mut tx = to.write().await?;
    if let Some(is_whole) = compatible(&source, &mut tx).await? {
        return Ok((source.log_id, is_whole));
    }
    let (epoch, next_sequence) = (-source.epoch, 1);
    let head = Head { epoch, next_sequence, last_recorded_at: 0, views_version: 0, ..source.clone() };
    // Not an upsert: a server may be starting on the same empty database.
    head.insert(&mut tx).await?;
    tx.commit().await?;
    Ok((source.log_id, false))
}

/// What [`begin`] would return, or refuse, without beginning anything.
pub async fn look(from: &Db, to: &Db) -> Result<(String, bool), Error> {
    let source = Head::read(from).await?;
    let is_whole = compatible(&source, &mut to.snapshot().await?).await?;
    Ok((source.log_id, is_whole.unwrap_or(false)))
}

/// Whether the copy that is there is whole; `None` when there is none.
async fn compatible(source: &Head, tx: &mut Tx) -> Result<Option<bool>, Error> {
    let found = match Head::load(tx).await {
        Err(Error::Absent) => return Ok(None),
        found => found?,
    };
    if found.log_id != source.log_id {
        return Err(Error::OtherLog { expected: source.log_id.clone(), found: found.log_id });
    }
    found.check(tx).await?;
    if found.is_whole() && found.last() != source.last() {
        return Err(Error::Grown { copy: found.last(), original: source.last() });
    }
    Ok(Some(found.is_whole()))
}

/// Copies the events that are not there yet. A finished copy stays as it is.
pub async fn events(from: &Db, to: &Db, mut progress: impl FnMut(Sequence)) -> Result<Sequence, Error> {
    loop {
        let mut tx = to.write().await?;
        let mut head = Head::load(&mut tx).await?;
        if head.is_whole() {
            return Ok(head.last());
        }
        let page = from.snapshot().await?.page(&EVENTS, after(head.last()).as_ref(), PAGE).await?;
        if page.is_empty() {
            return Ok(head.last());
        }
        for row in &page {
            let event = check(row, &head)?;
            head.next_sequence = event.sequence + 1;
            head.last_recorded_at = event.recorded_at;
        }
        tx.insert(&EVENTS, &page).await?;
        head.store(&mut tx).await?;
        tx.commit().await?;
        progress(head.last());
    }
}

/// Copies the bytes of manifests that are not there yet, or not as they should be, and returns how many there are.
pub async fn contents(from: &Db, to: &Db) -> Result<u64, Error> {
    let (mut after, mut seen) = (None::<Key>, 0);
    loop {
        let page = from.snapshot().await?.page(&MANIFEST_CONTENTS, after.as_ref(), CONTENTS).await?;
        let Some(last) = page.last() else { return Ok(seen) };
        seen += page.len() as u64;
        after = Some(MANIFEST_CONTENTS.key_of(last));
        let keys: Vec<Key> = page.iter().map(|row| MANIFEST_CONTENTS.key_of(row)).collect();
        let mut tx = to.write().await?;
        let present = tx.load(&MANIFEST_CONTENTS, None, &keys).await?;
        let missing: Vec<Row> = page.into_iter().filter(|row| !present.contains(row)).collect();
        for row in &missing {
            check_content(row)?;
        }
        if !missing.is_empty() {
            tx.upsert(&MANIFEST_CONTENTS, &missing).await?;
            tx.commit().await?;
        }
    }
}

/// Reads both logs to their ends and compares every byte. Returns a digest over all of them.
pub async fn compare(one: &Db, other: &Db) -> Result<Digest, Error> {
    let mut hasher = Hasher::new(Algorithm::Blake3);
    let (mut one, mut other) = (one.snapshot().await?, other.snapshot().await?);
    let mut last = 0;
    loop {
        let (ours, theirs) = (page_after(&mut one, last).await?, page_after(&mut other, last).await?);
        if let Some(at) = (0..ours.len().max(theirs.len())).find(|&at| ours.get(at) != theirs.get(at)) {
            let sequence = last + 1 + i64::try_from(at).expect("it is within a page");
            return Err(Error::Differs { sequence });
        }
        let Some(row) = ours.last() else { return Ok(hasher.finish()) };
        last = row.integer(0);
        for row in &ours {
            for column in 7..EVENTS.columns.len() {
                let bytes = row.blob(column);
                hasher.update(&(bytes.len() as u64).to_be_bytes());
                hasher.update(bytes);
            }
        }
    }
}

/// Declares the copy whole: from now on it is a log like any other.
pub async fn finish(to: &Db) -> Result<(), Error> {
    let mut tx = to.write().await?;
    let mut head = Head::load(&mut tx).await?;
    if !head.is_whole() {
        head.epoch = -head.epoch;
        head.store(&mut tx).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn page_after(tx: &mut Tx, sequence: Sequence) -> Result<Vec<Row>, Error> {
    Ok(tx.page(&EVENTS, after(sequence).as_ref(), PAGE).await?)
}

fn after(sequence: Sequence) -> Option<Key> {
    (sequence > 0).then(|| vec![sequence.into()])
}

/// The event of a row, when it is the next one and is what was recorded.
fn check(row: &Row, head: &Head) -> Result<Event, Error> {
    let (expected, found) = (head.next_sequence, row.integer(0));
    if found != expected {
        return Err(Error::Gap { expected, found });
    }
    Event::from_row(row, &head.log_id).map_err(|source| Error::Damaged { sequence: found, source })
}

fn check_content(row: &Row) -> Result<(), Error> {
    let (content, bytes) = (row.text(0), row.blob(1));
    let actual = hash::digest(Algorithm::Blake3, bytes);
    if actual.as_str() == content {
        Ok(())
    } else {
        Err(Error::Content { content: content.to_owned(), actual })
    }
}

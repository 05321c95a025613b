//! Pages of the log from the database.

use std::sync::Arc;

use super::{Filter, Limit, Page, Record, SCANNED};
use crate::db::{Db, Key, Row};
use crate::events::event::EVENTS;
use crate::events::{Error, Head, Sequence};

const ALL: &str = "SELECT sequence, type, repository, subject, OCTET_LENGTH(payload) FROM events \
    WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3";
const OF_REPOSITORY: &str = "SELECT sequence, type, repository, subject, OCTET_LENGTH(payload) FROM events \
    WHERE repository = $4 AND sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3";
const OF_SUBJECT: &str = "SELECT sequence, type, repository, subject, OCTET_LENGTH(payload) FROM events \
    WHERE subject = $4 AND sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3";
const FIRST: &str = "SELECT MIN(sequence) FROM events";

/// Bytes of payload that are read where they are asked for.
const SMALL: usize = 256 * 1024;

/// Every named statement of this module.
pub(in crate::events) static STATEMENTS: &[&str] = &[ALL, OF_REPOSITORY, OF_SUBJECT, FIRST];

/// Events are looked at by their envelopes first; only those that fit are read.
pub(in crate::events) async fn scan(
    db: &Db,
    head: &Head,
    after: Sequence,
    filter: &Filter,
    limit: Limit,
) -> Result<Page, Error> {
    let until = head.last();
    let mut tx = db.snapshot().await?;
    let mut args = vec![after.into(), until.into(), i64::try_from(SCANNED).unwrap_or(i64::MAX).into()];
    let statement = match (&filter.package, &filter.repository) {
        (Some(package), _) => {
            args.push(package.as_str().into());
            OF_SUBJECT
        }
        (None, Some(repository)) => {
            args.push(repository.as_str().into());
            OF_REPOSITORY
        }
        (None, None) => ALL,
    };
    let looked_at = tx.query(statement, args).await?;
    let (wanted, scanned_to) = choose(&looked_at, filter, limit, until);
    let mut rows = if wanted.is_empty() { Vec::new() } else { tx.load(&EVENTS, None, &wanted).await? };
    rows.sort_unstable_by_key(|row| row.integer(0));
    if rows.len() != wanted.len() {
        // They were there a moment ago in the same snapshot.
        return Err(Error::Gap { expected: after + 1, found: until });
    }
    let page = Page { records: Vec::with_capacity(rows.len()), scanned_to, head: until };
    let log_id = head.log_id.clone();
    if rows.iter().map(|row| row.blob(8).len()).sum::<usize>() <= SMALL {
        return read(&rows, &log_id, page);
    }
    // To read and compare many bytes takes a while, which others need not wait for.
    let reading = tokio::task::spawn_blocking(move || read(&rows, &log_id, page));
    reading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Fills a page up to the first event that is not what was recorded.
fn read(rows: &[Row], log_id: &str, mut page: Page) -> Result<Page, Error> {
    for row in rows {
        match Record::from_row(row, log_id) {
            Ok(record) => page.records.push(Arc::new(record)),
            Err(error) if page.records.is_empty() => return Err(error),
            // What is before it is handed on first.
            Err(_) => {
                page.scanned_to = row.integer(0) - 1;
                break;
            }
        }
    }
    Ok(page)
}

/// The keys of those that fit and fill a page, and how far the log was looked at then.
fn choose(looked_at: &[Row], filter: &Filter, limit: Limit, until: Sequence) -> (Vec<Key>, Sequence) {
    let (mut wanted, mut bytes, mut scanned_to) = (Vec::new(), 0_usize, None);
    for row in looked_at {
        if filter.fits(row.text(1), row.optional_text(2), row.optional_text(3).unwrap_or_default()) {
            bytes = bytes.saturating_add(usize::try_from(row.integer(4)).unwrap_or(usize::MAX));
            if limit.is_reached(wanted.len(), bytes) {
                // The one before this one was the last that was looked at.
                return (wanted, scanned_to.unwrap_or(until));
            }
            wanted.push(vec![row.integer(0).into()]);
        }
        scanned_to = Some(row.integer(0));
    }
    let is_end = looked_at.len() < SCANNED;
    (wanted, if is_end { until } else { scanned_to.unwrap_or(until) })
}

/// The number of the last event that is not in the log any more; 0 while all are.
pub(in crate::events) async fn horizon(db: &Db) -> Result<Sequence, Error> {
    let rows = db.query(FIRST, Vec::new()).await?;
    Ok(rows.first().and_then(|row| row.optional_integer(0)).map_or(0, |first| first - 1))
}

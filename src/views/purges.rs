//! Content whose bytes were deleted, and when: what a certificate tells of them.

use std::collections::HashMap;

use super::blobs::CHUNK;
use super::contents::stored_digest;
use crate::clock::Micros;
use crate::db::{Column, Db, Error, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows, Sequence};
use crate::oci::Digest;

/// One row per content of which a copy was ever deleted.
pub static PURGES: Table = Table {
    name: "purges",
    columns: &[Column::text("content"), Column::integer("purged_at"), Column::integer("sequence")],
    key: 1,
    indexes: &[],
};

/// The newest deletion of a copy of some content. Others may have been stored since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purge {
    /// When it was recorded.
    pub at: Micros,
    /// The event.
    pub sequence: Sequence,
}

/// The fold.
#[derive(Debug)]
pub struct Purges;

impl Projection for Purges {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&PURGES]
    }

    fn reads(&self, _: &Event) -> Vec<Read> {
        Vec::new()
    }

    fn apply(&self, event: &Event, _: &Rows) -> Vec<Change> {
        let Fact::BlobsPurged(fact) = &event.fact else { return Vec::new() };
        let row = |content: &Digest| {
            Row(vec![content.as_str().into(), event.recorded_at.into(), event.sequence.into()])
        };
        fact.copies.iter().map(|copy| Change::Upsert(&PURGES, row(&copy.content))).collect()
    }
}

/// The newest deletions among these contents.
pub async fn find_all(db: &Db, contents: &[Digest]) -> Result<HashMap<Digest, Purge>, Error> {
    let mut found = HashMap::new();
    let mut tx = db.snapshot().await?;
    for chunk in contents.chunks(CHUNK) {
        let mut keys: Vec<Key> = chunk.iter().map(|content| vec![content.as_str().into()]).collect();
        keys.sort();
        keys.dedup();
        for row in tx.load(&PURGES, None, &keys).await? {
            let purge = Purge { at: row.integer(1), sequence: row.integer(2) };
            found.insert(stored_digest(&row, 0), purge);
        }
    }
    Ok(found)
}

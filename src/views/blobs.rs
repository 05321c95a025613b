//! Stored blobs: what exists once, whichever repositories link it.

use super::contents::stored_digest;
use crate::db::{Column, Db, Error, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows};
use crate::oci::Digest;

/// One row per stored blob.
pub static BLOBS: Table = Table {
    name: "blobs",
    columns: &[
        Column::text("content"),
        Column::integer("size"),
        Column::text("state"),
        Column::text("backend"),
        Column::text("storage_key"),
        Column::integer("sequence"),
    ],
    key: 1,
    indexes: &[],
};

const PAGE: &str = "SELECT content, size, state, backend, storage_key FROM blobs WHERE content > $1 ORDER BY content LIMIT $2";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[PAGE];

/// Where a blob is and how large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its content address.
    pub content: Digest,
    /// Bytes.
    pub size: u64,
    /// The backend that holds it.
    pub backend: String,
    /// Its key there.
    pub key: String,
    /// Whether it may be linked and served.
    pub is_live: bool,
}

impl Blob {
    /// Reads `content, size, state, backend, storage_key` from columns `at..`.
    pub(super) fn from_columns(row: &Row, at: usize) -> Self {
        Self {
            content: stored_digest(row, at),
            size: row.integer(at + 1).unsigned_abs(),
            is_live: row.text(at + 2) == LIVE,
            backend: row.text(at + 3).to_owned(),
            key: row.text(at + 4).to_owned(),
        }
    }
}

const LIVE: &str = "live";

/// The fold.
#[derive(Debug)]
pub struct Blobs;

impl Projection for Blobs {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&BLOBS]
    }

    fn reads(&self, _: &Event) -> Vec<Read> {
        Vec::new()
    }

    fn apply(&self, event: &Event, _: &Rows) -> Vec<Change> {
        let Fact::BlobStored(fact) = &event.fact else {
            return Vec::new();
        };
        let row = Row(vec![
            fact.content.as_str().into(),
            fact.size.cast_signed().into(),
            LIVE.into(),
            fact.backend.as_str().into(),
            fact.key.as_str().into(),
            event.sequence.into(),
        ]);
        vec![Change::Upsert(&BLOBS, row)]
    }
}

/// The key of a blob.
pub fn key(content: &Digest) -> Key {
    vec![content.as_str().into()]
}

/// The blob with this content address among loaded rows.
pub fn get(rows: &Rows, content: &Digest) -> Option<Blob> {
    rows.get(&BLOBS, &key(content)).map(|row| Blob::from_columns(row, 0))
}

/// Up to `limit` blobs in content order, after the one given.
pub async fn page(db: &Db, after: Option<&Digest>, limit: i64) -> Result<Vec<Blob>, Error> {
    let after = after.map_or("", Digest::as_str);
    let rows = db.query(PAGE, vec![after.into(), limit.into()]).await?;
    Ok(rows.iter().map(|row| Blob::from_columns(row, 0)).collect())
}

//! Stored blobs: what exists once, whichever repositories link it.

use std::collections::HashMap;

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
        Column::text("version"),
    ],
    key: 1,
    indexes: &[],
};

/// Blobs looked up per statement.
const CHUNK: usize = 64;

const PAGE: &str = "SELECT content, size, state, backend, storage_key, sequence, version FROM blobs \
    WHERE content > $1 ORDER BY content LIMIT $2";

const FIND: &str =
    "SELECT content, size, state, backend, storage_key, sequence, version FROM blobs WHERE content = $1";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[PAGE, FIND];

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
    /// Which version of the key it is, where the backend keeps several.
    pub version: Option<String>,
    /// Whether it may be linked and served.
    pub is_live: bool,
}

impl Blob {
    /// Reads `content, size, state, backend, storage_key, sequence, version` from columns `at..`.
    pub(super) fn from_columns(row: &Row, at: usize) -> Self {
        Self {
            content: stored_digest(row, at),
            size: row.integer(at + 1).unsigned_abs(),
            is_live: row.text(at + 2) == LIVE,
            backend: row.text(at + 3).to_owned(),
            key: row.text(at + 4).to_owned(),
            version: row.optional_text(at + 6).map(str::to_owned),
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
        let (content, size, backend, key, version) = match &event.fact {
            Fact::BlobStored(fact) => (&fact.content, fact.size, &fact.backend, &fact.key, &fact.version),
            Fact::BlobRepaired(fact) => (&fact.content, fact.size, &fact.backend, &fact.key, &fact.version),
            _ => return Vec::new(),
        };
        let row = Row(vec![
            content.as_str().into(),
            size.cast_signed().into(),
            LIVE.into(),
            backend.as_str().into(),
            key.as_str().into(),
            event.sequence.into(),
            version.as_deref().into(),
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

/// The live blob with this content address, whoever holds it.
pub async fn find(db: &Db, content: &Digest) -> Result<Option<Blob>, Error> {
    let rows = db.query(FIND, key(content)).await?;
    Ok(rows.first().map(|row| Blob::from_columns(row, 0)).filter(|blob| blob.is_live))
}

/// The live blobs among these content addresses.
pub async fn find_all(db: &Db, contents: &[Digest]) -> Result<HashMap<Digest, Blob>, Error> {
    let mut found = HashMap::with_capacity(contents.len());
    let mut tx = db.snapshot().await?;
    for chunk in contents.chunks(CHUNK) {
        let mut keys: Vec<Key> = chunk.iter().map(key).collect();
        keys.sort();
        keys.dedup();
        for row in tx.load(&BLOBS, None, &keys).await? {
            let blob = Blob::from_columns(&row, 0);
            if blob.is_live {
                found.insert(blob.content.clone(), blob);
            }
        }
    }
    Ok(found)
}

/// Up to `limit` blobs in content order, after the one given.
pub async fn page(db: &Db, after: Option<&Digest>, limit: i64) -> Result<Vec<Blob>, Error> {
    let after = after.map_or("", Digest::as_str);
    let rows = db.query(PAGE, vec![after.into(), limit.into()]).await?;
    Ok(rows.iter().map(|row| Blob::from_columns(row, 0)).collect())
}

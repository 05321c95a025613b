//! Keyed objects: names that move, for applications that think in keys.

use super::blobs::Blob;
use super::contents::stored_digest;
use crate::clock::Micros;
use crate::db::{Column, Db, Error, Index, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows};
use crate::oci::{Digest, RepositoryName};
use crate::package::PackagePath;

/// One row per repository and key.
pub static OBJECTS: Table = Table {
    name: "objects",
    columns: &[
        Column::text("repository"),
        Column::text("object_key"),
        Column::text("content"),
        Column::text("sha256"),
        Column::integer("size"),
        Column::text("media_type"),
        Column::integer("created_at"),
        Column::integer("sequence"),
    ],
    key: 2,
    indexes: &[Index { columns: &[0, 2] }],
};

/// [`OBJECTS`] by repository and content.
const BY_CONTENT: usize = 0;

/// With where the bytes are. Outer, so that every engine begins at the key.
macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT o.repository, o.object_key, o.content, o.sha256, o.size, o.media_type, o.created_at, o.sequence, \
             b.content, b.size, b.state, b.backend, b.storage_key, b.sequence, b.version, b.damage \
             FROM objects o LEFT JOIN blobs b ON b.content = o.content WHERE o.repository = $1 AND ",
            $condition
        )
    };
}

const FIND: &str = select!("o.object_key = $2");

/// Keys from one text on and before another: a prefix is such a range.
const NAMING: &str = "SELECT object_key FROM objects WHERE repository = $1 AND content = $2 LIMIT 1";

const PAGE: &str = select!("o.object_key >= $2 AND o.object_key < $3 ORDER BY o.object_key LIMIT $4");

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[FIND, PAGE, NAMING];

/// What a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The key.
    pub key: PackagePath,
    /// BLAKE3 of the bytes.
    pub content: Digest,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub media_type: String,
    /// When the key got it.
    pub created_at: Micros,
}

/// The fold.
#[derive(Debug)]
pub struct Objects;

impl Projection for Objects {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&OBJECTS]
    }

    fn reads(&self, _: &Event) -> Vec<Read> {
        Vec::new()
    }

    fn apply(&self, event: &Event, _: &Rows) -> Vec<Change> {
        match &event.fact {
            Fact::ObjectStored(fact) => {
                let mut row = key(&fact.repository, &fact.key);
                row.push(fact.content.as_str().into());
                row.push(fact.sha256.as_str().into());
                row.push(fact.size.cast_signed().into());
                row.push(fact.media_type.as_str().into());
                row.push(event.recorded_at.into());
                row.push(event.sequence.into());
                vec![Change::Upsert(&OBJECTS, Row(row))]
            }
            Fact::ObjectDeleted(fact) => vec![Change::Delete(&OBJECTS, key(&fact.repository, &fact.key))],
            _ => Vec::new(),
        }
    }
}

fn object(row: &Row) -> Object {
    Object {
        key: row.text(1).parse().expect("views hold only checked keys"),
        content: stored_digest(row, 2),
        sha256: stored_digest(row, 3),
        size: row.integer(4).unsigned_abs(),
        media_type: row.text(5).to_owned(),
        created_at: row.integer(6),
    }
}

/// The primary key of an object.
pub fn key(repository: &RepositoryName, key: &PackagePath) -> Key {
    vec![repository.as_str().into(), key.as_str().into()]
}

/// The read of an object.
pub fn read(repository: &RepositoryName, name: &PackagePath) -> Read {
    Read::row(&OBJECTS, key(repository, name))
}

/// An object among loaded rows.
pub fn get(rows: &Rows, repository: &RepositoryName, name: &PackagePath) -> Option<Object> {
    rows.get(&OBJECTS, &key(repository, name)).map(object)
}

/// The read of the keys of a repository that name some content.
pub fn naming(repository: &RepositoryName, content: &Digest) -> Read {
    Read::lookup(&OBJECTS, BY_CONTENT, vec![repository.as_str().into(), content.as_str().into()])
}

/// One key of a repository that names some content, among loaded rows.
pub fn naming_one(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Option<PackagePath> {
    let key = [repository.as_str().into(), content.as_str().into()];
    let rows = rows.lookup(&OBJECTS, BY_CONTENT, &key);
    rows.first().map(|row| row.text(1).parse().expect("views hold only checked keys"))
}

/// Whether a key of the repository names the content. May be outdated by the time it is read.
pub async fn is_named_now(db: &Db, repository: &RepositoryName, content: &Digest) -> Result<bool, Error> {
    let rows = db.query(NAMING, vec![repository.as_str().into(), content.as_str().into()]).await?;
    Ok(!rows.is_empty())
}

/// What a key names, and where its bytes are.
pub async fn find(
    db: &Db,
    repository: &RepositoryName,
    name: &PackagePath,
) -> Result<Option<(Object, Blob)>, Error> {
    Ok(db.query(FIND, key(repository, name)).await?.first().map(stored))
}

/// Up to `limit` objects of a repository in the order of their keys, with keys from one text on and before another.
pub async fn page(
    db: &Db,
    repository: &RepositoryName,
    from: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<(Object, Blob)>, Error> {
    let values = vec![repository.as_str().into(), from.into(), before.into(), limit.into()];
    Ok(db.query(PAGE, values).await?.iter().map(stored).collect())
}

/// The command that made the key name content also made sure that the content has a blob, and blobs stay.
fn stored(row: &Row) -> (Object, Blob) {
    (object(row), Blob::from_columns(row, OBJECTS.columns.len()))
}

//! Which repository holds which blob. Knowing a digest grants nothing; a link does.

use std::collections::{BTreeSet, HashSet};

use super::blobs::{self, Blob};
use super::contents;
use crate::db::{Column, Db, Error, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows};
use crate::oci::{Digest, RepositoryName};

/// One row per repository and blob.
pub static BLOB_LINKS: Table = Table {
    name: "blob_links",
    columns: &[Column::text("repository"), Column::text("content"), Column::integer("sequence")],
    key: 2,
    indexes: &[],
};

/// Links looked up per statement.
const CHUNK: usize = 64;

const FIND: &str = "SELECT b.content, b.size, b.state, b.backend, b.storage_key, b.sequence, b.version \
    FROM content_digests d \
    JOIN blob_links l ON l.repository = $1 AND l.content = d.content \
    JOIN blobs b ON b.content = d.content \
    WHERE d.digest = $2";

const ANYWHERE: &str = "SELECT l.repository FROM content_digests d \
    JOIN blob_links l ON l.content = d.content \
    WHERE d.digest = $1 ORDER BY l.repository LIMIT $2";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[FIND, ANYWHERE];

/// The fold.
#[derive(Debug)]
pub struct Links;

impl Projection for Links {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&BLOB_LINKS]
    }

    fn reads(&self, _: &Event) -> Vec<Read> {
        Vec::new()
    }

    fn apply(&self, event: &Event, _: &Rows) -> Vec<Change> {
        match &event.fact {
            Fact::BlobLinked(fact) => {
                let mut row = key(&fact.repository, &fact.content);
                row.push(event.sequence.into());
                vec![Change::Upsert(&BLOB_LINKS, Row(row))]
            }
            Fact::BlobUnlinked(fact) => {
                vec![Change::Delete(&BLOB_LINKS, key(&fact.repository, &fact.content))]
            }
            _ => Vec::new(),
        }
    }
}

/// The key of a link.
pub fn key(repository: &RepositoryName, content: &Digest) -> Key {
    vec![repository.as_str().into(), content.as_str().into()]
}

/// Whether the repository holds the blob, among loaded rows.
pub fn exists(rows: &Rows, repository: &RepositoryName, content: &Digest) -> bool {
    rows.get(&BLOB_LINKS, &key(repository, content)).is_some()
}

/// The blob a repository holds under a digest of any algorithm.
pub async fn find(db: &Db, repository: &RepositoryName, digest: &Digest) -> Result<Option<Blob>, Error> {
    let rows = db.query(FIND, vec![repository.as_str().into(), digest.as_str().into()]).await?;
    Ok(rows.first().map(|row| Blob::from_columns(row, 0)).filter(|blob| blob.is_live))
}

/// [`find`] for many digests at once, in their order.
pub async fn find_all(
    db: &Db,
    repository: &RepositoryName,
    digests: &[Digest],
) -> Result<Vec<Option<Blob>>, Error> {
    let known = contents::find_all(db, digests).await?;
    let distinct: BTreeSet<&Digest> = known.iter().flatten().collect();
    let distinct: Vec<Digest> = distinct.into_iter().cloned().collect();
    let mut held = HashSet::new();
    let mut tx = db.snapshot().await?;
    for chunk in distinct.chunks(CHUNK) {
        let keys: Vec<Key> = chunk.iter().map(|content| key(repository, content)).collect();
        let rows = tx.load(&BLOB_LINKS, None, &keys).await?;
        held.extend(rows.iter().map(|row| contents::stored_digest(row, 1)));
    }
    drop(tx);
    let held: Vec<Digest> = held.into_iter().collect();
    let blobs = blobs::find_all(db, &held).await?;
    Ok(known.into_iter().map(|content| content.and_then(|content| blobs.get(&content).cloned())).collect())
}

/// Up to `limit` repositories that hold the blob, by name.
pub async fn holders(db: &Db, digest: &Digest, limit: i64) -> Result<Vec<RepositoryName>, Error> {
    let rows = db.query(ANYWHERE, vec![digest.as_str().into(), limit.into()]).await?;
    Ok(rows.iter().map(|row| row.text(0).parse().expect("views hold only checked names")).collect())
}

//! Which repository holds which blob. Knowing a digest grants nothing; a link does.

use super::blobs::Blob;
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

/// Up to `limit` repositories that hold the blob, by name.
pub async fn holders(db: &Db, digest: &Digest, limit: i64) -> Result<Vec<RepositoryName>, Error> {
    let rows = db.query(ANYWHERE, vec![digest.as_str().into(), limit.into()]).await?;
    Ok(rows.iter().map(|row| row.text(0).parse().expect("views hold only checked names")).collect())
}

//! By which digests content can be asked for. A further algorithm is a row, never a second copy.

use std::collections::HashMap;

use crate::db::{Column, Db, Error, Index, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows};
use crate::oci::{Algorithm, Digest};

/// `digest -> content`, for every algorithm a digest of the content is known in.
pub static CONTENT_DIGESTS: Table = Table {
    name: "content_digests",
    columns: &[Column::text("digest"), Column::text("content")],
    key: 1,
    indexes: &[Index { columns: &[1] }],
};

/// [`CONTENT_DIGESTS`] by content.
const BY_CONTENT: usize = 0;

/// Digests resolved per statement.
const PAGE: usize = 64;

const FIND: &str = "SELECT content FROM content_digests WHERE digest = $1";

const DIGESTS: &str = "SELECT digest FROM content_digests WHERE content = $1 ORDER BY digest";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[FIND, DIGESTS];

/// The fold.
#[derive(Debug)]
pub struct Contents;

impl Projection for Contents {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&CONTENT_DIGESTS]
    }

    fn reads(&self, _: &Event) -> Vec<Read> {
        Vec::new()
    }

    fn apply(&self, event: &Event, _: &Rows) -> Vec<Change> {
        let row = |digest: &Digest, content: &Digest| {
            Change::Upsert(&CONTENT_DIGESTS, Row(vec![digest.as_str().into(), content.as_str().into()]))
        };
        match &event.fact {
            Fact::BlobStored(fact) => fact.digests.iter().map(|digest| row(digest, &fact.content)).collect(),
            Fact::ManifestPushed(fact) => {
                fact.digests.iter().map(|digest| row(digest, &fact.content)).collect()
            }
            Fact::ContentDigested(fact) => vec![row(&fact.digest, &fact.content)],
            _ => Vec::new(),
        }
    }
}

/// The key of a digest.
pub fn key(digest: &Digest) -> Key {
    vec![digest.as_str().into()]
}

/// The content behind a digest, among loaded rows.
pub fn content_of(rows: &Rows, digest: &Digest) -> Option<Digest> {
    rows.get(&CONTENT_DIGESTS, &key(digest)).map(|row| stored_digest(row, 1))
}

/// The read of every digest of a content.
pub fn of(content: &Digest) -> Read {
    Read::lookup(&CONTENT_DIGESTS, BY_CONTENT, vec![content.as_str().into()])
}

/// Every digest a content is known by, among loaded rows.
pub fn known(rows: &Rows, content: &Digest) -> Vec<Digest> {
    let rows = rows.lookup(&CONTENT_DIGESTS, BY_CONTENT, &[content.as_str().into()]);
    rows.iter().map(|row| stored_digest(row, 0)).collect()
}

/// The SHA-256 of each of these contents, where it is known.
pub async fn sha256_of_all(db: &Db, contents: &[Digest]) -> Result<HashMap<Digest, Digest>, Error> {
    let mut found = HashMap::with_capacity(contents.len());
    let mut tx = db.snapshot().await?;
    for chunk in contents.chunks(PAGE) {
        let mut keys: Vec<Key> = chunk.iter().map(|content| vec![content.as_str().into()]).collect();
        keys.sort();
        keys.dedup();
        for row in tx.load(&CONTENT_DIGESTS, Some(BY_CONTENT), &keys).await? {
            let digest = stored_digest(&row, 0);
            if digest.algorithm() == Algorithm::Sha256 {
                found.insert(stored_digest(&row, 1), digest);
            }
        }
    }
    Ok(found)
}

/// The content address behind a digest, if it is known. A digest never changes its content.
pub async fn find(db: &Db, digest: &Digest) -> Result<Option<Digest>, Error> {
    let rows = db.query(FIND, vec![digest.as_str().into()]).await?;
    Ok(rows.first().map(|row| stored_digest(row, 0)))
}

/// Every digest a content is known by.
pub async fn digests_of(db: &Db, content: &Digest) -> Result<Vec<Digest>, Error> {
    let rows = db.query(DIGESTS, vec![content.as_str().into()]).await?;
    Ok(rows.iter().map(|row| stored_digest(row, 0)).collect())
}

/// [`find`] for many digests at once, in their order.
pub async fn find_all(db: &Db, digests: &[Digest]) -> Result<Vec<Option<Digest>>, Error> {
    let mut found = Vec::with_capacity(digests.len());
    let mut tx = None;
    for chunk in digests.chunks(PAGE) {
        if let [only] = chunk {
            found.push(find(db, only).await?);
            continue;
        }
        let tx = match &mut tx {
            Some(tx) => tx,
            none => none.insert(db.snapshot().await?),
        };
        let keys: Vec<Key> = chunk.iter().map(key).collect();
        let rows = tx.load(&CONTENT_DIGESTS, None, &keys).await?;
        let contents: HashMap<&str, &Row> = rows.iter().map(|row| (row.text(0), row)).collect();
        let content = |digest: &Digest| contents.get(digest.as_str()).map(|row| stored_digest(row, 1));
        found.extend(chunk.iter().map(content));
    }
    Ok(found)
}

/// A digest the log wrote. Only checked digests enter it.
pub(super) fn stored_digest(row: &Row, at: usize) -> Digest {
    row.text(at).parse().expect("views hold only checked digests")
}

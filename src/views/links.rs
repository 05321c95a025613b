//! Which repository holds which blob. Knowing a digest grants nothing; a link does.

use std::collections::{BTreeSet, HashSet};

use super::blobs::{self, Blob};
use super::contents::stored_digest;
use super::{contents, manifests, package_files};
use crate::clock::Micros;
use crate::db::{Column, Db, Error, Index, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Role, Rows};
use crate::oci::{Digest, RepositoryName};

/// One row per repository and blob.
pub static BLOB_LINKS: Table = Table {
    name: "blob_links",
    columns: &[
        Column::text("repository"),
        Column::text("content"),
        Column::integer("sequence"),
        Column::integer("unreferenced_since"),
    ],
    key: 2,
    indexes: &[Index { columns: &[1] }],
};

/// [`BLOB_LINKS`] by content.
const BY_CONTENT: usize = 0;

/// Where a link says since when it seems unused.
const SINCE: usize = 3;

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

/// Links that seem unused since before a moment, the longest first. What seems so may be named all the same.
const UNUSED: &str = "SELECT repository, content, sequence, unreferenced_since FROM blob_links \
    WHERE unreferenced_since IS NOT NULL AND unreferenced_since < $1 \
    ORDER BY unreferenced_since, repository, content LIMIT $2";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[FIND, ANYWHERE, UNUSED];

/// The fold.
#[derive(Debug)]
pub struct Links;

impl Projection for Links {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&BLOB_LINKS]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        let mut reads = Vec::new();
        for_each_change(event, &Rows::default(), |repository, content, _| {
            reads.push(Read::row(&BLOB_LINKS, key(repository, content)));
        });
        reads
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        match &event.fact {
            Fact::BlobLinked(fact) => {
                let mut row = key(&fact.repository, &fact.content);
                row.push(event.sequence.into());
                row.push(event.recorded_at.into());
                return vec![Change::Upsert(&BLOB_LINKS, Row(row))];
            }
            Fact::BlobUnlinked(fact) => {
                return vec![Change::Delete(&BLOB_LINKS, key(&fact.repository, &fact.content))];
            }
            Fact::BlobsReleased(fact) => {
                let key = |content| key(&fact.repository, content);
                return fact.contents.iter().map(|it| Change::Delete(&BLOB_LINKS, key(it))).collect();
            }
            _ => {}
        }
        let mut changes = Vec::new();
        for_each_change(event, rows, |repository, content, since| {
            let Some(row) = rows.get(&BLOB_LINKS, &key(repository, content)) else { return };
            if row.optional_integer(SINCE) != since {
                let mut row = row.clone();
                row.0[SINCE] = since.into();
                changes.push(Change::Upsert(&BLOB_LINKS, row));
            }
        });
        changes
    }
}

/// Every link that an event makes used (`None`) or perhaps unused, and since when.
///
/// Something else may name a blob that one manifest, draft or key gives up: to look at everything then would cost
/// more than to let a collection find out. The other way round nothing is left to chance: what names a blob says so.
fn for_each_change(
    event: &Event,
    rows: &Rows,
    mut change: impl FnMut(&RepositoryName, &Digest, Option<Micros>),
) {
    let unused = Some(event.recorded_at);
    match &event.fact {
        Fact::ManifestPushed(fact) => {
            for reference in fact.references.iter().filter(|reference| reference.role != Role::Child) {
                change(&fact.repository, &reference.target, None);
            }
        }
        Fact::ManifestDeleted(fact) => {
            for target in manifests::blobs_of(rows, &fact.repository, &fact.content) {
                change(&fact.repository, &target, unused);
            }
        }
        Fact::PackageFileIngested(fact) => change(&fact.repository, &fact.file.content_address, None),
        Fact::PackageFileReplaced(fact) => {
            change(&fact.repository, &fact.previous, unused);
            change(&fact.repository, &fact.file.content_address, None);
        }
        Fact::PackageFileDropped(fact) => change(&fact.repository, &fact.content, unused),
        Fact::PackageFailed(fact) => {
            for content in package_files::contents_of(rows, &fact.package) {
                change(&fact.repository, &content, unused);
            }
        }
        Fact::PackageDeleted(fact) => {
            for content in package_files::contents_of(rows, &fact.package) {
                change(&fact.repository, &content, unused);
            }
        }
        Fact::ObjectStored(fact) => {
            if let Some(previous) = &fact.previous {
                change(&fact.repository, previous, unused);
            }
            change(&fact.repository, &fact.content, None);
        }
        Fact::ObjectDeleted(fact) => change(&fact.repository, &fact.content, unused),
        Fact::BlobsKept(fact) => {
            let since = if fact.is_named { None } else { unused };
            fact.contents.iter().for_each(|content| change(&fact.repository, content, since));
        }
        _ => {}
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

/// The read of every link of a blob.
pub fn of(content: &Digest) -> Read {
    Read::lookup(&BLOB_LINKS, BY_CONTENT, vec![content.as_str().into()])
}

/// How many repositories hold the blob, among loaded rows.
pub fn count(rows: &Rows, content: &Digest) -> usize {
    rows.lookup(&BLOB_LINKS, BY_CONTENT, &[content.as_str().into()]).len()
}

/// Since when nothing seems to use a link, if the repository holds the blob and nothing does, among loaded rows.
pub fn unused_since(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Option<Micros> {
    rows.get(&BLOB_LINKS, &key(repository, content))?.optional_integer(SINCE)
}

/// The blob a repository holds under a digest of any algorithm.
pub async fn find(db: &Db, repository: &RepositoryName, digest: &Digest) -> Result<Option<Blob>, Error> {
    let rows = db.query(FIND, vec![repository.as_str().into(), digest.as_str().into()]).await?;
    Ok(rows.first().map(|row| Blob::from_columns(row, 0)).filter(Blob::is_live))
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
        held.extend(rows.iter().map(|row| stored_digest(row, 1)));
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

/// Up to `limit` links that seem unused since before a moment, the longest first.
pub async fn unused(db: &Db, before: Micros, limit: i64) -> Result<Vec<(RepositoryName, Digest)>, Error> {
    let rows = db.query(UNUSED, vec![before.into(), limit.into()]).await?;
    let link =
        |row: &Row| (row.text(0).parse().expect("views hold only checked names"), stored_digest(row, 1));
    Ok(rows.iter().map(link).collect())
}

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

const FIND: &str = "SELECT b.content, b.size, b.state, b.backend, b.storage_key, b.sequence, b.version, \
    b.damage, l.unreferenced_since FROM content_digests d \
    JOIN blob_links l ON l.repository = $1 AND l.content = d.content \
    JOIN blobs b ON b.content = d.content \
    WHERE d.digest = $2";

const ANYWHERE: &str = "SELECT l.repository FROM content_digests d \
    JOIN blob_links l ON l.content = d.content \
    WHERE d.digest = $1 ORDER BY l.repository LIMIT $2";

/// Links that seem unused since before a moment, the longest first, and whether something names them all the same: a
/// package, a key, a manifest by the content address, or one in another way; of a package its content manifest.
const UNUSED: &str = "SELECT l.unreferenced_since, l.repository, l.content, \
    CAST(CASE WHEN EXISTS (SELECT 1 FROM manifest_references m \
        WHERE m.repository = l.repository AND m.target = l.content AND m.role <> 'child') \
    OR EXISTS (SELECT 1 FROM package_files f WHERE f.repository = l.repository AND f.content = l.content) \
    OR EXISTS (SELECT 1 FROM objects o WHERE o.repository = l.repository AND o.content = l.content) \
    THEN 1 ELSE 0 END AS BIGINT), \
    CAST(CASE WHEN EXISTS (SELECT 1 FROM content_digests d JOIN manifest_references m \
        ON m.repository = l.repository AND m.target = d.digest WHERE d.content = l.content) \
    OR EXISTS (SELECT 1 FROM packages p \
        WHERE p.repository = l.repository AND p.content_manifest = l.content AND p.status = 'finalized') \
    THEN 1 ELSE 0 END AS BIGINT) \
    FROM blob_links l \
    WHERE l.unreferenced_since IS NOT NULL AND l.unreferenced_since < $1 \
    AND (l.unreferenced_since, l.repository, l.content) > ($2, $3, $4) \
    ORDER BY l.unreferenced_since, l.repository, l.content LIMIT $5";

const OF: &str = "SELECT repository, unreferenced_since FROM blob_links WHERE content = $1 LIMIT $2";

/// The links of a blob, and whether something of their repository names it.
const NAMED: &str = "SELECT l.repository, CAST(CASE WHEN l.unreferenced_since IS NULL \
    OR EXISTS (SELECT 1 FROM manifest_references m \
        WHERE m.repository = l.repository AND m.target = l.content AND m.role <> 'child') \
    OR EXISTS (SELECT 1 FROM package_files f WHERE f.repository = l.repository AND f.content = l.content) \
    OR EXISTS (SELECT 1 FROM objects o WHERE o.repository = l.repository AND o.content = l.content) \
    OR EXISTS (SELECT 1 FROM content_digests d JOIN manifest_references m \
        ON m.repository = l.repository AND m.target = d.digest WHERE d.content = l.content) \
    OR EXISTS (SELECT 1 FROM packages p \
        WHERE p.repository = l.repository AND p.content_manifest = l.content AND p.status = 'finalized') \
    THEN 1 ELSE 0 END AS BIGINT) \
    FROM blob_links l WHERE l.content = $1 LIMIT $2";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[FIND, ANYWHERE, UNUSED, OF, NAMED];

/// A blob as a repository holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The blob.
    pub blob: Blob,
    /// Since when nothing of the repository seems to name it.
    pub unused_since: Option<Micros>,
}

/// A link that seems unused. They order by since when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unused {
    /// Since when.
    pub since: Micros,
    /// The repository.
    pub repository: RepositoryName,
    /// The blob.
    pub content: Digest,
}

/// A link that seems unused, and what was found that names its blob. May be outdated by the time it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The link.
    pub link: Unused,
    /// Whether a package, a key or a manifest has the blob.
    pub is_used: bool,
    /// Whether a manifest mentions it, perhaps in a way that says nothing when it ends, or a package by its content
    /// manifest.
    pub is_mentioned: bool,
}

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
            let since = if fact.reason.is_for_now() { unused } else { None };
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
    Ok(held(db, repository, digest).await?.map(|held| held.blob))
}

/// The same with since when it seems unused.
pub async fn held(db: &Db, repository: &RepositoryName, digest: &Digest) -> Result<Option<Held>, Error> {
    let rows = db.query(FIND, vec![repository.as_str().into(), digest.as_str().into()]).await?;
    let held = |row: &Row| Held { blob: Blob::from_columns(row, 0), unused_since: row.optional_integer(8) };
    Ok(rows.first().map(held).filter(|held| held.blob.is_live()))
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
    Ok(rows.iter().map(|row| repository(row, 0)).collect())
}

/// Up to `limit` links of a blob, in no order.
pub async fn links_of(
    db: &Db,
    content: &Digest,
    limit: i64,
) -> Result<Vec<(RepositoryName, Option<Micros>)>, Error> {
    let rows = db.query(OF, vec![content.as_str().into(), limit.into()]).await?;
    Ok(rows.iter().map(|row| (repository(row, 0), row.optional_integer(1))).collect())
}

/// Up to `limit` repositories that hold a blob, by name, and whether something of theirs names it. May be outdated by
/// the time it is read.
pub async fn naming(db: &Db, content: &Digest, limit: i64) -> Result<Vec<(RepositoryName, bool)>, Error> {
    let rows = db.query(NAMED, vec![content.as_str().into(), limit.into()]).await?;
    let mut found: Vec<_> = rows.iter().map(|row| (repository(row, 0), row.integer(1) != 0)).collect();
    found.sort();
    Ok(found)
}

/// Up to `limit` links that seem unused since before a moment, the longest first, after the one given.
pub async fn unused(
    db: &Db,
    before: Micros,
    after: Option<&Unused>,
    limit: i64,
) -> Result<Vec<Candidate>, Error> {
    let position = after
        .map_or((Micros::MIN, "", ""), |link| (link.since, link.repository.as_str(), link.content.as_str()));
    let values = vec![before.into(), position.0.into(), position.1.into(), position.2.into(), limit.into()];
    let rows = db.query(UNUSED, values).await?;
    let candidate = |row: &Row| Candidate {
        link: Unused {
            since: row.integer(0),
            repository: repository(row, 1),
            content: stored_digest(row, 2),
        },
        is_used: row.integer(3) != 0,
        is_mentioned: row.integer(4) != 0,
    };
    Ok(rows.iter().map(candidate).collect())
}

fn repository(row: &Row, at: usize) -> RepositoryName {
    row.text(at).parse().expect("views hold only checked names")
}

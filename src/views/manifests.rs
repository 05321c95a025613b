//! Manifests per repository and what they name.

use std::collections::{BTreeSet, HashSet};

use super::contents::{self, stored_digest};
use crate::db::{Column, Db, Error, Index, Key, Row, Table, Value};
use crate::events::{Change, Event, Fact, Projection, Read, Role, Rows};
use crate::oci::{Digest, Reference, RepositoryName};

/// One row per repository and manifest.
pub static MANIFESTS: Table = Table {
    name: "manifests",
    columns: &[
        Column::text("repository"),
        Column::text("content"),
        Column::text("digest"),
        Column::text("media_type"),
        Column::integer("size"),
        Column::integer("sequence"),
    ],
    key: 2,
    indexes: &[],
};

/// One row per descriptor of a manifest.
pub static MANIFEST_REFERENCES: Table = Table {
    name: "manifest_references",
    columns: &[
        Column::text("repository"),
        Column::text("content"),
        Column::text("role"),
        Column::text("target"),
    ],
    key: 4,
    indexes: &[Index { columns: &[0, 1] }, Index { columns: &[0, 3] }],
};

/// [`MANIFEST_REFERENCES`] by the manifest that names.
const BY_MANIFEST: usize = 0;
/// [`MANIFEST_REFERENCES`] by what is named.
const BY_TARGET: usize = 1;

/// Manifests looked up per statement.
const CHUNK: usize = 64;

const BY_DIGEST: &str = "SELECT m.content, m.digest, m.media_type, m.size, $2 \
    FROM content_digests d JOIN manifests m ON m.repository = $1 AND m.content = d.content \
    WHERE d.digest = $2";

const BY_TAG: &str = "SELECT m.content, m.digest, m.media_type, m.size, t.digest \
    FROM tags t JOIN manifests m ON m.repository = t.repository AND m.content = t.content \
    WHERE t.repository = $1 AND t.tag = $2";

const BYTES: &str = "SELECT bytes FROM manifest_contents WHERE content = $1";

const PAGE: &str =
    "SELECT content, bytes FROM manifest_contents WHERE content > $1 ORDER BY content LIMIT $2";

const MISSING: &str = "SELECT m.repository, m.content FROM manifests m \
    LEFT JOIN manifest_contents c ON c.content = m.content \
    WHERE c.content IS NULL ORDER BY m.repository, m.content LIMIT $1";

const NAMES: &str = "SELECT content FROM manifest_references WHERE repository = $1 AND target = $2 LIMIT $3";

const NAMES_AFTER: &str = "SELECT content FROM manifest_references \
    WHERE repository = $1 AND target = $2 AND content > $3 ORDER BY content LIMIT $4";

/// `child` is how the role is written that names a manifest and no blob.
const USES: &str = "SELECT content FROM manifest_references \
    WHERE repository = $1 AND target = $2 AND role <> 'child' LIMIT 1";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[BY_DIGEST, BY_TAG, BYTES, PAGE, MISSING, NAMES, NAMES_AFTER, USES];

/// A manifest as a repository holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its content address.
    pub content: Digest,
    /// The digest it was pushed by.
    pub pushed_as: Digest,
    /// What it is served as.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// The digest to answer with: the one asked for, or the tag's.
    pub digest: Digest,
}

/// The fold.
#[derive(Debug)]
pub struct Manifests;

impl Projection for Manifests {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&MANIFESTS, &MANIFEST_REFERENCES]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        match &event.fact {
            Fact::ManifestDeleted(fact) => vec![references(&fact.repository, &fact.content)],
            _ => Vec::new(),
        }
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        match &event.fact {
            Fact::ManifestPushed(fact) => {
                let owner = key(&fact.repository, &fact.content);
                let mut row = owner.clone();
                row.push(fact.digest.as_str().into());
                row.push(fact.media_type.as_str().into());
                row.push(fact.size.cast_signed().into());
                row.push(event.sequence.into());
                let mut changes = vec![Change::Upsert(&MANIFESTS, Row(row))];
                for reference in &fact.references {
                    let mut row = owner.clone();
                    row.push(reference.role.as_str().into());
                    row.push(reference.target.as_str().into());
                    changes.push(Change::Upsert(&MANIFEST_REFERENCES, Row(row)));
                }
                changes
            }
            Fact::ManifestDeleted(fact) => {
                let owner = key(&fact.repository, &fact.content);
                let named = rows.lookup(&MANIFEST_REFERENCES, BY_MANIFEST, &owner);
                let mut changes: Vec<_> = named
                    .into_iter()
                    .map(|row| Change::Delete(&MANIFEST_REFERENCES, row.0.clone()))
                    .collect();
                changes.push(Change::Delete(&MANIFESTS, owner));
                changes
            }
            _ => Vec::new(),
        }
    }
}

/// The key of a manifest.
pub fn key(repository: &RepositoryName, content: &Digest) -> Key {
    vec![repository.as_str().into(), content.as_str().into()]
}

/// The read of everything a manifest names.
pub fn references(repository: &RepositoryName, content: &Digest) -> Read {
    Read::lookup(&MANIFEST_REFERENCES, BY_MANIFEST, key(repository, content))
}

/// Everything a manifest names, by content address where that is held, among loaded rows.
pub fn named(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Vec<Digest> {
    let named = rows.lookup(&MANIFEST_REFERENCES, BY_MANIFEST, &key(repository, content));
    named.into_iter().map(|row| stored_digest(row, 3)).collect()
}

/// The read of every manifest of a repository that names some content.
pub fn naming(repository: &RepositoryName, target: &Digest) -> Read {
    Read::lookup(&MANIFEST_REFERENCES, BY_TARGET, key(repository, target))
}

/// A manifest of the repository that names the content, among loaded rows.
pub fn naming_one(rows: &Rows, repository: &RepositoryName, target: &Digest) -> Option<Digest> {
    let naming = rows.lookup(&MANIFEST_REFERENCES, BY_TARGET, &key(repository, target));
    naming.first().map(|row| stored_digest(row, 1))
}

/// The indexes of a repository that name a manifest, by their content, among loaded rows.
pub fn parents(rows: &Rows, repository: &RepositoryName, target: &Digest) -> Vec<Digest> {
    let naming = rows.lookup(&MANIFEST_REFERENCES, BY_TARGET, &key(repository, target));
    let is_child = |row: &&&Row| row.text(2) == Role::Child.as_str();
    naming.iter().filter(is_child).map(|row| stored_digest(row, 1)).collect()
}

/// Whether a manifest of a repository has the blob as its config or as a layer, among loaded rows.
pub fn is_used(rows: &Rows, repository: &RepositoryName, blob: &Digest) -> bool {
    let naming = rows.lookup(&MANIFEST_REFERENCES, BY_TARGET, &key(repository, blob));
    naming.iter().any(|row| row.text(2) != Role::Child.as_str())
}

/// The blobs a manifest names, by their content where the repository had them, among loaded rows.
pub fn blobs_of(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Vec<Digest> {
    let named = rows.lookup(&MANIFEST_REFERENCES, BY_MANIFEST, &key(repository, content));
    let is_blob = |row: &&&Row| row.text(2) != Role::Child.as_str();
    named.iter().filter(is_blob).map(|row| stored_digest(row, 3)).collect()
}

/// The children an index names, by their content where the repository had them, among loaded rows.
pub fn children_of(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Vec<Digest> {
    let named = rows.lookup(&MANIFEST_REFERENCES, BY_MANIFEST, &key(repository, content));
    let is_child = |row: &&&Row| row.text(2) == Role::Child.as_str();
    named.iter().filter(is_child).map(|row| stored_digest(row, 3)).collect()
}

/// The digest a manifest was pushed by, if the repository holds it, among loaded rows.
pub fn pushed_as(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Option<Digest> {
    rows.get(&MANIFESTS, &key(repository, content)).map(|row| stored_digest(row, 2))
}

/// Media type of a manifest, if the repository holds it, among loaded rows.
pub fn media_type<'a>(rows: &'a Rows, repository: &RepositoryName, content: &Digest) -> Option<&'a str> {
    rows.get(&MANIFESTS, &key(repository, content)).map(|row| row.text(3))
}

/// Media type and size of a manifest as the history of its tags has them, among loaded rows; empty and 0 for one that
/// is not there, which no tag of a log of ours ever named.
pub fn described<'a>(rows: &'a Rows, repository: &RepositoryName, content: &Digest) -> (&'a str, i64) {
    rows.get(&MANIFESTS, &key(repository, content)).map_or(("", 0), |row| (row.text(3), row.integer(4)))
}

/// The manifest behind a tag or digest.
pub async fn find(
    db: &Db,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<Manifest>, Error> {
    let (sql, reference) = match reference {
        Reference::Digest(digest) => (BY_DIGEST, Value::from(digest.as_str())),
        Reference::Tag(tag) => (BY_TAG, Value::from(tag.as_str())),
    };
    let rows = db.query(sql, vec![repository.as_str().into(), reference]).await?;
    Ok(rows.first().map(|row| Manifest {
        content: stored_digest(row, 0),
        pushed_as: stored_digest(row, 1),
        media_type: row.text(2).to_owned(),
        size: row.integer(3).unsigned_abs(),
        digest: stored_digest(row, 4),
    }))
}

/// Whether a repository holds the manifests of these digests, in their order.
pub async fn are_held(db: &Db, repository: &RepositoryName, digests: &[Digest]) -> Result<Vec<bool>, Error> {
    let known = contents::find_all(db, digests).await?;
    let distinct: BTreeSet<&Digest> = known.iter().flatten().collect();
    let keys: Vec<Key> = distinct.into_iter().map(|content| key(repository, content)).collect();
    let mut held = HashSet::new();
    let mut tx = db.snapshot().await?;
    for chunk in keys.chunks(CHUNK) {
        held.extend(tx.load(&MANIFESTS, None, chunk).await?.iter().map(|row| stored_digest(row, 1)));
    }
    Ok(known.iter().map(|content| content.as_ref().is_some_and(|content| held.contains(content))).collect())
}

/// The bytes of a manifest.
pub async fn bytes(db: &Db, content: &Digest) -> Result<Option<Vec<u8>>, Error> {
    let rows = db.query(BYTES, vec![content.as_str().into()]).await?;
    Ok(rows.first().map(|row| row.blob(0).to_vec()))
}

/// Up to `limit` manifests of the repository that name the content. May be outdated by the time they are read.
pub async fn naming_now(
    db: &Db,
    repository: &RepositoryName,
    target: &Digest,
    limit: i64,
) -> Result<Vec<Digest>, Error> {
    let values = vec![repository.as_str().into(), target.as_str().into(), limit.into()];
    Ok(db.query(NAMES, values).await?.iter().map(|row| stored_digest(row, 0)).collect())
}

/// The next of them by their content, after one.
pub async fn naming_after(
    db: &Db,
    repository: &RepositoryName,
    target: &Digest,
    after: Option<&Digest>,
    limit: i64,
) -> Result<Vec<Digest>, Error> {
    let after = after.map_or("", Digest::as_str);
    let values = vec![repository.as_str().into(), target.as_str().into(), after.into(), limit.into()];
    Ok(db.query(NAMES_AFTER, values).await?.iter().map(|row| stored_digest(row, 0)).collect())
}

/// Whether a manifest of the repository has the blob as its config or as a layer. May be outdated by the time it is
/// read.
pub async fn is_used_now(db: &Db, repository: &RepositoryName, blob: &Digest) -> Result<bool, Error> {
    let rows = db.query(USES, vec![repository.as_str().into(), blob.as_str().into()]).await?;
    Ok(!rows.is_empty())
}

/// Up to `limit` stored manifests with their bytes, in content order.
pub async fn contents(db: &Db, after: Option<&Digest>, limit: i64) -> Result<Vec<(Digest, Vec<u8>)>, Error> {
    let after = after.map_or("", Digest::as_str);
    let rows = db.query(PAGE, vec![after.into(), limit.into()]).await?;
    Ok(rows.iter().map(|row| (stored_digest(row, 0), row.blob(1).to_vec())).collect())
}

/// The content of up to `limit` manifests that a repository holds although their bytes are gone, each once.
pub async fn lost(db: &Db, limit: i64) -> Result<Vec<Digest>, Error> {
    let rows = db.query(MISSING, vec![limit.into()]).await?;
    let lost: BTreeSet<Digest> = rows.iter().map(|row| stored_digest(row, 1)).collect();
    Ok(lost.into_iter().collect())
}

/// Up to `limit` manifests that a repository holds although their bytes are gone: `repository@content`.
pub async fn missing(db: &Db, limit: i64) -> Result<Vec<String>, Error> {
    let rows = db.query(MISSING, vec![limit.into()]).await?;
    Ok(rows.iter().map(|row| format!("{}@{}", row.text(0), row.text(1))).collect())
}

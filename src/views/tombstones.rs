//! What is left of what was disposed of, for ever (R9), and tags that are never used again.

use super::contents::{self, stored_digest};
use crate::clock::Micros;
use crate::db::{Column, Db, Error, Index, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows, Sequence, Target};
use crate::oci::{Algorithm, Digest, RepositoryName, Tag};
use crate::retention::DispositionId;

/// One row per repository and disposed thing, and for each manifest that left with it.
pub static TOMBSTONES: Table = Table {
    name: "tombstones",
    columns: &[
        Column::text("repository"),
        Column::text("target"),
        Column::text("reference"),
        Column::text("class"),
        Column::text("disposition"),
        Column::text("deleted_by"),
        Column::integer("deleted_at"),
        Column::integer("sequence"),
    ],
    key: 2,
    indexes: &[Index { columns: &[0, 2] }],
};

/// One row per repository and tag that named what was disposed of under a class that pins tags.
pub static RETIRED_TAGS: Table = Table {
    name: "retired_tags",
    columns: &[
        Column::text("repository"),
        Column::text("tag"),
        Column::text("target"),
        Column::text("disposition"),
        Column::integer("sequence"),
    ],
    key: 2,
    indexes: &[],
};

/// [`TOMBSTONES`] by repository and the SHA-256 of the manifest.
const BY_REFERENCE: usize = 0;

const FIND: &str = "SELECT repository, target, reference, class, disposition, deleted_by, deleted_at, sequence \
    FROM tombstones WHERE repository = $1 AND target = $2";
const NAMED: &str = "SELECT repository, target, reference, class, disposition, deleted_by, deleted_at, sequence \
    FROM tombstones WHERE repository = $1 AND reference = $2 ORDER BY target LIMIT 1";
const TAGGED: &str = "SELECT t.repository, t.target, t.reference, t.class, t.disposition, t.deleted_by, t.deleted_at, t.sequence \
    FROM retired_tags r JOIN tombstones t ON t.repository = r.repository AND t.target = r.target \
    WHERE r.repository = $1 AND r.tag = $2";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[FIND, NAMED, TAGGED];

/// What is left of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Its repository.
    pub repository: RepositoryName,
    /// What it was.
    pub target: Target,
    /// SHA-256 of its OCI manifest.
    pub reference: Digest,
    /// Its class.
    pub class: String,
    /// The disposition that ended it.
    pub disposition: DispositionId,
    /// Who executed that.
    pub deleted_by: String,
    /// When.
    pub deleted_at: Micros,
    /// The event.
    pub sequence: Sequence,
}

/// The fold.
#[derive(Debug)]
pub struct Tombstones;

impl Projection for Tombstones {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&TOMBSTONES, &RETIRED_TAGS]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        let Fact::DispositionExecuted(fact) = &event.fact else { return Vec::new() };
        fact.manifests.iter().map(contents::of).collect()
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        let Fact::DispositionExecuted(fact) = &event.fact else { return Vec::new() };
        let stone = |target: &Target, reference: &Digest| {
            let mut row = key(&fact.repository, target);
            row.push(reference.as_str().into());
            row.push(fact.rule.class.as_str().into());
            row.push(fact.disposition.as_str().into());
            row.push(event.actor.as_str().into());
            row.push(event.recorded_at.into());
            row.push(event.sequence.into());
            Change::Upsert(&TOMBSTONES, Row(row))
        };
        // What left with it, and then itself: it may be among them.
        let with = |content: &Digest| {
            let digests = contents::known(rows, content);
            let sha256 = digests.iter().find(|it| it.algorithm() == Algorithm::Sha256);
            stone(&Target::Manifest(content.clone()), sha256.unwrap_or(content))
        };
        let mut changes: Vec<Change> = fact.manifests.iter().map(with).collect();
        changes.push(stone(&fact.target, &fact.reference));
        if fact.retires_tags {
            changes.extend(fact.tags.iter().map(|tag| {
                let mut row = tag_key(&fact.repository, tag);
                row.push(fact.target.as_str().into());
                row.push(fact.disposition.as_str().into());
                row.push(event.sequence.into());
                Change::Upsert(&RETIRED_TAGS, Row(row))
            }));
        }
        changes
    }
}

impl Tombstone {
    fn from_row(row: &Row) -> Self {
        Self {
            repository: row.text(0).parse().expect("views hold only checked names"),
            target: Target::parse(row.text(1)).expect("views hold only checked targets"),
            reference: stored_digest(row, 2),
            class: row.text(3).to_owned(),
            disposition: row.text(4).parse().expect("views hold only checked ids"),
            deleted_by: row.text(5).to_owned(),
            deleted_at: row.integer(6),
            sequence: row.integer(7),
        }
    }
}

fn key(repository: &RepositoryName, target: &Target) -> Key {
    vec![repository.as_str().into(), target.as_str().into()]
}

/// What is left of something, among loaded rows.
pub fn get(rows: &Rows, repository: &RepositoryName, target: &Target) -> Option<Tombstone> {
    rows.get(&TOMBSTONES, &key(repository, target)).map(Tombstone::from_row)
}

fn tag_key(repository: &RepositoryName, tag: &Tag) -> Key {
    vec![repository.as_str().into(), tag.as_str().into()]
}

/// The read of whether a tag was retired.
pub fn read_tag(repository: &RepositoryName, tag: &Tag) -> Read {
    Read::row(&RETIRED_TAGS, tag_key(repository, tag))
}

/// The disposition that retired a tag and what that was about, among loaded rows.
pub fn retired_by(rows: &Rows, repository: &RepositoryName, tag: &Tag) -> Option<(DispositionId, Target)> {
    let row = rows.get(&RETIRED_TAGS, &tag_key(repository, tag))?;
    let target = Target::parse(row.text(2)).expect("views hold only checked targets");
    Some((row.text(3).parse().expect("views hold only checked ids"), target))
}

/// The read of what is left of the manifests with this SHA-256.
pub fn read_reference(repository: &RepositoryName, reference: &Digest) -> Read {
    Read::lookup(&TOMBSTONES, BY_REFERENCE, vec![repository.as_str().into(), reference.as_str().into()])
}

/// What is left of the manifests with this SHA-256, among loaded rows.
pub fn of_reference(rows: &Rows, repository: &RepositoryName, reference: &Digest) -> Vec<Tombstone> {
    let key = [repository.as_str().into(), reference.as_str().into()];
    rows.lookup(&TOMBSTONES, BY_REFERENCE, &key).into_iter().map(Tombstone::from_row).collect()
}

/// What is left of something.
pub async fn find(db: &Db, repository: &RepositoryName, target: &Target) -> Result<Option<Tombstone>, Error> {
    Ok(db.query(FIND, key(repository, target)).await?.first().map(Tombstone::from_row))
}

/// What is left of the manifest with this SHA-256.
pub async fn named(
    db: &Db,
    repository: &RepositoryName,
    reference: &Digest,
) -> Result<Option<Tombstone>, Error> {
    let rows = db.query(NAMED, vec![repository.as_str().into(), reference.as_str().into()]).await?;
    Ok(rows.first().map(Tombstone::from_row))
}

/// What is left of what a retired tag named.
pub async fn tagged(db: &Db, repository: &RepositoryName, tag: &Tag) -> Result<Option<Tombstone>, Error> {
    Ok(db.query(TAGGED, tag_key(repository, tag)).await?.first().map(Tombstone::from_row))
}

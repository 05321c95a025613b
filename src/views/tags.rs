//! Tags: names that move.

use super::contents::stored_digest;
use crate::db::{Column, Db, Error, Index, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows};
use crate::oci::{Digest, RepositoryName, Tag};

/// One row per repository and tag.
pub static TAGS: Table = Table {
    name: "tags",
    columns: &[
        Column::text("repository"),
        Column::text("tag"),
        Column::text("digest"),
        Column::text("content"),
        Column::integer("moved_at"),
        Column::integer("sequence"),
    ],
    key: 2,
    indexes: &[Index { columns: &[0, 3] }],
};

/// [`TAGS`] by the manifest they name.
const BY_CONTENT: usize = 0;

const PAGE: &str = "SELECT tag FROM tags WHERE repository = $1 AND tag > $2 ORDER BY tag LIMIT $3";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[PAGE];

/// The fold.
#[derive(Debug)]
pub struct Tags;

impl Projection for Tags {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&TAGS]
    }

    fn reads(&self, _: &Event) -> Vec<Read> {
        Vec::new()
    }

    fn apply(&self, event: &Event, _: &Rows) -> Vec<Change> {
        match &event.fact {
            Fact::TagMoved(fact) => {
                let mut row = key(&fact.repository, &fact.tag);
                row.push(fact.digest.as_str().into());
                row.push(fact.content.as_str().into());
                row.push(event.recorded_at.into());
                row.push(event.sequence.into());
                vec![Change::Upsert(&TAGS, Row(row))]
            }
            Fact::TagDeleted(fact) => vec![Change::Delete(&TAGS, key(&fact.repository, &fact.tag))],
            Fact::ManifestDeleted(fact) => {
                fact.tags.iter().map(|tag| Change::Delete(&TAGS, key(&fact.repository, tag))).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The key of a tag.
pub fn key(repository: &RepositoryName, tag: &Tag) -> Key {
    vec![repository.as_str().into(), tag.as_str().into()]
}

/// The read of every tag on a manifest.
pub fn on(repository: &RepositoryName, content: &Digest) -> Read {
    Read::lookup(&TAGS, BY_CONTENT, vec![repository.as_str().into(), content.as_str().into()])
}

/// Every tag on a manifest, sorted, among loaded rows.
pub fn names_on(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Vec<Tag> {
    let key = vec![repository.as_str().into(), content.as_str().into()];
    let rows = rows.lookup(&TAGS, BY_CONTENT, &key);
    rows.iter().map(|row| row.text(1).parse().expect("views hold only checked tags")).collect()
}

/// The digest a tag answers with, among loaded rows.
pub fn digest(rows: &Rows, repository: &RepositoryName, tag: &Tag) -> Option<Digest> {
    rows.get(&TAGS, &key(repository, tag)).map(|row| stored_digest(row, 2))
}

/// The manifest a tag names, by its content address, among loaded rows.
pub fn content(rows: &Rows, repository: &RepositoryName, tag: &Tag) -> Option<Digest> {
    rows.get(&TAGS, &key(repository, tag)).map(|row| stored_digest(row, 3))
}

/// Up to `limit` tags in bytewise order, after the text given (which need not be a tag).
pub async fn page(db: &Db, repository: &RepositoryName, after: &str, limit: i64) -> Result<Vec<Tag>, Error> {
    let rows = db.query(PAGE, vec![repository.as_str().into(), after.into(), limit.into()]).await?;
    Ok(rows.iter().map(|row| row.text(0).parse().expect("views hold only checked tags")).collect())
}

//! The history of tags: every move and every end, newest first. It stays when the tag goes, and when what it named
//! goes.

use super::contents::stored_digest;
use super::{manifests, tags};
use crate::clock::Micros;
use crate::db::{Column, Db, Error, Row, Table, Value};
use crate::events::{Change, Event, Fact, Projection, Read, Rows, Sequence};
use crate::oci::{Digest, RepositoryName, Tag};

/// One row per repository, tag and event that moved or ended it.
pub static TAG_HISTORY: Table = Table {
    name: "tag_history",
    columns: &[
        Column::text("repository"),
        Column::text("tag"),
        Column::integer("sequence"),
        Column::text("action"),
        Column::text("digest"),
        Column::text("content"),
        Column::text("previous"),
        Column::text("media_type"),
        Column::integer("size"),
        Column::text("actor"),
        Column::integer("at"),
    ],
    key: 3,
    indexes: &[],
};

const PAGE: &str = "SELECT repository, tag, sequence, action, digest, content, previous, media_type, size, actor, at \
    FROM tag_history WHERE repository = $1 AND tag = $2 AND sequence > $3 AND sequence < $4 \
    ORDER BY sequence DESC LIMIT $5";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[PAGE];

/// What happened to a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It came to name the manifest.
    Moved,
    /// It named the manifest, and is gone.
    Deleted,
}

impl Turn {
    /// As the view stores it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Deleted => "deleted",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Moved, Self::Deleted].into_iter().find(|turn| turn.as_str() == text)
    }
}

/// One line of the history of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The event.
    pub sequence: Sequence,
    /// What happened.
    pub turn: Turn,
    /// The digest the tag answered with, from then on or until then.
    pub digest: Digest,
    /// The manifest, by its content address.
    pub content: Digest,
    /// The digest the tag had before it was moved, if it was there.
    pub previous: Option<Digest>,
    /// What the manifest was served as.
    pub media_type: String,
    /// Its bytes.
    pub size: u64,
    /// Who did it.
    pub actor: String,
    /// When.
    pub at: Micros,
}

/// The fold. It looks at the rows of tags and manifests as they are before the event.
#[derive(Debug)]
pub struct TagHistory;

impl Projection for TagHistory {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&TAG_HISTORY]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        let tag = |repository, tag| Read::row(&tags::TAGS, tags::key(repository, tag));
        let manifest =
            |repository, content| Read::row(&manifests::MANIFESTS, manifests::key(repository, content));
        match &event.fact {
            Fact::TagMoved(fact) => vec![manifest(&fact.repository, &fact.content)],
            Fact::TagDeleted(fact) => vec![tag(&fact.repository, &fact.tag)],
            Fact::ManifestDeleted(fact) if !fact.tags.is_empty() => {
                let mut reads = vec![manifest(&fact.repository, &fact.content)];
                reads.extend(fact.tags.iter().map(|name| tag(&fact.repository, name)));
                reads
            }
            _ => Vec::new(),
        }
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        match &event.fact {
            Fact::TagMoved(fact) => {
                let line = Line {
                    event,
                    repository: &fact.repository,
                    turn: Turn::Moved,
                    content: &fact.content,
                    previous: fact.previous.as_ref(),
                };
                vec![line.row(rows, &fact.tag, &fact.digest)]
            }
            Fact::TagDeleted(fact) => {
                let content = tags::content(rows, &fact.repository, &fact.tag);
                let Some(content) = content else { return Vec::new() };
                let line = Line::deleted(event, &fact.repository, &content);
                vec![line.row(rows, &fact.tag, &fact.digest)]
            }
            Fact::ManifestDeleted(fact) => {
                let line = Line::deleted(event, &fact.repository, &fact.content);
                let row = |tag| {
                    // The tag may answer with another algorithm than the manifest was pushed by.
                    let digest = tags::digest(rows, &fact.repository, tag);
                    line.row(rows, tag, digest.as_ref().unwrap_or(&fact.digest))
                };
                fact.tags.iter().map(row).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What the lines of one event share.
struct Line<'a> {
    event: &'a Event,
    repository: &'a RepositoryName,
    turn: Turn,
    content: &'a Digest,
    previous: Option<&'a Digest>,
}

impl<'a> Line<'a> {
    fn deleted(event: &'a Event, repository: &'a RepositoryName, content: &'a Digest) -> Self {
        Self { event, repository, turn: Turn::Deleted, content, previous: None }
    }

    fn row(&self, rows: &Rows, tag: &Tag, digest: &Digest) -> Change {
        let (media_type, size) = manifests::described(rows, self.repository, self.content);
        let row: Vec<Value> = vec![
            self.repository.as_str().into(),
            tag.as_str().into(),
            self.event.sequence.into(),
            self.turn.as_str().into(),
            digest.as_str().into(),
            self.content.as_str().into(),
            self.previous.map(Digest::as_str).into(),
            media_type.into(),
            size.into(),
            self.event.actor.as_str().into(),
            self.event.recorded_at.into(),
        ];
        Change::Upsert(&TAG_HISTORY, Row(row))
    }
}

impl Entry {
    fn from_row(row: &Row) -> Self {
        Self {
            sequence: row.integer(2),
            turn: Turn::parse(row.text(3)).expect("views hold only known turns"),
            digest: stored_digest(row, 4),
            content: stored_digest(row, 5),
            previous: row.optional_text(6).map(|_| stored_digest(row, 6)),
            media_type: row.text(7).to_owned(),
            size: row.integer(8).unsigned_abs(),
            actor: row.text(9).to_owned(),
            at: row.integer(10),
        }
    }
}

/// Up to `limit` lines of the history of a tag between two events, neither of them included, the newest first.
pub async fn page(
    db: &Db,
    repository: &RepositoryName,
    tag: &Tag,
    (after, before): (Sequence, Sequence),
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let args =
        vec![repository.as_str().into(), tag.as_str().into(), after.into(), before.into(), limit.into()];
    Ok(db.query(PAGE, args).await?.iter().map(Entry::from_row).collect())
}

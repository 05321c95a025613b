//! Stored blobs: what exists once, whichever repositories link it.

use std::collections::{HashMap, HashSet};

use super::contents::stored_digest;
use super::links;
use crate::clock::Micros;
use crate::db::{Column, Db, Error, Index, Key, Row, Table, Value};
use crate::events::{Change, Copy, Damage, Event, Fact, Projection, Read, Rows, Sequence};
use crate::oci::Digest;

/// One row per stored blob.
pub static BLOBS: Table = Table {
    name: "blobs",
    columns: &[
        Column::text("content"),
        Column::integer("size"),
        Column::text("state"),
        Column::text("backend"),
        Column::text("storage_key"),
        Column::integer("sequence"),
        Column::text("version"),
        Column::text("damage"),
        Column::integer("unlinked_since"),
        Column::integer("condemned_at"),
    ],
    key: 1,
    indexes: &[Index { columns: &[KEY] }],
};

/// [`BLOBS`] by the key of their copy.
const BY_KEY: usize = 0;

/// Blobs looked up per statement.
pub(super) const CHUNK: usize = 64;

const PAGE: &str = "SELECT content, size, state, backend, storage_key, sequence, version, damage FROM blobs \
    WHERE content > $1 AND state IN ('live', 'condemned') ORDER BY content LIMIT $2";

const FIND: &str = "SELECT content, size, state, backend, storage_key, sequence, version, damage FROM blobs \
    WHERE content = $1";

const UNLINKED: &str = "SELECT content, size, state, backend, storage_key, sequence, version, damage, unlinked_since \
    FROM blobs WHERE state = 'live' AND unlinked_since IS NOT NULL AND unlinked_since < $1 \
    AND (unlinked_since, content) > ($2, $3) ORDER BY unlinked_since, content LIMIT $4";

/// Both conditions on the state: an engine takes the index for what the index says, to the letter.
const CONDEMNED: &str = "SELECT content, size, state, backend, storage_key, sequence, version, damage, condemned_at \
    FROM blobs WHERE state IN ('condemned', 'deleting') AND state = 'condemned' AND condemned_at < $1 \
    AND (condemned_at, content) > ($2, $3) ORDER BY condemned_at, content LIMIT $4";

const DELETING: &str = "SELECT content, size, state, backend, storage_key, sequence, version, damage, condemned_at \
    FROM blobs WHERE state IN ('condemned', 'deleting') AND state = 'deleting' AND condemned_at < $1 \
    AND (condemned_at, content) > ($2, $3) ORDER BY condemned_at, content LIMIT $4";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[PAGE, FIND, UNLINKED, CONDEMNED, DELETING];

/// Where a blob is and how large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its content address.
    pub content: Digest,
    /// Bytes.
    pub size: u64,
    /// The backend that holds it.
    pub backend: String,
    /// Its key there.
    pub key: String,
    /// Which version of the key it is, where the backend keeps several.
    pub version: Option<String>,
    /// Where it is between its first push and its end.
    pub state: State,
    /// What is wrong with its copy, if that was found out: nobody is served from it.
    pub damage: Option<Damage>,
}

impl Blob {
    /// Whether it may be linked and served.
    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Reads `content, size, state, backend, storage_key, sequence, version, damage` from columns `at..`.
    pub(super) fn from_columns(row: &Row, at: usize) -> Self {
        Self {
            content: stored_digest(row, at),
            size: row.integer(at + 1).unsigned_abs(),
            state: State::parse(row.text(at + 2)).expect("views hold only known states"),
            backend: row.text(at + 3).to_owned(),
            key: row.text(at + 4).to_owned(),
            version: row.optional_text(at + 6).map(str::to_owned),
            damage: row.optional_text(at + 7).and_then(Damage::parse),
        }
    }
}

/// Where a blob is between its first push and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It may be linked and served.
    Live,
    /// No repository holds it, and it waits for its deletion. A push revives it.
    Condemned,
    /// Its copy is about to be deleted, or is already: not there for anybody. A push stores another copy.
    Deleting,
    /// Its copy is gone.
    Purged,
}

impl State {
    const ALL: [Self; 4] = [Self::Live, Self::Condemned, Self::Deleting, Self::Purged];

    /// Whether the copy is there and stays if somebody pushes the content again.
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Live | Self::Condemned)
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Condemned => "condemned",
            Self::Deleting => "deleting",
            Self::Purged => "purged",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// The fold.
#[derive(Debug)]
pub struct Blobs;

impl Projection for Blobs {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&BLOBS]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        let row = |content: &Digest| Read::row(&BLOBS, key(content));
        match &event.fact {
            Fact::BlobRepaired(fact) => vec![row(&fact.content)],
            Fact::BlobLinked(fact) => vec![row(&fact.content)],
            Fact::BlobUnlinked(fact) => vec![row(&fact.content), links::of(&fact.content)],
            Fact::BlobsReleased(fact) => {
                fact.contents.iter().flat_map(|content| [row(content), links::of(content)]).collect()
            }
            Fact::BlobsCondemned(fact) => fact.contents.iter().map(row).collect(),
            Fact::BlobRevived(fact) => vec![row(&fact.content)],
            Fact::BlobsDeleteIntended(fact) => fact.copies.iter().map(|copy| row(&copy.content)).collect(),
            Fact::BlobsPurged(fact) => fact.copies.iter().map(|copy| row(&copy.content)).collect(),
            Fact::BlobCorrupted(fact) => vec![row(&fact.content)],
            Fact::BlobRecovered(fact) => vec![row(&fact.content)],
            _ => Vec::new(),
        }
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        match &event.fact {
            Fact::BlobStored(fact) => {
                let row = Row(vec![
                    fact.content.as_str().into(),
                    fact.size.cast_signed().into(),
                    State::Live.as_str().into(),
                    fact.backend.as_str().into(),
                    fact.key.as_str().into(),
                    event.sequence.into(),
                    fact.version.as_deref().into(),
                    Value::Null,
                    event.recorded_at.into(),
                    Value::Null,
                ]);
                vec![Change::Upsert(&BLOBS, row)]
            }
            Fact::BlobRepaired(fact) => changed(rows, &fact.content, |row| {
                row[SIZE] = fact.size.cast_signed().into();
                row[BACKEND] = fact.backend.as_str().into();
                row[KEY] = fact.key.as_str().into();
                row[SEQUENCE] = event.sequence.into();
                row[VERSION] = fact.version.as_deref().into();
                row[DAMAGE] = Value::Null;
            }),
            Fact::BlobLinked(fact) => changed(rows, &fact.content, |row| row[UNLINKED_SINCE] = Value::Null),
            Fact::BlobUnlinked(fact) => unlinked(event, rows, &fact.content),
            Fact::BlobsReleased(fact) => {
                fact.contents.iter().flat_map(|content| unlinked(event, rows, content)).collect()
            }
            Fact::BlobsCondemned(fact) => {
                let condemned = |content| {
                    changed(rows, content, |row| {
                        row[STATE] = State::Condemned.as_str().into();
                        row[CONDEMNED_AT] = event.recorded_at.into();
                    })
                };
                fact.contents.iter().flat_map(condemned).collect()
            }
            Fact::BlobRevived(fact) => changed(rows, &fact.content, |row| {
                row[STATE] = State::Live.as_str().into();
                row[CONDEMNED_AT] = Value::Null;
            }),
            Fact::BlobsDeleteIntended(fact) => {
                let leaving = |copy: &Copy| {
                    changed(rows, &copy.content, |row| row[STATE] = State::Deleting.as_str().into())
                };
                fact.copies.iter().flat_map(leaving).collect()
            }
            Fact::BlobsPurged(fact) => {
                let purged = |copy: &Copy| {
                    let blob = get(rows, &copy.content);
                    // A push may have stored another copy meanwhile (G2): the row is that one's.
                    if !blob.is_some_and(|blob| blob.state == State::Deleting && blob.key == copy.key) {
                        return Vec::new();
                    }
                    changed(rows, &copy.content, |row| row[STATE] = State::Purged.as_str().into())
                };
                fact.copies.iter().flat_map(purged).collect()
            }
            Fact::BlobCorrupted(fact) => of_copy(rows, &fact.content, &fact.key, |row| {
                row[DAMAGE] = fact.damage.as_str().into();
            }),
            Fact::BlobRecovered(fact) => {
                of_copy(rows, &fact.content, &fact.key, |row| row[DAMAGE] = Value::Null)
            }
            _ => Vec::new(),
        }
    }
}

/// Columns by their place in [`BLOBS`].
const SIZE: usize = 1;
const STATE: usize = 2;
const BACKEND: usize = 3;
const KEY: usize = 4;
const SEQUENCE: usize = 5;
const VERSION: usize = 6;
const DAMAGE: usize = 7;
const UNLINKED_SINCE: usize = 8;
const CONDEMNED_AT: usize = 9;

/// The row of a blob after a change, unless it comes to the same.
fn changed(rows: &Rows, content: &Digest, change: impl FnOnce(&mut Vec<Value>)) -> Vec<Change> {
    let Some(before) = rows.get(&BLOBS, &key(content)) else { return Vec::new() };
    let mut row = before.clone();
    change(&mut row.0);
    if row == *before { Vec::new() } else { vec![Change::Upsert(&BLOBS, row)] }
}

/// [`changed`], unless the blob has another copy by now.
fn of_copy(rows: &Rows, content: &Digest, key: &str, change: impl FnOnce(&mut Vec<Value>)) -> Vec<Change> {
    if get(rows, content).is_some_and(|blob| blob.key == key) {
        changed(rows, content, change)
    } else {
        Vec::new()
    }
}

/// A repository gives a blob up; the rows are as they were before.
fn unlinked(event: &Event, rows: &Rows, content: &Digest) -> Vec<Change> {
    if links::count(rows, content) > 1 {
        return Vec::new();
    }
    changed(rows, content, |row| row[UNLINKED_SINCE] = event.recorded_at.into())
}

/// The key of a blob.
pub fn key(content: &Digest) -> Key {
    vec![content.as_str().into()]
}

/// The blob with this content address among loaded rows.
pub fn get(rows: &Rows, content: &Digest) -> Option<Blob> {
    rows.get(&BLOBS, &key(content)).map(|row| Blob::from_columns(row, 0))
}

/// Since when no repository holds a blob, if none does, among loaded rows.
pub fn unlinked_since(rows: &Rows, content: &Digest) -> Option<Micros> {
    rows.get(&BLOBS, &key(content))?.optional_integer(UNLINKED_SINCE)
}

/// When a blob was condemned, if it was, among loaded rows.
pub fn condemned_at(rows: &Rows, content: &Digest) -> Option<Micros> {
    rows.get(&BLOBS, &key(content))?.optional_integer(CONDEMNED_AT)
}

/// The live blob with this content address, whoever holds it.
pub async fn find(db: &Db, content: &Digest) -> Result<Option<Blob>, Error> {
    Ok(of_any_state(db, content).await?.filter(Blob::is_live))
}

/// What is known of the copy of some content, also of one that is gone.
pub async fn of_any_state(db: &Db, content: &Digest) -> Result<Option<Blob>, Error> {
    let rows = db.query(FIND, key(content)).await?;
    Ok(rows.first().map(|row| Blob::from_columns(row, 0)))
}

/// The live blobs among these content addresses.
pub async fn find_all(db: &Db, contents: &[Digest]) -> Result<HashMap<Digest, Blob>, Error> {
    let mut found = HashMap::with_capacity(contents.len());
    let mut tx = db.snapshot().await?;
    for chunk in contents.chunks(CHUNK) {
        let mut keys: Vec<Key> = chunk.iter().map(key).collect();
        keys.sort();
        keys.dedup();
        for row in tx.load(&BLOBS, None, &keys).await? {
            let blob = Blob::from_columns(&row, 0);
            if blob.is_live() {
                found.insert(blob.content.clone(), blob);
            }
        }
    }
    Ok(found)
}

/// Which of these storage keys are those of a blob, whatever its state.
pub async fn named_keys(db: &Db, keys: &[&str]) -> Result<HashSet<String>, Error> {
    let mut found = HashSet::new();
    let mut tx = db.snapshot().await?;
    for chunk in keys.chunks(CHUNK) {
        let mut wanted: Vec<Key> = chunk.iter().map(|key| vec![(*key).into()]).collect();
        wanted.sort();
        wanted.dedup();
        let rows = tx.load(&BLOBS, Some(BY_KEY), &wanted).await?;
        found.extend(rows.iter().map(|row| row.text(KEY).to_owned()));
    }
    Ok(found)
}

/// A blob on its way out, and since when it is at this stage. Pages go on after the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Since when.
    pub since: Micros,
    /// The blob.
    pub blob: Blob,
}

/// The stages of leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Live, and no repository holds it.
    Unlinked,
    /// Condemned.
    Condemned,
    /// Its deletion was intended.
    Deleting,
}

/// Up to `limit` blobs that are at a stage since before a moment, the longest first, after the one given.
pub async fn leaving(
    db: &Db,
    stage: Stage,
    before: Micros,
    after: Option<&Leaving>,
    limit: i64,
) -> Result<Vec<Leaving>, Error> {
    let sql = match stage {
        Stage::Unlinked => UNLINKED,
        Stage::Condemned => CONDEMNED,
        Stage::Deleting => DELETING,
    };
    let (since, content) = after.map_or((Micros::MIN, ""), |it| (it.since, it.blob.content.as_str()));
    let rows = db.query(sql, vec![before.into(), since.into(), content.into(), limit.into()]).await?;
    let leaving = |row: &Row| Leaving { since: row.integer(8), blob: Blob::from_columns(row, 0) };
    Ok(rows.iter().map(leaving).collect())
}

/// Up to `limit` blobs whose bytes are there, in content order, after the one given.
pub async fn page(db: &Db, after: Option<&Digest>, limit: i64) -> Result<Vec<Blob>, Error> {
    let after = after.map_or("", Digest::as_str);
    let rows = db.query(PAGE, vec![after.into(), limit.into()]).await?;
    Ok(rows.iter().map(|row| Blob::from_columns(row, 0)).collect())
}

/// A blob in whatever state, since which event its copy is there, and what is wrong with that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The blob.
    pub blob: Blob,
    /// The event that stored its copy.
    pub sequence: Sequence,
    /// What is wrong with the copy, if anything is known to be.
    pub damage: Option<Damage>,
}

/// How the blobs among these content addresses stand.
pub async fn standing(db: &Db, contents: &[Digest]) -> Result<HashMap<Digest, Standing>, Error> {
    let mut found = HashMap::with_capacity(contents.len());
    let mut tx = db.snapshot().await?;
    for chunk in contents.chunks(CHUNK) {
        let mut keys: Vec<Key> = chunk.iter().map(key).collect();
        keys.sort();
        keys.dedup();
        for row in tx.load(&BLOBS, None, &keys).await? {
            let damage = row.optional_text(DAMAGE).and_then(Damage::parse);
            let standing =
                Standing { blob: Blob::from_columns(&row, 0), sequence: row.integer(SEQUENCE), damage };
            found.insert(standing.blob.content.clone(), standing);
        }
    }
    Ok(found)
}

//! Copies that were found damaged, or that could not be read, and what became of them. A damaged copy stays where it is
//! as long as its content is kept: this is where it is known by.

use std::collections::HashSet;

use super::blobs::{self, Blob, State as BlobState};
use super::contents::stored_digest;
use crate::clock::Micros;
use crate::db::{Column, Db, Error, Index, Key, Row, Table, Value};
use crate::events::{Change, Copy, Damage, Event, Fact, Projection, Read, Rows};
use crate::oci::Digest;

/// One row per copy.
pub static DAMAGES: Table = Table {
    name: "damages",
    columns: &[
        Column::text("storage_key"),
        Column::text("content"),
        Column::text("backend"),
        Column::text("trouble"),
        Column::text("finding"),
        Column::text("run"),
        Column::integer("found_at"),
        Column::text("state"),
        Column::integer("ended_at"),
        Column::text("replaced_by"),
        Column::integer("sequence"),
    ],
    key: 1,
    indexes: &[Index { columns: &[1] }],
};

/// [`DAMAGES`] by content.
const BY_CONTENT: usize = 0;

/// The backend of the bytes of manifests.
pub const DATABASE: &str = "database";

/// What is there instead of a run where a reader or a push met the damage.
pub const NO_RUN: &str = "";

/// Keys looked up per statement.
const CHUNK: usize = 64;

/// The condition is that of the index, to the letter.
const OPEN: &str = "SELECT storage_key, content, backend, trouble, finding, run, found_at, state, ended_at, \
    replaced_by, sequence FROM damages WHERE state = 'open' AND storage_key > $1 ORDER BY storage_key LIMIT $2";

const OF_RUN: &str = "SELECT storage_key, content, backend, trouble, finding, run, found_at, state, ended_at, \
    replaced_by, sequence FROM damages WHERE run = $1 AND storage_key > $2 ORDER BY storage_key LIMIT $3";

/// The event that named the copy of a blob, and what is known of the copy.
const COPY: &str = "SELECT b.sequence, d.state, d.run, d.ended_at FROM blobs b \
    LEFT JOIN damages d ON d.storage_key = b.storage_key WHERE b.content = $1";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[OPEN, OF_RUN, COPY];

/// What is wrong with a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Other bytes than were stored, or fewer, or more.
    Corrupt,
    /// No bytes at all.
    Missing,
    /// It could not be read.
    Unreadable,
    /// A push found it missing or of another length, and stored another one.
    Lost,
}

impl Trouble {
    const ALL: [Self; 4] = [Self::Corrupt, Self::Missing, Self::Unreadable, Self::Lost];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Lost => "lost",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trouble| trouble.as_str() == text)
    }
}

/// What became of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    Open,
    /// It was found whole after all.
    Recovered,
    /// Another copy took its place. It is kept aside.
    Replaced,
    /// Its content was deleted: nothing keeps it any more.
    Released,
}

impl State {
    const ALL: [Self; 4] = [Self::Open, Self::Recovered, Self::Replaced, Self::Released];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Recovered => "recovered",
            Self::Replaced => "replaced",
            Self::Released => "released",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether the copy is kept because of this.
    fn is_kept(self) -> bool {
        matches!(self, Self::Open | Self::Replaced)
    }
}

/// A copy that was found damaged, or that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Its key.
    pub key: String,
    /// The content it is a copy of.
    pub content: Digest,
    /// The backend that holds it; [`DATABASE`] for the bytes of a manifest.
    pub backend: String,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// What was found, in words.
    pub finding: String,
    /// The cycle that found it first; `None` for a reader or a push.
    pub run: Option<String>,
    /// When.
    pub found_at: Micros,
    /// What became of it.
    pub state: State,
    /// When that was.
    pub ended_at: Option<Micros>,
    /// The key of the copy that took its place.
    pub replaced_by: Option<String>,
}

/// The fold.
#[derive(Debug)]
pub struct Damages;

impl Projection for Damages {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&DAMAGES]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        match &event.fact {
            Fact::BlobCorrupted(fact) => vec![read(&fact.key)],
            Fact::BlobUnreadable(fact) => vec![read(&fact.key)],
            Fact::BlobRecovered(fact) => vec![read(&fact.key)],
            Fact::BlobRepaired(fact) => {
                vec![read(&fact.lost), Read::row(&blobs::BLOBS, blobs::key(&fact.content))]
            }
            Fact::BlobStored(fact) => vec![of(&fact.content)],
            Fact::BlobsPurged(fact) => {
                let aside = fact.aside.iter().map(|copy| read(&copy.key));
                fact.copies.iter().map(|copy| of(&copy.content)).chain(aside).collect()
            }
            _ => Vec::new(),
        }
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        match &event.fact {
            Fact::BlobCorrupted(fact) => {
                let found = (&fact.content, fact.backend.as_str(), fact.key.as_str());
                let trouble = match fact.damage {
                    Damage::Corrupt => Trouble::Corrupt,
                    Damage::Missing => Trouble::Missing,
                };
                vec![opened(event, rows, found, trouble, &fact.finding, &fact.run)]
            }
            Fact::BlobUnreadable(fact) => {
                let found = (&fact.content, fact.backend.as_str(), fact.key.as_str());
                vec![opened(event, rows, found, Trouble::Unreadable, &fact.reason, &fact.run)]
            }
            Fact::BlobRecovered(fact) => ended(event, rows, &fact.key, State::Recovered, None),
            Fact::BlobRepaired(fact) => {
                if rows.get(&DAMAGES, &key(&fact.lost)).is_some() {
                    return ended(event, rows, &fact.lost, State::Replaced, Some(&fact.key));
                }
                let backend =
                    blobs::get(rows, &fact.content).map_or(fact.backend.clone(), |blob| blob.backend);
                let found = (&fact.content, backend.as_str(), fact.lost.as_str());
                let finding = "missing or of another length when the content was pushed again";
                let Change::Upsert(table, mut row) =
                    opened(event, rows, found, Trouble::Lost, finding, NO_RUN)
                else {
                    return Vec::new();
                };
                end(&mut row, event, State::Replaced, Some(&fact.key));
                vec![Change::Upsert(table, row)]
            }
            // The copy before it is as good as gone, and its deletion may have ended half-way.
            Fact::BlobStored(fact) => released(event, rows, &fact.content),
            Fact::BlobsPurged(fact) => {
                let is_end = |copy: &&Copy| {
                    let blob = blobs::get(rows, &copy.content);
                    // As the fold of blobs: otherwise a push has stored another copy meanwhile.
                    blob.is_some_and(|blob| blob.state == BlobState::Deleting && blob.key == copy.key)
                };
                let of_contents = fact.copies.iter().filter(is_end);
                let of_contents = of_contents.flat_map(|copy| released(event, rows, &copy.content));
                let aside = fact.aside.iter().filter_map(|copy| rows.get(&DAMAGES, &key(&copy.key)));
                let aside = aside.filter(|row| state(row).is_kept()).map(|row| release(event, row));
                of_contents.chain(aside).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Columns by their place in [`DAMAGES`].
const BACKEND: usize = 2;
const RUN: usize = 5;
const STATE: usize = 7;
const ENDED_AT: usize = 8;
const REPLACED_BY: usize = 9;

/// The row of a copy that something was found out about. One that is open stays so since the cycle it was.
fn opened(
    event: &Event,
    rows: &Rows,
    (content, backend, copy): (&Digest, &str, &str),
    trouble: Trouble,
    finding: &str,
    run: &str,
) -> Change {
    let before = rows.get(&DAMAGES, &key(copy)).filter(|row| state(row) == State::Open);
    let run = before.map_or(run, |row| row.text(RUN));
    let row = Row(vec![
        copy.into(),
        content.as_str().into(),
        backend.into(),
        trouble.as_str().into(),
        finding.into(),
        run.into(),
        event.recorded_at.into(),
        State::Open.as_str().into(),
        Value::Null,
        Value::Null,
        event.sequence.into(),
    ]);
    Change::Upsert(&DAMAGES, row)
}

fn ended(event: &Event, rows: &Rows, copy: &str, state: State, by: Option<&str>) -> Vec<Change> {
    let Some(row) = rows.get(&DAMAGES, &key(copy)) else { return Vec::new() };
    let mut row = row.clone();
    end(&mut row, event, state, by);
    vec![Change::Upsert(&DAMAGES, row)]
}

fn end(row: &mut Row, event: &Event, state: State, by: Option<&str>) {
    row.0[STATE] = state.as_str().into();
    row.0[ENDED_AT] = event.recorded_at.into();
    row.0[REPLACED_BY] = by.into();
}

/// Nothing keeps damaged copies of content that is gone.
fn released(event: &Event, rows: &Rows, content: &Digest) -> Vec<Change> {
    let rows = rows.lookup(&DAMAGES, BY_CONTENT, &[content.as_str().into()]);
    let kept = rows.into_iter().filter(|row| state(row).is_kept() && row.text(BACKEND) != DATABASE);
    kept.map(|row| release(event, row)).collect()
}

fn release(event: &Event, row: &Row) -> Change {
    let mut row = row.clone();
    let by = row.optional_text(REPLACED_BY).map(str::to_owned);
    end(&mut row, event, State::Released, by.as_deref());
    Change::Upsert(&DAMAGES, row)
}

fn state(row: &Row) -> State {
    State::parse(row.text(STATE)).expect("views hold only known states")
}

fn damaged(row: &Row) -> Damaged {
    Damaged {
        key: row.text(0).to_owned(),
        content: stored_digest(row, 1),
        backend: row.text(BACKEND).to_owned(),
        trouble: Trouble::parse(row.text(3)).expect("views hold only known troubles"),
        finding: row.text(4).to_owned(),
        run: Some(row.text(RUN)).filter(|run| *run != NO_RUN).map(str::to_owned),
        found_at: row.integer(6),
        state: state(row),
        ended_at: row.optional_integer(ENDED_AT),
        replaced_by: row.optional_text(REPLACED_BY).map(str::to_owned),
    }
}

fn key(copy: &str) -> Key {
    vec![copy.into()]
}

/// The read of a copy.
pub fn read(copy: &str) -> Read {
    Read::row(&DAMAGES, key(copy))
}

/// The read of the damaged copies of some content.
pub fn of(content: &Digest) -> Read {
    Read::lookup(&DAMAGES, BY_CONTENT, vec![content.as_str().into()])
}

/// What is wrong with a copy, if that is open, among loaded rows.
pub fn open_trouble(rows: &Rows, copy: &str) -> Option<Trouble> {
    rows.get(&DAMAGES, &key(copy)).map(damaged).filter(|it| it.state == State::Open).map(|it| it.trouble)
}

/// The damaged copies of a blob that are kept aside, among loaded rows.
pub fn aside(rows: &Rows, blob: &Blob) -> Vec<Copy> {
    let rows = rows.lookup(&DAMAGES, BY_CONTENT, &[blob.content.as_str().into()]);
    rows.into_iter().filter_map(|row| kept_aside(row, blob)).collect()
}

/// The same of several blobs, in the database.
pub async fn aside_now(db: &Db, blobs: &[Blob]) -> Result<Vec<Copy>, Error> {
    let mut copies = Vec::new();
    let mut tx = db.snapshot().await?;
    for chunk in blobs.chunks(CHUNK) {
        let mut wanted: Vec<Key> = chunk.iter().map(|blob| vec![blob.content.as_str().into()]).collect();
        wanted.sort();
        for row in tx.load(&DAMAGES, Some(BY_CONTENT), &wanted).await? {
            let blob = chunk.iter().find(|blob| blob.content.as_str() == row.text(1));
            copies.extend(blob.and_then(|blob| kept_aside(&row, blob)));
        }
    }
    Ok(copies)
}

fn kept_aside(row: &Row, blob: &Blob) -> Option<Copy> {
    let is_aside = state(row).is_kept() && row.text(0) != blob.key && row.text(BACKEND) != DATABASE;
    is_aside.then(|| Copy {
        content: blob.content.clone(),
        size: blob.size,
        backend: row.text(BACKEND).to_owned(),
        key: row.text(0).to_owned(),
        version: None,
    })
}

/// Whether a damaged copy is kept, among loaded rows.
pub fn is_kept(rows: &Rows, copy: &str) -> bool {
    rows.get(&DAMAGES, &key(copy)).is_some_and(|row| state(row).is_kept())
}

/// Up to `limit` copies that are damaged or unreadable, by key, after a text that need not be one.
pub async fn open(db: &Db, after: &str, limit: i64) -> Result<Vec<Damaged>, Error> {
    Ok(db.query(OPEN, vec![after.into(), limit.into()]).await?.iter().map(damaged).collect())
}

/// The same that a cycle found first, whatever became of them.
pub async fn of_run(db: &Db, run: &str, after: &str, limit: i64) -> Result<Vec<Damaged>, Error> {
    let rows = db.query(OF_RUN, vec![run.into(), after.into(), limit.into()]).await?;
    Ok(rows.iter().map(damaged).collect())
}

/// What is known of these copies.
pub async fn among(db: &Db, keys: &[&str]) -> Result<Vec<Damaged>, Error> {
    let mut found = Vec::new();
    let mut tx = db.snapshot().await?;
    for chunk in keys.chunks(CHUNK) {
        let mut wanted: Vec<Key> = chunk.iter().map(|copy| key(copy)).collect();
        wanted.sort();
        wanted.dedup();
        found.extend(tx.load(&DAMAGES, None, &wanted).await?.iter().map(damaged));
    }
    Ok(found)
}

/// Which of these copies are kept aside, although no blob may name them.
pub async fn kept(db: &Db, keys: &[&str]) -> Result<HashSet<String>, Error> {
    let found = among(db, keys).await?;
    Ok(found.into_iter().filter(|copy| copy.state.is_kept()).map(|copy| copy.key).collect())
}

/// A time in which a copy was not known to be whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The cycle that began it.
    pub run: String,
    /// When a cycle found the copy whole, if one did.
    pub ended_at: Option<Micros>,
}

/// The event that named the copy of some content, and the last doubt about it.
pub async fn copy_of(db: &Db, content: &Digest) -> Result<Option<(i64, Option<Doubt>)>, Error> {
    let rows = db.query(COPY, vec![content.as_str().into()]).await?;
    let doubt = |row: &Row| {
        let run = row.optional_text(2)?.to_owned();
        Some(Doubt { run, ended_at: row.optional_integer(3) })
    };
    Ok(rows.first().map(|row| (row.integer(0), doubt(row))))
}

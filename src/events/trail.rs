//! The log along one thread: all of it, or what is of one repository, of one actor, or about some subjects.
//!
//! A thread is followed in two steps. [`outline`] says which events are on it, with what their columns say and without
//! their payloads, which may be large; [`load`] reads those that are wanted. So somebody who looks for one kind of event
//! among many reads the payloads of that kind only.
//!
//! Each thread has its index: (repository, sequence), (actor, sequence), (subject, sequence).

use super::event::EVENTS;
use super::tail::read;
use super::{Error, Event, Fact, Sequence};
use crate::clock::Micros;
use crate::db::{Db, Key, Row, Value};

/// Subjects of one statement.
pub const SUBJECTS: usize = 16;

/// The columns of an outline, behind a condition; `$1` and `$2` are the events between which it is, the first not
/// included, `$3` is how many at most.
macro_rules! outline {
    ($condition:literal) => {
        concat!(
            "SELECT sequence, type, recorded_at, actor, repository, subject, OCTET_LENGTH(payload) FROM events WHERE ",
            $condition,
            "sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3"
        )
    };
}

const ALL: &str = outline!("");
const OF_REPOSITORY: &str = outline!("repository = $4 AND ");
const OF_ACTOR: &str = outline!("actor = $4 AND ");
const OF_SUBJECT: &str = outline!("subject = $4 AND ");
const OF_SUBJECTS: &str =
    outline!("subject IN ($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) AND ");

const RECORDED_AT: &str = "SELECT recorded_at FROM events WHERE sequence = $1";

/// Every named statement of this module.
pub(super) static STATEMENTS: &[&str] = &[ALL, OF_REPOSITORY, OF_ACTOR, OF_SUBJECT, OF_SUBJECTS, RECORDED_AT];

/// Which events.
#[derive(Clone, Copy, Debug)]
pub enum Thread<'a> {
    /// All of them.
    All,
    /// Those of a repository.
    Repository(&'a str),
    /// Those somebody caused.
    Actor(&'a str),
    /// Those about something: see [`Fact::subject`](super::Fact::subject).
    Subject(&'a str),
    /// Those about any of these, at most [`SUBJECTS`], each with few events: they are sorted for every page.
    Subjects(&'a [String]),
}

/// What the columns of an event say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Its position.
    pub sequence: Sequence,
    /// What happened, e.g. `v1.tag.moved`.
    pub type_name: String,
    /// When it was recorded.
    pub recorded_at: Micros,
    /// Who caused it.
    pub actor: String,
    /// The repository it concerns, if it concerns one.
    pub repository: Option<String>,
    /// What it is about.
    pub subject: String,
    /// The bytes of its payload.
    pub size: i64,
}

impl Outline {
    /// The type the event is read as: of one that was recorded under an older type, today's.
    pub fn read_as(&self) -> &str {
        let older = Fact::OLDER.iter().find(|(older, _)| *older == self.type_name);
        older.map_or(self.type_name.as_str(), |(_, now)| now)
    }

    fn from_row(row: &Row) -> Self {
        Self {
            sequence: row.integer(0),
            type_name: row.text(1).to_owned(),
            recorded_at: row.integer(2),
            actor: row.text(3).to_owned(),
            repository: row.optional_text(4).map(str::to_owned),
            subject: row.optional_text(5).unwrap_or_default().to_owned(),
            size: row.integer(6),
        }
    }
}

/// Up to `limit` events of a thread in order, after the first and up to the second of two.
pub async fn outline(
    db: &Db,
    thread: Thread<'_>,
    (after, to): (Sequence, Sequence),
    limit: i64,
) -> Result<Vec<Outline>, Error> {
    let mut args: Vec<Value> = vec![after.into(), to.into(), limit.into()];
    let sql = match thread {
        Thread::All => ALL,
        Thread::Repository(name) => {
            args.push(name.into());
            OF_REPOSITORY
        }
        Thread::Actor(actor) => {
            args.push(actor.into());
            OF_ACTOR
        }
        Thread::Subject(subject) => {
            args.push(subject.into());
            OF_SUBJECT
        }
        Thread::Subjects(subjects) => {
            debug_assert!(subjects.len() <= SUBJECTS, "{} subjects", subjects.len());
            let all = subjects.iter().map(|subject| Value::from(subject.as_str()));
            // Filled up with what is in the list already.
            let last = subjects.last().map(|subject| Value::from(subject.as_str()));
            args.extend(all);
            args.resize(3 + SUBJECTS, last.unwrap_or(Value::Null));
            OF_SUBJECTS
        }
    };
    Ok(db.query(sql, args).await?.iter().map(Outline::from_row).collect())
}

/// These events, in order.
pub async fn load(db: &Db, log_id: &str, sequences: &[Sequence]) -> Result<Vec<Event>, Error> {
    let keys: Vec<Key> = sequences.iter().map(|&sequence| vec![sequence.into()]).collect();
    let mut rows = db.snapshot().await?.load(&EVENTS, None, &keys).await?;
    rows.sort_by_key(|row| row.integer(0));
    read(&rows, log_id)
}

/// The last event that was recorded before a moment, of those up to `head`; 0 when there is none.
///
/// Times never run backwards along the log, so it is found by halving: a look at one row for each bit of `head`.
pub async fn last_before(db: &Db, at: Micros, head: Sequence) -> Result<Sequence, Error> {
    let (mut before, mut not_before) = (0, head + 1);
    while not_before - before > 1 {
        let middle = before + (not_before - before) / 2;
        let rows = db.query(RECORDED_AT, vec![middle.into()]).await?;
        let found = rows.first().map(|row| row.integer(0));
        if found.ok_or(Error::Gap { expected: middle, found: not_before })? < at {
            before = middle;
        } else {
            not_before = middle;
        }
    }
    Ok(before)
}

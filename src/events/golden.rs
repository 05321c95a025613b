//! What the test of the golden log needs of the log: events as they are stored, and new ones that are always the same.

use super::event::{EVENTS, Envelope};
use super::fact::tests::{bare, examples, older};
use super::{Actor, CommandId, Event, Fact, Head, Sequence};
use crate::clock::Micros;
use crate::db::{Db, Row};
use crate::hash;

/// Where a stored log goes on.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) log_id: String,
    pub(crate) last: Sequence,
    pub(crate) last_recorded_at: Micros,
}

impl End {
    /// After these rows.
    pub(crate) fn of(log_id: &str, rows: &[Row]) -> Self {
        let last = rows.last().expect("a golden log is not empty");
        Self { log_id: log_id.to_owned(), last: last.integer(0), last_recorded_at: last.integer(2) }
    }
}

/// Every example there is: type, payload, and what it says.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>, Fact)> {
    let today = examples("golden/repository", "v1").into_iter().chain(bare());
    let today = today.map(|fact| (fact.type_name(), fact.encode().unwrap(), fact));
    let older = older().into_iter().map(|(name, payload)| {
        let fact = Fact::decode(name, &payload).unwrap();
        (name, payload, fact)
    });
    today.chain(older).collect()
}

/// The next event: a second later, its command and its salt made of its number.
pub(crate) fn next(end: &mut End, name: &'static str, payload: Vec<u8>, fact: Fact) -> Row {
    end.last += 1;
    end.last_recorded_at += 1_000_000;
    let salt = hash::sha256(&[b"golden", &end.last.to_be_bytes()]).to_vec();
    let envelope = Envelope {
        log_id: &end.log_id,
        sequence: end.last,
        recorded_at: end.last_recorded_at,
        actor: &Actor::system(),
        command: &CommandId::of_number(end.last),
    };
    Event::seal_as(name, fact, payload, salt, envelope).unwrap().row()
}

/// Makes a log of stored events in an empty database. It has no views yet.
pub(crate) async fn store(db: &Db, end: &End, rows: &[Row]) {
    let head = Head {
        log_id: end.log_id.clone(),
        epoch: 1,
        next_sequence: end.last + 1,
        last_recorded_at: end.last_recorded_at,
        views_version: 0,
    };
    let mut tx = db.write().await.unwrap();
    head.insert(&mut tx).await.unwrap();
    tx.insert(&EVENTS, rows).await.unwrap();
    tx.commit().await.unwrap();
}

/// Every event as it is stored.
pub(crate) async fn rows(db: &Db) -> Vec<Row> {
    let (mut tx, mut all) = (db.snapshot().await.unwrap(), Vec::<Row>::new());
    loop {
        let after = all.last().map(|row| EVENTS.key_of(row));
        let page = tx.page(&EVENTS, after.as_ref(), 1000).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// The log an event is of, as its header says.
pub(crate) fn log_id(row: &Row) -> String {
    #[derive(serde::Deserialize)]
    struct Header {
        log: String,
    }
    crate::codec::cbor::from_slice::<Header>(row.blob(7)).unwrap().log
}

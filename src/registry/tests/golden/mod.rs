//! The golden log: a checked-in log with every event type that was ever recorded, and the state it leads to.
//!
//! `log.ndjson` has one event per line, every column as it is stored, bytes in hex. It begins with a history of
//! everything at once, and goes on with examples of what that lacked. Its lines are never changed and never removed:
//! they stand for the logs that exist. What is new is appended, and `state.json` follows:
//!
//! ```text
//! cargo test --lib -- --ignored the_golden_log_is_extended
//! ```

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::db::testing::{On, Place, on_both, write_source};
use crate::db::{Access, Db, Row, Value};
use crate::events::golden::{End, all, log_id, next, rows, store};
use crate::events::{Fact, StateDigest, rebuild};
use crate::views;

on_both![the_golden_log_leads_to_the_state_it_led_to_before];

const COLUMNS: [&str; 11] = [
    "sequence",
    "type",
    "recorded_at",
    "actor",
    "repository",
    "subject",
    "command_id",
    "header",
    "payload",
    "salt",
    "leaf_hash",
];

/// The columns with bytes begin here.
const BYTES: usize = 7;

const HOW: &str =
    "run `cargo test --lib -- --ignored the_golden_log_is_extended` and look at what it changed";

fn read() -> Vec<Row> {
    include_str!("log.ndjson").lines().map(|line| row(&serde_json::from_str(line).unwrap())).collect()
}

fn row(line: &Json) -> Row {
    let cell = |(at, name): (usize, &&str)| match &line[*name] {
        Json::Null => Value::Null,
        Json::Number(number) => number.as_i64().unwrap().into(),
        Json::String(text) if at >= BYTES => {
            let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
            Value::from((0..text.len()).step_by(2).map(byte).collect::<Vec<_>>())
        }
        Json::String(text) => Value::from(text.as_str()),
        other => panic!("{other}"),
    };
    Row(COLUMNS.iter().enumerate().map(cell).collect())
}

fn line(row: &Row) -> String {
    // By hand, in the order of the columns: whoever reviews it reads a line from its beginning.
    let cell = |(name, value): (&&str, &Value)| {
        let json = match value {
            Value::Null => Json::Null,
            Value::Integer(number) => json!(number),
            Value::Text(text) => json!(text),
            Value::Blob(bytes) => {
                json!(bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
            }
        };
        format!("{}:{json}", json!(name))
    };
    let cells: Vec<_> = COLUMNS.iter().zip(&row.0).map(cell).collect();
    format!("{{{}}}\n", cells.join(","))
}

/// By table, so that a difference says where.
fn describe(state: &StateDigest) -> Json {
    let table = |table: &crate::events::TableDigest| {
        (table.name.clone(), json!({ "rows": table.rows, "digest": table.digest }))
    };
    let tables: serde_json::Map<_, _> = state.tables.iter().map(table).collect();
    json!({
        "views_version": views::projections().version(), "sequence": state.sequence, "digest": state.digest,
        "tables": tables,
    })
}

async fn replayed(db: &Db, rows: &[Row]) -> Json {
    store(db, &End::of(&log_id(&rows[0]), rows), rows).await;
    describe(&rebuild(db, &views::projections()).await.unwrap().state)
}

async fn the_golden_log_leads_to_the_state_it_led_to_before(on: On) {
    let place = Place::new(on).await;
    let db = place.open(Access::Create).await;
    let log = read();
    let found = replayed(&db, &log).await;
    let expected: Json = serde_json::from_str(include_str!("state.json")).unwrap();
    assert_eq!(found, expected, "\n{HOW}: if a view was changed on purpose, its version has to grow as well");
    assert_eq!(rows(&db).await, log, "a replay changes no event");
}

#[test]
fn every_type_that_was_ever_recorded_is_in_the_golden_log() {
    let log = read();
    let there: BTreeSet<&str> = log.iter().map(|row| row.text(1)).collect();
    let older = Fact::OLDER.iter().map(|(older, _)| older);
    let missing: Vec<_> = Fact::TYPES.iter().chain(older).filter(|name| !there.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing: {HOW}");
}

/// Appends an example of everything that is not in the golden log yet, and writes the state it leads to now.
#[tokio::test]
#[ignore = "writes the golden log"]
async fn the_golden_log_is_extended() {
    let mut log = read();
    let mut end = End::of(&log_id(&log[0]), &log);
    let mut there: BTreeSet<(String, Vec<u8>)> =
        log.iter().map(|row| (row.text(1).to_owned(), row.blob(8).to_vec())).collect();
    for (name, payload, fact) in all() {
        if there.insert((name.to_owned(), payload.clone())) {
            log.push(next(&mut end, name, payload, fact));
        }
    }
    let place = Place::new(On::Sqlite).await;
    let state = replayed(&place.open(Access::Create).await, &log).await;
    let folder = "src/registry/tests/golden";
    write_source(&format!("{folder}/log.ndjson"), &log.iter().map(line).collect::<String>());
    write_source(&format!("{folder}/state.json"), &format!("{state:#}\n"));
}

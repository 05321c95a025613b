//! Streams of the log with limits that were made small, and a log that was altered: the server in this process.

use std::time::{Duration, Instant};

use artifactstore::server::Options;
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};

use super::limits::Small;
use crate::support::{MANIFEST, Repo, Request, Stream};

const G: &str = "/v2/_artifactstore/events";
const LINES: &str = "application/x-ndjson";

fn follow(server: &Small, target: &str) -> Stream {
    Stream::open(server.client().address, &Request::get(target).header("Accept", LINES))
}

#[test]
fn a_stream_says_where_it_is_while_nothing_happens() {
    let server = Small::start(Options { bookmark: Duration::from_millis(50), ..Options::default() });
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v1");
    let mut stream = follow(&server, &format!("{G}?types=scrub"));
    let first = stream.json();
    let head = first["bookmark"]["head"].as_i64().unwrap();
    assert_eq!(stream.json(), json!({ "bookmark": { "scanned_to": head, "head": head } }));
    repo.push_artifact("v2");
    loop {
        let next = stream.json()["bookmark"]["scanned_to"].as_i64().unwrap();
        if next > head {
            break;
        }
    }
}

#[test]
fn what_does_not_match_moves_bookmarks_on() {
    let server = Small::start(Options { bookmark: Duration::from_hours(1), ..Options::default() });
    let repo = Repo::new(&server.client(), "a");
    let (digest, manifest) = repo.push_artifact("v1");
    let mut waiting = follow(&server, &format!("{G}?types=tag.deleted"));
    waiting.json();
    // Each of them makes 63 events.
    for n in 0..16 {
        let tags: Vec<String> = (0..63).map(|tag| format!("tag=v{n}-{tag}")).collect();
        repo.put_manifest(&format!("{digest}?{}", tags.join("&")), MANIFEST, &manifest).expect(201);
    }
    repo.client.delete(repo.manifest("v3-5")).expect(202);
    assert_eq!(waiting.json()["type"], "v1.tag.deleted", "who waits at the end is told of what is for it");
    // Who is behind is told how far it has got.
    let mut again = follow(&server, &format!("{G}?types=scrub&since=0&wait=0"));
    again.json();
    let bookmark = again.json()["bookmark"].clone();
    assert!(bookmark["scanned_to"].as_i64() >= Some(1000), "{bookmark}");
    assert_eq!(again.json()["end"], json!({ "reason": "head", "scanned_to": bookmark["scanned_to"] }));
}

#[test]
fn a_stream_ends_when_its_time_is_over() {
    let time = Duration::from_millis(500);
    let server = Small::start(Options { stream_time: time, ..Options::default() });
    let start = Instant::now();
    let mut stream = follow(&server, G);
    let head = stream.json()["bookmark"]["head"].clone();
    assert_eq!(stream.json(), json!({ "end": { "reason": "time", "scanned_to": head } }));
    assert_eq!(stream.line().unwrap(), None);
    assert!(start.elapsed() >= time * 9 / 10, "{:?}", start.elapsed());
}

#[test]
fn a_stream_too_many_is_told_to_come_back() {
    let server = Small::start(Options { max_streams: 1, ..Options::default() });
    let first = follow(&server, G);
    let ask = Request::get(G).header("Accept", LINES);
    server.client().send(&ask).refused(429, "TOOMANYREQUESTS").with("retry-after", "30");
    server.client().get(G).expect(200);
    drop(first);
    crate::support::until("the place is free", || {
        let mut connection = server.client().connect();
        connection.write(Request::get(format!("{G}?wait=0")).header("Accept", LINES).head_bytes()).ok()?;
        connection.receive("GET").ok().filter(|answer| answer.status == 200)
    });
}

#[test]
fn an_event_that_was_altered_ends_a_stream_and_is_never_shown() {
    let server = Small::start(Options::default());
    Repo::new(&server.client(), "a").push_artifact("v1");
    let path = server.database();
    let server = server.again(Options::default());
    // As somebody with the file in their hands would.
    alter(
        &path,
        "DROP TRIGGER events_are_not_changed; UPDATE events SET actor = 'somebody' WHERE sequence = 3",
    );
    let mut stream = follow(&server, &format!("{G}?since=0"));
    stream.json();
    assert_eq!([stream.json()["sequence"].clone(), stream.json()["sequence"].clone()], [1, 2]);
    let end = stream.json();
    assert_eq!((&end["end"]["reason"], &end["end"]["scanned_to"]), (&json!("error"), &json!(2)));
    assert!(end["end"]["request_id"].is_string(), "{end}");
    assert_eq!(stream.line().unwrap(), None);
    let page = server.client().get(format!("{G}?since=0")).expect(200).json();
    assert_eq!((page["events"].as_array().unwrap().len(), &page["scanned_to"]), (2, &json!(2)));
    server.client().get(format!("{G}?since=2")).expect(500);
    assert_eq!(
        server.client().get(format!("{G}?since=3&limit=1")).expect(200).json()["events"][0]["sequence"],
        4
    );
}

#[test]
fn a_place_before_what_the_log_still_has_is_gone() {
    let server = Small::start(Options::default());
    Repo::new(&server.client(), "a").push_artifact("v1");
    alter(&server.database(), "DROP TRIGGER events_are_not_deleted; DELETE FROM events WHERE sequence = 1");
    let server = server.again(Options::default());
    for accept in ["application/json", LINES, "text/event-stream", "application/cbor-seq"] {
        for target in [format!("{G}?since=0"), "/v2/a/_artifactstore/events?since=0".to_owned()] {
            let request = Request::get(target).header("Accept", accept);
            let refused = server.client().send(&request).refused(410, "CURSOR_EXPIRED").json();
            assert_eq!(refused["errors"][0]["detail"], json!({ "since": 0, "horizon": 1 }));
        }
    }
    let resumed = Request::get(G).header("Accept", "text/event-stream").header("Last-Event-ID", "0");
    server.client().send(&resumed).refused(410, "CURSOR_EXPIRED");
    // From where the answer says it goes on.
    let page = server.client().get(format!("{G}?since=1&limit=1")).expect(200).json();
    assert_eq!(page["events"][0]["sequence"], 2);
}

fn alter(database: &std::path::Path, statement: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite://{}", database.display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let altered = sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        assert_eq!(altered.rows_affected(), 1);
        connection.close().await.unwrap();
    });
}

//! The log over HTTP: pages, long polls and streams.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ciborium::Value as Cbor;
use serde_json::{Value, json};

use super::packages::{Pack, shaped};
use crate::support::{Client, Repo, Request, Server, Stream, sha256, until};

const G: &str = "/v2/_artifactstore/events";
const LINES: &str = "application/x-ndjson";
const SSE: &str = "text/event-stream";

fn numbers(events: &Value) -> Vec<i64> {
    events.as_array().unwrap().iter().map(|event| event["sequence"].as_i64().unwrap()).collect()
}

fn head(client: &Client) -> i64 {
    client.get(G).expect(200).json()["head"].as_i64().unwrap()
}

/// Every event there is, in pages.
fn everything(client: &Client) -> Vec<Value> {
    let (mut since, mut all) = (0, Vec::new());
    loop {
        let page = shaped(&client.get(format!("{G}?since={since}&limit=7")).expect(200), "Events");
        assert_eq!(page["next_since"], page["scanned_to"]);
        let events = page["events"].as_array().unwrap();
        assert!(events.len() <= 7, "{page}");
        all.extend(events.iter().cloned());
        since = page["next_since"].as_i64().unwrap();
        if since == page["head"].as_i64().unwrap() {
            return all;
        }
    }
}

fn follow(server: &Server, target: &str, accept: &str) -> Stream {
    Stream::open(server.address(), &Request::get(target).header("Accept", accept))
}

#[test]
fn the_log_is_listed_in_pages_with_every_event_once_and_in_order() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "team/results");
    for n in 0..3 {
        repo.push_artifact(&format!("v{n}"));
    }
    let all = everything(&repo.client);
    let last = head(&repo.client);
    assert_eq!(numbers(&all.clone().into()), (1..=last).collect::<Vec<_>>());
    let page = repo.client.get(G).expect(200);
    page.clone().with("content-type", "application/json").with("cache-control", "no-cache");
    assert_eq!(page.json()["events"], Value::from(all.clone()), "who says nothing reads from the beginning");
    let moved = all.iter().filter(|event| event["type"] == "v1.tag.moved");
    let (tags, repositories): (Vec<_>, Vec<_>) =
        moved.map(|event| (event["subject"].clone(), event["repository"].clone())).unzip();
    assert_eq!((tags.len(), &repositories), (3, &vec![json!("team/results"); 3]), "{tags:?}");
    let empty = shaped(&repo.client.get(format!("{G}?since=now")).expect(200), "Events");
    assert_eq!((&empty["events"], &empty["next_since"]), (&json!([]), &json!(last)));
}

#[test]
fn filters_choose_events_and_the_pages_say_how_far_they_have_looked() {
    let server = Server::start();
    let (first, second) = (Repo::new(&server.client(), "a/b"), Repo::new(&server.client(), "c"));
    first.push_artifact("v1");
    second.push_artifact("v1");
    let pack = Pack::create(&second, &json!({ "kind": "k" }));
    pack.ingest("a.txt", b"a");
    second.push_artifact("v2");
    let client = &first.client;
    let (all, last) = (everything(client), head(client));
    let found = |target: &str| {
        let page = shaped(&client.get(target).expect(200), "Events");
        assert_eq!(page["scanned_to"], last, "{target}");
        numbers(&page["events"])
    };
    let expected = |fits: &dyn Fn(&Value) -> bool| {
        let fitting = all.iter().filter(|event| fits(event)).cloned().collect::<Vec<_>>();
        assert!(!fitting.is_empty() && fitting.len() < all.len());
        numbers(&fitting.into())
    };
    let of_type = |name: &'static str| move |event: &Value| event["type"] == format!("v1.{name}");
    assert_eq!(found(&format!("{G}?types=tag.moved")), expected(&of_type("tag.moved")));
    assert_eq!(found(&format!("{G}?types=v1.tag.*")), expected(&of_type("tag.moved")));
    let packages = expected(&|event| event["type"].as_str().unwrap().starts_with("v1.package."));
    assert_eq!(found(&format!("{G}?types=package")), packages);
    let of_second = expected(&|event| event["repository"] == "c");
    assert_eq!(found(&format!("{G}?repository=c")), of_second);
    assert_eq!(found("/v2/c/_artifactstore/events"), of_second);
    let both = expected(&|event| event["repository"] == "a/b" && event["type"] == "v1.blob.linked");
    assert_eq!(found("/v2/a/b/_artifactstore/events?types=blob.linked"), both);
    let of_package = expected(&|event| event["subject"] == pack.id.as_str());
    assert_eq!(found(&format!("{G}?package={}", pack.id)), of_package);
    assert_eq!(found(&format!("{G}?since={last}&types=package")), Vec::<i64>::new());
    client.get("/v2/nobody/_artifactstore/events").refused(404, "NAME_UNKNOWN");
}

#[test]
fn a_long_poll_is_answered_by_what_happens_and_an_empty_page_says_how_far_it_has_looked() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v1");
    let since = head(&repo.client);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let start = Instant::now();
            let target = format!("{G}?since={since}&wait=60&types=tag.deleted");
            (server.client().get(target).expect(200), start.elapsed())
        });
        // What does not match wakes nobody.
        repo.push_artifact("v2");
        repo.client.delete(repo.manifest("v2")).expect(202);
        let (page, _) = waiting.join().unwrap();
        let page = shaped(&page, "Events");
        assert_eq!(page["events"][0]["type"], "v1.tag.deleted");
    });
    let last = head(&repo.client);
    let start = Instant::now();
    let page = repo.client.get(format!("{G}?since={since}&wait=1&types=scrub")).expect(200);
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    let page = shaped(&page, "Events");
    assert_eq!((&page["events"], &page["scanned_to"]), (&json!([]), &json!(last)));
}

#[test]
fn lines_follow_the_log_and_begin_and_end_with_where_they_are() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v1");
    let last = head(&repo.client);
    let page = repo.client.get(G).expect(200).json();
    let mut from_now = follow(&server, G, LINES);
    for (name, value) in [("content-type", LINES), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]
    {
        assert_eq!(from_now.head.header(name), Some(value));
    }
    let place = json!({ "log_id": page["log_id"], "epoch": page["epoch"], "scanned_to": last, "head": last });
    assert_eq!(from_now.json(), json!({ "bookmark": place }));
    let mut from_the_first = follow(&server, &format!("{G}?since=0&limit={}", last + 2), LINES);
    assert_eq!(from_the_first.json()["bookmark"]["scanned_to"], 0);
    for n in 1..=last {
        assert_eq!(from_the_first.json(), page["events"][usize::try_from(n).unwrap() - 1]);
    }
    repo.push_artifact("v2");
    let next = from_now.json();
    assert_eq!(next["sequence"], last + 1);
    assert_eq!(from_the_first.json(), next);
    assert_eq!(from_the_first.json(), from_now.json());
    let end = json!({ "end": { "reason": "limit", "scanned_to": last + 2 } });
    assert_eq!(from_the_first.json(), end);
    assert_eq!(from_the_first.line().unwrap(), None);
    // What follows the log ends at its end where the client says how long it waits there.
    let mut once = follow(&server, &format!("{G}?since=0&wait=0&types=tag.moved"), LINES);
    let lines = [(); 4].map(|()| once.json());
    assert_eq!([&lines[1]["type"], &lines[2]["type"]], ["v1.tag.moved"; 2]);
    assert_eq!(lines[3], json!({ "end": { "reason": "head", "scanned_to": head(&repo.client) } }));
}

#[test]
fn server_sent_events_are_resumed_without_a_gap_after_the_connection_broke() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v1");
    let target = format!("{G}?since=0");
    let (mut seen, mut id) = (Vec::new(), None::<String>);
    for round in 0..4 {
        let mut request = Request::get(&target).header("Accept", SSE);
        if let Some(id) = &id {
            request = request.header("Last-Event-ID", id);
        }
        let mut stream = Stream::open(server.address(), &request);
        assert_eq!(stream.head.header("content-type"), Some(SSE));
        assert_eq!(stream.sent().retry, "3000");
        let bookmark = stream.sent();
        assert_eq!((&*bookmark.event, &*bookmark.id), ("bookmark", id.as_deref().unwrap_or("0")));
        assert_eq!(bookmark.json()["epoch"], 1);
        repo.push_artifact(&format!("v1-{round}"));
        for _ in 0..3 {
            let sent = stream.sent();
            let event = sent.json();
            assert_eq!(
                (json!(sent.event), sent.id.parse().ok()),
                (event["type"].clone(), event["sequence"].as_i64())
            );
            seen.push(event);
            id = Some(sent.id);
        }
        // Dropped in the middle of what the server has sent.
    }
    assert_eq!(seen, everything(&repo.client)[..12]);
}

#[test]
fn a_cbor_sequence_has_the_bytes_that_were_recorded() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v1");
    let all = everything(&repo.client);
    let request = Request::get(G).header("Accept", "application/cbor-seq");
    let answer = repo.client.send(&request).expect(200).with("content-type", "application/cbor-seq");
    let mut items = Vec::new();
    let mut rest = &answer.body[..];
    while !rest.is_empty() {
        let before = rest;
        let item: Cbor = ciborium::from_reader(&mut rest).unwrap();
        let mut canonical = Vec::new();
        ciborium::into_writer(&item, &mut canonical).unwrap();
        assert_eq!(canonical, before[..before.len() - rest.len()], "the shortest heads");
        let Cbor::Map(fields) = item else { panic!("no map") };
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_text().unwrap()).collect();
        assert!(names.is_sorted_by_key(|name| (name.len(), *name)), "{names:?}");
        items.push(
            fields.iter().map(|(name, value)| (name.as_text().unwrap().to_owned(), value.clone())).collect(),
        );
    }
    let items: Vec<BTreeMap<String, Cbor>> = items;
    assert_eq!(items.len(), all.len() + 2);
    assert!(items[0].contains_key("bookmark") && items.last().unwrap().contains_key("end"));
    for (item, event) in items[1..].iter().zip(&all) {
        let bytes = |name: &str| item[name].as_bytes().unwrap().clone();
        assert_eq!(item["sequence"], Cbor::from(event["sequence"].as_i64().unwrap()));
        let leaf = sha256(&[&[0], &bytes("header")[..]].concat());
        assert_eq!((&json!(leaf), &bytes("salt").len()), (&event["leaf_hash"], &32));
        assert_eq!(format!("sha256:{}", hex(&bytes("leaf_hash"))), leaf);
        let payload: Value = ciborium::from_reader(&bytes("payload")[..]).unwrap();
        assert_eq!(payload, event["payload"]);
    }
}

#[test]
fn an_event_of_hundreds_of_kilobytes_is_whole_in_every_framing() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let (mut lines, mut sent) = (follow(&server, G, LINES), follow(&server, G, SSE));
    lines.json();
    assert_eq!((sent.sent().retry.as_str(), sent.sent().event.as_str()), ("3000", "bookmark"));
    // Many times what goes out at once.
    let notes: String = (0..60 * 1024).map(|n| char::from(b' ' + u8::try_from(n % 90).unwrap())).collect();
    Pack::create(&repo, &json!({ "metadata": { "notes": &notes, "more": vec![&notes; 3] } }));
    let event = std::iter::repeat_with(|| lines.json()).find(|line| line["type"] == "v1.package.created");
    let event = event.unwrap();
    assert_eq!(event["payload"]["description"]["metadata"]["more"][2], notes);
    let same = std::iter::repeat_with(|| sent.sent()).find(|sent| sent.event == "v1.package.created");
    assert_eq!(same.unwrap().json(), event);
    let page = repo.client.get(format!("{G}?types=package.created")).expect(200).json();
    assert_eq!(page["events"], json!([event]));
    repo.push_artifact("v1");
    assert_eq!(lines.json()["sequence"], sent.sent().json()["sequence"], "both go on");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

#[test]
fn events_are_cloud_events_for_who_asks() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v1");
    let page = repo.client.get(format!("{G}?types=tag.moved")).expect(200).json();
    let (event, log) = (&page["events"][0], page["log_id"].as_str().unwrap());
    let number = event["sequence"].as_i64().unwrap();
    let expected = json!({
        "specversion": "1.0", "id": format!("{log}/{number}"),
        "source": format!("/v2/_artifactstore/log/{log}"), "type": "dev.artifactstore.tag.moved.v1",
        "subject": format!("a@{}", event["subject"].as_str().unwrap()), "time": event["recorded_at"],
        "datacontenttype": "application/json", "data": event["payload"], "sequence": format!("{number:020}"),
        "actor": event["actor"], "repository": "a", "leafhash": event["leaf_hash"],
    });
    let batch = "application/cloudevents-batch+json";
    let target = format!("{G}?types=tag.moved&format=cloudevents");
    let answer = repo.client.get(&target).expect(200).with("content-type", batch);
    assert_eq!(answer.json(), json!([expected]));
    let next = answer.next_page().unwrap();
    assert_eq!(repo.client.get(&next).expect(200).json(), json!([]));
    repo.push_artifact("v2");
    assert_eq!(repo.client.get(&next).expect(200).json()[0]["type"], "dev.artifactstore.tag.moved.v1");
    let named =
        repo.client.send(&Request::get(format!("{G}?types=tag.moved&limit=1")).header("Accept", batch));
    assert_eq!(named.expect(200).json(), json!([expected]));
    let mut lines = follow(&server, &format!("{target}&since=0"), LINES);
    lines.json();
    assert_eq!(lines.json(), expected);
    let mut sent = follow(&server, &format!("{target}&since=0"), SSE);
    let sent = [(); 3].map(|()| sent.sent())[2].clone();
    assert_eq!((sent.json(), &*sent.event), (expected, "v1.tag.moved"));
}

#[test]
fn a_head_neither_waits_nor_streams() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v1");
    let mut connection = server.client().connect();
    let start = Instant::now();
    for (accept, media_type) in [("*/*", "application/json"), (LINES, LINES), (SSE, SSE)] {
        let request = Request::head(format!("{G}?since=now&wait=60")).header("Accept", accept);
        let answer = connection.exchange(&request).unwrap().expect(200);
        answer.with("content-type", media_type).without("transfer-encoding");
    }
    connection.exchange(&Request::head(format!("{G}?since=1000000"))).unwrap().expect(409);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_shutdown_ends_streams_and_long_polls_at_once() {
    let mut server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v1");
    let last = head(&repo.client);
    let mut lines = follow(&server, G, LINES);
    lines.json();
    let mut sent = follow(&server, G, SSE);
    let mut waiting = server.client().connect();
    waiting.write(Request::get(format!("{G}?since={last}&wait=60")).head_bytes()).unwrap();
    until("the streams have begun", || (sent.sent().event == "bookmark").then_some(()));
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let end = json!({ "reason": "shutdown", "scanned_to": last });
    assert_eq!(lines.json(), json!({ "end": end }));
    assert_eq!(lines.line().unwrap(), None);
    let ended = sent.sent();
    assert_eq!((&*ended.event, ended.json()), ("end", end));
    // One that the server had not begun when it stopped has no answer.
    if let Ok(answer) = waiting.receive("GET") {
        assert_eq!(answer.expect(200).json()["scanned_to"], last);
    }
}

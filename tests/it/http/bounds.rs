//! What one client can ask for does not take the server from the others: no thread for ever, no memory without end.

use std::{iter, thread};

use serde_json::{Map, Value, json};

use super::packages::{Pack, shaped};
use crate::support::{MANIFEST, Repo, Request, Response, Server, descriptor, image, sha256};

/// MiB the server may ever have.
const MEMORY: u64 = 256;

/// Reads of one sort at once.
const READERS: usize = 24;

fn register(server: &Server, name: &str, schema: &Value) -> Response {
    let target = format!("/v2/_artifactstore/schemas/{name}");
    server.client().send(&Request::put(target).body(schema.to_string()))
}

#[test]
fn a_schema_of_two_kilobytes_that_means_a_billion_checks_takes_no_thread() {
    let mut server = Server::start();
    let twice = |n: usize| {
        let next = json!({ "$ref": format!("#/$defs/a{}", n + 1) });
        json!({ "allOf": [next, next] })
    };
    let mut defs: Map<String, Value> = (0..30).map(|n| (format!("a{n}"), twice(n))).collect();
    defs.insert("a30".to_owned(), json!({ "type": "object" }));
    let schema = json!({ "$ref": "#/$defs/a0", "$defs": defs });
    let refused = register(&server, "exp", &schema).refused(400, "MANIFEST_INVALID").json();
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("10000 checks"), "{refused}");
    let repo = Repo::new(&server.client(), "a");
    let create = Request::post(repo.path("_artifactstore/packages")).body(r#"{"schema":"exp"}"#);
    repo.client.send(&create).refused(400, "MANIFEST_INVALID");
    for name in [".", ".."] {
        let target = format!("/v2/_artifactstore/schemas/{name}");
        repo.client.send(&Request::put(target).body("{}")).refused(400, "MANIFEST_INVALID");
    }
    register(&server, "...", &json!({})).expect(201);
    server.stop();
}

#[test]
fn thousands_of_alternatives_for_thousands_of_values_take_no_gigabytes() {
    let mut server = Server::start();
    let values: Vec<Value> = (0..2000).map(|n| json!({ "const": n })).collect();
    let schema = json!({ "properties": { "a": { "items": { "anyOf": values } } } });
    register(&server, "wide", &schema).expect(201);
    let repo = Repo::new(&server.client(), "a");
    let refused = thread::scope(|scope| {
        let finalize = |_| {
            let repo = repo.clone();
            scope.spawn(move || {
                let pack = Pack::create(&repo, &json!({ "schema": "wide" }));
                pack.ingest("x", b"x");
                let metadata = json!({ "metadata": { "a": vec![99_999; 16_000] } });
                let request = Request::post(pack.path("/finalize")).body(metadata.to_string());
                repo.client.send(&request).refused(400, "MANIFEST_INVALID").json()
            })
        };
        let all: Vec<_> = (0..4).map(finalize).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    for refused in refused {
        let violations = refused["errors"][0]["detail"]["violations"].to_string();
        assert!(violations.contains("checks"), "{violations}");
    }
    assert!(server.peak_memory() < MEMORY, "{} MiB", server.peak_memory());
    server.stop();
}

#[test]
fn pages_of_packages_with_much_metadata_are_short_and_together_whole() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a/b");
    let words = json!({ "a": vec!["x".repeat(15); 12_000] });
    let body = json!({ "kind": "k", "metadata": words, "provenance": words });
    let small = json!({ "kind": "k" });
    let mut made: Vec<String> =
        (0..24).map(|n| Pack::create(&repo, if n % 8 == 3 { &small } else { &body }).id).collect();
    made.sort();
    let list = repo.path("_artifactstore/packages?kind=k&n=100");
    let walk = || {
        let (mut next, mut found, mut pages) = (list.clone(), Vec::new(), 0);
        loop {
            let page = repo.client.get(&next).expect(200);
            assert!(page.body.len() < 2 << 20, "{} bytes", page.body.len());
            let shown = shaped(&page, "Packages");
            let packages = shown["packages"].as_array().unwrap();
            assert!(!packages.is_empty());
            let read = &packages[0];
            assert_eq!(read["metadata"] == words, read["provenance"] == words);
            found.extend(packages.iter().map(|package| package["id"].as_str().unwrap().to_owned()));
            pages += 1;
            let Some(link) = page.next_page() else { return (found, pages) };
            next = link;
        }
    };
    let (found, pages) = walk();
    assert_eq!(found, made);
    assert!(pages >= 10, "{pages}");
    thread::scope(|scope| {
        let read = || drop(repo.client.get(&list).expect(200));
        (0..READERS).for_each(|_| drop(scope.spawn(read)));
    });
    assert!(server.peak_memory() < MEMORY, "{} MiB", server.peak_memory());
}

#[test]
fn many_readers_of_a_large_package_do_not_add_up() {
    let mut server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_empty_config();
    let digest = repo.push_blob(b"same");
    let layer = |n: usize| {
        let mut layer = descriptor("application/octet-stream", &digest, 4);
        layer["annotations"] = json!({ "org.opencontainers.image.title": format!("files/{n:05}.bin") });
        layer
    };
    let layers: Vec<Value> = (0..8000).map(layer).collect();
    let bytes = image(&layers, json!({ "artifactType": "application/vnd.artifactstore.package.v1" }));
    repo.put_manifest(&sha256(&bytes), MANIFEST, &bytes).expect(201);
    let list = repo.path(format!("_artifactstore/packages?reference={}", sha256(&bytes)));
    let found = repo.client.get(list).expect(200).json();
    let package =
        repo.path(format!("_artifactstore/packages/{}", found["packages"][0]["id"].as_str().unwrap()));
    for (rest, readers) in [("/manifest", READERS), ("/events", 8), ("/files", 8), ("", 8)] {
        thread::scope(|scope| {
            let read = || {
                // On a busy machine the last of them wait too long, and are asked to come back.
                let ask = || repo.client.get(format!("{package}{rest}"));
                let is_asked_back =
                    |answer: &Response| answer.status == 503 && answer.header("retry-after").is_some();
                let mut answers = iter::repeat_with(ask).take(10);
                let found = answers.find(|answer| !is_asked_back(answer)).expect("its turn comes");
                let found = found.expect(200).body;
                assert!(found.len() > 100_000, "{rest}: {} bytes", found.len());
            };
            (0..readers).for_each(|_| drop(scope.spawn(read)));
        });
        assert!(server.peak_memory() < MEMORY, "{rest}: {} MiB", server.peak_memory());
    }
    server.stop();
}

#[test]
fn a_cursor_beyond_the_end_of_the_log_is_a_conflict_and_no_head() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let pack = Pack::create(&repo, &json!({}));
    pack.ingest("x", b"x");
    let page = shaped(&pack.get("/events").expect(200), "Events");
    let head = page["head"].as_i64().unwrap();
    let at_the_end = shaped(&pack.get(&format!("/events?since={head}")).expect(200), "Events");
    assert_eq!((&at_the_end["events"], &at_the_end["head"]), (&json!([]), &json!(head)));
    for since in [head + 1, (1 << 53) - 1] {
        let refused = pack.get(&format!("/events?since={since}")).refused(409, "CURSOR_AHEAD").json();
        assert_eq!(refused["errors"][0]["detail"], json!({ "since": since, "head": head }));
    }
    pack.get("/events?since=9223372036854775807").refused(400, "UNSUPPORTED");
}

#[test]
fn a_nul_in_anything_that_is_looked_for_is_never_a_failure_of_the_server() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let pack = Pack::create(&repo, &json!({}));
    let (digest, _) = repo.push_artifact("v1");
    for (target, status) in [
        (repo.path("_artifactstore/packages?kind=a%00"), 400),
        (repo.path("_artifactstore/packages?class=a%00"), 400),
        (repo.path("_artifactstore/packages?status=%00"), 400),
        (repo.path("_artifactstore/packages?reference=%00"), 400),
        (repo.path("_artifactstore/packages?reference="), 400),
        (repo.path("_artifactstore/packages?kind="), 400),
        (pack.path("/files/a%00"), 400),
        (repo.path("_artifactstore/objects/a%00"), 400),
        (repo.path("_artifactstore/objects?prefix=a%00"), 400),
        (repo.path("_artifactstore/objects/a?kid=%00&expires=9999999999&signature=%00"), 403),
        (repo.path(format!("referrers/{digest}?artifactType=%00")), 200),
        (repo.path(format!("referrers/{digest}?last=%00")), 400),
        (repo.path("manifests/a%00"), 404),
        ("/v2/a%00/tags/list".to_owned(), 400),
        ("/v2/_artifactstore/schemas/%00".to_owned(), 404),
    ] {
        assert_eq!(repo.client.get(&target).status, status, "{target}");
    }
}

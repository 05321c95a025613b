//! Bad lines: what breaks on the way is sent again, what was changed on the way is noticed.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use super::gate::{Act, Gate, Head};
use super::{FILES, contents, directory, package, text, tree};
use crate::support::{Repo, Server, command, noise, run, run_command, sha256};

#[test]
fn a_large_file_goes_on_where_the_connection_broke_both_ways() {
    let server = Server::start();
    let (put, got) = (AtomicBool::new(false), AtomicBool::new(false));
    let gate = Gate::before(&server, move |head, _| match &head.line {
        line if line.starts_with("PATCH ") && !put.swap(true, Ordering::Relaxed) => {
            Act::CutRequest(4_000_000)
        }
        line if line.starts_with("GET ") && line.contains("/blobs/sha256:") => {
            // The first blob that is read is the content manifest.
            let is_large = head.header("range").is_none() && got.swap(true, Ordering::Relaxed);
            if is_large { Act::CutAnswer(3_000_000) } else { Act::Pass }
        }
        _ => Act::Pass,
    });
    let folder = directory();
    fs::write(folder.path().join("large.bin"), noise(3, 10_000_000)).unwrap();
    let server_flag = ["--server", &gate.url()];
    let push = [&["push", text(folder.path()), "--to", "a:x"], &server_flag[..]].concat();
    package(&server, &push).expect(0);
    let patches = gate.seen("PATCH ");
    assert_eq!(patches.len(), 2, "{patches:?}");
    assert_ne!(patches[1].header("content-range"), patches[0].header("content-range"));
    let back = directory();
    let pull = [&["pull", "a:x", "-o", text(back.path())], &server_flag[..]].concat();
    package(&server, &pull).expect(0);
    let ranges: Vec<_> =
        gate.seen("GET ").iter().filter_map(|head| head.header("range").map(str::to_owned)).collect();
    assert!(ranges.len() == 1 && ranges[0].starts_with("bytes=2"), "{ranges:?}");
    assert!(contents(back.path()) == contents(folder.path()));
}

#[test]
fn a_plain_connection_needs_no_certificates_and_an_encrypted_one_does() {
    let server = Server::start();
    Repo::new(&server.client(), "a").push_artifact("v1");
    let nothing = directory();
    let list = |url: &str| {
        let mut command = command();
        command.args(["package", "list", "a", "--server", url]);
        command.env("SSL_CERT_FILE", nothing.path().join("none")).env("SSL_CERT_DIR", nothing.path());
        command.env("DOCKER_CONFIG", nothing.path());
        run_command(&mut command)
    };
    list(&format!("http://{}", server.address())).expect(0);
    list(&format!("https://{}", server.address()))
        .refused(&["SSL_CERT_FILE names", "none, which cannot be read"]);
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let server = Server::start();
    let gate = Gate::before(&server, |_, seen| match seen.len() % 3 {
        0 => Act::Answer("503 Service Unavailable\r\nRetry-After: 0".to_owned(), String::new()),
        1 => Act::Answer("429 Too Many Requests\r\nRetry-After: 0".to_owned(), String::new()),
        _ => Act::Pass,
    });
    let folder = tree(&FILES[..2]);
    package(&server, &["push", text(folder.path()), "--to", "a:x", "--server", &gate.url()]).expect(0);
}

#[test]
fn a_file_that_was_changed_on_the_way_never_gets_its_name() {
    let server = Server::start();
    let folder = tree(&FILES);
    package(&server, &["push", text(folder.path()), "--to", "a:x"]).expect(0);
    let gate = Gate::before(&server, |head, _| {
        let is_blob = head.line.starts_with("GET ") && head.line.contains("/blobs/");
        // Only the file: in the content manifest it is a digest.
        if is_blob { Act::Change("{\"passed\":3}", "{\"passed\":9}") } else { Act::Pass }
    });
    let back = directory();
    let pull = ["pull", "a:x", "-o", text(back.path())];
    package(&server, &[&pull[..], &["--server", &gate.url()]].concat())
        .refused(&["report.json is not sha256:"]);
    assert!(!back.path().join("report.json").exists());
    assert!(!back.path().join(".artifactstore/package.cbor").exists());
    // The next one leaves no trace of it.
    package(&server, &pull).expect(0);
    assert!(contents(back.path()) == contents(folder.path()));
    run(&["package", "verify", text(back.path())]).expect(0);
}

#[test]
fn a_registry_that_knows_no_packages_takes_and_gives_them_all_the_same() {
    let server = Server::start();
    let gate = Gate::before(&server, |head, _| {
        if head.line.contains("_artifactstore") {
            Act::Answer("404 Not Found".to_owned(), "page not found".to_owned())
        } else if head.line.starts_with("PUT ") && head.line.contains("/manifests/") {
            Act::Change("artifactstore-package", "artifactstore-nothing")
        } else if head.line.starts_with("POST ") && head.line.contains("digest=") {
            // The specification allows a session instead of a blob.
            let line = head.line.split('?').next().unwrap_or_default().replace("POST ", "");
            assert!(line.ends_with("/blobs/uploads/"), "{line}");
            Act::Pass
        } else {
            Act::Pass
        }
    });
    let folder = tree(&FILES);
    let push = ["push", text(folder.path()), "--to", "a:x", "--json", "--server", &gate.url()];
    let pushed = package(&server, &push).expect(0).json();
    assert!(pushed["id"].is_null() && pushed["class"].is_null(), "{pushed}");
    let back = directory();
    let pull = ["pull", "a:x", "-o", text(back.path()), "--json", "--server", &gate.url()];
    let pulled = package(&server, &pull).expect(0).json();
    assert_eq!((&pulled["digest"], &pulled["id"]), (&pushed["digest"], &serde_json::Value::Null));
    assert!(contents(back.path()) == contents(folder.path()));
}

#[test]
fn a_file_that_changes_while_it_is_sent_fails_the_push_by_its_name() {
    // As long as before, and shorter.
    for later in ["{\"passed\":4}", "{}"] {
        let server = Server::start();
        let folder = tree(&FILES);
        let report = folder.path().join("report.json");
        let gate = Gate::before(&server, move |head, seen| {
            if head.line.starts_with("HEAD ") && seen.is_empty() {
                fs::write(&report, later).unwrap();
            }
            Act::Pass
        });
        let push = ["push", text(folder.path()), "--to", "a:x", "--server", &gate.url()];
        package(&server, &push).refused(&["report.json changed while it was being read", "again"]);
        server.client().get("/v2/a/manifests/x").expect(404);
    }
}

/// The answer to the first request of this kind is lost on the way; what it asked for was done.
fn loses_first(server: &Server, method: &'static str, part: &'static str) -> Gate {
    Gate::before(server, move |head, seen| {
        let is_such = |head: &Head| head.line.starts_with(method) && head.line.contains(part);
        if is_such(head) && !seen.iter().any(is_such) { Act::CutAnswer(0) } else { Act::Pass }
    })
}

#[test]
fn a_draft_whose_answers_were_lost_was_refused_what_it_had_done() {
    let server = Server::start();
    let folder = tree(&[("a", "a"), ("b", "b")]);
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let create = || package(&server, &["create", "--to", "a"]).expect(0).out.trim().to_owned();
    let through =
        |gate: &Gate, arguments: &[&str]| package(&server, &[arguments, &["--server", &gate.url()]].concat());
    let id = create();
    let gate = loses_first(&server, "PUT ", "/files/a");
    let file = through(&gate, &["ingest", &id, text(&a), "--role", "log", "--json"]).expect(0).json();
    assert_eq!((&file["sha256"], &file["role"]), (&sha256(b"a").into(), &"log".into()));
    assert_eq!(gate.seen("PUT ").len(), 2);
    // What was there before stays, and is not taken for what was sent.
    let gate = loses_first(&server, "PUT ", "/files/a");
    through(&gate, &["ingest", &id, text(&b), "--path", "a"]).refused(&["409"]);
    through(&gate, &["ingest", &id, text(&b), "--path", "a", "--replace"]).expect(0);
    package(&server, &["ingest", &id, text(&b)]).expect(0);
    let gate = loses_first(&server, "DELETE ", "/files/a");
    through(&gate, &["drop", &id, "a"]).expect(0);
    through(&gate, &["drop", &id, "a"]).refused(&["404"]);
    let gate = loses_first(&server, "POST ", "/finalize");
    let done = through(&gate, &["finalize", &id, "--tag", "v1", "--json"]).expect(0).json();
    assert_eq!((&done["status"], &done["file_count"]), (&"finalized".into(), &1.into()), "{done}");
    assert_eq!(gate.seen("POST ").len(), 2);
    let id = create();
    let gate = loses_first(&server, "DELETE ", "/packages/");
    through(&gate, &["abort", &id]).expect(0);
    assert_eq!(gate.seen("DELETE ").len(), 2);
    // Twice would be two drafts.
    let gate = loses_first(&server, "POST ", "/packages");
    through(&gate, &["create", "--to", "b"]).refused(&["cannot be reached"]);
    assert_eq!(gate.seen("POST ").len(), 1);
}

#[test]
fn an_unknown_class_was_found_out_when_everything_was_sent() {
    let server = Server::start();
    let gate = Gate::before(&server, |_, _| Act::Pass);
    let folder = tree(&FILES);
    let push = |gate: &Gate, class: &str| {
        let push = ["push", text(folder.path()), "--to", "a:x", "--class", class];
        package(&server, &[&push[..], &["--server", &gate.url()]].concat())
    };
    push(&gate, "nonsense").refused(&["no retention class \"nonsense\"", "raw-evidence", "summary-evidence"]);
    let seen = gate.seen("");
    assert!(seen.len() == 1 && seen[0].line.contains("/retention/classes"), "{seen:?}");
    push(&gate, "raw-evidence").expect(0);
    // A registry that cannot be asked hears of it from the manifest.
    for answer in ["404 Not Found", "401 Unauthorized", "200 OK"] {
        let plain = Gate::before(&server, move |head, _| {
            let is_asked = head.line.contains("_artifactstore/retention");
            if is_asked { Act::Answer(answer.to_owned(), "<html>".to_owned()) } else { Act::Pass }
        });
        push(&plain, "raw-evidence").expect(0);
        push(&plain, "nonsense").refused(&["400", "nonsense"]);
    }
}

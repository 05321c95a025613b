//! What is made of a registry's answers: some say yes to everything, some are not like ours, some take long.

use std::fs;
use std::sync::Mutex;

use super::gate::{Act, Gate};
use super::{FILES, contents, directory, package, text, tree};
use crate::support::{Ran, Repo, Server, run, sha256};

fn push(server: &Server, gate: &Gate, folder: &std::path::Path) -> Ran {
    package(server, &["push", text(folder), "--to", "a:x", "--json", "--server", &gate.url()])
}

fn page() -> Act {
    Act::Answer("200 OK\r\nContent-Type: text/html".to_owned(), "<html>welcome</html>".to_owned())
}

/// It was, with exit code 0 and a digest.
#[test]
fn a_server_that_answers_everything_with_a_page_was_told_to_hold_the_package() {
    let server = Server::start();
    let folder = tree(&FILES);
    let gate = Gate::before(&server, |_, _| page());
    push(&server, &gate, folder.path()).refused(&["something else than the protocol says", "200"]);
    let run_dir = "tests/fixtures/guide-board/cmis-run-20260518T081500Z";
    let run_dir = format!("{}/{run_dir}", env!("CARGO_MANIFEST_DIR"));
    run(&["ingest", "guide-board", &run_dir, "--to", "a:x", "--server", &gate.url()]).refused(&["protocol"]);
    // One that knows what to say to uploads, and keeps nothing.
    let polite = Gate::before(&server, |head, _| match head.line.split(' ').next().unwrap() {
        "POST" | "PUT" => Act::Answer("201 Created".to_owned(), String::new()),
        _ => page(),
    });
    push(&server, &polite, folder.path()).refused(&["PUT /v2/a/manifests/x", "does not give it back"]);
    // One that states another digest.
    let other = Gate::before(&server, |head, _| match head.line.split(' ').next().unwrap() {
        "PUT" => {
            Act::Answer(format!("201 Created\r\nDocker-Content-Digest: {}", sha256(b"other")), String::new())
        }
        _ => Act::Pass,
    });
    push(&server, &other, folder.path()).refused(&["does not give it back"]);
    server.client().get("/v2/a/manifests/x").expect(404);
}

#[test]
fn a_registry_that_states_no_digest_is_asked_for_what_it_took() {
    let server = Server::start();
    let folder = tree(&FILES);
    let gate = Gate::before(&server, |head, _| {
        let is_manifest = head.line.starts_with("PUT ") && head.line.contains("/manifests/");
        if is_manifest { Act::Change("docker-content-digest", "docker-nothing-digest") } else { Act::Pass }
    });
    push(&server, &gate, folder.path()).expect(0);
    assert_eq!(gate.seen("GET /v2/a/manifests/x").len(), 1);
}

/// The package was there, and the push or pull failed for want of an id.
#[test]
fn an_extension_that_is_refused_in_any_way_failed_what_was_done() {
    let server = Server::start();
    let folder = tree(&FILES);
    for status in
        ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "500 Broken", "501 Not Implemented"]
    {
        let gate = Gate::before(&server, move |head, _| {
            if head.line.contains("_artifactstore") {
                Act::Answer(status.to_owned(), "no".to_owned())
            } else if head.line.starts_with("PUT ") && head.line.contains("/manifests/") {
                Act::Change("artifactstore-package", "artifactstore-nothing")
            } else {
                Act::Pass
            }
        });
        let pushed = push(&server, &gate, folder.path()).expect(0).json();
        assert!(pushed["id"].is_null() && pushed["digest"].is_string(), "{status}: {pushed}");
        let back = directory();
        let pull = ["pull", "a:x", "-o", text(back.path()), "--json", "--server", &gate.url()];
        assert!(package(&server, &pull).expect(0).json()["id"].is_null(), "{status}");
        assert!(contents(back.path()) == contents(folder.path()));
    }
    // The answer tells the id, and then nothing more can be learnt.
    let gate = Gate::before(&server, |head, _| {
        let is_asked = head.line.contains("_artifactstore/packages/");
        if is_asked { Act::Answer("500 Broken".to_owned(), String::new()) } else { Act::Pass }
    });
    let pushed = push(&server, &gate, folder.path()).expect(0).json();
    assert!(pushed["id"].is_string() && pushed["class"].is_null(), "{pushed}");
}

/// A registry that answers every POST with a session, whose address it gives relative to the request's.
fn sessions(server: &Server) -> Gate {
    let repo = Mutex::new(Repo::new(&server.client(), "a"));
    Gate::before(server, move |head, _| {
        if !head.line.starts_with("POST ") {
            return Act::Pass;
        }
        let location = repo.lock().unwrap().begin();
        let relative = location.split("/blobs/uploads/").nth(1).unwrap();
        let answer = format!("HTTP/1.1 202 Accepted\r\nLocation: {relative}\r\nContent-Length: 0\r\n");
        Act::Raw(format!("{answer}Connection: close\r\n\r\n").into_bytes())
    })
}

#[test]
fn a_registry_without_uploads_in_one_request_was_sent_every_small_file_twice() {
    let server = Server::start();
    let folder = tree(&FILES);
    let gate = sessions(&server);
    let pushed = push(&server, &gate, folder.path()).expect(0).json();
    assert_eq!(pushed["uploaded"], 6, "{pushed}");
    let posts = gate.seen("POST ");
    assert_eq!(posts.len(), 7);
    // Only the first one did not know.
    let full = posts.iter().filter(|head| head.header("content-length") != Some("0"));
    assert_eq!(full.count(), 1, "{posts:?}");
    let back = directory();
    package(&server, &["pull", "a:x", "-o", text(back.path())]).expect(0);
    assert!(contents(back.path()) == contents(folder.path()));
}

/// Everything was there already, so that nothing was read again.
#[test]
fn a_file_that_was_replaced_or_deleted_during_the_push_went_unnoticed() {
    let server = Server::start();
    let folder = tree(&FILES);
    package(&server, &["push", text(folder.path()), "--to", "a:first"]).expect(0);
    for replaced in [false, true] {
        let file = folder.path().join("raw/a/b/c.log");
        fs::write(&file, "one\ntwo\n").unwrap();
        let gate = Gate::before(&server, move |head, seen| {
            if head.line.starts_with("HEAD ") && seen.is_empty() {
                fs::remove_file(&file).unwrap();
                if replaced {
                    // As long as before.
                    fs::write(&file, "ONE\nTWO\n").unwrap();
                }
            }
            Act::Pass
        });
        push(&server, &gate, folder.path()).refused(&["raw/a/b/c.log changed while"]);
        assert!(gate.seen("PUT ").is_empty());
        server.client().get("/v2/a/manifests/x").expect(404);
    }
}

#[test]
fn a_name_cannot_write_to_the_terminal() {
    let server = Server::start();
    let name = "a\n\u{1b}[2Jb";
    let folder = tree(&FILES);
    fs::write(folder.path().join(name), "").unwrap();
    let refused = |ran: Ran| {
        assert!(!ran.err.trim_end().contains(['\u{1b}', '\n']), "{ran}");
        assert!(ran.err.contains("a\\n\\u{1b}[2Jb"), "{ran}");
    };
    refused(package(&server, &["push", text(folder.path()), "--to", "a:x"]).refused(&["rename it"]));
    fs::remove_file(folder.path().join(name)).unwrap();
    std::os::unix::fs::symlink("x", folder.path().join(name)).unwrap();
    refused(package(&server, &["push", text(folder.path()), "--to", "a:x"]).refused(&["symbolic link"]));
    let skipped = package(&server, &["push", text(folder.path()), "--to", "a:x", "--skip-special"]);
    refused(skipped.expect(0));
}

#[test]
fn a_list_of_a_tag_showed_the_whole_repository() {
    let server = Server::start();
    let folder = tree(&FILES);
    let first = package(&server, &["push", text(folder.path()), "--to", "a:x", "--json"]).expect(0).json();
    package(&server, &["push", text(folder.path()), "--to", "a:y", "--kind", "other"]).expect(0);
    package(&server, &["list", "a:x"]).refused(&["x is a tag", "--reference"]);
    let by_digest = format!("a@{}", first["digest"].as_str().unwrap());
    let listed = package(&server, &["list", &by_digest, "--json"]).expect(0).json();
    let listed: Vec<_> = listed["packages"].as_array().unwrap().iter().map(|found| &found["id"]).collect();
    assert_eq!(listed, [&first["id"]]);
}

#[test]
fn what_is_in_our_own_folder_was_left_out_without_a_word() {
    let server = Server::start();
    let folder =
        tree(&[("a", "a"), (".artifactstore/notes.txt", "mine"), (".artifactstore/package.cbor", "")]);
    let pushed = package(&server, &["push", text(folder.path()), "--to", "a:x"]).expect(0);
    assert!(pushed.err.contains(".artifactstore/notes.txt is not packed"), "{pushed}");
    assert!(!pushed.err.contains("package.cbor"), "{pushed}");
    fs::remove_dir_all(folder.path().join(".artifactstore")).unwrap();
    fs::write(folder.path().join(".artifactstore"), "evidence").unwrap();
    package(&server, &["push", text(folder.path()), "--to", "a:x"]).refused(&[".artifactstore is a file"]);
}

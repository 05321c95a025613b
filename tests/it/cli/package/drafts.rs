//! Packages that are made file by file, and looked at.

use std::fs;

use super::{contents, directory, package, text, tree};
use crate::support::{Server, blake3, run, sha256};

#[test]
fn a_draft_is_filled_finalized_and_read_back() {
    let server = Server::start();
    let folder = tree(&[("score.json", "{}"), ("b.log", "log"), ("c", "c")]);
    let file = |name: &str| text(&folder.path().join(name)).to_owned();
    let created = package(&server, &["create", "--to", "a/b", "--kind", "run", "--meta", "n=1"]).expect(0);
    let id = created.out.trim();
    let ingest = |arguments: &[&str]| package(&server, &[&["ingest", id], arguments].concat());
    let score =
        ingest(&[&file("score.json"), "--path", "reports/score.json", "--role", "scorecard", "--json"]);
    let score = score.expect(0).json();
    assert_eq!((&score["sha256"], &score["role"]), (&sha256(b"{}").into(), &"scorecard".into()), "{score}");
    assert_eq!(
        (&score["content_address"], &score["media_type"]),
        (&blake3(b"{}").into(), &"application/json".into())
    );
    ingest(&[&file("b.log")]).expect(0);
    ingest(&[&file("b.log")]).refused(&["409"]);
    fs::write(file("b.log"), "another log").unwrap();
    ingest(&[&file("b.log"), "--replace"]).expect(0);
    let finalized = package(&server, &["finalize", id, "--tag", "v1", "--json"]).expect(0).json();
    assert_eq!((&finalized["status"], &finalized["id"]), (&"finalized".into(), &id.into()), "{finalized}");
    ingest(&[&file("c")]).refused(&["409"]);

    let shown = package(&server, &["show", id, "--json"]).expect(0).json();
    assert_eq!((&shown["kind"], &shown["repository"]), (&"run".into(), &"a/b".into()));
    let shown = package(&server, &["show", id]).expect(0);
    assert!(shown.out.contains("status: finalized"), "{shown}");
    let files = package(&server, &["files", id, "--json"]).expect(0).json();
    let paths: Vec<_> = files["files"].as_array().unwrap().iter().map(|file| file["path"].clone()).collect();
    assert_eq!(paths, ["b.log", "reports/score.json"]);
    let manifest = package(&server, &["manifest", id]).expect(0).json();
    assert_eq!((&manifest["package"]["id"], &manifest["manifest_version"]), (&id.into(), &1.into()));
    let cbor = folder.path().join("manifest.cbor");
    package(&server, &["manifest", id, "--cbor", "-o", text(&cbor)]).expect(0);
    assert_eq!(shown_digest(&server, id), blake3(&fs::read(cbor).unwrap()));

    let back = directory();
    package(&server, &["pull", id, "-o", text(back.path())]).expect(0);
    assert_eq!(contents(back.path())["b.log"], b"another log");
    run(&["package", "verify", text(back.path())]).expect(0);
}

fn shown_digest(server: &Server, id: &str) -> String {
    let shown = package(server, &["show", id, "--json"]).expect(0).json();
    shown["manifest_digest"].as_str().unwrap().to_owned()
}

#[test]
fn lists_are_filtered_and_drafts_can_be_given_up() {
    let server = Server::start();
    let folder = tree(&[("a", "a")]);
    let create = |kind: &str| {
        let ran = package(&server, &["create", "--to", "a", "--kind", kind, "--json"]).expect(0);
        ran.json()["id"].as_str().unwrap().to_owned()
    };
    let (one, other) = (create("one"), create("other"));
    package(&server, &["push", text(folder.path()), "--to", "a:x", "--kind", "one"]).expect(0);
    let count = |filter: &[&str]| {
        let listed = package(&server, &[&["list", "a", "--json"], filter].concat()).expect(0).json();
        listed["packages"].as_array().unwrap().len()
    };
    assert_eq!((count(&[]), count(&["--kind", "one"]), count(&["--status", "finalized"])), (3, 2, 1));
    assert_eq!((count(&["--limit", "2"]), count(&["--kind", "one", "--status", "created"])), (2, 1));
    package(&server, &["abort", &one]).expect(0);
    package(&server, &["finalize", &one]).refused(&["409"]);
    package(&server, &["finalize", &other]).refused(&["at least one file"]);
    assert_eq!(count(&["--status", "created"]), 1);
    let listed = package(&server, &["list", "a"]).expect(0);
    assert!(listed.out.lines().count() == 3 && listed.out.contains(&other), "{listed}");
    package(&server, &["list", "a", "--status", "nonsense"]).refused(&["400"]);
    package(&server, &["create", "--to", "a:tag"]).refused(&["finalize"]);
}

//! Whole directories, there and back.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use super::{FILES, add, contents, directory, package, text, tree};
use crate::support::{Repo, Server, command, noise, run, sha256, until};

fn push(server: &Server, folder: &std::path::Path, to: &str) -> Value {
    let meta = ["--meta", "run=7", "--kind", "test-run"];
    let arguments = [&["push", text(folder), "--to", to, "--json"], &meta[..]].concat();
    package(server, &arguments).expect(0).json()
}

#[test]
fn a_tree_comes_back_byte_for_byte_by_tag_by_digest_and_by_id() {
    let server = Server::start();
    let folder = tree(&FILES);
    let pushed = push(&server, folder.path(), "team/runs:v1");
    assert_eq!(pushed["files"], 7, "{pushed}");
    // Two of the seven are the same content.
    assert_eq!(pushed["uploaded"], 6, "{pushed}");
    let id = pushed["id"].as_str().unwrap();
    assert!(id.starts_with("pkg_") && pushed["class"].is_string(), "{pushed}");
    for what in ["team/runs:v1", pushed["reference"].as_str().unwrap(), id] {
        let back = directory();
        let target = back.path().join("deep/er");
        let pulled = package(&server, &["pull", what, "-o", text(&target), "--json"]).expect(0).json();
        assert_eq!(pulled["downloaded"], 7, "{pulled}");
        assert_eq!((&pulled["id"], &pulled["digest"]), (&pushed["id"], &pushed["digest"]), "{what}");
        assert_eq!(pulled["content_manifest"], pushed["content_manifest"]);
        assert!(contents(&target) == contents(folder.path()), "{what}");
        // Offline: no server is named, none is needed.
        let verified = run(&["package", "verify", text(&target), "--json"]).expect(0).json();
        assert_eq!((&verified["digest"], &verified["files"]), (&pushed["digest"], &pushed["files"]));
        assert!(!target.join(".artifactstore/incoming").exists());
    }
}

#[test]
fn pushing_again_sends_nothing_and_one_more_file_sends_one() {
    let server = Server::start();
    let folder = tree(&FILES);
    let first = push(&server, folder.path(), "team/runs:v1");
    let again = push(&server, folder.path(), "team/runs:v1");
    assert_eq!(again["uploaded"], 0, "{again}");
    for field in ["id", "digest", "content_manifest"] {
        assert_eq!(again[field], first[field], "{field}");
    }
    add(folder.path(), &[("one more", "file")]);
    let more = push(&server, folder.path(), "team/runs:v2");
    assert_eq!((&more["uploaded"], &more["files"]), (&1.into(), &8.into()), "{more}");
    assert_ne!(more["digest"], first["digest"]);
    assert_eq!(Repo::new(&server.client(), "team/runs").tags(), ["v1", "v2"]);
}

#[test]
fn the_same_tree_made_elsewhere_in_another_order_has_the_same_digests() {
    let (here, there) = (Server::start(), Server::start());
    let mut reversed = FILES;
    reversed.reverse();
    let (one, other) = (tree(&FILES), tree(&reversed));
    let (one, other) = (push(&here, one.path(), "a:x"), push(&there, other.path(), "b/c:y"));
    for field in ["digest", "content_manifest", "bytes"] {
        assert_eq!(one[field], other[field], "{field}");
    }
    assert_ne!(one["id"], other["id"]);
}

#[test]
fn a_pulled_package_can_be_pushed_again_as_it_is() {
    let server = Server::start();
    let folder = tree(&FILES);
    let first = push(&server, folder.path(), "a:x");
    let back = directory();
    package(&server, &["pull", "a:x", "--output", text(back.path())]).expect(0);
    // What the pull left there is not evidence.
    assert_eq!(push(&server, back.path(), "a:y")["digest"], first["digest"]);
}

#[test]
fn a_pull_goes_on_where_it_was_and_does_not_touch_other_content() {
    let server = Server::start();
    let folder = tree(&FILES);
    push(&server, folder.path(), "a:x");
    let back = tree(&[("report.json", FILES[0].1), ("extra", "mine"), ("raw/empty", "not empty")]);
    let pull = ["pull", "a:x", "-o", text(back.path()), "--json"];
    let before = contents(back.path());
    package(&server, &pull).refused(&["raw/empty exists with other content", "--force"]);
    assert!(contents(back.path()) == before, "a refused pull writes nothing");
    let pulled = package(&server, &[&pull[..], &["--force"]].concat()).expect(0).json();
    assert_eq!(pulled["downloaded"], 6, "{pulled}");
    assert_eq!(fs::read(back.path().join("extra")).unwrap(), b"mine");
    let again = package(&server, &pull).expect(0).json();
    assert_eq!(again["downloaded"], 0, "{again}");
    let extra = run(&["package", "verify", text(back.path())]).expect(1);
    assert!(extra.out.contains("extra is not in the package"), "{extra}");
}

#[test]
fn nothing_is_written_through_a_link() {
    let server = Server::start();
    let folder = tree(&FILES);
    push(&server, folder.path(), "a:x");
    let (back, outside) = (directory(), directory());
    std::os::unix::fs::symlink(outside.path(), back.path().join("raw")).unwrap();
    let pull = ["pull", "a:x", "-o", text(back.path()), "--force"];
    package(&server, &pull).refused(&["raw is not a folder but a symbolic link"]);
    assert!(contents(outside.path()).is_empty());
    fs::remove_file(back.path().join("raw")).unwrap();
    std::os::unix::fs::symlink(outside.path(), back.path().join(".artifactstore")).unwrap();
    package(&server, &pull).refused(&["symbolic link"]);
    assert!(contents(outside.path()).is_empty());
}

#[test]
fn verify_names_everything_that_is_not_as_it_was() {
    let server = Server::start();
    let folder = tree(&FILES);
    push(&server, folder.path(), "a:x");
    let back = directory();
    package(&server, &["pull", "a:x", "-o", text(back.path())]).expect(0);
    fs::write(back.path().join("report.json"), r#"{"passed":4}"#).unwrap();
    fs::write(back.path().join(".hidden"), "longer").unwrap();
    fs::remove_file(back.path().join("raw/empty")).unwrap();
    fs::remove_file(back.path().join("raw/copy.log")).unwrap();
    std::os::unix::fs::symlink("a/b/c.log", back.path().join("raw/copy.log")).unwrap();
    let verified = run(&["package", "verify", text(back.path()), "--json"]).expect(1).json();
    let problems: Vec<(&str, &str)> = verified["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| (problem["path"].as_str().unwrap(), problem["problem"].as_str().unwrap()))
        .collect();
    let expected = [
        (".hidden", "has 6 bytes"),
        ("raw/copy.log", "is a symbolic link"),
        ("raw/empty", "is missing"),
        ("report.json", "has other content"),
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (found, (path, what)) in problems.iter().zip(expected) {
        assert!(found.0 == path && found.1.starts_with(what), "{found:?}");
    }
    run(&["package", "verify", text(folder.path())]).refused(&["package.cbor", "package pull"]);
}

#[test]
fn what_makes_no_package_is_refused_before_anything_is_sent() {
    let server = Server::start();
    let folder = tree(&FILES);
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("raw/link")).unwrap();
    let push = ["push", text(folder.path()), "--to", "a:x"];
    package(&server, &push).refused(&["raw/link is a symbolic link", "--skip-special"]);
    let skipped = package(&server, &[&push[..], &["--skip-special"]].concat()).expect(0);
    assert!(skipped.err.contains("raw/link"), "{skipped}");
    let odd = tree(&[("e\u{301}", "decomposed")]);
    package(&server, &["push", text(odd.path()), "--to", "a:x"]).refused(&["normalisation form C"]);
    let empty = directory();
    package(&server, &["push", text(empty.path()), "--to", "a:x"]).refused(&["at least one file"]);
    package(&server, &["push", "/nonexistent", "--to", "a:x"]).refused(&["/nonexistent"]);
    for (arguments, word) in [
        (&["--meta", "x"][..], "KEY=VALUE"),
        (&["--meta", "a=1", "--meta", "a=2"], "twice"),
        (&["--kind", "Not A Word"], "kind"),
        (&["--provenance", "x"], "@FILE"),
    ] {
        let tree = tree(&FILES);
        let push = [&["push", text(tree.path()), "--to", "b:x"], arguments].concat();
        package(&server, &push).refused(&[word]);
    }
    let push = ["push", text(odd.path()), "--to", "b:x", "--class", "no-such-class"];
    fs::rename(odd.path().join("e\u{301}"), odd.path().join("é")).unwrap();
    package(&server, &push).refused(&["no-such-class"]);
    server.client().get("/v2/b/tags/list").expect(404);
}

#[test]
fn a_push_that_was_killed_is_completed_by_the_next() {
    let server = Server::start();
    let folder = directory();
    for n in 0..60_u64 {
        // Large ones among them go in sessions.
        let len = if n % 20 == 0 { 9_000_000 } else { 300_000 };
        fs::write(folder.path().join(format!("{n}.bin")), noise(n, len)).unwrap();
    }
    let repo = Repo::new(&server.client(), "a");
    let mut killed = command()
        .args(["package", "push", text(folder.path()), "--to", "a:x"])
        .env("ARTIFACTSTORE_SERVER", format!("http://{}", server.address()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("some blob is there", || {
        let any = (0..60).any(|n| {
            let len = if n % 20 == 0 { 9_000_000 } else { 300_000 };
            n % 20 != 0 && repo.client.head(repo.blob(&sha256(&noise(n, len)))).status == 200
        });
        any.then_some(())
    });
    killed.kill().unwrap();
    killed.wait().unwrap();
    repo.client.get(repo.manifest("x")).expect(404);
    let done = push(&server, folder.path(), "a:x");
    assert!(done["uploaded"].as_u64() < Some(60), "what was there is not sent again: {done}");
    let listed = package(&server, &["list", "a", "--json"]).expect(0).json();
    assert_eq!(listed["packages"].as_array().unwrap().len(), 1, "{listed}");
    let back = directory();
    package(&server, &["pull", "a:x", "-o", text(back.path())]).expect(0);
    run(&["package", "verify", text(back.path())]).expect(0);
}

#[test]
fn what_cannot_be_reached_or_is_no_package_is_said_in_one_sentence() {
    let server = Server::start();
    Repo::new(&server.client(), "plain").push_artifact("v1");
    let back = directory();
    let pull = |what: &str| package(&server, &["pull", what, "-o", text(back.path())]);
    pull("plain:v1").refused(&["plain:v1 is not a package but application/vnd.test"]);
    pull("plain:v2").refused(&["404"]);
    pull("plain").refused(&["no tag or digest"]);
    pull("pkg_00000000000000000000000000").refused(&["404"]);
    pull("Not/A:Name").refused(&["[host/]repository"]);
    let folder = tree(&FILES);
    let wrong = format!("a@sha256:{}", "0".repeat(64));
    package(&server, &["push", text(folder.path()), "--to", &wrong]).refused(&["make the package sha256:"]);
    let nobody = ["push", text(folder.path()), "--to", "a:x", "--server", "http://127.0.0.1:1"];
    package(&server, &nobody).refused(&["http://127.0.0.1:1 cannot be reached", "--server"]);
    package(&server, &["show", "x"]).refused(&["names no package"]);
    package(&server, &["list", "a", "--server", "ftp://x"]).refused(&["https://host"]);
}

//! Readers that go away: `artifactstore … | head -1` must not end in a panic.

use std::fs;
use std::process::Stdio;

use super::directory;
use crate::support::{Ran, Repo, Server, command, run, run_on};

/// Runs it with an output nobody reads, and with an error output that is read or not: the exit code, and what it
/// said on the error output.
fn unread(server: Option<&Server>, arguments: &[&str], reads_errors: bool) -> (Option<i32>, String) {
    let mut command = command();
    command.args(arguments).env("DOCKER_CONFIG", "/nonexistent").stdin(Stdio::null());
    if let Some(server) = server {
        command.env("ARTIFACTSTORE_SERVER", format!("http://{}", server.address()));
    }
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    command.stdout(closed());
    command.stderr(if reads_errors { Stdio::piped() } else { closed().into() });
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[track_caller]
fn ends_quietly(server: Option<&Server>, arguments: &[&str], code: i32) {
    assert_eq!(unread(server, arguments, true), (Some(code), String::new()), "{arguments:?}");
    assert_eq!(unread(server, arguments, false).0, Some(code), "{arguments:?}");
}

#[test]
fn what_is_printed_without_a_registry_may_stay_unread() {
    for arguments in [
        &["version"][..],
        &["version", "--json"],
        &["--help"],
        &["package", "--help"],
        &["config", "example"],
        &["config", "show"],
        &["config", "check", "--json"],
        &["completions", "bash"],
        &["man"],
    ] {
        ends_quietly(None, arguments, 0);
    }
    // What goes wrong is told by the code alone when nobody listens at all.
    assert_eq!(unread(None, &["package", "show", "x"], false).0, Some(2));
    assert_eq!(unread(None, &["config", "check", "--config", "/nonexistent"], false).0, Some(2));
}

#[test]
fn lists_and_answers_of_a_server_may_stay_unread() {
    let server = Server::start();
    let folder = directory();
    fs::write(folder.path().join("a.txt"), "a").unwrap();
    let path = folder.path().to_str().unwrap();
    ends_quietly(Some(&server), &["package", "push", path, "--to", "a:x"], 0);
    let package = |arguments: &[&str]| -> Ran {
        let address = format!("http://{}", server.address());
        run(&[&["package"], arguments, &["--server", &address]].concat()).expect(0)
    };
    let id = package(&["list", "a", "--json"]).json()["packages"][0]["id"].as_str().unwrap().to_owned();
    let back = directory();
    let to = back.path().to_str().unwrap();
    for arguments in [
        &["list", "a"][..],
        &["list", "a", "--json"],
        &["files", &id],
        &["files", &id, "--json"],
        &["events", &id],
        &["show", &id],
        &["show", &id, "--json"],
        &["manifest", &id],
        &["manifest", &id, "--cbor"],
        &["download", &id, "a.txt", "-o", "-"],
        &["push", path, "--to", "a:x", "--json"],
        &["pull", &id, "-o", to],
        &["verify", to],
        &["create", "--to", "a"],
    ] {
        ends_quietly(Some(&server), &[&["package"], arguments].concat(), 0);
    }
    // The status is what it would have been.
    fs::write(back.path().join("b.txt"), "b").unwrap();
    ends_quietly(None, &["package", "verify", to], 1);
    ends_quietly(None, &["package", "verify", to, "--json"], 1);
}

#[test]
fn content_and_reports_of_a_local_registry_may_stay_unread() {
    let mut server = Server::start();
    let digest = Repo::new(&server.client(), "local").push_blob(&vec![7; 3_000_000]);
    server.stop();
    let data = server.data().to_str().unwrap();
    for arguments in [
        &["stat", &digest, "--repository", "local"][..],
        &["pull", &digest, "--repository", "local", "-o", "-"],
        &["health"],
        &["verify", "--json"],
        &["replay", "--check"],
    ] {
        ends_quietly(None, &[arguments, &["--data", data, "--log-level", "error"]].concat(), 0);
    }
    // Told by its code, said once.
    let absent = format!("sha256:{}", "0".repeat(64));
    run_on(server.data(), &["stat", &absent]).expect(1);
    assert_eq!(unread(None, &["stat", &absent, "--data", data], false).0, Some(1));
}

#[test]
fn a_full_disk_is_no_reader_that_went_away() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command().arg("version").stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot write the result"), "{said}");
}

//! Rebuilding the views from the log, from its beginning and from a snapshot.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{directory, edit, filled};
use crate::support::{Launch, Ran, Repo, Server, command, run_command, run_on};

fn json(data: &Path, arguments: &[&str]) -> Value {
    let ran = run_on(data, &[arguments, &["--json"]].concat()).expect(0);
    assert_eq!(ran.err, "", "progress is not for programs");
    ran.json()
}

fn snapshots(data: &Path) -> Vec<PathBuf> {
    let folder = fs::read_dir(data.join("storage/snapshots")).unwrap();
    folder.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn an_event_type_of_a_later_release_ends_a_replay_and_is_named() {
    let server = filled();
    let database = server.data().join("registry.db");
    let unlock = "DROP TRIGGER events_are_not_changed";
    edit(&database, &[unlock, "UPDATE events SET type = 'v9.new.thing' WHERE sequence = 3"]);
    for arguments in [&["replay"][..], &["replay", "--check"]] {
        let ran = run_on(server.data(), arguments).expect(1);
        assert!(ran.out.contains("event 3") && ran.out.contains("\"v9.new.thing\""), "{ran}");
        let json = run_on(server.data(), &[arguments, &["--json"]].concat()).expect(1).json();
        assert!(json["damage"].as_str().unwrap().contains("v9.new.thing"), "{json}");
    }
    // The views are as they were.
    let mut server = server.restart();
    server.client().get("/v2/first/a/manifests/v1").expect(200);
    server.stop();
}

#[test]
fn a_replay_from_a_snapshot_leads_to_the_state_of_a_whole_one() {
    let server = filled();
    let written = json(server.data(), &["snapshot"]);
    assert_eq!(snapshots(server.data()).len(), 1);
    let mut server = server.restart();
    Repo::new(&server.client(), "first/a").push_artifact("after");
    server.stop();
    let whole = json(server.data(), &["replay"]);
    let from = json(server.data(), &["replay", "--from-snapshot"]);
    assert_eq!((&whole["from"], &from["from"]), (&0.into(), &written["sequence"]));
    assert_eq!((&whole["state"], &whole["events"]), (&from["state"], &from["events"]));
    let checked = json(server.data(), &["replay", "--check", "--from-snapshot"]);
    assert_eq!((&checked["matches"], &checked["from"]), (&true.into(), &written["sequence"]));
    let text = run_on(server.data(), &["replay", "--check", "--from-snapshot"]).expect(0).out;
    assert!(text.contains(&format!("from the snapshot at event {}", written["sequence"])), "{text}");
}

#[test]
fn a_damaged_snapshot_is_named_and_done_without() {
    let server = filled();
    run_on(server.data(), &["snapshot"]).expect(0);
    let path = snapshots(server.data()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, bytes).unwrap();
    let ran = run_on(server.data(), &["verify"]).expect(1);
    assert!(ran.out.contains("snapshot") && ran.out.contains("all intact"), "{ran}");
    let replayed = run_on(server.data(), &["replay", "--from-snapshot", "--json"]).expect(0);
    assert_eq!(replayed.json()["from"], 0);
    assert!(replayed.err.contains("passed over"), "{replayed}");
    // A new one takes its place.
    run_on(server.data(), &["snapshot"]).expect(0);
    run_on(server.data(), &["snapshot"]).expect(0);
    assert_eq!(snapshots(server.data()).len(), 2);
    run_on(server.data(), &["verify"]).expect(0);
}

#[test]
fn a_database_without_views_begins_with_the_snapshot() {
    let server = filled();
    let written = json(server.data(), &["snapshot"]);
    let state = json(server.data(), &["replay", "--check"])["live"].clone();
    let database = server.data().join("registry.db");
    edit(&database, &["DELETE FROM tags", "DELETE FROM blob_links", "UPDATE log_head SET views_version = 0"]);
    let mut server = server.restart();
    server.client().get("/v2/first/a/manifests/v1").expect(200);
    let begun = format!("from={}", written["sequence"]);
    assert!(server.log().contains(&begun), "{}", server.log());
    server.stop();
    assert_eq!(json(server.data(), &["replay", "--check"])["live"], state);
}

#[test]
fn a_copy_has_the_snapshots_too() {
    let server = filled();
    let written = json(server.data(), &["snapshot"]);
    let there = directory();
    let to = there.path().join("copy");
    let mut copy = command();
    copy.args(["copy", "--from"]).arg(server.data()).arg("--to").arg(&to);
    let ran: Ran = run_command(&mut copy);
    ran.expect(0);
    assert_eq!(json(&to, &["replay", "--check", "--from-snapshot"])["from"], written["sequence"]);
    run_on(&to, &["verify"]).expect(0);
}

#[test]
fn a_server_writes_a_snapshot_only_alone() {
    let server = Server::start();
    let ran = run_on(server.data(), &["snapshot"]).expect(2);
    assert!(ran.err.contains("another artifactstore is using"), "{ran}");
}

#[test]
fn a_check_beside_a_running_server_names_what_was_changed_in_its_views() {
    let data = directory();
    let server = Launch::on(data.path()).start();
    let client = server.client();
    let repo = Repo::new(&client, "busy");
    repo.push_artifact("v1");
    run_on(data.path(), &["replay", "--check"]).expect(0);
    edit(&data.path().join("registry.db"), &["UPDATE tags SET moved_at = moved_at + 1"]);
    std::thread::scope(|scope| {
        let checking = scope.spawn(|| {
            let ran = run_on(data.path(), &["replay", "--check"]).expect(1);
            assert!(ran.out.contains("differ") && ran.out.contains("tags: 1 rows from the log, "), "{ran}");
            let json = run_on(data.path(), &["replay", "--check", "--json"]).expect(1).json();
            assert_eq!(json["differences"], serde_json::json!(["tags"]));
        });
        let mut pushed = 0;
        while !checking.is_finished() || pushed == 0 {
            pushed += 1;
            repo.push_blob(format!("content {pushed}").as_bytes());
        }
        checking.join().unwrap();
    });
    client.get("/readyz").expect(200);
}

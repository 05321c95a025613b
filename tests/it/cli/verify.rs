//! Damage is found and named.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{edit, filled};
use crate::support::{Repo, blake3, run_on, sha256};

/// The stored file with this content.
pub(super) fn stored(root: &Path, content: &[u8]) -> PathBuf {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if fs::read(entry.path()).unwrap() == content {
                return entry.path();
            }
        }
    }
    panic!("no stored file has this content");
}

#[test]
fn a_flipped_byte_and_a_lost_object_are_found_and_named() {
    let server = filled();
    let (flipped, lost) = (vec![7; 100_000], b"content of v1");
    let path = stored(server.data(), &flipped);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut damaged = flipped.clone();
    damaged[50_000] ^= 1;
    fs::write(&path, damaged).unwrap();
    fs::remove_file(stored(server.data(), lost)).unwrap();

    let ran = run_on(server.data(), &["verify"]).expect(1);
    assert!(ran.out.contains(&blake3(&flipped)) && ran.out.contains(&blake3(lost)), "{ran}");
    assert!(ran.out.contains("2 damaged"), "{ran}");
    let faults = run_on(server.data(), &["verify", "--json"]).expect(1).json()["faults"].clone();
    let mut named: Vec<_> =
        faults.as_array().unwrap().iter().map(|fault| fault["content"].as_str().unwrap()).collect();
    named.sort_unstable();
    let mut expected = [blake3(&flipped), blake3(lost)];
    expected.sort();
    assert_eq!(named, expected);
    assert!(faults.as_array().unwrap().iter().all(|fault| !fault["reason"].as_str().unwrap().is_empty()));
    // The views are as the log says; only bytes are wrong.
    run_on(server.data(), &["replay", "--check"]).expect(0);
}

#[test]
fn an_object_cut_short_is_found() {
    let server = filled();
    let path = stored(server.data(), &vec![7; 100_000]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, vec![7; 99_999]).unwrap();
    let ran = run_on(server.data(), &["verify"]).expect(1);
    assert!(ran.out.contains(&blake3(&vec![7; 100_000])), "{ran}");
}

#[test]
fn a_changed_view_is_found_and_named_and_repaired_by_a_replay() {
    for (statement, table) in [
        ("UPDATE tags SET moved_at = moved_at + 1", "tags"),
        ("DELETE FROM blob_links WHERE repository = 'second/b'", "blob_links"),
        ("INSERT INTO repositories VALUES ('never/pushed', 1, 1)", "repositories"),
        ("UPDATE blobs SET size = size + 1", "blobs"),
    ] {
        let server = filled();
        edit(&server.data().join("registry.db"), &[statement]);
        let ran = run_on(server.data(), &["replay", "--check"]).expect(1);
        assert!(ran.out.contains(table) && ran.out.contains("differ"), "{ran}");
        let body = run_on(server.data(), &["replay", "--check", "--json"]).expect(1).json();
        assert_eq!((&body["matches"], &body["differences"]), (&false.into(), &serde_json::json!([table])));
        run_on(server.data(), &["replay"]).expect(0);
        run_on(server.data(), &["replay", "--check"]).expect(0);
    }
}

#[test]
fn lost_manifest_bytes_are_found() {
    let server = filled();
    edit(&server.data().join("registry.db"), &["DELETE FROM manifest_contents"]);
    let ran = run_on(server.data(), &["verify"]).expect(1);
    assert!(ran.out.contains("first/a@") && ran.out.contains("missing"), "{ran}");
}

#[test]
fn an_object_that_cannot_be_read_does_not_hide_the_others() {
    let server = filled();
    let linked = stored(server.data(), b"content of v1");
    fs::remove_file(&linked).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &linked).unwrap(); // never followed
    fs::remove_file(stored(server.data(), &vec![7; 100_000])).unwrap();
    let ran = run_on(server.data(), &["verify"]).expect(1);
    assert!(ran.out.contains("cannot be read") && ran.out.contains("missing"), "{ran}");
    assert!(ran.out.contains("2 damaged"), "{ran}");
}

#[test]
fn a_damaged_log_is_a_finding() {
    for (statement, words) in [
        ("DELETE FROM events WHERE sequence = 3", "event 3 is missing"),
        ("UPDATE events SET actor = 'somebody' WHERE sequence = 2", "event 2 is damaged"),
    ] {
        let server = filled();
        let unlock = "DROP TRIGGER events_are_not_changed; DROP TRIGGER events_are_not_deleted";
        edit(&server.data().join("registry.db"), &[unlock, statement]);
        let ran = run_on(server.data(), &["replay", "--check"]).expect(1);
        assert!(ran.out.contains(words), "{ran}");
        let json = run_on(server.data(), &["replay", "--check", "--json"]).expect(1).json();
        assert_eq!(json["matches"], false);
        assert!(json["damage"].as_str().unwrap().contains(words), "{json}");
    }
}

#[test]
fn pushing_it_again_heals_a_lost_object() {
    let server = filled();
    let content = vec![7; 100_000];
    fs::remove_file(stored(server.data(), &content)).unwrap();
    let mut server = server.restart();
    let client = server.client();
    let (first, second) = (Repo::new(&client, "first/a"), Repo::new(&client, "second/b"));
    let digest = sha256(&content);
    client.get(first.blob(&digest)).expect(500);
    client.get(second.blob(&digest)).expect(500);
    client.post(format!("/v2/third/c/blobs/uploads/?mount={digest}&from=first/a")).expect(202);
    second.push_blob(&content);
    for repo in [&first, &second] {
        assert_eq!(client.get(repo.blob(&digest)).expect(200).body, content);
    }
    server.stop();
    run_on(server.data(), &["verify"]).expect(0);
    run_on(server.data(), &["replay", "--check"]).expect(0);
}

#[test]
fn a_view_altered_by_hand_gives_an_error_and_not_a_dead_connection() {
    let server = filled();
    edit(&server.data().join("registry.db"), &["UPDATE tags SET digest = 'garbage'"]);
    let server = server.restart();
    let client = server.client();
    client.get("/v2/first/a/manifests/v1").expect(500);
    client.get("/v2/").expect(200);
}

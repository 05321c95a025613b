//! The scrub over HTTP: what a client meets while stored bytes are damaged. Every answer is held against the `OpenAPI`
//! document.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::packages::shaped;
use super::probes::metric;
use crate::support::{Client, Launch, Repo, Request, blake3, noise, run_on, sha256};

const SCRUB: &str = "/v2/_artifactstore/scrub";

/// The stored file of some content: its name says which.
fn stored(data: &Path, content: &[u8]) -> PathBuf {
    let hex = blake3(content)["blake3:".len()..].to_owned();
    let folder = data.join("storage/blake3").join(&hex[..2]).join(&hex[2..4]);
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.file_name().unwrap().to_string_lossy().starts_with(&hex)).unwrap()
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A pass that comes to the end of a cycle.
fn scrub(client: &Client) -> Value {
    let answer = client.post(SCRUB).expect(200);
    let run = shaped(&answer, "Scrub");
    assert_eq!(run["status"], "completed");
    assert!(answer.location().ends_with(run["run"].as_str().unwrap()));
    run
}

/// Stored bytes that are not right are no answer, whatever is asked of them.
fn is_damaged(client: &Client, request: &Request) {
    let answer = client.send(request).expect(500).with("content-type", "application/json");
    assert_eq!(answer.codes(), ["UNKNOWN"], "{answer}");
}

#[test]
fn damaged_files_are_found_refused_named_and_repaired_by_a_push() {
    let launch = Launch::new().env("ARTIFACTSTORE_SCRUB_ENABLED", "false");
    let server = launch.env("ARTIFACTSTORE_SCRUB_RATE", "1GiB").start();
    let client = server.client();
    let repo = Repo::new(&client, "evidence");
    let contents: Vec<Vec<u8>> = (0..6).map(|seed| noise(seed, 50_000)).collect();
    for content in &contents {
        repo.push_blob(content);
    }
    let key = repo.path("_artifactstore/objects/run/log.txt");
    client.send(&Request::put(&key).body(&contents[0][..])).expect(201);
    assert_eq!(scrub(&client)["damaged"], 0);

    let files: Vec<PathBuf> = contents.iter().map(|content| stored(server.data(), content)).collect();
    let mut flipped = contents[0].clone();
    flipped[25_000] ^= 1;
    overwrite(&files[0], &flipped);
    overwrite(&files[1], &contents[1][..49_999]);
    overwrite(&files[2], &contents[3]);
    overwrite(&files[3], &contents[2]);
    fs::remove_file(&files[4]).unwrap();

    let run = scrub(&client);
    assert_eq!((&run["blobs"], &run["damaged"], &run["unreadable"]), (&json!(6), &json!(5), &json!(0)));
    let state = shaped(&client.get(SCRUB).expect(200), "ScrubState");
    assert_eq!(
        (&state["corrupt"], &state["missing"], &state["current"]),
        (&json!(4), &json!(1), &Value::Null)
    );
    assert_eq!(state["last"]["run"], run["run"]);
    for (trouble, found) in [("corrupt", 4.0), ("missing", 1.0), ("unreadable", 0.0)] {
        let damaged = format!("artifactstore_damaged_copies{{trouble=\"{trouble}\"}}");
        assert_eq!(metric(&client, &damaged), Some(found), "{damaged}");
    }
    let detail = format!("{SCRUB}/runs/{}", run["run"].as_str().unwrap());
    let first = client.get(format!("{detail}?n=3")).expect(200);
    let second = client.get(first.next_page().unwrap()).expect(200);
    let mut named: Vec<String> = Vec::new();
    for page in [&first, &second] {
        let page = shaped(page, "ScrubFindings");
        named.extend(page["findings"].as_array().unwrap().iter().map(|it| it["content"].to_string()));
    }
    named.sort_unstable();
    let mut expected: Vec<String> =
        contents[..5].iter().map(|content| format!("{:?}", blake3(content))).collect();
    expected.sort_unstable();
    assert_eq!(named, expected);

    for content in &contents[..5] {
        let blob = repo.blob(&sha256(content));
        is_damaged(&client, &Request::get(&blob));
        is_damaged(&client, &Request::get(&blob).header("Range", "bytes=0-9"));
        is_damaged(&client, &Request::get(&blob).header("Range", "bytes=0-9,20-29"));
        is_damaged(&client, &Request::get(&blob).header("If-None-Match", format!("\"{}\"", sha256(content))));
        client.head(&blob).expect(404);
        let mount = format!("/v2/other/blobs/uploads/?mount={}&from=evidence", sha256(content));
        client.post(mount).expect(202);
    }
    is_damaged(&client, &Request::get(&key));
    client.head(&key).expect(500);
    client.post(format!("{key}/url?expires_in=60")).expect(500);
    assert_eq!(client.get(repo.blob(&sha256(&contents[5]))).expect(200).body, contents[5]);

    for content in &contents[..5] {
        let digest = repo.push_blob(content);
        assert_eq!(client.get(repo.blob(&digest)).expect(200).body, *content);
        client.head(repo.blob(&digest)).expect(200);
    }
    assert_eq!(client.get(&key).expect(200).body, contents[0]);
    assert_eq!(scrub(&client)["damaged"], 0);
    let state = shaped(&client.get(SCRUB).expect(200), "ScrubState");
    assert_eq!(
        (&state["corrupt"], &state["missing"], &state["findings"]),
        (&json!(0), &json!(0), &json!([]))
    );
    let replaced = shaped(&client.get(&detail).expect(200), "ScrubFindings");
    assert!(replaced["findings"].as_array().unwrap().iter().all(|it| it["state"] == "replaced"));
    for file in files.iter().take(4) {
        assert!(file.exists(), "kept aside");
    }
    let newest = client.get(format!("{SCRUB}/runs?n=2")).expect(200);
    assert_eq!(shaped(&newest, "Scrubs")["runs"].as_array().unwrap().len(), 2);
    client.get(newest.next_page().unwrap()).expect(200);
    server.run(&["verify"]).expect(0);
    server.run(&["replay", "--check"]).expect(0);
}

#[test]
fn a_killed_server_goes_on_with_its_cycle_and_so_does_the_command() {
    let launch = Launch::new().env("ARTIFACTSTORE_SCRUB_ENABLED", "false");
    let mut server = launch.env("ARTIFACTSTORE_SCRUB_PASS", "60000B").start();
    let client = server.client();
    let repo = Repo::new(&client, "evidence");
    for seed in 0..3 {
        repo.push_blob(&noise(seed, 50_000));
    }
    let first = shaped(&client.post(SCRUB).expect(200), "Scrub");
    assert_eq!((&first["status"], &first["blobs"]), (&json!("paused"), &json!(2)));
    server.kill();
    fs::remove_file(stored(server.data(), &noise(0, 50_000))).unwrap();
    fs::remove_file(stored(server.data(), &noise(1, 50_000))).unwrap();
    fs::remove_file(stored(server.data(), &noise(2, 50_000))).unwrap();
    let rest = run_on(server.data(), &["scrub", "--json"]).expect(1).json();
    assert_eq!((&rest["run"], &rest["status"]), (&first["run"], &json!("completed")));
    assert_eq!((&rest["blobs"], &rest["damaged"]), (&json!(3), &json!(1)));
    let all = run_on(server.data(), &["scrub"]).expect(1);
    assert!(all.out.contains("3 damaged (0 repaired)") && all.out.contains("is complete"), "{all}");
}

#[test]
fn what_is_no_request_for_a_scrub_is_refused() {
    let server = Launch::new().env("ARTIFACTSTORE_SCRUB_ENABLED", "false").start();
    let client = server.client();
    for body in [r#"{"dry_run":true}"#, "[]", "{"] {
        client.send(&Request::post(SCRUB).body(body)).expect(400);
    }
    for run in ["scrub_01arz3ndektsv4rrffq69g5fav", "scrub_", "gc_01arz3ndektsv4rrffq69g5fav", "%00"] {
        client.get(format!("{SCRUB}/runs/{run}")).expect(404);
    }
    client.delete(SCRUB).expect(405);
    client.post(format!("{SCRUB}/runs")).expect(405);
    client.get(format!("{SCRUB}?n=x")).expect(400);
}

#[test]
fn a_download_of_wrong_bytes_was_complete() {
    let server = Launch::new().env("ARTIFACTSTORE_SCRUB_ENABLED", "false").start();
    let client = server.client();
    let repo = Repo::new(&client, "evidence");
    for (seed, length) in [(1, 50_000), (2, 1_000_000)] {
        let content = noise(seed, length);
        let blob = repo.blob(&repo.push_blob(&content));
        let mut flipped = content.clone();
        flipped[0] ^= 1;
        overwrite(&stored(server.data(), &content), &flipped);
        if length == 50_000 {
            is_damaged(&client, &Request::get(&blob));
        } else {
            let cut = client.connect().exchange(&Request::get(&blob)).unwrap_err();
            assert_eq!(cut.kind(), std::io::ErrorKind::UnexpectedEof, "{cut}");
        }
        // It is on record by then, and nobody gets a part of it either.
        is_damaged(&client, &Request::get(&blob));
        is_damaged(&client, &Request::get(&blob).header("Range", "bytes=-10"));
        repo.push_blob(&content);
        assert_eq!(client.get(&blob).expect(200).body, content);
    }
    assert!(server.log().contains("Stored bytes of blake3:"));
}

#[test]
fn a_link_or_a_folder_in_the_place_of_an_object_failed_every_push() {
    let server = Launch::new().env("ARTIFACTSTORE_SCRUB_ENABLED", "false").start();
    let client = server.client();
    let repo = Repo::new(&client, "evidence");
    for (seed, is_folder) in [(1, false), (2, true)] {
        let content = noise(seed, 50_000);
        let digest = repo.push_blob(&content);
        let file = stored(server.data(), &content);
        fs::remove_file(&file).unwrap();
        if is_folder {
            fs::create_dir(&file).unwrap();
        } else {
            std::os::unix::fs::symlink("/dev/null", &file).unwrap();
        }
        repo.push_blob(&content);
        assert_eq!(client.get(repo.blob(&digest)).expect(200).body, content);
    }
}

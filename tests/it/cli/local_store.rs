//! Content in and out without a server.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use super::directory;
use super::verify::stored;
use crate::support::{Repo, Server, blake3, command, noise, run, run_on, sha256, sha512};

/// Everything in a folder but its folders.
fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    let mut names: Vec<_> = names.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_file_goes_in_and_comes_out_by_any_digest() {
    let directory = directory();
    let (data, input, output) =
        (directory.path().join("data"), directory.path().join("input"), directory.path().join("output"));
    let content = noise(1, 3_000_000);
    fs::write(&input, &content).unwrap();
    let digest = blake3(&content);
    assert_eq!(run_on(&data, &["push", text(&input)]).expect(0).out, format!("{digest}\n"));
    let again = run_on(&data, &["push", text(&input), "--json"]).expect(0).json();
    let about = json!({
        "digest": digest, "content_address": digest, "sha256": sha256(&content), "size": 3_000_000, "repository": "local",
    });
    assert_eq!(again, about);
    for digest in [digest, sha256(&content)] {
        let stat = run_on(&data, &["stat", &digest]).expect(0).out;
        assert_eq!(stat, format!("{}\n{}\n3000000 bytes\n", blake3(&content), sha256(&content)));
        let mut expected = about.clone();
        expected["digest"] = json!(digest);
        assert_eq!(run_on(&data, &["stat", &digest, "--json"]).expect(0).json(), expected);
        fs::write(&output, "something older and of no use").unwrap();
        expected["output"] = json!(output);
        let pulled = run_on(&data, &["pull", &digest, "--output", text(&output), "--json"]).expect(0).json();
        assert_eq!(pulled, expected);
        assert!(fs::read(&output).unwrap() == content);
    }
    // Nothing was stored twice, and nothing is left beside the output.
    let verify = run_on(&data, &["verify", "--json"]).expect(0).json();
    assert_eq!((&verify["blobs"], &verify["faults"]), (&json!(1), &json!([])));
    assert_eq!(files(directory.path()), ["input", "output"]);
    run_on(&data, &["replay", "--check"]).expect(0);
}

#[test]
fn a_dash_is_the_input_and_the_output() {
    let directory = directory();
    let mut push = command();
    push.args(["push", "-", "--data"]).arg(directory.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut push = push.spawn().unwrap();
    push.stdin.take().unwrap().write_all(b"said, not written").unwrap();
    let pushed = push.wait_with_output().unwrap();
    assert!(pushed.status.success());
    let digest = String::from_utf8(pushed.stdout).unwrap();
    assert_eq!(digest.trim_end(), blake3(b"said, not written"));
    let pulled = run_on(directory.path(), &["pull", digest.trim_end(), "--output", "-"]).expect(0);
    assert_eq!(pulled.out, "said, not written");
    // An empty input is content too.
    assert_eq!(run_on(directory.path(), &["push", "-"]).expect(0).out.trim_end(), blake3(b""));
    run_on(directory.path(), &["pull", &sha256(b""), "-o", "-", "--json"])
        .refused(&["--json", "name a file"]);
}

#[test]
fn what_is_not_there_is_a_problem_that_was_found() {
    let directory = directory();
    let output = directory.path().join("output");
    let data = directory.path().join("data");
    run_on(&data, &["push", "-"]).expect(0);
    let absent = sha512(b"never");
    for arguments in [&["stat", &absent][..], &["pull", &absent, "--output", text(&output)]] {
        let ran = run_on(&data, arguments).expect(1);
        assert!(ran.out.is_empty() && ran.err.contains("repository local does not hold sha512:"), "{ran}");
        let body = run_on(&data, &[arguments, &["--json"]].concat()).expect(1).json();
        assert_eq!(body["digest"], absent);
        assert!(body["problem"].as_str().unwrap().contains("does not hold"), "{body}");
    }
    let ran = run_on(&data, &["stat", &sha256(b""), "--repository", "other/place"]).expect(1);
    assert!(ran.err.contains("repository other/place does not hold"), "{ran}");
    assert!(!output.exists());
}

#[test]
fn damaged_content_never_becomes_the_file() {
    let directory = directory();
    let (data, output) = (directory.path().join("data"), directory.path().join("output"));
    let content = noise(2, 700_000);
    let input = directory.path().join("input");
    fs::write(&input, &content).unwrap();
    let digest = run_on(&data, &["push", text(&input)]).expect(0).out;
    let digest = digest.trim_end();
    let object = stored(&data.join("storage"), &content);
    let mut damaged = content.clone();
    damaged[699_999] ^= 1;
    fs::write(&output, "as it was").unwrap();
    for bytes in [Some(&damaged[..]), Some(&damaged[..600_000]), None] {
        fs::remove_file(&object).unwrap();
        if let Some(bytes) = bytes {
            fs::write(&object, bytes).unwrap();
        }
        let ran = run_on(&data, &["pull", digest, "--output", text(&output)]).expect(1);
        assert!(ran.err.contains(&format!("{digest} is damaged")), "{ran}");
        let body = run_on(&data, &["pull", digest, "--output", text(&output), "--json"]).expect(1).json();
        assert!(body["problem"].as_str().unwrap().contains("is damaged"), "{body}");
        assert_eq!(fs::read(&output).unwrap(), b"as it was");
    }
    assert_eq!(files(directory.path()), ["input", "output"]);
    // Pushing it again makes it whole.
    run_on(&data, &["push", text(&input)]).expect(0);
    run_on(&data, &["pull", digest, "--output", text(&output)]).expect(0);
    assert!(fs::read(&output).unwrap() == content);
}

#[test]
fn content_of_a_server_is_read_beside_it_and_not_written() {
    let server = Server::start();
    let digest = Repo::new(&server.client(), "evidence/run").push_blob(b"a log");
    let pull = ["pull", &digest, "--repository", "evidence/run", "--output", "-"];
    assert_eq!(run_on(server.data(), &pull).expect(0).out, "a log");
    run_on(server.data(), &["stat", &digest, "--repository", "evidence/run"]).expect(0);
    run_on(server.data(), &["push", "-"]).refused(&["another artifactstore is using", "--data"]);
}

#[test]
fn content_of_the_commands_is_served() {
    let mut server = Server::start();
    server.stop();
    let digest = run_on(server.data(), &["push", "-", "--repository", "evidence/run"]).expect(0).out;
    let server = server.restart();
    let repo = Repo::new(&server.client(), "evidence/run");
    repo.client.get(repo.blob(digest.trim_end())).expect(200);
    repo.client.get(repo.blob(&sha256(b""))).expect(200);
}

#[test]
fn what_cannot_run_says_why() {
    let directory = directory();
    let data = directory.path().join("data");
    let here = text(directory.path());
    run_on(&data, &["push", "/nowhere/file"]).refused(&["/nowhere/file", "No such file"]);
    run_on(&data, &["push", here]).refused(&["is a directory", "one file"]);
    assert!(!data.exists(), "nothing was made for what cannot be read");
    run_on(&data, &["stat", &sha256(b"")]).refused(&["--data"]);
    assert!(!data.exists(), "a look makes no store");
    run_on(&data, &["push", "-"]).expect(0);
    run_on(&data, &["push", "-", "--repository", "Upper"]).refused(&["--repository", "Upper"]);
    run_on(&data, &["pull", "sha256:12", "--output", "x"]).refused(&["sha256:12"]);
    run_on(&data, &["pull", &sha256(b"")]).refused(&["--output"]);
    run_on(&data, &["pull", &sha256(b""), "--output", here]).refused(&["is a directory"]);
    run_on(&data, &["pull", &sha256(b""), "--output", "/nowhere/file"]).refused(&["/nowhere/file"]);
    run(&["stat", "md5:00"]).refused(&["md5"]);
}

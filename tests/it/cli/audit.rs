//! `audit` against a real server, beside it, and on its data directory when it has stopped.

use serde_json::Value;

use super::directory;
use crate::support::{Ran, Repo, Server, command, run_command};

/// With `--server`.
fn remote(server: &Server, arguments: &[&str]) -> Ran {
    let nowhere = directory();
    let mut command = command();
    command.arg("audit").args(arguments).arg("--server").arg(format!("http://{}", server.address()));
    command.env("DOCKER_CONFIG", nowhere.path()).env_remove("XDG_RUNTIME_DIR");
    run_command(&mut command)
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// But for where it came from, which comes a moment later.
fn facts(mut entries: Vec<Value>) -> Vec<Value> {
    for entry in &mut entries {
        entry.as_object_mut().unwrap().remove("from");
    }
    entries
}

#[test]
fn the_audit_is_the_same_over_http_and_on_the_data_directory() {
    let mut server = Server::start();
    let repo = Repo::new(&server.client(), "team/results");
    repo.push_artifact("v1");
    repo.push_artifact("v2");
    Repo::new(&server.client(), "other").push_artifact("v1");
    let place = ["hold", "place", "team/results:v1", "--matter", "case 7", "--reason", "the court asked"];
    let mut hold = command();
    hold.args(place).env("ARTIFACTSTORE_SERVER", format!("http://{}", server.address()));
    run_command(&mut hold).expect(0);
    repo.client.delete(repo.manifest("v1")).expect(405);

    let there = remote(&server, &["--format", "ndjson"]).expect(0);
    let beside = server.run(&["audit", "--format", "ndjson"]).expect(0);
    let all = facts(lines(&there));
    assert!(all.len() > 8, "{there}");
    assert_eq!(facts(lines(&beside)), all);
    for filter in [
        &["--repository", "team/results"][..],
        &["--refused"],
        &["--action", "tag.move"],
        &["--repository", "team/results", "--reference", "v1"],
        &["--actor", "anonymous", "--repository", "other", "--from", "2001-01-01T00:00:00Z"],
        &["--actor", "os:somebody"],
        &["--until", "2001-01-01T00:00:00Z"],
        &["--since", "3"],
    ] {
        let asked = [filter, &["--json"]].concat();
        let there = remote(&server, &asked).expect(0).json();
        let here = server.run(&[&["audit"], &asked[..]].concat()).expect(0).json();
        let entries = |it: &Value| facts(it["entries"].as_array().unwrap().clone());
        assert_eq!(entries(&there), entries(&here), "{filter:?}");
        assert!(entries(&here).len() < all.len(), "{filter:?}");
    }
    let table = server.run(&["audit", "--refused"]).expect(0).out;
    assert!(table.contains("anonymous  tag.delete  refused  team/results  v1  "), "{table}");
    server.stop();
    let sheet = server.run(&["audit", "--format", "csv"]).expect(0).out;
    assert_eq!(sheet.split_terminator("\r\n").count(), all.len() + 1);
    assert!(sheet.contains(",http,127.0.0.1,"), "{sheet}");
}

#[test]
fn what_a_command_did_comes_from_the_command_line() {
    let mut server = Server::start();
    Repo::new(&server.client(), "a").push_artifact("v1");
    server.stop();
    let file = directory();
    let path = file.path().join("x");
    std::fs::write(&path, "x").unwrap();
    server.run(&["push", path.to_str().unwrap(), "--repository", "b"]).expect(0);
    let told = server.run(&["audit", "--repository", "b", "--json"]).expect(0).json();
    assert_eq!(told["entries"][0]["action"], "blob.push");
    assert_eq!(told["entries"][0]["from"], serde_json::json!({ "via": "cli" }));
}

#[test]
fn a_wrong_question_says_what_is_wrong_and_prints_nothing() {
    let server = Server::start();
    Repo::new(&server.client(), "a").push_artifact("v1");
    for arguments in [
        &["--action", "tag.moved"][..],
        &["--from", "yesterday"],
        &["--package", "v1"],
        &["--since", "-1"],
        &["--format", "xml"],
        &["--json", "--format", "csv"],
        &["--reference", "v1"],
        &["--repository", "nowhere"],
        &["--repository", "a", "--package", "pkg_01arz3ndektsv4rrffq69g5fav"],
        &["--since", "999999"],
    ] {
        for ran in [remote(&server, arguments), server.run(&[&["audit"], arguments].concat())] {
            let ran = ran.expect(2);
            assert!(ran.out.is_empty() && !ran.err.is_empty(), "{arguments:?}: {ran}");
        }
    }
}

//! `disposition …` against a real server, and on its data directory when it has stopped.

use std::fs;

use serde_json::Value;

use super::directory;
use crate::support::{Ran, Repo, Server, command, run_command, sha256};

fn run(server: &Server, arguments: &[&str]) -> Ran {
    let nowhere = directory();
    let mut command = command();
    command.args(arguments).env("ARTIFACTSTORE_SERVER", format!("http://{}", server.address()));
    command.env("DOCKER_CONFIG", nowhere.path()).env_remove("XDG_RUNTIME_DIR");
    run_command(&mut command)
}

/// An image under a class whose retention is over.
fn over(server: &Server, repo: &Repo, class: &str, tag: &str) {
    repo.push_artifact(tag);
    let what = format!("a:{tag}");
    let why = ["--reason", "a test"];
    run(server, &[&["retention", "extend", &what, "--class", class], &why[..]].concat()).expect(0);
    let end = ["--until", "2001-01-01T00:00:00Z", "--bypass-governance-retention"];
    run(server, &[&["retention", "shorten", &what], &end[..], &why[..]].concat()).expect(0);
}

#[test]
fn a_disposition_goes_from_its_proposal_to_its_certificate() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    over(&server, &repo, "transient", "v1");
    let disposition = |arguments: &[&str]| run(&server, &[&["disposition"], arguments].concat());
    disposition(&["propose", "a:v1"]).expect(2);
    disposition(&["propose", "a", "--reason", "x"]).refused(&["name something in a"]);
    let id = disposition(&["propose", "a:v1", "--reason", "it is over"]).expect(0).out;
    let id = id.trim();
    assert!(id.starts_with("disp_"), "{id}");
    let early = disposition(&["certificate", "a", id]).expect(2);
    assert!(early.err.contains("only one that was executed has a certificate"), "{early}");
    let shown = disposition(&["show", "a", id]).expect(0).out;
    assert!(shown.contains("status: approved") && shown.contains("reason: it is over"), "{shown}");
    let executed = disposition(&["execute", "a", id, "--json"]).expect(0).out;
    assert_eq!(executed.lines().count(), 1, "as every other client: {executed}");
    assert_eq!(serde_json::from_str::<Value>(&executed).unwrap()["status"], "executed");
    disposition(&["execute", "a", id]).refused(&["executed and over"]);
    repo.client.get(repo.manifest("v1")).expect(404);
    let listed = disposition(&["list", "a", "--status", "executed"]).expect(0).out;
    assert!(listed.lines().count() == 1 && listed.contains(id), "{listed}");
    assert_eq!(disposition(&["list", "a", "--status", "voided"]).expect(0).out, "");
    disposition(&["list", "a", "--status", "done"]).expect(2);
    let interim = disposition(&["certificate", "a", id]).expect(1).out;
    assert!(interim.starts_with("status: interim\n") && interim.contains("pending: 2 blobs"), "{interim}");
    let folder = directory();
    let file = folder.path().join("certificate.json");
    disposition(&["certificate", "a", id, "-o", file.to_str().unwrap()]).expect(1);
    let printed = disposition(&["certificate", "a", id, "--json"]).expect(1).out;
    assert_eq!(printed.trim_end().as_bytes(), fs::read(&file).unwrap());
    let document: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(document["disposition"]["id"], id);
    disposition(&["show", "a", "disp_x"]).refused(&["disp_"]);
    disposition(&["show", "a", "disp_01arz3ndektsv4rrffq69g5fav"]).refused(&["not known"]);
}

#[test]
fn what_a_client_proposed_is_approved_and_executed_on_the_data_directory() {
    let mut server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    over(&server, &repo, "raw-evidence", "v1");
    over(&server, &repo, "raw-evidence", "v2");
    let propose = |what: &str| {
        let ran =
            run(&server, &["disposition", "propose", what, "--reason", "it is over", "--json"]).expect(0);
        let proposed: Value = serde_json::from_str(&ran.out).unwrap();
        (proposed["id"].as_str().unwrap().to_owned(), proposed["revision"].as_i64().unwrap())
    };
    let (id, revision) = propose("a:v1");
    let (other, _) = propose("a:v2");
    let own = run(&server, &["disposition", "approve", "a", &id]).expect(2);
    assert!(own.err.contains("by others than the one who proposed it"), "{own}");
    run(&server, &["disposition", "approve", "a", &id, "--data", "x", "--server", "http://x"]).expect(2);
    server.stop();
    let here = |arguments: &[&str]| server.run(&[&["disposition"], arguments].concat());
    // A look with other settings is no change of policy.
    let events = || server.run(&["replay", "--check", "--json"]).expect(0).json()["events"].clone();
    let (before, settings) = (events(), [("ARTIFACTSTORE_RETENTION_DEFAULT", "transient")]);
    server.run_with(&["disposition", "show", "a", &id], &settings).expect(0);
    server.run_with(&["disposition", "list", "a"], &settings).expect(0);
    assert_eq!(events(), before);
    let stale = here(&["approve", "a", &id, "--revision", &(revision - 1).to_string()]).expect(2);
    assert!(stale.err.contains("look at it again"), "{stale}");
    let approved = here(&["approve", "a", &id, "--revision", &revision.to_string()]).expect(0).out;
    assert!(approved.contains("is approved, executable_from"), "{approved}");
    let hot = here(&["execute", "a", &id]).expect(2);
    assert!(hot.err.contains("cools off until"), "{hot}");
    let rejected = here(&["reject", "a", &other, "--reason", "we need it"]).expect(0).out;
    assert!(rejected.contains("is rejected"), "{rejected}");
    let shown = here(&["show", "a", &id, "--json"]).expect(0).json();
    let by = shown["approvals"][0]["by"].as_str().unwrap();
    assert!(by.starts_with("os:") && by.len() > 3, "{shown}");
    let listed = here(&["list", "a", "--json"]).expect(0).json();
    assert_eq!(listed["dispositions"].as_array().unwrap().len(), 2);
    let again = here(&["propose", "a:v2", "--reason", "after all"]).expect(0).out;
    assert!(again.starts_with("disp_"), "{again}");
    here(&["propose", "a:v9", "--reason", "x"]).refused(&["v9"]);
    here(&["propose", "pkg_01arz3ndektsv4rrffq69g5fav", "--reason", "x"]).refused(&["not known"]);
    here(&["certificate", "a", &id]).refused(&["is approved"]);
    here(&["certificate", "127.0.0.1:5000/a", &id]).refused(&["there is no server to name: write a"]);
    here(&["show", "b", &id]).refused(&["not known in this repository"]);
}

#[test]
fn eligible_packages_are_listed() {
    let server = Server::start();
    let folder = directory();
    fs::write(folder.path().join("x"), "one").unwrap();
    let push = ["package", "push", folder.path().to_str().unwrap(), "--to", "a:v1"];
    let id = run(&server, &push).expect(0).out.lines().next().unwrap().to_owned();
    let list = || run(&server, &["package", "list", "a", "--eligible", "--json"]).expect(0).json();
    assert_eq!(list()["packages"], Value::Array(vec![]));
    let end = ["--until", "2001-01-01T00:00:00Z", "--bypass-governance-retention", "--reason", "a test"];
    run(&server, &[&["retention", "shorten", "a:v1"], &end[..]].concat()).expect(0);
    let found = list()["packages"].clone();
    assert!(id.contains(found[0]["id"].as_str().unwrap()), "{found}");
    assert_eq!(found[0]["eligibility"]["is_eligible"], true);
    run(&server, &["package", "list", "a", "--eligible", "--after", "x"]).expect(2);
    let explained = run(&server, &["explain", "a:v1"]).expect(0).out;
    assert!(explained.contains(&sha256(b"one")) && explained.contains("stored:"), "{explained}");
}

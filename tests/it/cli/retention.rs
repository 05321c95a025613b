//! `retention`, `hold` and `explain` against a real server.

use serde_json::Value;

use super::directory;
use crate::support::{Ran, Repo, Server, command, run_command};

fn run(server: &Server, arguments: &[&str]) -> Ran {
    let nowhere = directory();
    let mut command = command();
    command.args(arguments).env("ARTIFACTSTORE_SERVER", format!("http://{}", server.address()));
    command.env("DOCKER_CONFIG", nowhere.path()).env_remove("XDG_RUNTIME_DIR");
    run_command(&mut command)
}

#[test]
fn a_hold_is_placed_listed_explained_and_released() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "team/results");
    repo.push_artifact("v1");
    let why = ["--matter", "case 7", "--reason", "the court asked"];
    let id = run(&server, &[&["hold", "place", "team/results:v1"], &why[..]].concat()).expect(0).out;
    let id = id.trim();
    assert!(id.starts_with("hold_"), "{id}");
    repo.client.delete(repo.manifest("v1")).expect(405);
    let listed = run(&server, &["hold", "list", "team/results"]).expect(0).out;
    assert!(listed.contains(id) && listed.contains("case 7"), "{listed}");
    let explained = run(&server, &["explain", "team/results:v1"]).expect(0).out;
    assert!(explained.contains(id) && explained.contains("is_deletable: false"), "{explained}");
    let on_all = run(&server, &[&["hold", "place", "team/results", "--kind", "event"], &why[..]].concat());
    assert!(on_all.expect(2).err.contains("an event hold is on one thing"));
    let whole = run(&server, &[&["hold", "place", "team/results"], &why[..]].concat()).expect(0).out;
    let release = |id: &str| run(&server, &["hold", "release", "team/results", id, "--reason", "over"]);
    release(id).expect(0);
    release(whole.trim()).expect(0);
    let twice = release(id).expect(2);
    assert!(twice.err.contains("released at"), "{twice}");
    let listed = run(&server, &["hold", "list", "team/results", "--json"]).expect(0).out;
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap()["holds"], Value::Array(vec![]));
    let listed = run(&server, &["hold", "list", "team/results", "--released"]).expect(0).out;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    repo.client.delete(repo.manifest("v1")).expect(202);
    run(&server, &["hold", "place", "team/results:v9", "--matter", "x", "--reason", "y"]).expect(2);
    run(&server, &["hold", "place", "team/results:v1", "--matter", "x"]).expect(2);
}

/// It was taken, and stood in the record of everybody who looked at it later.
#[test]
fn a_matter_that_turns_the_line_round_was_taken() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v1");
    let refused = run(&server, &["hold", "place", "a:v1", "--matter", "case\u{202e}7", "--reason", "asked"]);
    let refused = refused.expect(2);
    assert!(refused.err.contains("matter: give a text") && !refused.err.contains('\u{202e}'), "{refused}");
    let listed = run(&server, &["hold", "list", "a", "--json"]).expect(0).out;
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap()["holds"], Value::Array(vec![]));
}

#[test]
fn a_retention_is_begun_raised_and_shortened() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let (digest, _) = repo.push_artifact("v1");
    let classes = run(&server, &["retention", "classes"]).expect(0).out;
    let release = "release-evidence  compliance  P10Y  start finalized  approvals 2  cooling_off 86400  \
                   auto_dispose_after never";
    assert!(classes.contains(release), "{classes}");
    let extend =
        |to: &[&str]| run(&server, &[&["retention", "extend", "a:v1", "--reason", "audit"], to].concat());
    extend(&["--forever"]).expect(2);
    let begun = extend(&["--class", "raw-evidence"]).expect(0).out;
    assert!(begun.contains("class: raw-evidence"), "{begun}");
    extend(&["--until", "2199-01-01T00:00:00Z"]).expect(0);
    let backwards = extend(&["--until", "2198-01-01T00:00:00Z"]).expect(2);
    assert!(backwards.err.contains("only ever extended"), "{backwards}");
    let by_digest = format!("a@{digest}");
    let shown = run(&server, &["retention", "show", &by_digest, "--json"]).expect(0).out;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["retain_until"], "2199-01-01T00:00:00.000000Z");
    let shorten =
        ["retention", "shorten", "a:v1", "--until", "2001-01-01T00:00:00Z", "--reason", "a mistake"];
    run(&server, &shorten).expect(2);
    let shortened = run(&server, &[&shorten[..], &["--bypass-governance-retention"]].concat()).expect(0).out;
    assert!(shortened.contains("is_eligible: true"), "{shortened}");
    let whole = run(&server, &["retention", "show", "a"]).expect(2);
    assert!(whole.err.contains("name something in a"), "{whole}");
}

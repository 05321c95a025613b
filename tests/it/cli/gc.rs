//! `artifactstore gc`

use serde_json::json;

use super::{directory, filled};
use crate::support::{Launch, Repo, command, is_production, run_command};

/// A server that collects when it is told to, and without any grace.
fn hasty() -> Launch {
    let launch = Launch::new().env("ARTIFACTSTORE_GC_ENABLED", "false");
    launch.env("ARTIFACTSTORE_GC_GRACE", "0s").env("ARTIFACTSTORE_GC_QUARANTINE", "0s")
}

#[test]
fn a_dry_run_works_beside_a_server_and_changes_nothing() {
    let server = hasty().start();
    let repo = Repo::new(&server.client(), "heap");
    repo.push_artifact("v1");
    repo.push_blob(b"garbage");
    let state = || server.run(&["replay", "--check", "--json"]).expect(0).json()["live"]["digest"].clone();
    let before = state();
    let grace = ["gc", "--dry-run", "--json"];
    // The settings of the command count, not those of the server.
    assert_eq!(server.run(&grace).expect(0).json()["reclaimable"], json!({ "objects": 0, "bytes": 0 }));
    let plan = server.run_with(&grace, &[("ARTIFACTSTORE_GC_GRACE", "0s")]).expect(0).json();
    assert_eq!(plan["reclaimable"], json!({ "objects": 1, "bytes": 7 }));
    assert_eq!(plan["reasons"]["unused"], plan["reclaimable"]);
    let text = server.run(&["gc", "--dry-run"]).expect(0).out;
    assert!(text.ends_with("reclaimable: 0 objects, 0 bytes\n"), "{text}");
    assert_eq!(state(), before);
}

#[test]
fn a_run_beside_a_server_is_refused_unless_they_may_share() {
    let server = hasty().start();
    Repo::new(&server.client(), "heap").push_blob(b"garbage");
    let ran = server.run(&["gc"]);
    if is_production() {
        ran.expect(0);
    } else {
        ran.refused(&["another artifactstore is using", "stop it"]);
    }
}

#[test]
fn a_run_deletes_what_is_garbage_and_nothing_else() {
    let server = filled();
    let hasty = [("ARTIFACTSTORE_GC_GRACE", "0s"), ("ARTIFACTSTORE_GC_QUARANTINE", "0s")];
    let first = server.run_with(&["gc", "--json"], &hasty).expect(0).json();
    // One blob that two repositories link and nothing names.
    assert_eq!((&first["status"], &first["released"]), (&json!("completed"), &json!(2)));
    for _ in 0..2 {
        server.run_with(&["gc"], &hasty).expect(0);
    }
    let plan = server.run_with(&["gc", "--dry-run", "--json"], &hasty).expect(0).json();
    assert_eq!(plan["reclaimable"], json!({ "objects": 0, "bytes": 0 }));
    server.run(&["verify"]).expect(0);
    server.run(&["replay", "--check"]).expect(0);
}

#[test]
fn a_dry_run_where_there_is_no_registry_makes_none() {
    let directory = directory();
    let mut dry = command();
    dry.args(["gc", "--dry-run", "--data"]).arg(directory.path().join("nothing"));
    run_command(&mut dry).refused(&["--data"]);
    assert!(!directory.path().join("nothing").exists());
}

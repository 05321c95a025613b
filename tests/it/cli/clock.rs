//! `artifactstore clock`

use serde_json::json;

use super::{directory, edit};
use crate::support::{Launch, Repo, Request, Server, image};

/// A stopped registry in which something is retained.
fn retaining(launch: Launch) -> Server {
    let mut server = launch.start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_empty_config();
    let layer = repo.push_layer(b"one");
    let class = json!({ "annotations": { "dev.artifactstore.retention.class": "transient" } });
    repo.put_manifest("v1", crate::support::MANIFEST, &image(&[layer], class)).expect(201);
    server.stop();
    server
}

#[test]
fn the_clock_of_a_directory_is_shown_and_confirmed() {
    let server = retaining(Launch::new());
    let shown = server.run(&["clock", "show"]).expect(0).out;
    assert!(shown.contains("state:           running"), "{shown}");
    let before = server.run(&["clock", "show", "--json"]).expect(0).json();
    server.run(&["clock", "resync"]).refused(&["--reason"]);
    server.run(&["clock", "resync", "--reason", " "]).refused(&["reason"]);
    let set = server.run(&["clock", "resync", "--reason", "it is right", "--json"]).expect(0).json();
    assert!(set["last_tick"]["sequence"].as_i64() > before["last_tick"]["sequence"].as_i64(), "{set}");
    server.run(&["replay", "--check"]).expect(0);
}

#[test]
fn nothing_is_retained_and_there_is_no_clock() {
    let mut server = Server::start();
    server.stop();
    let shown = server.run(&["clock", "show"]).expect(0).out;
    assert_eq!(shown, "nothing was ever retained: the clock has not begun\n");
    server.run(&["clock", "resync", "--reason", "x"]).refused(&["first retention"]);
    let nowhere = directory();
    crate::support::run_on(nowhere.path(), &["clock", "resync", "--reason", "x"]).expect(2);
    assert_eq!(nowhere.path().read_dir().unwrap().count(), 0);
}

/// As after three days in which nothing ran: the record is that much older.
#[test]
fn after_a_long_stop_a_server_serves_and_disposes_of_nothing_until_somebody_confirms() {
    let server = retaining(Launch::new());
    let three_days =
        "UPDATE compliance_clock SET wall = wall - 259200000000, compliance = compliance - 259200000000";
    edit(&server.data().join("registry.db"), &[three_days]);
    let shown = server.run(&["clock", "show"]).expect(1).out;
    assert!(shown.contains("frozen") && shown.contains("clock resync"), "{shown}");
    let server = server.restart();
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v2");
    assert!(server.log().contains("Dispositions and deletions are frozen"), "{}", server.log());
    let health = repo.client.get("/readyz").expect(200).json();
    let part = health["components"].as_array().unwrap().iter().find(|part| part["name"] == "clock").unwrap();
    assert!(part["capabilities"]["state"].as_str().unwrap().starts_with("frozen: "), "{part}");
    let propose = Request::post(repo.path("_artifactstore/disposition"));
    let propose = propose.body(json!({ "reference": "v1", "reason": "over" }).to_string());
    let refused = repo.client.send(&propose).refused(409, "DENIED").json();
    assert_eq!(refused["errors"][0]["detail"]["clock"], "/v2/_artifactstore/clock");
    let address = format!("http://{}", server.address());
    server.run(&["clock", "show", "--server", &address]).expect(1);
    let resync = ["clock", "resync", "--reason", "it was off for three days", "--server", &address];
    server.run(&resync).expect(0);
    server.run(&["clock", "show", "--server", &address]).expect(0);
    // It is not over yet, and that is all that stands against it now.
    repo.client.send(&propose).refused(405, "DENIED");
}

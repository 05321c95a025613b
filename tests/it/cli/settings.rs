//! The environment (API-6): every variable does what it says, and flags win.

use std::fs;

use serde_json::Value;

use super::directory;
use crate::support::{Launch, MANIFEST, Repo, command, descriptor, image, run_command, sha256};

#[test]
fn every_variable_works() {
    let directory = directory();
    let at = |name: &str| directory.path().join(name);
    let url = format!("sqlite://{}", at("db/log.db").display());
    let launch = || {
        Launch::bare()
            .env("ARTIFACTSTORE_DATA", at("data"))
            .env("ARTIFACTSTORE_LISTEN", "127.0.0.1:0")
            .env("ARTIFACTSTORE_DATABASE_URL", &url)
            .env("ARTIFACTSTORE_STORAGE_LOCAL_ROOT", at("bytes"))
            .env("ARTIFACTSTORE_LOG_LEVEL", "debug")
            .env("ARTIFACTSTORE_ALLOW_SPARSE", "true")
    };
    let mut server = launch().start();
    let repo = Repo::new(&server.client(), "a");
    let sparse = image(&[descriptor("application/x", &sha256(b"absent"), 6)], Value::Null);
    repo.put_manifest("v1", MANIFEST, &sparse).expect(201);
    let digest = repo.push_blob(b"stored where it was told");
    assert!(server.log().contains("DEBUG"), "{}", server.log());
    server.stop();
    assert!(at("db/log.db").is_file() && at("bytes").is_dir());
    assert!(!at("data").join("storage").exists() && !at("data").join("registry.db").exists());
    for subcommand in [&["verify"][..], &["health"], &["replay", "--check"], &["replay"]] {
        let mut command = command();
        command
            .args(subcommand)
            .env("ARTIFACTSTORE_DATA", at("data"))
            .env("ARTIFACTSTORE_DATABASE_URL", &url);
        run_command(command.env("ARTIFACTSTORE_STORAGE_LOCAL_ROOT", at("bytes"))).expect(0);
    }
    let again = launch().start();
    Repo::new(&again.client(), "a").client.get(format!("/v2/a/blobs/{digest}")).expect(200);
}

#[test]
fn a_database_of_another_name_in_the_data_directory_is_found_again() {
    let directory = directory();
    let data = directory.path().join("data");
    let url = format!("sqlite://{}", data.join("log.db").display());
    for _ in 0..2 {
        let launch = Launch::on(&data).env("ARTIFACTSTORE_DATABASE_URL", &url);
        launch.env("ARTIFACTSTORE_STORAGE_LOCAL_ROOT", directory.path().join("bytes")).start().stop();
    }
}

#[test]
fn a_flag_wins_over_a_variable() {
    let directory = directory();
    let (flag, variable) = (directory.path().join("flag"), directory.path().join("variable"));
    let launch = Launch::on(&flag).env("ARTIFACTSTORE_DATA", &variable);
    launch.env("ARTIFACTSTORE_LISTEN", "192.0.2.1:1").start().stop();
    assert!(flag.join("registry.db").is_file() && !variable.exists());
}

#[test]
fn the_log_is_silent_until_it_has_something_to_say() {
    let mut server = Launch::new().env("ARTIFACTSTORE_LOG_LEVEL", "warn").start();
    server.client().get("/v2/").expect(200);
    server.client().get("/v2/nothing/here").expect(404);
    server.stop();
    assert_eq!(server.log(), "");
    assert!(fs::read_dir(server.data()).unwrap().count() > 0);
}

#[test]
fn standard_output_is_one_line() {
    let mut server = Launch::new().start();
    assert_eq!(server.stop(), "");
}

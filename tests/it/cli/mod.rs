//! The commands as a user meets them: exit codes, words, files.

mod audit;
mod beside;
mod bucket;
mod clock;
mod configuration;
mod copy;
mod dispose;
mod disposition;
mod events;
mod gc;
mod ingest;
mod local_store;
mod package;
mod pipes;
mod postgres;
mod refusals;
mod replay;
mod retention;
mod settings;
mod shell;
mod signals;
mod verify;
mod webhooks;

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Repo, Server, is_production, run, run_on};

fn directory() -> TempDir {
    TempDir::with_prefix("artifactstore-it-").unwrap()
}

/// Changes a database behind the back of the program.
fn edit(database: &Path, statements: &[&'static str]) {
    use sqlx::{ConnectOptions as _, Connection as _};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
        let mut connection = options.connect().await.unwrap();
        for statement in statements {
            sqlx::raw_sql(*statement).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    });
}

/// A stopped registry with an artifact, two further blobs and a mount in it.
fn filled() -> Server {
    let mut server = Server::start();
    let client = server.client();
    let (a, b) = (Repo::new(&client, "first/a"), Repo::new(&client, "second/b"));
    a.push_artifact("v1");
    let blob = a.push_blob(&vec![7; 100_000]);
    client.post(b.path(format!("blobs/uploads/?mount={blob}&from=first/a"))).expect(201);
    b.push_artifact("v2");
    server.stop();
    server
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [&["--help"][..], &["help"], &["serve", "--help"], &["help", "replay"], &["--version"]] {
        let ran = run(arguments).expect(0);
        assert!(!ran.out.is_empty() && ran.err.is_empty(), "{ran}");
    }
    let version = run(&["version"]).expect(0);
    assert_eq!(version.out, format!("artifactstore {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(&["version", "--json"]).expect(0).json(), json!({ "version": env!("CARGO_PKG_VERSION") }));
    for variable in [
        "CONFIG",
        "DATA",
        "LISTEN",
        "DATABASE_URL",
        "STORAGE_BACKEND",
        "STORAGE_LOCAL_ROOT",
        "STORAGE_S3_BUCKET",
        "LOG_LEVEL",
        "ALLOW_SPARSE",
    ] {
        assert!(run(&["--help"]).out.contains(&format!("ARTIFACTSTORE_{variable}")), "{variable}");
    }
    for command in ["serve", "version", "health", "migrate", "replay", "verify", "config example"] {
        assert!(run(&["--help"]).out.contains(command), "{command}");
    }
}

#[test]
fn every_command_with_output_has_it_as_json() {
    let server = filled();
    let health = server.run(&["health", "--json"]).expect(0).json();
    assert_eq!(health["status"], "ok");
    assert!(health["components"].as_array().unwrap().len() >= 2, "{health}");
    let migrate = server.run(&["migrate", "--json"]).expect(0).json();
    let events = migrate["sequence"].as_i64().unwrap();
    assert!(events > 0, "{migrate}");
    let check = server.run(&["replay", "--check", "--json"]).expect(0).json();
    assert_eq!((&check["matches"], &check["differences"]), (&json!(true), &json!([])));
    let replay = server.run(&["replay", "--json"]).expect(0).json();
    assert_eq!(replay["events"], events);
    assert_eq!(replay["state"]["digest"], check["live"]["digest"]);
    assert_eq!(check["replayed"], check["live"]);
    let verify = server.run(&["verify", "--json"]).expect(0).json();
    assert_eq!(
        (&verify["blobs"], &verify["manifests"], &verify["faults"]),
        (&json!(4), &json!(2), &json!([]))
    );
}

#[test]
fn every_command_with_output_has_it_for_people() {
    let server = filled();
    let storage_ok = if is_production() { "storage:s3: ok" } else { "storage:local: ok" };
    for (arguments, words) in [
        (&["health"][..], &["database: ok", storage_ok][..]),
        (&["migrate"], &["is up to date", "events"]),
        (&["replay", "--check"], &["replayed", "state"]),
        (&["replay"], &["replayed", "state"]),
        (&["verify"], &["4 blobs", "2 manifests", "all intact"]),
    ] {
        let ran = server.run(arguments).expect(0);
        assert!(words.iter().all(|word| ran.out.contains(word)), "{ran}");
    }
}

#[test]
fn migrate_makes_a_registry_out_of_nothing_and_nothing_out_of_one() {
    let directory = directory();
    let data = directory.path().join("new/registry");
    assert_eq!(run_on(&data, &["migrate", "--json"]).expect(0).json()["sequence"], 0);
    assert_eq!(run_on(&data, &["migrate", "--json"]).expect(0).json()["sequence"], 0);
    run_on(&data, &["health"]).expect(0);
    run_on(&data, &["verify"]).expect(0);
    run_on(&data, &["replay", "--check"]).expect(0);
}

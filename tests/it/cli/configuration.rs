//! The configuration file and the commands that look at it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::directory;
use crate::support::{Launch, Request, command, run, run_command, sha256};

fn write(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("a.toml");
    fs::write(&path, text).unwrap();
    path
}

fn config(action: &str, file: &Path) -> Command {
    let mut command = command();
    command.args(["config", action, "--config"]).arg(file);
    command
}

fn shown(command: &mut Command, key: &str) -> Value {
    let all = run_command(command.arg("--json")).expect(0).json();
    let found = all["settings"].as_array().unwrap().iter().find(|setting| setting["key"] == key);
    found.unwrap_or_else(|| panic!("no {key} in {all}")).clone()
}

#[test]
fn a_server_runs_on_what_its_file_says() {
    let directory = directory();
    let data = directory.path().join("registry");
    let text =
        format!("data = {data:?}\nlisten = \"127.0.0.1:0\"\n[limits]\nblob = \"1KiB\"\nmanifest = 2048\n");
    let file = write(directory.path(), &text);
    let mut server = Launch::bare().flag("--config").flag(file.to_str().unwrap()).start();
    assert!(data.join("registry.db").is_file() && data.join("storage").is_dir());
    let client = server.client();
    for (bytes, status) in [(vec![0; 1025], 413), (vec![0; 1024], 201)] {
        let upload = format!("/v2/a/blobs/uploads/?digest={}", sha256(&bytes));
        client.send(&Request::post(upload).body(bytes)).expect(status);
    }
    server.stop();
    let mut health = command();
    health.arg("health").env("ARTIFACTSTORE_CONFIG", &file);
    run_command(&mut health).expect(0);
}

#[test]
fn checking_says_what_is_wrong_and_starts_nothing() {
    let directory = directory();
    let data = directory.path().join("data");
    let good = write(directory.path(), &format!("data = {data:?}\n"));
    let said = run_command(&mut config("check", &good)).expect(0);
    assert!(said.out.contains("in order"), "{said}");
    assert_eq!(run_command(config("check", &good).arg("--json")).expect(0).json()["status"], "ok");
    assert!(!data.exists());
    for (text, texts) in [
        ("\nlisen = \"x\"", &["a.toml:2", "lisen", "did you mean listen?"][..]),
        ("[server.tls]\ncert = \"x\"", &["a.toml:1", "unknown section [server.tls]"]),
        ("[storage.s3]\nbucket = \"b\"", &["a.toml:2", "storage.backend is not", "\"s3\""]),
        ("storage.backend = \"s3\"", &["storage.s3.bucket", "ARTIFACTSTORE_STORAGE_S3_BUCKET", "is not set"]),
        ("data = [", &["a.toml:1"]),
        ("[server]\ndrain = \"soon\"", &["a.toml:2", "server.drain", "\"soon\"", "30s"]),
    ] {
        let file = write(directory.path(), text);
        for action in ["check", "show"] {
            run_command(&mut config(action, &file)).refused(texts);
        }
        let mut serve = command();
        serve.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&file).current_dir(directory.path());
        run_command(&mut serve).refused(texts);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "a refused start leaves nothing behind");
}

#[test]
fn showing_tells_what_holds_and_where_it_stands() {
    let directory = directory();
    let file = write(directory.path(), "log_level = \"warn\"\n[server]\ndrain = \"7s\"\n");
    let show = || {
        let mut show = config("show", &file);
        show.env("ARTIFACTSTORE_LOG_LEVEL", "debug").env("ARTIFACTSTORE_DATA", "/x").args(["--data", "/y"]);
        show
    };
    let out = run_command(&mut show()).expect(0).out;
    let path = file.display();
    for line in [
        "data = \"/y\"  # flag --data, over variable ARTIFACTSTORE_DATA\n".to_owned(),
        format!("log_level = \"debug\"  # variable ARTIFACTSTORE_LOG_LEVEL, over {path}:1\n"),
        format!("server.drain = \"7s\"  # {path}:3\n"),
        "database.url = \"sqlite:///y/registry.db\"  # default\n".to_owned(),
        "allow_sparse = false  # default\n".to_owned(),
    ] {
        assert!(out.contains(&line), "{line}{out}");
    }
    assert_eq!(
        shown(&mut show(), "log_level"),
        json!({
            "key": "log_level",
            "value": "debug",
            "source": { "kind": "variable", "name": "ARTIFACTSTORE_LOG_LEVEL" },
            "over": [{ "kind": "file", "path": file.to_str().unwrap(), "line": 1 }],
        })
    );
    assert_eq!(shown(&mut show(), "database.readers")["value"], 8);
    assert_eq!(shown(&mut show(), "storage.also")["value"], json!([]));
    assert_eq!(shown(&mut show(), "storage.s3.bucket")["value"], Value::Null);
}

#[test]
fn a_shown_configuration_can_be_used_as_one() {
    let out = run(&["config", "show"]).expect(0).out;
    let directory = directory();
    let again = run_command(&mut config("show", &write(directory.path(), &out))).expect(0).out;
    let values =
        |out: &str| out.lines().map(|line| line.split("  #").next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(values(&out), values(&again));
}

#[test]
fn nothing_shows_passwords_and_keys() {
    let directory = directory();
    let file = write(
        directory.path(),
        "[database]\nurl = \"postgres://me:hunter2@127.0.0.1:1/db?password=hunter2\"\nconnect_timeout = \"1s\"\n\
         [storage]\nbackend = \"s3\"\n[storage.s3]\nbucket = \"b\"\naccess_key_id = \"id\"\nendpoint = \"http://127.0.0.1:1\"\n\
         secret_access_key = \"hunter2\"\nsession_token = \"hunter2\"\n",
    );
    let text = run_command(&mut config("show", &file)).expect(0);
    let json = run_command(config("show", &file).arg("--json")).expect(0);
    assert!(text.out.contains("postgres://me@127.0.0.1:1/db") && text.out.contains("\"***\""), "{text}");
    let mut serve = command();
    serve.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "trace", "--config"]).arg(&file);
    let refused = run_command(&mut serve).refused(&["127.0.0.1:1"]);
    // What is refused may hold a secret too.
    let mut broken = Vec::new();
    for text in [
        "[storage.s3]\nsecret_access_key = \"hunter2",
        "[storage.s3]\nsecret_access_key = [\"hunter2\"]",
        "[storage.s3]\nsecret_access_kye = \"hunter2\"",
        "[storage.s3]\nsecret_access_key = \"hunter2\"",
        "storage.backend = \"s3\"\nstorage.s3.bucket = \"b\"\nstorage.s3.secret_access_key = \"hunter2\"",
        "storage.backend = \"s3\"\n[storage.s3]\nbucket = \"b\"\nendpoint = \"http://me:hunter2@host\"",
        "database.url = \"postgers://me:hunter2@host/db\"",
        "database.url = \"postgres://me:hunter2@host/db\" x",
    ] {
        broken.push(run_command(&mut config("check", &write(directory.path(), text))).expect(2));
    }
    for ran in [text, json, refused].into_iter().chain(broken) {
        assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"), "{ran}");
    }
}

#[test]
fn the_names_of_other_programs_choose_storage_only_with_leave() {
    let aliased = |allow: &str| {
        let mut show = command();
        show.args(["config", "show"]).env("ARTIFACT_STORAGE_BACKEND", "s3").env("AWS_S3_BUCKET", "theirs");
        show.env("ALLOW_CLOUD_DEFAULT", allow);
        show
    };
    run_command(&mut aliased("")).refused(&["ARTIFACT_STORAGE_BACKEND", "ALLOW_CLOUD_DEFAULT"]);
    assert_eq!(shown(&mut aliased("true"), "storage.backend")["value"], "s3");
    let mut ours = aliased("true");
    ours.env("ARTIFACTSTORE_STORAGE_S3_BUCKET", "ours");
    let out = run_command(&mut ours).expect(0).out;
    let line = "storage.s3.bucket = \"ours\"  # variable ARTIFACTSTORE_STORAGE_S3_BUCKET, over variable AWS_S3_BUCKET\n";
    assert!(out.contains(line), "{out}");
}

#[test]
fn the_example_is_the_checked_in_file_and_changes_nothing() {
    let example = run(&["config", "example"]).expect(0).out;
    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/artifactstore.example.toml");
    assert_eq!(example, fs::read_to_string(checked_in).unwrap());
    let directory = directory();
    let file = write(directory.path(), &example);
    let with = run_command(&mut config("show", &file)).expect(0).out;
    assert_eq!(with, run(&["config", "show"]).expect(0).out);
}

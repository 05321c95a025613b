//! The commands on storage, and on a bucket that cannot be used.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{directory, filled};
use crate::support::{command, run_command, run_on};

/// A command on the S3 server of a variable, with a bucket nobody made.
fn on(variable: &str, data: &Path, arguments: &[&str]) -> Command {
    let url = std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set; start the services with `eval \"$(tests/services up DIR)\"`")
    });
    let (key, place) = url.strip_prefix("http://").unwrap().split_once('@').unwrap();
    let (id, secret) = key.split_once(':').unwrap();
    let mut command = command();
    command.args(arguments).arg("--data").arg(data);
    for (name, value) in [
        ("BACKEND", "s3"),
        ("S3_BUCKET", "nobody-made-this"),
        ("S3_ENDPOINT", &format!("http://{place}")),
        ("S3_PATH_STYLE", "true"),
        ("S3_ACCESS_KEY_ID", id),
        ("S3_SECRET_ACCESS_KEY", secret),
        ("S3_ATTEMPTS", "1"),
    ] {
        command.env(format!("ARTIFACTSTORE_STORAGE_{name}"), value);
    }
    command
}

#[test]
fn a_bucket_that_cannot_be_used_stops_the_start_with_a_sentence() {
    let directory = directory();
    for server in ["ARTIFACTSTORE_TEST_S3_RGW", "ARTIFACTSTORE_TEST_S3_VERSITY"] {
        for (name, value, texts) in [
            ("ATTEMPTS", "2", &["no bucket nobody-made-this", "create it"][..]),
            ("SECRET_ACCESS_KEY", "hunter2", &["credentials", "storage.s3.secret_access_key"]),
            (
                "ENDPOINT",
                "http://127.0.0.1:1",
                &["http://127.0.0.1:1 cannot be reached", "storage.s3.endpoint"],
            ),
        ] {
            for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["storage", "probe"]] {
                let mut command = on(server, directory.path(), arguments);
                let ran = run_command(command.env(format!("ARTIFACTSTORE_STORAGE_S3_{name}"), value));
                let refused = ran.refused(texts);
                assert_eq!(refused.err.trim_end().lines().count(), 1, "{refused}");
                assert!(!refused.err.contains("hunter2"), "{refused}");
            }
        }
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "a refused start leaves nothing behind");
}

#[test]
fn storage_is_tried_and_says_what_it_can_do() {
    let server = filled();
    let tried = run_on(server.data(), &["storage", "probe"]).expect(0);
    assert!(tried.out.starts_with("storage:local\n") && tried.out.contains(": yes"), "{tried}");
    let json = run_on(server.data(), &["storage", "probe", "--json"]).expect(0).json();
    assert_eq!(json["storage"][0]["id"], "local");
    let all = json["storage"][0]["capabilities"].as_array().unwrap();
    assert!(!all.is_empty() && all.iter().all(|can| can["supported"] == true), "{json}");
    run_on(directory().path(), &["storage", "probe"]).refused(&["there is no storage at"]);
}

//! The commands on storage, and on a bucket that cannot be used.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{directory, filled};
use crate::support::{Engine, Launch, Repo, command, run_command, run_on};

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

#[test]
fn a_bucket_is_tried_and_says_what_it_can_do() {
    let (engine, here) = (Engine::create(), directory());
    let probe = |more: &[&str]| {
        let mut command = command();
        command.args(["storage", "probe", "--data"]).arg(here.path()).args(more).envs(engine.settings());
        run_command(&mut command).expect(0)
    };
    let json = probe(&["--json"]).json();
    assert_eq!(json["storage"][0]["id"], "s3");
    let all = json["storage"][0]["capabilities"].as_array().unwrap();
    for needed in ["put", "get", "range", "list", "delete", "multipart", "abort"] {
        let can = all.iter().find(|can| can["name"] == needed).unwrap_or_else(|| panic!("{needed}: {json}"));
        assert_eq!((&can["supported"], &can["needed"]), (&true.into(), &true.into()), "{json}");
    }
    let text = probe(&[]).out;
    assert!(text.starts_with("storage:s3\n") && text.contains("versioning: no, not needed"), "{text}");

    // A server shows the same.
    let launch =
        engine.settings().into_iter().fold(Launch::on(here.path()), |l, (name, value)| l.env(name, value));
    let mut server = launch.start();
    let ready = server.client().get("/readyz").expect(200).json();
    let storage = ready["components"].as_array().unwrap().iter().find(|part| part["name"] == "storage:s3");
    let multipart = storage.unwrap()["capabilities"]["multipart"].as_str().unwrap();
    assert!(multipart.starts_with("yes"), "{ready}");
    assert!(!ready.to_string().contains(&Engine::secret()), "{ready}");
    server.stop();
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0, "nothing lives in the data directory");
}

#[test]
fn a_restart_with_another_place_in_the_bucket_began_a_second_half_of_the_registry() {
    let (engine, other, here) = (Engine::create(), Engine::create(), directory());
    let on = |more: &[(&'static str, String)]| {
        let settings = engine.settings().into_iter().chain(more.iter().cloned());
        settings.fold(Launch::on(here.path()), |launch, (name, value)| launch.env(name, value))
    };
    on(&[]).start().stop();
    let bucket = other.settings().into_iter().find(|(name, _)| name.ends_with("S3_BUCKET")).unwrap();
    let mistyped = [vec![bucket], vec![("ARTIFACTSTORE_STORAGE_S3_PREFIX", "registy/".to_owned())]];
    for filled in [false, true] {
        for settings in &mistyped {
            let words = ["the objects of this registry are in place", "a new one", "storage.s3.prefix"];
            run_command(&mut on(settings).command()).refused(&words);
        }
        if !filled {
            let mut server = on(&[]).start();
            Repo::new(&server.client(), "a").push_artifact("v1");
            server.stop();
        }
    }
    assert_eq!(other.versions(), [], "what is refused is not claimed");
    // A release without places wrote the marker and remembered nothing.
    let marker = engine.get(".registry");
    engine.put(".registry", [marker.lines().next().unwrap(), "\n"].concat().into_bytes());
    run_command(&mut on(&[]).command()).refused(&["whose marker names no place"]);
    engine.put(".registry", marker.into_bytes());
    on(&[]).start().stop();
}

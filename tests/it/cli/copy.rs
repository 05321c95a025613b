//! Moving a registry to other engines.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{directory, edit};
use crate::support::{Engine, Launch, Ran, Repo, Server, blake3, command, noise, run_command, until};

/// `copy` to a database and a bucket of their own.
fn copy(from: &Path, to: &Path, engine: &Engine) -> Ran {
    let mut command = command();
    command.args(["copy", "--json", "--from"]).arg(from).arg("--to").arg(to).envs(settings(engine));
    run_command(&mut command)
}

fn settings(engine: &Engine) -> Vec<(String, OsString)> {
    let engine = engine.settings().into_iter().map(|(name, value)| (name.to_owned(), value.into()));
    engine.chain([("ARTIFACTSTORE_STORAGE_ALSO".to_owned(), "local".into())]).collect()
}

fn on(engine: &Engine, directory: &Path) -> Launch {
    settings(engine).into_iter().fold(Launch::on(directory), |launch, (name, value)| launch.env(&name, value))
}

fn refused_to_serve(engine: &Engine, directory: &Path, words: &[&str]) {
    let mut serve: Command = on(engine, directory).command();
    run_command(&mut serve).refused(words);
}

#[test]
fn a_registry_moves_to_postgres_and_a_bucket_while_it_is_used() {
    let (here, there) = (directory(), directory());
    let mut original = Launch::on(here.path()).start();
    let a = Repo::new(&original.client(), "team/a");
    let first = a.push_artifact("v1");
    let large = noise(7, 9 * 1024 * 1024);
    let large_digest = a.push_blob(&large);
    let engine = Engine::create();

    // In use: what is there goes over, and the copy stays closed.
    let early = copy(here.path(), there.path(), &engine).expect(1).json();
    assert_eq!(early["status"], "closed", "{early}");
    assert_eq!(early["sent"], early["objects"]);
    refused_to_serve(&engine, there.path(), &["not finished", "artifactstore copy"]);
    Repo::new(&original.client(), "team/b").push_artifact("v2");
    original.stop();

    // At rest: only what is new goes over.
    let done = copy(here.path(), there.path(), &engine).expect(0).json();
    assert_eq!(done["status"], "whole", "{done}");
    assert!(done["sent"].as_u64() < done["objects"].as_u64(), "{done}");
    let again = copy(here.path(), there.path(), &engine).expect(0).json();
    assert_eq!((&again["sent"], &again["log"], &again["state"]), (&0.into(), &done["log"], &done["state"]));

    let mut copied = on(&engine, there.path()).start();
    let client = copied.client();
    let a = Repo::new(&client, "team/a");
    assert_eq!(client.get(a.manifest("v1")).expect(200).body, first.1);
    assert!(client.get(a.blob(&large_digest)).expect(200).body == large);
    assert_eq!(Repo::new(&client, "team/b").tags(), ["v2"]);
    for arguments in [&["verify"][..], &["replay", "--check"]] {
        let mut look = command();
        look.args(arguments).arg("--data").arg(there.path()).envs(settings(&engine));
        run_command(&mut look).expect(0);
    }

    // Each goes on by itself: no further copy brings them together.
    a.push_artifact("v3");
    copied.stop();
    let grown = copy(here.path(), there.path(), &engine);
    grown.refused(&["two histories"]);
}

#[test]
fn a_copy_stops_at_a_damaged_object_and_goes_on_when_that_was_mended() {
    let (here, there) = (directory(), directory());
    let mut original = Launch::on(here.path()).start();
    let repo = Repo::new(&original.client(), "a");
    repo.push_artifact("v1");
    for seed in 0..6 {
        repo.push_blob(&noise(seed, 200_000));
    }
    original.stop();
    // An object that is not what it was stops the copy, which names it; mended, the copy goes on.
    let victim = noise(3, 200_000);
    let hex = blake3(&victim).replace("blake3:", "");
    let folder = here.path().join("storage/blake3").join(&hex[..2]).join(&hex[2..4]);
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut damaged = victim.clone();
    damaged[100] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    let embedded = |data: &Path| {
        let mut command = command();
        command.args(["copy", "--json", "--from"]).arg(here.path()).arg("--to").arg(data);
        run_command(&mut command)
    };
    embedded(there.path()).refused(&[&hex]);
    std::fs::write(&file, &victim).unwrap();
    let done = embedded(there.path()).expect(0).json();
    assert!(done["sent"].as_u64() > Some(0), "{done}");
    let server: Server = Launch::on(there.path()).start();
    let copied = Repo::new(&server.client(), "a");
    assert_eq!(copied.tags(), ["v1"]);
    assert!(server.client().get(copied.blob(&blake3(&victim))).expect(200).body == victim);
}

#[test]
fn an_object_damaged_in_a_copy_that_is_not_finished_is_sent_again() {
    let (here, there) = (directory(), directory());
    let mut original = Launch::on(here.path()).start();
    let repo = Repo::new(&original.client(), "a");
    let blob = repo.push_blob(&noise(1, 200_000));
    let copy = || {
        let mut command = command();
        command.args(["copy", "--json", "--from"]).arg(here.path()).arg("--to").arg(there.path());
        run_command(&mut command)
    };
    assert_eq!(copy().expect(1).json()["status"], "closed");
    original.stop();
    let hex = blake3(&noise(1, 200_000)).replace("blake3:", "");
    let folder = there.path().join("storage/blake3").join(&hex[..2]).join(&hex[2..4]);
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut permissions = std::fs::metadata(&file).unwrap().permissions();
    permissions.set_mode(0o600);
    std::fs::set_permissions(&file, permissions).unwrap();
    std::fs::write(&file, noise(2, 200_000)).unwrap();
    let damaged = copy().expect(1).json();
    assert_eq!(damaged["status"], "damaged", "{damaged}");
    assert_eq!(damaged["faults"].as_array().map(Vec::len), Some(1), "{damaged}");
    let whole = copy().expect(0).json();
    assert_eq!((&whole["status"], &whole["sent"]), (&"whole".into(), &1.into()), "{whole}");
    let server: Server = Launch::on(there.path()).start();
    let copied = Repo::new(&server.client(), "a");
    assert!(server.client().get(copied.blob(&blob)).expect(200).body == noise(1, 200_000));
}

/// Folders come first, and one without an object is nothing that could be sent twice.
fn has_file(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.is_file() || has_file(&path))
}

#[test]
fn a_copy_that_was_killed_is_taken_up_again() {
    let (here, there) = (directory(), directory());
    let mut original = Launch::on(here.path()).start();
    let repo = Repo::new(&original.client(), "a");
    let blobs: Vec<_> = (0..40).map(|seed| repo.push_blob(&noise(seed, 1_000_000))).collect();
    repo.push_artifact("v1");
    original.stop();
    let copy = || {
        let mut command = command();
        command.args(["copy", "--json", "--from"]).arg(here.path()).arg("--to").arg(there.path());
        command
    };
    let mut killed = copy().stdout(std::process::Stdio::null()).spawn().unwrap();
    let objects = there.path().join("storage/blake3");
    until("the first object of the copy", || has_file(&objects).then_some(()));
    killed.kill().unwrap();
    killed.wait().unwrap();
    run_command(Launch::on(there.path()).command().stdin(std::process::Stdio::null()))
        .refused(&["not finished"]);
    let done = run_command(&mut copy()).expect(0).json();
    assert_eq!(done["status"], "whole", "{done}");
    assert!(done["sent"].as_u64() < done["objects"].as_u64(), "what was there is not sent again: {done}");
    let server = Launch::on(there.path()).start();
    for blob in blobs {
        server.client().head(Repo::new(&server.client(), "a").blob(&blob)).expect(200);
    }
}

#[test]
fn a_copy_to_itself_or_onto_another_registry_is_refused() {
    let (here, there) = (directory(), directory());
    for directory in [&here, &there] {
        let mut server = Launch::on(directory.path()).start();
        Repo::new(&server.client(), "a").push_artifact("v1");
        server.stop();
    }
    let copy = |to: &Path| {
        let mut command = command();
        command.args(["copy", "--from"]).arg(here.path()).arg("--to").arg(to);
        run_command(&mut command)
    };
    copy(here.path()).refused(&["place of its own"]);
    copy(there.path()).refused(&["holds log"]);
    Launch::on(there.path()).start().stop();
    let mut nothing = command();
    nothing.args(["copy", "--from", "/nonexistent", "--to"]).arg(there.path());
    run_command(&mut nothing).refused(&["/nonexistent"]);
}

/// Every file below a folder with its bytes, in order, but for locks.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != ".lock") {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[test]
fn a_copy_onto_the_folder_of_its_original_removed_the_damaged_objects_of_both() {
    let (here, there) = (directory(), directory());
    let mut original = Launch::on(here.path()).start();
    let repo = Repo::new(&original.client(), "a");
    repo.push_artifact("v1");
    repo.push_blob(&noise(1, 200_000));
    original.stop();
    let storage = here.path().join("storage");
    let hex = blake3(&noise(1, 200_000)).replace("blake3:", "");
    let damaged = std::fs::read_dir(storage.join("blake3").join(&hex[..2]).join(&hex[2..4])).unwrap();
    let damaged = damaged.last().unwrap().unwrap().path();
    std::fs::remove_file(&damaged).unwrap();
    std::fs::write(&damaged, noise(2, 200_000)).unwrap();
    let link = there.path().join("link");
    std::os::unix::fs::symlink(&storage, &link).unwrap();
    let before = files(&storage);
    let spelled = here.path().join("./storage/../storage");
    let engine = Engine::create();
    let (_, url) = engine.settings().into_iter().find(|(name, _)| name.ends_with("DATABASE_URL")).unwrap();
    let onto = |root: &Path, url: Option<&str>| {
        let mut command = command();
        command.args(["copy", "--from"]).arg(here.path()).arg("--to").arg(there.path().join("data"));
        command.env("ARTIFACTSTORE_STORAGE_LOCAL_ROOT", root);
        if let Some(url) = url {
            command.env("ARTIFACTSTORE_DATABASE_URL", url);
        }
        run_command(&mut command).refused(&["both sides store in place", "of its own"]);
        assert!(files(&storage) == before, "nothing of the original is touched");
    };
    for root in [&link, &spelled] {
        onto(root, Some(&url));
        onto(root, None);
    }
    // An unfinished copy whose storage setting was changed since.
    let copy = |root: Option<&Path>| {
        let mut command = command();
        command.args(["copy", "--from"]).arg(here.path()).arg("--to").arg(there.path().join("data"));
        run_command(command.envs(root.map(|root| ("ARTIFACTSTORE_STORAGE_LOCAL_ROOT", root))))
    };
    copy(None).refused(&[&hex]);
    copy(Some(&link)).refused(&["both sides store in place"]);
    let other = directory();
    copy(Some(other.path())).refused(&["the objects of this registry are in place", "a new one"]);
    assert!(files(&storage) == before);
    std::fs::remove_file(&damaged).unwrap();
    std::fs::write(&damaged, noise(1, 200_000)).unwrap();
    copy(None).expect(0);
}

/// The settings of an engine as a configuration file, for a side that the environment says nothing about.
fn file(engine: &Engine, directory: &Path) -> PathBuf {
    let settings = engine.settings();
    let of = |name: &str| &settings.iter().find(|(known, _)| known.ends_with(name)).unwrap().1;
    let text = format!(
        "data = \"{}\"\n[database]\nurl = {:?}\n[storage]\nbackend = \"s3\"\n[storage.s3]\nbucket = {:?}\n\
         endpoint = {:?}\nregion = \"us-east-1\"\npath_style = true\naccess_key_id = {:?}\n\
         secret_access_key = {:?}\n",
        directory.display(),
        of("DATABASE_URL"),
        of("S3_BUCKET"),
        of("S3_ENDPOINT"),
        of("ACCESS_KEY_ID"),
        of("SECRET_ACCESS_KEY")
    );
    let file = directory.join("original.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

#[test]
fn a_copy_onto_the_bucket_of_its_original_by_other_settings_is_refused() {
    let (here, there) = (directory(), directory());
    let (engine, other) = (Engine::create(), Engine::create());
    let file = file(&engine, here.path());
    let mut original = Launch::bare().flag("--config").flag(file.to_str().unwrap());
    original = original.flag("--listen").flag("127.0.0.1:0");
    let mut server = original.clone().start();
    Repo::new(&server.client(), "a").push_artifact("v1");
    server.stop();
    let objects = engine.versions();
    let onto = |more: &[(&str, String)]| {
        let mut command = command();
        command.args(["copy", "--at-rest", "--from"]).arg(&file).arg("--to").arg(there.path());
        run_command(command.envs(other.settings()).envs(more.iter().cloned()))
    };
    let bucket = engine.settings().into_iter().find(|(name, _)| name.ends_with("S3_BUCKET")).unwrap();
    let attempts = ("ARTIFACTSTORE_STORAGE_S3_ATTEMPTS", "2".to_owned());
    onto(&[bucket.clone(), attempts.clone()]).refused(&["both sides store in place"]);
    // Beside the objects of the original, in its bucket, is a place of its own. But not for its database.
    let url = engine.settings().into_iter().find(|(name, _)| name.ends_with("DATABASE_URL")).unwrap();
    let same = (url.0, format!("{}?application_name=again", url.1));
    onto(&[same]).refused(&["the objects of this registry are in place"]);
    assert_eq!(engine.versions(), objects);
    let prefix = ("ARTIFACTSTORE_STORAGE_S3_PREFIX", "copy/".to_owned());
    let done = onto(&[bucket, attempts, prefix]).expect(0);
    assert!(done.out.contains("equal byte for byte"), "{done}");
    original.start().stop();
}

#[test]
fn what_is_damaged_in_a_copy_from_one_versioned_bucket_to_another_is_sent_again() {
    let (here, there) = (directory(), directory());
    let (engine, other) = (Engine::create(), Engine::create());
    engine.keep_versions();
    other.keep_versions();
    let file = file(&engine, here.path());
    let mut server = Launch::bare().flag("--config").flag(file.to_str().unwrap());
    server = server.flag("--listen").flag("127.0.0.1:0");
    let mut original = server.start();
    let repo = Repo::new(&original.client(), "a");
    repo.push_artifact("v1");
    let blob = repo.push_blob(&noise(1, 200_000));
    original.stop();
    let copy = |at_rest: &[&str]| {
        let mut command = command();
        command.args(["copy", "--json", "--from"]).arg(&file).arg("--to").arg(there.path()).args(at_rest);
        run_command(command.envs(other.settings()))
    };
    assert_eq!(copy(&[]).expect(1).json()["status"], "closed");
    let hex = blake3(&noise(1, 200_000)).replace("blake3:", "");
    let key = other.versions().into_iter().map(|(key, _)| key).find(|key| key.contains(&hex)).unwrap();
    other.put(&key, noise(2, 200_000));
    let before = engine.versions();
    let damaged = copy(&["--at-rest"]).expect(1).json();
    assert_eq!(damaged["faults"].as_array().map(Vec::len), Some(1), "{damaged}");
    let whole = copy(&["--at-rest"]).expect(0).json();
    assert_eq!((&whole["status"], &whole["sent"]), (&"whole".into(), &1.into()), "{whole}");
    assert_eq!(engine.versions(), before, "the original has all its versions");
    let launch =
        other.settings().into_iter().fold(Launch::on(there.path()), |l, (name, value)| l.env(name, value));
    let at_work = launch.start();
    let copied = Repo::new(&at_work.client(), "a");
    assert!(at_work.client().get(copied.blob(&blob)).expect(200).body == noise(1, 200_000));
}

#[test]
fn the_bytes_of_a_manifest_damaged_in_a_copy_are_mended() {
    let (here, there) = (directory(), directory());
    let mut original = Launch::on(here.path()).start();
    let pushed = Repo::new(&original.client(), "a").push_artifact("v1");
    let copy = || {
        let mut command = command();
        command.args(["copy", "--json", "--from"]).arg(here.path()).arg("--to").arg(there.path());
        run_command(&mut command)
    };
    assert_eq!(copy().expect(1).json()["status"], "closed");
    original.stop();
    edit(&there.path().join("registry.db"), &["UPDATE manifest_contents SET bytes = x'00'"]);
    let whole = copy().expect(0).json();
    assert_eq!(whole["status"], "whole", "{whole}");
    let server: Server = Launch::on(there.path()).start();
    let copied = Repo::new(&server.client(), "a");
    assert_eq!(server.client().get(copied.manifest("v1")).expect(200).body, pushed.1);
}

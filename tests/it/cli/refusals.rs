//! What cannot run says why, in a sentence, and ends with 2.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt as _;

use super::{directory, edit, filled};
use crate::support::{Launch, Repo, Request, Server, command, run, run_command, run_on};

#[test]
fn a_command_line_that_means_nothing_is_refused_with_a_hint() {
    for (arguments, texts) in [
        (&["serve", "--lisen", "127.0.0.1:0"][..], &["--lisen", "--listen"][..]),
        (&["verfy"], &["verfy", "verify"]),
        (&["serve", "--listen", "localhost"], &["localhost", "--listen"]),
        (&["serve", "--listen", "127.0.0.1:99999"], &["127.0.0.1:99999"]),
        (&["serve", "--log-level", "verbose"], &["--log-level", "verbose", "info"]),
        (&["serve", "--data", ""], &["--data", "path"]),
        (&["serve", "--config", "/nowhere/a.toml"], &["/nowhere/a.toml", "No such file"]),
        (&["config"], &["Usage", "show"]),
        (&["config", "shwo"], &["shwo", "show"]),
        (&["serve", "extra"], &["extra"]),
        (&["replay", "--check=maybe"], &["--check"]),
        (&["verify", "--data"], &["--data"]),
        (&[], &["Usage", "serve"]),
    ] {
        run(arguments).refused(texts);
    }
}

#[test]
fn a_variable_that_means_nothing_is_refused_with_a_hint() {
    let directory = directory();
    for (name, value, texts) in [
        (
            "ARTIFACTSTORE_LISTN",
            "127.0.0.1:0",
            &["ARTIFACTSTORE_LISTN", "did you mean ARTIFACTSTORE_LISTEN"][..],
        ),
        ("ARTIFACTSTORE_COLOUR", "blue", &["ARTIFACTSTORE_COLOUR", "config example"]),
        ("ARTIFACTSTORE_LISTEN", "5000", &["ARTIFACTSTORE_LISTEN", "\"5000\"", "127.0.0.1:5000"]),
        ("ARTIFACTSTORE_DATABASE_URL", "/var/lib/x.db", &["ARTIFACTSTORE_DATABASE_URL", "sqlite://"]),
        ("ARTIFACTSTORE_DATABASE_URL", "sqlite://", &["ARTIFACTSTORE_DATABASE_URL", "sqlite://"]),
        ("ARTIFACTSTORE_LOG_LEVEL", "verbose", &["ARTIFACTSTORE_LOG_LEVEL", "verbose", "info"]),
        ("ARTIFACTSTORE_LOG_LEVEL", "info,=x=", &["ARTIFACTSTORE_LOG_LEVEL", "info"]),
        ("ARTIFACTSTORE_ALLOW_SPARSE", "yes", &["ARTIFACTSTORE_ALLOW_SPARSE", "true or false"]),
    ] {
        let mut serve = command();
        serve.args(["serve", "--data"]).arg(directory.path()).env(name, value);
        if name != "ARTIFACTSTORE_LISTEN" {
            serve.args(["--listen", "127.0.0.1:0"]);
        }
        run_command(&mut serve).refused(texts);
    }
    let mut serve = command();
    serve.args(["serve", "--listen", "127.0.0.1:0"]);
    serve.env("ARTIFACTSTORE_DATA", OsStr::from_bytes(b"\xff/data")).current_dir(directory.path());
    run_command(&mut serve).refused(&["ARTIFACTSTORE_DATA", "UTF-8"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "a refused start leaves nothing behind");
}

#[test]
fn an_address_that_others_reach_needs_a_word() {
    let directory = directory();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:5000"] {
        let refused = run_on(directory.path(), &["serve", "--listen", address]);
        refused.refused(&[address, "--insecure-listen", "127.0.0.1"]);
    }
    let open = Launch::bare().flag("--listen").flag("0.0.0.0:0").flag("--insecure-listen");
    let mut server = open.env("ARTIFACTSTORE_DATA", directory.path()).start();
    assert!(server.address().ip().is_unspecified());
    server.stop();
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = directory();
    run_on(directory.path(), &["serve", "--listen", &address]).refused(&["cannot listen", &address]);
}

#[test]
fn a_directory_of_another_program_is_left_alone() {
    let directory = directory();
    fs::write(directory.path().join("letters.txt"), "mine").unwrap();
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"], &["replay"]] {
        run_on(directory.path(), arguments).refused(&["letters.txt", "another program", "--data"]);
    }
    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["letters.txt"]);
}

#[test]
fn a_file_where_the_directory_should_be_is_named() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, "mine").unwrap();
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["health"], &["verify"]] {
        run_on(&file, arguments).refused(&[file.to_str().unwrap()]);
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_directory_without_a_registry_cannot_be_looked_at() {
    let directory = directory();
    for arguments in [&["health"][..], &["verify"], &["replay", "--check"]] {
        run_on(directory.path(), arguments).refused(&["no database", "registry.db", "--data"]);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "looking makes nothing");
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let server = filled();
    let database = server.data().join("registry.db");
    let text = "no database at all, but long enough to be looked at as one. ".repeat(100);
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(server.data().join(format!("registry.db{suffix}")));
    }
    fs::write(&database, &text).unwrap();
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["health"], &["replay", "--check"]] {
        run_on(server.data(), arguments).refused(&["registry.db", "not an artifactstore database"]);
    }
    assert_eq!(fs::read_to_string(&database).unwrap(), text);
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let directory = directory();
    let database = directory.path().join("registry.db");
    fs::write(&database, "").unwrap();
    edit(&database, &["CREATE TABLE letters (text TEXT)", "INSERT INTO letters VALUES ('mine')"]);
    let before = fs::read(&database).unwrap();
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"], &["health"]] {
        run_on(directory.path(), arguments).refused(&["registry.db", "not an artifactstore database"]);
    }
    assert_eq!(fs::read(&database).unwrap(), before);
}

#[test]
fn a_database_of_a_newer_program_is_left_alone() {
    let server = filled();
    let newer = "INSERT INTO _sqlx_migrations \
        (version, description, installed_on, success, checksum, execution_time) \
        VALUES (9000, 'future', CURRENT_TIMESTAMP, 1, x'00', 0)";
    edit(&server.data().join("registry.db"), &[newer]);
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["migrate"],
        &["replay"],
        &["replay", "--check"],
        &["health"],
        &["verify"],
    ] {
        run_on(server.data(), arguments).refused(&["registry.db", "9000", "newer"]);
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure_and_no_panic() {
    let server = filled();
    for arguments in [&["version"][..], &["verify", "--json"], &["health"]] {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "\"$0\" \"$@\" >/dev/full"]).arg(command().get_program()).args(arguments);
        for (name, _) in command().get_envs() {
            shell.env_remove(name);
        }
        if arguments[0] != "version" {
            shell.arg("--data").arg(server.data());
        }
        run_command(&mut shell).refused(&["cannot write the result"]);
    }
}

#[test]
fn a_second_writer_is_refused_and_the_first_goes_on() {
    let server = Server::start();
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"], &["replay"]] {
        run_on(server.data(), arguments).refused(&["another artifactstore", "registry.db", "--data"]);
    }
    server.client().send(&Request::get("/v2/")).expect(200);
}

#[test]
fn another_registry_over_the_same_objects_is_refused() {
    let mut server = Server::start();
    let other = directory();
    let root = server.data().join("storage");
    let mut second = command();
    second.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(other.path());
    second.env("ARTIFACTSTORE_STORAGE_LOCAL_ROOT", &root);
    run_command(&mut second).refused(&["holds the objects of registry", "is gone"]);
    // Also when it has a database, and the first is stopped.
    run_on(other.path(), &["migrate"]).expect(0);
    run_command(&mut second).refused(&["another artifactstore", "storage"]);
    server.stop();
    run_command(&mut second).refused(&["do not belong together"]);
}

#[test]
fn a_lost_database_does_not_start_an_empty_registry_over_the_evidence() {
    let server = filled();
    for name in ["registry.db", "registry-operational.db"] {
        fs::remove_file(server.data().join(name)).unwrap();
    }
    run_on(server.data(), &["serve", "--listen", "127.0.0.1:0"])
        .refused(&["is gone", "restore the database"]);
    assert!(!server.data().join("registry.db").exists());
}

#[test]
fn files_of_another_program_are_refused_and_left_alone() {
    for path in ["staging/thesis", "notes.txt"] {
        let (data, root) = (directory(), directory());
        let file = root.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "precious").unwrap();
        let mut serve = command();
        serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data.path());
        serve.env("ARTIFACTSTORE_STORAGE_LOCAL_ROOT", root.path());
        run_command(&mut serve).refused(&["no storage of a registry", "choose an empty directory"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    }
    // A folder with the right name does not make a directory ours.
    let data = directory();
    fs::create_dir(data.path().join("storage")).unwrap();
    fs::write(data.path().join("index.php"), "").unwrap();
    run_on(data.path(), &["serve", "--listen", "127.0.0.1:0"]).refused(&["index.php", "another program"]);
}

#[test]
fn a_head_that_is_not_where_the_log_ends_is_refused() {
    for by in ["+ 5", "- 1"] {
        let server = filled();
        let statement = format!("UPDATE log_head SET next_sequence = next_sequence {by}");
        edit(&server.data().join("registry.db"), &[Box::leak(statement.into_boxed_str())]);
        run_on(server.data(), &["serve", "--listen", "127.0.0.1:0"]).refused(&["the head says"]);
        let health = run_on(server.data(), &["health"]).expect(1);
        assert!(health.out.contains("the head says"), "{health}");
    }
}

#[test]
fn a_marker_of_the_first_release_is_completed_and_its_registry_goes_on() {
    let directory = directory();
    let start = || Launch::on(directory.path()).start();
    let mut server = start();
    Repo::new(&server.client(), "a").push_artifact("v1");
    server.stop();
    let marker = directory.path().join("storage/.registry");
    let first_line = |text: &str| text.lines().next().unwrap().to_owned() + "\n";
    let bound = fs::read_to_string(&marker).unwrap();
    assert_eq!(bound.lines().count(), 2, "{bound}");
    // As the first release has left it.
    fs::write(&marker, first_line(&bound)).unwrap();
    edit(&directory.path().join("registry.db"), &["DELETE FROM storage_places"]);
    start().stop();
    let completed = fs::read_to_string(&marker).unwrap();
    assert!(completed != bound && first_line(&completed) == first_line(&bound), "{completed}");
    assert_eq!(completed.lines().count(), 2, "{completed}");
    start().stop();
    assert_eq!(fs::read_to_string(&marker).unwrap(), completed);
}

//! The commands on a `PostgreSQL` database.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use artifactstore::db::testing::Database;

use super::directory;
use crate::support::{Launch, Repo, command, run_command};

const URL: &str = "ARTIFACTSTORE_DATABASE_URL";

fn database() -> Database {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Database::new())
}

fn on(url: &str, data: &Path, arguments: &[&str]) -> Command {
    let mut command = command();
    command.args(arguments).arg("--data").arg(data).env(URL, url);
    command
}

#[test]
fn a_registry_lives_in_it_and_is_looked_at_beside_its_server() {
    let (database, directory) = (database(), directory());
    let data = directory.path().join("data");
    let mut server = Launch::on(&data).env(URL, database.url()).start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v1");
    let names: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["storage"], "only the objects are in the data directory");
    for (arguments, words) in [
        (&["health"][..], "database: ok"),
        (&["verify"], "all intact"),
        (&["replay", "--check"], "the views are what they lead to"),
        // In place, too: it is one transaction that writers wait for.
        (&["replay"], "replayed"),
        (&["replay", "--check"], "the views are what they lead to"),
    ] {
        let ran = run_command(&mut on(&database.url(), &data, arguments)).expect(0);
        assert!(ran.out.contains(words), "{ran}");
    }
    repo.push_artifact("v2");
    assert_eq!(repo.tags(), ["v1", "v2"]);
    // A folder is for one process, whatever the database is.
    let mut second = on(&database.url(), &data, &["serve", "--listen", "127.0.0.1:0"]);
    run_command(&mut second).refused(&["another artifactstore", "storage"]);
    server.stop();
    let migrated = run_command(&mut on(&database.url(), &data, &["migrate"])).expect(0);
    assert!(migrated.out.contains("is up to date") && migrated.out.contains("postgres://"), "{migrated}");
    let log = server.log();
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
}

#[test]
fn one_that_cannot_be_used_stops_the_start_with_a_sentence() {
    let (database, directory) = (database(), directory());
    let (url, name) = (database.url(), database.name().to_owned());
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, place) = rest.rsplit_once('@').unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("postgres://me:hunter2@{}/db", silent.local_addr().unwrap());
    for (url, texts) in [
        (url.replace(&name, "nowhere"), &["database nowhere does not exist", "createdb nowhere"][..]),
        (format!("{scheme}://nobody:hunter2@{place}"), &["nobody"]),
        (
            "postgres://me:hunter2@127.0.0.1:1/db".to_owned(),
            &["postgres://me@127.0.0.1:1/db", "no server listens"],
        ),
        (silent, &["nothing answers", "check host, port"]),
        ("postgres://me:hunter2@host:port/db".to_owned(), &["postgres://USER:PASSWORD@HOST"]),
        ("mysql://me:hunter2@host/db".to_owned(), &[URL, "postgres://", "sqlite://"]),
    ] {
        for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["health"], &["migrate"]] {
            let mut command = on(&url, directory.path(), arguments);
            let refused =
                run_command(command.env("ARTIFACTSTORE_DATABASE_CONNECT_TIMEOUT", "1s")).refused(texts);
            assert_eq!(refused.err.trim_end().lines().count(), 1, "{refused}");
            assert!(!refused.err.contains("hunter2"), "{refused}");
        }
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "a refused start leaves nothing behind");
}

#[test]
fn an_empty_registry_began_over_the_objects_of_a_lost_database() {
    let (directory, lost, empty) = (directory(), database(), database());
    let mut server = Launch::on(directory.path()).env(URL, lost.url()).start();
    Repo::new(&server.client(), "a").push_artifact("v1");
    server.stop();
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
        let mut command = on(&empty.url(), directory.path(), arguments);
        run_command(&mut command).refused(&["restore the database", "holds no registry"]);
    }
    Launch::on(directory.path()).env(URL, lost.url()).start().stop();
}

#[test]
fn a_second_server_with_a_folder_of_its_own_was_ready_too() {
    let (here, there, database) = (directory(), directory(), database());
    let first = Launch::on(here.path()).env(URL, database.url()).start();
    let words = ["the objects of this registry are in place", "a new one", "storage.local.root"];
    for _ in 0..2 {
        for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
            run_command(&mut on(&database.url(), there.path(), arguments)).refused(&words);
        }
        // Also once there is something to be lost.
        Repo::new(&first.client(), "a").push_artifact("v1");
    }
    assert!(!there.path().join("storage/.registry").exists(), "what is refused is not claimed");
}

#[test]
fn an_empty_one_cannot_be_looked_at() {
    let (database, directory) = (database(), directory());
    for arguments in [&["health"][..], &["verify"], &["replay", "--check"]] {
        let refused =
            run_command(&mut on(&database.url(), directory.path(), arguments)).refused(&["no database at"]);
        assert!(!refused.err.contains("--data"), "{refused}");
    }
}

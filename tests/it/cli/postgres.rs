//! The commands on a `PostgreSQL` database.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use artifactstore::db::testing::Database;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::Connection as _;

use super::directory;
use crate::support::{Launch, Repo, command, run_command, until};

const URL: &str = "ARTIFACTSTORE_DATABASE_URL";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn database() -> Database {
    runtime().block_on(Database::new())
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
fn a_check_that_was_stopped_left_a_copy_of_all_views_for_everybody_to_read() {
    let (database, place, scratch) = (database(), directory(), directory());
    let data = place.path().join("data");
    let mut server = Launch::on(&data).env(URL, database.url()).start();
    Repo::new(&server.client(), "a").push_artifact("v1");
    server.stop();
    // Until this goes away a check waits in the middle.
    let runtime = runtime();
    let _locked = runtime.block_on(async {
        let mut connection = sqlx::PgConnection::connect(&database.url()).await.unwrap();
        for sql in ["BEGIN", "LOCK TABLE tags IN ACCESS EXCLUSIVE MODE"] {
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
        connection
    });
    let left =
        || fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut check = on(&database.url(), &data, &["replay", "--check"]);
        check.env("TMPDIR", scratch.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = check.spawn().unwrap();
        let made = until("there is a place for the views", || left().pop());
        assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
        kill_process(Pid::from_child(&running), signal).unwrap();
        let ended = until("it ends", || running.try_wait().unwrap());
        assert_eq!((ended.code(), left()), (Some(code), vec![]));
    }
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

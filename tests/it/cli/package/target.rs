//! The directory a package is pulled into, and what is found wrong with it later.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use super::gate::{Act, Gate};
use super::{FILES, contents, directory, package, text, tree};
use crate::support::{Ran, Server, command, noise, run, run_command, sha256, until};

/// Both exited with 0 or said that files were gone, and what was there had holes.
#[test]
fn two_pulls_into_one_directory_published_what_the_other_had_half_written() {
    let server = Server::start();
    let folder = tree(&FILES);
    package(&server, &["push", text(folder.path()), "--to", "a:x"]).expect(0);
    let blob = sha256(FILES[0].1.as_bytes());
    let gate = Gate::before(&server, move |head, _| {
        let is_blob = head.line.starts_with("GET ") && head.line.contains(&blob);
        if is_blob { Act::Stall } else { Act::Pass }
    });
    let back = directory();
    let mut first = command()
        .args(["package", "pull", "a:x", "-o", text(back.path()), "--server", &gate.url()])
        .env("DOCKER_CONFIG", back.path().join("none"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the first pull waits for a file", || {
        back.path().join(".artifactstore/incoming").exists().then_some(())
    });
    let pull = ["pull", "a:x", "-o", text(back.path())];
    package(&server, &pull).refused(&["another pull is writing into", "wait for it"]);
    assert!(back.path().join(".artifactstore/incoming").exists());
    first.kill().unwrap();
    first.wait().unwrap();
    package(&server, &pull).expect(0);
    assert!(contents(back.path()) == contents(folder.path()));
    let own = fs::read_dir(back.path().join(".artifactstore")).unwrap();
    let own: Vec<_> = own.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(own, ["package.cbor"]);
}

#[test]
fn a_full_disk_is_told_by_the_name_of_the_file_and_leaves_no_part_of_it() {
    let server = Server::start();
    let folder = tree(&[("small", "s")]);
    fs::write(folder.path().join("large.bin"), noise(1, 300_000)).unwrap();
    package(&server, &["push", text(folder.path()), "--to", "a:x"]).expect(0);
    let back = directory();
    let mut limited = Command::new("sh");
    // Blocks of 512 or 1024 bytes; without the signal a write fails, as on a full disk.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    limited.args(["-c", script, "sh"]).arg(command().get_program());
    limited.args(["package", "pull", "a:x", "-o", text(back.path())]);
    limited.args(["--server", &format!("http://{}", server.address())]);
    limited.env("DOCKER_CONFIG", back.path().join("none")).env_remove("XDG_RUNTIME_DIR");
    run_command(&mut limited).refused(&["/large.bin cannot be written", "too large"]);
    assert!(!back.path().join("large.bin").exists());
    assert!(!back.path().join(".artifactstore/incoming").exists());
}

fn pulled(server: &Server) -> tempfile::TempDir {
    let folder = tree(&FILES);
    package(server, &["push", text(folder.path()), "--to", "a:x"]).expect(0);
    let back = directory();
    package(server, &["pull", "a:x", "-o", text(back.path())]).expect(0);
    back
}

fn verify(directory: &Path) -> Ran {
    run(&["package", "verify", text(directory)])
}

#[test]
fn a_table_that_is_a_pipe_was_waited_for_and_one_that_is_none_could_not_be_verified() {
    let server = Server::start();
    let back = pulled(&server);
    let table = back.path().join(".artifactstore/package.cbor");
    fs::write(&table, "x").unwrap();
    let ran = verify(back.path()).expect(1);
    assert!(ran.out.contains(".artifactstore/package.cbor is no content manifest: "), "{ran}");
    let json = run(&["package", "verify", text(back.path()), "--json"]).expect(1).json();
    assert!(json["digest"].is_null() && json["problems"].as_array().unwrap().len() == 1, "{json}");
    fs::remove_file(&table).unwrap();
    assert!(Command::new("mkfifo").arg(&table).status().unwrap().success());
    verify(back.path()).refused(&["package.cbor is a named pipe"]);
}

#[test]
fn what_verify_could_not_look_at_or_did_not_know_was_not_among_the_problems() {
    let server = Server::start();
    let back = pulled(&server);
    fs::write(back.path().join(".artifactstore/extra"), "x").unwrap();
    let ran = verify(back.path()).expect(1);
    assert!(ran.out.contains(".artifactstore/extra is not in the package"), "{ran}");
    fs::remove_file(back.path().join(".artifactstore/extra")).unwrap();
    verify(back.path()).expect(0);
    // Too deep to be looked into by its path, also for root.
    let name = "d".repeat(250);
    let open = |at: &dyn std::os::fd::AsFd, name: &str| {
        openat(at.as_fd(), name, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap()
    };
    let mut at = open(&CWD, text(back.path()));
    for _ in 0..20 {
        mkdirat(&at, name.as_str(), Mode::RWXU).unwrap();
        at = open(&at, &name);
    }
    let ran = verify(back.path()).expect(1);
    assert!(ran.out.contains("cannot be read: ") && ran.out.contains("not as it was"), "{ran}");
}

#[test]
fn keys_of_a_registry_that_is_not_there_were_exchanged_in_a_new_one() {
    let parent = directory();
    let typo = parent.path().join("typo");
    run(&["keys", "rotate", "--data", text(&typo)]).refused(&["--data"]);
    assert!(!typo.exists());
}

//! Commands that are stopped on the way, and servers that go away under them.

use std::fs;
use std::process::{Child, Stdio};
use std::sync::mpsc;

use rustix::process::{Pid, Signal, kill_process};

use super::gate::{Act, Gate};
use super::{FILES, contents, directory, package, text, tree};
use crate::support::{Launch, PATIENCE, Repo, Server, command, noise, run, sha256, until};

fn begin(url: &str, arguments: &[&str]) -> Child {
    let mut command = command();
    command.arg("package").args(arguments).env("ARTIFACTSTORE_SERVER", url);
    command.env("DOCKER_CONFIG", "/nonexistent").env_remove("XDG_RUNTIME_DIR");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for its end: the exit code and what it said on both outputs. A push that meets a server which was away waits
/// and sends again, hence some multiples of the usual time.
fn end(child: Child) -> (Option<i32>, String, String) {
    let pid = Pid::from_child(&child);
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output()));
    let Ok(output) = end.recv_timeout(PATIENCE * 4) else {
        let _ = kill_process(pid, Signal::KILL);
        panic!("the command goes on after {} s", 4 * PATIENCE.as_secs());
    };
    let output = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Stops it with a signal; what it said.
fn stop(child: Child, signal: Signal) -> (Option<i32>, String) {
    kill_process(Pid::from_child(&child), signal).unwrap();
    let (code, out, err) = end(child);
    assert_eq!(out, "");
    assert_eq!(err.lines().count(), 1, "{err}");
    (code, err)
}

/// Ids of all packages of a repository, drafts included.
fn packages(server: &Server, repository: &str) -> Vec<String> {
    let listed = package(server, &["list", repository, "--json"]).expect(0).json();
    let id = |package: &serde_json::Value| package["id"].as_str().unwrap().to_owned();
    listed["packages"].as_array().unwrap().iter().map(id).collect()
}

#[test]
fn a_push_that_is_interrupted_says_so_and_is_completed_by_the_next() {
    for (signal, expected) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let server = Server::start();
        let stalled = sha256("grüße".as_bytes());
        let gate = Gate::before(&server, {
            let digest = stalled.clone();
            move |head, _| {
                let is_stalled = head.line.starts_with("POST ") && head.line.contains(&digest);
                if is_stalled { Act::Stall } else { Act::Pass }
            }
        });
        let folder = tree(&FILES);
        let push = ["push", text(folder.path()), "--to", "a:x", "--json"];
        let running = begin(&gate.url(), &push);
        let repo = Repo::new(&server.client(), "a");
        let others =
            FILES.iter().map(|(_, text)| sha256(text.as_bytes())).filter(|digest| *digest != stalled);
        for digest in others {
            until("the others are there", || {
                (repo.client.head(repo.blob(&digest)).status == 200).then_some(())
            });
        }
        until("one is under way", || (gate.seen("POST ").len() >= 6).then_some(()));
        let (code, said) = stop(running, signal);
        assert_eq!(code, Some(expected), "{said}");
        assert_eq!(said, "artifactstore: interrupted; run the same command again, it goes on where it was\n");
        repo.client.get(repo.manifest("x")).expect(404);
        let done = package(&server, &push).expect(0).json();
        assert_eq!(done["uploaded"], 1, "{done}");
        assert_eq!(packages(&server, "a"), [done["id"].as_str().unwrap()]);
    }
}

#[test]
fn a_pull_that_is_interrupted_is_completed_by_the_next() {
    let server = Server::start();
    let folder = tree(&FILES);
    package(&server, &["push", text(folder.path()), "--to", "a:x"]).expect(0);
    let stalled = sha256("grüße".as_bytes());
    let gate = Gate::before(&server, move |head, _| {
        let is_stalled = head.line.starts_with("GET ") && head.line.contains(&stalled);
        if is_stalled { Act::Stall } else { Act::Pass }
    });
    let back = directory();
    let pull = ["pull", "a:x", "-o", text(back.path()), "--json"];
    let running = begin(&gate.url(), &pull);
    until("the others are there", || (contents(back.path()).len() == FILES.len() - 1).then_some(()));
    let (code, said) = stop(running, Signal::INT);
    assert_eq!(code, Some(130), "{said}");
    assert!(!back.path().join(".artifactstore/package.cbor").exists(), "it is not whole yet");
    let done = package(&server, &pull).expect(0).json();
    assert_eq!(done["downloaded"], 1, "{done}");
    assert!(contents(back.path()) == contents(folder.path()));
    run(&["package", "verify", text(back.path())]).expect(0);
}

#[test]
fn an_interrupted_list_does_not_tell_to_go_on() {
    let server = Server::start();
    let gate = Gate::before(&server, |_, _| Act::Stall);
    let running = begin(&gate.url(), &["list", "a"]);
    until("it asks", || (!gate.seen("GET ").is_empty()).then_some(()));
    let (code, said) = stop(running, Signal::INT);
    assert_eq!((code, said.as_str()), (Some(130), "artifactstore: interrupted; nothing was changed\n"));
}

/// Large files among them go in sessions.
fn length(n: u64) -> usize {
    if n.is_multiple_of(20) { 9_000_000 } else { 300_000 }
}

#[test]
fn a_server_that_is_killed_and_comes_back_during_a_push_ends_with_one_package() {
    // An address of its own: nobody else takes the port while the server is away.
    let server = Launch::new().listen("127.83.41.7:0").start();
    let folder = directory();
    for n in 0..30 {
        fs::write(folder.path().join(format!("{n}.bin")), noise(n, length(n))).unwrap();
    }
    let push = ["push", text(folder.path()), "--to", "a:x", "--json"];
    let running = begin(&format!("http://{}", server.address()), &push);
    let repo = Repo::new(&server.client(), "a");
    let small: Vec<String> = (0..30).filter(|n| n % 20 != 0).map(|n| sha256(&noise(n, length(n)))).collect();
    until("some blob is there", || {
        small.iter().any(|digest| repo.client.head(repo.blob(digest)).status == 200).then_some(())
    });
    repo.client.get(repo.manifest("x")).expect(404);
    let server = server.restart_in_place();
    let (code, out, err) = end(running);
    match code {
        Some(0) => assert!(out.contains("pkg_") && err.is_empty(), "{out}{err}"),
        Some(2) => assert!(out.is_empty() && err.lines().count() == 1, "{out}{err}"),
        other => panic!("{other:?}: {out}{err}"),
    }
    let done = package(&server, &push).expect(0).json();
    assert!(done["uploaded"].as_u64() < Some(30), "what was there is not sent again: {done}");
    assert_eq!(packages(&server, "a"), [done["id"].as_str().unwrap()]);
    let back = directory();
    package(&server, &["pull", "a:x", "-o", text(back.path())]).expect(0);
    assert!(contents(back.path()) == contents(folder.path()));
}

#[test]
fn a_push_outlives_a_server_that_is_away_for_a_moment() {
    let server = Launch::new().listen("127.83.41.8:0").start();
    let address = server.address();
    let folder = tree(&FILES);
    let (asked, gate) = {
        // The registry goes away when the first file arrives, and comes back while the client waits.
        let server = std::sync::Mutex::new(Some(server));
        let away = std::sync::Arc::new(std::sync::Mutex::new(None));
        let keep = std::sync::Arc::clone(&away);
        let gate = Gate::at(address, move |head, _| {
            if head.line.starts_with("POST ")
                && let Some(server) = server.lock().unwrap().take()
            {
                *keep.lock().unwrap() = Some(server.restart_in_place());
                return Act::CutRequest(0);
            }
            Act::Pass
        });
        (away, gate)
    };
    let (code, out, err) = end(begin(&gate.url(), &["push", text(folder.path()), "--to", "a:x", "--json"]));
    assert_eq!(code, Some(0), "{err}");
    let server = asked.lock().unwrap().take().unwrap();
    let pushed: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(packages(&server, "a"), [pushed["id"].as_str().unwrap()]);
}

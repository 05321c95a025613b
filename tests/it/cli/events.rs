//! `events tail`: the log followed by the program itself, over HTTP and from a data directory.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::directory;
use crate::support::{Launch, Ran, Repo, Server, command, is_production, run, until};

/// A server with some tens of events, of two repositories.
fn served() -> Server {
    filled(Launch::new())
}

fn filled(launch: Launch) -> Server {
    let server = launch.start();
    let client = server.client();
    let (a, b) = (Repo::new(&client, "first/a"), Repo::new(&client, "second/b"));
    a.push_artifact("v1");
    b.push_artifact("v1");
    a.push_artifact("v2");
    server
}

fn url(server: &Server) -> String {
    format!("http://{}", server.address())
}

/// Runs `events tail` on a server to its end.
#[track_caller]
fn tail(server: &Server, arguments: &[&str]) -> Ran {
    run(&[&["events", "tail", "--server", &url(server)], arguments].concat())
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sequences(ran: &Ran) -> Vec<i64> {
    lines(ran).iter().map(|event| event["sequence"].as_i64().unwrap()).collect()
}

/// The newest event.
fn head(server: &Server) -> i64 {
    let page = server.client().get("/v2/_artifactstore/events?since=now").expect(200);
    page.json()["head"].as_i64().unwrap()
}

/// A tail that goes on. Killed when it is dropped.
struct Following {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Following {
    fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn on(server: &Server, arguments: &[&str]) -> Self {
        let mut command = command();
        command.args(["events", "tail", "--server", &url(server), "--follow", "--json"]).args(arguments);
        Self::start(&mut command)
    }

    /// The number of the next event.
    #[track_caller]
    fn next(&mut self) -> i64 {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        event["sequence"].as_i64().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// How it ended, and what it said.
    fn end(mut self) -> (Option<i32>, String) {
        let status = until("the tail ends", || self.child.try_wait().unwrap());
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status.code(), said)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kept(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_event_is_printed_once_and_in_order() {
    let server = served();
    let last = head(&server);
    let everything = tail(&server, &["--json"]).expect(0);
    assert_eq!(sequences(&everything), (1..=last).collect::<Vec<_>>());
    // The very bytes of the server.
    let page = server.client().get("/v2/_artifactstore/events?since=0").expect(200);
    let page = String::from_utf8(page.body).unwrap();
    assert!(everything.out.lines().all(|line| page.contains(line)), "{everything}");
    let text = tail(&server, &[]).expect(0).out;
    assert_eq!(text.lines().count(), usize::try_from(last).unwrap());
    let pushed = text.lines().find(|line| line.contains("v1.manifest.pushed")).unwrap();
    assert!(pushed.contains("  first/a  blake3:") && pushed.ends_with("  anonymous"), "{pushed}");
    assert_eq!(
        sequences(&tail(&server, &["--json", "--since", "3"]).expect(0)),
        (4..=last).collect::<Vec<_>>()
    );
    assert_eq!(sequences(&tail(&server, &["--json", "--since", "start", "--limit", "2"]).expect(0)), [1, 2]);
    assert_eq!(tail(&server, &["--json", "--since", "now"]).expect(0).out, "");
}

#[test]
fn filters_choose_by_type_repository_and_package() {
    let server = served();
    let folder = directory();
    fs::write(folder.path().join("a.txt"), "a").unwrap();
    let pushed = run(&[
        "package",
        "push",
        folder.path().to_str().unwrap(),
        "--to",
        "first/a:p",
        "--json",
        "--server",
        &url(&server),
    ])
    .expect(0)
    .json();
    let id = pushed["id"].as_str().unwrap();
    let types = |arguments: &[&str]| -> Vec<String> {
        let ran = tail(&server, &[arguments, &["--json"]].concat()).expect(0);
        lines(&ran).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    let moved = types(&["--types", "tag"]);
    assert!(moved.len() == 4 && moved.iter().all(|name| name == "v1.tag.moved"), "{moved:?}");
    assert_eq!(types(&["--types", "tag.moved", "second/b"]).len(), 1);
    let of_package = types(&["--package", id]);
    assert!(of_package.contains(&"v1.package.finalized".to_owned()), "{of_package:?}");
    let either = types(&["--types", "package.*,tag"]);
    assert_eq!(either.len(), 5, "{either:?}");
    tail(&server, &["--types", "tga"]).refused(&["tga", "tag"]);
    tail(&server, &["--package", "pkg_x"]).refused(&["pkg_x"]);
    tail(&server, &["not/there"]).refused(&["not/there"]);
    // As one argument, as a browser has it.
    let place = format!("{}/second/b", url(&server));
    let ran = run(&["events", "tail", &place, "--json"]).expect(0);
    assert!(lines(&ran).iter().all(|event| event["repository"] == "second/b"), "{ran}");
}

#[test]
fn cloud_events_are_printed_a_line_each() {
    let server = served();
    let ran = tail(&server, &["--format", "cloudevents"]).expect(0);
    let events = lines(&ran);
    assert_eq!(events.len(), usize::try_from(head(&server)).unwrap());
    assert!(events.iter().all(|event| event["specversion"] == "1.0"), "{ran}");
}

#[test]
fn a_tail_goes_on_where_its_cursor_file_says() {
    let server = served();
    let folder = directory();
    let path = folder.path().join("place.json");
    let cursor = path.to_str().unwrap();
    let first = tail(&server, &["--json", "--cursor", cursor, "--limit", "3"]).expect(0);
    assert_eq!(sequences(&first), [1, 2, 3]);
    let place = kept(&path);
    assert_eq!((&place["sequence"], &place["last"]["sequence"]), (&json!(3), &json!(3)));
    assert_eq!(place["last"]["leaf_hash"], lines(&first)[2]["leaf_hash"]);
    // What is said of the beginning is for when there is no file.
    let rest = tail(&server, &["--json", "--cursor", cursor, "--since", "start"]).expect(0);
    assert_eq!(sequences(&rest), (4..=head(&server)).collect::<Vec<_>>());
    assert_eq!(tail(&server, &["--json", "--cursor", cursor]).expect(0).out, "");
    assert_eq!(kept(&path)["sequence"], head(&server));
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["place.json"]);
}

#[test]
fn a_cursor_of_something_else_is_refused_in_a_sentence() {
    let server = served();
    let folder = directory();
    let path = folder.path().join("place.json");
    let cursor = path.to_str().unwrap();
    tail(&server, &["--cursor", cursor, "--types", "tag"]).expect(0);
    tail(&server, &["--cursor", cursor]).refused(&["another choice of types", "tag"]);
    tail(&server, &["--cursor", cursor, "--types", "tag", "first/a"])
        .refused(&["another repository", "first/a"]);
    // Of another registry: the log is.
    let before = fs::read_to_string(&path).unwrap();
    let other = served();
    let ran = tail(&other, &["--cursor", cursor, "--types", "tag"]).expect(1);
    assert!(ran.out.is_empty() && ran.err.contains("the cursor is of log"), "{ran}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    fs::write(&path, &before[..before.len() / 2]).unwrap();
    tail(&server, &["--cursor", cursor, "--types", "tag"]).refused(&["damaged", "place.json"]);
    let ran = tail(&server, &["--since", "1000000"]).expect(1);
    assert!(ran.err.contains("event 1000000"), "{ran}");
}

#[test]
fn who_follows_sees_what_comes_and_ctrl_c_keeps_the_place() {
    let server = served();
    let folder = directory();
    let path = folder.path().join("place.json");
    let mut following = Following::on(&server, &["--cursor", path.to_str().unwrap()]);
    let before = head(&server);
    assert_eq!((1..=before).map(|_| following.next()).collect::<Vec<_>>(), (1..=before).collect::<Vec<_>>());
    // Another one would go over the same place.
    tail(&server, &["--cursor", path.to_str().unwrap()]).refused(&["another tail"]);
    Repo::new(&server.client(), "third/c").push_artifact("v1");
    let after = head(&server);
    assert!(after > before);
    assert_eq!(
        (before + 1..=after).map(|_| following.next()).collect::<Vec<_>>(),
        (before + 1..=after).collect::<Vec<_>>()
    );
    following.signal(Signal::INT);
    let (code, said) = following.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains(&format!("goes on behind event {after}")), "{said}");
    assert_eq!(kept(&path)["sequence"], after);
}

#[test]
fn sigterm_without_a_cursor_file_says_where_it_was() {
    let server = served();
    let mut following = Following::on(&server, &["--since", "2"]);
    assert_eq!(following.next(), 3);
    let last = head(&server);
    for expected in 4..=last {
        assert_eq!(following.next(), expected);
    }
    following.signal(Signal::TERM);
    let (code, said) = following.end();
    assert_eq!(code, Some(143), "{said}");
    assert!(said.contains("--since "), "{said}");
}

#[test]
fn a_server_that_restarts_is_followed_on_without_a_gap() {
    let server = filled(Launch::new().listen("127.83.41.9:0"));
    let mut following = Following::on(&server, &["--limit", "1000"]);
    let before = head(&server);
    for expected in 1..=before {
        assert_eq!(following.next(), expected);
    }
    let server = server.restart_in_place();
    Repo::new(&server.client(), "third/c").push_artifact("v1");
    for expected in before + 1..=head(&server) {
        assert_eq!(following.next(), expected);
    }
    following.signal(Signal::TERM);
    let (code, said) = following.end();
    assert_eq!(code, Some(143), "{said}");
    assert!(said.contains("trying again"), "{said}");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let server = served();
    for arguments in [&["--follow"][..], &["--follow", "--json"], &[]] {
        let mut command = command();
        command.args(["events", "tail", "--server", &url(&server)]).args(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

/// A registry that loses an event: the tail is what finds out.
#[test]
fn a_missing_event_ends_it_with_1_and_both_numbers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut connection, _) = listener.accept().unwrap();
            let mut head = BufReader::new(connection.try_clone().unwrap()).lines();
            while head.next().unwrap().unwrap() != "" {}
            let event = |n| {
                format!(
                    r#"{{"sequence":{n},"type":"v1.x.y\u001b","recorded_at":"t","leaf_hash":"{n}","payload":{{}}}}"#
                )
            };
            let body = format!(
                r#"{{"log_id":"a","epoch":1,"events":[{},{}],"next_since":3,"scanned_to":3,"head":3}}"#,
                event(1),
                event(3)
            );
            let length = body.len();
            write!(
                connection,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    let ran = run(&["events", "tail", &format!("http://{address}")]).expect(1);
    assert!(ran.err.contains("event 2 is missing: event 3"), "{ran}");
    assert!(ran.out.starts_with("1  t  v1.x.y\\u{1b}  -  -  -\n") && ran.out.lines().count() == 1, "{ran}");
    serving.join().unwrap();
}

#[test]
fn a_data_directory_is_read_beside_its_server_and_without_it() {
    let mut server = served();
    let over_http = tail(&server, &["--json"]).expect(0);
    let beside = server.run(&["events", "tail", "--json"]).expect(0);
    assert_eq!(beside.out, over_http.out);
    let cloud = server.run(&["events", "tail", "--format", "cloudevents"]).expect(0);
    assert_eq!(cloud.out, tail(&server, &["--format", "cloudevents"]).expect(0).out);
    let filtered = ["events", "tail", "second/b", "--types", "tag", "--json"];
    assert_eq!(sequences(&server.run(&filtered).expect(0)).len(), 1);
    server.run(&["events", "tail", "--types", "tga"]).refused(&["tga", "tag"]);
    server.run(&["events", "tail", "http://host/a"]).refused(&["--data"]);
    server.run(&["events", "tail", "not/there"]).refused(&["not/there"]);
    server.stop();
    assert_eq!(server.run(&["events", "tail", "--json"]).expect(0).out, over_http.out);
    assert_eq!(server.run(&["events", "tail", "--since", "1000000"]).expect(1).out, "");
    if !is_production() {
        run(&["events", "tail", "--data", "/nonexistent"]).refused(&["--data"]);
    }
}

#[test]
fn a_data_directory_is_followed_beside_its_server() {
    let server = served();
    let before = head(&server);
    let mut command = command();
    command.args(["events", "tail", "--follow", "--json"]);
    server.place(&mut command);
    let mut following = Following::start(&mut command);
    for expected in 1..=before {
        assert_eq!(following.next(), expected);
    }
    Repo::new(&server.client(), "third/c").push_artifact("v1");
    for expected in before + 1..=head(&server) {
        assert_eq!(following.next(), expected);
    }
    following.signal(Signal::TERM);
    assert_eq!(following.end().0, Some(143));
}

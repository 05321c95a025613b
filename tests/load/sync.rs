//! The disk does not keep its word: fsync fails, or the server dies in the middle of one.
//!
//! The real binary with `fsync.c` loaded in front of its libc.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{
    Client, Content, IMAGE, Server, alone, eventually, expect_fine, folder, image, objects, push, sha256,
    staged,
};

const SMALL: Content = Content { seed: 1, length: 1000 };
const LARGE: Content = Content { seed: 2, length: 3 * 1024 * 1024 };

/// A server whose fsyncs can be made to fail.
struct Lab {
    folder: tempfile::TempDir,
    shim: PathBuf,
}

impl Lab {
    fn new() -> Self {
        let folder = folder();
        let shim = folder.path().join("fsync.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/load/fsync.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&shim).arg(source);
        assert!(cc.status().expect("the C compiler that built SQLite is there").success());
        Self { folder, shim }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn storage(&self) -> PathBuf {
        self.data().join("storage")
    }

    fn control(&self) -> PathBuf {
        self.folder.path().join("fault")
    }

    fn start(&self) -> Server {
        self.start_with(|command| command)
    }

    fn start_with(&self, set: impl FnOnce(&mut Command) -> &mut Command) -> Server {
        Server::start_with(&self.data(), |command| {
            set(command).env("LD_PRELOAD", &self.shim).env("FSYNC_FAULT", self.control())
        })
    }

    /// What happens to every fsync of a path that holds `text` from now on.
    fn plan(&self, fault: &str, text: &str) {
        // In one step: the server must never read half a plan.
        let new = self.folder.path().join("fault.new");
        fs::write(&new, format!("{fault} {text}")).unwrap();
        fs::rename(new, self.control()).unwrap();
    }

    fn heal(&self) {
        fs::remove_file(self.control()).unwrap();
    }
}

fn blob(content: Content) -> String {
    format!("/v2/some/app/blobs/{}", content.digest())
}

#[test]
fn a_failed_fsync_refuses_the_push_and_every_later_write_until_somebody_looked() {
    for content in [Content { seed: 3, length: 1000 }, LARGE] {
        let _alone = alone();
        let lab = Lab::new();
        let server = lab.start();
        let mut client = server.client();
        push(&mut client, "some/app", SMALL).unwrap().expect(201);
        let before = objects(&lab.storage());
        client.get("/readyz").unwrap().expect(200);

        lab.plan("fail", "/storage/");
        let answer = push(&mut server.client(), "some/app", content).unwrap();
        assert!((500..600).contains(&answer.status), "{answer:?}");
        lab.heal();

        let line = eventually("a sentence in the log", || {
            server.log().lines().find(|line| line.contains("A request failed")).map(str::to_owned)
        });
        assert!(line.contains("fsync") && line.contains("Input/output error"), "{line}");
        client.head(&blob(content)).unwrap().expect(404);
        assert_eq!(objects(&lab.storage()), before);
        assert!(staged(&lab.storage()).is_empty());
        // The disk works again, but nobody knows what it lost.
        let ready = client.get("/readyz").unwrap().expect(503);
        assert!(String::from_utf8_lossy(&ready.body).contains("suspect"), "{ready:?}");
        client.get("/livez").unwrap().expect(200);
        let refused = push(&mut server.client(), "some/app", content).unwrap();
        assert!((500..600).contains(&refused.status), "{refused:?}");
        server.logged(&["A request failed", "refuses writes"]);
        assert_eq!(client.get(&blob(SMALL)).unwrap().expect(200).body, SMALL.bytes());
        server.stop();

        let server = lab.start();
        server.client().get("/readyz").unwrap().expect(200);
        push(&mut server.client(), "some/app", content).unwrap().expect(201);
        server.stop();
        expect_fine(&lab.data(), &["verify"]);
        expect_fine(&lab.data(), &["replay", "--check"]);
    }
}

#[test]
fn a_commit_whose_fsync_fails_refuses_the_push_and_later_ones_work() {
    let _alone = alone();
    let lab = Lab::new();
    let server = lab.start();
    let mut client = server.client();
    push(&mut client, "some/app", SMALL).unwrap().expect(201);
    let manifest = image(&SMALL.digest(), SMALL.length, "");
    let (put, by_digest) =
        ("/v2/some/app/manifests/v1", format!("/v2/some/app/manifests/{}", sha256(&manifest)));

    lab.plan("fail", "registry.db");
    let answer = client.send("PUT", put, &[("content-type", IMAGE)], &manifest).unwrap();
    assert!((500..600).contains(&answer.status), "{answer:?}");
    server.logged(&["A request failed", "disk I/O error"]);
    let refused = push(&mut server.client(), "some/app", LARGE).unwrap();
    assert!((500..600).contains(&refused.status), "{refused:?}");
    for path in [put, &by_digest, &blob(LARGE)] {
        client.head(path).unwrap().expect(404);
    }
    client.get(&blob(SMALL)).unwrap().expect(200);
    lab.heal();

    push(&mut client, "some/app", LARGE).unwrap().expect(201);
    client.send("PUT", put, &[("content-type", IMAGE)], &manifest).unwrap().expect(201);
    assert_eq!(client.get(put).unwrap().expect(200).body, manifest);
    server.stop();
    expect_fine(&lab.data(), &["verify"]);
    expect_fine(&lab.data(), &["replay", "--check"]);
}

/// Often the log is a file on the very disk that is full.
#[test]
fn a_log_that_cannot_be_written_harms_no_request() {
    let _alone = alone();
    let lab = Lab::new();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let server = lab.start_with(|command| command.stderr(full));
    let mut client = server.client();
    lab.plan("fail", "registry.db");
    for length in [1000, LARGE.length] {
        let refused = push(&mut client, "some/app", Content { seed: 4, length }).unwrap();
        assert!((500..600).contains(&refused.status), "{refused:?}");
    }
    lab.heal();
    push(&mut client, "some/app", SMALL).unwrap().expect(201);
    client.get("/readyz").unwrap().expect(200);
    server.stop();
    expect_fine(&lab.data(), &["replay", "--check"]);
}

#[test]
fn a_kill_between_publish_and_commit_leaves_an_object_nobody_misses() {
    let _alone = alone();
    let lab = Lab::new();
    let mut server = lab.start();
    push(&mut server.client(), "some/app", SMALL).unwrap().expect(201);
    // The object has its name; the folder that holds it is never synced, so no event is recorded.
    lab.plan("stall", "/storage/blake3/");
    let address = server.address;
    let pusher = std::thread::spawn(move || {
        let mut client = Client::connect(address)?;
        push(&mut client, "some/app", LARGE)
    });
    let reached = lab.control().with_extension("reached");
    eventually("the push to come to its fsync", || reached.exists().then_some(()));
    server.kill();
    pusher.join().unwrap().expect_err("a push that was cut off is not acknowledged");
    lab.heal();
    assert_eq!(objects(&lab.storage()).len(), 2);

    expect_fine(&lab.data(), &["verify"]);
    expect_fine(&lab.data(), &["replay", "--check"]);
    let server = lab.start();
    let mut client = server.client();
    client.head(&blob(LARGE)).unwrap().expect(404);
    push(&mut client, "some/app", LARGE).unwrap().expect(201);
    assert_eq!(client.get(&blob(LARGE)).unwrap().expect(200).body, LARGE.bytes());
    server.stop();
    expect_fine(&lab.data(), &["verify"]);
    expect_fine(&lab.data(), &["replay", "--check"]);
}

#[test]
fn a_close_that_was_recorded_before_a_kill_can_be_repeated() {
    let _alone = alone();
    let lab = Lab::new();
    let mut server = lab.start();
    let mut client = server.client();
    let begun = client.send("POST", "/v2/some/app/blobs/uploads/", &[], b"").unwrap().expect(202);
    let patched = client.send("PATCH", &begun.location(), &[], &LARGE.bytes()).unwrap().expect(202);
    let put = format!("{}?digest={}", patched.location(), LARGE.digest());
    // The commit is written and its sync never returns: it survives the process, which notes nothing more.
    lab.plan("stall", "registry.db-wal");
    let closing = {
        let put = put.clone();
        std::thread::spawn(move || client.send("PUT", &put, &[], b""))
    };
    let reached = lab.control().with_extension("reached");
    eventually("the push to come to its commit", || reached.exists().then_some(()));
    server.kill();
    closing.join().unwrap().expect_err("nobody answered");
    lab.heal();

    let server = lab.start();
    let mut client = server.client();
    assert_eq!(client.get(&blob(LARGE)).unwrap().expect(200).body, LARGE.bytes());
    client.send("PUT", &put, &[], b"").unwrap().expect(201);
    server.stop();
    expect_fine(&lab.data(), &["verify"]);
    expect_fine(&lab.data(), &["replay", "--check"]);
}

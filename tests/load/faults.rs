//! Storage that fails in the middle of an upload, at each of its calls in turn.
//!
//! The server runs in this process, over the local backend inside the fault wrapper; the client speaks
//! HTTP to it. Full and failing disks under the real binary are in `disk.rs` and `sync.rs`.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Once, PoisonError};

use artifactstore::clock::Clock;
use artifactstore::dataplane::DataPlane;
use artifactstore::db::{Access, Db, Options as DbOptions, Url};
use artifactstore::registry::{Options, Registry};
use artifactstore::server;
use artifactstore::storage::Local;
use artifactstore::storage::testing::{Cause, Ending, Fault, Faults, Faulty, Op};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{
    Answer, Client, Content, PATIENCE, alone, eventually, expect_fine, folder, objects, push, staged,
};

/// Stays in memory until it is stored in one step.
const SMALL: Content = Content { seed: 1, length: 1000 };

/// Goes through staging in several steps.
const LARGE: Content = Content { seed: 2, length: 5 * 1024 * 1024 };

/// There before anything fails.
const OLD: Content = Content { seed: 3, length: 700_000 };

/// What the server of this process has logged since it started.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server over storage that fails on demand.
struct Lab {
    folder: TempDir,
    faults: Faults,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<bool>,
    db: Db,
    runtime: Runtime,
}

impl Lab {
    /// Starts it and pushes [`OLD`].
    fn new() -> Self {
        static LOGGING: Once = Once::new();
        LOGGING.call_once(|| {
            tracing_subscriber::fmt().with_ansi(false).with_writer(|| Log).init();
        });
        LOG.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let folder = folder();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let backend = Faulty::new(Arc::new(Local::open(&data.join("storage")).unwrap()));
        let faults = backend.faults();
        let runtime = Runtime::new().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (db, server) = runtime.block_on(async {
            let db = Db::open(&DbOptions::new(Url::Sqlite(data.join("registry.db"))), Access::Create)
                .await
                .unwrap();
            let plane = DataPlane::new(Arc::new(backend));
            let registry =
                Registry::open(db.clone(), plane, Clock::system(), Options::default()).await.unwrap();
            let loopback = ([127, 0, 0, 1], 0).into();
            (db, server::Server::bind(loopback, registry, server::Options::default()).await.unwrap())
        });
        let address = server.address().unwrap();
        let running = runtime.spawn(server.run(async {
            let _ = stopped.await;
        }));
        let lab = Self { folder, faults, address, stop, running, db, runtime };
        push(&mut lab.client(), "some/app", OLD).unwrap().expect(201);
        lab
    }

    fn client(&self) -> Client {
        Client::connect(self.address).unwrap()
    }

    fn storage(&self) -> PathBuf {
        self.folder.path().join("data/storage")
    }

    fn log() -> String {
        String::from_utf8_lossy(&LOG.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Everything that was stored is served.
    #[track_caller]
    fn serves_old(&self) {
        assert_eq!(self.client().get(&blob(OLD)).unwrap().expect(200).body, OLD.bytes());
    }

    /// Ends the server and lets the commands look at what it left.
    fn stop(self) {
        self.stop.send(()).unwrap();
        let ended = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.running).await });
        assert!(ended.unwrap().unwrap(), "every request ended");
        self.runtime.block_on(self.db.close());
        drop(self.runtime);
        let data = self.folder.path().join("data");
        expect_fine(&data, &["verify"]);
        expect_fine(&data, &["replay", "--check"]);
    }
}

fn blob(content: Content) -> String {
    format!("/v2/some/app/blobs/{}", content.digest())
}

/// The ways to push a blob.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// `POST ?digest=`
    Once,
    /// `POST`, `PUT` with everything.
    Put,
    /// `POST`, `PATCH`, `PATCH`, `PUT`.
    Chunks,
}

/// Pushes until something is refused; that answer or the last one.
fn push_by(way: Way, client: &mut Client, content: Content) -> Answer {
    if way == Way::Once {
        return push(client, "some/app", content).unwrap();
    }
    let begun = client.send("POST", "/v2/some/app/blobs/uploads/", &[], b"").unwrap().expect(202);
    let (bytes, location) = (content.bytes(), begun.location());
    let put = format!("{location}?digest={}", content.digest());
    if way == Way::Put {
        return client.send("PUT", &put, &[], &bytes).unwrap();
    }
    for half in bytes.chunks(bytes.len() / 2 + 1) {
        let answer = client.send("PATCH", &location, &[], half).unwrap();
        if answer.status != 202 {
            return answer;
        }
    }
    client.send("PUT", &put, &[], b"").unwrap()
}

#[test]
fn a_failing_call_fails_its_push_and_leaves_nothing_of_it() {
    use Way::{Chunks, Once, Put};
    let _alone = alone();
    let lab = Lab::new();
    let fail = |cause| Fault::Fail(cause);
    let lose = |cause| Fault::LoseResponse(cause);
    let (full, broken, read_only) = (Cause::NoSpace, Cause::Broken, Cause::ReadOnly);
    let gone = Cause::Kind(ErrorKind::TimedOut);
    let cases: &[(Way, Content, Op, u64, Fault)] = &[
        (Once, SMALL, Op::Put, 1, fail(full)),
        (Once, SMALL, Op::Put, 1, lose(gone)),
        (Put, SMALL, Op::Put, 1, fail(broken)),
        (Chunks, SMALL, Op::Stage, 1, fail(full)),
        (Chunks, SMALL, Op::Append, 1, fail(full)),
        (Chunks, SMALL, Op::Append, 1, lose(gone)),
        (Chunks, SMALL, Op::Resume, 1, fail(broken)),
        (Chunks, SMALL, Op::Publish, 1, fail(read_only)),
        (Once, LARGE, Op::Stage, 1, fail(read_only)),
        (Once, LARGE, Op::Stage, 1, lose(gone)),
        (Once, LARGE, Op::Append, 1, fail(full)),
        (Once, LARGE, Op::Append, 3, fail(full)),
        (Once, LARGE, Op::Append, 3, lose(gone)),
        (Once, LARGE, Op::Publish, 1, fail(broken)),
        (Once, LARGE, Op::Publish, 1, lose(gone)),
        (Put, LARGE, Op::Append, 2, fail(full)),
        (Put, LARGE, Op::Append, 2, fail(broken)),
        (Put, LARGE, Op::Publish, 1, fail(full)),
        (Put, LARGE, Op::Publish, 1, lose(gone)),
        (Chunks, LARGE, Op::Append, 2, fail(full)),
        (Chunks, LARGE, Op::Append, 7, fail(broken)),
        (Chunks, LARGE, Op::Append, 7, lose(gone)),
        (Chunks, LARGE, Op::Resume, 1, fail(read_only)),
        (Chunks, LARGE, Op::Resume, 2, fail(broken)),
        (Chunks, LARGE, Op::Publish, 1, fail(full)),
    ];
    for (number, (way, content, op, nth, fault)) in cases.iter().enumerate() {
        let case = format!("{way:?} of {} bytes, {op:?} {nth}: {fault:?}", content.length);
        let content = Content { seed: 100 + number as u64, ..*content };
        let (before, logged) = (objects(&lab.storage()), Lab::log().len());
        lab.faults.arm(*op, *nth, fault.clone());

        let answer = push_by(*way, &mut lab.client(), content);
        lab.faults.disarm();
        assert!((500..600).contains(&answer.status), "{case} says {answer:?}");
        let log = Lab::log()[logged..].to_owned();
        let sentences: Vec<_> = log.lines().filter(|line| line.contains("A request failed")).collect();
        let (Fault::Fail(why) | Fault::LoseResponse(why)) = fault else { unreachable!("only these") };
        let reason = why.to_io().to_string();
        assert!(matches!(sentences.as_slice(), [one] if one.contains(&reason)), "{case}: {reason} in\n{log}");

        lab.client().head(&blob(content)).unwrap().expect(404);
        assert_eq!(objects(&lab.storage()), before, "{case} leaves an object");
        // An upload that can go on keeps the bytes that were acknowledged, and is finished here.
        if *way == Way::Once || matches!(op, Op::Put | Op::Publish) {
            assert!(staged(&lab.storage()).is_empty(), "{case} leaves {:?}", staged(&lab.storage()));
        }
        for left in staged(&lab.storage()) {
            let path = format!("/v2/some/app/blobs/uploads/{left}");
            lab.client().get(&path).unwrap().expect(204);
            lab.client().send("DELETE", &path, &[], b"").unwrap().expect(204);
        }
        assert!(staged(&lab.storage()).is_empty(), "{case} leaves {:?}", staged(&lab.storage()));
        lab.serves_old();
        push_by(*way, &mut lab.client(), content).expect(201);
        assert_eq!(lab.client().get(&blob(content)).unwrap().expect(200).body, content.bytes(), "{case}");
    }
    lab.stop();
}

#[test]
fn an_upload_goes_on_after_a_chunk_that_failed() {
    let _alone = alone();
    let lab = Lab::new();
    let bytes = LARGE.bytes();
    let (head, tail) = bytes.split_at(2_000_000);
    let mut client = lab.client();
    let begun = client.send("POST", "/v2/some/app/blobs/uploads/", &[], b"").unwrap().expect(202);
    let location = begun.location();
    client.send("PATCH", &location, &[], head).unwrap().expect(202);
    for (op, nth) in [(Op::Append, 1), (Op::Append, 3), (Op::Resume, 1)] {
        lab.faults.arm(op, nth, Fault::Fail(Cause::NoSpace));
        let refused = lab.client().send("PATCH", &location, &[], tail).unwrap();
        assert!((500..600).contains(&refused.status), "{refused:?}");
        let stands = client.get(&location).unwrap().expect(204);
        assert_eq!(stands.header("range"), Some("0-1999999"));
    }
    let put = format!("{location}?digest={}", LARGE.digest());
    client
        .send("PUT", &put, &[("content-range", &format!("2000000-{}", bytes.len() - 1))], tail)
        .unwrap()
        .expect(201);
    assert_eq!(client.get(&blob(LARGE)).unwrap().expect(200).body, bytes);
    lab.stop();
}

#[test]
fn slow_storage_slows_its_client_and_nobody_else() {
    let _alone = alone();
    let lab = Lab::new();
    let hold = lab.faults.hold(Op::Append);
    let address = lab.address;
    let slow = std::thread::spawn(move || push(&mut Client::connect(address)?, "some/app", LARGE));
    lab.runtime.block_on(async { tokio::time::timeout(PATIENCE, hold.reached()).await }).unwrap();
    lab.serves_old();
    push(&mut lab.client(), "some/app", SMALL).unwrap().expect(201);
    lab.client().get("/readyz").unwrap().expect(200);
    lab.client().head(&blob(LARGE)).unwrap().expect(404);
    assert!(!slow.is_finished(), "it waits for its storage");
    hold.release();
    slow.join().unwrap().unwrap().expect(201);
    lab.stop();
}

#[test]
fn a_client_that_goes_away_in_the_middle_leaves_only_its_session() {
    let _alone = alone();
    let lab = Lab::new();
    let bytes = LARGE.bytes();
    let mut once = lab.client();
    let path = format!("/v2/some/app/blobs/uploads/?digest={}", LARGE.digest());
    once.begin("POST", &path, &[], LARGE.length).unwrap();
    once.write(&bytes[..2_000_000]).unwrap();
    eventually("the first bytes to be staged", || (!staged(&lab.storage()).is_empty()).then_some(()));
    drop(once);
    eventually("them to be removed", || staged(&lab.storage()).is_empty().then_some(()));
    lab.client().head(&blob(LARGE)).unwrap().expect(404);

    let begun = lab.client().send("POST", "/v2/some/app/blobs/uploads/", &[], b"").unwrap().expect(202);
    let location = begun.location();
    let mut chunk = lab.client();
    chunk.begin("PATCH", &location, &[], LARGE.length).unwrap();
    chunk.write(&bytes[..2_000_000]).unwrap();
    drop(chunk);
    let stands = eventually("the broken chunk to be put aside", || {
        let answer = lab.client().get(&location).unwrap().expect(204);
        let range = answer.header("range").unwrap().to_owned();
        (range != "0--1").then_some(range)
    });
    assert_eq!(stands, "0-1999999", "what arrived counts");
    let put = format!("{location}?digest={}", LARGE.digest());
    lab.client().send("PUT", &put, &[], &bytes[2_000_000..]).unwrap().expect(201);
    lab.stop();
}

#[test]
fn a_read_that_fails_is_an_error_and_never_an_absence_or_a_wrong_body() {
    let _alone = alone();
    let lab = Lab::new();
    lab.faults.fail(Op::Get, Cause::Broken);
    let answer = lab.client().get(&blob(OLD)).unwrap();
    assert!((500..600).contains(&answer.status), "{answer:?}");
    assert!(Lab::log().contains("Input/output error"));
    for ending in [Ending::Error(Cause::Broken), Ending::Silent] {
        lab.faults.arm(Op::Get, 1, Fault::Shorten { keep: 300_000, ending });
        lab.client().get(&blob(OLD)).expect_err("a body that is cut short ends the connection");
    }
    lab.serves_old();
    lab.stop();
}

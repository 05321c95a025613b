//! The limits of the HTTP side, made small: the same server, in this process.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use artifactstore::clock::Clock;
use artifactstore::dataplane::DataPlane;
use artifactstore::db::{self, Access, Db, Url};
use artifactstore::registry::{self, Registry};
use artifactstore::server::limits::{Options as Limits, Rate};
use artifactstore::server::{Options, Server};
use artifactstore::storage::Memory;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Client, PATIENCE, Repo, Request, sha256, until};

const SHORT: Duration = Duration::from_millis(200);

pub(super) struct Small {
    runtime: Runtime,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<bool>>,
    directory: TempDir,
}

impl Small {
    pub(super) fn start(options: Options) -> Self {
        Self::on(TempDir::with_prefix("artifactstore-it-").unwrap(), options)
    }

    fn on(directory: TempDir, options: Options) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (stop, stopped) = oneshot::channel();
        let database = directory.path().join("registry.db");
        let (address, running) = runtime.block_on(async {
            let db =
                Db::open(&db::Options::new(Url::Sqlite(database.clone())), Access::Create).await.unwrap();
            let data = DataPlane::new(Arc::new(Memory::new()));
            let registry =
                Registry::open(db, data, Clock::system(), registry::Options::default()).await.unwrap();
            let server = Server::bind("127.0.0.1:0".parse().unwrap(), registry, options).await.unwrap();
            let address = server.address().unwrap();
            (address, tokio::spawn(server.run(async move { drop(stopped.await) })))
        });
        Self { runtime, address, stop: Some(stop), running: Some(running), directory }
    }

    /// The same log, as another process opens it.
    pub(super) fn again(mut self, options: Options) -> Self {
        assert!(self.stop());
        let Self { directory, runtime, .. } = self;
        drop(runtime);
        Self::on(directory, options)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.directory.path().join("registry.db")
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Stops it; whether every request could end.
    pub(super) fn stop(&mut self) -> bool {
        drop(self.stop.take());
        let running = self.running.take().unwrap();
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, running).await }).unwrap().unwrap()
    }
}

#[test]
fn a_client_that_asks_for_nothing_is_let_go() {
    let server = Small::start(Options { header_timeout: SHORT, ..Options::default() });
    for begun in ["", "P", "PRI * HTTP/2.0\r\n", "GET /v2/ HTTP/1.1\r\nHost: a\r\nX-"] {
        let mut connection = server.client().connect();
        connection.write(begun).unwrap();
        let start = Instant::now();
        let rest = connection.rest();
        assert!(rest.is_ok_and(|rest| rest.is_empty() || rest.starts_with(b"HTTP/1.1 408")), "{begun:?}");
        assert!(start.elapsed() >= SHORT / 2, "{begun:?} was let go after {:?}", start.elapsed());
    }
    // One that takes its time over a body is not.
    let repo = Repo::new(&server.client(), "a");
    let location = repo.begin();
    let mut connection = repo.client.connect();
    connection.write(Request::patch(&location).header("Content-Length", "5").head_bytes()).unwrap();
    let start = Instant::now();
    for byte in ["s", "l", "o", "w", "!"] {
        connection.write(byte).unwrap();
        until("some of the header time has passed", || (start.elapsed() > SHORT / 2 * 3).then_some(()));
    }
    connection.receive("PATCH").unwrap().expect(202).with("range", "0-4");
}

#[test]
fn a_body_that_stands_still_has_broken_off_and_is_kept() {
    let server = Small::start(Options { idle_timeout: SHORT, ..Options::default() });
    let repo = Repo::new(&server.client(), "a");
    let location = repo.begin();
    let mut connection = repo.client.connect();
    connection.write(Request::patch(&location).header("Content-Length", "100").head_bytes()).unwrap();
    connection.write("0123456789").unwrap();
    connection.receive("PATCH").unwrap().refused(400, "BLOB_UPLOAD_INVALID");
    repo.client.get(&location).expect(204).with("range", "0-9");
    repo.close(&location, &sha256(b"0123456789")).expect(201);
    let mut connection = repo.client.connect();
    connection.write(Request::put(repo.manifest("v1")).header("Content-Length", "100").head_bytes()).unwrap();
    connection.write("{").unwrap();
    connection.receive("PUT").unwrap().refused(400, "SIZE_INVALID");
}

#[test]
fn an_address_that_asks_too_often_is_told_when_to_come_back_and_probes_are_answered() {
    let [one, three] = [1, 3].map(|it| NonZeroU32::new(it).unwrap());
    let hourly = Rate { requests: one, per: Duration::from_hours(1), burst: three };
    let limits = Limits { requests: Some(hourly), ..Limits::default() };
    let server = Small::start(Options { limits, ..Options::default() });
    let client = server.client();
    client.get("/v2/").expect(200);
    // What is nothing counts as well.
    client.get("/nothing").refused(404, "UNSUPPORTED");
    client.get("/v2/a/tags/list").refused(404, "NAME_UNKNOWN");
    for path in ["/v2/", "/nothing", "/v2/a/tags/list", "/metrics"] {
        let refused = client.get(path).refused(429, "TOOMANYREQUESTS");
        let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((3000..=3600).contains(&seconds), "{seconds}");
    }
    for probe in ["/livez", "/readyz", "/health"] {
        client.get(probe).expect(200);
    }
}

#[test]
fn an_address_that_stores_too_much_at_once_is_told_to_come_back() {
    let limits = Limits { uploads: NonZeroU32::new(1), ..Limits::default() };
    let server = Small::start(Options { limits, ..Options::default() });
    let repo = Repo::new(&server.client(), "a");
    let (first, second) = (repo.begin(), repo.begin());
    let mut connection = repo.client.connect();
    let head = Request::patch(&first).header("Content-Length", "5").header("Expect", "100-continue");
    connection.write(head.head_bytes()).unwrap();
    assert_eq!(connection.receive_interim().unwrap(), 100);
    let refused = repo.client.send(&Request::patch(&second).body("other")).refused(429, "TOOMANYREQUESTS");
    assert_eq!(refused.header("retry-after"), Some("5"));
    // Whoever asks how far it is stores nothing.
    repo.client.get(&second).expect(204);
    connection.write("first").unwrap();
    connection.receive("PATCH").unwrap().expect(202);
    repo.client.send(&Request::patch(&second).body("other")).expect(202);
    repo.close(&second, &sha256(b"other")).expect(201);
    let metrics = String::from_utf8(repo.client.get("/metrics").expect(200).body).unwrap();
    assert!(metrics.contains("artifactstore_requests_refused_total{limit=\"uploads\"} 1"), "{metrics}");
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_let_go() {
    let server = Small::start(Options { idle_timeout: SHORT, max_connections: 1, ..Options::default() });
    let digest = {
        let repo = Repo::new(&server.client(), "a");
        repo.push_blob(&vec![7; 32 << 20]) // more than the sockets of both sides hold
    };
    let mut stuck = server.client().connect();
    stuck.write(Request::get(format!("/v2/a/blobs/{digest}")).head_bytes()).unwrap();
    // There is one place, and the stuck client is made to give it up.
    let mut next = server.client().connect();
    next.exchange(&Request::get("/v2/")).unwrap().expect(200);
    drop(stuck);
}

#[test]
fn a_large_manifest_for_which_there_is_no_memory_is_told_to_come_back() {
    let server = Small::start(Options { idle_timeout: SHORT, collecting: 0, ..Options::default() });
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("small"); // never waits
    let large = vec![b' '; 100_000];
    let answer = repo.put_manifest("large", "application/vnd.oci.image.manifest.v1+json", &large);
    answer.expect(503).with("retry-after", "5");
    repo.push_artifact("afterwards");
}

#[test]
fn a_connection_too_many_waits_for_its_turn() {
    let server = Small::start(Options { max_connections: 2, ..Options::default() });
    let get = Request::get("/v2/");
    let mut first = server.client().connect();
    let mut second = server.client().connect();
    first.exchange(&get).unwrap().expect(200);
    second.exchange(&get).unwrap().expect(200);
    let mut third = server.client().connect();
    third.write(get.head_bytes()).unwrap();
    // The others go on meanwhile, and when one ends the third has its turn.
    first.exchange(&get).unwrap().expect(200);
    drop(second);
    third.receive("GET").unwrap().expect(200);
}

#[test]
fn a_request_that_does_not_end_in_time_is_cut_off() {
    let mut server = Small::start(Options { drain: SHORT, ..Options::default() });
    let repo = Repo::new(&server.client(), "a");
    let location = repo.begin();
    let mut connection = repo.client.connect();
    let head = Request::patch(&location).header("Content-Length", "5").header("Expect", "100-continue");
    connection.write(head.head_bytes()).unwrap();
    assert_eq!(connection.receive_interim().unwrap(), 100);
    assert!(!server.stop());

    let mut server = Small::start(Options { drain: PATIENCE, ..Options::default() });
    server.client().get("/v2/").expect(200);
    assert!(server.stop());
}

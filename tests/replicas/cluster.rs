//! Some replicas over one database and one bucket.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use artifactstore::clock::{Clock, ManualClock, Micros, SECOND};
use artifactstore::dataplane::DataPlane;
use artifactstore::db::{self, Access, Db};
use artifactstore::registry::{Options, Registry, Swept};
use artifactstore::storage::S3;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::bucket::Bucket;
use crate::database::Database;
use crate::plan::Plan;
use crate::runtime::wait;
use crate::support::{Client, Random, Server, command, eventually, folder};

/// Below this prefix of the bucket everything of a cluster lies.
pub(crate) const PREFIX: &str = "registry/";

/// Replicas, killed before their database and bucket go.
pub(crate) struct Cluster {
    replicas: Vec<Replica>,
    folder: TempDir,
    plan: Plan,
    pub(crate) database: Database,
    pub(crate) bucket: Bucket,
}

struct Replica {
    address: RwLock<SocketAddr>,
    server: Mutex<Option<Server>>,
    stands_still: AtomicBool,
    /// What ended processes had logged.
    log: Mutex<String>,
}

impl Default for Replica {
    fn default() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Self {
            address: RwLock::new(nowhere),
            server: Mutex::default(),
            stands_still: AtomicBool::new(false),
            log: Mutex::default(),
        }
    }
}

impl Cluster {
    /// Without replicas.
    pub(crate) fn new(plan: Plan) -> Self {
        let (database, bucket) = (Database::create(&plan.database), Bucket::create(&plan.storage));
        Self { replicas: Vec::new(), folder: folder(), plan, database, bucket }
    }

    /// Starts one more replica.
    pub(crate) fn add(&mut self) {
        self.replicas.push(Replica::default());
        self.start_again(self.size() - 1);
    }

    pub(crate) fn size(&self) -> usize {
        self.replicas.len()
    }

    /// Where a replica listens, or did before it died.
    pub(crate) fn address(&self, number: usize) -> SocketAddr {
        *self.replicas[number].address.read().unwrap()
    }

    pub(crate) fn client(&self, number: usize) -> Client {
        Client::connect(self.address(number)).unwrap_or_else(|error| panic!("replica {number}: {error}"))
    }

    /// SIGKILL, at once. One that is dead stays so.
    pub(crate) fn kill(&self, number: usize) {
        let replica = &self.replicas[number];
        if let Some(mut server) = guard(&replica.server).take() {
            server.kill();
            *guard(&replica.log) += &server.log();
        }
    }

    /// SIGTERM; it ends by itself, in order.
    pub(crate) fn stop(&self, number: usize) {
        let replica = &self.replicas[number];
        if let Some(server) = guard(&replica.server).take() {
            *guard(&replica.log) += &server.log();
            server.stop();
        }
    }

    /// SIGSTOP: it stands still, its connections open. Clients of a crowd avoid it, as a load balancer would.
    pub(crate) fn pause(&self, number: usize) {
        self.replicas[number].stands_still.store(true, Ordering::SeqCst);
        self.signal(number, Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn go_on(&self, number: usize) {
        self.signal(number, Signal::CONT);
        self.replicas[number].stands_still.store(false, Ordering::SeqCst);
    }

    fn signal(&self, number: usize, signal: Signal) {
        let pid = guard(&self.replicas[number].server).as_ref().expect("it runs").pid();
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).expect("no process has number 0");
        kill_process(pid, signal).expect("our child is there until it was waited for");
    }

    /// A replica chosen at random, dead or alive, and not one that stands still.
    pub(crate) fn choose(&self, random: &mut Random) -> usize {
        let moving = |number: &usize| !self.replicas[*number].stands_still.load(Ordering::SeqCst);
        let moving: Vec<_> = (0..self.size()).filter(moving).collect();
        moving[usize::try_from(random.below(moving.len() as u64)).unwrap()]
    }

    /// Starts a replica that does not run, as a supervisor would: again and again, since it does not start while a
    /// service is away.
    pub(crate) fn start_again(&self, number: usize) {
        let replica = &self.replicas[number];
        let mut running = guard(&replica.server);
        assert!(running.is_none(), "replica {number} runs");
        let deadline = Instant::now() + START_PATIENCE;
        let server = loop {
            let data = format!("replica-{number}");
            let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"], &data, true);
            command.stderr(Stdio::piped());
            match Server::try_spawn(command) {
                Ok(server) => break server,
                Err(said) => {
                    *guard(&replica.log) += &said;
                    assert!(Instant::now() < deadline, "replica {number} does not start:\n{said}");
                }
            }
        };
        *replica.address.write().unwrap() = server.address;
        *running = Some(server);
    }

    /// Everything a replica has logged in all its lives.
    pub(crate) fn log(&self, number: usize) -> String {
        let replica = &self.replicas[number];
        let running = guard(&replica.server).as_ref().map(Server::log);
        guard(&replica.log).clone() + &running.unwrap_or_default()
    }

    /// Peak resident memory of a replica so far, in MiB.
    pub(crate) fn peak_memory(&self, number: usize) -> f64 {
        guard(&self.replicas[number].server).as_ref().expect("it runs").peak_memory()
    }

    /// A command over the database and the bucket of the cluster, past every proxy. It must find everything in order.
    #[track_caller]
    pub(crate) fn expect_fine(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments, "command", false).output().expect("the binary runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "artifactstore {arguments:?} says {}:\n{out}{err}", output.status);
        out.into_owned()
    }

    /// Nothing of what went wrong has harmed anything: the log is without a hole, the views are what it leads to, every
    /// byte has its digest, and no replica has panicked or said a secret. Returns the number of events.
    #[track_caller]
    pub(crate) fn check(&self) -> usize {
        let events = self.database.log().len();
        self.expect_fine(&["replay", "--check"]);
        self.expect_fine(&["verify"]);
        for number in 0..self.size() {
            let log = self.log(number);
            assert!(!log.contains("panicked"), "replica {number}:\n{log}");
            self.keeps_secrets(&log);
            if guard(&self.replicas[number].server).is_some() {
                eventually(&format!("replica {number} to know of all {events} events"), || {
                    let ready = self.client(number).get("/readyz").unwrap();
                    let ready: serde_json::Value = serde_json::from_slice(&ready.body).unwrap();
                    (ready["sequence"] == events).then_some(())
                });
            }
        }
        events
    }

    #[track_caller]
    pub(crate) fn keeps_secrets(&self, text: &str) {
        for secret in [&self.plan.database.password, &self.plan.storage.password].into_iter().flatten() {
            assert!(!text.contains(secret.as_str()), "a secret in:\n{text}");
        }
    }

    /// Once everything unfinished is older than its expiry, a sweep leaves nothing of it in the bucket.
    pub(crate) fn check_sweep(&self) {
        wait(async {
            let clock = ManualClock::at(Clock::system().now() + DAYS);
            let url = db::Url::Postgres(self.database.place.to_string().into());
            let db = Db::open(&db::Options::new(url), Access::Create).await.unwrap();
            let storage = S3::open(&self.bucket.options(PREFIX)).await.unwrap();
            let plane = DataPlane::new(Arc::new(storage));
            let registry =
                Registry::open(db.clone(), plane, clock.clock(), Options::default()).await.unwrap();
            while registry.sweep().await.unwrap() != Swept::default() {}
            drop(registry);
            db.close().await;
        });
        let mut left = self.bucket.objects(&format!("{PREFIX}staging/"));
        left.extend(self.bucket.multiparts().into_iter().map(|(key, _)| key));
        assert!(left.is_empty(), "the sweep left {left:?}");
        assert_eq!(self.database.number("SELECT COUNT(*) FROM uploads"), 0, "the sweep left sessions");
    }

    /// Runs `serve` with other settings and expects it to refuse: exit code 2 within seconds, nothing on standard output,
    /// and a sentence that holds `words`. Returns what it said.
    #[track_caller]
    pub(crate) fn refuses(&self, settings: &[(&str, &str)], words: &[&str]) -> String {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"], "refused", false);
        apply(&mut command, settings);
        let begun = Instant::now();
        let output = output(command, REFUSAL_PATIENCE);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let told = format!("{settings:?}: {} after {:.1?}\n{out}{err}", output.status, begun.elapsed());
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(out.is_empty(), "{told}");
        let sentences: Vec<_> = err.lines().filter(|line| line.starts_with("artifactstore: ")).collect();
        assert!(
            matches!(sentences.as_slice(), [one] if words.iter().all(|word| one.contains(word))),
            "{words:?}: {told}"
        );
        assert!(err.lines().last() == sentences.last().copied() && !err.contains("panicked"), "{told}");
        self.keeps_secrets(&err);
        println!("{}", sentences[0]);
        err.into_owned()
    }

    /// A command of the binary with the settings of this cluster: which engines it runs on is said here and nowhere else.
    fn command(&self, arguments: &[&str], data: &str, through_proxies: bool) -> Command {
        let mut command = command(arguments, &self.data(data));
        let proxies = |address: Option<SocketAddr>| address.filter(|_| through_proxies);
        let (database, storage) = (&self.database.place, &self.bucket.service);
        let database =
            proxies(self.plan.database_at).map_or(database.clone(), |address| database.at(address));
        let storage = proxies(self.plan.storage_at).map_or(storage.clone(), |address| storage.at(address));
        let (url, endpoint) = (database.to_string(), storage.endpoint());
        let engines = [
            ("DATABASE_URL", url.as_str()),
            ("STORAGE_BACKEND", "s3"),
            ("STORAGE_S3_BUCKET", &self.bucket.name),
            ("STORAGE_S3_PREFIX", PREFIX),
            ("STORAGE_S3_ENDPOINT", &endpoint),
            ("STORAGE_S3_REGION", "us-east-1"),
            ("STORAGE_S3_PATH_STYLE", "true"),
            ("STORAGE_S3_ACCESS_KEY_ID", &storage.user),
            ("STORAGE_S3_SECRET_ACCESS_KEY", storage.password.as_deref().unwrap_or_default()),
        ];
        apply(&mut command, &engines);
        for (name, value) in &self.plan.settings {
            apply(&mut command, &[(name, value)]);
        }
        command
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.replicas.clear();
    }
}

/// How long a supervisor tries to start a replica.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// Longer than any upload is kept.
const DAYS: Micros = 3 * 24 * 3600 * SECOND;

/// A refusal that takes longer is a server that hangs.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(30);

/// Settings for a command, named without the prefix that all have.
fn apply(command: &mut Command, settings: &[(&str, &str)]) {
    command.envs(settings.iter().map(|(name, value)| (format!("ARTIFACTSTORE_{name}"), value)));
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a command to its end; one that goes on is killed and fails the test.
fn output(mut command: Command, patience: Duration) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary runs");
    let pid = Pid::from_child(&child);
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output()));
    end.recv_timeout(patience).map_or_else(
        |_| {
            let _ = kill_process(pid, Signal::KILL);
            let said = end.recv().expect("it was killed").expect("it is our child");
            panic!("it goes on after {patience:?}:\n{}", String::from_utf8_lossy(&said.stderr));
        },
        |output| output.expect("it is our child"),
    )
}

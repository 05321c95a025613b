//! The program under test as a process.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::engine::Engine;
use super::program::Ran;
use super::{Client, command, is_production, run_command, until};

/// How to start a server.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    flags: Vec<String>,
    env: Vec<(String, OsString)>,
    data: Data,
    listen: Option<String>,
    /// Ours on the production engines; it goes away with the last server on it.
    engine: Option<Arc<Engine>>,
}

#[derive(Clone, Debug)]
enum Data {
    /// Ours: it goes away with the last server on it.
    Own(Arc<TempDir>),
    /// The test's.
    At(PathBuf),
    /// Whatever flags and environment say.
    Unsaid,
}

impl Launch {
    /// On a fresh directory and a free port; on the production engines also on a fresh database and bucket.
    pub(crate) fn new() -> Self {
        let own = TempDir::with_prefix("artifactstore-it-").expect("a temporary directory can be made");
        let engine = is_production().then(|| Arc::new(Engine::create()));
        Self {
            data: Data::Own(Arc::new(own)),
            listen: Some("127.0.0.1:0".to_owned()),
            engine,
            ..Self::bare()
        }
    }

    /// On a directory of the test, whatever the engines.
    pub(crate) fn on(directory: &Path) -> Self {
        Self { data: Data::At(directory.to_owned()), listen: Some("127.0.0.1:0".to_owned()), ..Self::bare() }
    }

    /// With nothing but what the test adds.
    pub(crate) fn bare() -> Self {
        Self { flags: Vec::new(), env: Vec::new(), data: Data::Unsaid, listen: None, engine: None }
    }

    /// On this address instead of a free port of 127.0.0.1.
    pub(crate) fn listen(mut self, address: &str) -> Self {
        self.listen = Some(address.to_owned());
        self
    }

    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = command();
        command.arg("serve");
        if let Some(listen) = &self.listen {
            command.args(["--listen", listen]);
        }
        self.place(&mut command);
        command.args(&self.flags).envs(self.env.iter().cloned());
        command
    }

    /// Tells a command where the registry is.
    fn place(&self, command: &mut Command) {
        match &self.data {
            Data::Own(directory) => drop(command.arg("--data").arg(directory.path())),
            Data::At(directory) => drop(command.arg("--data").arg(directory)),
            Data::Unsaid => {}
        }
        if let Some(engine) = &self.engine {
            command.envs(engine.settings());
        }
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub(crate) fn start(self) -> Server {
        match self.try_start() {
            Ok(server) => server,
            Err(log) => panic!("the server did not start: {log}"),
        }
    }

    /// Starts it; what it said on standard error when it ended before it listened.
    fn try_start(self) -> Result<Server, String> {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be run");
        let log = Arc::new(Mutex::new(String::new()));
        let (err, into) = (child.stderr.take().expect("it is piped"), Arc::clone(&log));
        let logger = std::thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                *into.lock().expect("no holder panics") += &(line + "\n");
            }
        });
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let read = out.read_line(&mut line);
        let url = line.strip_prefix("listening on ").map(str::trim_end).unwrap_or_default();
        let place = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let address = place.and_then(|place| place.parse().ok());
        let mut server = Server {
            child,
            address: SocketAddr::from(([0; 4], 0)),
            log,
            logger: Some(logger),
            launch: self,
            out: Some(out),
        };
        if let Some(address) = address {
            server.address = address;
            return Ok(server);
        }
        let status = server.child.wait().expect("it is our child");
        server.join();
        Err(format!("{status}, {read:?}, {line:?}\n{}", server.log()))
    }
}

/// A running server. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    logger: Option<JoinHandle<()>>,
    launch: Launch,
    out: Option<BufReader<std::process::ChildStdout>>,
}

impl Server {
    /// A server on a fresh directory.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Launch::new().start()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> &Path {
        match &self.launch.data {
            Data::Own(directory) => directory.path(),
            Data::At(directory) => directory,
            Data::Unsaid => panic!("the test did not say where the data is"),
        }
    }

    /// Runs another command on the same registry to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    /// The same with some settings of its own.
    #[track_caller]
    pub(crate) fn run_with(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Ran {
        let mut command = command();
        command.args(arguments);
        self.launch.place(&mut command);
        run_command(command.envs(settings.iter().copied()))
    }

    /// Tells a command where its registry is.
    pub(crate) fn place(&self, command: &mut Command) {
        self.launch.place(command);
    }

    /// What it wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no holder panics").clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("our child is there until it was waited for");
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = until("the server ends", || self.child.try_wait().expect("it is our child"));
        self.join();
        status
    }

    /// SIGTERM; it must end with 0. Returns what it wrote after the first line.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> String {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{status}\n{}", self.log());
        let mut rest = String::new();
        if let Some(mut out) = self.out.take() {
            out.read_to_string(&mut rest).expect("the pipe is closed in order");
        }
        rest
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.join();
    }

    /// The same again on the same data, on another port. Ends this one by SIGKILL if it still runs.
    #[track_caller]
    pub(crate) fn restart(mut self) -> Self {
        self.kill();
        self.launch.clone().start()
    }

    /// What it had in memory at its peak, MiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells the peak");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
        kib / 1024
    }

    /// The same again on the same data and the same port. Ends this one by SIGKILL. Its address must be one no other
    /// test takes a port of.
    #[track_caller]
    pub(crate) fn restart_in_place(mut self) -> Self {
        self.kill();
        self.launch.clone().listen(&self.address.to_string()).start()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn join(&mut self) {
        if let Some(logger) = self.logger.take() {
            let _ = logger.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of {} ---\n{}", self.address, self.log());
        }
    }
}

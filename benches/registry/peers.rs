//! The parties: real programs on free loopback ports, each in a folder of its own that goes with it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::Outcome;

/// How long a party may take to answer its first connection, and to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a started party is left alone before its idle memory is read.
const SETTLE: Duration = Duration::from_millis(500);

/// How the names of the parties' folders begin.
const PREFIX: &str = "artifactstore-bench-";

/// A running program. Stopped, by its process id, when it is dropped.
#[derive(Debug)]
pub(super) struct Peer {
    name: &'static str,
    child: Child,
    address: SocketAddr,
    idle: f64,
    folder: TempDir,
}

impl Peer {
    /// This registry: the release build, or what `ARTIFACTSTORE_BIN` names.
    pub(super) fn ours() -> Outcome<Self> {
        Self::ours_with(&[])
    }

    /// The same with settings, as variables.
    pub(super) fn ours_with(settings: &[(&str, &str)]) -> Outcome<Self> {
        let folder = folder()?;
        let binary = std::env::var_os("ARTIFACTSTORE_BIN");
        let binary = binary.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_artifactstore")), PathBuf::from);
        let mut command = Command::new(&binary);
        // A variable it does not know stops it.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ARTIFACTSTORE_") {
                command.env_remove(name);
            }
        }
        // As quiet as the others are told to be.
        command.env("ARTIFACTSTORE_LOG_LEVEL", "error").envs(settings.iter().copied());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path().join("data"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|error| {
            format!("cannot start {}: {error}; build it with cargo build --release", binary.display())
        })?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("its output is piped")?;
        let read = BufReader::new(out).read_line(&mut line);
        let address = line.trim().strip_prefix("listening on http://").and_then(|text| text.parse().ok());
        let Some(address) = address else {
            stop(&mut child);
            return Err(format!("{} said {line:?} ({read:?})", binary.display()).into());
        };
        Self { name: "artifactstore", child, address, idle: 0.0, folder }.settled()
    }

    /// nginx as Debian has it, serving [`Peer::files`] with sendfile from two workers.
    pub(super) fn nginx() -> Outcome<Self> {
        let (folder, address) = (folder()?, free_address()?);
        let path = folder.path().display();
        fs::create_dir(folder.path().join("files"))?;
        // As root its workers would lose the right to read our files.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let config = format!(
            "daemon off; worker_processes 2; pid {path}/pid; error_log {path}/error.log error; {user}\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n\
             access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;\n\
             default_type application/octet-stream;\n\
             client_body_temp_path {path}/t1; proxy_temp_path {path}/t2; fastcgi_temp_path {path}/t3;\n\
             uwsgi_temp_path {path}/t4; scgi_temp_path {path}/t5;\n\
             server {{\n\
             listen {address}; root {path}/files;\n\
             location /manifests/ {{ default_type application/vnd.oci.image.manifest.v1+json; }}\n\
             }}\n}}\n"
        );
        fs::write(folder.path().join("nginx.conf"), config)?;
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(folder.path().join("nginx.conf"));
        Self::start("nginx", "nginx", command, address, folder)
    }

    /// CNCF distribution as Debian has it, storing in a folder.
    pub(super) fn distribution() -> Outcome<Self> {
        Self::distribution_in(folder()?)
    }

    /// The same in memory, where an fsync costs nothing.
    pub(super) fn distribution_in_memory() -> Outcome<Self> {
        Self::distribution_in(tempfile::Builder::new().prefix(PREFIX).tempdir_in("/dev/shm")?)
    }

    fn distribution_in(folder: TempDir) -> Outcome<Self> {
        let address = free_address()?;
        let data = folder.path().join("data");
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            data.display()
        );
        fs::write(folder.path().join("config.yml"), config)?;
        let mut command = Command::new("/usr/bin/docker-registry");
        command.arg("serve").arg(folder.path().join("config.yml"));
        Self::start("distribution", "docker-registry", command, address, folder)
    }

    fn start(
        name: &'static str,
        package: &str,
        mut command: Command,
        address: SocketAddr,
        folder: TempDir,
    ) -> Outcome<Self> {
        let log = fs::File::create(folder.path().join("log"))?;
        let command = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}; try: apt-get install {package}"))?;
        Self { name, child, address, idle: 0.0, folder }.settled()
    }

    /// Waits until it answers, then notes what it needs while nothing happens.
    fn settled(mut self) -> Outcome<Self> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            if Instant::now() > deadline || self.child.try_wait()?.is_some() {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(format!("{} does not answer on {}: {log}", self.name, self.address).into());
            }
            sleep(Duration::from_millis(20));
        }
        sleep(SETTLE);
        self.idle = self.resident("VmRSS:")?;
        Ok(self)
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder nginx serves.
    pub(super) fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    /// The file in which this registry keeps the blob with `length` bytes that was stored last.
    pub(super) fn stored(&self, length: usize) -> Outcome<PathBuf> {
        let mut files = Vec::new();
        walk(&self.folder.path().join("data/storage/blake3"), &mut files)?;
        let is_it = |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.len() == length as u64);
        let found = files
            .into_iter()
            .filter(is_it)
            .max_by_key(|path| fs::metadata(path).and_then(|m| m.modified()).ok());
        Ok(found.ok_or("the blob is not where local storage keeps objects")?)
    }

    /// Resident memory after the start, MiB.
    pub(super) fn idle(&self) -> f64 {
        self.idle
    }

    /// The most resident memory since the start or the last call, MiB. Pages that several processes of a
    /// party share count for each.
    pub(super) fn peak(&self) -> Outcome<f64> {
        let peak = self.resident("VmHWM:")?;
        for pid in self.processes()? {
            fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        }
        Ok(peak)
    }

    /// What `field` of its processes says in `/proc`, MiB.
    pub(super) fn resident(&self, field: &str) -> Outcome<f64> {
        let mut total = 0.0;
        for pid in self.processes()? {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no memory in /proc")?;
            total += kib.parse::<f64>()? / 1024.0;
        }
        Ok(total)
    }

    fn processes(&self) -> Outcome<Vec<String>> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        Ok(std::iter::once(pid.to_string()).chain(children.split_whitespace().map(str::to_owned)).collect())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// Asks politely, then insists.
fn stop(child: &mut Child) {
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
    let deadline = Instant::now() + PATIENCE;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        sleep(Duration::from_millis(10));
    }
}

fn folder() -> Outcome<TempDir> {
    Ok(tempfile::Builder::new().prefix(PREFIX).tempdir()?)
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

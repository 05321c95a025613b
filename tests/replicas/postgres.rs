//! A `PostgreSQL` server of our own, for what must not be done to one that others use: crashing it, and asking it for
//! passwords.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::place::Place;

/// Not in any other text of a test, so that finding it in a log says where it comes from.
pub(crate) const PASSWORD: &str = "tide-ladder-quince";

const USER: &str = "registry";

/// A running server. Stopped when dropped.
#[derive(Debug)]
pub(crate) struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    address: SocketAddr,
}

/// How a server is restarted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Restart {
    /// Sessions are ended in order.
    Fast,
    /// As in a crash: the log is replayed at the start.
    Immediate,
}

impl Postgres {
    /// A fresh one that asks for a password.
    pub(crate) fn start() -> Self {
        // Not in the build directory: the account it runs under must be able to come there.
        let folder = TempDir::with_prefix("artifactstore-postgres-").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let server = Self { folder, programs: programs(), address };
        let password = server.path("password");
        fs::write(&password, PASSWORD).unwrap();
        for path in [server.folder.path(), &password] {
            if let Some(account) = account() {
                chown(path, Some(account.0), Some(account.1)).unwrap();
            }
        }
        server.run("initdb", |command| {
            command.args(["--username", USER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
            command.args(["--no-sync", "--pwfile"]).arg(&password).arg("-D").arg(server.path("data"))
        });
        server.again();
        server
    }

    /// The database that is there from the start, for making others.
    pub(crate) fn admin(&self) -> Place {
        Place::new("postgres", (USER, PASSWORD), self.address, "postgres")
    }

    /// Ends every connection and comes back, at the same address.
    pub(crate) fn restart(&self, how: Restart) {
        self.control(&["restart", "-m", how.mode()]);
    }

    /// Goes away and stays away.
    pub(crate) fn stop(&self) {
        self.control(&["stop", "-m", "fast"]);
    }

    /// Comes back after [`stop`](Self::stop).
    pub(crate) fn again(&self) {
        // A crash of the server is not one of the machine: nothing needs to reach the disk.
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 -c fsync=off",
            self.address.port()
        );
        self.control(&["start", "-o", &options]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn control(&self, arguments: &[&str]) {
        self.run("pg_ctl", |command| {
            command.arg("-D").arg(self.path("data")).arg("-l").arg(self.path("log"));
            command.args(["-w", "-t", "60"]).args(arguments)
        });
    }

    fn pid(&self) -> Option<String> {
        let text = fs::read_to_string(self.path("data/postmaster.pid")).ok()?;
        text.lines().next().map(str::to_owned)
    }

    /// Runs one of its programs under an account that is not root's, which they refuse.
    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) {
        let program = self.programs.join(program);
        let mut command = match account() {
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"]);
                command.arg(&program);
                command
            }
            None => Command::new(&program),
        };
        // To a file and not to a pipe: the server inherits it and would keep the pipe open.
        let said = self.path("said");
        let file = fs::File::create(&said).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        command.current_dir(self.folder.path());
        let status = arguments(&mut command).status().unwrap();
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        assert!(
            status.success(),
            "{} says {status}:\n{}{log}",
            program.display(),
            fs::read_to_string(said).unwrap()
        );
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Not through its programs: nothing here may panic. QUIT is what they send for "immediate".
        if let Some(pid) = self.pid() {
            let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        }
    }
}

impl Restart {
    fn mode(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Immediate => "immediate",
        }
    }
}

/// Where the programs of the newest version are: Debian has them on nobody's path.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let found =
        versions.map(|entry| entry.unwrap().path().join("bin")).filter(|path| path.join("initdb").exists());
    let version = |path: &PathBuf| {
        let number = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        number.and_then(|number| number.parse::<u32>().ok())
    };
    found.max_by_key(version).expect("Debian's postgresql is installed")
}

/// The account for a server that root starts.
fn account() -> Option<(u32, u32)> {
    rustix::process::geteuid().is_root().then(|| {
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let line = users.lines().find(|line| line.starts_with("postgres:")).expect("Debian's account");
        let number =
            |at: usize| line.split(':').nth(at).and_then(|text| text.parse().ok()).expect("a number");
        (number(2), number(3))
    })
}

mod tests {
    use super::{Postgres, Restart};
    use crate::database::Database;
    use crate::support::alone;

    #[test]
    fn a_server_of_our_own_comes_back_with_what_was_committed() {
        let _alone = alone();
        let postgres = Postgres::start();
        let database = Database::create(&postgres.admin());
        database.execute("CREATE TABLE numbers AS SELECT 7::bigint AS number");
        for restart in [Restart::Immediate, Restart::Fast] {
            postgres.restart(restart);
            assert_eq!(database.number("SELECT number FROM numbers"), 7, "{restart:?}");
        }
        postgres.stop();
        postgres.again();
        assert_eq!(database.number("SELECT number FROM numbers"), 7);
    }
}

//! Does the folder work now?

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

use super::files;
use super::sync::Scope;
use super::volume::{PROBE_PREFIX, Volume};
use crate::storage::{Capacity, Error, Health};

const PROBE: &[u8] = b"artifactstore probe\n";

impl Volume {
    /// See [`Backend::health`](crate::storage::Backend::health). A suspect volume is not written to.
    pub(super) fn health(&self) -> Health {
        let problem = match self.suspicion() {
            Some(reason) => Some(format!("the volume is suspect until it was checked: {reason}")),
            None => self.find_problem().err(),
        };
        let capacity = rustix::fs::fstatvfs(self.root()).ok().map(|stat| Capacity {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            available: stat.f_bavail.saturating_mul(stat.f_frsize),
        });
        Health { writable: problem.is_none(), problem, capacity, capabilities: Vec::new() }
    }

    fn find_problem(&self) -> Result<(), String> {
        let path = self.path().display();
        let opened = rustix::fs::fstat(self.root()).map_err(|e| format!("storage folder {path}: {e}"))?;
        let named = rustix::fs::stat(self.path())
            .map_err(|e| format!("storage folder {path} can not be reached: {e}"))?;
        if (opened.st_dev, opened.st_ino) != (named.st_dev, named.st_ino) {
            return Err(format!("storage folder {path} was replaced while it was open"));
        }
        self.try_out().map_err(|e| match e {
            Error::Io { action, source } => format!("storage folder {path}: can not {action}: {source}"),
            other => format!("storage folder {path}: {other}"),
        })
    }

    /// Writes, syncs, reads and removes a file. Its name is no staging id, so it is never a leftover.
    fn try_out(&self) -> Result<(), Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let staging = self.staging()?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PROBE_PREFIX}{}-{count}", std::process::id());
        let file = files::create(&staging, &name).map_err(|e| Error::io("create a probe", e))?;
        let result = self.write_and_read(&file);
        match files::unlink(&staging, &name) {
            // Another process that opens the folder clears probes away.
            Ok(()) | Err(Errno::NOENT) => result,
            Err(e) => result.and(Err(Error::io("remove a probe", e))),
        }
    }

    fn write_and_read(&self, mut file: &File) -> Result<(), Error> {
        file.write_all(PROBE).map_err(|e| Error::io("write a probe", e))?;
        self.sync(Scope::File, file, "fsync of a probe")?;
        let mut back = [0; PROBE.len()];
        file.read_exact_at(&mut back, 0).map_err(|e| Error::io("read a probe", e))?;
        if back == PROBE {
            Ok(())
        } else {
            let differs = io::Error::new(io::ErrorKind::InvalidData, "other bytes came back");
            Err(Error::io("read a probe", differs))
        }
    }
}

//! The folder everything happens in, and what is known about its health.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustix::io::Errno;

use super::claims::Claims;
use super::files;
use super::folders::Durable;
use super::pool::Pool;
use super::sync::{Fsync, Scope};
use crate::storage::{BackendId, Error, Key, Receipt};

/// What a path in a `file:` URI may hold unescaped (RFC 3986, unreserved and `/`).
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How the names of probe files in the staging folder begin: no staging id does.
pub(super) const PROBE_PREFIX: &str = ".probe-";

/// Buffers kept for reuse by readers: 16 MiB at most.
const POOLED_BUFFERS: usize = 64;

/// An opened root folder.
#[derive(Debug)]
pub(super) struct Volume {
    id: BackendId,
    path: PathBuf,
    root: File,
    sync: Fsync,
    suspect: OnceLock<String>,
    /// Whether small objects can be written without ever having a staging name.
    pub(super) nameless: bool,
    pub(super) durable: Durable,
    pub(super) claims: Arc<Claims>,
    pub(super) pool: Arc<Pool>,
}

impl Volume {
    pub(super) fn open(id: BackendId, root: &Path, sync: Fsync) -> Result<Self, Error> {
        let failed = |e: io::Error| Error::io(format!("open storage folder {}", root.display()), e);
        let path = make_root(root, &sync).map_err(failed)?;
        let root = File::open(&path).map_err(failed)?;
        files::make_folder(&root, Key::RESERVED).map_err(|e| failed(e.into()))?;
        sync.run(Scope::Folder, &root).map_err(failed)?;
        let staging = files::folder(&root, Key::RESERVED).map_err(|e| failed(e.into()))?;
        remove_old_probes(&staging);
        Ok(Self {
            id,
            path,
            root,
            sync,
            suspect: OnceLock::new(),
            nameless: supports_nameless(&staging),
            durable: Durable::default(),
            claims: Arc::default(),
            pool: Arc::new(Pool::new(POOLED_BUFFERS)),
        })
    }

    pub(super) fn id(&self) -> &BackendId {
        &self.id
    }

    pub(super) fn root(&self) -> &File {
        &self.root
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of staged writes. Its absence is a broken volume, never an absent write.
    pub(super) fn staging(&self) -> Result<File, Error> {
        files::folder(&self.root, Key::RESERVED).map_err(|e| Error::io("open the staging folder", e))
    }

    /// `file://{absolute path}`.
    pub(super) fn uri(&self, key: &Key) -> String {
        let path = self.path.join(key.as_str());
        format!("file://{}", percent_encode(path.as_os_str().as_bytes(), PATH))
    }

    pub(super) fn receipt(&self, key: &Key, size: u64) -> Receipt {
        Receipt { backend: self.id.clone(), key: key.clone(), size, uri: self.uri(key), version: None }
    }

    /// Refuses to go on when the volume is suspect.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        match self.suspect.get() {
            None => Ok(()),
            Some(reason) => Err(Error::Suspect { backend: self.id.as_str().into(), reason: reason.clone() }),
        }
    }

    /// What made the volume suspect, if anything did.
    pub(super) fn suspicion(&self) -> Option<&str> {
        self.suspect.get().map(String::as_str)
    }

    /// Makes `file` durable. A failure makes the volume suspect, for good.
    pub(super) fn sync(&self, scope: Scope, file: &File, action: &str) -> Result<(), Error> {
        self.sync.run(scope, file).map_err(|e| {
            let reason = format!("{action} failed: {e}");
            tracing::error!(storage.backend = %self.id, "Storage volume is suspect, writes stop: {reason}");
            // Only the first reason is kept; later ones follow from it.
            let _ = self.suspect.set(reason);
            Error::io(action, e)
        })
    }

    /// Whether the root folder itself was removed, so that "no such file" says nothing about a file.
    fn is_gone(&self) -> bool {
        rustix::fs::fstat(&self.root).map_or(true, |stat| stat.st_nlink == 0)
    }

    /// Tells absence from a vanished root: the first is `missing`, the second an error.
    pub(super) fn absent<T>(&self, action: &str, missing: Result<T, Error>) -> Result<T, Error> {
        if self.is_gone() { Err(Error::io(action, Errno::STALE)) } else { missing }
    }
}

/// Creates the root where it is missing, every new entry durable, and resolves its links.
fn make_root(root: &Path, sync: &Fsync) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(root)?;
    let missing = absolute.ancestors().take_while(|path| !path.exists()).collect::<Vec<_>>();
    std::fs::create_dir_all(&absolute)?;
    for parent in missing.into_iter().filter_map(Path::parent) {
        sync.run(Scope::Folder, &File::open(parent)?)?;
    }
    absolute.canonicalize()
}

/// Removes the probes of processes that were killed in the middle of one. Best effort.
fn remove_old_probes(staging: &File) {
    for (name, _) in files::entries(staging).unwrap_or_default() {
        if name.starts_with(PROBE_PREFIX) {
            let _ = files::unlink(staging, &name);
        }
    }
}

/// Tries, once, what every small write will do: not all file systems know nameless files, and linking
/// one needs `/proc`.
fn supports_nameless(staging: &File) -> bool {
    let name = format!("{PROBE_PREFIX}nameless-{}", std::process::id());
    let linked =
        files::create_nameless(staging).and_then(|file| files::name_nameless(&file, staging, &name)).is_ok();
    let _ = files::unlink(staging, &name);
    linked
}

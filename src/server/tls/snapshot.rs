//! The files as they are at one time.
//!
//! Each is read once, and what is made of them is made of these bytes: what is compared later is what was used. Size
//! and time of a file would be cheaper to compare and do not tell: Kubernetes exchanges a link, and a copy may keep its
//! time. The files are small.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use crate::hash::sha256;
use crate::secret::Secret;

/// The largest file, in bytes. Lists of revoked certificates of large authorities have some megabytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What may be done by those who are neither owner nor in the group.
const OTHERS: u32 = 0o007;

/// What tells one state of the files from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

/// All files at one time, with those that cannot be read.
pub(super) struct Snapshot(BTreeMap<PathBuf, Result<File, Arc<io::Error>>>);

/// A file that was read.
pub(super) struct File {
    pub(super) path: PathBuf,
    /// PEM is ASCII; what is not, around its blocks, does not matter.
    pub(super) text: Secret,
    /// Its permissions.
    mode: u32,
    digest: [u8; 32],
}

impl Snapshot {
    pub(super) fn read<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        Self(paths.into_iter().map(|path| (path.to_owned(), File::read(path).map_err(Arc::new))).collect())
    }

    /// One of those that were asked for.
    pub(super) fn file(&self, path: &Path) -> Result<&File, Error> {
        let file = self.0.get(path).expect("it was asked for");
        file.as_ref().map_err(|source| Error::Read { path: path.to_owned(), source: Arc::clone(source) })
    }

    /// Is another one when bytes or permissions of a file changed, or whether and why it cannot be read.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let one = |file: &Result<File, Arc<io::Error>>| match file {
            Ok(file) => sha256(&[b"file", &[u8::from(file.is_open_to_all())], &file.digest]),
            Err(error) => sha256(&[b"error", error.to_string().as_bytes()]),
        };
        let all: Vec<_> = self.0.values().map(one).collect();
        Fingerprint(sha256(&all.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>()))
    }
}

impl File {
    fn read(path: &Path) -> io::Result<Self> {
        // Before it is opened: to open a pipe would wait for its other end.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        let file = fs::File::open(path)?;
        let mode = file.metadata()?.permissions().mode() & 0o7777;
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 64 MiB"));
        }
        let text = Secret::from(&*String::from_utf8_lossy(&bytes));
        Ok(Self { path: path.to_owned(), text, mode, digest: sha256(&[&bytes]) })
    }

    /// Refuses a file that everybody may read or write; for those with a private key.
    pub(super) fn check_closed(&self) -> Result<(), Error> {
        if self.is_open_to_all() {
            return Err(Error::OpenToAll { path: self.path.clone(), mode: self.mode });
        }
        Ok(())
    }

    fn is_open_to_all(&self) -> bool {
        self.mode & OTHERS != 0
    }
}

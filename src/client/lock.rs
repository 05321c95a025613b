//! One process at a time: one pull into a directory, one tail that keeps its place in a file.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Error;
use super::tree::{LOCK, OWN, special};

/// How often the file may be another one by the time it is locked: whoever had it took it away.
const ATTEMPTS: usize = 16;

/// An empty file that nobody else has, which stands for something. Goes with the process, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _held: File,
}

/// What came of asking for a lock.
#[derive(Debug)]
pub(super) enum Claim {
    /// It is ours.
    Ours(Lock),
    /// Another process has it.
    Taken,
    /// It cannot be had: this is there instead.
    NoFile(&'static str),
}

impl Lock {
    /// Takes a directory whose own folder is there, or says that another process has it.
    pub(super) fn take(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(OWN).join(LOCK);
        match Self::claim(&path).map_err(Error::file(&path, "written"))? {
            Claim::Ours(lock) => Ok(lock),
            Claim::Taken => Err(Error::Busy { path: directory.to_owned() }),
            Claim::NoFile(what) => Err(Error::NoLock { path, what }),
        }
    }

    /// Takes a file for this process, which makes it.
    pub(super) fn claim(path: &Path) -> io::Result<Claim> {
        for _ in 0..ATTEMPTS {
            match fs::symlink_metadata(path) {
                Ok(meta) if !meta.is_file() => return Ok(Claim::NoFile(special(meta.file_type()))),
                _ => {}
            }
            let held = open(path)?;
            match held.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let (ours, there) = (held.metadata(), fs::symlink_metadata(path));
            let place = |meta: io::Result<fs::Metadata>| meta.ok().map(|meta| (meta.dev(), meta.ino()));
            if place(ours) == place(there) {
                return Ok(Claim::Ours(Self { path: path.to_owned(), _held: held }));
            }
        }
        Ok(Claim::Taken)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is held: whoever opened it meanwhile sees that it is another one.
        let _ = fs::remove_file(&self.path);
    }
}

/// Never through a link, and never waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).expect("flags of open fit");
    let mut options = File::options();
    options.create(true).truncate(false).write(true).custom_flags(flags);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_taken_once_and_free_again_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(OWN)).unwrap();
        let held = Lock::take(folder.path()).unwrap();
        assert!(matches!(Lock::take(folder.path()), Err(Error::Busy { .. })));
        drop(held);
        drop(Lock::take(folder.path()).unwrap());
        assert_eq!(fs::read_dir(folder.path().join(OWN)).unwrap().count(), 0);
        std::os::unix::fs::symlink(folder.path().join("x"), folder.path().join(OWN).join(LOCK)).unwrap();
        assert!(matches!(Lock::take(folder.path()), Err(Error::NoLock { .. })));
        assert!(!folder.path().join("x").exists());
    }

    #[test]
    fn a_folder_where_the_lock_should_be_is_not_said_to_be_in_the_way_of_a_file_of_the_package() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(OWN).join(LOCK)).unwrap();
        let refused = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("pull.lock is a folder") && refused.contains("remove it"), "{refused}");
        assert!(!refused.contains("the package"), "{refused}");
    }
}

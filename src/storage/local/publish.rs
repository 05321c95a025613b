//! Giving bytes a key, and taking it away.

use std::fs::File;
use std::io::{self, Write as _};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::files;
use super::folders::{Folder, Walk};
use super::sync::Scope;
use super::volume::Volume;
use crate::storage::{Deletion, Error, Key, Metadata, Receipt, StagingId};

/// How often a write walks again because a delete removed an empty folder under its feet. Each round
/// takes a delete that empties just this folder in just that moment.
const ROUNDS: usize = 64;

impl Volume {
    /// Writes a small object; see [`Backend::put`](crate::storage::Backend::put).
    pub(super) fn put(&self, key: &Key, body: &[u8]) -> Result<Receipt, Error> {
        self.check_writable()?;
        let staging = self.staging()?;
        if self.nameless {
            let file = files::create_nameless(&staging).map_err(|e| writing(key, e))?;
            self.fill(key, &file, body)?;
            self.give(key, |folder, name| files::name_nameless(&file, folder, name))?;
        } else {
            self.put_named(&staging, key, body)?;
        }
        Ok(self.receipt(key, body.len() as u64))
    }

    /// `put` where the file system knows no nameless files. A crash leaves the staged write `put-…`.
    fn put_named(&self, staging: &File, key: &Key, body: &[u8]) -> Result<(), Error> {
        let name = unique_name().map_err(|e| writing(key, e))?;
        let file = files::create(staging, &name).map_err(|e| writing(key, e))?;
        let result = self.fill(key, &file, body).and_then(|()| {
            self.give(key, |folder, target| files::rename_new((staging, &name), (folder, target)))
        });
        if result.is_err() {
            let _ = files::unlink(staging, &name);
        }
        result
    }

    fn fill(&self, key: &Key, mut file: &File, body: &[u8]) -> Result<(), Error> {
        file.write_all(body).map_err(|e| writing(key, e))?;
        self.sync(Scope::File, file, &format!("fsync of {key}"))
    }

    /// Publishes a staged write whose bytes are complete in `file`.
    ///
    /// An existing key leaves the staged write as it is. A failed fsync removes it: its bytes can not be
    /// trusted any more, and must not be resumed after a restart.
    pub(super) fn publish(&self, id: &StagingId, file: &File, key: &Key) -> Result<(), Error> {
        self.check_writable()?;
        let staging = self.staging()?;
        self.sync(Scope::File, file, &format!("fsync of {key}")).inspect_err(|_| {
            let _ = files::unlink(&staging, id.as_str());
        })?;
        self.give(key, |folder, name| files::rename_new((&staging, id.as_str()), (folder, name)))
    }

    /// Lets `link` give the object its name and makes that durable. On error the name is not there.
    fn give(&self, key: &Key, link: impl Fn(&File, &str) -> Result<(), Errno>) -> Result<(), Error> {
        for _ in 0..ROUNDS {
            let linked =
                self.make_folder(key).and_then(|folder| link(folder.file(), folder.name()).map(|()| folder));
            match linked {
                Ok(folder) => return self.settle(&folder).inspect_err(|_| take_back(&folder)),
                Err(Errno::EXIST) => return Err(Error::exists(key)),
                // Somebody removed the folder between walking to it and linking into it.
                Err(Errno::NOENT) => {}
                Err(e) => return Err(writing(key, e)),
            }
        }
        Err(writing(key, Errno::NOENT))
    }

    /// Removes an object; see [`Backend::delete`](crate::storage::Backend::delete).
    ///
    /// "Missing" is made durable as well: an earlier delete may have been killed before its fsync.
    pub(super) fn delete(&self, key: &Key) -> Result<Deletion, Error> {
        self.check_writable()?;
        let action = format!("delete {key}");
        let walk = self.walk(key).map_err(|e| Error::io(&action, e))?;
        let (folder, removed) = match &walk {
            Walk::Missing(folder) => (folder, Err(Errno::NOENT)),
            Walk::Arrived(folder) => (folder, files::unlink(folder.file(), folder.name())),
        };
        let deletion = match removed {
            Ok(()) => Deletion::Deleted,
            // A folder with this name is not an object.
            Err(Errno::NOENT | Errno::ISDIR) => self.absent(&action, Ok(Deletion::Missing))?,
            Err(e) => return Err(Error::io(&action, e)),
        };
        self.sync(Scope::Folder, folder.file(), &format!("fsync after deleting {key}"))?;
        self.prune(folder);
        Ok(deletion)
    }

    /// Looks at an object; see [`Backend::head`](crate::storage::Backend::head).
    pub(super) fn head(&self, key: &Key) -> Result<Metadata, Error> {
        let action = format!("look at {key}");
        let found = match self.walk(key) {
            Ok(Walk::Arrived(folder)) => files::stat(folder.file(), folder.name()),
            Ok(Walk::Missing(_)) => Err(Errno::NOENT),
            Err(e) => Err(e),
        };
        match found {
            Ok(stat) => match files::kind(&stat) {
                FileType::RegularFile => Ok(Metadata { key: key.clone(), size: files::size(&stat) }),
                FileType::Directory => Err(Error::not_found(key)),
                _ => Err(Error::io(action, files::not_a_file())),
            },
            Err(Errno::NOENT) => self.absent(&action, Err(Error::not_found(key))),
            Err(e) => Err(Error::io(action, e)),
        }
    }
}

/// Undoes a name whose durability failed. Nothing can be promised about it, so errors do not matter.
fn take_back(folder: &Folder<'_>) {
    let _ = files::unlink(folder.file(), folder.name());
}

fn writing(key: &Key, e: impl Into<io::Error>) -> Error {
    Error::io(format!("write {key}"), e)
}

fn unique_name() -> io::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(format!("put-{:032x}", u128::from_be_bytes(random)))
}

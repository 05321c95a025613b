//! The folders above a key: walked from the root, made durable, removed when empty.

use std::collections::HashSet;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::files;
use super::sync::Scope;
use super::volume::Volume;
use crate::storage::{Error, Key};

/// Paths remembered before the set starts over. The key layout has 65 793 folders.
const REMEMBERED: usize = 1 << 17;

/// Folders below the root whose own entry is known to be durable, by path.
///
/// A write into a folder that another write has just made must not be acknowledged before that
/// folder's entry is durable, whoever made it; so the question is "is it known", not "did I make it".
/// Forgetting a path costs one fsync, no more.
#[derive(Debug, Default)]
pub(super) struct Durable(Mutex<HashSet<Box<str>>>);

impl Durable {
    fn knows(&self, path: &str) -> bool {
        self.lock().contains(path)
    }

    fn learn(&self, path: &str) {
        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(path.into());
    }

    fn forget(&self, path: &str) {
        self.lock().remove(path);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Box<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The folder of a key, with all folders between it and the root held open.
pub(super) struct Folder<'a> {
    root: &'a File,
    /// From the outermost to the innermost: path below the root, and the folder.
    opened: Vec<(&'a str, File)>,
    /// The last segment of the key.
    name: &'a str,
}

/// How far a walk towards a key came.
pub(super) enum Walk<'a> {
    /// To the folder of the key.
    Arrived(Folder<'a>),
    /// A folder is missing; this is the innermost one that is there.
    Missing(Folder<'a>),
}

impl Folder<'_> {
    /// The innermost folder.
    pub(super) fn file(&self) -> &File {
        self.opened.last().map_or(self.root, |(_, file)| file)
    }

    /// The key's name in it.
    pub(super) fn name(&self) -> &str {
        self.name
    }
}

impl Volume {
    /// Walks to the folder of `key`.
    pub(super) fn walk<'a>(&'a self, key: &'a Key) -> Result<Walk<'a>, Errno> {
        let (folders, name) = split(key);
        let mut folder = Folder { root: self.root(), opened: Vec::with_capacity(4), name };
        for (path, segment) in folders {
            match files::folder(folder.file(), segment) {
                Ok(file) => folder.opened.push((path, file)),
                Err(Errno::NOENT) => return Ok(Walk::Missing(folder)),
                Err(e) => return Err(e),
            }
        }
        Ok(Walk::Arrived(folder))
    }

    /// Walks to the folder of `key` and makes what is missing. `ENOENT` when somebody removes empty
    /// folders at the same moment: try again.
    pub(super) fn make_folder<'a>(&'a self, key: &'a Key) -> Result<Folder<'a>, Errno> {
        let (folders, name) = split(key);
        let mut folder = Folder { root: self.root(), opened: Vec::with_capacity(4), name };
        for (path, segment) in folders {
            let file = match files::folder(folder.file(), segment) {
                Err(Errno::NOENT) => {
                    files::make_folder(folder.file(), segment)?;
                    files::folder(folder.file(), segment)?
                }
                result => result?,
            };
            folder.opened.push((path, file));
        }
        Ok(folder)
    }

    /// Makes a new name in `folder` durable, and every folder on the way to it.
    ///
    /// Call it after the name was given: from then on the folders are not empty, so nobody removes them
    /// and what is learnt here stays true.
    pub(super) fn settle(&self, folder: &Folder<'_>) -> Result<(), Error> {
        self.sync(Scope::Folder, folder.file(), "fsync of an object folder")?;
        for (depth, (path, _)) in folder.opened.iter().enumerate().rev() {
            if !self.durable.knows(path) {
                let parent = depth.checked_sub(1).map_or(folder.root, |outer| &folder.opened[outer].1);
                self.sync(Scope::Folder, parent, "fsync of an object folder")?;
                self.durable.learn(path);
            }
        }
        Ok(())
    }

    /// Removes the folders that a delete has emptied, innermost first. Best effort: an empty folder is
    /// harmless, and one that is in use again refuses to go.
    pub(super) fn prune(&self, folder: &Folder<'_>) {
        for (depth, (path, file)) in folder.opened.iter().enumerate().rev() {
            // Looking costs less than the fsync that forgetting a folder in use would cause.
            if !files::is_empty(file) {
                break;
            }
            let parent = depth.checked_sub(1).map_or(folder.root, |outer| &folder.opened[outer].1);
            let segment = path.rsplit('/').next().unwrap_or(path);
            // Forget first: whoever makes the folder anew must find it unknown.
            self.durable.forget(path);
            if files::remove_folder(parent, segment).is_err() {
                break;
            }
        }
    }
}

/// The folders above a key as `(path below the root, name)`, outermost first, and the key's own name.
fn split(key: &Key) -> (impl Iterator<Item = (&str, &str)>, &str) {
    let text = key.as_str();
    let (folders, name) = text.rsplit_once('/').unwrap_or(("", text));
    let ends = text.match_indices('/').map(|(end, _)| &text[..end]);
    (ends.zip(folders.split('/')), name)
}

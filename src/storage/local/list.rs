//! Walking the tree in key order.

use std::fs::File;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::files;
use super::volume::Volume;
use crate::storage::{Error, Key, Leftover, Metadata, Page, StagingId};

impl Volume {
    /// One page of keys; see [`Backend::list`](crate::storage::Backend::list).
    pub(super) fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Page, Error> {
        let limit = limit.max(1);
        let after = after.map_or("", Key::as_str);
        let mut search = Search { prefix, after, most: limit.saturating_add(1), found: Vec::new() };
        search.visit(self.root(), "").map_err(|e| Error::io("list objects", e))?;
        let mut objects = search.found;
        if objects.is_empty() {
            self.absent("list objects", Ok(()))?;
        }
        let more = objects.len() > limit;
        objects.truncate(limit);
        let next = if more { objects.last().map(|last| last.key.clone()) } else { None };
        Ok(Page { objects, next })
    }

    /// The staged writes; see [`Backend::leftovers`](crate::storage::Backend::leftovers).
    pub(super) fn leftovers(&self, limit: usize) -> Result<Vec<Leftover>, Error> {
        let failed = |e: Errno| Error::io("list staged writes", e);
        let staging = self.staging()?;
        let mut found = Vec::new();
        for (name, kind) in files::entries(&staging).map_err(failed)? {
            if found.len() >= limit {
                break;
            }
            let (FileType::RegularFile, Ok(id)) = (kind, name.parse::<StagingId>()) else { continue };
            match files::stat(&staging, &name) {
                Ok(stat) => {
                    let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
                    let touched_at = stat.st_mtime.saturating_mul(1_000_000) + nanoseconds / 1000;
                    found.push(Leftover { id, size: files::size(&stat), touched_at });
                }
                // Published or discarded since.
                Err(Errno::NOENT) => {}
                Err(e) => return Err(failed(e)),
            }
        }
        Ok(found)
    }
}

struct Search<'a> {
    prefix: &'a str,
    after: &'a str,
    most: usize,
    found: Vec<Metadata>,
}

impl Search<'_> {
    /// Collects what is below `folder`, whose path is `path`: empty, or ending in a slash.
    fn visit(&mut self, folder: &File, path: &str) -> Result<(), Errno> {
        for candidate in self.candidates(folder, path)? {
            if self.found.len() >= self.most {
                break;
            }
            let name = &candidate[path.len()..];
            if let Some(name) = name.strip_suffix('/') {
                match files::folder(folder, name) {
                    Ok(inner) => self.visit(&inner, &candidate)?,
                    // Emptied and removed since.
                    Err(Errno::NOENT) => {}
                    Err(e) => return Err(e),
                }
            } else if let Ok(key) = candidate.parse::<Key>() {
                match files::stat(folder, name) {
                    Ok(stat) if files::kind(&stat) == FileType::RegularFile => {
                        self.found.push(Metadata { key, size: files::size(&stat) });
                    }
                    Ok(_) | Err(Errno::NOENT) => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }

    /// Paths in `folder` that are or may lead to wanted keys, in the order of those keys.
    ///
    /// Folders carry a slash at the end, which sorts them where the keys in them belong: `a.b` is before
    /// `a/b`. Symlinks and names that no key has are left out; so is the folder of staged writes.
    fn candidates(&self, folder: &File, path: &str) -> Result<Vec<String>, Errno> {
        let mut candidates = Vec::new();
        for (name, kind) in files::entries(folder)? {
            if !Key::is_segment(&name) || (path.is_empty() && name == Key::RESERVED) {
                continue;
            }
            match kind {
                FileType::Directory => {
                    let inner = format!("{path}{name}/");
                    let leads = inner.len() < Key::MAX_LEN
                        && (inner.starts_with(self.prefix) || self.prefix.starts_with(&inner))
                        && (inner.as_str() > self.after || self.after.starts_with(&inner));
                    if leads {
                        candidates.push(inner);
                    }
                }
                FileType::RegularFile => {
                    let key = format!("{path}{name}");
                    if key.starts_with(self.prefix) && key.as_str() > self.after {
                        candidates.push(key);
                    }
                }
                _ => {}
            }
        }
        candidates.sort_unstable();
        Ok(candidates)
    }
}

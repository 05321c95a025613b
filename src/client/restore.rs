//! Writing a package into a directory: nothing outside it, nothing over other content, no file half there.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::digests::{self, Digests};
use super::lock::Lock;
use super::tree::{INCOMING, MANIFEST, OWN, special};
use super::{Error, Phase, Progress};
use crate::package::{ContentManifest, File};

/// A directory that is ready to take the files of a package.
#[derive(Debug)]
pub(super) struct Restore {
    root: PathBuf,
    /// The files that are not there yet, as places in the table.
    pub(super) missing: Vec<usize>,
    _taken: Taken,
}

impl Restore {
    /// Takes the directory for this pull alone, looks at what is there, and makes the folders. Files that are right
    /// stay as they are; others are refused before anything is written, or replaced with `force`.
    pub(super) async fn prepare(
        root: &Path,
        content: &Arc<ContentManifest>,
        force: bool,
        progress: &Arc<Progress>,
    ) -> Result<Self, Error> {
        let (root, table) = (root.to_owned(), Arc::clone(content));
        let looked = tokio::task::spawn_blocking(move || {
            let taken = take(&root)?;
            Ok::<_, Error>((taken, look(&root, &table.files)?, root))
        });
        let (taken, there, root) = looked.await.expect("looking does not panic")?;
        progress.begin(Phase::Hashing, there.len() as u64, 0);
        let paths = there.iter().map(|at| target(&root, &content.files[*at])).collect();
        let digests = digests::of_files(paths, progress).await;
        let mut missing: BTreeSet<usize> = (0..content.files.len()).collect();
        let mut others = Vec::new();
        for (at, digests) in there.into_iter().zip(digests) {
            let path = target(&root, &content.files[at]);
            let digests = digests.map_err(Error::file(&path, "read"))?;
            if is_same(&content.files[at], &digests) {
                missing.remove(&at);
            } else {
                others.push(path);
            }
        }
        if !force && !others.is_empty() {
            return Err(Error::Exists { others: others.len() - 1, path: others.swap_remove(0) });
        }
        let (missing, table) = (missing.into_iter().collect(), Arc::clone(content));
        let made = tokio::task::spawn_blocking(move || make(&root, &table.files).map(|()| root)).await;
        let root = made.expect("making folders does not panic")?;
        Ok(Self { root, missing, _taken: taken })
    }

    /// Where the file at this place in the table is received.
    pub(super) fn incoming(&self, at: usize) -> PathBuf {
        self.root.join(OWN).join(INCOMING).join(at.to_string())
    }

    /// Where an archive of the package is received.
    pub(super) fn archive(&self, number: usize) -> PathBuf {
        self.root.join(OWN).join(INCOMING).join(format!("archive-{number}"))
    }

    /// Gives a received file its name.
    pub(super) async fn publish(&self, at: usize, file: &File) -> Result<(), Error> {
        let target = target(&self.root, file);
        tokio::fs::rename(self.incoming(at), &target).await.map_err(Error::file(&target, "written"))
    }

    /// Writes the content manifest; the last thing, so that where it is all files are.
    pub(super) async fn finish(self, cbor: &[u8]) -> Result<(), Error> {
        let own = self.root.join(OWN);
        let (incoming, target) = (own.join(INCOMING), own.join(MANIFEST));
        let temporary = incoming.join(MANIFEST);
        tokio::fs::write(&temporary, cbor).await.map_err(Error::file(&temporary, "written"))?;
        tokio::fs::rename(&temporary, &target).await.map_err(Error::file(&target, "written"))?;
        tokio::fs::remove_dir_all(&incoming).await.map_err(Error::file(&incoming, "removed"))
    }

    /// An error about a file that was being received, under the name it was to get.
    pub(super) fn named(&self, content: &ContentManifest, error: Error) -> Error {
        let Error::File { path, action, source } = error else { return error };
        let number = path.file_name().and_then(|name| name.to_str()?.parse::<usize>().ok());
        let file = number.filter(|at| path == self.incoming(*at)).and_then(|at| content.files.get(at));
        let path = file.map_or(path, |file| target(&self.root, file));
        Error::File { path, action, source }
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        // Of a pull that failed: parts of files would only fill the disk.
        let _ = fs::remove_dir_all(self.root.join(OWN).join(INCOMING));
    }
}

/// A directory that is taken. Where nothing came of it nothing stays.
#[derive(Debug)]
struct Taken {
    lock: Option<Lock>,
    own: PathBuf,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.lock = None;
        // Only where it is empty.
        let _ = fs::remove_dir(&self.own);
    }
}

/// Takes the directory, which is made if it is not there.
fn take(root: &Path) -> Result<Taken, Error> {
    let own = root.join(OWN);
    check_folder(&own)?;
    fs::create_dir_all(root).map_err(Error::file(root, "made"))?;
    make_folder(&own)?;
    Ok(Taken { lock: Some(Lock::take(root)?), own })
}

/// Whether a file has the size and both digests the table says.
pub(super) fn is_same(file: &File, found: &Digests) -> bool {
    let Digests { size, content_address, sha256 } = found;
    file.size == *size && file.content_address == *content_address && file.sha256 == *sha256
}

pub(super) fn target(root: &Path, file: &File) -> PathBuf {
    root.join(file.path.as_str())
}

/// The files of the table that are there in some form.
fn look(root: &Path, files: &[File]) -> Result<Vec<usize>, Error> {
    for folder in folders(root, files) {
        check_folder(&folder)?;
    }
    let mut there = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let path = target(root, file);
        match fs::symlink_metadata(&path) {
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(Error::file(path, "read")(error)),
            Ok(meta) if meta.is_file() => there.push(at),
            Ok(meta) => return Err(Error::InTheWay { path, what: special(meta.file_type()) }),
        }
    }
    Ok(there)
}

fn make(root: &Path, files: &[File]) -> Result<(), Error> {
    let incoming = root.join(OWN).join(INCOMING);
    check_folder(&incoming)?;
    match fs::remove_dir_all(&incoming) {
        Err(error) if !is_absent(&error) => return Err(Error::file(incoming, "removed")(error)),
        _ => {}
    }
    for folder in folders(root, files).into_iter().chain([incoming]) {
        make_folder(&folder)?;
    }
    Ok(())
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_folder(folder),
        made => made.map_err(Error::file(folder, "made")),
    }
}

/// Every folder below the root that files are in, outer ones first.
fn folders(root: &Path, files: &[File]) -> BTreeSet<PathBuf> {
    let mut folders: BTreeSet<&str> = files.iter().flat_map(|file| file.path.folders()).collect();
    folders.insert(OWN);
    folders.into_iter().map(|folder| root.join(folder)).collect()
}

/// A link would lead out of the directory.
fn check_folder(folder: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(folder) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(meta) => Err(Error::NotAFolder { path: folder.to_owned(), what: special(meta.file_type()) }),
        Err(error) if is_absent(&error) => Ok(()),
        Err(error) => Err(Error::file(folder, "read")(error)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

//! Whether a directory still is the package it was pulled as. Needs no registry.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::digests;
use super::restore::{is_same, target};
use super::tree::{MANIFEST, OWN, foreign, special};
use super::{Error, Phase, Progress};
use crate::hash;
use crate::oci::{Algorithm, Digest};
use crate::package::mapping::{BlobRef, compose};
use crate::package::{ContentManifest, File, Invalid, LIMITS};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// BLAKE3 of the content manifest the directory was compared with.
    pub content_manifest: Digest,
    /// The digest of the OCI manifest that a push of this content manifest makes; `None` when it is none.
    pub reference: Option<Digest>,
    /// Files in the package.
    pub files: usize,
    /// Bytes of all files, by the table.
    pub bytes: u64,
    /// What is wrong, by path; empty when everything is as it was.
    pub problems: Vec<Problem>,
}

/// One difference between the directory and the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path in the package, or of what should not be there.
    pub path: String,
    /// What is wrong, e.g. `is missing`.
    pub what: String,
}

/// Compares every file with the table in `.artifactstore/package.cbor`, by size and both digests, and looks for files
/// that are not in it. Whether the table itself is the right one tells its digest, which belongs elsewhere.
pub async fn verify(directory: &Path, progress: &Arc<Progress>) -> Result<Verified, Error> {
    let root = directory.to_owned();
    let read = tokio::task::spawn_blocking(move || table(&root)).await;
    let cbor = read.expect("reading does not panic")?;
    let content_manifest = hash::digest(Algorithm::Blake3, &cbor);
    let content = match ContentManifest::decode(&cbor) {
        Ok(content) => content,
        Err(error) => return Ok(Verified::without_table(content_manifest, &error)),
    };
    let mut problems = Vec::new();
    let mut there = Vec::new();
    for file in &content.files {
        match presence(directory, file) {
            None => there.push(file),
            Some(what) => problems.push(Problem { path: file.path.to_string(), what }),
        }
    }
    progress.begin(Phase::Hashing, there.len() as u64, there.iter().map(|file| file.size).sum());
    let digests =
        digests::of_files(there.iter().map(|file| target(directory, file)).collect(), progress).await;
    for (file, digests) in there.into_iter().zip(digests) {
        let what = match digests {
            Ok(digests) if is_same(file, &digests) => continue,
            Ok(digests) if digests.size != file.size => {
                format!("has {} bytes, the package says {}", digests.size, file.size)
            }
            Ok(digests) => format!("has other content: {}, the package says {}", digests.sha256, file.sha256),
            Err(error) => format!("cannot be read: {error}"),
        };
        problems.push(Problem { path: file.path.to_string(), what });
    }
    let root = directory.to_owned();
    let looked = tokio::task::spawn_blocking(move || entries(&root)).await;
    let (found, mut unreadable) = looked.expect("looking does not panic");
    problems.append(&mut unreadable);
    let is_known = |path: &str| content.files.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok();
    let extra = found.into_iter().filter(|path| !is_known(path));
    problems.extend(extra.map(|path| Problem { path, what: "is not in the package".to_owned() }));
    problems.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Verified {
        content_manifest,
        reference: Some(compose(&content, &BlobRef::of(&cbor)).reference()),
        files: content.files.len(),
        bytes: content.files.iter().map(|file| file.size).sum(),
        problems,
    })
}

impl Verified {
    /// What is left to say when the table cannot be read.
    fn without_table(content_manifest: Digest, error: &Invalid) -> Self {
        let mut what = format!("is no content manifest: {error}");
        if let Some(source) = std::error::Error::source(error) {
            what = format!("{what}: {source}");
        }
        let problems = vec![Problem { path: format!("{OWN}/{MANIFEST}"), what }];
        Self { content_manifest, reference: None, files: 0, bytes: 0, problems }
    }
}

/// The bytes of the table.
fn table(directory: &Path) -> Result<Vec<u8>, Error> {
    let path = directory.join(OWN).join(MANIFEST);
    // A pipe would never end.
    match fs::metadata(&path) {
        Ok(meta) if !meta.is_file() => {
            return Err(Error::InTheWay { path, what: special(meta.file_type()) });
        }
        _ => {}
    }
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::NoManifest { path: directory.to_owned() });
        }
        Err(error) => return Err(Error::file(path, "read")(error)),
    };
    let mut cbor = Vec::new();
    // One more than may be: longer ones are refused as such.
    let most = LIMITS.total as u64 + 1;
    file.take(most).read_to_end(&mut cbor).map_err(Error::file(&path, "read"))?;
    Ok(cbor)
}

/// Why a file of the table cannot be compared, if so.
fn presence(directory: &Path, file: &File) -> Option<String> {
    // Through a link one would compare what lies elsewhere.
    for folder in file.path.folders() {
        if fs::symlink_metadata(directory.join(folder)).is_ok_and(|meta| meta.is_symlink()) {
            return Some("is behind a symbolic link".to_owned());
        }
    }
    let path = target(directory, file);
    match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() => None,
        Ok(meta) => Some(format!("is {}", special(meta.file_type()))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Some("is missing".to_owned())
        }
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}

/// The path of everything in the directory that is no folder, also of what could not be in a package; and what
/// could not be looked at.
fn entries(directory: &Path) -> (Vec<String>, Vec<Problem>) {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    let relative = |path: &Path| {
        let path = path.strip_prefix(directory).expect("it was listed below the directory");
        path.to_string_lossy().into_owned()
    };
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut look = || {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let meta = fs::symlink_metadata(&path)?;
                if path == directory.join(OWN) && meta.is_dir() {
                    let foreign = foreign(&path).map_err(io::Error::other)?;
                    found.extend(foreign.iter().map(|path| relative(path)));
                } else if meta.is_dir() {
                    folders.push(path);
                } else {
                    found.push(relative(&path));
                }
            }
            Ok::<_, io::Error>(())
        };
        if let Err(error) = look() {
            unreadable.push(Problem { path: relative(&folder), what: format!("cannot be read: {error}") });
        }
    }
    (found, unreadable)
}

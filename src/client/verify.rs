//! Whether a directory still is the package it was pulled as. Needs no registry.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::digests;
use super::restore::{MANIFEST, is_same, target};
use super::tree::{OWN, special};
use super::{Error, Phase, Progress};
use crate::hash;
use crate::oci::{Algorithm, Digest};
use crate::package::mapping::{BlobRef, compose};
use crate::package::{ContentManifest, File, LIMITS};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// BLAKE3 of the content manifest the directory was compared with.
    pub content_manifest: Digest,
    /// The digest of the OCI manifest that a push of this content manifest makes.
    pub reference: Digest,
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
    let (content, cbor) = read.expect("reading does not panic")?;
    let mut problems = Vec::new();
    let mut there = Vec::new();
    for file in &content.files {
        match presence(directory, file)? {
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
    let found = tokio::task::spawn_blocking(move || entries(&root)).await.expect("looking does not panic")?;
    let is_known = |path: &str| content.files.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok();
    let extra = found.into_iter().filter(|path| !is_known(path));
    problems.extend(extra.map(|path| Problem { path, what: "is not in the package".to_owned() }));
    problems.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Verified {
        content_manifest: hash::digest(Algorithm::Blake3, &cbor),
        reference: compose(&content, &BlobRef::of(&cbor)).reference(),
        files: content.files.len(),
        bytes: content.files.iter().map(|file| file.size).sum(),
        problems,
    })
}

fn table(directory: &Path) -> Result<(ContentManifest, Vec<u8>), Error> {
    let path = directory.join(OWN).join(MANIFEST);
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
    Ok((ContentManifest::decode(&cbor)?, cbor))
}

/// Why a file of the table cannot be compared, if so.
fn presence(directory: &Path, file: &File) -> Result<Option<String>, Error> {
    // Through a link one would compare what lies elsewhere.
    for folder in file.path.folders() {
        if fs::symlink_metadata(directory.join(folder)).is_ok_and(|meta| meta.is_symlink()) {
            return Ok(Some("is behind a symbolic link".to_owned()));
        }
    }
    let path = target(directory, file);
    match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() => Ok(None),
        Ok(meta) => Ok(Some(format!("is {}", special(meta.file_type())))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Some("is missing".to_owned()))
        }
        Err(error) => Err(Error::file(path, "read")(error)),
    }
}

/// The path of everything in the directory that is no folder, also of what could not be in a package.
fn entries(directory: &Path) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::file(&folder, "read"))? {
            let path = entry.map_err(Error::file(&folder, "read"))?.path();
            let relative = path.strip_prefix(directory).expect("it was listed below the directory");
            let meta = fs::symlink_metadata(&path).map_err(Error::file(&path, "read"))?;
            if relative == Path::new(OWN) {
                continue;
            }
            if meta.is_dir() {
                folders.push(path);
            } else {
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}

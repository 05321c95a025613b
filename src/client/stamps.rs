//! Whether files are still those that were hashed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Error, Source};

/// What tells a file from the one before: its size, its place on the disk and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    place: (u64, u64),
    written: (i64, i64),
}

/// The stamps of the files of a push, from before their first byte was read.
#[derive(Clone, Debug)]
pub(super) struct Stamps(Arc<Vec<(PathBuf, Stamp)>>);

impl Stamps {
    pub(super) async fn of(sources: &[Source]) -> Result<Self, Error> {
        let files: Vec<PathBuf> = sources.iter().map(|source| source.file.clone()).collect();
        let look = move || files.into_iter().map(|file| Ok((file.clone(), stamp(&file)?))).collect();
        let stamps: Result<_, Error> =
            tokio::task::spawn_blocking(look).await.expect("looking does not panic");
        Ok(Self(Arc::new(stamps?)))
    }

    /// Refuses the first file that is another one by now, or is gone.
    pub(super) async fn check(&self) -> Result<(), Error> {
        let stamps = Arc::clone(&self.0);
        let look = move || match stamps.iter().find(|(file, before)| stamp(file).ok() != Some(*before)) {
            Some((file, _)) => Err(Error::Changed { path: file.clone() }),
            None => Ok(()),
        };
        tokio::task::spawn_blocking(look).await.expect("looking does not panic")
    }
}

fn stamp(file: &PathBuf) -> Result<Stamp, Error> {
    let meta = fs::metadata(file).map_err(Error::file(file, "read"))?;
    let (place, written) = ((meta.dev(), meta.ino()), (meta.mtime(), meta.mtime_nsec()));
    Ok(Stamp { size: meta.len(), place, written })
}

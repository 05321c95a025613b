//! The files of a package that was pushed as archives: they are nowhere by themselves.
//!
//! The archive is fetched whole and read within the limits the registry read it with. Only files of the table are
//! written, under temporary names, and get their own when archive and file are what their digests say. Links are
//! not made; the package tells of them in its provenance.

use std::collections::HashMap;
use std::fs::{self, File as Output};
use std::io::{self, Read, Write as _};
use std::path::PathBuf;

use super::digests::{Digesting, Digests};
use super::receive::{damaged, receive};
use super::restore::{Restore, is_same};
use super::{Client, Error, Progress};
use crate::hash::Hasher;
use crate::oci::{Digest, Reference, RepositoryName};
use crate::package::archive::{Indexer, Limits};
use crate::package::mapping::{Mismatch, Recognised, recognise};
use crate::package::{ContentManifest, PackagePath};

/// One archive.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    digest: Digest,
    size: u64,
}

/// The archives of a package.
pub(super) async fn layers(
    client: &Client,
    repository: &RepositoryName,
    reference: &Digest,
) -> Result<Vec<Layer>, Error> {
    let what = || format!("{repository}@{reference}");
    let found = client.get_manifest(repository, &Reference::Digest(reference.clone())).await?;
    match recognise(&found.manifest).map_err(|source| Error::NotWhole { what: what(), source })? {
        Recognised::Archive { layers } => Ok(layers
            .into_iter()
            .map(|layer| Layer { digest: layer.digest.clone(), size: layer.size })
            .collect()),
        _ => Err(Error::NotWhole { what: what(), source: Mismatch::NoFile }),
    }
}

/// Brings the files at these places in the table out of the archives.
pub(super) async fn unpack(
    client: &Client,
    repository: &RepositoryName,
    layers: &[Layer],
    restore: &Restore,
    content: &ContentManifest,
    wanted: &[usize],
    progress: &Progress,
) -> Result<(), Error> {
    let place = |at: &usize| {
        let file = &content.files[*at];
        (file.path.clone(), (restore.incoming(*at), file.size))
    };
    let incoming = wanted.iter().map(place).collect();
    let mut unpacking = Unpacking { incoming, written: HashMap::new(), open: None, failed: None };
    let mut indexer = Indexer::new(Limits::default());
    for (number, layer) in layers.iter().enumerate() {
        let path = restore.archive(number);
        let what = format!("archive {}", layer.digest);
        receive(client, repository, &layer.digest, layer.size, &what, &path, progress).await?;
        let wanted = layer.clone();
        let read = tokio::task::spawn_blocking(move || {
            let found = unpacking.read(&mut indexer, &wanted, &path);
            (unpacking, indexer, found)
        });
        let found;
        (unpacking, indexer, found) = read.await.expect("reading an archive does not panic");
        let found = found?;
        if found != layer.digest {
            return Err(client.damage(&what, &layer.digest, found.to_string()));
        }
    }
    for at in wanted {
        let file = &content.files[*at];
        let Some(found) = unpacking.written.remove(&file.path) else {
            return Err(client.damage(file.path.as_str(), &file.sha256, "not in the archive".to_owned()));
        };
        if !is_same(file, &found) {
            return Err(damaged(client, file, found));
        }
        restore.publish(*at, file).await?;
        progress.add_file();
    }
    Ok(())
}

/// Files that are being written.
struct Unpacking {
    /// Where those go that are wanted, and how long they are.
    incoming: HashMap<PackagePath, (PathBuf, u64)>,
    written: HashMap<PackagePath, Digests>,
    open: Option<(PackagePath, Output, Digesting)>,
    failed: Option<Error>,
}

impl Unpacking {
    /// Reads an archive to its end: what its bytes hash to. The archive is removed.
    fn read(&mut self, indexer: &mut Indexer, layer: &Layer, path: &PathBuf) -> Result<Digest, Error> {
        let source = Output::open(path).map_err(Error::file(path, "read"))?;
        let mut hashed = Hashed { inner: source, hasher: Hasher::new(layer.digest.algorithm()) };
        let read = indexer.read_to(&mut hashed, |path, piece| self.take(path, piece));
        self.close();
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        read.map_err(|source| Error::Archive { layer: layer.digest.clone(), source })?;
        // The reader of a packing may leave something behind its end.
        io::copy(&mut hashed, &mut io::sink()).map_err(Error::file(path, "read"))?;
        fs::remove_file(path).map_err(Error::file(path, "removed"))?;
        Ok(hashed.hasher.finish())
    }

    fn take(&mut self, path: &PackagePath, piece: &[u8]) {
        if piece.is_empty() {
            self.close();
            self.begin(path);
        } else if let Some((_, output, digesting)) = &mut self.open {
            let (target, size) = &self.incoming[path];
            digesting.update(piece);
            // Longer than the table says: it is not what it should be already, and needs no more of the disk.
            if digesting.size() <= *size
                && let Err(error) = output.write_all(piece)
            {
                self.failed = Some(Error::file(target, "written")(error));
                self.open = None;
            }
        }
    }

    fn begin(&mut self, path: &PackagePath) {
        let Some((target, _)) = self.incoming.get(path).filter(|_| self.failed.is_none()) else { return };
        // New, for a path that is in the archive twice has two meanings.
        match Output::options().write(true).create_new(true).open(target) {
            Ok(output) => self.open = Some((path.clone(), output, Digesting::new())),
            Err(error) => self.failed = Some(Error::file(target, "written")(error)),
        }
    }

    fn close(&mut self) {
        if let Some((path, _, digesting)) = self.open.take() {
            self.written.insert(path, digesting.finish());
        }
    }
}

/// A reader whose bytes are hashed.
struct Hashed {
    inner: Output,
    hasher: Hasher,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

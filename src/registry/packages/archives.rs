//! What is in the archives of a package, read where they are stored.

use std::collections::BTreeSet;
use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::finalize::on_a_thread;
use super::recognised::receipt;
use crate::oci::{Descriptor, RepositoryName, excerpt};
use crate::package::archive::{Index, Indexer, Limits, Link, LinkKind};
use crate::package::mapping::{Mismatch, Titled, names};
use crate::package::{File, Object, PackagePath, StorageReceipt, guess_media_type};
use crate::registry::serving::Whole;
use crate::registry::{Blob, Error, Registry};
use crate::views::links;

/// Frames between the storage and the thread that reads the archive.
const FRAMES: usize = 4;

/// Links that an object can say at all. Of an archive full of them there would be far more in memory than in it.
const MOST_TOLD: usize = 4096;

/// The table of the archives of one package.
#[derive(Default)]
pub(super) struct Unpacked {
    pub(super) files: Vec<File>,
    /// Of the archives: their files are nowhere by themselves.
    pub(super) receipts: Vec<StorageReceipt>,
    /// The links in them, which were not followed.
    pub(super) provenance: Object,
    /// Where the links are.
    links: BTreeSet<String>,
    /// The folders in them, empty ones among them.
    folders: Vec<PackagePath>,
}

impl Unpacked {
    /// Refuses files beside the archives that unpacking them would lead elsewhere: a link in an archive, what is below
    /// one, or a folder of an archive. `beside` is sorted by path.
    pub(super) fn check_beside(&self, beside: &[Titled]) -> Result<(), Mismatch> {
        let refuse =
            |path: &PackagePath, reason| Err(Mismatch::Layer { path: excerpt(path.as_str()), reason });
        for Titled { path, .. } in beside {
            let mut places = std::iter::once(path.as_str()).chain(path.folders());
            if let Some(link) = places.find(|place| self.links.contains(*place)) {
                let link = excerpt(link);
                return refuse(
                    path,
                    format!("{link} is a link in an archive of the package, which may lead anywhere"),
                );
            }
        }
        for folder in &self.folders {
            for place in std::iter::once(folder.as_str()).chain(folder.folders()) {
                if let Ok(at) = beside.binary_search_by(|file| file.path.as_str().cmp(place)) {
                    let reason =
                        format!("an archive of the package has a folder {}", excerpt(folder.as_str()));
                    return refuse(&beside[at].path, reason);
                }
            }
        }
        Ok(())
    }
}

impl Registry {
    /// Lists the files of archives that the repository holds, within the default limits for all of them together.
    pub(super) async fn unpacked(
        &self,
        repository: &RepositoryName,
        layers: &[&Descriptor],
    ) -> Result<Unpacked, Error> {
        let mut indexer = Indexer::new(Limits::default());
        let mut receipts = Vec::with_capacity(layers.len());
        for layer in layers {
            let held = links::find(&self.inner.db, repository, &layer.digest).await?;
            let held = held.filter(|held| held.damage.is_none());
            let held = held.ok_or_else(|| Error::ReferencesUnknown(vec![layer.digest.clone()]))?;
            check_size(layer, held.size)?;
            receipts.push(receipt(held.clone()));
            let blob = Blob::new(layer.digest.clone(), held)?;
            let body = self.open_whole(&blob).await?;
            let (sender, next) = mpsc::channel(FRAMES);
            let read = on_a_thread(move || {
                let outcome = indexer.read(Frames { rest: Bytes::new(), next });
                outcome.map(|()| indexer)
            });
            // Side by side, or the thread would wait for frames that nobody sends.
            let (sent, read) = tokio::join!(feed(body, sender), read);
            // The storage's failure first, and that the bytes are others: to the archive either looks like its end.
            sent?;
            let invalid = |source| Error::ArchiveInvalid { layer: layer.digest.clone(), source };
            indexer = read?.map_err(invalid)?;
        }
        let index = on_a_thread(move || indexer.finish()).await?;
        let Index { files, links, folders } = index.map_err(|source| {
            let layer = layers.last().expect("an archive package has an archive").digest.clone();
            Error::ArchiveInvalid { layer, source }
        })?;
        let files = files.into_iter().map(|entry| File {
            media_type: guess_media_type(&entry.path).to_owned(),
            path: entry.path,
            size: entry.size,
            content_address: entry.content_address,
            sha256: entry.sha256,
            role: None,
        });
        let provenance = told(&links);
        let links = links.into_iter().map(|link| link.path.to_string()).collect();
        Ok(Unpacked { files: files.collect(), receipts, provenance, links, folders })
    }
}

fn check_size(layer: &Descriptor, stored: u64) -> Result<(), Mismatch> {
    if layer.size == stored {
        return Ok(());
    }
    let path = layer.annotations.get(names::TITLE).map_or("", String::as_str);
    let reason = format!("its layer has size {}, the blob has {stored} bytes", layer.size);
    Err(Mismatch::Layer { path: excerpt(path), reason })
}

/// Sends a body to a thread. That may stop listening before its end; the body is read to its end all the same, since
/// only there it is known to be what was stored.
async fn feed(mut body: Whole, sender: mpsc::Sender<Bytes>) -> Result<(), Error> {
    let mut sender = Some(sender);
    while let Some(frame) = body.next().await? {
        if let Some(thread) = &sender
            && thread.send(frame).await.is_err()
        {
            sender = None;
        }
    }
    Ok(())
}

/// The other end of [`feed`].
struct Frames {
    rest: Bytes,
    next: mpsc::Receiver<Bytes>,
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.next.blocking_recv() {
                Some(frame) => self.rest = frame,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// The links as provenance; only how many they are where an object cannot say them all.
fn told(links: &[Link]) -> Object {
    if links.is_empty() {
        return Object::default();
    }
    let object = |links: Value| {
        let map: Map<String, Value> = [("archive_links".to_owned(), links)].into_iter().collect();
        Object::new(map)
    };
    let counted = || object(links.len().into()).expect("a number is always said");
    if links.len() > MOST_TOLD {
        return counted();
    }
    let link = |link: &Link| {
        let kind = match link.kind {
            LinkKind::Symbolic => "symbolic",
            LinkKind::Hard => "hard",
        };
        json!({ "kind": kind, "path": link.path, "target": link.target })
    };
    let all = object(links.iter().map(link).collect());
    all.unwrap_or_else(|_| counted())
}

//! From a registry into a directory.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::archives::{self, Layer};
use super::packages::Encoding;
use super::receive::{damaged, receive};
use super::restore::{Restore, is_same};
use super::{Client, Error, IN_FLIGHT, Phase, Progress};
use crate::hash;
use crate::oci::{Algorithm, Digest, Reference, RepositoryName};
use crate::package::mapping::{Declared, Recognised, check_layers, join, recognise};
use crate::package::{ContentManifest, Description, File, Manifest, PackageId};

/// What to pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A package by its id.
    Package(PackageId),
    /// An OCI manifest that is a package.
    Reference(RepositoryName, Reference),
}

/// What is in the directory now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The package's id, if it is known.
    pub id: Option<PackageId>,
    /// Where it came from.
    pub repository: RepositoryName,
    /// The digest of its OCI manifest or index.
    pub reference: Digest,
    /// BLAKE3 of its content manifest.
    pub content_manifest: Digest,
    /// Files in the package.
    pub files: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// Files that were received; the others were there already.
    pub downloaded: usize,
    /// Their bytes.
    pub downloaded_bytes: u64,
}

/// A package as far as it has to be known to fetch it.
struct Known {
    id: Option<PackageId>,
    repository: RepositoryName,
    reference: Digest,
    content: ContentManifest,
    cbor: Bytes,
    /// Of an archive package: where the files are that are nowhere by themselves.
    archives: Vec<Layer>,
    /// Those files, as places in the table, sorted.
    packed: Vec<usize>,
}

/// Brings a package into a directory, which is made if it is not there.
///
/// Every file is compared with its size and both digests before it gets its name. Files that are there already and
/// right are kept, so an interrupted pull goes on; other content under a name of the package is refused before
/// anything is written, or replaced with `force`. What else is in the directory stays. At the end
/// `.artifactstore/package.cbor` is there, for [`verify`](super::verify::verify).
pub async fn pull(
    client: &Client,
    what: &What,
    directory: &Path,
    force: bool,
    progress: &Arc<Progress>,
) -> Result<Pulled, Error> {
    let Known { id, repository, reference, content, cbor, archives, packed } = match what {
        What::Package(id) => by_id(client, id).await?,
        What::Reference(repository, reference) => by_reference(client, repository, reference).await?,
    };
    let content = Arc::new(content);
    let restore = Restore::prepare(directory, &content, force, progress).await?;
    let missing: Vec<&File> = restore.missing.iter().map(|at| &content.files[*at]).collect();
    let downloaded_bytes = missing.iter().map(|file| file.size).sum();
    progress.begin(Phase::Downloading, missing.len() as u64, downloaded_bytes);
    let is_packed = |at: &usize| packed.binary_search(at).is_ok();
    let (from_archives, alone): (Vec<usize>, Vec<usize>) =
        restore.missing.iter().copied().partition(is_packed);
    let downloads = alone.into_iter().map(|at| {
        let (restore, repository, content, file) = (&restore, &repository, &content, &content.files[at]);
        async move {
            let incoming = restore.incoming(at);
            let path = file.path.as_str();
            let received = receive(client, repository, &file.sha256, file.size, path, &incoming, progress);
            let found = received.await.map_err(|error| restore.named(content, error))?;
            if !is_same(file, &found) {
                return Err(damaged(client, file, found));
            }
            restore.publish(at, file).await?;
            progress.add_file();
            Ok::<_, Error>(())
        }
    });
    stream::iter(downloads).buffer_unordered(IN_FLIGHT).try_collect::<()>().await?;
    if !from_archives.is_empty() {
        archives::unpack(client, &repository, &archives, &restore, &content, &from_archives, progress)
            .await
            .map_err(|error| restore.named(&content, error))?;
    }
    let downloaded = missing.len();
    restore.finish(&cbor).await?;
    Ok(Pulled {
        id,
        repository,
        reference,
        content_manifest: hash::digest(Algorithm::Blake3, &cbor),
        files: content.files.len(),
        bytes: content.files.iter().map(|file| file.size).sum(),
        downloaded,
        downloaded_bytes,
    })
}

/// The content manifest stands in the registry's, whatever way the package came in.
async fn by_id(client: &Client, id: &PackageId) -> Result<Known, Error> {
    let manifest = Manifest::decode(&client.package_manifest(id, Encoding::Cbor).await?)?;
    let record = manifest.package;
    let description = Description {
        kind: record.kind,
        retention_class: record.retention_class,
        schema: record.schema,
        metadata: record.metadata,
    };
    let content = ContentManifest::new(description, manifest.files, manifest.provenance)?;
    let cbor = Bytes::from(content.encode()?);
    let found = hash::digest(Algorithm::Blake3, &cbor);
    if found != record.content_manifest {
        return Err(Error::Damaged {
            server: client.server().to_string(),
            what: format!("the content manifest of {id}"),
            expected: record.content_manifest,
            found: found.to_string(),
        });
    }
    let (repository, reference) = (record.repository, record.reference);
    // What was acknowledged by itself can be fetched by itself.
    let receipts: HashSet<&Digest> =
        manifest.storage_receipts.iter().map(|receipt| &receipt.content_address).collect();
    let is_inside = |file: &File| !receipts.contains(&file.content_address);
    let inside = content.files.iter().enumerate().filter(|(_, file)| is_inside(file));
    let packed: Vec<usize> = inside.map(|(at, _)| at).collect();
    let archives = if packed.is_empty() {
        Vec::new()
    } else {
        archives::layers(client, &repository, &reference).await?
    };
    Ok(Known { id: Some(record.id), repository, reference, content, cbor, archives, packed })
}

async fn by_reference(
    client: &Client,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Known, Error> {
    let what = || match reference {
        Reference::Tag(tag) => format!("{repository}:{tag}"),
        Reference::Digest(digest) => format!("{repository}@{digest}"),
    };
    let not_whole = |source| Error::NotWhole { what: what(), source };
    let found = client.get_manifest(repository, reference).await?;
    let (content, cbor) = match recognise(&found.manifest).map_err(not_whole)? {
        Recognised::Declared(declared) => declared_content(client, repository, &declared, &what()).await?,
        Recognised::DeclaredIndex { parts } => {
            let mut manifests = Vec::with_capacity(parts.len());
            for part in parts {
                let part = Reference::Digest(part.digest.clone());
                manifests.push(client.get_manifest(repository, &part).await?.manifest);
            }
            let declared = join(&found.manifest, &manifests).map_err(not_whole)?;
            declared_content(client, repository, &declared, &what()).await?
        }
        Recognised::Implicit | Recognised::Archive { .. } => {
            // Its table is the registry's.
            let id = client.find_id(repository, &found.digest).await?;
            let found = || "a package without a manifest, in a registry that made none for it".to_owned();
            let id = id.ok_or_else(|| Error::NotAPackage { what: what(), found: found() })?;
            return by_id(client, &id).await;
        }
        Recognised::Ordinary => {
            let found = found.manifest.artifact_type.unwrap_or_else(|| "something else".to_owned());
            return Err(Error::NotAPackage {
                what: what(),
                found: found.chars().filter(|c| !c.is_control()).collect(),
            });
        }
    };
    let id = client.id_of(repository, &found.digest).await;
    let (repository, reference) = (repository.clone(), found.digest);
    Ok(Known { id, repository, reference, content, cbor, archives: Vec::new(), packed: Vec::new() })
}

async fn declared_content(
    client: &Client,
    repository: &RepositoryName,
    declared: &Declared<'_>,
    what: &str,
) -> Result<(ContentManifest, Bytes), Error> {
    let cbor = client.get_document(repository, &declared.config.digest).await?;
    let content = ContentManifest::decode(&cbor)?;
    let checked = check_layers(&content, declared);
    checked.map_err(|source| Error::NotWhole { what: what.to_owned(), source })?;
    Ok((content, cbor))
}

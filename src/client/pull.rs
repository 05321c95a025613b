//! From a registry into a directory.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::header::CONTENT_RANGE;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt as _;

use super::digests::{Digesting, Digests};
use super::packages::Encoding;
use super::restore::{Restore, is_same};
use super::{Client, Error, IN_FLIGHT, Phase, Progress, retry};
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
    let Known { id, repository, reference, content, cbor } = match what {
        What::Package(id) => by_id(client, id).await?,
        What::Reference(repository, reference) => by_reference(client, repository, reference).await?,
    };
    let content = Arc::new(content);
    let restore = Restore::prepare(directory, &content, force, progress).await?;
    let missing: Vec<&File> = restore.missing.iter().map(|at| &content.files[*at]).collect();
    let downloaded_bytes = missing.iter().map(|file| file.size).sum();
    progress.begin(Phase::Downloading, missing.len() as u64, downloaded_bytes);
    let downloads = restore.missing.iter().map(|at| {
        let (restore, repository, file) = (&restore, &repository, &content.files[*at]);
        async move {
            receive(client, repository, file, &restore.incoming(*at), progress).await?;
            restore.publish(*at, file).await?;
            progress.add_file();
            Ok::<_, Error>(())
        }
    });
    stream::iter(downloads).buffer_unordered(IN_FLIGHT).try_collect::<()>().await?;
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
    Ok(Known { id: Some(record.id), repository, reference, content, cbor })
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
            let id = client.id_of(repository, &found.digest).await?;
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
    let id = client.id_of(repository, &found.digest).await?;
    Ok(Known { id, repository: repository.clone(), reference: found.digest, content, cbor })
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

/// Receives a file under a temporary name; goes on where it was when the connection breaks.
async fn receive(
    client: &Client,
    repository: &RepositoryName,
    file: &File,
    path: &Path,
    progress: &Progress,
) -> Result<(), Error> {
    let fault = || Error::file(path, "written");
    let open = OpenOptions::new().write(true).create_new(true).open(path).await;
    let mut output = open.map_err(fault())?;
    let mut digesting = Digesting::new();
    let mut failures = 0;
    loop {
        let before = digesting.size();
        let trouble = match client.get_blob(repository, &file.sha256, before).await {
            Ok(answer) => {
                if before > 0 && !goes_on(&answer, before) {
                    // It begins anew; so does the file.
                    output.set_len(0).await.map_err(fault())?;
                    output = OpenOptions::new().write(true).open(path).await.map_err(fault())?;
                    digesting = Digesting::new();
                }
                let mut body = answer.into_body();
                loop {
                    match client.chunk(&mut body).await {
                        Ok(Some(bytes)) => {
                            digesting.update(&bytes);
                            if digesting.size() > file.size {
                                return Err(damaged(client, file, digesting.finish()));
                            }
                            output.write_all(&bytes).await.map_err(fault())?;
                            progress.add_bytes(bytes.len() as u64);
                        }
                        Ok(None) => break None,
                        Err(error) => break Some(error),
                    }
                }
            }
            Err(error) => return Err(error),
        };
        let Some(trouble) = trouble else { break };
        failures = if digesting.size() > before { 1 } else { failures + 1 };
        if failures > retry::ATTEMPTS {
            return Err(trouble);
        }
        tokio::time::sleep(retry::pause(failures, None)).await;
    }
    output.flush().await.map_err(fault())?;
    let found = digesting.finish();
    if is_same(file, &found) { Ok(()) } else { Err(damaged(client, file, found)) }
}

/// Whether an answer is the rest from `start` on.
fn goes_on(answer: &Response<Incoming>, start: u64) -> bool {
    let range = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    answer.status() == StatusCode::PARTIAL_CONTENT && range.starts_with(&format!("bytes {start}-"))
}

fn damaged(client: &Client, file: &File, found: Digests) -> Error {
    let (expected, other) = if found.sha256 == file.sha256 {
        (file.content_address.clone(), found.content_address)
    } else {
        (file.sha256.clone(), found.sha256)
    };
    let found = format!("{} bytes with {other}", found.size);
    Error::Damaged { server: client.server().to_string(), what: file.path.to_string(), expected, found }
}

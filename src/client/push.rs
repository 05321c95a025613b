//! From files to a package in a registry.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::digests::{self, Digests};
use super::payload::{FilePart, Payload};
use super::stamps::Stamps;
use super::{Client, Error, IN_FLIGHT, Phase, Place, Progress};
use crate::hash;
use crate::oci::{Algorithm, Digest, Reference, RepositoryName, Tag, media};
use crate::package::mapping::{BlobRef, compose, names};
use crate::package::{ContentManifest, Description, File, Object, PackageId, PackagePath, guess_media_type};

/// A file to be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path in the package.
    pub path: PackagePath,
    /// Where its bytes are.
    pub file: PathBuf,
    /// What it is; `None` guesses by its name.
    pub media_type: Option<String>,
    /// What it is for.
    pub role: Option<String>,
}

/// What to pack, and where to.
#[derive(Clone, Debug)]
pub struct Job {
    /// The repository, and the tag if the package gets one. A digest as reference is what it must come out as.
    pub to: Place,
    /// The files, in any order.
    pub files: Vec<Source>,
    /// What the producer says of the package.
    pub description: Description,
    /// Where it comes from.
    pub provenance: Object,
}

/// A package that is in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its id; `None` from a registry that knows no packages.
    pub id: Option<PackageId>,
    /// Where it is.
    pub repository: RepositoryName,
    /// The digest of its OCI manifest or index.
    pub reference: Digest,
    /// The tag it got.
    pub tag: Option<Tag>,
    /// BLAKE3 of its content manifest.
    pub content_manifest: Digest,
    /// The class the registry resolved, if it told.
    pub class: Option<String>,
    /// The earliest permitted deletion in RFC 3339, if the registry told one.
    pub expires_at: Option<String>,
    /// Files in the package.
    pub files: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// Blobs that were sent, the content manifest not counted.
    pub uploaded: usize,
    /// Their bytes.
    pub uploaded_bytes: u64,
}

/// Packs files and brings the package into the registry: sends what the repository lacks, then the manifest.
///
/// The package is there as a whole or not at all, and doing it again sends nothing twice: content that is there is
/// found by its digest. Equal files, description and provenance give equal digests, on every machine and in every
/// order of files. Files must not change meanwhile; one that does, or is gone, fails the push with its name.
pub async fn push(client: &Client, job: Job, progress: &Arc<Progress>) -> Result<Pushed, Error> {
    let Job { to, files: sources, description, provenance } = job;
    if let Some(class) = &description.retention_class {
        check_class(client, class).await?;
    }
    let stamps = Stamps::of(&sources).await?;
    let files = described(&sources, progress).await?;
    let content = ContentManifest::new(description, files, provenance)?;
    let cbor = Bytes::from(content.encode()?);
    let config = BlobRef::of(&cbor);
    let composed = compose(&content, &config);
    let reference = composed.reference();
    if let Some(Reference::Digest(expected)) = &to.reference
        && *expected != reference
    {
        return Err(Error::OtherDigest { expected: expected.clone(), found: reference });
    }
    let repository = &to.repository;
    // One request alone, before many at a time: it logs in for all of them.
    document(client, repository, &config.digest, cbor.clone()).await?;
    let (uploaded, uploaded_bytes) = upload(client, repository, &content, &sources, progress).await?;
    if composed.parts.len() > 1 {
        let empty = Bytes::from_static(names::EMPTY_CONFIG);
        document(client, repository, &BlobRef::of(&empty).digest, empty).await?;
    }
    // What was replaced since it was hashed is not what a pull of this package would bring, or was never sent.
    stamps.check().await?;
    for part in composed.parts {
        let by = Reference::Digest(BlobRef::of(&part).digest);
        client.put_manifest(repository, &by, media::OCI_IMAGE_MANIFEST, part).await?;
    }
    let by = to.reference.clone().unwrap_or_else(|| reference.clone().into());
    let headers = client.put_manifest(repository, &by, composed.media_type, composed.manifest).await?;
    let id = client.pushed_id(repository, &headers, &reference).await;
    // The package is there, whatever else can be learnt of it.
    let package = match &id {
        Some(id) => client.package(id).await.ok(),
        None => None,
    };
    let field = |name: &str| package.as_ref()?.get(name)?.as_str().map(str::to_owned);
    Ok(Pushed {
        id,
        repository: to.repository,
        reference,
        tag: match to.reference {
            Some(Reference::Tag(tag)) => Some(tag),
            _ => None,
        },
        content_manifest: hash::digest(Algorithm::Blake3, &cbor),
        class: field("retention_class"),
        expires_at: field("expires_at"),
        files: content.files.len(),
        bytes: content.files.iter().map(|file| file.size).sum(),
        uploaded,
        uploaded_bytes,
    })
}

/// Refuses a class the registry does not have, before anything is read or sent. Where it cannot be asked, the
/// answer to the manifest tells.
async fn check_class(client: &Client, class: &str) -> Result<(), Error> {
    match client.retention_classes().await? {
        Some(known) if !known.iter().any(|known| known == class) => {
            let (server, class) = (client.server().to_string(), class.to_owned());
            Err(Error::UnknownClass { server, class, known })
        }
        _ => Ok(()),
    }
}

/// The files as the table has them, in the order of the sources.
async fn described(sources: &[Source], progress: &Arc<Progress>) -> Result<Vec<File>, Error> {
    progress.begin(Phase::Hashing, sources.len() as u64, 0);
    let digests =
        digests::of_files(sources.iter().map(|source| source.file.clone()).collect(), progress).await;
    let describe = |(source, digests): (&Source, io::Result<Digests>)| {
        let digests = digests.map_err(Error::file(&source.file, "read"))?;
        let guessed = || guess_media_type(&source.path).to_owned();
        Ok(File {
            path: source.path.clone(),
            media_type: source.media_type.clone().unwrap_or_else(guessed),
            size: digests.size,
            content_address: digests.content_address,
            sha256: digests.sha256,
            role: source.role.clone(),
        })
    };
    sources.iter().zip(digests).map(describe).collect()
}

/// Sends the contents the repository lacks, each once: how many, and their bytes.
async fn upload(
    client: &Client,
    repository: &RepositoryName,
    content: &ContentManifest,
    sources: &[Source],
    progress: &Arc<Progress>,
) -> Result<(usize, u64), Error> {
    let places: HashMap<_, _> = sources.iter().map(|source| (&source.path, &source.file)).collect();
    let mut seen = HashSet::new();
    let contents: Vec<&File> = content.files.iter().filter(|file| seen.insert(&file.sha256)).collect();
    let bytes = contents.iter().map(|file| file.size).sum();
    progress.begin(Phase::Uploading, contents.len() as u64, bytes);
    let uploads = contents.into_iter().map(|file| {
        let path = places[&file.path].clone();
        async move {
            let is_there = client.has_blob(repository, &file.sha256, file.size).await?;
            if is_there {
                progress.add_bytes(file.size);
            } else {
                let progress = Arc::clone(progress);
                let part = FilePart { path, size: file.size, start: 0, progress };
                client.push_blob(repository, &file.sha256, Payload::File(part)).await?;
            }
            progress.add_file();
            Ok::<_, Error>(if is_there { (0, 0) } else { (1, file.size) })
        }
    });
    // The first error ends the others where they are.
    let mut uploads = stream::iter(uploads).buffer_unordered(IN_FLIGHT);
    let mut sent = (0, 0);
    while let Some((count, bytes)) = uploads.try_next().await? {
        sent = (sent.0 + count, sent.1 + bytes);
    }
    Ok(sent)
}

async fn document(
    client: &Client,
    repository: &RepositoryName,
    digest: &Digest,
    bytes: Bytes,
) -> Result<(), Error> {
    if client.has_blob(repository, digest, bytes.len() as u64).await? {
        return Ok(());
    }
    client.push_blob(repository, digest, Payload::Bytes(bytes)).await
}

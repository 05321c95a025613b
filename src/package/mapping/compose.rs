//! From a content manifest to the bytes of its OCI manifest.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::{ContentManifest, Description, File};
use super::names::{
    CBOR_TITLE, EMPTY_CONFIG, FILE_ROLE, GENERATED, KIND, MANIFEST_CBOR, PACKAGE, PART, RETENTION_CLASS,
    TITLE,
};
use crate::hash;
use crate::oci::{Algorithm, Digest, media};

/// Files in one manifest at most; a package with more is an index of parts.
pub const MAX_PART_FILES: usize = 8_000;

/// Bytes of the layers of one manifest at most: 3 MiB. Clients read manifests of up to 4 MiB, and the rest of a
/// manifest is below 2 KiB.
pub const MAX_PART_BYTES: usize = 3 << 20;

/// Names a blob as a manifest does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRef {
    /// Its SHA-256 digest.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

impl BlobRef {
    /// The name of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { digest: hash::digest(Algorithm::Sha256, bytes), size: bytes.len() as u64 }
    }
}

/// A package as OCI manifests, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// The part manifests in order, to be pushed by digest before the index; none for a package in one manifest.
    /// They are of type [`media::OCI_IMAGE_MANIFEST`], and all but the first need the blob [`EMPTY_CONFIG`].
    pub parts: Vec<Vec<u8>>,
    /// The manifest that is the package.
    pub manifest: Vec<u8>,
    /// Its media type: an image manifest's or an index's.
    pub media_type: &'static str,
}

impl Composed {
    /// The digest by which the package is pulled: SHA-256 of its manifest.
    pub fn reference(&self) -> Digest {
        hash::digest(Algorithm::Sha256, &self.manifest)
    }
}

/// Composes the manifest of a package. `config` names the canonical CBOR of `content` by SHA-256.
///
/// Equal content gives equal bytes: fields stand in a fixed order without white space, annotations sorted, and a
/// package is cut into parts at the first file that does not fit, by count or by bytes.
pub fn compose(content: &ContentManifest, config: &BlobRef) -> Composed {
    let own = Descriptor::new(MANIFEST_CBOR, config);
    let layers = std::iter::once(own.titled(CBOR_TITLE)).chain(content.files.iter().map(layer)).collect();
    let notes = notes(&content.package);
    let mut parts = cut(layers);
    if parts.len() == 1 {
        let layers = parts.remove(0);
        let manifest = json(&Image::new(PACKAGE, own, layers, notes));
        return Composed { parts: Vec::new(), manifest, media_type: media::OCI_IMAGE_MANIFEST };
    }
    let empty = BlobRef::of(EMPTY_CONFIG);
    let mut configs =
        std::iter::once(own).chain(std::iter::repeat(Descriptor::new(media::OCI_EMPTY, &empty)));
    let mut part = |layers| {
        let config = configs.next().expect("the empty config repeats");
        json(&Image::new(PART, config, layers, BTreeMap::new()))
    };
    let parts: Vec<Vec<u8>> = parts.into_iter().map(&mut part).collect();
    let blobs: Vec<BlobRef> = parts.iter().map(|part| BlobRef::of(part)).collect();
    let index = Index {
        schema_version: 2,
        media_type: media::OCI_IMAGE_INDEX,
        artifact_type: PACKAGE,
        manifests: blobs.iter().map(Descriptor::part).collect(),
        annotations: notes,
    };
    Composed { parts, manifest: json(&index), media_type: media::OCI_IMAGE_INDEX }
}

/// Composes the referrer by which a registry publishes the content manifest it derived for `subject`, a manifest
/// of this media type that brought none. An image manifest; it needs the blobs `config` and [`EMPTY_CONFIG`].
pub fn compose_generated(config: &BlobRef, subject: &BlobRef, media_type: &str) -> Vec<u8> {
    let empty = BlobRef::of(EMPTY_CONFIG);
    let layers = vec![Descriptor::new(MANIFEST_CBOR, config).titled(CBOR_TITLE)];
    let config = Descriptor::new(media::OCI_EMPTY, &empty);
    let mut image = Image::new(MANIFEST_CBOR, config, layers, [(GENERATED, "true")].into());
    image.subject = Some(Descriptor::new(media_type, subject));
    json(&image)
}

type Annotations<'a> = BTreeMap<&'static str, &'a str>;

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: Annotations<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Image<'a> {
    schema_version: u8,
    media_type: &'static str,
    artifact_type: &'static str,
    config: Descriptor<'a>,
    layers: Vec<Descriptor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: Annotations<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    artifact_type: &'static str,
    manifests: Vec<Descriptor<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: Annotations<'a>,
}

impl<'a> Descriptor<'a> {
    fn new(media_type: &'a str, blob: &'a BlobRef) -> Self {
        let BlobRef { digest, size } = blob;
        Self { media_type, digest, size: *size, artifact_type: None, annotations: BTreeMap::new() }
    }

    fn titled(&self, title: &'a str) -> Self {
        Self { annotations: [(TITLE, title)].into(), ..self.clone() }
    }

    fn part(blob: &'a BlobRef) -> Self {
        Self { artifact_type: Some(PART), ..Self::new(media::OCI_IMAGE_MANIFEST, blob) }
    }
}

impl<'a> Image<'a> {
    fn new(
        artifact_type: &'static str,
        config: Descriptor<'a>,
        layers: Vec<Descriptor<'a>>,
        annotations: Annotations<'a>,
    ) -> Self {
        let media_type = media::OCI_IMAGE_MANIFEST;
        Self { schema_version: 2, media_type, artifact_type, config, layers, subject: None, annotations }
    }
}

fn layer(file: &File) -> Descriptor<'_> {
    let role = file.role.as_deref().map(|role| (FILE_ROLE, role));
    Descriptor {
        media_type: &file.media_type,
        digest: &file.sha256,
        size: file.size,
        artifact_type: None,
        annotations: role.into_iter().chain([(TITLE, file.path.as_str())]).collect(),
    }
}

fn notes(package: &Description) -> Annotations<'_> {
    let kind = package.kind.as_deref().map(|kind| (KIND, kind));
    let class = package.retention_class.as_deref().map(|class| (RETENTION_CLASS, class));
    kind.into_iter().chain(class).collect()
}

/// Cuts the layers, of which the first is the content manifest and no file.
fn cut(layers: Vec<Descriptor<'_>>) -> Vec<Vec<Descriptor<'_>>> {
    let mut parts = vec![Vec::new()];
    let (mut files, mut bytes) = (0, 0);
    for (at, layer) in layers.into_iter().enumerate() {
        let weight = json(&layer).len() + 1;
        if files == MAX_PART_FILES || bytes + weight > MAX_PART_BYTES {
            parts.push(Vec::new());
            (files, bytes) = (0, 0);
        }
        files += usize::from(at > 0);
        bytes += weight;
        parts.last_mut().expect("there is always a part").push(layer);
    }
    parts
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("text and numbers always serialise")
}

//! What a pushed manifest is to the registry.

use std::collections::BTreeMap;

use super::super::LIMITS;
use super::embedded::check_embedded;
use super::error::Mismatch;
use super::names::{EMPTY_CONFIG, MANIFEST_CBOR, PACKAGE, PART, TITLE, UNPACK};
use crate::hash;
use crate::oci::{Algorithm, Descriptor, Manifest, excerpt, media};

/// Parts of one index at most. The longest paths and types give 40 000 files some 35.
pub const MAX_PARTS: usize = 64;

/// The four ways a manifest can be meant, one of them in two shapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognised<'a> {
    /// The package's type and a CBOR config: read the config, then [`check_layers`](super::check_layers).
    Declared(Declared<'a>),
    /// The same, in parts: read the children and [`join`] them.
    DeclaredIndex {
        /// The children in order, 1 to [`MAX_PARTS`] of them.
        parts: &'a [Descriptor],
    },
    /// The package's type and an empty config: the table is [`implicit_files`](super::implicit_files).
    Implicit,
    /// As implicit, with layers that are tar archives; the others are plain files.
    Archive {
        /// The archives in order.
        layers: Vec<&'a Descriptor>,
    },
    /// Everything else.
    Ordinary,
}

/// What a declared package says of itself as OCI content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared<'a> {
    /// Names the canonical CBOR by SHA-256; not larger than a package manifest may be.
    pub config: &'a Descriptor,
    /// The layers of all parts in order.
    pub layers: Vec<&'a Descriptor>,
    /// Of the image manifest, or of the index.
    pub annotations: &'a BTreeMap<String, String>,
}

/// Says what a manifest is. Fails for one that can be nothing but a package, and a broken one.
pub fn recognise(manifest: &Manifest) -> Result<Recognised<'_>, Mismatch> {
    if manifest.artifact_type.as_deref() != Some(PACKAGE) {
        return Ok(Recognised::Ordinary);
    }
    let recognised = sort(manifest)?;
    if recognised != Recognised::Ordinary {
        check_embedded(manifest).map_err(|(place, reason)| Mismatch::Embedded { place, reason })?;
    }
    Ok(recognised)
}

fn sort(manifest: &Manifest) -> Result<Recognised<'_>, Mismatch> {
    match (&*manifest.media_type, &manifest.config) {
        (media::OCI_IMAGE_INDEX, _) => match manifest.children.len() {
            1..=MAX_PARTS => Ok(Recognised::DeclaredIndex { parts: &manifest.children }),
            count => Err(Mismatch::Parts { count }),
        },
        (media::OCI_IMAGE_MANIFEST, Some(config)) if config.media_type == MANIFEST_CBOR => {
            check_config(config)?;
            let layers = manifest.layers.iter().collect();
            Ok(Recognised::Declared(Declared { config, layers, annotations: &manifest.annotations }))
        }
        (media::OCI_IMAGE_MANIFEST, Some(config)) if is_empty(config) => {
            check_empty(config).map_err(|reason| Mismatch::Config { reason })?;
            let layers: Vec<_> = manifest.layers.iter().filter(|layer| is_archive(layer)).collect();
            for layer in &layers {
                check_here(layer.annotations.get(TITLE).map_or("", String::as_str), layer)?;
            }
            Ok(if layers.is_empty() { Recognised::Implicit } else { Recognised::Archive { layers } })
        }
        _ => Ok(Recognised::Ordinary),
    }
}

/// Puts the parts of an index together. `parts` are its children, read, in its order.
///
/// # Panics
/// When there are not as many as the index has children.
pub fn join<'a>(index: &'a Manifest, parts: &'a [Manifest]) -> Result<Declared<'a>, Mismatch> {
    assert_eq!(index.children.len(), parts.len(), "a part for every child");
    let wrong = |at, reason: &str| Err(Mismatch::Part { at, reason: reason.to_owned() });
    let mut first = None;
    for (at, (child, part)) in index.children.iter().zip(parts).enumerate() {
        let stated = child.artifact_type.as_deref().unwrap_or(PART);
        if part.media_type != media::OCI_IMAGE_MANIFEST
            || part.artifact_type.as_deref() != Some(PART)
            || stated != PART
        {
            return wrong(at, &format!("is not an image manifest of artifact type {PART}"));
        }
        let Some(config) = &part.config else {
            return wrong(at, "has no config");
        };
        match (at, config) {
            (0, config) if config.media_type != MANIFEST_CBOR => {
                return wrong(at, &format!("the config of the first part is of type {MANIFEST_CBOR}"));
            }
            (0, config) => {
                check_config(config)?;
                first = Some(config);
            }
            (_, config) if !is_empty(config) => {
                return wrong(at, &format!("the config of a later part is of type {}", media::OCI_EMPTY));
            }
            (_, config) => {
                check_empty(config)
                    .map_err(|reason| Mismatch::Part { at, reason: format!("config: {reason}") })?;
            }
        }
        check_embedded(part).map_err(|(place, reason)| Mismatch::Embedded {
            place: format!("manifests[{at}]: {place}"),
            reason,
        })?;
    }
    let Some(config) = first else {
        return Err(Mismatch::Parts { count: 0 });
    };
    let layers = parts.iter().flat_map(|part| &part.layers).collect();
    Ok(Declared { config, layers, annotations: &index.annotations })
}

/// Whether the bytes of the layer are kept here.
pub(super) fn check_here(title: &str, layer: &Descriptor) -> Result<(), Mismatch> {
    if !layer.is_foreign() {
        return Ok(());
    }
    let reason =
        "its layer lies elsewhere (urls, or a non-distributable type); what is in a package is pushed";
    Err(Mismatch::Layer { path: excerpt(title), reason: reason.to_owned() })
}

/// Whether `oras pull` unpacks the layer.
pub(super) fn is_archive(layer: &Descriptor) -> bool {
    layer.annotations.get(UNPACK).is_some_and(|value| value == "true")
}

/// Also the way of image-spec 1.0, where the type of an empty config says what the artifact is.
fn is_empty(config: &Descriptor) -> bool {
    config.media_type == media::OCI_EMPTY
        || (config.media_type == PACKAGE && config.size == EMPTY_CONFIG.len() as u64)
}

/// Readers trust what a descriptor says of a blob, and one of two bytes is no exception.
fn check_empty(config: &Descriptor) -> Result<(), String> {
    let Descriptor { digest, size, .. } = config;
    let empty = hash::digest(digest.algorithm(), EMPTY_CONFIG);
    if *digest == empty && *size == EMPTY_CONFIG.len() as u64 {
        return Ok(());
    }
    Err(format!(
        "an empty config is the two bytes {{}}, of size 2 and digest {empty}; this says size {size} and digest {digest}"
    ))
}

fn check_config(config: &Descriptor) -> Result<(), Mismatch> {
    let refuse = |reason| Err(Mismatch::Config { reason });
    if config.digest.algorithm() != Algorithm::Sha256 {
        return refuse(format!("digest {} is not a sha256 digest", excerpt(config.digest.as_str())));
    }
    if config.is_foreign() {
        return refuse("it has urls, and what a package consists of is kept here".to_owned());
    }
    if config.size > LIMITS.total as u64 {
        return refuse(format!(
            "its size {} is above {}, the most a package manifest may have",
            config.size, LIMITS.total
        ));
    }
    Ok(())
}

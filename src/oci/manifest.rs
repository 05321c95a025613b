//! Manifests: what a client pushes under a tag (image-spec `manifest.md`, `image-index.md`).
//!
//! [`Manifest::parse`] reads what the registry has to know and leaves the bytes alone: they are stored
//! as they came. It is lenient about fields it does not know and strict about those it does, because
//! every reader of a stored manifest must see the same one. A document that could be read as two things
//! (an image and an index, CVE-2021-41190; a key twice, or in another case, which Go's decoder takes for
//! the same key) is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::media;
use super::text::excerpt;
use document::Document;

pub use super::descriptor::Descriptor;

mod document;

/// What a manifest is by shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Config and layers.
    Image,
    /// A list of manifests.
    Index,
}

impl Kind {
    /// The kind a known manifest type says; `None` for every other type.
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type {
            media::OCI_IMAGE_MANIFEST | media::DOCKER_MANIFEST => Some(Self::Image),
            media::OCI_IMAGE_INDEX | media::DOCKER_MANIFEST_LIST => Some(Self::Index),
            _ => None,
        }
    }
}

/// A manifest the registry understands: OCI image and index, docker schema 2 and manifest list, or a
/// custom `application/…` type of one of these shapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What it is served as: the declared content type, else the body's, else OCI's for its shape.
    pub media_type: String,
    /// Image or index.
    pub kind: Kind,
    /// An image's config; always there for images.
    pub config: Option<Descriptor>,
    /// An image's layers in order.
    pub layers: Vec<Descriptor>,
    /// An index's manifests in order; the same one may stand there twice.
    pub children: Vec<Descriptor>,
    /// The manifest this one is about. It need not exist.
    pub subject: Option<Descriptor>,
    /// What the referrers API filters by: `artifactType`, else an image's config type.
    pub artifact_type: Option<String>,
    /// Free-form notes, sorted by key.
    pub annotations: BTreeMap<String, String>,
}

/// Why a body is not a manifest. Each message can be shown to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or a field has a value it may not have.
    #[error("{path}: {reason}")]
    Field {
        /// Where, e.g. `layers[3].digest`; `manifest` for the document itself.
        path: String,
        /// What is wrong there.
        reason: String,
    },
    /// A field the kind requires is not there.
    #[error("{field} is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// The `Content-Type` and the body disagree about the type.
    #[error("content type is {header:?} but the body's mediaType is {body:?}")]
    MediaTypeMismatch {
        /// From the header, without parameters.
        header: String,
        /// From the body.
        body: String,
    },
    /// A type that cannot be a manifest's.
    #[error("media type {media_type:?} cannot be that of a manifest, expected application/…")]
    MediaType {
        /// The type, shortened.
        media_type: String,
    },
    /// Docker's schema 1, by type, version or fields.
    #[error("docker schema 1 manifests (schema1) are not supported, push schema 2 or OCI")]
    Schema1,
    /// `schemaVersion` is neither 2 nor 1.
    #[error("schemaVersion is {found}, expected 2")]
    SchemaVersion {
        /// What is there.
        found: u64,
    },
    /// Fields of an image and of an index in one document.
    #[error("manifest has both manifests and config or layers, it is ambiguous")]
    Ambiguous,
    /// The type says one kind and the fields the other.
    #[error("media type {media_type:?} does not fit a body with {field}")]
    WrongShape {
        /// The type.
        media_type: String,
        /// The field that gives it away.
        field: &'static str,
    },
    /// An unknown or absent type, and fields of neither kind.
    #[error(
        "media type {media_type:?} is unknown and the body is neither an image (config and layers) nor an index (manifests)"
    )]
    UnknownShape {
        /// The type; empty when nobody stated one.
        media_type: String,
    },
}

impl Manifest {
    /// Reads a manifest of which the request said `content_type`.
    ///
    /// Says nothing about whether the content it names exists; see [`required`](Self::required).
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        let header = content_type.map(media::essence).filter(|text| !text.is_empty());
        // Before the body: a signed schema 1 body is not worth reading.
        if header.is_some_and(media::is_schema1) {
            return Err(ManifestError::Schema1);
        }
        let document = document::read(bytes)?;
        let stated = stated_media_type(header, document.media_type.as_deref())?;
        check_schema(&document)?;
        let kind = kind(&document, stated.as_deref())?;
        let media_type = stated.unwrap_or_else(|| {
            let inferred = match kind {
                Kind::Image => media::OCI_IMAGE_MANIFEST,
                Kind::Index => media::OCI_IMAGE_INDEX,
            };
            inferred.to_owned()
        });
        let artifact_type = document
            .artifact_type
            .filter(|text| !text.is_empty())
            .or_else(|| document.config.as_ref().map(|config| config.media_type.clone()));
        if let Some(text) = artifact_type.as_deref().filter(|text| text.contains('\0')) {
            // Not every database can store one, and no media type has one.
            return Err(ManifestError::MediaType { media_type: excerpt(text) });
        }
        Ok(Self {
            media_type,
            kind,
            config: document.config,
            layers: document.layers,
            children: document.manifests,
            subject: document.subject,
            artifact_type,
            annotations: document.annotations,
        })
    }

    /// What must be in the repository before this manifest is, each digest once: config and layers of an
    /// image but not its foreign layers, the children of an index, never the subject.
    pub fn required(&self) -> impl Iterator<Item = &Descriptor> {
        let mut seen = BTreeSet::new();
        self.config
            .iter()
            .chain(self.layers.iter().filter(|layer| !layer.is_foreign()))
            .chain(&self.children)
            .filter(move |descriptor| seen.insert(&descriptor.digest))
    }
}

/// The type header and body agree on, if either states one.
fn stated_media_type(header: Option<&str>, body: Option<&str>) -> Result<Option<String>, ManifestError> {
    let body = body.filter(|text| !text.is_empty());
    if body.is_some_and(media::is_schema1) {
        return Err(ManifestError::Schema1);
    }
    let stated = match (header, body) {
        (Some(header), Some(body)) if header != body => {
            return Err(ManifestError::MediaTypeMismatch { header: excerpt(header), body: excerpt(body) });
        }
        (header, body) => header.or(body),
    };
    match stated {
        // It becomes a response header, on an origin that browsers visit: nothing but `application/…`,
        // or a manifest could be a page.
        Some(text) if !media::is_media_type(text) || !text.starts_with("application/") => {
            Err(ManifestError::MediaType { media_type: excerpt(text) })
        }
        stated => Ok(stated.map(str::to_owned)),
    }
}

fn check_schema(document: &Document) -> Result<(), ManifestError> {
    match document.schema_version {
        _ if document.has("fsLayers") => Err(ManifestError::Schema1),
        Some(2) => Ok(()),
        Some(1) => Err(ManifestError::Schema1),
        Some(found) => Err(ManifestError::SchemaVersion { found }),
        None => Err(ManifestError::Missing { field: "schemaVersion" }),
    }
}

/// The kind by type, which the fields must fit, or by fields alone when the type is unknown.
fn kind(document: &Document, stated: Option<&str>) -> Result<Kind, ManifestError> {
    let image_field = ["config", "layers"].into_iter().find(|field| document.has(field));
    let is_index = document.has("manifests");
    let kind = match (stated.and_then(Kind::of), image_field) {
        (_, Some(_)) if is_index => return Err(ManifestError::Ambiguous),
        (Some(Kind::Index), Some(field)) => return Err(wrong_shape(stated, field)),
        (Some(Kind::Image), _) if is_index => return Err(wrong_shape(stated, "manifests")),
        (Some(kind), _) => kind,
        (None, _) if is_index => Kind::Index,
        (None, _) if document.has("config") && document.has("layers") => Kind::Image,
        (None, _) => {
            return Err(ManifestError::UnknownShape { media_type: excerpt(stated.unwrap_or_default()) });
        }
    };
    let missing = match kind {
        Kind::Image if document.config.is_none() => Some("config"),
        Kind::Image if !document.has("layers") => Some("layers"),
        Kind::Index if !is_index => Some("manifests"),
        _ => None,
    };
    missing.map_or(Ok(kind), |field| Err(ManifestError::Missing { field }))
}

fn wrong_shape(stated: Option<&str>, field: &'static str) -> ManifestError {
    ManifestError::WrongShape { media_type: stated.unwrap_or_default().to_owned(), field }
}

#[cfg(test)]
mod tests;

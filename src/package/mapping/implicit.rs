//! The table of a package that brought none: what its titles and annotations say.

use serde_json::{Map, Value};

use super::super::{Description, Invalid, Object, PackagePath, check_kind};
use super::error::Mismatch;
use super::names::{CASE, COLLECTED_AT, FILE_ROLE, KIND, RETENTION_CLASS, TITLE};
use super::recognise::{check_here, is_archive};
use crate::oci::media::is_media_type;
use crate::oci::{Digest, Manifest, excerpt};

/// A file as a layer tells of it; what else the table needs is known of the stored blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Titled {
    /// From the title.
    pub path: PackagePath,
    /// The layer's.
    pub media_type: String,
    /// The layer's, in the algorithm the producer chose.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// From the annotation, if it is there.
    pub role: Option<String>,
}

/// The plain files of an implicit or archive package, sorted by path. Empty only if there are archives.
///
/// That no path is a file and a folder is for
/// [`ContentManifest::new`](crate::package::ContentManifest::new), once the archives are read as well.
pub fn implicit_files(manifest: &Manifest) -> Result<Vec<Titled>, Mismatch> {
    let mut files = Vec::new();
    for (at, layer) in manifest.layers.iter().enumerate().filter(|(_, layer)| !is_archive(layer)) {
        let title = layer.annotations.get(TITLE).ok_or(Mismatch::Untitled { at })?;
        let path: PackagePath = title.parse().map_err(|reason| Mismatch::Path { at, reason })?;
        check_here(title, layer)?;
        let refuse = |reason| Mismatch::Layer { path: excerpt(title), reason };
        if !is_media_type(&layer.media_type) {
            return Err(refuse(format!("{:?} is not a media type", excerpt(&layer.media_type))));
        }
        let role = layer.annotations.get(FILE_ROLE).cloned();
        check_kind("role", role.as_deref()).map_err(|e| refuse(e.to_string()))?;
        let (media_type, digest) = (layer.media_type.clone(), layer.digest.clone());
        files.push(Titled { path, media_type, digest, size: layer.size, role });
    }
    if files.is_empty() && !manifest.layers.iter().any(is_archive) {
        return Err(Mismatch::NoFile);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    match files.windows(2).find(|pair| pair[0].path == pair[1].path) {
        Some(pair) => Err(Mismatch::Twice { path: excerpt(pair[0].path.as_str()) }),
        None => Ok(files),
    }
}

/// What the annotations of an implicit or archive package say of it: kind, class, and as metadata `case` and
/// `collected_at`.
pub fn implicit_description(manifest: &Manifest) -> Result<Description, Invalid> {
    let note = |key| manifest.annotations.get(key).cloned();
    let (kind, retention_class) = (note(KIND), note(RETENTION_CLASS));
    check_kind("kind", kind.as_deref())?;
    check_kind("retention_class", retention_class.as_deref())?;
    let mut metadata = Map::new();
    for (key, annotation) in [("case", CASE), ("collected_at", COLLECTED_AT)] {
        if let Some(text) = note(annotation) {
            metadata.insert(key.to_owned(), Value::String(text));
        }
    }
    let metadata = Object::new(metadata)?;
    Ok(Description { kind, retention_class, schema: None, metadata })
}

//! Whether the table of a declared package and its layers say the same.

use super::super::{ContentManifest, File};
use super::error::Mismatch;
use super::names::{CBOR_TITLE, FILE_ROLE, KIND, MANIFEST_CBOR, RETENTION_CLASS, TITLE};
use super::recognise::{Declared, check_here, is_archive};
use crate::oci::{Descriptor, Digest, excerpt};

/// Checks that every file has one layer of its path, digest, size and media type, that there is no other layer
/// but the config under its own title, and that no annotation contradicts the table.
///
/// The order of layers is free, and a role may be left out of a layer. Layers say nothing about content addresses:
/// see [`check_content_address`].
pub fn check_layers(content: &ContentManifest, declared: &Declared<'_>) -> Result<(), Mismatch> {
    let mut seen = vec![false; content.files.len()];
    let mut own = 0;
    for (at, layer) in declared.layers.iter().enumerate() {
        let Some(title) = layer.annotations.get(TITLE) else {
            return Err(Mismatch::Untitled { at });
        };
        check_kept(title, layer)?;
        if title == CBOR_TITLE {
            check_own(declared.config, layer)?;
            own += 1;
        } else {
            let found = content.files.binary_search_by(|file| file.path.as_str().cmp(title));
            let at = found.map_err(|_| Mismatch::NotInTable { path: excerpt(title) })?;
            if std::mem::replace(&mut seen[at], true) {
                return Err(Mismatch::Twice { path: excerpt(title) });
            }
            check_file(&content.files[at], layer)?;
        }
    }
    if let Some(at) = seen.iter().position(|seen| !seen) {
        return Err(Mismatch::NoLayer { path: content.files[at].path.clone() });
    }
    match own {
        0 => Err(no_own(declared.config)),
        1 => check_notes(content, declared),
        _ => Err(Mismatch::Twice { path: CBOR_TITLE.to_owned() }),
    }
}

/// Checks the content address of a file against that of the stored content its SHA-256 digest names.
///
/// A table is a claim until this is done for every file of it.
pub fn check_content_address(file: &File, stored: &Digest) -> Result<(), Mismatch> {
    same(file, "content address", stored, &file.content_address)
}

fn check_file(file: &File, layer: &Descriptor) -> Result<(), Mismatch> {
    same(file, "digest", &layer.digest, &file.sha256)?;
    same(file, "size", &layer.size, &file.size)?;
    same(file, "media type", &layer.media_type, &file.media_type)?;
    match layer.annotations.get(FILE_ROLE) {
        Some(role) if file.role.as_ref() != Some(role) => {
            let none = || "nothing of a role".to_owned();
            Err(differs(file, "role", role, &file.role.clone().unwrap_or_else(none)))
        }
        _ => Ok(()),
    }
}

fn same<T>(file: &File, field: &'static str, layer: &T, table: &T) -> Result<(), Mismatch>
where
    T: PartialEq + std::fmt::Display,
{
    if layer == table {
        return Ok(());
    }
    Err(differs(file, field, &layer.to_string(), &table.to_string()))
}

fn differs(file: &File, field: &'static str, layer: &str, table: &str) -> Mismatch {
    Mismatch::Differs { path: file.path.clone(), field, layer: excerpt(layer), table: excerpt(table) }
}

fn check_kept(title: &str, layer: &Descriptor) -> Result<(), Mismatch> {
    check_here(title, layer)?;
    if is_archive(layer) {
        let reason =
            "its layer is an archive to be unpacked, and the package manifest lists files".to_owned();
        return Err(Mismatch::Layer { path: excerpt(title), reason });
    }
    Ok(())
}

fn check_own(config: &Descriptor, layer: &Descriptor) -> Result<(), Mismatch> {
    let is_config = layer.digest == config.digest && layer.size == config.size;
    if is_config && layer.media_type == MANIFEST_CBOR { Ok(()) } else { Err(no_own(config)) }
}

fn no_own(config: &Descriptor) -> Mismatch {
    Mismatch::NoManifestLayer { digest: config.digest.to_string(), size: config.size }
}

fn check_notes(content: &ContentManifest, declared: &Declared<'_>) -> Result<(), Mismatch> {
    let package = &content.package;
    for (key, table) in [(KIND, &package.kind), (RETENTION_CLASS, &package.retention_class)] {
        let stated = declared.annotations.get(key);
        if stated.is_some() && stated != table.as_ref() {
            let stated = excerpt(stated.map_or("", String::as_str));
            return Err(Mismatch::Annotation { key, stated, table: table.clone().unwrap_or_default() });
        }
    }
    Ok(())
}

//! Content that stands in the manifest itself.
//!
//! Clients take it for the blob and ask for none (image-spec `descriptor.md`, "data"). In a package both are the same.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash;
use crate::oci::{Descriptor, Manifest};

/// Checks every descriptor of a manifest. The error is the place of the one that is wrong, and why.
pub(super) fn check_embedded(manifest: &Manifest) -> Result<(), (String, String)> {
    let single = [("config", &manifest.config), ("subject", &manifest.subject)];
    for (place, descriptor) in single {
        if let Some(descriptor) = descriptor {
            check(descriptor).map_err(|reason| (place.to_owned(), reason))?;
        }
    }
    for (place, list) in [("layers", &manifest.layers), ("manifests", &manifest.children)] {
        for (at, descriptor) in list.iter().enumerate() {
            check(descriptor).map_err(|reason| (format!("{place}[{at}]"), reason))?;
        }
    }
    Ok(())
}

fn check(descriptor: &Descriptor) -> Result<(), String> {
    let Some(data) = &descriptor.data else { return Ok(()) };
    let bytes = STANDARD.decode(data).map_err(|error| format!("not base64: {error}"))?;
    let Descriptor { digest, size, .. } = descriptor;
    if bytes.len() as u64 != *size {
        return Err(format!("it has {} bytes, size says {size}", bytes.len()));
    }
    let actual = hash::digest(digest.algorithm(), &bytes);
    if actual != *digest {
        return Err(format!("it hashes to {actual}, digest says {digest}"));
    }
    Ok(())
}

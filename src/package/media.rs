//! What a file is, by its name.

use super::PackagePath;
use crate::oci::media::OCTET_STREAM;

/// The media type of a file nobody gave one; the same on every machine, so that producers and the registry agree.
pub fn guess_media_type(path: &PackagePath) -> &'static str {
    mime_guess::from_path(path.as_str()).first_raw().unwrap_or(OCTET_STREAM)
}

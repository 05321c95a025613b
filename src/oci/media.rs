//! Media types (image-spec `media-types.md`; docker's in distribution's `manifest-v2-2.md`).

/// OCI image manifest.
pub const OCI_IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index; also the type of a referrers answer.
pub const OCI_IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image configuration.
pub const OCI_IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// OCI layer, a plain tar.
pub const OCI_LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
/// OCI layer, tar and gzip.
pub const OCI_LAYER_TAR_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// OCI layer, tar and zstd.
pub const OCI_LAYER_TAR_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// The two bytes `{}`, for artifacts that need no config.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Docker image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest, schema 1: refused.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Docker image manifest, schema 1 with signatures: refused.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// Bytes of which nothing else is known; the type of every blob answer.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// What the types of layers that are not pushed begin with: OCI non-distributable, docker foreign.
const FOREIGN: [&str; 2] =
    ["application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign."];

/// A `Content-Type` without its parameters: `application/json; charset=utf-8` is `application/json`.
pub fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether the text is `type/subtype` of HTTP token characters, at most 255 bytes: it can stand in a header.
pub fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    text.len() <= 255 && text.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// Whether layers of this type stay where they are and are not pushed with the image.
pub fn is_foreign_layer(media_type: &str) -> bool {
    FOREIGN.iter().any(|prefix| media_type.starts_with(prefix))
}

/// Whether this is one of docker's schema 1 types, which the registry refuses.
pub fn is_schema1(media_type: &str) -> bool {
    matches!(media_type, DOCKER_SCHEMA1 | DOCKER_SCHEMA1_SIGNED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_essence_has_no_parameters_and_no_space() {
        assert_eq!(essence(" application/json ; charset=utf-8"), "application/json");
        assert_eq!(essence("text/plain;a=1;b=2"), "text/plain");
        assert_eq!(essence(""), "");
    }

    #[test]
    fn a_media_type_fits_into_a_header() {
        assert!(is_media_type(OCI_IMAGE_INDEX));
        for text in ["", "json", "a/", "/b", "a/b/c", "a/b\r\nX: y", "a/b; c=d", "a /b", "a/ö"] {
            assert!(!is_media_type(text), "{text:?}");
        }
        assert!(!is_media_type(&format!("a/{}", "b".repeat(254))));
    }

    #[test]
    fn foreign_layers_are_known_by_their_type() {
        assert!(is_foreign_layer("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"));
        assert!(is_foreign_layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"));
        assert!(!is_foreign_layer(OCI_LAYER_TAR));
    }
}

//! Names that are part of the format. They never change; a new meaning gets a new name.

/// The artifact type of a package: of its image manifest, or of its index.
pub const PACKAGE: &str = "application/vnd.artifactstore.package.v1";
/// The artifact type of one part of a package that has an index.
pub const PART: &str = "application/vnd.artifactstore.package.part.v1";
/// The media type of the canonical CBOR of a content manifest.
pub const MANIFEST_CBOR: &str = "application/vnd.artifactstore.manifest.v1+cbor";
/// The media type of its projection to canonical JSON.
pub const MANIFEST_JSON: &str = "application/vnd.artifactstore.manifest.v1+json";

/// On a manifest: the package's kind.
pub const KIND: &str = "dev.artifactstore.package.kind";
/// On a manifest: the retention class the producer asks for.
pub const RETENTION_CLASS: &str = "dev.artifactstore.retention.class";
/// On a manifest: the case or matter the package belongs to.
pub const CASE: &str = "dev.artifactstore.case";
/// On a manifest: when the evidence was collected.
pub const COLLECTED_AT: &str = "dev.artifactstore.collected-at";
/// On a layer: what the file is for.
pub const FILE_ROLE: &str = "dev.artifactstore.file.role";
/// `true` on the referrer by which the registry publishes a table it derived.
pub const GENERATED: &str = "dev.artifactstore.generated";

/// On a layer: the path the file is restored to (image-spec, "Pre-Defined Annotation Keys").
pub const TITLE: &str = "org.opencontainers.image.title";
/// `true` on a layer that `oras pull` unpacks as a tar.
pub const UNPACK: &str = "io.deis.oras.content.unpack";

/// The title of the layer with the content manifest, so that a plain pull leaves a folder that can be verified.
pub const CBOR_TITLE: &str = ".artifactstore/package.cbor";

/// The bytes of the empty config.
pub const EMPTY_CONFIG: &[u8] = b"{}";

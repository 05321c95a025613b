//! Why a manifest that says it is a package is none.

use super::super::{PackagePath, PathError};
use super::names::{CBOR_TITLE, PACKAGE};

/// What is wrong, with the place. Each message can be shown to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The config of a declared package is not what it must be.
    #[error("config: {reason}")]
    Config {
        /// What is wrong with it.
        reason: String,
    },
    /// A layer without a path.
    #[error(
        "layers[{at}] has no org.opencontainers.image.title; every layer of a package is a file with a path"
    )]
    Untitled {
        /// Which layer.
        at: usize,
    },
    /// A layer whose title is no path.
    #[error("layers[{at}]: {reason}")]
    Path {
        /// Which layer.
        at: usize,
        /// Which rule.
        #[source]
        reason: PathError,
    },
    /// A path stands there twice.
    #[error("file {path} has two layers")]
    Twice {
        /// The title, shortened.
        path: String,
    },
    /// There is no file at all.
    #[error("a package has at least one file, this manifest has no layer with one")]
    NoFile,
    /// A layer, or the content it names, is otherwise than the table says.
    #[error("file {path} as pushed has the {field} {layer}, the package manifest says {table}")]
    Differs {
        /// The file.
        path: PackagePath,
        /// What differs.
        field: &'static str,
        /// What the layer, or the stored content, has.
        layer: String,
        /// What the table has.
        table: String,
    },
    /// What a descriptor embeds is not the content it names.
    #[error("{place}.data: {reason}; embed the content, or leave data out")]
    Embedded {
        /// Which descriptor.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The same bytes are stored, and served, as something else.
    #[error(
        "mediaType: these bytes are stored as {stored} already and are served as that, a package is of type {pushed}; \
         write mediaType into the manifest, or delete the one that is there"
    )]
    StoredAs {
        /// What they are served as.
        stored: String,
        /// What they were pushed as.
        pushed: String,
    },
    /// A layer that is not in the table.
    #[error("file {path} has a layer and is not in the package manifest")]
    NotInTable {
        /// The title, shortened.
        path: String,
    },
    /// A file without a layer.
    #[error("file {path} is in the package manifest and has no layer")]
    NoLayer {
        /// The file.
        path: PackagePath,
    },
    /// The layer with the content manifest is not there, or another blob than the config.
    #[error(
        "no layer with the title {CBOR_TITLE} is the same blob as the config: digest {digest}, size {size}"
    )]
    NoManifestLayer {
        /// The config's digest.
        digest: String,
        /// The config's size in bytes.
        size: u64,
    },
    /// A layer cannot be kept as a file.
    #[error("file {path}: {reason}")]
    Layer {
        /// The title, shortened.
        path: String,
        /// Why not.
        reason: String,
    },
    /// An annotation of the manifest says otherwise than the package manifest.
    #[error("annotation {key} is {stated:?}, the package manifest says {table:?}")]
    Annotation {
        /// Which annotation.
        key: &'static str,
        /// What it is, shortened.
        stated: String,
        /// What the package manifest says; empty for nothing.
        table: String,
    },
    /// An index has too few or too many parts.
    #[error("an index of type {PACKAGE} has 1 to {max} parts, this one has {count}", max = super::MAX_PARTS)]
    Parts {
        /// How many.
        count: usize,
    },
    /// A part of an index is not one.
    #[error("manifests[{at}]: {reason}")]
    Part {
        /// Which part.
        at: usize,
        /// What is wrong with it.
        reason: String,
    },
}

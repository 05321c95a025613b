//! Evidence packages: what they are, and how they look as OCI content. Pure.
//!
//! A package is a set of files with metadata, immutable once finalized. Two documents describe it in one format:
//! the [`ContentManifest`], which depends on nothing but the files and what the producer said of them, so that
//! packing the same evidence twice gives the same digest; and the [`Manifest`], which the registry completes at
//! finalize and records in the log.

pub mod archive;
mod id;
mod invalid;
pub mod layout;
mod manifest;
pub mod mapping;
mod media;
mod object;
mod path;
mod record;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

pub use id::{PackageId, PackageIdError};
pub use invalid::Invalid;
pub use manifest::{ContentManifest, Description, File, LIMITS, MAX_FILES, check_files, check_kind};
pub use media::guess_media_type;
pub use object::{Object, ObjectError};
pub use path::{PackagePath, PathError};
pub use record::{Manifest, Record, RetentionSummary, StorageReceipt};

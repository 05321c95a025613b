//! Packages: drafts that gather files, and what they become.
//!
//! ```text
//! create -> ingest, replace, drop -> finalize      a draft becomes a package and an OCI manifest
//!        \________ abort, expiry _/
//! push of an OCI manifest          -> finalized    the same from the other side: see `recognised`
//! ```
//!
//! Every step is one command, decided on the draft as it is then. Bytes go the way of every blob: durable first, then
//! the command that names them.

mod archives;
mod commands;
mod drafts;
mod finalize;
mod generated;
mod reading;
mod recognised;
mod schemas;
mod weights;

pub use crate::views::packages::{Filter, Package, Status};
pub use crate::views::schemas::{Registered, Schema};
pub use reading::{FileLocation, PackageFile};
pub(super) use schemas::Checks;
pub(super) use weights::Weights;

use crate::oci::{Digest, Tag};
use crate::package::{Description, Object, PackagePath};

/// A draft to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPackage {
    /// What its producer says of it.
    pub description: Description,
    /// Where it comes from.
    pub provenance: Object,
}

/// A file on its way into a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its path in the package.
    pub path: PackagePath,
    /// What it is; guessed from its name if nobody says.
    pub media_type: Option<String>,
    /// What it is for.
    pub role: Option<String>,
    /// What its client says it hashes to, in any algorithm.
    pub claimed: Option<Digest>,
    /// Whether it may take the place of another one.
    pub replace: bool,
}

/// What is settled when a draft is finalized.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finalize {
    /// A tag for its OCI manifest.
    pub tag: Option<Tag>,
    /// Takes the place of the draft's class.
    pub retention_class: Option<String>,
    /// Takes the place of the draft's metadata.
    pub metadata: Option<Object>,
}

//! How a package looks as OCI content, both ways.
//!
//! ```text
//! ContentManifest --compose--> image manifest, or an index of parts
//! oci::Manifest --recognise--> Declared --check_layers--> the table and the layers say the same
//!                              DeclaredIndex --join the parts--> Declared
//!                              Implicit, Archive --implicit_files, implicit_description--> a table in the making
//!                              Ordinary
//! ```
//!
//! The client and the server compose with the same code, so one tree has one digest whoever packs it. Composing
//! sorts; checking does not insist on an order, because `oras push` keeps the order of its arguments.

mod check;
mod compose;
mod embedded;
mod error;
mod implicit;
pub mod names;
mod recognise;

#[cfg(test)]
mod tests;

pub use check::{check_content_address, check_layers};
pub use compose::{BlobRef, Composed, MAX_PART_BYTES, MAX_PART_FILES, compose, compose_generated};
pub use error::Mismatch;
pub use implicit::{Titled, implicit_description, implicit_files};
pub use recognise::{Declared, MAX_PARTS, Recognised, join, recognise};

//! The canonical CBOR profile: RFC 8949 §4.2.1 (core deterministic encoding), restricted.
//!
//! | item | rule |
//! |---|---|
//! | integer | \|n\| ≤ 2^53 − 1, so that every JSON reader agrees on it |
//! | text | valid UTF-8, not normalised (file names stay byte-exact), at most [`Limits::text`] bytes |
//! | array, map | definite length, nested at most [`Limits::depth`] deep |
//! | map key | text of 1 to 256 printable ASCII bytes (0x20 to 0x7e), unique, ascending |
//! | `false`, `true`, `null` | as they are |
//! | everything else | refused: byte strings, floats, tags, bignums, `undefined`, simple values |
//!
//! Heads are the shortest that hold their number. Keys ascend bytewise by their encoding; since all
//! are text, that is also shorter first (RFC 8949 §4.2.3) and the order of DAG-CBOR, so every
//! ecosystem's "canonical" writes the same bytes. Free-text keys are allowed because package
//! metadata and OCI annotations bring their own.
//!
//! ```text
//! bytes --validate--> bytes --ciborium--> tree --serde--> T       from_slice
//! T --serde--> tree --check and sort--> tree --ciborium--> bytes  to_vec
//! ```
//!
//! The reader is a validator in front and not a strict deserialiser: deserialisers never see the
//! fields a type ignores, and ciborium accepts unsorted, repeated, overlong and trailing input.
//!
//! The tree is not an optimisation waiting to happen either. ciborium's streaming deserialiser
//! loses its place when a type reads less, or more, than an item holds (a tuple from a longer array,
//! a unit variant with content), and takes what follows for something else; a tree cannot slip.
//!
//! Both directions tell serde that the format is not human-readable, which makes some foreign types
//! choose bytes or numbers. A type that must be text here has to say so itself.

mod encode;
mod error;
mod item;
mod profile;
#[cfg(test)]
pub(super) mod tests;
mod validate;

use ciborium::Value;
use serde::de::{DeserializeOwned, Error as _};

pub use encode::{to_vec, to_vec_with_limits};
pub use error::{Error, Reason};
pub use item::Items;
pub use profile::{KEY_MAX, Limits, MAX_INTEGER};
pub use validate::validate;

/// Decodes bytes of at most [`Limits::DOCUMENT`] that are in the profile; see
/// [`from_slice_with_limits`].
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    from_slice_with_limits(bytes, &Limits::DOCUMENT)
}

/// Decodes bytes that are in the profile, and nothing else: they are [validated](validate) whole
/// before serde sees them, so also the parts `T` skips are canonical.
///
/// `T` decides what it skips. Fields it does not know are dropped unless it denies them, and a tuple
/// takes the front of a longer array; types that must account for every byte deny unknown fields
/// and avoid tuples.
pub fn from_slice_with_limits<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<T, Error> {
    tree(bytes, limits)?.deserialized().map_err(Error::of_type)
}

/// The validated bytes as a tree.
pub(super) fn tree(bytes: &[u8], limits: &Limits) -> Result<Value, Error> {
    validate(bytes, limits)?;
    // Valid bytes decode. Should the two ever disagree, the caller gets an error and not a panic.
    ciborium::from_reader(bytes).map_err(|e| Error::of_type(ciborium::value::Error::custom(e)))
}

//! Canonical encodings.
pub mod cbor;

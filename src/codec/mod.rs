//! Canonical encodings: one value, one sequence of bytes.
//!
//! Everything the registry hashes, signs or chains (events, snapshots, package manifests) is
//! [`cbor`], a narrow profile of deterministic CBOR. [`jcs`] shows the same values as canonical
//! JSON for people and for clients that speak no CBOR; it is a projection, never what is hashed.
//!
//! Whoever receives bytes keeps, hashes and verifies those very bytes: [`cbor::validate`] proves
//! they are the only spelling of their value, so nothing here ever re-encodes in order to compare.
//!
//! [`keys`] guards JSON of others, which is kept as it came.
//!
//! [`unseen`] tells characters that a text of one line must not have.
//!
//! The module is pure. It knows no event, no digest and no clock, and it reads and writes nothing
//! but its arguments.

pub mod cbor;
pub mod jcs;
pub mod keys;
pub mod unseen;

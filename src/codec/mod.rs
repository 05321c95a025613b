//! Canonical encodings.

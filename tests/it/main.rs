//! The integration tests, one binary: linking once is most of the time they take.

#![allow(
    clippy::unwrap_used,
    reason = "what is not as a test takes it to be fails the test, also in its helpers"
)]

mod cli;
mod corpora;
mod http;
mod layers;
mod spec_types;
mod support;
mod tricky;

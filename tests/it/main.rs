//! The integration tests, one binary: linking once is most of the time they take.

mod cli;
mod corpora;
mod http;
mod layers;
mod spec_types;
mod support;
mod tricky;

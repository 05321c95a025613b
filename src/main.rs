//! The `artifactstore` binary.

fn main() {}

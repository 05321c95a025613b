//! The `artifactstore` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    artifactstore::cli::run()
}

//! The `artifactstore` binary.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Gives back what large packages took. The C library's keeps it in every thread's own arena, a multiple of what is in use.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    artifactstore::cli::run()
}

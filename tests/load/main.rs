//! What the registry promises when things go wrong: killed servers, full and failing disks, many clients,
//! bounded memory. Everything goes through real HTTP, nearly everything against the real binary
//! (`ARTIFACTSTORE_BIN`, or the one Cargo built).
//!
//! One test at a time (see [`support::alone`]): limits of memory and moments of kills mean nothing beside
//! a neighbour. The long ones are ignored by default:
//!
//! ```text
//! cargo test --test load                              faults, concurrency, a few kills
//! cargo test --release --test load -- --include-ignored     everything
//! ```

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what unwrap says")]

mod churn;
mod concurrency;
mod disk;
mod faults;
mod followers;
mod following;
mod garbage;
mod kill;
mod memory;
mod support;
mod sync;

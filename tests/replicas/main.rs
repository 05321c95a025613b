//! What the registry promises when it is many: replicas over one `PostgreSQL` and one bucket, killed, cut off and
//! lied to. The real binary (`ARTIFACTSTORE_BIN`, or the one Cargo built) against the real services:
//!
//! ```text
//! eval "$(tests/services up DIR)"
//! cargo test --test replicas                        consistency, uploads, faults, refusals
//! cargo test --test replicas -- --include-ignored   everything, with the storms and the gigabytes
//! ```
//!
//! One test at a time (see [`support::alone`]): moments of kills and limits of memory mean nothing beside a neighbour.
//! `REPLICAS_SEED` repeats the choices of a run.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what unwrap says")]

mod bucket;
mod cluster;
mod consistency;
mod crowd;
mod database;
mod database_faults;
mod following;
mod garbage;
mod ledger;
mod memory;
mod place;
mod plan;
mod postgres;
mod proxy;
mod refusals;
mod runtime;
mod storage_faults;
mod storm;
mod tail;
mod uploads;

#[path = "../load/churn.rs"]
mod churn;

#[path = "../load/followers.rs"]
#[allow(dead_code, reason = "shared with the load tests, and each uses its part")]
mod followers;

#[path = "../load/support.rs"]
#[allow(dead_code, reason = "shared with the load tests, and each uses its part")]
mod support;

/// Where the choices of a run come from; printed, so that a failed one can be repeated.
fn seed() -> u64 {
    let seed = support::setting("REPLICAS_SEED", u64::from(std::process::id()));
    println!("seed {seed}: set REPLICAS_SEED to make the same choices again");
    seed
}

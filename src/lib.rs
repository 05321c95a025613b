//! artifactstore: an OCI registry that keeps evidence.
//!
//! Every byte is content-addressed twice (BLAKE3 and SHA-256), every change is an event in an
//! append-only log, and an acknowledged push is durable.
//!
//! The modules form layers; imports point down only (`tests/it/layers.rs` fails on an upward edge):
//!
//! | layer | modules |
//! |---|---|
//! | L0 | [`oci`], [`codec`], [`hash`], [`clock`], [`secret`], [`setting`], [`telemetry`]: vocabulary and encodings |
//! | L1 | [`package`], [`retention`]: what is kept, and how long; [`storage`], [`db`]: keyed objects, typed rows |
//! | L2 | [`events`], [`dataplane`]: the log; ingest, serve and verify bytes |
//! | L3 | [`views`]: one file per projection of the log |
//! | L4 | [`registry`]: use cases, the library API |
//! | L5 | [`server`], [`config`], [`client`], [`cli`]: HTTP, options, a client of any OCI registry, commands |

pub mod cli;
pub mod client;
pub mod clock;
pub mod codec;
pub mod config;
pub mod dataplane;
pub mod db;
pub mod events;
pub mod hash;
pub mod oci;
pub mod package;
pub mod registry;
pub mod retention;
pub mod secret;
pub mod server;
pub mod setting;
pub mod storage;
pub mod telemetry;
pub mod views;

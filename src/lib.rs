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
//! | L3 | [`views`]: one file per projection of the log; [`auth`]: who may do what |
//! | L4 | [`registry`]: use cases, the library API |
//! | L5 | [`server`], [`config`], [`client`], [`cli`], [`blocking`]: HTTP, options, a client of any OCI registry, commands, the library without a runtime |
//!
//! # Without the server
//!
//! The registry is a library first. One process at a time opens an embedded database; [`blocking::Store::open`] sees
//! to that and needs no runtime. With one, put it together of its parts:
//!
//! ```
//! use std::sync::Arc;
//!
//! use artifactstore::clock::Clock;
//! use artifactstore::dataplane::DataPlane;
//! use artifactstore::db::{self, Access, Db, Url};
//! use artifactstore::registry::{Options, Registry, Store};
//! use artifactstore::storage::Local;
//! use futures_util::{StreamExt as _, TryStreamExt as _, stream};
//!
//! # #[tokio::main(flavor = "multi_thread", worker_threads = 2)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let url = Url::Sqlite(directory.path().join("registry.db"));
//! let db = Db::open(&db::Options::new(url), Access::Create).await?;
//! let data = DataPlane::new(Arc::new(Local::open(&directory.path().join("storage"))?));
//! let registry = Registry::open(db.clone(), data, Clock::system(), Options::default()).await?;
//!
//! let store = Store::new(registry.clone(), "evidence/run".parse()?, artifactstore::registry::Actor::system());
//! let body = stream::iter(["it ", "passed"]).map(|piece| Ok(piece.into()));
//! let digest = store.put(Box::pin(body)).await?;
//! let pieces: Vec<_> = store.get(&digest).await?.try_collect().await?;
//! assert_eq!(pieces.concat(), b"it passed");
//! assert_eq!(store.stat(&digest).await?.size, 9);
//!
//! let last = registry.last_sequence();
//! let event = registry.events(last - 1, 1).await?.remove(0);
//! assert_eq!((event.sequence, event.fact.type_name()), (last, "v1.blob.linked"));
//!
//! drop((store, registry));
//! db.close().await;
//! # Ok(())
//! # }
//! ```

pub mod auth;
pub mod blocking;
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

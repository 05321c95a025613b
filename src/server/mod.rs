//! The HTTP face of a registry: hyper, routes, bodies, errors.
//!
//! A request goes one way: accept, [`Route::parse`](route::Route::parse) (pure, from the tail of the
//! path), [`Route::permission`](route::Route::permission), authorise, handler, one
//! [`Registry`] call, render. This is the only module that knows status codes
//! and headers; it never touches the database, the storage or the views.

mod body;
mod conditional;
mod download;
mod error;
mod extension;
pub mod limits;
mod listener;
mod metrics;
mod openapi;
mod options;
mod patient;
mod probes;
mod respond;
mod room;
pub mod route;
mod service;
mod socket;
pub mod tls;
mod v2;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) use extension::{audit_header, audit_line, audit_shape, collection_plan_shape, disposition_shape};
pub use listener::Server;
pub use tls::Options as TlsOptions;

use crate::clock::Clock;
use crate::registry::Registry;

/// What can be set about the HTTP side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A client must send its headers within this time.
    pub header_timeout: Duration,
    /// A body that stands still for this long has broken off.
    pub idle_timeout: Duration,
    /// Connections at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// Memory for manifests above 64 KiB that are being received, bytes; further ones wait for the idle
    /// time and are then told to come back.
    pub collecting: usize,
    /// How long requests may go on after a shutdown began.
    pub drain: Duration,
    /// Streams of events at once; further ones are told to come back.
    pub max_streams: usize,
    /// How long a stream of events lasts, more or less: its client comes back, perhaps to another replica.
    pub stream_time: Duration,
    /// How often a stream says how far it has looked.
    pub bookmark: Duration,
    /// How much one address may ask for.
    pub limits: limits::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(2),
            max_connections: 4096,
            collecting: 64 * 1024 * 1024,
            drain: Duration::from_secs(30),
            max_streams: 2048,
            stream_time: Duration::from_mins(30),
            bookmark: Duration::from_secs(15),
            limits: limits::Options::default(),
        }
    }
}

/// What every request needs; built before the listener is bound.
#[derive(Debug)]
struct State {
    registry: Registry,
    options: Options,
    /// Who asks for too much.
    limits: limits::Limits,
    /// What time it is for them.
    clock: Clock,
    /// Memory for large manifests on their way in.
    budget: body::Budget,
    /// Memory for large answers on their way out.
    room: room::Room,
    /// Places for streams of events.
    streams: Arc<Semaphore>,
    /// Pages of events that are being read and rendered.
    pages: Semaphore,
    /// Ends what would go on for ever.
    stopping: CancellationToken,
}

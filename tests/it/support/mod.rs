//! What makes the next test cheap: a server to talk to, a client that can misbehave, content to push.
//!
//! A test starts its own [`Server`] (a process and a directory, gone when it ends), talks to it through a
//! [`Client`] or a [`Connection`] of its own, and pushes things with a [`Repo`]. Nothing here sleeps to let
//! something happen: [`until`] waits for a condition.
//!
//! A server of [`Launch::new`] is on the engines `ARTIFACTSTORE_TEST_ENGINE` names, `embedded` or `production`; tests that
//! are about local files and SQLite are listed in `tests/it/embedded-only.txt`.

mod client;
mod content;
mod engine;
mod h2;
mod message;
mod program;
mod receiver;
mod server;
mod stream;

use std::time::{Duration, Instant};

pub(crate) use client::{Client, Connection};
pub(crate) use content::{
    INDEX, MANIFEST, Repo, blake3, descriptor, digests, empty_config, image, index, noise, sha256, sha512,
};
pub(crate) use engine::{Engine, is_production};
pub(crate) use h2::H2;
pub(crate) use message::{Request, Response};
pub(crate) use program::{Ran, command, run, run_command, run_on};
pub(crate) use receiver::{Received, Receiver};
pub(crate) use server::{Launch, Server};
pub(crate) use stream::Stream;

/// Nothing a test waits for takes longer on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until a condition holds and returns what it found.
#[track_caller]
pub(crate) fn until<T>(what: &str, holds: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, holds)
}

/// The same of what may take longer.
#[track_caller]
pub(crate) fn until_within<T>(patience: Duration, what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = holds() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s for: {what}", patience.as_secs());
        std::thread::sleep(Duration::from_millis(5));
    }
}

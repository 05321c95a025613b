//! What is in force, and how it is replaced.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustls::ServerConfig;

use super::load::{load, paths};
use super::snapshot::{Fingerprint, Snapshot};
use super::{Error, Options, Warning};
use crate::clock::Clock;

/// The encryption of a server, which can be replaced while it runs.
///
/// A connection keeps what it began with: what is loaded later is for those that are accepted later. So a client whose
/// certificate was revoked meanwhile is cut off no sooner than its connection ends.
#[derive(Debug)]
pub struct Reloading {
    options: Options,
    clock: Clock,
    current: RwLock<Arc<ServerConfig>>,
    /// The files as they were read last, were they good or not. Held while they are read: one reload at a time.
    seen: Mutex<Fingerprint>,
}

impl Reloading {
    /// Reads all files; with what is not right though it works.
    pub fn open(options: Options, clock: Clock) -> Result<(Self, Vec<Warning>), Error> {
        let files = Snapshot::read(paths(&options));
        let (config, warnings) = load(&options, &files, &clock)?;
        let (current, seen) = (RwLock::new(Arc::new(config)), Mutex::new(files.fingerprint()));
        Ok((Self { options, clock, current, seen }, warnings))
    }

    /// What the next connection is to have.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the files are others than when they were read last. Files that are wrong are told of once, by the
    /// reload that follows: until they change again they are no news.
    pub fn changed(&self) -> bool {
        let seen = self.seen();
        Snapshot::read(paths(&self.options)).fingerprint() != *seen
    }

    /// Reads all files again. When all of them are right, the next connections have what they say; otherwise everything
    /// stays as it was.
    pub fn reload(&self) -> Result<Vec<Warning>, Error> {
        let mut seen = self.seen();
        let files = Snapshot::read(paths(&self.options));
        *seen = files.fingerprint();
        let (config, warnings) = load(&self.options, &files, &self.clock)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(warnings)
    }

    fn seen(&self) -> MutexGuard<'_, Fingerprint> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The limits of a server, and who is let in.

use std::net::IpAddr;
use std::num::NonZeroUsize;

use super::{Concurrency, Guard, Key, Options, RateLimiter};
use crate::clock::Micros;

/// Addresses that are counted at once: about 7 MiB.
const ADDRESSES: NonZeroUsize = NonZeroUsize::new(65_536).expect("it is not zero");

/// Every limit there is.
#[derive(Debug)]
pub(in crate::server) struct Limits {
    requests: Option<RateLimiter>,
    uploads: Option<Concurrency>,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Refused {
    /// They ask too often.
    Requests {
        /// When they may come back.
        seconds: u64,
    },
    /// They have too much under way.
    Uploads,
}

/// How many were not let in since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct Refusals {
    /// Those who asked too often.
    pub(in crate::server) requests: u64,
    /// Those there was no place to count for.
    pub(in crate::server) crowded_out: u64,
    /// Those who had too much under way.
    pub(in crate::server) uploads: u64,
}

impl Limits {
    pub(in crate::server) fn new(options: Options) -> Self {
        Self {
            requests: options.requests.map(|rate| RateLimiter::new(rate, ADDRESSES)),
            uploads: options.uploads.map(Concurrency::new),
        }
    }

    /// Lets a request in. One that `stores` something is under way until what is returned is dropped.
    pub(in crate::server) fn admit(
        &self,
        peer: IpAddr,
        stores: bool,
        now: Micros,
    ) -> Result<Option<Guard>, Refused> {
        if let Some(requests) = &self.requests {
            let admitted = requests.admit(&Key::address(peer), now);
            admitted.map_err(|after| Refused::Requests { seconds: after.seconds() })?;
        }
        match &self.uploads {
            Some(uploads) if stores => uploads.enter(Key::address(peer)).ok_or(Refused::Uploads).map(Some),
            _ => Ok(None),
        }
    }

    pub(in crate::server) fn refusals(&self) -> Refusals {
        Refusals {
            requests: self.requests.as_ref().map_or(0, RateLimiter::refused),
            crowded_out: self.requests.as_ref().map_or(0, RateLimiter::crowded_out),
            uploads: self.uploads.as_ref().map_or(0, Concurrency::refused),
        }
    }
}

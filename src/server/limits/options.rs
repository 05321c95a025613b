//! What can be set about limits, by name.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Rate;
use crate::setting::{Kind, Setting, Values};

pub(in crate::server) const REQUESTS: Setting = Setting {
    key: "server.requests_per_address",
    kind: Kind::Count { min: 0, max: 1_000_000 },
    default: "0",
    doc: "Requests a second from one IPv4 address or IPv6 /64; further ones are answered 429. 0: no limit. Behind a \
          proxy everybody has the address of the proxy.",
};
pub(in crate::server) const BURST: Setting = Setting {
    key: "server.request_burst",
    kind: Kind::Count { min: 1, max: 1_000_000 },
    default: "500",
    doc: "So many of them may come at once from an address that did not ask for a while.",
};
pub(in crate::server) const UPLOADS: Setting = Setting {
    key: "server.uploads_per_address",
    kind: Kind::Count { min: 0, max: 1_000_000 },
    default: "0",
    doc: "Requests with a body to be stored at once from one IPv4 address or IPv6 /64; further ones are answered 429. \
          0: no limit.",
};

/// What can be set about limits. Those of one process: a site with several replicas allows that many times as much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How often one address may ask.
    pub requests: Option<Rate>,
    /// How many requests of one address may store something at once.
    pub uploads: Option<NonZeroU32>,
}

impl Options {
    /// What was set.
    pub(in crate::server) fn from_values(values: &Values) -> Self {
        let number = |setting| values.number::<u32>(setting).and_then(NonZeroU32::new);
        let burst = number(&BURST).unwrap_or(NonZeroU32::MIN);
        let rate = |requests| Rate { requests, per: Duration::from_secs(1), burst };
        Self { requests: number(&REQUESTS).map(rate), uploads: number(&UPLOADS) }
    }
}

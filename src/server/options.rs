//! What can be set about the HTTP side, by name.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Options, limits};
use crate::setting::{Kind, Problem, Setting, Values};

const LISTEN: Setting = Setting {
    key: "listen",
    kind: Kind::Address,
    default: "127.0.0.1:5000",
    doc: "Where to listen; port 0 picks a free one. Beyond loopback it needs the flag --insecure-listen.",
};
const HEADER_TIMEOUT: Setting = Setting {
    key: "server.header_timeout",
    kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_mins(10) },
    default: "30s",
    doc: "A client must send its headers within this time.",
};
const IDLE_TIMEOUT: Setting = Setting {
    key: "server.idle_timeout",
    kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_hours(1) },
    default: "2m",
    doc: "A body or an answer that stands still for this long has broken off.",
};
const CONNECTIONS: Setting = Setting {
    key: "server.connections",
    kind: Kind::Count { min: 1, max: 1_000_000 },
    default: "4096",
    doc: "Connections at once; further ones wait to be accepted.",
};
const MANIFEST_MEMORY: Setting = Setting {
    key: "server.manifest_memory",
    kind: Kind::Size { min: 16 << 20, max: 64 << 30 },
    default: "64MiB",
    doc: "Memory for manifests above 64 KiB on their way in, whoever sends them; further ones wait.",
};
const DRAIN: Setting = Setting {
    key: "server.drain",
    kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_hours(1) },
    default: "30s",
    doc: "How long requests may go on after a shutdown began.",
};

const STREAMS: Setting = Setting {
    key: "events.max_streams",
    kind: Kind::Count { min: 1, max: 1_000_000 },
    default: "2048",
    doc: "Streams of events at once; further ones are answered 429. Each is a connection as well: below \
          `server.connections` it leaves some for everybody else.",
};
const STREAM_TIME: Setting = Setting {
    key: "events.stream_time",
    kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_hours(24) },
    default: "30m",
    doc: "How long a stream of events lasts, a tenth more or less; its client goes on where it was.",
};

impl Options {
    /// What can be set, and where to listen.
    pub const SETTINGS: &[&Setting] = &[
        &LISTEN,
        &HEADER_TIMEOUT,
        &IDLE_TIMEOUT,
        &CONNECTIONS,
        &MANIFEST_MEMORY,
        &DRAIN,
        &limits::REQUESTS,
        &limits::BURST,
        &limits::UPLOADS,
        &STREAMS,
        &STREAM_TIME,
    ];

    /// Where to listen.
    pub fn listen(values: &Values) -> Result<SocketAddr, Problem> {
        let listen = values.text(&LISTEN).and_then(|text| text.parse().ok());
        listen.ok_or_else(|| LISTEN.problem(LISTEN.kind.hint()))
    }

    /// What was set.
    pub fn from_values(values: &Values) -> Result<Self, Problem> {
        let default = Self::default();
        Ok(Self {
            header_timeout: values.duration(&HEADER_TIMEOUT).unwrap_or(default.header_timeout),
            idle_timeout: values.duration(&IDLE_TIMEOUT).unwrap_or(default.idle_timeout),
            max_connections: values.number(&CONNECTIONS).unwrap_or(default.max_connections),
            collecting: values.number(&MANIFEST_MEMORY).unwrap_or(default.collecting),
            drain: values.duration(&DRAIN).unwrap_or(default.drain),
            max_streams: values.number(&STREAMS).unwrap_or(default.max_streams),
            stream_time: values.duration(&STREAM_TIME).unwrap_or(default.stream_time),
            bookmark: default.bookmark,
            limits: limits::Options::from_values(values),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_defaults_are_the_defaults() {
        let options = Options::from_values(&Values::defaults(Options::SETTINGS, "data")).unwrap();
        assert_eq!(options, Options::default());
    }
}

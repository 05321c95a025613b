//! What can be set about the scrub.

use std::time::Duration;

use crate::setting::{Kind, Setting, Values};

const ENABLED: Setting = Setting {
    key: "scrub.enabled",
    kind: Kind::Switch,
    default: "true",
    doc: "Whether the server verifies stored bytes by itself. `artifactstore scrub` always can.",
};
const INTERVAL: Setting = Setting {
    key: "scrub.interval",
    kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_hours(24 * 365) },
    default: "1h",
    doc: "How often the server goes on with the scrub.",
};
const CYCLE: Setting = Setting {
    key: "scrub.cycle",
    kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_hours(24 * 3650) },
    default: "720h",
    doc: "How long after a cycle over everything stored began the next one begins.",
};
const RATE: Setting = Setting {
    key: "scrub.rate",
    kind: Kind::Size { min: 1 << 10, max: 1 << 40 },
    default: "32MiB",
    doc: "Bytes the scrub reads in a second, at most.",
};
const PASS: Setting = Setting {
    key: "scrub.pass",
    kind: Kind::Size { min: 1, max: 1 << 62 },
    default: "64GiB",
    doc: "Bytes after which one pass of the scrub ends; the next one goes on there. An object is read to its end.",
};

/// How stored bytes are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the server does so by itself.
    pub enabled: bool,
    /// How often it makes a pass.
    pub interval: Duration,
    /// How long after one cycle began the next one does.
    pub cycle: Duration,
    /// Bytes read in a second, at most.
    pub rate: u64,
    /// Bytes after which a pass ends.
    pub pass: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_hours(1),
            cycle: Duration::from_hours(30 * 24),
            rate: 32 << 20,
            pass: 64 << 30,
        }
    }
}

impl Options {
    /// What can be set.
    pub const SETTINGS: [&Setting; 5] = [&ENABLED, &INTERVAL, &CYCLE, &RATE, &PASS];

    /// What was set.
    pub fn from_values(values: &Values) -> Self {
        let default = Self::default();
        Self {
            enabled: values.is_on(&ENABLED),
            interval: values.duration(&INTERVAL).unwrap_or(default.interval),
            cycle: values.duration(&CYCLE).unwrap_or(default.cycle),
            rate: values.number(&RATE).unwrap_or(default.rate),
            pass: values.number(&PASS).unwrap_or(default.pass),
        }
    }
}

//! What can be set about collections.

use std::time::Duration;

use crate::setting::{Kind, Setting, Values};

const ENABLED: Setting = Setting {
    key: "gc.enabled",
    kind: Kind::Switch,
    default: "true",
    doc: "Whether the server collects garbage by itself. `artifactstore gc` always can.",
};
const INTERVAL: Setting = Setting {
    key: "gc.interval",
    kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_hours(24 * 365) },
    default: "1h",
    doc: "How often the server collects garbage.",
};
const GRACE: Setting = Setting {
    key: "gc.grace",
    kind: Kind::Duration { min: Duration::ZERO, max: LONGEST },
    default: "24h",
    doc: "How long a blob that nothing names stays in its repository, and then one that no repository holds is kept.",
};
const QUARANTINE: Setting = Setting {
    key: "gc.quarantine",
    kind: Kind::Duration { min: Duration::ZERO, max: LONGEST },
    default: "1h",
    doc: "How long a condemned blob waits for its deletion; a push meanwhile saves it.",
};
const ORPHAN_GRACE: Setting = Setting {
    key: "gc.orphan_grace",
    kind: Kind::Duration { min: Duration::ZERO, max: LONGEST },
    default: "168h",
    doc: "How old an object in the storage must be that the log does not name, and for how long it must have been seen so, an hour at least, to be removed.",
};
const RATE: Setting = Setting {
    key: "gc.rate",
    kind: Kind::Count { min: 1, max: 1_000_000 },
    default: "500",
    doc: "Objects a collection deletes in a second, at most.",
};

const LONGEST: Duration = Duration::from_hours(24 * 3650);

/// How garbage is collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the server does so by itself.
    pub enabled: bool,
    /// How often.
    pub interval: Duration,
    /// How long a link stays that nothing uses, and then a blob that nothing links.
    pub grace: Duration,
    /// How long a blob is condemned before it is deleted.
    pub quarantine: Duration,
    /// How old an object without an event must be, and how long it must have been seen so, to be removed.
    pub orphan_grace: Duration,
    /// Objects deleted in a second, at most.
    pub rate: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_hours(1),
            grace: Duration::from_hours(24),
            quarantine: Duration::from_hours(1),
            orphan_grace: Duration::from_hours(7 * 24),
            rate: 500,
        }
    }
}

impl Options {
    /// What can be set.
    pub const SETTINGS: [&Setting; 6] = [&ENABLED, &INTERVAL, &GRACE, &QUARANTINE, &ORPHAN_GRACE, &RATE];

    /// What was set.
    pub fn from_values(values: &Values) -> Self {
        let default = Self::default();
        Self {
            enabled: values.is_on(&ENABLED),
            interval: values.duration(&INTERVAL).unwrap_or(default.interval),
            grace: values.duration(&GRACE).unwrap_or(default.grace),
            quarantine: values.duration(&QUARANTINE).unwrap_or(default.quarantine),
            orphan_grace: values.duration(&ORPHAN_GRACE).unwrap_or(default.orphan_grace),
            rate: values.number(&RATE).unwrap_or(default.rate),
        }
    }
}

//! What can be set about the compliance clock.

use std::time::Duration;

use crate::setting::{Kind, Setting, Values};

const JUMP: Setting = Setting {
    key: "retention.clock_jump",
    kind: Kind::Duration { min: Duration::from_mins(10), max: Duration::from_hours(24 * 366) },
    default: "24h",
    doc: "How far the system's clock may be ahead of compliance time before dispositions and deletions are frozen, until \
          somebody says `artifactstore clock resync`. A stop of the registry counts.",
};

/// How the compliance clock is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How far the system's clock may be ahead of it.
    pub jump: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { jump: Duration::from_hours(24) }
    }
}

impl Options {
    /// What can be set.
    pub const SETTINGS: [&Setting; 1] = [&JUMP];

    /// What was set.
    pub fn from_values(values: &Values) -> Self {
        Self { jump: values.duration(&JUMP).unwrap_or(Self::default().jump) }
    }
}

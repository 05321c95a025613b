//! What can be set about snapshots.

use crate::setting::{Kind, Setting, Values};

const EVERY: Setting = Setting {
    key: "snapshots.every",
    kind: Kind::Count { min: 0, max: 1 << 53 },
    default: "1000000",
    doc: "Events after which the server writes a snapshot of its views to the storage, so that an emptied database begins there. 0: never; `artifactstore snapshot` always can.",
};

/// When snapshots are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Events from one to the next; 0 for never.
    pub every: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { every: 1_000_000 }
    }
}

impl Options {
    /// What can be set.
    pub const SETTINGS: [&Setting; 1] = [&EVERY];

    /// What was set.
    pub fn from_values(values: &Values) -> Self {
        Self { every: values.number(&EVERY).unwrap_or(Self::default().every) }
    }
}

//! Holds: what keeps something whatever its retention says.

use serde::{Deserialize, Serialize};

/// What a hold is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldKind {
    /// A matter of law. Its release changes nothing else (R3).
    Legal,
    /// An event that is yet to come. Its release starts the period of a class that waits for one.
    Event,
}

impl HoldKind {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legal => "legal",
            Self::Event => "event",
        }
    }

    /// The kind of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Legal, Self::Event].into_iter().find(|kind| kind.as_str() == text)
    }
}

//! What a class demands, as it is pinned to what was finalized under it.

use serde::{Deserialize, Serialize};

use super::{LATEST, Period};
use crate::clock::Micros;

/// Who may shorten a retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Those with a special right, leaving a trace.
    Governance,
    /// Nobody.
    Compliance,
}

impl Mode {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Governance => "governance",
            Self::Compliance => "compliance",
        }
    }
}

/// When the period of a class begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the push or the finalize.
    Finalized,
    /// With the release of an event hold; until then it lasts for ever.
    Event,
}

impl Start {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finalized => "finalized",
            Self::Event => "event",
        }
    }
}

/// Everything a class says, pinned: a later change of the policy never touches what was resolved (R7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The class.
    pub class: String,
    /// Which version of the policy said so.
    pub policy_version: u64,
    /// Who may shorten it.
    pub mode: Mode,
    /// How long it lasts; `None` for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Period>,
    /// When it begins.
    pub start: Start,
    /// How long after its end it may be disposed of without anybody asking; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_dispose_after: Option<Period>,
    /// How many principals, other than the proposer, must approve a disposition.
    pub approvals: u8,
    /// Seconds between the last approval and the execution of a disposition.
    pub cooling_off: u32,
}

impl Rule {
    /// Whether a tag may be moved off what is under the rule (protocol: immutable).
    pub fn pins_tags(&self) -> bool {
        self.mode == Mode::Compliance
    }

    /// The end of a retention that begins at `from`; `None` for never, or later than can be said.
    pub fn until(&self, from: Micros) -> Option<Micros> {
        self.period.map(|period| period.after(from)).filter(|until| *until <= LATEST)
    }

    /// Whether it demands no less than another in anything: mode, period and when that begins, approvals, cooling-off, and
    /// when a schedule may dispose. Of two rules it may be that neither does.
    pub fn is_at_least(&self, other: &Self) -> bool {
        let is_longer = |a: Option<Period>, b: Option<Period>| match (a, b) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(a), Some(b)) => a.is_at_least(b),
        };
        let schedule = |rule: &Self| rule.auto_dispose_after.filter(|_| rule.mode == Mode::Governance);
        self.mode >= other.mode
            && self.approvals >= other.approvals
            && self.cooling_off >= other.cooling_off
            && is_longer(self.period, other.period)
            // What waits for an event lasts longer than what does not; what lasts for ever begins when it likes.
            && (self.start >= other.start || self.period.is_none())
            && is_longer(schedule(self), schedule(other))
    }

    /// When a schedule may dispose of what ended at a moment; `None`: never. Nothing in compliance mode.
    pub fn leaves_after(&self, end: Micros) -> Option<Micros> {
        let after = self.auto_dispose_after.filter(|_| self.mode == Mode::Governance)?;
        Some(after.after(end)).filter(|at| *at <= LATEST)
    }
}

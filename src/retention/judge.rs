//! May it leave? Pure and total: facts and a moment in, reasons out.

use std::fmt;

use super::{HoldId, HoldKind, Mode, Retained, rfc3339};
use crate::clock::Micros;

/// What bears on whether something may leave: its own records and those of everything whose protection it shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Every retention, with what it is of.
    pub retained: Vec<(String, Retained)>,
    /// Every hold in force, with what it is on; `None` for the whole repository.
    pub held: Vec<(Option<String>, Hold)>,
    /// What it is bound up with is more than was looked at: nothing is sure, so nothing leaves.
    pub is_cut: bool,
}

/// A hold in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// What it is for.
    pub kind: HoldKind,
    /// The matter it belongs to.
    pub matter: String,
}

/// One thing that stands against a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody holds it.
    Held {
        /// What is held; `None` for the whole repository.
        by: Option<String>,
        /// The hold.
        hold: Hold,
    },
    /// Its retention is not over.
    Retained {
        /// What is retained.
        by: String,
        /// Its class.
        class: String,
        /// The class's mode.
        mode: Mode,
        /// The earliest permitted deletion; `None` for never.
        until: Option<Micros>,
    },
    /// Its retention has not even begun: it waits for the release of an event hold.
    Waiting {
        /// What waits.
        by: String,
        /// Its class.
        class: String,
        /// The class's mode.
        mode: Mode,
    },
    /// Its retention is over, and it leaves by a disposition only.
    Undisposed {
        /// What was retained.
        by: String,
        /// Its class.
        class: String,
        /// The class's mode.
        mode: Mode,
    },
    /// It is bound up with more than was looked at.
    TooEntangled,
}

impl Reason {
    /// What it comes from; `None` for the whole repository.
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::Held { by, .. } => by.as_deref(),
            Self::Retained { by, .. } | Self::Waiting { by, .. } | Self::Undisposed { by, .. } => Some(by),
            Self::TooEntangled => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { by, hold } => {
                let by = by.as_deref().unwrap_or("the repository");
                write!(f, "{by} is under {} hold {} ({})", hold.kind.as_str(), hold.id, hold.matter)
            }
            Self::Retained { by, class, until: Some(until), .. } => {
                write!(f, "{by} is retained under class {class} until {}", rfc3339(*until))
            }
            Self::Retained { by, class, until: None, .. } => {
                write!(f, "{by} is retained under class {class} for ever")
            }
            Self::Waiting { by, class, .. } => {
                write!(f, "{by} is retained under class {class} until an event hold on it was released")
            }
            Self::Undisposed { by, class, .. } => {
                write!(
                    f,
                    "the retention of {by} under class {class} is over; it leaves by a disposition only"
                )
            }
            Self::TooEntangled => f.write_str("it is bound up with more than can be looked at"),
        }
    }
}

/// What the facts come to at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Everything that stands against a deletion by a client, holds first.
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// Whether a client may simply delete it: nothing ever retained it.
    pub fn is_free(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Whether a disposition may go on: no hold, and every retention is over.
    pub fn is_eligible(&self) -> bool {
        self.reasons.iter().all(|reason| matches!(reason, Reason::Undisposed { .. }))
    }

    /// Whether a tag may not be moved off it: it is held, or its class pins tags.
    pub fn pins_tags(&self) -> bool {
        self.reasons.iter().any(|reason| match reason {
            Reason::Held { .. } | Reason::TooEntangled => true,
            Reason::Retained { mode, .. }
            | Reason::Waiting { mode, .. }
            | Reason::Undisposed { mode, .. } => *mode == Mode::Compliance,
        })
    }
}

/// May it leave at `now`, which is compliance time (R12)?
pub fn judge(facts: &Facts, now: Micros) -> Verdict {
    let mut reasons = Vec::new();
    if facts.is_cut {
        reasons.push(Reason::TooEntangled);
    }
    reasons.extend(facts.held.iter().map(|(by, hold)| Reason::Held { by: by.clone(), hold: hold.clone() }));
    reasons.extend(facts.retained.iter().map(|(by, kept)| {
        let (by, class, mode) = (by.clone(), kept.rule.class.clone(), kept.rule.mode);
        if kept.is_waiting() {
            Reason::Waiting { by, class, mode }
        } else if kept.is_over(now) {
            Reason::Undisposed { by, class, mode }
        } else {
            Reason::Retained { by, class, mode, until: kept.until }
        }
    }));
    Verdict { reasons }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::Classes;

    fn kept(class: &str) -> (String, Retained) {
        (class.to_owned(), Retained::begin(Classes::default().rule(Some(class)).unwrap(), 0))
    }

    fn held() -> (Option<String>, Hold) {
        (None, Hold { id: HoldId::generate(), kind: HoldKind::Legal, matter: "case 7".to_owned() })
    }

    #[test]
    fn what_nothing_retains_is_free() {
        let verdict = judge(&Facts::default(), 0);
        assert!(verdict.is_free() && verdict.is_eligible() && !verdict.pins_tags());
    }

    #[test]
    fn a_retention_ends_and_still_wants_a_disposition() {
        let facts = Facts { retained: vec![kept("raw-evidence")], ..Facts::default() };
        let until = facts.retained[0].1.until.unwrap();
        let before = judge(&facts, until - 1);
        assert!(!before.is_free() && !before.is_eligible() && !before.pins_tags());
        let after = judge(&facts, until);
        assert!(!after.is_free() && after.is_eligible());
    }

    #[test]
    fn one_hold_stops_everything_whatever_is_over() {
        let facts = Facts { retained: vec![kept("transient")], held: vec![held()], is_cut: false };
        let verdict = judge(&facts, i64::MAX);
        assert!(!verdict.is_eligible() && verdict.pins_tags());
        assert!(matches!(verdict.reasons[0], Reason::Held { .. }));
    }

    #[test]
    fn the_longest_of_several_retentions_counts() {
        let facts = Facts { retained: vec![kept("transient"), kept("permanent-record")], ..Facts::default() };
        let verdict = judge(&facts, i64::MAX);
        assert!(!verdict.is_eligible() && verdict.pins_tags());
        assert_eq!(verdict.reasons.len(), 2);
    }

    #[test]
    fn a_class_that_pins_tags_does_so_until_its_disposition() {
        let facts = Facts { retained: vec![kept("release-evidence")], ..Facts::default() };
        let over = judge(&facts, i64::MAX);
        assert!(over.pins_tags() && over.is_eligible());
    }

    #[test]
    fn what_was_not_looked_at_does_not_leave() {
        let facts = Facts { is_cut: true, ..Facts::default() };
        assert!(!judge(&facts, i64::MAX).is_eligible());
    }
}

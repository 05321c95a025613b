//! The retention of one thing, and how it may change.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Mode, Rule, Start, rfc3339};
use crate::clock::Micros;

/// Under which rule something is kept, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retained {
    /// What its class demanded when it was resolved.
    pub rule: Rule,
    /// When the period began; `None` while it waits for an event.
    pub from: Option<Micros>,
    /// The earliest permitted deletion; `None` for never, or while it waits for an event.
    pub until: Option<Micros>,
    /// How long it was extended while it waits: its period may end later, and not sooner. `None` once it has begun.
    pub floor: Option<Floor>,
}

/// What was promised of something whose period has not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Floor {
    /// It stays until then at least.
    Until(Micros),
    /// It stays for ever.
    ForEver,
}

/// Why a retention may not be changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The new end is before the old one.
    #[error("a retention is only ever extended; it lasts longer already")]
    Backwards,
    /// The new end is not before the old one.
    #[error("that is no earlier end; extend the retention instead")]
    Forwards,
    /// It waits for an event: its period has not begun, and there is no end that could be made earlier.
    #[error(
        "it waits for the release of an event hold and has no end yet; it can be shortened when its period has begun"
    )]
    Waiting,
    /// Nobody shortens it.
    #[error("class {class} is in compliance mode: its retention is never shortened, by nobody")]
    Compliance {
        /// The class.
        class: String,
    },
    /// The policy wants more of its repository, whoever may bypass its class.
    #[error("the policy wants at least class {class} here, which {end}", end = ends(*.until))]
    BelowFloor {
        /// The weakest class the repository may have.
        class: String,
        /// When that would end; `None` for never.
        until: Option<Micros>,
    },
    /// The other class demands less.
    #[error("class {to} demands less than {from}; a class is only ever raised")]
    Weaker {
        /// The class it has.
        from: String,
        /// The class that was asked for.
        to: String,
    },
}

impl Retained {
    /// The retention of something pushed or finalized at `at`.
    pub fn begin(rule: Rule, at: Micros) -> Self {
        match rule.start {
            Start::Finalized => {
                let until = rule.until(at);
                Self { rule, from: Some(at), until, floor: None }
            }
            Start::Event => Self { rule, from: None, until: None, floor: None },
        }
    }

    /// Whether the period has not begun yet.
    pub fn is_waiting(&self) -> bool {
        self.from.is_none()
    }

    /// Whether it is over at a moment. One without an end is never over.
    pub fn is_over(&self, now: Micros) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// When its class lets it be disposed of without anybody asking; `None`: never.
    pub fn leaves_at(&self) -> Option<Micros> {
        self.until.and_then(|until| self.rule.leaves_after(until))
    }

    /// The event it waited for happened; `None` when it waits for none. It lasts its period, and as long as was promised
    /// while it waited.
    pub fn started(&self, at: Micros) -> Option<Self> {
        let until = later(self.rule.until(at), self.floor);
        self.is_waiting().then(|| Self { rule: self.rule.clone(), from: Some(at), until, floor: None })
    }

    /// Lasts until a later moment, `None` for ever. Asked for what is so already it comes to the same (R11).
    pub fn extended(&self, until: Option<Micros>) -> Result<Self, Refused> {
        if self.is_waiting() {
            let floor = Some(until.map_or(Floor::ForEver, Floor::Until));
            return if floor < self.floor {
                Err(Refused::Backwards)
            } else {
                Ok(Self { floor, ..self.clone() })
            };
        }
        if is_later(until, self.until) || until == self.until {
            Ok(Self { until, ..self.clone() })
        } else {
            Err(Refused::Backwards)
        }
    }

    /// Ends earlier. Never in compliance mode, and never before what its repository must have would end.
    pub fn shortened(&self, until: Micros, least: Option<&Rule>) -> Result<Self, Refused> {
        if self.rule.mode == Mode::Compliance {
            return Err(Refused::Compliance { class: self.rule.class.clone() });
        }
        if self.is_waiting() {
            return Err(Refused::Waiting);
        }
        if !is_later(self.until, Some(until)) {
            return Err(Refused::Forwards);
        }
        if let Some((least, from)) = least.zip(self.from) {
            let end = least.until(from);
            if is_later(end, Some(until)) {
                return Err(Refused::BelowFloor { class: least.class.clone(), until: end });
            }
        }
        Ok(Self { until: Some(until), ..self.clone() })
    }

    /// Under a class that demands no less (R2). The period of the new class counts from when the old one's did.
    pub fn raised(&self, rule: Rule, at: Micros) -> Result<Self, Refused> {
        let begin = self.from.unwrap_or(at);
        // One that waits for an event may wait longer than any period that has begun.
        let waits_less = self.is_waiting() && rule.start == Start::Finalized && rule.period.is_some();
        let is_weaker = rule.mode < self.rule.mode
            || rule.approvals < self.rule.approvals
            || rule.cooling_off < self.rule.cooling_off
            || is_later(self.rule.until(begin), rule.until(begin))
            // Nobody has to ask where a schedule disposes, so to begin with it, or sooner, is to demand less.
            || is_later(self.rule.leaves_after(begin), rule.leaves_after(begin))
            || waits_less;
        if is_weaker {
            let (from, to) = (self.rule.class.clone(), rule.class);
            return Err(Refused::Weaker { from, to });
        }
        let from = self.from.or((rule.start == Start::Finalized).then_some(at));
        let Some(counts_from) = from else {
            return Ok(Self { rule, from, until: None, floor: self.floor });
        };
        // What was extended beyond the new class stays so.
        let until = later(rule.until(counts_from), self.floor);
        let until = if is_later(self.until, until) { self.until } else { until };
        Ok(Self { rule, from, until, floor: None })
    }
}

impl fmt::Display for Retained {
    /// `class raw-evidence until 2027-05-20`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = &self.rule.class;
        match self.until.map(rfc3339) {
            Some(until) => write!(f, "class {class} until {}", until.split('T').next().unwrap_or_default()),
            None if self.is_waiting() => write!(f, "class {class} until an event hold was released"),
            None => write!(f, "class {class} for ever"),
        }
    }
}

fn ends(until: Option<Micros>) -> String {
    until.map_or_else(|| "never ends".to_owned(), |until| format!("ends {} at the earliest", rfc3339(until)))
}

/// The later of an end and a floor.
fn later(until: Option<Micros>, floor: Option<Floor>) -> Option<Micros> {
    match floor {
        None => until,
        Some(Floor::Until(floor)) => until.map(|until| until.max(floor)),
        Some(Floor::ForEver) => None,
    }
}

/// Whether one end is after another; without an end is after all.
fn is_later(a: Option<Micros>, b: Option<Micros>) -> bool {
    match (a, b) {
        (None, b) => b.is_some(),
        (Some(_), None) => false,
        (Some(a), Some(b)) => a > b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::{Classes, LATEST};

    const AT: Micros = 1_801_353_600_000_000;

    fn of(class: &str) -> Retained {
        Retained::begin(Classes::default().rule(Some(class)).unwrap(), AT)
    }

    #[test]
    fn an_end_only_moves_away() {
        let kept = of("raw-evidence");
        let until = kept.until.unwrap();
        assert_eq!(kept.extended(Some(until)), Ok(kept.clone()));
        assert_eq!(kept.extended(Some(until + 1)).unwrap().until, Some(until + 1));
        assert_eq!(kept.extended(None).unwrap().until, None);
        assert_eq!(kept.extended(Some(until - 1)), Err(Refused::Backwards));
        assert_eq!(kept.extended(None).unwrap().extended(Some(i64::MAX)), Err(Refused::Backwards));
    }

    #[test]
    fn what_its_class_lets_leave_does_so_a_while_after_its_end() {
        let kept = of("transient");
        let until = kept.until.unwrap();
        assert_eq!(kept.leaves_at(), Some(until + 86_400_000_000));
        assert_eq!(kept.extended(Some(until + 1)).unwrap().leaves_at(), Some(until + 86_400_000_001));
        assert_eq!(kept.extended(None).unwrap().leaves_at(), None);
        assert_eq!(of("summary-evidence").leaves_at(), None);
        let mut strict = of("transient");
        strict.rule.mode = Mode::Compliance;
        assert_eq!(strict.leaves_at(), None, "whatever its rule says");
    }

    #[test]
    fn only_governance_is_shortened() {
        let kept = of("raw-evidence");
        assert_eq!(kept.shortened(AT, None).unwrap().until, Some(AT));
        assert_eq!(kept.shortened(kept.until.unwrap(), None), Err(Refused::Forwards));
        assert_eq!(kept.extended(None).unwrap().shortened(AT, None).unwrap().until, Some(AT));
        assert!(matches!(of("release-evidence").shortened(AT, None), Err(Refused::Compliance { .. })));
        let least = |class: &str| Classes::default().rule(Some(class)).unwrap();
        let week = of("transient").until;
        let below = kept.shortened(AT, Some(&least("transient")));
        assert_eq!(below, Err(Refused::BelowFloor { class: "transient".to_owned(), until: week }));
        assert_eq!(kept.shortened(week.unwrap(), Some(&least("transient"))).unwrap().until, week);
        let never = kept.shortened(AT, Some(&least("permanent-record"))).unwrap_err();
        assert!(never.to_string().ends_with("which never ends"), "{never}");
        assert!(matches!(of("permanent-record").shortened(AT, None), Err(Refused::Compliance { .. })));
    }

    #[test]
    fn a_class_is_only_raised_and_keeps_what_was_promised() {
        let raise = |from: &Retained, to| from.raised(Classes::default().rule(Some(to)).unwrap(), AT + 5);
        let raised = raise(&of("raw-evidence"), "release-evidence").unwrap();
        assert_eq!((raised.until, raised.from), (of("release-evidence").until, Some(AT)));
        assert!(matches!(raise(&raised, "summary-evidence"), Err(Refused::Weaker { .. })));
        assert!(matches!(raise(&of("permanent-record"), "release-evidence"), Err(Refused::Weaker { .. })));
        let for_ever = of("transient").extended(None).unwrap();
        assert_eq!(raise(&for_ever, "raw-evidence").unwrap().until, None);
        assert_eq!(raise(&for_ever, "permanent-record").unwrap().until, None);
    }

    #[test]
    fn a_stronger_class_let_what_it_was_raised_to_leave_by_schedule() {
        let kept = of("summary-evidence");
        let with = |period: &str, auto: Option<&str>| {
            let mut rule = kept.rule.clone();
            rule.period = Some(period.parse().unwrap());
            rule.auto_dispose_after = auto.map(|text| text.parse().unwrap());
            rule
        };
        assert!(matches!(kept.raised(with("P4Y", Some("P1D")), AT), Err(Refused::Weaker { .. })));
        let quick = Retained::begin(with("P4Y", Some("P7D")), AT);
        assert!(matches!(quick.raised(with("P5Y", Some("P6D")), AT), Err(Refused::Weaker { .. })));
        for auto in [Some("P7D"), Some("P8D"), None] {
            assert_eq!(quick.raised(with("P5Y", auto), AT).unwrap().until, with("P5Y", auto).until(AT));
        }
        let mut strict = with("P5Y", Some("P1D"));
        strict.mode = Mode::Compliance;
        assert!(
            kept.raised(strict, AT).is_ok(),
            "in compliance mode there is no schedule, whatever a rule says"
        );
    }

    #[test]
    fn a_clock_that_waits_for_an_event_starts_with_it() {
        let mut rule = Classes::default().rule(Some("raw-evidence")).unwrap();
        rule.start = Start::Event;
        let waiting = Retained::begin(rule.clone(), AT);
        assert!(waiting.is_waiting() && !waiting.is_over(i64::MAX));
        let started = waiting.started(AT + 7).unwrap();
        assert_eq!((started.from, started.until), (Some(AT + 7), rule.until(AT + 7)));
        assert_eq!(started.started(AT + 8), None);
    }

    #[test]
    fn what_was_promised_while_it_waited_was_forgotten_when_it_began() {
        let mut rule = Classes::default().rule(Some("raw-evidence")).unwrap();
        rule.start = Start::Event;
        let waiting = Retained::begin(rule.clone(), AT);
        let for_ever = waiting.extended(None).unwrap();
        assert_ne!(for_ever, waiting);
        assert_eq!(for_ever.extended(None), Ok(for_ever.clone()));
        assert_eq!(for_ever.extended(Some(LATEST)), Err(Refused::Backwards));
        assert_eq!(for_ever.started(AT).unwrap().until, None);
        let end = rule.until(AT).unwrap();
        let floor = waiting.extended(Some(end + 1)).unwrap();
        assert_eq!(floor.extended(Some(end)), Err(Refused::Backwards));
        assert_eq!(floor.started(AT).unwrap().until, Some(end + 1));
        assert_eq!(floor.started(AT + 2).unwrap().until, Some(end + 2), "the period ends later");
        assert_eq!(floor.started(AT).unwrap().floor, None);
        let mut longer = rule.clone();
        longer.approvals += 1;
        let raised = floor.raised(longer, AT).unwrap();
        assert_eq!(raised.started(AT).unwrap().until, Some(end + 1), "a class takes no promise away");
        let (mut finalized, mut record) = (rule.clone(), rule);
        (finalized.start, record.start, record.period) = (Start::Finalized, Start::Finalized, None);
        assert!(matches!(for_ever.raised(finalized, AT), Err(Refused::Weaker { .. })));
        assert_eq!(floor.raised(record, AT).unwrap().until, None);
    }
}

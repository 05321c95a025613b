//! Retention classes.

use super::{Mode, Period, Rule, Start};
use crate::clock::Micros;

/// A retention class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Who may shorten it.
    pub mode: Mode,
    /// How long it lasts; `None` for ever.
    pub period: Option<Period>,
    /// When it begins.
    pub start: Start,
    /// How long after its end it may be disposed of without anybody asking; `None`: never.
    pub auto_dispose_after: Option<Period>,
    /// How many principals, other than the proposer, must approve a disposition.
    pub approvals: u8,
    /// Seconds between the last approval and the execution of a disposition.
    pub cooling_off: u32,
}

impl Class {
    /// The class as a version of the policy pins it to something.
    pub fn rule(&self, policy_version: u64) -> Rule {
        Rule {
            class: self.name.clone(),
            policy_version,
            mode: self.mode,
            period: self.period,
            start: self.start,
            auto_dispose_after: self.auto_dispose_after,
            approvals: self.approvals,
            cooling_off: self.cooling_off,
        }
    }
}

impl From<Rule> for Class {
    fn from(rule: Rule) -> Self {
        Self {
            name: rule.class,
            mode: rule.mode,
            period: rule.period,
            start: rule.start,
            auto_dispose_after: rule.auto_dispose_after,
            approvals: rule.approvals,
            cooling_off: rule.cooling_off,
        }
    }
}

/// A class that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("retention class {name:?} is not known; there are: {known}")]
pub struct UnknownClass {
    name: String,
    known: String,
}

/// The classes in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    version: u64,
    default: String,
    /// From the shortest to the longest.
    all: Vec<Class>,
}

/// Seconds.
const DAY: u32 = 24 * 60 * 60;

impl Default for Classes {
    /// The five seeded classes (RET-1).
    fn default() -> Self {
        let period = |text: &str| Some(text.parse().expect("seeded periods are periods"));
        let class = |name: &str, mode, period, auto_dispose_after, approvals, cooling_off| Class {
            name: name.to_owned(),
            mode,
            period,
            start: Start::Finalized,
            auto_dispose_after,
            approvals,
            cooling_off,
        };
        let (open, strict) = (Mode::Governance, Mode::Compliance);
        let at_once: Option<Period> = period("P1D");
        let classes = vec![
            class("transient", open, period("P7D"), at_once, 0, 0),
            class("raw-evidence", open, period("P180D"), period("P7D"), 1, DAY),
            class("summary-evidence", open, period("P3Y"), None, 1, DAY),
            class("release-evidence", strict, period("P10Y"), None, 2, DAY),
            class("permanent-record", strict, None, None, 2, DAY),
        ];
        Self { version: 1, default: "raw-evidence".to_owned(), all: classes }
    }
}

impl Classes {
    /// From the shortest to the longest.
    pub fn all(&self) -> &[Class] {
        &self.all
    }

    /// Which version of the policy they are.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The one of whatever names none.
    pub fn default_class(&self) -> &str {
        &self.default
    }

    /// These classes and others, in their order; one of a name that is there takes its place. The default must be
    /// among them.
    pub fn with(mut self, others: Vec<Class>, default: &str) -> Result<Self, UnknownClass> {
        self.all.retain(|class| others.iter().all(|other| other.name != class.name));
        self.all.extend(others);
        self.all
            .sort_by_key(|class| (class.period.map_or(Micros::MAX, |period| period.after(0)), class.mode));
        let default = self.class(default)?.name.clone();
        Ok(Self { default, ..self })
    }

    /// The same as another version of the policy.
    #[must_use]
    pub fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// The class of a name.
    pub fn class(&self, name: &str) -> Result<&Class, UnknownClass> {
        self.all.iter().find(|class| class.name == name).ok_or_else(|| UnknownClass {
            name: name.chars().take(64).collect(),
            known: self.all.iter().map(|class| &*class.name).collect::<Vec<_>>().join(", "),
        })
    }

    /// What a class, or the default, demands.
    pub fn rule(&self, name: Option<&str>) -> Result<Rule, UnknownClass> {
        Ok(self.class(name.unwrap_or(&self.default))?.rule(self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_comes_to_a_day_or_to_never() {
        let classes = Classes::default();
        // 2027-01-31T00:00:00Z.
        let at = 1_801_353_600_000_000;
        let resolved =
            |name| classes.rule(name).unwrap().until(at).map(|until| (until - at) / 86_400_000_000);
        assert_eq!(resolved(Some("transient")), Some(7));
        assert_eq!(resolved(None), Some(180));
        assert_eq!(resolved(Some("summary-evidence")), Some(3 * 365 + 1));
        assert_eq!(resolved(Some("permanent-record")), None);
    }

    #[test]
    fn an_unknown_class_is_answered_with_those_there_are() {
        let error = Classes::default().rule(Some("forever")).unwrap_err().to_string();
        assert!(error.contains("\"forever\"") && error.contains("transient, raw-evidence"), "{error}");
    }

    #[test]
    fn further_classes_stand_where_their_period_says() {
        let class = |name: &str, period: &str| Class {
            name: name.to_owned(),
            period: Some(period.parse().unwrap()),
            ..Classes::default().all()[1].clone()
        };
        let classes = Classes::default();
        let classes = classes.with(vec![class("audit", "P5Y"), class("transient", "P1D")], "audit").unwrap();
        let names: Vec<_> = classes.all().iter().map(|class| &*class.name).collect();
        let expected = [
            "transient",
            "raw-evidence",
            "summary-evidence",
            "audit",
            "release-evidence",
            "permanent-record",
        ];
        assert_eq!(names, expected);
        assert_eq!(classes.rule(None).unwrap().class, "audit");
        assert_eq!(classes.rule(Some("transient")).unwrap().period.unwrap().to_string(), "P1D");
        assert!(Classes::default().with(Vec::new(), "forever").is_err());
    }
}

//! Retention classes.

use super::Period;
use crate::clock::Micros;

/// Who may shorten a retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// A retention class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Who may shorten it.
    pub mode: Mode,
    /// How long it lasts; `None` for ever.
    pub period: Option<Period>,
}

/// What a class comes to at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The class.
    pub class: String,
    /// Which version of the policy said so.
    pub policy_version: u64,
    /// The earliest permitted deletion; `None` for never.
    pub expires_at: Option<Micros>,
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

impl Default for Classes {
    /// The five seeded classes (RET-1).
    fn default() -> Self {
        let class = |name: &str, mode, period: Option<&str>| Class {
            name: name.to_owned(),
            mode,
            period: period.map(|text| text.parse().expect("seeded periods are periods")),
        };
        let classes = vec![
            class("transient", Mode::Governance, Some("P7D")),
            class("raw-evidence", Mode::Governance, Some("P180D")),
            class("summary-evidence", Mode::Governance, Some("P3Y")),
            class("release-evidence", Mode::Compliance, Some("P10Y")),
            class("permanent-record", Mode::Compliance, None),
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

    /// What a class, or the default, comes to for something finalized at `at`.
    pub fn resolve(&self, name: Option<&str>, at: Micros) -> Result<Resolved, UnknownClass> {
        let name = name.unwrap_or(&self.default);
        let class = self.all.iter().find(|class| class.name == name).ok_or_else(|| UnknownClass {
            name: name.chars().take(64).collect(),
            known: self.all.iter().map(|class| &*class.name).collect::<Vec<_>>().join(", "),
        })?;
        Ok(Resolved {
            class: class.name.clone(),
            policy_version: self.version,
            expires_at: class.period.map(|period| period.after(at)),
        })
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
            |name| classes.resolve(name, at).unwrap().expires_at.map(|t| (t - at) / 86_400_000_000);
        assert_eq!(resolved(Some("transient")), Some(7));
        assert_eq!(resolved(None), Some(180));
        assert_eq!(resolved(Some("summary-evidence")), Some(3 * 365 + 1));
        assert_eq!(resolved(Some("permanent-record")), None);
    }

    #[test]
    fn an_unknown_class_is_answered_with_those_there_are() {
        let error = Classes::default().resolve(Some("forever"), 0).unwrap_err().to_string();
        assert!(error.contains("\"forever\"") && error.contains("transient, raw-evidence"), "{error}");
    }
}

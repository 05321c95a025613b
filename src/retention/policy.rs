//! The policy: the classes there are, and what repositories may have of them.

use serde::{Deserialize, Serialize};

use super::{Class, Classes, Rule, UnknownClass};

/// Classes, and rules for repositories. The first rule whose pattern matches is the one that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    classes: Classes,
    repositories: Vec<Bounds>,
}

/// What the repositories of a pattern may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// A name, with `*` for any text.
    pub pattern: String,
    /// The class of whatever is pushed there and names none, also of what is no package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What is demanded at the least: what asks for less in everything gets this class, what asks for less in something and
    /// for more in something else is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<String>,
    /// What may be demanded at the most: what asks for more in anything is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<String>,
}

/// Why the policy gives nobody such a class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is none of this name.
    #[error(transparent)]
    Unknown(#[from] UnknownClass),
    /// It is stronger than the repository may have.
    #[error(
        "retention class {class} is more than this repository may have; the policy allows at most {most}"
    )]
    TooStrong {
        /// The class that was asked for.
        class: String,
        /// The strongest there may be.
        most: String,
    },
    /// It is no stronger in everything than what the repository must have, and no weaker either.
    #[error(
        "retention class {class} demands less than {least} in something and more in something else; the policy wants \
         at least {least} here, in mode, period, start, approvals, cooling-off and schedule"
    )]
    Incomparable {
        /// The class that was asked for.
        class: String,
        /// The weakest there may be.
        least: String,
    },
}

/// Why classes and rules for repositories are no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A rule names a class there is not.
    #[error("{pattern}: {error}")]
    Unknown {
        /// The rule.
        pattern: String,
        /// The class, and those there are.
        error: UnknownClass,
    },
    /// The bounds of a rule are not one below the other, in everything a class demands.
    #[error(
        "{pattern}: {most} demands less than {least} in something, of mode, period, start, approvals, cooling_off and \
         auto_dispose_after; it cannot be the most where that is the least"
    )]
    Bounds {
        /// The rule.
        pattern: String,
        /// What is demanded at the least: its bound, or its default.
        least: String,
        /// What may be demanded at the most.
        most: String,
    },
}

/// A policy as it stands in the log.
#[derive(Serialize, Deserialize)]
struct Written {
    default: String,
    classes: Vec<Rule>,
    repositories: Vec<Bounds>,
}

impl Policy {
    /// Classes with rules for repositories. Their classes must be among them, and what a rule gives must be within its
    /// bounds.
    pub fn new(classes: Classes, repositories: Vec<Bounds>) -> Result<Self, PolicyError> {
        for bounds in &repositories {
            let pattern = || bounds.pattern.clone();
            let rule = |class: &Option<String>| {
                let rule = class.as_deref().map(|class| classes.rule(Some(class))).transpose();
                rule.map_err(|error| PolicyError::Unknown { pattern: pattern(), error })
            };
            let (least, most) = (rule(&bounds.at_least)?, rule(&bounds.at_most)?);
            // A default that demands less than the bound is not given.
            let given =
                rule(&bounds.default)?.filter(|it| least.as_ref().is_none_or(|least| it.is_at_least(least)));
            for least in [least, given].into_iter().flatten() {
                if let Some(most) = most.as_ref().filter(|most| !most.is_at_least(&least)) {
                    let (least, most) = (least.class, most.class.clone());
                    return Err(PolicyError::Bounds { pattern: pattern(), least, most });
                }
            }
        }
        Ok(Self { classes, repositories })
    }

    /// The classes.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// The rules for repositories in their order.
    pub fn repositories(&self) -> &[Bounds] {
        &self.repositories
    }

    /// The same as another version.
    #[must_use]
    pub fn with_version(self, version: u64) -> Self {
        Self { classes: self.classes.with_version(version), ..self }
    }

    /// Everything it says but its version, in canonical JSON: two policies are the same when their texts are.
    pub fn to_json(&self) -> String {
        let classes = self.classes.all().iter().map(|class| class.rule(0)).collect();
        let default = self.classes.default_class().to_owned();
        let written = Written { default, classes, repositories: self.repositories.clone() };
        crate::codec::jcs::to_string(&written).expect("a policy is text and small numbers")
    }

    /// What [`to_json`](Self::to_json) wrote, as a version; `None` of any other text.
    pub fn from_json(text: &str, version: u64) -> Option<Self> {
        let Written { default, classes, repositories } = serde_json::from_str(text).ok()?;
        let classes = classes.into_iter().map(Class::from).collect();
        let classes = Classes::default().with(classes, &default).ok()?.with_version(version);
        Some(Self { classes, repositories })
    }

    /// The rule of a package in a repository that asks for a class, or for none.
    pub fn rule(&self, repository: &str, class: Option<&str>) -> Result<Rule, Denied> {
        let bounds = self.bounds(repository);
        let default = bounds.and_then(|bounds| bounds.default.as_deref());
        let given = class.or(default).unwrap_or(self.classes.default_class());
        self.within(self.classes.class(given)?, class.is_some(), bounds)
    }

    /// The rule of any other manifest: there is one if it asks for a class, or if its repository has a default.
    pub fn rule_of_manifest(&self, repository: &str, class: Option<&str>) -> Result<Option<Rule>, Denied> {
        let bounds = self.bounds(repository);
        let Some(given) = class.or(bounds.and_then(|bounds| bounds.default.as_deref())) else {
            return Ok(None);
        };
        self.within(self.classes.class(given)?, class.is_some(), bounds).map(Some)
    }

    /// What a repository must have at the least, if there is such a bound.
    pub fn least(&self, repository: &str) -> Option<Rule> {
        self.bound(self.bounds(repository)?.at_least.as_deref())
    }

    fn bounds(&self, repository: &str) -> Option<&Bounds> {
        self.repositories.iter().find(|bounds| matches(&bounds.pattern, repository))
    }

    fn bound(&self, class: Option<&str>) -> Option<Rule> {
        self.classes.rule(Some(class?)).ok()
    }

    /// What a class comes to within bounds. What nobody asked for is never in the way of the lower one.
    fn within(&self, class: &Class, is_asked: bool, bounds: Option<&Bounds>) -> Result<Rule, Denied> {
        let mut rule = class.rule(self.classes.version());
        let least = self.bound(bounds.and_then(|bounds| bounds.at_least.as_deref()));
        if let Some(least) = least.filter(|least| !rule.is_at_least(least)) {
            if is_asked && !least.is_at_least(&rule) {
                return Err(Denied::Incomparable { class: rule.class, least: least.class });
            }
            rule = least;
        }
        let most = self.bound(bounds.and_then(|bounds| bounds.at_most.as_deref()));
        match most.filter(|most| !most.is_at_least(&rule)) {
            Some(most) => Err(Denied::TooStrong { class: rule.class, most: most.class }),
            None => Ok(rule),
        }
    }
}

/// Whether a name is one of a pattern, in which `*` stands for any text. At most as many steps as both have bytes,
/// multiplied.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        // The earliest place leaves the most for what follows.
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::Mode;

    fn bounds(pattern: &str, default: &str, at_least: &str, at_most: &str) -> Bounds {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Bounds {
            pattern: pattern.to_owned(),
            default: given(default),
            at_least: given(at_least),
            at_most: given(at_most),
        }
    }

    fn policy() -> Policy {
        let rules = vec![
            bounds("evidence/*", "summary-evidence", "raw-evidence", "release-evidence"),
            bounds("scratch", "", "", "transient"),
        ];
        Policy::new(Classes::default(), rules).unwrap()
    }

    fn class(policy: &Policy, repository: &str, class: Option<&str>) -> Result<String, Denied> {
        policy.rule(repository, class).map(|rule| rule.class)
    }

    #[test]
    fn a_repository_has_a_default_and_bounds() {
        let policy = policy();
        let class = |repository, asked| class(&policy, repository, asked);
        assert_eq!(class("else", None).unwrap(), "raw-evidence");
        assert_eq!(class("evidence/a/b", None).unwrap(), "summary-evidence");
        assert_eq!(class("evidence/a", Some("transient")).unwrap(), "raw-evidence");
        assert_eq!(class("evidence/a", Some("release-evidence")).unwrap(), "release-evidence");
        assert!(matches!(class("evidence/a", Some("permanent-record")), Err(Denied::TooStrong { .. })));
        assert!(matches!(class("evidence/a", Some("forever")), Err(Denied::Unknown(_))));
        // The default of all is no way around the bound of one.
        assert!(matches!(class("scratch", None), Err(Denied::TooStrong { .. })));
        assert_eq!(class("scratch", Some("transient")).unwrap(), "transient");
    }

    #[test]
    fn an_image_without_a_class_is_retained_where_its_repository_has_a_default() {
        let policy = policy();
        let rule = |repository, class| policy.rule_of_manifest(repository, class).unwrap();
        assert_eq!(rule("else", None), None);
        assert_eq!(rule("else", Some("transient")).unwrap().class, "transient");
        assert_eq!(rule("evidence/a", None).unwrap().class, "summary-evidence");
    }

    #[test]
    fn a_pattern_is_a_name_with_any_text_in_it() {
        for (pattern, name) in [
            ("a", "a"),
            ("a/*", "a/b/c"),
            ("*", "x"),
            ("*/prod", "a/b/prod"),
            ("a*b*c", "abbc"),
            ("a**b", "ab"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a", "ab"), ("a/*", "a"), ("*/prod", "prod"), ("a*b*c", "acb"), ("", "a"), ("a*a", "a")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_rule_names_classes_there_are() {
        let error = Policy::new(Classes::default(), vec![bounds("a", "forever", "", "")]).unwrap_err();
        assert!(error.to_string().contains("\"forever\""), "{error}");
    }

    #[test]
    fn a_class_that_lasts_longer_passed_for_one_that_demands_more() {
        let strict = Classes::default().class("release-evidence").unwrap().clone();
        let long = Class {
            name: "long".to_owned(),
            mode: Mode::Governance,
            period: Some("P11Y".parse().unwrap()),
            approvals: 0,
            cooling_off: 0,
            ..strict.clone()
        };
        let longer = Class { name: "longer".to_owned(), period: long.period, ..strict };
        let classes = Classes::default().with(vec![long, longer], "raw-evidence").unwrap();
        let rules = vec![bounds("low", "", "release-evidence", ""), bounds("high", "", "", "longer")];
        let policy = Policy::new(classes.clone(), rules).unwrap();
        let class = |repository, asked| class(&policy, repository, asked);
        assert!(matches!(class("low", Some("long")), Err(Denied::Incomparable { .. })));
        let annotated = policy.rule_of_manifest("low", Some("long"));
        assert!(matches!(annotated, Err(Denied::Incomparable { .. })), "{annotated:?}");
        assert_eq!(class("low", Some("longer")).unwrap(), "longer");
        assert_eq!(class("low", Some("transient")).unwrap(), "release-evidence");
        assert_eq!(class("low", None).unwrap(), "release-evidence");
        assert_eq!(class("high", Some("long")).unwrap(), "long");
        assert_eq!(policy.least("low").unwrap().class, "release-evidence");
        assert_eq!(policy.least("high"), None);
        // A default that nobody asked for is in nobody's way.
        let rules = vec![bounds("low", "long", "release-evidence", "")];
        let given = Policy::new(classes.clone(), rules).unwrap().rule_of_manifest("low", None).unwrap();
        assert_eq!(given.unwrap().class, "release-evidence");
        for (default, least, most) in [
            ("", "release-evidence", "long"),
            ("", "long", "release-evidence"),
            ("", "raw-evidence", "transient"),
            ("permanent-record", "raw-evidence", "release-evidence"),
        ] {
            let error = Policy::new(classes.clone(), vec![bounds("a/*", default, least, most)]).unwrap_err();
            assert!(error.to_string().starts_with("a/*: "), "{error}");
        }
    }

    #[test]
    fn two_policies_are_the_same_when_they_say_the_same() {
        assert_eq!(policy().to_json(), policy().with_version(7).to_json());
        assert_ne!(policy().to_json(), Policy::default().to_json());
        assert_eq!(policy().with_version(7).rule("else", None).unwrap().policy_version, 7);
    }
}

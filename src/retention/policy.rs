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
    /// The weakest class: what asks for a weaker one gets this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<String>,
    /// The strongest class: what asks for a stronger one is refused.
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
}

/// A policy as it stands in the log.
#[derive(Serialize)]
struct Written<'a> {
    default: &'a str,
    classes: Vec<Rule>,
    repositories: &'a [Bounds],
}

impl Policy {
    /// Classes with rules for repositories, whose classes must be among them.
    pub fn new(classes: Classes, repositories: Vec<Bounds>) -> Result<Self, UnknownClass> {
        for bounds in &repositories {
            for class in [&bounds.default, &bounds.at_least, &bounds.at_most].into_iter().flatten() {
                classes.rule(Some(class))?;
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
        let written =
            Written { default: self.classes.default_class(), classes, repositories: &self.repositories };
        crate::codec::jcs::to_string(&written).expect("a policy is text and small numbers")
    }

    /// The rule of a package in a repository that asks for a class, or for none.
    pub fn rule(&self, repository: &str, class: Option<&str>) -> Result<Rule, Denied> {
        let bounds = self.bounds(repository);
        let default = bounds.and_then(|bounds| bounds.default.as_deref());
        let class = self.classes.class(class.or(default).unwrap_or(self.classes.default_class()))?;
        self.within(class, bounds)
    }

    /// The rule of any other manifest: there is one if it asks for a class, or if its repository has a default.
    pub fn rule_of_manifest(&self, repository: &str, class: Option<&str>) -> Result<Option<Rule>, Denied> {
        let bounds = self.bounds(repository);
        let Some(class) = class.or(bounds.and_then(|bounds| bounds.default.as_deref())) else {
            return Ok(None);
        };
        self.within(self.classes.class(class)?, bounds).map(Some)
    }

    /// The rule of exactly this class, if the repository may have it: for what has a class already.
    pub fn rule_as_asked(&self, repository: &str, class: &str) -> Result<Rule, Denied> {
        let bounds = self.bounds(repository);
        let at_most = bounds.and_then(|bounds| bounds.at_most.clone());
        let only = Bounds { at_most, ..Bounds::default() };
        self.within(self.classes.class(class)?, Some(&only))
    }

    fn bounds(&self, repository: &str) -> Option<&Bounds> {
        self.repositories.iter().find(|bounds| matches(&bounds.pattern, repository))
    }

    fn within(&self, class: &Class, bounds: Option<&Bounds>) -> Result<Rule, Denied> {
        let rank = |name: &str| self.classes.all().iter().position(|class| class.name == name);
        let bound = |name: Option<&str>| name.and_then(|name| self.classes.class(name).ok());
        let most = bound(bounds.and_then(|bounds| bounds.at_most.as_deref()));
        if let Some(most) = most.filter(|most| rank(&most.name) < rank(&class.name)) {
            return Err(Denied::TooStrong { class: class.name.clone(), most: most.name.clone() });
        }
        let least = bound(bounds.and_then(|bounds| bounds.at_least.as_deref()));
        let class = least.filter(|least| rank(&least.name) > rank(&class.name)).unwrap_or(class);
        Ok(class.rule(self.classes.version()))
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
    fn two_policies_are_the_same_when_they_say_the_same() {
        assert_eq!(policy().to_json(), policy().with_version(7).to_json());
        assert_ne!(policy().to_json(), Policy::default().to_json());
        assert_eq!(policy().with_version(7).rule("else", None).unwrap().policy_version, 7);
    }
}

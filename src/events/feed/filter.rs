//! Which events a consumer wants.

use std::fmt;
use std::str::FromStr;

use super::Record;
use crate::events::Fact;
use crate::oci::{RepositoryName, excerpt};
use crate::package::PackageId;
use crate::setting::nearest;

/// Patterns of one filter, at most.
const PATTERNS: usize = 64;

/// Which events a consumer wants: all fields must fit, of the types one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Of these types; of any when there is none.
    pub types: Vec<TypePattern>,
    /// About this repository.
    pub repository: Option<RepositoryName>,
    /// Whose subject is this package: what happened to it, and its retention. The release of a hold and the steps of a
    /// disposition have subjects of their own.
    pub package: Option<PackageId>,
}

impl Filter {
    /// Whether every event fits.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an event fits.
    pub fn matches(&self, record: &Record) -> bool {
        self.fits(&record.type_name, record.repository.as_deref(), &record.subject)
    }

    /// The same of an event of which only so much is known.
    pub(super) fn fits(&self, type_name: &str, repository: Option<&str>, subject: &str) -> bool {
        let is_type = self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(type_name));
        let is_repository = self.repository.as_ref().is_none_or(|name| Some(name.as_str()) == repository);
        let is_package = self.package.as_ref().is_none_or(|id| id.as_str() == subject);
        is_type && is_repository && is_package
    }

    /// Patterns separated by commas.
    pub fn parse_types(text: &str) -> Result<Vec<TypePattern>, TypePatternError> {
        if text.split(',').count() > PATTERNS {
            return Err(TypePatternError::TooMany);
        }
        text.split(',').map(|pattern| pattern.trim().parse()).collect()
    }
}

/// A beginning of event types, up to a dot or the end: `package` and `package.*` are `v1.package.created` and all other
/// types of packages, of every version; `v1.tag.moved` is only that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TypePattern(Box<str>);

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypePatternError {
    /// It matches no type there is.
    #[error(
        "{pattern:?} is no event type{}", nearest.as_ref().map(|it| format!("; is it {it}?")).unwrap_or_default()
    )]
    Unknown {
        /// What was asked for.
        pattern: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// There are too many.
    #[error("more than {PATTERNS} event types")]
    TooMany,
}

impl TypePattern {
    /// As it was written, without the star.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn matches(&self, type_name: &str) -> bool {
        begins(type_name, &self.0) || versionless(type_name).is_some_and(|name| begins(name, &self.0))
    }
}

impl FromStr for TypePattern {
    type Err = TypePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pattern = Self(text.strip_suffix(".*").unwrap_or(text).into());
        let mut known = Fact::TYPES.iter().chain(Fact::OLDER.iter().map(|(older, _)| older));
        if known.any(|name| pattern.matches(name)) {
            return Ok(pattern);
        }
        let word = versionless(&pattern.0).unwrap_or(&pattern.0);
        let names = Fact::TYPES.iter().filter_map(|name| versionless(name));
        let known = names.flat_map(|name| [name, name.split('.').next().unwrap_or(name)]);
        let nearest = nearest(word, known.map(|name| (name.to_owned(), name)));
        Err(TypePatternError::Unknown { pattern: excerpt(text), nearest })
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a name is the pattern, or goes on behind it with a dot.
fn begins(name: &str, pattern: &str) -> bool {
    let rest = name.strip_prefix(pattern);
    !pattern.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// `tag.moved` of `v1.tag.moved`.
fn versionless(type_name: &str) -> Option<&str> {
    let (version, name) = type_name.split_once('.')?;
    let number = version.strip_prefix('v')?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(patterns: &str) -> Vec<&'static str> {
        let filter = Filter { types: Filter::parse_types(patterns).unwrap(), ..Filter::default() };
        Fact::TYPES.iter().copied().filter(|name| filter.fits(name, None, "")).collect()
    }

    #[test]
    fn a_pattern_is_the_beginning_of_a_type_up_to_a_dot() {
        assert_eq!(of("tag.moved"), ["v1.tag.moved"]);
        assert_eq!(of("v1.tag.moved"), ["v1.tag.moved"]);
        assert_eq!(of("tag"), of("tag.*"));
        assert_eq!(of("tag, blob.linked"), ["v1.blob.linked", "v1.tag.moved", "v1.tag.deleted"]);
        assert_eq!(of("tag.moved,tag"), ["v1.tag.moved", "v1.tag.deleted"]);
        let v1 = Fact::TYPES.iter().filter(|name| name.starts_with("v1.")).count();
        assert_eq!(of("v1.*").len(), v1);
    }

    #[test]
    fn a_version_that_is_not_named_is_any() {
        let pattern: TypePattern = "tag.moved".parse().unwrap();
        assert!(pattern.matches("v1.tag.moved") && pattern.matches("v12.tag.moved"));
        assert!(!pattern.matches("vx.tag.moved") && !pattern.matches("v.tag.moved"));
        let first: TypePattern = "v1.tag".parse().unwrap();
        assert!(first.matches("v1.tag.moved") && !first.matches("v2.tag.moved"));
    }

    #[test]
    fn a_type_that_is_none_is_refused_with_the_one_that_was_meant() {
        for (text, nearest) in [
            ("packge.*", Some("package")),
            ("tag.move", Some("tag.moved")),
            ("v1.tag.mooved", Some("tag.moved")),
            ("tag.*.moved", Some("tag.moved")),
            ("", None),
            ("*", None),
            ("tag.", None),
            ("TAG.MOVED", None),
            ("somethingelse", None),
        ] {
            let refused = text.parse::<TypePattern>().unwrap_err();
            let TypePatternError::Unknown { nearest: found, .. } = &refused else { panic!("{refused:?}") };
            if nearest.is_some() {
                assert_eq!(found.as_deref(), nearest, "{text}");
            }
            assert!(refused.to_string().contains("is no event type"), "{refused}");
        }
        assert_eq!(Filter::parse_types("tag,,blob").unwrap_err().to_string(), "\"\" is no event type");
        let many = vec!["tag"; 65].join(",");
        assert_eq!(Filter::parse_types(&many).unwrap_err(), TypePatternError::TooMany);
    }
}

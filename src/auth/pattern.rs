//! Which repositories a rule is for.

use std::fmt;
use std::str::FromStr;

use crate::oci::{RepositoryName, excerpt};
use crate::package::layout::fits;

/// Names of repositories: `team/app` is that one, `team/*` those one level below `team`, `team/**` all below it, and
/// `**` every one. A star also stands for a part of a component: `team/app-*`.
///
/// Nothing that could be a name by itself is taken for a pattern of something else, and a pattern that fits no name
/// there can be is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepositoryPattern(Box<str>);

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Empty or too long.
    #[error("a pattern of repositories has 1 to {} bytes", RepositoryName::MAX_LEN)]
    Length,
    /// `**` stands for whole components, and for all that follow.
    #[error("** stands alone as the last component of a pattern, as in team/**")]
    DoubleStar,
    /// It fits no name.
    #[error("{component:?} fits no component of a repository name")]
    Component {
        /// The first such part, shortened.
        component: String,
    },
}

impl RepositoryPattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is every repository, those to come included.
    pub fn is_everything(&self) -> bool {
        &*self.0 == "**"
    }

    /// Whether a name fits.
    pub fn matches(&self, name: &RepositoryName) -> bool {
        let mut components = name.as_str().split('/');
        for pattern in self.0.split('/') {
            match components.next() {
                Some(_) if pattern == "**" => return true,
                Some(component) if is_fit(pattern, component) => {}
                _ => return false,
            }
        }
        components.next().is_none()
    }
}

impl FromStr for RepositoryPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() || text.len() > RepositoryName::MAX_LEN {
            return Err(PatternError::Length);
        }
        let (above, last) = text.rsplit_once('/').map_or((None, text), |(above, last)| (Some(above), last));
        let components =
            above.into_iter().flat_map(|above| above.split('/')).chain((last != "**").then_some(last));
        for component in components {
            if component.contains("**") {
                return Err(PatternError::DoubleStar);
            }
            // What a star stands for may begin, end or join whatever is written beside it.
            let fitting = [component.replace('*', "a"), component.replace('*', "")];
            if !fitting.iter().any(|name| name.parse::<RepositoryName>().is_ok()) {
                return Err(PatternError::Component { component: excerpt(component) });
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for RepositoryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a component fits one with stars.
fn is_fit(pattern: &str, component: &str) -> bool {
    fits(pattern.as_bytes(), component.as_bytes(), |byte| *byte == b'*', |wanted, byte| wanted == byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is(pattern: &str, name: &str) -> bool {
        pattern.parse::<RepositoryPattern>().unwrap().matches(&name.parse().unwrap())
    }

    #[test]
    fn a_pattern_fits_what_it_says_and_nothing_beside_it() {
        for (pattern, fitting, other) in [
            ("team/app", &["team/app"][..], &["team", "team/ap", "team/apps", "team/app/x", "app"][..]),
            ("team/*", &["team/a", "team/b-c"], &["team", "team/a/b", "teams/a", "a/team/b"]),
            ("team/**", &["team/a", "team/a/b/c"], &["team", "teams/a", "a/team/b"]),
            ("team-*/x", &["team-a/x", "team-a-b/x"], &["team/x", "team-a/y", "team-a/b/x"]),
            ("*/*", &["a/b"], &["a", "a/b/c"]),
            ("a*b*c", &["abc", "a1b2c", "abbbc", "abcbc"], &["ab", "acb", "abcd", "a/b/c"]),
            ("**", &["a", "a/b", "a/b/c"], &[]),
            ("*", &["a"], &["a/b"]),
        ] {
            for name in fitting {
                assert!(is(pattern, name), "{pattern} {name}");
            }
            for name in other {
                assert!(!is(pattern, name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn what_fits_no_name_is_refused() {
        let long = "a".repeat(RepositoryName::MAX_LEN + 1);
        for text in
            ["", "/", "a/", "/a", "a//b", "Team/*", "team/..", "a b", "team/a.", "team/?", "_x/*", &long]
        {
            assert!(text.parse::<RepositoryPattern>().is_err(), "{text:?}");
        }
        for text in ["**/a", "a/**/b", "a**", "a/b**", "***"] {
            assert_eq!(text.parse::<RepositoryPattern>(), Err(PatternError::DoubleStar), "{text:?}");
        }
        assert!("**".parse::<RepositoryPattern>().unwrap().is_everything());
        assert!(!"a/**".parse::<RepositoryPattern>().unwrap().is_everything());
    }

    proptest! {
        #[test]
        fn a_name_is_the_pattern_of_itself_alone(
            name in "[a-z0-9]{1,3}(/[a-z0-9]{1,3}){0,3}", other in "[a-z0-9]{1,3}(/[a-z0-9]{1,3}){0,3}",
        ) {
            prop_assert!(is(&name, &name));
            prop_assert_eq!(is(&name, &other), name == other);
        }

        #[test]
        fn stars_are_what_a_regular_expression_says(
            pattern in "[ab*]{1,6}(/[ab*]{1,3}){0,2}", name in "[ab]{1,6}(/[ab]{1,4}){0,2}",
        ) {
            prop_assume!(!pattern.contains("**"));
            let expression = format!("^(?:{})$", pattern.replace('*', "[^/]*"));
            let expected = regex_automata::meta::Regex::new(&expression).unwrap().is_match(&name);
            prop_assert_eq!(is(&pattern, &name), expected, "{} {}", pattern, name);
        }

        #[test]
        fn no_text_is_a_pattern_by_panic(text in ".{0,40}") {
            let _ = text.parse::<RepositoryPattern>();
        }
    }
}

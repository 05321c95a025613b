//! Which claim is meant, and which values of it are let in.

use std::str::FromStr;

use serde_json::Value;

use super::super::jws::ClaimSet;
use crate::package::layout::fits;

/// The longest path or pattern, in bytes.
const LONGEST: usize = 512;

/// Where a claim is: its name, `repository`, or a JSON pointer (RFC 6901) if it is inside another,
/// `/kubernetes.io/serviceaccount/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClaimPath(Box<str>);

/// Values of a claim that are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Requirement {
    /// This one.
    Exact(Box<str>),
    /// Those that fit one of these.
    Any(Vec<Glob>),
}

/// A pattern of values: `*` is any text without `/` and `:`, and `**` at the end all that follows.
///
/// The signs that part a value into components are never among what a star stands for: `repo:octo/*` does not let in
/// `repo:octo/app:ref:refs/heads/evil`. Nor does a last star stand for a component that is not there: neither `*` nor
/// `repo:octo/*` lets in a value that is empty or ends with such a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Box<str>);

impl ClaimPath {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn of<'a>(&self, claims: &'a ClaimSet) -> Option<&'a Value> {
        if self.0.starts_with('/') { claims.pointer(&self.0) } else { claims.get(&self.0) }
    }
}

impl FromStr for ClaimPath {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // RFC 6901 section 3: a tilde stands in `~0` and `~1` only.
        let is_escaped = |rest: &str| rest.starts_with('0') || rest.starts_with('1');
        let is_pointer = !text.starts_with('/') || text.split('~').skip(1).all(is_escaped);
        let is_fit = (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control);
        if is_fit && is_pointer { Ok(Self(text.into())) } else { Err(()) }
    }
}

impl Requirement {
    pub(super) fn lets_in(&self, value: &str) -> bool {
        match self {
            Self::Exact(only) => **only == *value,
            Self::Any(globs) => globs.iter().any(|glob| glob.matches(value)),
        }
    }
}

impl FromStr for Glob {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (front, is_open) = split_open(text);
        let is_component = front.is_empty() || front.ends_with(SEPARATORS);
        if !(1..=LONGEST).contains(&text.len()) || front.contains("**") || is_open && !is_component {
            return Err(());
        }
        Ok(Self(text.into()))
    }
}

const SEPARATORS: [char; 2] = ['/', ':'];

impl Glob {
    fn matches(&self, value: &str) -> bool {
        let (front, is_open) = split_open(&self.0);
        let mut components = value.split_inclusive(SEPARATORS);
        let fitting = |pattern| components.next().is_some_and(|component| is_fit(pattern, component));
        front.split_inclusive(SEPARATORS).all(fitting) && (is_open || components.next().is_none())
    }
}

/// What stands before `**` at the end, and whether there is one.
fn split_open(pattern: &str) -> (&str, bool) {
    pattern.strip_suffix("**").map_or((pattern, false), |front| (front, true))
}

/// Whether a component fits, each with the separator behind it.
fn is_fit(pattern: &str, component: &str) -> bool {
    pattern.ends_with(SEPARATORS) == component.ends_with(SEPARATORS)
        && fits(pattern.as_bytes(), component.as_bytes(), |byte| *byte == b'*', |wanted, byte| wanted == byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is(pattern: &str, value: &str) -> bool {
        pattern.parse::<Glob>().unwrap().matches(value)
    }

    #[test]
    fn a_star_stays_within_its_component_and_two_stand_for_the_rest() {
        for (pattern, fitting, other) in [
            (
                "refs/tags/v*",
                &["refs/tags/v1", "refs/tags/v"][..],
                &["refs/tags/v1/x", "refs/tags/w", "refs/tags"][..],
            ),
            (
                "repo:octo/*",
                &["repo:octo/app"],
                &["repo:octo/app:ref:refs/heads/main", "repo:octo/", "repo:evil/app"],
            ),
            (
                "repo:octo/app:**",
                &["repo:octo/app:x", "repo:octo/app:ref:refs/heads/a"],
                &["repo:octo/app", "repo:octo/apps:x"],
            ),
            (
                "system:serviceaccount:*:ci",
                &["system:serviceaccount:ns:ci"],
                &["system:serviceaccount:ns:x:ci", "system:serviceaccount:ci"],
            ),
            ("*", &["a", "é"], &["", "a/b", "a:", ":a", "a/"]),
            ("*/", &["a/", "/"], &["a", "a:", "a/b"]),
            ("**", &["a", "a/b:c", ""], &[]),
            ("a*b", &["ab", "a-b"], &["a/b", "a:b", "abc"]),
        ] {
            for value in fitting {
                assert!(is(pattern, value), "{pattern} {value}");
            }
            for value in other {
                assert!(!is(pattern, value), "{pattern} {value}");
            }
        }
        for pattern in ["", "a**", "**/a", "a/**/b", "***", "a/***"] {
            assert!(pattern.parse::<Glob>().is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_path_is_the_name_of_a_claim_or_a_pointer_into_one() {
        for text in ["sub", "https://x.example/groups", "/a/b", "/a~1b/c~0", "a~b"] {
            assert_eq!(text.parse::<ClaimPath>().unwrap().as_str(), text);
        }
        for text in ["", "/a~2", "/a~", "a\nb"] {
            assert!(text.parse::<ClaimPath>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn stars_are_what_a_regular_expression_says(
            pattern in "[ab*:/]{1,8}(/\\*\\*)?", value in "[ab:/]{0,10}",
        ) {
            let Ok(glob) = pattern.parse::<Glob>() else { return Ok(()) };
            let (front, is_open) = split_open(&pattern);
            let rest = if is_open { ".*" } else { "" };
            let expression = format!("^(?:{}{rest})$", front.replace('*', "[^/:]*"));
            let regex = regex_automata::meta::Regex::new(&expression).unwrap();
            // What is empty is no last component, and no star stands for it.
            let is_cut = !is_open && front.ends_with('*') && (value.is_empty() || value.ends_with(SEPARATORS));
            prop_assert_eq!(glob.matches(&value), regex.is_match(&value) && !is_cut, "{} {}", pattern, value);
        }
    }
}

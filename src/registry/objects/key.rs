//! Keys: how applications spell them, and the one spelling the registry stores.
//!
//! Spellings that differ in nothing but care mean the same key: a leading, trailing or doubled slash, a `.` part,
//! decomposed Unicode. What could mean another place is refused and never repaired: `..`, a backslash, a control
//! character. A key is a name in a flat space, so `a` and `a/b` can both be objects.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization as _;

use crate::oci::excerpt;
use crate::package::{PackagePath, PathError};

/// The key that a text spells.
pub fn normalise_key(text: &str) -> Result<PackagePath, PathError> {
    if text.len() > 4 * PackagePath::MAX_LEN {
        return Err(PathError::Length { len: text.len() });
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.join("/").nfc().collect::<String>().parse()
}

/// Makes a key of parts, from the widest to the narrowest. The convention is
/// `{subject}/{category}[/{subcategory}]/{file name}`:
///
/// ```
/// # use artifactstore::registry::build_key;
/// let key = build_key(["DEAL-001", "documents", "cim", "memo.pdf"]).unwrap();
/// assert_eq!(key.as_str(), "DEAL-001/documents/cim/memo.pdf");
/// ```
///
/// A part is one part: a file name somebody else chose cannot leave its folder, nor disappear. Empty parts, `.`,
/// `..` and parts with a slash are refused.
pub fn build_key<P: AsRef<str>>(parts: impl IntoIterator<Item = P>) -> Result<PackagePath, PathError> {
    let mut key = String::new();
    let mut separator = "";
    for part in parts {
        let part = part.as_ref();
        if part.contains('/') {
            return Err(PathError::Character { path: excerpt(part), character: '/' });
        }
        if matches!(part, "" | "." | "..") {
            return Err(PathError::Part { path: excerpt(&key), part: part.to_owned() });
        }
        key.push_str(separator);
        key.extend(part.nfc());
        separator = "/";
    }
    key.parse()
}

/// How the keys of a listing begin: a text and not a folder, so `a/b` is where `a/bc` begins too. All keys begin with
/// the empty one. Its spelling is as free as that of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The common prefix that stands for a key in a listing of one level: what is up to the next slash.
    pub(super) fn folder<'a>(&self, key: &'a str) -> Option<&'a str> {
        let below = key.strip_prefix(&self.0)?;
        below.find('/').map(|slash| &key[..=self.0.len() + slash])
    }

    /// The first text that is behind everything that begins so.
    pub(super) fn end(&self) -> String {
        behind(&self.0)
    }
}

impl FromStr for Prefix {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let path = || excerpt(text);
        if text.len() > 4 * PackagePath::MAX_LEN {
            return Err(PathError::Length { len: text.len() });
        }
        if let Some(character) = text.chars().find(|c| c.is_control() || *c == '\\') {
            return Err(PathError::Character { path: path(), character });
        }
        let (folder, rest) = text.rsplit_once('/').unwrap_or(("", text));
        let mut prefix = String::new();
        for part in folder.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if part == ".." {
                return Err(PathError::Part { path: path(), part: part.to_owned() });
            }
            prefix.extend(part.nfc());
            prefix.push('/');
        }
        prefix.extend(rest.nfc());
        Ok(Self(prefix))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first text that is behind everything that begins with `text`.
pub(super) fn behind(text: &str) -> String {
    let mut rest = text.to_owned();
    while let Some(last) = rest.pop() {
        // Ranges of characters leave out what no text has.
        if let Some(next) = (last..=char::MAX).nth(1) {
            rest.push(next);
            return rest;
        }
    }
    // Longer than any key.
    char::MAX.to_string().repeat(PackagePath::MAX_LEN / char::MAX.len_utf8() + 1)
}

/// The first text that a key behind `text` can be.
pub(super) fn after(text: &str) -> String {
    // No key has a control character, and a database may refuse one.
    let sayable = text.split(|c| c < ' ').next().unwrap_or_default();
    format!("{sayable}\u{1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn careless_spellings_mean_the_same_key() {
        for text in ["a/b.txt", "/a/b.txt", "a//b.txt", "./a/./b.txt", "a/b.txt/", "///a/b.txt"] {
            assert_eq!(normalise_key(text).unwrap().as_str(), "a/b.txt", "{text}");
        }
        assert_eq!(normalise_key("a\u{308}").unwrap().as_str(), "ä");
        assert_eq!(normalise_key("a b/…").unwrap().as_str(), "a b/…");
    }

    #[test]
    fn what_could_leave_its_place_is_refused_by_the_rule_it_breaks() {
        for text in ["../a", "a/../b", "a/..", "..", "/.."] {
            assert!(
                matches!(normalise_key(text), Err(PathError::Part { part, .. }) if part == ".."),
                "{text}"
            );
        }
        for (text, refused) in [("a\\b", '\\'), ("a\0", '\0'), ("a\n", '\n'), ("a\u{85}b", '\u{85}')] {
            let error = normalise_key(text).unwrap_err();
            assert!(
                matches!(error, PathError::Character { character, .. } if character == refused),
                "{text:?}"
            );
        }
        for text in ["", "/", ".", "././/", &"a/".repeat(600), &"/".repeat(5000)] {
            assert!(matches!(normalise_key(text), Err(PathError::Length { .. })), "{}", excerpt(text));
        }
        assert!(matches!(normalise_key("/.artifactstore/x"), Err(PathError::Reserved { .. })));
    }

    #[test]
    fn a_built_key_has_exactly_the_parts_it_was_built_of() {
        assert_eq!(build_key(["DEAL-001", "emails", "m1.eml"]).unwrap().as_str(), "DEAL-001/emails/m1.eml");
        assert_eq!(build_key(vec!["a\u{308}".to_owned()]).unwrap().as_str(), "ä");
        for parts in
            [&["a", ""][..], &["a", ".."], &["a", "."], &["a", "../b"], &["a", "b/c"], &["a", "b\\c"], &[]]
        {
            assert!(build_key(parts).is_err(), "{parts:?}");
        }
    }

    #[test]
    fn a_prefix_is_a_text_and_ends_where_another_begins() {
        for (text, prefix) in
            [("", ""), ("/", ""), ("a", "a"), ("/a", "a"), ("a/", "a/"), ("a//./b", "a/b"), ("a/.", "a/.")]
        {
            assert_eq!(text.parse::<Prefix>().unwrap().as_str(), prefix, "{text}");
        }
        for text in ["../", "a/../b", "a\0", "a\\"] {
            assert!(text.parse::<Prefix>().is_err(), "{text:?}");
        }
        let prefix: Prefix = "a/b".parse().unwrap();
        assert_eq!(prefix.folder("a/bc/d/e"), Some("a/bc/"));
        assert_eq!((prefix.folder("a/bc"), prefix.folder("x/y")), (None, None));
        assert_eq!(prefix.end(), "a/c");
        assert_eq!(behind("a\u{d7ff}"), "a\u{e000}");
        assert_eq!(behind("a\u{10ffff}"), "b");
        assert!(behind("").len() > PackagePath::MAX_LEN);
    }

    #[test]
    fn what_comes_after_a_text_is_nothing_that_came_before() {
        for (text, first) in [("a", "a "), ("a\0x", "a "), ("", " "), ("a/b", "a/b!")] {
            assert!(after(text).as_str() <= first, "{text:?}");
        }
        assert!(after("a").as_str() > "a");
    }
}

//! Repository names and tags (distribution-spec, "Pulling manifests").

use std::str::FromStr;

use super::text::{checked_text, excerpt};

/// A repository name the distribution specification accepts; holding one is proof it was checked.
///
/// Components of `[a-z0-9]+`, joined inside by `.`, `_`, `__` or any number of `-`, separated by `/`.
/// Ordered bytewise, the order of `_catalog`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Box<str>);

impl RepositoryName {
    /// The longest name, in bytes. The specification sets no limit but warns of clients that do.
    pub const MAX_LEN: usize = 255;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a repository name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty or too long.
    #[error("repository name has {len} bytes, expected 1 to {max}", max = RepositoryName::MAX_LEN)]
    Length {
        /// Its length in bytes.
        len: usize,
    },
    /// A part between slashes is outside the grammar.
    #[error(
        "repository name component {part:?} is not lower-case alphanumerics joined by '.', '_', '__' or '-'"
    )]
    Component {
        /// The first such part, shortened; empty for a leading, trailing or doubled slash.
        part: String,
    },
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(s: &str) -> Result<Self, NameError> {
        if s.is_empty() || s.len() > Self::MAX_LEN {
            return Err(NameError::Length { len: s.len() });
        }
        match s.split('/').find(|part| !is_component(part)) {
            Some(part) => Err(NameError::Component { part: excerpt(part) }),
            None => Ok(Self(s.into())),
        }
    }
}

checked_text!(RepositoryName, "a repository name");

/// A tag the distribution specification accepts: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
///
/// Ordered bytewise, the order of `tags/list`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

impl Tag {
    /// The longest tag, in bytes.
    pub const MAX_LEN: usize = 128;

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Empty or too long.
    #[error("tag has {len} bytes, expected 1 to {max}", max = Tag::MAX_LEN)]
    Length {
        /// Its length in bytes.
        len: usize,
    },
    /// A character that may not stand where it stands; `.` and `-` may not come first.
    #[error("tag has {character:?} at byte {at}")]
    Character {
        /// The first such character.
        character: char,
        /// Where it is.
        at: usize,
    },
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(s: &str) -> Result<Self, TagError> {
        if s.is_empty() || s.len() > Self::MAX_LEN {
            return Err(TagError::Length { len: s.len() });
        }
        let fits =
            |at: usize, c: char| c.is_ascii_alphanumeric() || c == '_' || (at > 0 && matches!(c, '.' | '-'));
        match s.char_indices().find(|&(at, c)| !fits(at, c)) {
            Some((at, character)) => Err(TagError::Character { character, at }),
            None => Ok(Self(s.into())),
        }
    }
}

checked_text!(Tag, "a tag");

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, in one pass: the runs between alphanumerics are the separators.
fn is_component(part: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    word(first)
        && word(last)
        && bytes
            .split(|&b| word(b))
            .all(|run| matches!(run, b"" | b"." | b"_" | b"__") || run.iter().all(|&b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The grammar as a nondeterministic automaton, walked position by position: an oracle that shares
    /// nothing with the parser. States: 0 start of a component, 1 in a word, 2 after `.`, 3 after `_`,
    /// 4 after `__`, 5 after dashes.
    fn oracle(name: &str) -> bool {
        let mut state = 0;
        for c in name.chars() {
            state = match (state, c) {
                (_, 'a'..='z' | '0'..='9') => 1,
                (1, '.') => 2,
                (1, '_') => 3,
                (3, '_') => 4,
                (1 | 5, '-') => 5,
                (1, '/') => 0,
                _ => return false,
            };
        }
        state == 1 && name.len() <= 255
    }

    #[test]
    fn names_of_the_specification_are_accepted() {
        for name in ["a", "library/debian", "a.b/c_d/e__f/g---h", "a/blobs/b", "a/manifests/uploads", "0/1"] {
            assert_eq!(name.parse::<RepositoryName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_bad_component_is_named() {
        for (name, part) in [
            ("A/b", "A"),
            ("a/..", ".."),
            ("a//b", ""),
            ("/a", ""),
            ("a/", ""),
            ("x/a..b", "a..b"),
            ("a___b", "a___b"),
            ("a._b", "a._b"),
            ("-a", "-a"),
            ("a/_x", "_x"),
            ("a\0", "a\0"),
            ("ä", "ä"),
        ] {
            assert_eq!(name.parse::<RepositoryName>(), Err(NameError::Component { part: part.into() }));
        }
    }

    #[test]
    fn a_name_has_1_to_255_bytes() {
        assert!("a".repeat(255).parse::<RepositoryName>().is_ok());
        assert_eq!("a".repeat(256).parse::<RepositoryName>(), Err(NameError::Length { len: 256 }));
        assert_eq!("".parse::<RepositoryName>(), Err(NameError::Length { len: 0 }));
    }

    #[test]
    fn a_tag_has_1_to_128_bytes() {
        assert!("T".repeat(128).parse::<Tag>().is_ok());
        assert_eq!("T".repeat(129).parse::<Tag>(), Err(TagError::Length { len: 129 }));
        assert_eq!("".parse::<Tag>(), Err(TagError::Length { len: 0 }));
    }

    #[test]
    fn a_bad_character_of_a_tag_is_named_with_its_place() {
        for (tag, character, at) in
            [(".a", '.', 0), ("-a", '-', 0), ("v1:2", ':', 2), ("a/b", '/', 1), ("vä", 'ä', 1)]
        {
            assert_eq!(tag.parse::<Tag>(), Err(TagError::Character { character, at }));
        }
        assert!("_v1.2-rc_".parse::<Tag>().is_ok());
    }

    #[test]
    fn serde_refuses_what_parsing_refuses() {
        assert!(serde_json::from_str::<RepositoryName>("\"a/b\"").is_ok());
        assert!(serde_json::from_str::<RepositoryName>("\"a//b\"").is_err());
        assert!(serde_json::from_str::<Tag>("\"a:b\"").is_err());
    }

    proptest! {
        #[test]
        fn the_parser_agrees_with_the_oracle(name in "[ab0A._/-]{0,10}") {
            prop_assert_eq!(name.parse::<RepositoryName>().is_ok(), oracle(&name));
        }

        #[test]
        fn what_the_grammar_generates_is_accepted(
            name in "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,3}){0,3}(/[a-z0-9]{1,3}((\\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}){0,3}"
        ) {
            let parsed: RepositoryName = name.parse().unwrap();
            prop_assert_eq!(parsed.to_string(), name);
        }

        #[test]
        fn parsing_never_panics_and_keeps_the_text(text in "\\PC{0,300}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                prop_assert_eq!(name.as_str(), &text);
            }
            if let Ok(tag) = text.parse::<Tag>() {
                prop_assert_eq!(tag.as_str(), &text);
            }
        }

        #[test]
        fn what_the_tag_grammar_generates_is_accepted(tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
            prop_assert_eq!(tag.parse::<Tag>().unwrap().to_string(), tag);
        }
    }
}

//! Names a backend accepts: checked once, where they are made, so that no backend has to distrust one.

use std::fmt;
use std::str::FromStr;

/// Where a backend keeps an object: `segment/segment/…`.
///
/// Holding one is proof that every segment is `[a-z0-9][a-z0-9._-]*`, that there is no empty, `.` or
/// `..` segment, that the whole is at most [`MAX_LEN`](Self::MAX_LEN) bytes and a segment at most
/// [`MAX_SEGMENT`](Self::MAX_SEGMENT), so no key can leave a backend's root. The first segment is never
/// `staging`: backends keep unfinished writes there. Upper case is refused (ULIDs are written in
/// lower case), so keys stay distinct on file systems that fold it. Keys order by their bytes.
///
/// Callers never use the key of an object as the folder of another: a file system can not hold both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

/// Names one staged write: `[A-Za-z0-9_-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StagingId(Box<str>);

/// Names a configured backend in receipts and views, e.g. `local`: `[a-z0-9][a-z0-9-]{0,31}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(Box<str>);

/// Why a text is no [`Key`], [`StagingId`] or [`BackendId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Empty or too long.
    #[error("{len} bytes, allowed are 1 to {max}")]
    Length {
        /// Length of what was given.
        len: usize,
        /// The longest that is accepted.
        max: usize,
    },
    /// A path segment holds something else than `[a-z0-9][a-z0-9._-]*` or is too long.
    #[error("bad segment {segment:?} in a storage key")]
    Segment {
        /// The segment.
        segment: String,
    },
    /// The key would lie among the staged writes.
    #[error("storage keys can not start with \"staging/\"")]
    Reserved,
    /// A name holds a character that it may not.
    #[error("bad name {name:?}")]
    Name {
        /// The name.
        name: String,
    },
}

impl Key {
    /// The longest key, in bytes.
    pub const MAX_LEN: usize = 512;

    /// The longest segment, in bytes: what a file name may be.
    pub const MAX_SEGMENT: usize = 255;

    /// The first segment that no key has.
    pub const RESERVED: &str = "staging";

    /// The key as text, which parses back to it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the slashes; at least one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether `text` could be a segment of a key.
    pub(super) fn is_segment(text: &str) -> bool {
        let mut bytes = text.bytes();
        text.len() <= Self::MAX_SEGMENT
            && bytes.next().is_some_and(is_lower_alphanumeric)
            && bytes.all(|b| is_lower_alphanumeric(b) || matches!(b, b'.' | b'_' | b'-'))
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(s: &str) -> Result<Self, KeyError> {
        check_length(s, Self::MAX_LEN)?;
        if let Some(segment) = s.split('/').find(|segment| !Self::is_segment(segment)) {
            return Err(KeyError::Segment { segment: segment.into() });
        }
        if s.split('/').next() == Some(Self::RESERVED) {
            return Err(KeyError::Reserved);
        }
        Ok(Self(s.into()))
    }
}

impl StagingId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The id as text, which parses back to it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StagingId {
    type Err = KeyError;

    fn from_str(s: &str) -> Result<Self, KeyError> {
        check_length(s, Self::MAX_LEN)?;
        if !s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            return Err(KeyError::Name { name: s.into() });
        }
        Ok(Self(s.into()))
    }
}

impl BackendId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 32;

    /// The id as text, which parses back to it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BackendId {
    type Err = KeyError;

    fn from_str(s: &str) -> Result<Self, KeyError> {
        check_length(s, Self::MAX_LEN)?;
        if s.starts_with('-') || !s.bytes().all(|b| is_lower_alphanumeric(b) || b == b'-') {
            return Err(KeyError::Name { name: s.into() });
        }
        Ok(Self(s.into()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for StagingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_length(s: &str, max: usize) -> Result<(), KeyError> {
    if s.is_empty() || s.len() > max { Err(KeyError::Length { len: s.len(), max }) } else { Ok(()) }
}

fn is_lower_alphanumeric(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_of_the_data_plane_is_accepted() {
        let text = format!("blake3/ab/cd/{}.01jd0000000000000000000000", "ab".repeat(32));
        assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
    }

    #[test]
    fn hostile_keys_are_refused() {
        let long = "a".repeat(256);
        for text in [
            "..",
            ".",
            "/",
            "/etc/passwd",
            "a/",
            "a//b",
            "a/../b",
            "a/..",
            "../a",
            "a/./b",
            "a\\b",
            "a\0b",
            "a/\u{2215}b",
            "a b",
            "A/b",
            ".hidden",
            "a/.hidden",
            "-flag",
            "a/-flag",
            "~root",
            "a\n",
            "%2e%2e",
            &long,
        ] {
            let err = text.parse::<Key>().unwrap_err();
            assert!(matches!(err, KeyError::Segment { .. }), "{text:?}: {err}");
        }
    }

    #[test]
    fn the_length_of_a_key_is_bounded() {
        assert_eq!("".parse::<Key>(), Err(KeyError::Length { len: 0, max: 512 }));
        let most = "ab/".repeat(170) + "ab";
        assert_eq!(most.len(), 512);
        assert!(most.parse::<Key>().is_ok());
        assert_eq!(format!("{most}c").parse::<Key>(), Err(KeyError::Length { len: 513, max: 512 }));
    }

    #[test]
    fn the_first_segment_is_not_staging() {
        assert_eq!("staging".parse::<Key>(), Err(KeyError::Reserved));
        assert_eq!("staging/a".parse::<Key>(), Err(KeyError::Reserved));
        assert!("staging-area/a".parse::<Key>().is_ok());
        assert!("a/staging".parse::<Key>().is_ok());
    }

    #[test]
    fn hostile_ids_are_refused() {
        let long = "a".repeat(65);
        for text in ["", ".", "..", "a/b", "/", "a.b", ".probe", "a\0", "ä", "a b", &long] {
            assert!(text.parse::<StagingId>().is_err(), "{text:?}");
        }
        assert!("Az09_-".parse::<StagingId>().is_ok());
        for text in ["", "-a", "A", "a/b", "a.b", "a_b", &long] {
            assert!(text.parse::<BackendId>().is_err(), "{text:?}");
        }
        assert!("ceph-2".parse::<BackendId>().is_ok());
    }

    proptest! {
        #[test]
        fn no_accepted_key_can_leave_a_root(text in "[a-z0-9./_-]{0,24}|\\PC{0,24}|(\\.\\.?/|a/){0,8}a?") {
            if let Ok(key) = text.parse::<Key>() {
                let path = Path::new("/root").join(key.as_str());
                prop_assert!(path.starts_with("/root"));
                prop_assert!(Path::new(key.as_str()).components().all(|c| matches!(c, Component::Normal(_))));
                prop_assert_eq!(path.components().count(), 2 + key.segments().count());
                prop_assert!(!path.starts_with("/root/staging"));
                prop_assert_eq!(key.as_str(), text.as_str());
            }
        }

        #[test]
        fn an_accepted_id_is_one_path_component(text in "[a-zA-Z0-9./_-]{0,12}|\\PC{0,12}") {
            if let Ok(id) = text.parse::<StagingId>() {
                let components = Path::new(id.as_str()).components().collect::<Vec<_>>();
                prop_assert!(matches!(components[..], [Component::Normal(_)]));
            }
        }
    }
}

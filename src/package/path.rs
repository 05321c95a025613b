//! Logical paths of files in a package.

use std::str::FromStr;

use unicode_normalization::is_nfc;

use crate::oci::{checked_text, excerpt};

/// Where the registry's own files are in a package.
const RESERVED: &str = ".artifactstore";

/// A relative path that means the same everywhere; holding one is proof it was checked.
///
/// NFC UTF-8 of at most 1024 bytes; parts joined by `/`, each of 1 to 255 bytes and none `.` or `..`; no backslash and
/// no control character; not below `.artifactstore/`. Ordered bytewise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackagePath(Box<str>);

/// Why a text is not a path in a package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Empty or too long.
    #[error("a path has 1 to {max} bytes, this one has {len}", max = PackagePath::MAX_LEN)]
    Length {
        /// Its length in bytes.
        len: usize,
    },
    /// One part is too long.
    #[error("path {path:?} has a part of {len} bytes, a part has at most {max}", max = PackagePath::MAX_PART)]
    PartLength {
        /// The path, shortened.
        path: String,
        /// The part's length in bytes.
        len: usize,
    },
    /// It begins with a slash.
    #[error("path {path:?} is absolute")]
    Absolute {
        /// The path, shortened.
        path: String,
    },
    /// An empty part, `.` or `..`.
    #[error("path {path:?} has the part {part:?}")]
    Part {
        /// The path, shortened.
        path: String,
        /// The part.
        part: String,
    },
    /// A control character or a backslash.
    #[error("path {path:?} has the character {character:?}")]
    Character {
        /// The path, shortened.
        path: String,
        /// The character.
        character: char,
    },
    /// The same text can be spelt in another way.
    #[error("path {path:?} is not in Unicode normalisation form C")]
    NotNormal {
        /// The path, shortened.
        path: String,
    },
    /// Below `.artifactstore/`, where the registry puts its own.
    #[error("path {path:?} is below .artifactstore/, which is the registry's own")]
    Reserved {
        /// The path, shortened.
        path: String,
    },
}

impl PackagePath {
    /// The longest path, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// The longest part, in bytes: the longest name the usual file systems take. A package that could be pushed and
    /// not be pulled again would keep nothing.
    pub const MAX_PART: usize = 255;

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Every folder it is in, the innermost first: `a/b` and `a` for `a/b/c`.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.0.rsplit_once('/').map(|(folder, _)| folder), |folder| {
            folder.rsplit_once('/').map(|(outer, _)| outer)
        })
    }
}

impl FromStr for PackagePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(PathError::Length { len: text.len() });
        }
        let path = || excerpt(text);
        if text.starts_with('/') {
            return Err(PathError::Absolute { path: path() });
        }
        if let Some(character) = text.chars().find(|c| c.is_control() || *c == '\\') {
            return Err(PathError::Character { path: path(), character });
        }
        if let Some(part) = text.split('/').find(|part| matches!(*part, "" | "." | "..")) {
            return Err(PathError::Part { path: path(), part: part.to_owned() });
        }
        if let Some(part) = text.split('/').find(|part| part.len() > Self::MAX_PART) {
            return Err(PathError::PartLength { path: path(), len: part.len() });
        }
        if !is_nfc(text) {
            return Err(PathError::NotNormal { path: path() });
        }
        if text.split('/').next() == Some(RESERVED) {
            return Err(PathError::Reserved { path: path() });
        }
        Ok(Self(text.into()))
    }
}

checked_text!(PackagePath, "a path in a package");

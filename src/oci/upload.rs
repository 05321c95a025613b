//! The name of an upload session (distribution-spec, "Pushing blobs").

use std::str::FromStr;

use super::digest::hex;
use super::text::checked_text;

/// An opaque session id: `[A-Za-z0-9_-]{22,64}`.
///
/// It stands in a URL path without escapes (clients rebuild the path from its decoded form) and is long
/// enough to be unguessable when it was made by [`from_random`](Self::from_random).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(Box<str>);

impl UploadId {
    /// The shortest id: 128 bits in base64.
    pub const MIN_LEN: usize = 22;
    /// The longest id.
    pub const MAX_LEN: usize = 64;

    /// The id for 160 bits the caller drew from the system's random source.
    pub fn from_random(bytes: [u8; 20]) -> Self {
        Self(hex(&bytes).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a session id. The answer to the client is the same as for a session that is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadIdError {
    /// Too short or too long.
    #[error("upload id has {len} bytes, expected {min} to {max}", min = UploadId::MIN_LEN, max = UploadId::MAX_LEN)]
    Length {
        /// Its length in bytes.
        len: usize,
    },
    /// A character outside `[A-Za-z0-9_-]`.
    #[error("upload id contains {character:?}")]
    Character {
        /// The first such character.
        character: char,
    },
}

impl FromStr for UploadId {
    type Err = UploadIdError;

    fn from_str(s: &str) -> Result<Self, UploadIdError> {
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&s.len()) {
            return Err(UploadIdError::Length { len: s.len() });
        }
        match s.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))) {
            Some(character) => Err(UploadIdError::Character { character }),
            None => Ok(Self(s.into())),
        }
    }
}

checked_text!(UploadId, "an upload id");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_has_22_to_64_url_safe_characters() {
        assert!("aZ09_-".repeat(4).parse::<UploadId>().is_ok());
        assert_eq!("a".repeat(21).parse::<UploadId>(), Err(UploadIdError::Length { len: 21 }));
        assert_eq!("a".repeat(65).parse::<UploadId>(), Err(UploadIdError::Length { len: 65 }));
        let dotted = "../".repeat(9);
        assert_eq!(dotted.parse::<UploadId>(), Err(UploadIdError::Character { character: '.' }));
    }

    proptest! {
        #[test]
        fn a_random_id_is_valid_and_different_bytes_differ(a: [u8; 20], b: [u8; 20]) {
            let id = UploadId::from_random(a);
            prop_assert_eq!(&id.as_str().parse::<UploadId>().unwrap(), &id);
            prop_assert_eq!(UploadId::from_random(b) == id, a == b);
        }
    }
}

//! Digests and the addresses made of them (image-spec `descriptor.md`, "Digests").

use std::fmt;
use std::str::FromStr;

use super::text::{checked_text, excerpt};

/// A digest algorithm this registry computes and verifies.
///
/// `sha256` is required by the image specification, `sha512` and `blake3` are registered there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `sha256`: what every client understands.
    Sha256,
    /// `sha512`.
    Sha512,
    /// `blake3`, 256 bits.
    Blake3,
}

impl Algorithm {
    /// Every algorithm, in declaration order.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha512, Self::Blake3];

    /// The registered identifier, the part of a digest before the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }

    /// How many hex characters follow the colon.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 | Self::Blake3 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(s: &str) -> Result<Self, DigestError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == s)
            .ok_or_else(|| DigestError::UnknownAlgorithm { algorithm: excerpt(s) })
    }
}

/// Why a text is not a digest. The three questions are asked in the order of the variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not `algorithm:encoded` in the grammar of the image specification.
    #[error("{text:?} is not a digest of the form algorithm:encoded")]
    Syntax {
        /// The text, shortened.
        text: String,
    },
    /// A well-formed digest in an algorithm this registry does not compute.
    #[error("unknown digest algorithm {algorithm:?}; sha256, sha512 and blake3 are supported")]
    UnknownAlgorithm {
        /// The algorithm, shortened.
        algorithm: String,
    },
    /// The wrong number of characters for the algorithm.
    #[error("{algorithm} digest has {actual} characters after the colon, expected {expected}")]
    Length {
        /// The algorithm.
        algorithm: Algorithm,
        /// What the algorithm wants.
        expected: usize,
        /// What was given.
        actual: usize,
    },
    /// A character outside `[0-9a-f]`; upper-case hex is not accepted, one content has one name.
    #[error("{algorithm} digest contains {character:?}, expected lower-case hex")]
    NotLowerHex {
        /// The algorithm.
        algorithm: Algorithm,
        /// The first offending character.
        character: char,
    },
}

/// A checked digest: `algorithm:hex` with a supported algorithm and exactly its lower-case hex.
///
/// Ordered by its text, as a database orders it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    // First, so that the derived order is the order of the text.
    text: Box<str>,
    algorithm: Algorithm,
}

impl Digest {
    /// The digest with these bytes.
    ///
    /// # Panics
    /// When `bytes` is not as long as the algorithm's output: the caller mixed up two hashes.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Self {
        assert_eq!(bytes.len() * 2, algorithm.hex_len(), "{algorithm} output of the wrong length");
        let text = format!("{algorithm}:{}", hex(bytes));
        Self { text: text.into(), algorithm }
    }

    /// Which algorithm made it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The lower-case hex after the colon.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.as_str().len() + 1..]
    }

    /// The whole text, `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The bytes the hex stands for.
    pub fn to_bytes(&self) -> Vec<u8> {
        let nibble = |c: u8| if c.is_ascii_digit() { c - b'0' } else { c - b'a' + 10 };
        self.hex().as_bytes().chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(s: &str) -> Result<Self, DigestError> {
        let syntax = || DigestError::Syntax { text: excerpt(s) };
        let (algorithm, encoded) = s.split_once(':').ok_or_else(syntax)?;
        if !is_algorithm(algorithm) || !is_encoded(encoded) {
            return Err(syntax());
        }
        let algorithm: Algorithm = algorithm.parse()?;
        if encoded.len() != algorithm.hex_len() {
            return Err(DigestError::Length {
                algorithm,
                expected: algorithm.hex_len(),
                actual: encoded.len(),
            });
        }
        match encoded.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
            Some(character) => Err(DigestError::NotLowerHex { algorithm, character }),
            None => Ok(Self { text: s.into(), algorithm }),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.text)
    }
}

checked_text!(Digest, "a digest, algorithm:hex");

/// Where content is found: the checked text `algorithm:hex`, equal for equal content and never reused
/// for other content (CAS-3).
///
/// The same text as the [`Digest`] it is made of; a type of its own because a digest is a claim about
/// bytes and an address is a place to look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentAddress(Digest);

impl ContentAddress {
    /// The digest of the content found here.
    pub fn digest(&self) -> &Digest {
        &self.0
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl From<Digest> for ContentAddress {
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

impl From<ContentAddress> for Digest {
    fn from(address: ContentAddress) -> Self {
        address.0
    }
}

impl FromStr for ContentAddress {
    type Err = DigestError;

    fn from_str(s: &str) -> Result<Self, DigestError> {
        s.parse().map(Self)
    }
}

checked_text!(ContentAddress, "a content address, algorithm:hex");

/// Lower-case hex of `bytes`.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// `[a-z0-9]+([+._-][a-z0-9]+)*`
fn is_algorithm(text: &str) -> bool {
    text.split(['+', '.', '_', '-'])
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

/// `[a-zA-Z0-9=_-]+`
fn is_encoded(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
}

#[cfg(test)]
mod tests;

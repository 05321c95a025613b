//! Keys of robots: `ars_ID_SECRETCHECKSUM`.
//!
//! The form is that of GitHub's tokens (<https://github.blog/engineering/behind-githubs-new-authentication-token-formats/>):
//! a fixed beginning by which scanners find keys that were published by mistake, underscores so that a double click
//! selects the whole, and a checksum, so that a key that was typed or copied wrongly is refused before anybody is asked
//! for it. The ID is public: logs, lists and audits name a key by it.
//!
//! What is kept of a key is a [`KeyDigest`], and what it is for a [`KeyGrant`].

mod digest;
mod grant;
mod scope;

use std::fmt;
use std::str::FromStr;

use super::base32;
use crate::secret::Secret;

pub use digest::KeyDigest;
pub use grant::KeyGrant;
pub use scope::{KeyScope, KeyScopeError};

/// Symbols of a secret, five bits each: 160 bits. GitHub's have 178; what has 128 is not guessed.
const SECRET: usize = 32;

/// Bytes of a key.
const LENGTH: usize = ApiKey::PREFIX.len() + ApiKeyId::LENGTH + 1 + SECRET + base32::WORD;

/// What names a key: 16 random symbols of base32, the same as long as the key lives. No secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKeyId(Box<str>);

/// A text is not the ID of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a key is {} lower-case letters and digits, without i, l, o and u", ApiKeyId::LENGTH)]
pub struct ApiKeyIdError;

/// A key of the right form, and not therefore one that there is. Its secret cannot be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    id: ApiKeyId,
    text: Secret,
}

/// Why a text is no key. Does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// It does not begin like one: it may be a password.
    #[error("a key begins with {}", ApiKey::PREFIX)]
    Prefix,
    /// It is too long or too short, or has what no key has.
    #[error("a key has {LENGTH} characters, ars_ID_SECRET; was it copied as a whole?")]
    Form,
    /// A character of it is another one.
    #[error("the checksum of the key is wrong; was it copied as it is?")]
    Checksum,
}

impl ApiKey {
    /// What every key begins with.
    pub const PREFIX: &str = "ars_";

    /// A new one, with an ID of its own.
    pub fn generate() -> Self {
        let id = base32::random(ApiKeyId::LENGTH);
        let body = format!("{}{id}_{}", Self::PREFIX, base32::random(SECRET));
        let text = format!("{body}{}", base32::word(crc32(body.as_bytes())));
        Self { id: ApiKeyId(id.into()), text: text.into() }
    }

    /// Reads a key that was presented.
    pub fn parse(text: &Secret) -> Result<Self, ApiKeyError> {
        let rest = text.expose().strip_prefix(Self::PREFIX).ok_or(ApiKeyError::Prefix)?;
        if text.expose().len() != LENGTH || !rest.is_ascii() {
            return Err(ApiKeyError::Form);
        }
        let (body, checksum) = text.expose().split_at(LENGTH - base32::WORD);
        if base32::word(crc32(body.as_bytes())) != checksum {
            return Err(ApiKeyError::Checksum);
        }
        let (id, secret) = rest.split_once('_').ok_or(ApiKeyError::Form)?;
        let id = id.parse().map_err(|ApiKeyIdError| ApiKeyError::Form)?;
        if base32::is_plain(secret) { Ok(Self { id, text: text.clone() }) } else { Err(ApiKeyError::Form) }
    }

    /// By which it is looked up.
    pub fn id(&self) -> &ApiKeyId {
        &self.id
    }

    /// The whole key, for the one answer that tells it.
    pub fn as_secret(&self) -> &Secret {
        &self.text
    }

    /// What is kept of it.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self)
    }
}

impl ApiKeyId {
    /// The length of every one, in bytes.
    pub const LENGTH: usize = 16;

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiKeyId {
    type Err = ApiKeyIdError;

    fn from_str(text: &str) -> Result<Self, ApiKeyIdError> {
        let is_one = text.len() == Self::LENGTH && base32::is_plain(text);
        if is_one { Ok(Self(text.into())) } else { Err(ApiKeyIdError) }
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// CRC-32 as in ISO 3309, zlib and GitHub's tokens. Unlike a piece of a hash it finds every change within 32 bits for
/// certain, and so every single character.
fn crc32(bytes: &[u8]) -> u32 {
    let shifted = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shifted))
}

#[cfg(test)]
mod tests;

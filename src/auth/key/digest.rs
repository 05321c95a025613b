//! What is kept of a key.

use std::fmt;

use super::ApiKey;

/// The BLAKE3 hash of a whole key.
///
/// A fast hash, and without a salt: slow hashes make up for passwords that people choose, and nobody tries 2^160 secrets
/// however fast each of them is. Every request with a key pays for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest(blake3::Hash);

impl KeyDigest {
    pub(super) fn of(key: &ApiKey) -> Self {
        Self(blake3::hash(key.as_secret().expose().as_bytes()))
    }

    /// One that was kept.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for whoever keeps them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether a key is the one. Takes as long whatever it is: hashes of BLAKE3 are compared in constant time.
    pub fn is_of(&self, key: &ApiKey) -> bool {
        *self == Self::of(key)
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(***)")
    }
}

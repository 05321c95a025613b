//! What the profile allows, as far as the reading and the writing side share it.

use super::Reason;

/// The largest magnitude of an integer, 2^53 − 1: the last one a JSON number (an IEEE double,
/// RFC 8259 §6) still tells from its neighbours.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The most bytes a map key may have.
pub const KEY_MAX: usize = 256;

/// How much one value may weigh. Both sides refuse what is heavier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole encoding.
    pub total: usize,
    /// Items in the whole encoding, keys included. Bounds the memory of the decoded tree, which
    /// spends some 32 bytes on an item that takes one byte on the wire.
    pub items: usize,
    /// Arrays and maps inside one another; a bare scalar has depth 0.
    pub depth: u8,
    /// Bytes of one text.
    pub text: usize,
}

impl Limits {
    /// For events: 1 MiB.
    pub const EVENT: Self = Self::sized(1 << 20);

    /// For documents such as package manifests: 16 MiB.
    pub const DOCUMENT: Self = Self::sized(16 << 20);

    /// One item per 16 bytes is generous: a digest is one item of more than 70 bytes.
    const fn sized(total: usize) -> Self {
        Self { total, items: total / 16, depth: 32, text: 64 << 10 }
    }
}

/// Why a key is not one, with the position of the byte at fault.
pub(super) fn check_key(key: &[u8]) -> Result<(), (usize, Reason)> {
    if key.is_empty() || key.len() > KEY_MAX {
        return Err((0, Reason::KeyLength));
    }
    match key.iter().position(|byte| !matches!(byte, b' '..=b'~')) {
        Some(at) => Err((at, Reason::KeyNotPrintable)),
        None => Ok(()),
    }
}

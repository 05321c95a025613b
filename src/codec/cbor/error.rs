//! What can be wrong with bytes or with a value.

/// Why bytes were not decoded or a value was not encoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not in the profile. `offset` is the first byte of the item at fault; for text
    /// and keys with a bad byte, that byte; for missing or surplus input, where it should have
    /// begun or ended.
    #[error("not canonical CBOR at byte {offset}: {reason}")]
    Bytes {
        /// Position in the input.
        offset: usize,
        /// What is wrong there.
        reason: Reason,
    },
    /// The value has no encoding in the profile. `at` is a JSON pointer (RFC 6901) to the part at
    /// fault, empty for the whole.
    #[error("no canonical CBOR for the value at \"{at}\": {reason}")]
    Value {
        /// JSON pointer into the value.
        at: String,
        /// What is wrong there.
        reason: Reason,
    },
    /// The value's own `Serialize` failed.
    #[error("the value does not serialise")]
    Serialize(#[source] ciborium::value::Error),
    /// The bytes are in the profile, but say something else than the wanted type: what the type says to it, which names
    /// the field, and not all of a long value.
    #[error("canonical CBOR of another type: {0}")]
    Deserialize(String),
}

/// Bytes of what a type says that are passed on.
const MAX_SAID: usize = 240;

impl Error {
    pub(super) fn of_type(error: ciborium::value::Error) -> Self {
        let ciborium::value::Error::Custom(said) = error;
        let mut end = said.len().min(MAX_SAID);
        while !said.is_char_boundary(end) {
            end -= 1;
        }
        Self::Deserialize(if end < said.len() { format!("{}…", &said[..end]) } else { said })
    }

    /// The rule that was broken, if it was one of the profile.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Bytes { reason, .. } | Self::Value { reason, .. } => Some(*reason),
            Self::Serialize(_) | Self::Deserialize(_) => None,
        }
    }
}

/// A rule of the profile that was broken. Section numbers are those of RFC 8949.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The input ends inside an item, or an item claims more than there is.
    #[error("the input ends too early")]
    Truncated,
    /// Bytes follow the one top-level item.
    #[error("bytes after the end")]
    Trailing,
    /// Additional information 28 to 30, or 31 where it has no meaning (§3).
    #[error("reserved encoding")]
    Reserved,
    /// An indefinite length, or the break that ends one (§3.2).
    #[error("indefinite length")]
    Indefinite,
    /// A number or length that a shorter head would hold (§4.2.1).
    #[error("head is not the shortest")]
    NotShortest,
    /// An integer beyond ±(2^53 − 1), bignums included.
    #[error("integer beyond 2^53 - 1")]
    IntegerRange,
    /// A byte string (major type 2).
    #[error("byte strings are not allowed")]
    ByteString,
    /// A tag (major type 6).
    #[error("tags are not allowed")]
    Tag,
    /// A floating-point number (§3.3), also one with an integral value.
    #[error("floating-point numbers are not allowed")]
    Float,
    /// `undefined` or any simple value but `false`, `true` and `null` (§3.3).
    #[error("simple values are not allowed")]
    Simple,
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// A map key that is not text.
    #[error("map key is not text")]
    KeyNotText,
    /// A map key that is empty or longer than [`KEY_MAX`](super::KEY_MAX).
    #[error("map key is empty or too long")]
    KeyLength,
    /// A map key with a byte outside 0x20 to 0x7e.
    #[error("map key is not printable ASCII")]
    KeyNotPrintable,
    /// A map key that sorts before the one in front of it (§4.2.1).
    #[error("map keys are not in order")]
    KeyOrder,
    /// A map key that occurred before (§5.6).
    #[error("duplicate map key")]
    KeyDuplicate,
    /// More nesting than [`Limits::depth`](super::Limits::depth).
    #[error("nested more than {limit} deep")]
    Depth {
        /// The limit that applied.
        limit: u8,
    },
    /// A text longer than [`Limits::text`](super::Limits::text).
    #[error("text over {limit} bytes")]
    Text {
        /// The limit that applied.
        limit: usize,
    },
    /// More items than [`Limits::items`](super::Limits::items).
    #[error("more than {limit} items")]
    Items {
        /// The limit that applied.
        limit: usize,
    },
    /// More bytes than [`Limits::total`](super::Limits::total).
    #[error("more than {limit} bytes")]
    Total {
        /// The limit that applied.
        limit: usize,
    },
}

//! Canonical JSON (RFC 8785, JCS) as a projection of the [CBOR profile](super::cbor).
//!
//! There is one data model, the profile's, and this is its second spelling: [`from_cbor`] and
//! [`to_cbor`] are inverse to one another, and encoding a value goes through its CBOR. A value CBOR
//! refuses (a float, an integer that a JSON number would round) has no JSON either. Hashes and
//! signatures are always over the CBOR.
//!
//! The order of keys differs between the two: JCS compares UTF-16 code units (RFC 8785 §3.2.3), CBOR
//! puts shorter keys first.

use ciborium::Value;
use serde::Serialize;

use super::cbor::{self, Limits, Reason};

#[cfg(test)]
mod tests;

/// Why there is no projection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The value or the bytes are not in the CBOR profile.
    #[error(transparent)]
    Cbor(#[from] cbor::Error),
    /// The text is not one JSON value, or is nested beyond any limit.
    #[error("not JSON")]
    Json(#[source] serde_json::Error),
    /// The canonical writer failed. No value of the profile is known to make it.
    #[error("JSON cannot be written")]
    Write(#[source] serde_json::Error),
}

/// The canonical JSON of a value: exactly [`from_cbor`] of its CBOR.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    from_cbor(&cbor::to_vec(value)?)
}

/// [`to_vec`] as text.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    Ok(String::from_utf8(to_vec(value)?).expect("JSON is UTF-8"))
}

/// Projects canonical CBOR of at most [`Limits::DOCUMENT`] to canonical JSON (RFC 8785 §3.2).
pub fn from_cbor(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    from_cbor_with_limits(bytes, &Limits::DOCUMENT)
}

/// The same within other limits.
pub fn from_cbor_with_limits(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let tree = cbor::tree(bytes, limits)?;
    serde_json_canonicalizer::to_vec(&tree).map_err(Error::Write)
}

/// Reads any JSON that says a value of the profile, canonical or not, and returns its CBOR of at
/// most [`Limits::DOCUMENT`].
///
/// Refused are repeated keys, which `serde_json` would silently merge (RFC 8785 §3.1 forbids them);
/// numbers with a fraction or an exponent, `-0`, and integers beyond 64 bits, which arrive as
/// floats; integers beyond 2^53 − 1; keys and nesting outside the profile; and trailing bytes.
pub fn to_cbor(json: &[u8]) -> Result<Vec<u8>, Error> {
    let limits = Limits::DOCUMENT;
    check_weight(json, &limits)?;
    // ciborium's tree keeps repeated keys, and the encoder then refuses them with their path.
    let tree: Value = serde_json::from_slice(json).map_err(Error::Json)?;
    Ok(cbor::to_vec_with_limits(&tree, &limits)?)
}

/// Refuses JSON that cannot come out within the limits before a tree is built for it.
///
/// One byte of CBOR becomes at most six of canonical JSON (a control character's escape, `false`
/// and its comma), so no canonical JSON of a permitted value is refused here.
fn check_weight(json: &[u8], limits: &Limits) -> Result<(), cbor::Error> {
    let refuse = |reason| Err(cbor::Error::Value { at: String::new(), reason });
    if json.len() > 6 * limits.total {
        return refuse(Reason::Total { limit: limits.total });
    }
    // Counts each empty container twice, hence the factor; the encoder counts exactly.
    if structure(json) > 2 * limits.items {
        return refuse(Reason::Items { limit: limits.items });
    }
    Ok(())
}

/// The brackets, commas and colons outside strings: never fewer than the items after the first.
fn structure(json: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' | b',' | b':' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

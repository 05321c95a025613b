//! The keys an external issuer publishes: a JSON web key set (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::{self, KeyKind};
use crate::auth::token::TokenError;
use crate::codec::keys::check_once;

/// The longest document, in bytes.
const LONGEST: usize = 256 * 1024;

/// Keys of one document, at most.
const MOST: usize = 64;

/// The least bits of an RSA modulus (RFC 7518 section 3.3), and the most that are worth the time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Keys that may have signed a token.
#[derive(Clone, Debug)]
pub struct Jwks(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    id: Option<Box<str>>,
    kind: KeyKind,
    /// The only one it is for, if it says so.
    algorithm: Option<Algorithm>,
    public: DecodingKey,
}

/// Why a document is no set of keys. A key is named by its place, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// It is too long. Nothing of it was looked at.
    #[error("the document of keys is longer than {LONGEST} bytes")]
    Length,
    /// It is no JSON object with a list `keys`, or has a key twice in an object.
    #[error("the document of keys is not JSON as RFC 7517 has it")]
    Form,
    /// It has too many keys.
    #[error("the document has more than {MOST} keys")]
    TooMany,
    /// A key lacks a part, or has one of another length than keys of its kind have.
    #[error("the key {at} of the document is not as RFC 7518 has it")]
    Malformed {
        /// Which.
        at: usize,
    },
    /// A key of RSA is so short that others can find out its private half, or so long that it only costs time.
    #[error("the RSA key {at} of the document has {bits} bits and not {} to {}", RSA_BITS.start(), RSA_BITS.end())]
    Bits {
        /// Which.
        at: usize,
        /// How many it has.
        bits: usize,
    },
    /// None of its keys is for signatures this registry knows.
    #[error("the document has no key for signatures of a kind that is known")]
    Nothing,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// The members of RFC 7517 section 4, RFC 7518 section 6 and RFC 8037 section 2. Others say nothing here.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<Box<str>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwks {
    /// Reads a document. Keys for something else than signatures and of kinds that are not known are passed over, as
    /// RFC 7517 section 5 has it; one that is of a known kind and broken is an error, so that somebody sees it.
    pub fn parse(text: &str) -> Result<Self, JwksError> {
        if text.len() > LONGEST {
            return Err(JwksError::Length);
        }
        check_once(text.as_bytes()).map_err(|_| JwksError::Form)?;
        let document: Document = serde_json::from_str(text).map_err(|_| JwksError::Form)?;
        if document.keys.len() > MOST {
            return Err(JwksError::TooMany);
        }
        let mut keys = Vec::new();
        for (at, value) in document.keys.into_iter().enumerate() {
            let jwk = Jwk::deserialize(value).map_err(|_| JwksError::Malformed { at })?;
            keys.extend(jwk.read(at)?);
        }
        if keys.is_empty() { Err(JwksError::Nothing) } else { Ok(Self(keys)) }
    }

    /// The key a token names, or the only one there is for its algorithm if it names none.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&DecodingKey, TokenError> {
        let mut named = self.0.iter().filter(|key| id.is_none() || key.id.as_deref() == id).peekable();
        if named.peek().is_none() {
            return Err(TokenError::UnknownKey);
        }
        let mut fitting = named.filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(&key.public),
            (Some(_), Some(_)) if id.is_none() => Err(TokenError::NoKey),
            (Some(_), Some(_)) => Err(TokenError::AmbiguousKey),
            (None, _) => Err(TokenError::Algorithm),
        }
    }
}

impl Key {
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.kind.fits(algorithm) && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

impl Jwk {
    /// The key, if it is for signatures of a kind that is known.
    fn read(self, at: usize) -> Result<Option<Key>, JwksError> {
        let kind = match (&*self.kty, self.crv.as_deref()) {
            ("RSA", _) => KeyKind::Rsa,
            ("EC", Some("P-256")) => KeyKind::P256,
            ("EC", Some("P-384")) => KeyKind::P384,
            ("OKP", Some("Ed25519")) => KeyKind::Ed25519,
            _ => return Ok(None),
        };
        let algorithm = self.alg.as_deref().map(algorithm::named);
        let is_for_signatures = self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.key_ops.as_ref().is_none_or(|all| all.iter().any(|one| one == "verify"))
            && algorithm != Some(None);
        if !is_for_signatures {
            return Ok(None);
        }
        let public = match kind {
            KeyKind::Rsa => self.rsa(at)?,
            KeyKind::P256 => self.point(at, 32)?,
            KeyKind::P384 => self.point(at, 48)?,
            KeyKind::Ed25519 => DecodingKey::from_ed_der(&part(self.x.as_deref(), at, 32)?),
        };
        Ok(Some(Key { id: self.kid, kind, algorithm: algorithm.flatten(), public }))
    }

    fn rsa(&self, at: usize) -> Result<DecodingKey, JwksError> {
        let number = |text: Option<&str>| {
            let bytes = decoded(text, at)?;
            // Some write a zero in front, as signed numbers need one.
            let first = bytes.iter().position(|byte| *byte != 0).ok_or(JwksError::Malformed { at })?;
            Ok(bytes[first..].to_vec())
        };
        let (n, e) = (number(self.n.as_deref())?, number(self.e.as_deref())?);
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(JwksError::Bits { at, bits });
        }
        Ok(DecodingKey::from_rsa_raw_components(&n, &e))
    }

    /// A point of a curve, not compressed (SEC 1 section 2.3.3).
    fn point(&self, at: usize, len: usize) -> Result<DecodingKey, JwksError> {
        let (x, y) = (part(self.x.as_deref(), at, len)?, part(self.y.as_deref(), at, len)?);
        Ok(DecodingKey::from_ec_der(&[&[0x04], &x[..], &y].concat()))
    }
}

fn part(text: Option<&str>, at: usize, len: usize) -> Result<Vec<u8>, JwksError> {
    decoded(text, at).ok().filter(|bytes| bytes.len() == len).ok_or(JwksError::Malformed { at })
}

fn decoded(text: Option<&str>, at: usize) -> Result<Vec<u8>, JwksError> {
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(JwksError::Malformed { at })
}

#[cfg(test)]
mod tests;

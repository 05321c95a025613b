//! The form of a token: the compact serialization of a signed JSON object (RFC 7515 section 7.1).
//!
//! What a client sent is read in two steps. First the header, which says which key to try and is believed in nothing
//! else: whoever verifies knows the algorithm of each key. Then, behind the signature, the claims.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::{Part, TokenError};
use crate::codec::keys::check_once;
use crate::secret::Secret;

/// What no header may have, whoever signed: a key or the place of one, by which a token would vouch for itself
/// (CVE-2025-24976), and what changes how the rest is read.
const NEVER: [&str; 7] = ["jwk", "jku", "x5u", "x5c", "crit", "zip", "b64"];

/// The last second of the year 9999, the last one RFC 3339 can write.
const LAST: i64 = 253_402_300_799;

/// A token whose signature nobody has looked at.
#[derive(Debug)]
pub(super) struct Unproven<'a> {
    pub(super) header: Header,
    /// Header and claims with the dot between them: what is signed.
    signed: &'a str,
    claims: &'a str,
    signature: &'a str,
}

/// What the header says. None of it is proof of anything.
#[derive(Debug)]
pub(super) struct Header(Map<String, Value>);

/// What a token says.
#[derive(Clone, Debug)]
pub(super) struct ClaimSet(Map<String, Value>);

impl<'a> Unproven<'a> {
    /// Reads a token of at most `longest` bytes as far as its header.
    pub(super) fn read(token: &'a Secret, longest: usize) -> Result<Self, TokenError> {
        let token = token.expose();
        if token.len() > longest {
            return Err(TokenError::Length { longest });
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Form)?;
        if claims.contains('.') {
            return Err(TokenError::Form);
        }
        let header = Header(object(header, Part::Header)?);
        for name in NEVER {
            header.refuse(name)?;
        }
        Ok(Self { header, signed, claims, signature })
    }

    /// Its claims, if a key signed it by an algorithm. Neither may be chosen by the token.
    pub(super) fn verified(&self, key: &DecodingKey, algorithm: Algorithm) -> Result<ClaimSet, TokenError> {
        URL_SAFE_NO_PAD.decode(self.signature).map_err(|_| TokenError::Base64(Part::Signature))?;
        match jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, algorithm) {
            Ok(true) => self.claims(),
            Ok(false) | Err(_) => Err(TokenError::Signature),
        }
    }

    /// What it claims to say, proven by nothing.
    pub(super) fn claims(&self) -> Result<ClaimSet, TokenError> {
        object(self.claims, Part::Claims).map(ClaimSet)
    }
}

impl Header {
    pub(super) fn refuse(&self, name: &'static str) -> Result<(), TokenError> {
        if self.0.contains_key(name) { Err(TokenError::Header { name }) } else { Ok(()) }
    }

    /// Refuses all but what tokens of ours have.
    pub(super) fn refuse_others(&self) -> Result<(), TokenError> {
        let is_known = |name: &String| matches!(&**name, "alg" | "typ" | "kid");
        if self.0.keys().all(is_known) { Ok(()) } else { Err(TokenError::UnknownHeader) }
    }

    pub(super) fn algorithm(&self) -> Result<&str, TokenError> {
        self.0.get("alg").and_then(Value::as_str).ok_or(TokenError::Algorithm)
    }

    /// `typ`, if there is one.
    pub(super) fn kind(&self) -> Result<Option<&str>, TokenError> {
        self.0.get("typ").map(|kind| kind.as_str().ok_or(TokenError::Type)).transpose()
    }

    /// `kid`, if there is one.
    pub(super) fn key(&self) -> Result<Option<&str>, TokenError> {
        self.0.get("kid").map(|key| key.as_str().ok_or(TokenError::UnknownKey)).transpose()
    }
}

impl ClaimSet {
    pub(super) fn get(&self, claim: &str) -> Option<&Value> {
        self.0.get(claim)
    }

    /// The claim at a JSON pointer (RFC 6901).
    pub(super) fn pointer(&self, pointer: &str) -> Option<&Value> {
        let mut parts =
            pointer.strip_prefix('/')?.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
        let first = self.0.get(&parts.next()?)?;
        parts.try_fold(first, |value, part| value.as_object()?.get(&part))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A claim that is a text, and not an empty one.
    pub(super) fn text(&self, claim: &'static str) -> Result<&str, TokenError> {
        let value = self.get(claim).ok_or(TokenError::Missing { claim })?;
        value.as_str().filter(|text| !text.is_empty()).ok_or(TokenError::Malformed { claim })
    }

    /// A claim that is a moment: whole seconds since 1970, up to the year 9999.
    pub(super) fn seconds(&self, claim: &'static str) -> Result<i64, TokenError> {
        let value = self.get(claim).ok_or(TokenError::Missing { claim })?;
        value.as_i64().filter(|at| (0..=LAST).contains(at)).ok_or(TokenError::Malformed { claim })
    }

    /// Whom it is for: one text, or several of which each is one.
    pub(super) fn audiences(&self) -> Result<Vec<&str>, TokenError> {
        let claim = "aud";
        let text = |value: &'_ Value| value.is_string();
        match self.get(claim).ok_or(TokenError::Missing { claim })? {
            Value::String(one) => Ok(vec![one]),
            Value::Array(all) if all.iter().all(text) => Ok(all.iter().filter_map(Value::as_str).collect()),
            _ => Err(TokenError::Malformed { claim }),
        }
    }
}

/// The engine refuses padding and bits to spare that are not zero: every text of a token is the only one for its bytes.
fn object(text: &str, part: Part) -> Result<Map<String, Value>, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Base64(part))?;
    check_once(&*json)
        .map_err(|error| if error.is_data() { TokenError::Twice(part) } else { TokenError::Json(part) })?;
    serde_json::from_slice(&json).map_err(|_| TokenError::Json(part))
}

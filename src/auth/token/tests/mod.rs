//! Tokens that are good, and all the ways not to be.

mod external;
mod forged;
mod form;
mod good;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::*;
use crate::clock::{Micros, SECOND};
use crate::secret::Secret;

/// When all this happens, in seconds since 1970.
const NOW: i64 = 2_000_000_000;

const ISSUER: &str = "https://reg.example";
const SERVICE: &str = "reg.example";

/// Something that stands in every forged token and in no error.
const SENTINEL: &str = "hunter2";

/// A registry with one key.
struct Home {
    keys: Arc<KeyRing>,
    issuer: Issuer,
    verifier: Verifier,
}

impl Home {
    fn new() -> Self {
        Self::with(KeyRing::of(SigningKey::generate()))
    }

    fn with(keys: KeyRing) -> Self {
        let keys = Arc::new(keys);
        let options = Options::new(ISSUER, SERVICE).unwrap();
        let issuer = Issuer::new(options.clone(), Arc::clone(&keys));
        Self { issuer, verifier: Verifier::new(options, Arc::clone(&keys)), keys }
    }

    /// A token signed by its key, whatever it says.
    fn signed(&self, header: &str, claims: &str) -> Secret {
        signed(header, claims, self.keys.signing().private(), Algorithm::EdDSA)
    }

    fn header(&self) -> Value {
        json!({ "alg": "EdDSA", "typ": "artifactstore-access+jwt", "kid": self.keys.signing().public().id() })
    }

    fn access(&self, token: &Secret) -> Result<Claims, TokenError> {
        self.verifier.access(token, NOW * SECOND)
    }
}

/// The claims of a good access token.
fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": SERVICE, "sub": "user:ada", "iat": NOW, "nbf": NOW, "exp": NOW + 900,
        "jti": SENTINEL, "access": [{ "type": "repository", "name": "a/b", "actions": ["pull"] }],
    })
}

fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn signed(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> Secret {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}").into()
}

/// An object with another value of a member, or without it if that is nothing.
fn with(object: &Value, member: &str, value: impl Into<Option<Value>>) -> Value {
    let mut object = object.clone();
    let members = object.as_object_mut().unwrap();
    match value.into() {
        Some(value) => members.insert(member.to_owned(), value),
        None => members.remove(member),
    };
    object
}

/// That nothing of a token is in what is said about it.
fn assert_silent(error: &TokenError) {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(SENTINEL) && !shown.contains("ada"), "{shown}");
}

//! Signed URLs: a right to read one object until a time, which the URL itself proves.
//!
//! The signature is HMAC-SHA-256 over what it grants: reading, the repository, the key, the content the key names, and
//! the time it ends. A URL of one object opens no other, and none after the key got other content. The key it was made
//! with is named beside it, so that [`keys`] can be exchanged while URLs are about.

pub(super) mod keys;

use std::fmt;

use aws_lc_rs::hmac;

use crate::clock::{Micros, SECOND};
use crate::oci::{Digest, RepositoryName};
use crate::package::PackagePath;
use crate::secret::Secret;

/// What a URL carries to prove that the registry made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// When it ends, seconds since the epoch.
    pub expires: i64,
    /// The key it was made with.
    pub key_id: String,
    /// The proof, in hexadecimal digits.
    pub proof: String,
}

/// What a signature grants: reading, of this content under this key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant<'a> {
    pub(super) repository: &'a RepositoryName,
    pub(super) key: &'a PackagePath,
    pub(super) content: &'a Digest,
}

/// What signs.
#[derive(Clone, Debug)]
pub(super) struct SigningKey {
    id: String,
    secret: Secret,
}

impl Signature {
    /// When it ends.
    pub fn expires_at(&self) -> Micros {
        self.expires.saturating_mul(SECOND)
    }
}

impl Grant<'_> {
    /// Lines: no part can hold the end of one, so no two grants read alike. Whoever may GET may also HEAD.
    fn message(&self, expires: i64) -> String {
        let Self { repository, key, content } = self;
        format!("artifactstore url v1\nGET\n{repository}\n{key}\n{content}\n{expires}\n")
    }
}

impl SigningKey {
    /// Signs a grant that ends at a time in whole seconds.
    pub(super) fn sign(&self, grant: &Grant<'_>, expires: i64) -> Signature {
        let tag = hmac::sign(&self.mac(), grant.message(expires).as_bytes());
        Signature { expires, key_id: self.id.clone(), proof: Hex(tag.as_ref()).to_string() }
    }

    /// Whether a signature is one of this key over this grant. Says nothing about the time. Takes the same time
    /// wherever the difference is.
    pub(super) fn verifies(&self, grant: &Grant<'_>, signature: &Signature) -> bool {
        let Some(proof) = unhex(&signature.proof) else { return false };
        let message = grant.message(signature.expires);
        hmac::verify(&self.mac(), message.as_bytes(), &proof).is_ok()
    }

    fn mac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.secret.expose().as_bytes())
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The bytes of a SHA-256 in lower-case digits: there is one spelling of a signature.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;
    use crate::oci::Algorithm;

    fn key(secret: &str) -> SigningKey {
        SigningKey { id: "k".to_owned(), secret: secret.into() }
    }

    #[test]
    fn a_signature_is_the_hmac_of_the_documented_message() {
        let content = hash::digest(Algorithm::Blake3, b"");
        let (repository, name) = ("a/b".parse().unwrap(), "c/d e".parse().unwrap());
        let grant = Grant { repository: &repository, key: &name, content: &content };
        let signature = key("secret").sign(&grant, 1_700_000_000);
        // printf 'artifactstore url v1\nGET\na/b\nc/d e\nblake3:af13…\n1700000000\n' | openssl dgst -sha256 -hmac secret
        assert_eq!(signature.proof, "023c24b6932c96af46dca2c4b137035ff4d710d8507b66d2ff9343ba327e20ba");
        assert!(key("secret").verifies(&grant, &signature));
        assert_eq!(signature.expires_at(), 1_700_000_000 * SECOND);
    }

    #[test]
    fn a_signature_grants_one_thing_and_nothing_like_it() {
        let (a, b) = (hash::digest(Algorithm::Blake3, b"a"), hash::digest(Algorithm::Blake3, b"b"));
        let repositories: [RepositoryName; 2] = ["r".parse().unwrap(), "r/k".parse().unwrap()];
        let names: [PackagePath; 2] = ["k/x".parse().unwrap(), "x".parse().unwrap()];
        let grant = Grant { repository: &repositories[0], key: &names[0], content: &a };
        let signature = key("s").sign(&grant, 100);
        assert!(key("s").verifies(&grant, &signature));
        assert!(!key("t").verifies(&grant, &signature));
        for other in [
            Grant { repository: &repositories[1], ..grant },
            Grant { key: &names[1], ..grant },
            Grant { content: &b, ..grant },
            Grant { repository: &repositories[1], key: &names[1], ..grant },
        ] {
            assert!(!key("s").verifies(&other, &signature), "{other:?}");
        }
        let mut flipped = signature.proof.clone();
        let last = flipped.pop().unwrap();
        flipped.push(if last == '0' { '1' } else { '0' });
        let proofs = [
            flipped,
            signature.proof.to_uppercase(),
            signature.proof[..62].to_owned(),
            format!("{}00", signature.proof),
            String::new(),
            "é".repeat(32),
        ];
        for proof in proofs.into_iter().filter(|proof| *proof != signature.proof) {
            assert!(
                !key("s").verifies(&grant, &Signature { proof: proof.clone(), ..signature.clone() }),
                "{proof}"
            );
        }
        for expires in [99, 101, -100, i64::MAX] {
            assert!(!key("s").verifies(&grant, &Signature { expires, ..signature.clone() }), "{expires}");
        }
    }

    #[test]
    fn a_key_does_not_show_its_secret() {
        assert!(!format!("{:?}", key("hunter2")).contains("hunter2"));
    }
}

//! The keys of the registry's own tokens: Ed25519 (RFC 8032, RFC 8037).

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use sha2::{Digest as _, Sha256};

use super::key_file::LABEL;
use crate::secret::Secret;

/// Base64 of one line of a PEM block, in characters (RFC 7468 section 2).
const LINE: usize = 64;

/// A key that signs.
pub struct SigningKey {
    private: EncodingKey,
    public: VerifyingKey,
}

/// The public half of a key: it tells whether the other half signed.
#[derive(Clone)]
pub struct VerifyingKey {
    id: Box<str>,
    x: Box<str>,
    key: DecodingKey,
}

impl SigningKey {
    /// A new one, of the random numbers of the operating system.
    #[must_use]
    pub fn generate() -> Self {
        Self::of(&Ed25519KeyPair::generate().expect("the operating system gives random bytes"))
    }

    /// The key in a PKCS#8 document (RFC 5958, RFC 8410); nothing if that is something else.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_pkcs8(der).ok().map(|pair| Self::of(&pair))
    }

    /// As one PEM block of PKCS#8 version 1, which is what OpenSSL reads and writes.
    pub fn to_pem(&self) -> Secret {
        let base64 = STANDARD.encode(self.private.as_bytes());
        let mut pem = format!("-----BEGIN {LABEL}-----\n");
        let mut rest = base64.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        (pem + "-----END " + LABEL + "-----\n").into()
    }

    /// Its public half.
    pub fn public(&self) -> &VerifyingKey {
        &self.public
    }

    pub(super) fn private(&self) -> &EncodingKey {
        &self.private
    }

    fn of(pair: &Ed25519KeyPair) -> Self {
        let pkcs8 = pair.to_pkcs8v1().expect("a key that was made can be written");
        let public = VerifyingKey::of(pair.public_key().as_ref());
        Self { private: EncodingKey::from_ed_der(pkcs8.as_ref()), public }
    }
}

impl VerifyingKey {
    /// What names it in tokens and in the document of keys, `kid`: its thumbprint (RFC 7638, RFC 8037 appendix A.3), the
    /// same wherever and whenever the key is read.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The coordinate `x` of a JSON web key (RFC 8037 section 2).
    pub(super) fn x(&self) -> &str {
        &self.x
    }

    pub(super) fn key(&self) -> &DecodingKey {
        &self.key
    }

    fn of(public: &[u8]) -> Self {
        let x = URL_SAFE_NO_PAD.encode(public);
        // RFC 7638 section 3.2: the required members alone, in the order of their names, without spaces.
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(members));
        Self { id: id.into(), x: x.into(), key: DecodingKey::from_ed_der(public) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.id)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 8037 appendix A.1 and A.2.
    const D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn of_the_rfc() -> SigningKey {
        let prefix = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        let pkcs8 = [&prefix[..], &URL_SAFE_NO_PAD.decode(D).unwrap()].concat();
        SigningKey::from_pkcs8(&pkcs8).unwrap()
    }

    #[test]
    fn the_thumbprint_is_the_one_of_the_rfc() {
        let key = of_the_rfc();
        assert_eq!(key.public().x(), X);
        assert_eq!(key.public().id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    /// RFC 8037 appendix A.4.
    #[test]
    fn the_signature_is_the_one_of_the_rfc() {
        let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let algorithm = jsonwebtoken::Algorithm::EdDSA;
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), of_the_rfc().private(), algorithm).unwrap();
        assert_eq!(
            signature,
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn two_keys_are_two_and_neither_is_printed() {
        let (one, other) = (SigningKey::generate(), SigningKey::generate());
        assert_ne!(one.public().id(), other.public().id());
        let body = one.to_pem().expose().lines().nth(1).unwrap().to_owned();
        let shown = format!("{one:?} {:?} {}", one.public(), one.to_pem());
        assert!(!shown.contains(&body) && shown.contains(one.public().id()), "{shown}");
    }
}

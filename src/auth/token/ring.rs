//! The keys in use: one signs, the others are still believed.
//!
//! To change the key, put the new one in front of the old one. What the old one signed stays good for as long as it
//! lasts; when the longest token is over the old key can go.

use serde::Serialize;

use super::{KeyError, KeyFile, SigningKey, VerifyingKey};

/// Keys of one ring, at most.
const MOST: usize = 16;

/// One key that signs, and before all others verifies; behind it those that verify only.
#[derive(Debug)]
pub struct KeyRing {
    signing: SigningKey,
    older: Vec<VerifyingKey>,
}

impl KeyRing {
    /// With one key.
    pub fn of(signing: SigningKey) -> Self {
        Self { signing, older: Vec::new() }
    }

    /// All keys of some files: the first of the first one signs. Of the others nothing but the public half is kept.
    pub fn read(first: KeyFile<'_>, others: &[KeyFile<'_>]) -> Result<Self, KeyError> {
        let mut keys = first.keys()?.into_iter();
        let (_, signing) = keys.next().expect("a file of keys has at least one");
        let mut ring = Self::of(signing);
        ring.append(first, keys)?;
        for file in others {
            ring.append(*file, file.keys()?)?;
        }
        Ok(ring)
    }

    fn append(
        &mut self,
        file: KeyFile<'_>,
        keys: impl IntoIterator<Item = (usize, SigningKey)>,
    ) -> Result<(), KeyError> {
        for (line, key) in keys {
            if self.verifying(key.public().id()).is_some() {
                return Err(file.error(line, "this key is there twice"));
            }
            if self.keys().count() == MOST {
                return Err(file.error(line, "there are at most 16 keys"));
            }
            self.older.push(key.public().clone());
        }
        Ok(())
    }

    /// The one that signs.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The one with an id.
    pub fn verifying(&self, id: &str) -> Option<&VerifyingKey> {
        self.keys().find(|key| key.id() == id)
    }

    /// The public halves as a JSON web key set (RFC 7517 section 5), in the order of the ring.
    pub fn jwks(&self) -> String {
        let jwk = |key| Jwk::of(key);
        serde_json::to_string(&Set { keys: self.keys().map(jwk).collect() }).expect("texts are JSON")
    }

    fn keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        std::iter::once(self.signing.public()).chain(&self.older)
    }
}

#[derive(Serialize)]
struct Set<'a> {
    keys: Vec<Jwk<'a>>,
}

/// RFC 8037 section 2.
#[derive(Serialize)]
struct Jwk<'a> {
    kty: &'static str,
    crv: &'static str,
    x: &'a str,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: &'a str,
}

impl<'a> Jwk<'a> {
    fn of(key: &'a VerifyingKey) -> Self {
        Self { kty: "OKP", crv: "Ed25519", x: key.x(), usage: "sig", alg: "EdDSA", kid: key.id() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn file(keys: &[&SigningKey]) -> Secret {
        keys.iter().map(|key| key.to_pem().expose().to_owned()).collect::<String>().into()
    }

    fn ids(ring: &KeyRing) -> Vec<&str> {
        ring.keys().map(VerifyingKey::id).collect()
    }

    #[test]
    fn the_first_key_of_the_first_file_signs_and_all_are_believed_in_their_order() {
        let keys: Vec<SigningKey> = (0..3).map(|_| SigningKey::generate()).collect();
        let (front, behind) = (file(&[&keys[2], &keys[0]]), file(&[&keys[1]]));
        let front = KeyFile { path: "new", text: &front };
        let ring = KeyRing::read(front, &[KeyFile { path: "old", text: &behind }]).unwrap();
        assert_eq!(ring.signing().public().id(), keys[2].public().id());
        assert_eq!(ids(&ring), [2, 0, 1].map(|at: usize| keys[at].public().id()));
        for key in &keys {
            assert_eq!(ring.verifying(key.public().id()).unwrap().x(), key.public().x());
        }
        assert!(ring.verifying("other").is_none());
        let document: serde_json::Value = serde_json::from_str(&ring.jwks()).unwrap();
        let expected = [2, 0, 1].map(|at: usize| {
            let key = keys[at].public();
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "x": key.x(), "kid": key.id(),
            })
        });
        assert_eq!(document, serde_json::json!({ "keys": expected }));
    }

    #[test]
    fn a_key_stands_in_a_ring_once_and_a_ring_ends() {
        let key = SigningKey::generate();
        let (once, twice) = (file(&[&key]), file(&[&key, &key]));
        let refused = KeyRing::read(KeyFile { path: "a", text: &twice }, &[]).unwrap_err();
        assert_eq!(refused.to_string(), "a:4: this key is there twice");
        let file_a = KeyFile { path: "a", text: &once };
        let refused = KeyRing::read(file_a, &[KeyFile { path: "b", text: &once }]).unwrap_err();
        assert_eq!(refused.to_string(), "b:1: this key is there twice");
        let others: Vec<SigningKey> = (0..MOST).map(|_| SigningKey::generate()).collect();
        let most = file(&others.iter().collect::<Vec<_>>());
        let full = KeyFile { path: "full", text: &most };
        assert_eq!(ids(&KeyRing::read(full, &[]).unwrap()).len(), MOST);
        assert_eq!(KeyRing::read(full, &[file_a]).unwrap_err().to_string(), "a:1: there are at most 16 keys");
    }
}

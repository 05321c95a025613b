//! The algorithms an external issuer may sign by (RFC 7518 section 3.1, RFC 8037), and the keys they need.
//!
//! Asymmetric ones only: with a shared secret whoever can verify can sign, and a published key taken for such a secret
//! would let everybody sign (RFC 8725 section 2.1).

use jsonwebtoken::Algorithm;

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

const ALL: [(&str, Algorithm, KeyKind); 9] = [
    ("RS256", Algorithm::RS256, KeyKind::Rsa),
    ("RS384", Algorithm::RS384, KeyKind::Rsa),
    ("RS512", Algorithm::RS512, KeyKind::Rsa),
    ("PS256", Algorithm::PS256, KeyKind::Rsa),
    ("PS384", Algorithm::PS384, KeyKind::Rsa),
    ("PS512", Algorithm::PS512, KeyKind::Rsa),
    ("ES256", Algorithm::ES256, KeyKind::P256),
    ("ES384", Algorithm::ES384, KeyKind::P384),
    ("EdDSA", Algorithm::EdDSA, KeyKind::Ed25519),
];

/// The one of a name, letter by letter.
pub(super) fn named(name: &str) -> Option<Algorithm> {
    ALL.iter().find(|(it, ..)| *it == name).map(|(_, algorithm, _)| *algorithm)
}

impl KeyKind {
    /// Whether a key of this kind signs by an algorithm.
    pub(super) fn fits(self, algorithm: Algorithm) -> bool {
        ALL.iter().any(|(_, it, kind)| *it == algorithm && *kind == self)
    }
}

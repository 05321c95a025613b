//! The algorithm registry: one streaming hasher per [`Algorithm`] (CAS-2).
//!
//! SHA-256 and SHA-512 come from aws-lc-rs, which has the fastest code both with and without SHA
//! instructions; BLAKE3 from its reference crate. Tests check each against an independent implementation.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256, SHA512};

use crate::oci::{Algorithm, Digest};

/// A digest in the making. Cloning forks the state.
#[derive(Clone)]
pub struct Hasher {
    algorithm: Algorithm,
    state: State,
}

#[derive(Clone)]
enum State {
    Sha2(Context),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// An empty hash of the given algorithm.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha2(Context::new(&SHA256)),
            Algorithm::Sha512 => State::Sha2(Context::new(&SHA512)),
            Algorithm::Blake3 => State::Blake3(Box::default()),
        };
        Self { algorithm, state }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha2(context) => context.update(bytes),
            State::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    /// The digest of everything added.
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha2(context) => Digest::from_bytes(self.algorithm, context.finish().as_ref()),
            State::Blake3(hasher) => Digest::from_bytes(self.algorithm, hasher.finalize().as_bytes()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.algorithm)
    }
}

/// The digest of `bytes`.
pub fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

/// SHA-256 over the concatenation of `parts`, as raw bytes.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("SHA-256 is 32 bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::Digest as _;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat()
    }

    proptest! {
        #[test]
        fn sha2_agrees_with_an_independent_implementation(bytes: Vec<u8>, cut: prop::sample::Index) {
            let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
            for (algorithm, expected) in [
                (Algorithm::Sha256, hex(&sha2::Sha256::digest(&bytes))),
                (Algorithm::Sha512, hex(&sha2::Sha512::digest(&bytes))),
            ] {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(head);
                hasher.update(tail);
                let digest = hasher.finish();
                prop_assert_eq!(digest.hex(), expected);
            }
            let digest = digest(Algorithm::Sha256, &bytes);
            prop_assert_eq!(hex(&sha256(&[head, tail])), digest.hex());
        }
    }

    #[test]
    fn blake3_gives_the_published_vectors() {
        // From the BLAKE3 paper's test_vectors.json: input bytes are i % 251.
        let input: Vec<u8> = (0..1024_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
        for (len, expected) in [
            (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
            (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
            (1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"),
        ] {
            assert_eq!(digest(Algorithm::Blake3, &input[..len]).hex(), expected, "{len} bytes");
        }
    }
}

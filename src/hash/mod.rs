//! The algorithm registry: one streaming hasher per [`Algorithm`] (CAS-2).
//!
//! SHA-256 and SHA-512 come from aws-lc-rs, which has the fastest code both with and without SHA
//! instructions; BLAKE3 from its reference crate. Tests check each against an independent implementation.
//! Hashers whose state has to outlive the process are [`Hasher::resumable`].

mod resumable;
mod subtrees;

#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256, SHA512};

use self::resumable::Resumable;
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
    Resumable(Box<Resumable>),
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

    /// The same, with a state that can be [exported](Self::export).
    pub fn resumable(algorithm: Algorithm) -> Self {
        Self { algorithm, state: State::Resumable(Box::new(Resumable::new(algorithm))) }
    }

    /// Which digest it makes.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The state after everything added, for [`import`](Self::import): at most 19 KiB. `None` unless the hasher
    /// is a resumable one.
    pub fn export(&self) -> Option<Vec<u8>> {
        match &self.state {
            State::Resumable(hasher) => Some(hasher.export()),
            State::Sha2(_) | State::Blake3(_) => None,
        }
    }

    /// The resumable hasher that was exported, in this process or another. `None` when the state is of another
    /// version of this program, or none of this algorithm.
    pub fn import(algorithm: Algorithm, state: &[u8]) -> Option<Self> {
        let hasher = Resumable::import(algorithm, state)?;
        Some(Self { algorithm, state: State::Resumable(Box::new(hasher)) })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha2(context) => context.update(bytes),
            State::Blake3(hasher) => {
                hasher.update(bytes);
            }
            State::Resumable(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of everything added.
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha2(context) => Digest::from_bytes(self.algorithm, context.finish().as_ref()),
            State::Blake3(hasher) => Digest::from_bytes(self.algorithm, hasher.finalize().as_bytes()),
            State::Resumable(hasher) => hasher.finish(),
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

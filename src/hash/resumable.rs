//! Hashers whose state can be written down and read by another process.
//!
//! Storage that cannot be read back while it is being written needs them: the state of a hash travels with
//! the upload session instead. They are a little slower than the others and used nowhere else.

use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha512};

use super::subtrees::Subtrees;
use crate::oci::{Algorithm, Digest};

/// Grows whenever the layout of any state changes, also by an update of a crate; a test holds the bytes of one
/// state of each algorithm.
const VERSION: u8 = 1;

/// A digest in the making, exportable at any offset.
#[derive(Clone)]
pub(super) enum Resumable {
    Sha256(Sha256),
    Sha512(Sha512),
    Blake3(Subtrees),
}

impl Resumable {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
            Algorithm::Blake3 => Self::Blake3(Subtrees::default()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Blake3(subtrees) => subtrees.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest::from_bytes(Algorithm::Sha256, &hasher.finalize()),
            Self::Sha512(hasher) => Digest::from_bytes(Algorithm::Sha512, &hasher.finalize()),
            Self::Blake3(subtrees) => Digest::from_bytes(Algorithm::Blake3, subtrees.finish().as_bytes()),
        }
    }

    /// The version and the state.
    pub(super) fn export(&self) -> Vec<u8> {
        let state = match self {
            Self::Sha256(hasher) => hasher.serialize().to_vec(),
            Self::Sha512(hasher) => hasher.serialize().to_vec(),
            Self::Blake3(subtrees) => subtrees.export(),
        };
        [&[VERSION], state.as_slice()].concat()
    }

    /// The hash whose state this is; `None` when it is of another version or of none.
    pub(super) fn import(algorithm: Algorithm, state: &[u8]) -> Option<Self> {
        let (&VERSION, state) = state.split_first()? else { return None };
        Some(match algorithm {
            Algorithm::Sha256 => Self::Sha256(sha2(state)?),
            Algorithm::Sha512 => Self::Sha512(sha2(state)?),
            Algorithm::Blake3 => Self::Blake3(Subtrees::import(state)?),
        })
    }
}

fn sha2<T: SerializableState>(state: &[u8]) -> Option<T> {
    T::deserialize(&SerializedState::<T>::try_from(state).ok()?).ok()
}

//! One pass, several digests.

use bytes::Bytes;
use tokio::task::spawn_blocking;

use crate::hash::Hasher;
use crate::oci::{Algorithm, Digest};

/// Below this many bytes hashing inline is cheaper than handing it to another thread.
const INLINE: usize = 32 * 1024;

/// SHA-256 and BLAKE3 over one stream, and a third algorithm when the client asked for it (CAS-2).
///
/// Each large chunk is hashed by one blocking thread per algorithm, side by side: SHA-256, the slow one on
/// machines without SHA instructions, never waits for the others' work or holds up an async thread.
#[derive(Clone, Debug)]
pub struct Digester {
    hashers: Vec<Hasher>,
}

impl Digester {
    /// An empty digester.
    pub fn new(extra: Option<Algorithm>) -> Self {
        let mut algorithms = vec![Algorithm::Sha256, Algorithm::Blake3];
        algorithms.extend(extra.filter(|extra| !algorithms.contains(extra)));
        Self { hashers: algorithms.into_iter().map(Hasher::new).collect() }
    }

    /// Adds the buffers in order. Cancelling leaves the digester unusable.
    pub async fn update(&mut self, chunk: &[Bytes]) {
        if chunk.iter().map(Bytes::len).sum::<usize>() <= INLINE {
            for hasher in &mut self.hashers {
                for bytes in chunk {
                    hasher.update(bytes);
                }
            }
            return;
        }
        let lanes: Vec<_> = self.hashers.drain(..).map(|hasher| (hasher, chunk.to_vec())).collect();
        let lanes = lanes.into_iter().map(|(mut hasher, chunk)| {
            spawn_blocking(move || {
                for bytes in &chunk {
                    hasher.update(bytes);
                }
                hasher
            })
        });
        for lane in lanes.collect::<Vec<_>>() {
            self.hashers.push(lane.await.expect("hashing does not panic"));
        }
    }

    /// The digests: SHA-256, BLAKE3, and the third if there is one.
    pub fn finish(self) -> Digests {
        Digests(self.hashers.into_iter().map(Hasher::finish).collect())
    }
}

/// The digests of one content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests(Vec<Digest>);

impl Digests {
    /// The digest of one algorithm, if it was computed.
    pub fn get(&self, algorithm: Algorithm) -> Option<&Digest> {
        self.0.iter().find(|digest| digest.algorithm() == algorithm)
    }

    /// The content address.
    pub fn content(&self) -> &Digest {
        self.get(Algorithm::Blake3).expect("every digester runs BLAKE3")
    }

    /// Adds a digest computed elsewhere over the same bytes.
    pub(super) fn add(&mut self, digest: Digest) {
        self.0.push(digest);
    }

    /// All of them.
    pub fn all(&self) -> &[Digest] {
        &self.0
    }
}

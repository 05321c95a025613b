//! One pass, several digests.

use bytes::Bytes;
use tokio::task::spawn_blocking;

use crate::hash::Hasher;
use crate::oci::{Algorithm, Digest};

/// Below this many bytes hashing inline is cheaper than handing it to another thread.
pub(super) const INLINE: usize = 32 * 1024;

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
        Self { hashers: algorithms(extra).map(Hasher::new).collect() }
    }

    /// An empty digester whose state can be exported.
    pub(super) fn resumable(extra: Option<Algorithm>) -> Self {
        Self { hashers: algorithms(extra).map(Hasher::resumable).collect() }
    }

    /// A digester that goes on with these; `None` unless the two that every digester runs are among them.
    pub(super) fn from_hashers(hashers: Vec<Hasher>) -> Option<Self> {
        let runs = |wanted| hashers.iter().any(|hasher| hasher.algorithm() == wanted);
        (runs(Algorithm::Sha256) && runs(Algorithm::Blake3)).then_some(Self { hashers })
    }

    /// The states, of the algorithms that have one.
    pub(super) fn export(&self) -> Vec<(Algorithm, Vec<u8>)> {
        let state = |hasher: &Hasher| Some((hasher.algorithm(), hasher.export()?));
        self.hashers.iter().filter_map(state).collect()
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

fn algorithms(extra: Option<Algorithm>) -> impl Iterator<Item = Algorithm> {
    let always = [Algorithm::Sha256, Algorithm::Blake3];
    always.into_iter().chain(extra.filter(|extra| !always.contains(extra)))
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

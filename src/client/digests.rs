//! The digests of many files, on a few threads.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::Progress;
use crate::hash::Hasher;
use crate::oci::{Algorithm, Digest};

/// Threads at most; each holds one buffer.
const THREADS: usize = 4;

/// Bytes read at a time.
const BUFFER: usize = 1 << 20;

/// What a file is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) size: u64,
    pub(super) content_address: Digest,
    pub(super) sha256: Digest,
}

/// Both digests while bytes go by.
pub(super) struct Digesting {
    size: u64,
    blake3: Hasher,
    sha256: Hasher,
}

impl Digesting {
    pub(super) fn new() -> Self {
        let (blake3, sha256) = (Hasher::new(Algorithm::Blake3), Hasher::new(Algorithm::Sha256));
        Self { size: 0, blake3, sha256 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.blake3.update(bytes);
        self.sha256.update(bytes);
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn finish(self) -> Digests {
        let Self { size, blake3, sha256 } = self;
        Digests { size, content_address: blake3.finish(), sha256: sha256.finish() }
    }
}

/// The digests of the files, in their order; each may fail by itself.
pub(super) async fn of_files(files: Vec<PathBuf>, progress: &Arc<Progress>) -> Vec<io::Result<Digests>> {
    let progress = Arc::clone(progress);
    let work = tokio::task::spawn_blocking(move || of_all(&files, &progress));
    work.await.expect("hashing does not panic")
}

fn of_all(files: &[PathBuf], progress: &Progress) -> Vec<io::Result<Digests>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(2, THREADS);
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(files.len()) {
            let (next, done) = (&next, done.clone());
            scope.spawn(move || {
                let mut buffer = vec![0; BUFFER];
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(at) else { break };
                    let digests = of_file(file, &mut buffer, progress);
                    progress.add_file();
                    done.send((at, digests)).expect("results are received to the end");
                }
            });
        }
        drop(done);
        let mut digests: Vec<_> = files.iter().map(|_| None).collect();
        for (at, result) in results {
            digests[at] = Some(result);
        }
        digests.into_iter().map(|result| result.expect("every file was taken by a thread")).collect()
    })
}

fn of_file(path: &Path, buffer: &mut [u8], progress: &Progress) -> io::Result<Digests> {
    let mut file = File::open(path)?;
    let mut digesting = Digesting::new();
    loop {
        let count = match file.read(buffer) {
            Ok(0) => return Ok(digesting.finish()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digesting.update(&buffer[..count]);
        progress.add_bytes(count as u64);
    }
}

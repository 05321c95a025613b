//! How far a transfer is, for whoever shows it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking for files.
    Looking,
    /// Reading files and computing their digests.
    Hashing,
    /// Sending what the server lacks.
    Uploading,
    /// Receiving files.
    Downloading,
}

const PHASES: [Phase; 4] = [Phase::Looking, Phase::Hashing, Phase::Uploading, Phase::Downloading];

/// Counters that whoever works sets, and whoever watches reads. The numbers are those of the phase.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    files: AtomicU64,
    all_files: AtomicU64,
    bytes: AtomicU64,
    all_bytes: AtomicU64,
}

impl Progress {
    pub(super) fn begin(&self, phase: Phase, files: u64, bytes: u64) {
        self.files.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.all_files.store(files, Ordering::Relaxed);
        self.all_bytes.store(bytes, Ordering::Relaxed);
        let at = PHASES.iter().position(|other| *other == phase).unwrap_or_default();
        self.phase.store(u8::try_from(at).unwrap_or_default(), Ordering::Relaxed);
    }

    pub(super) fn add_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What is being done.
    pub fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Ordering::Relaxed)) % PHASES.len()]
    }

    /// Files done, and in all.
    pub fn files(&self) -> (u64, u64) {
        (self.files.load(Ordering::Relaxed), self.all_files.load(Ordering::Relaxed))
    }

    /// Bytes done, and in all. What had to be sent twice counts twice.
    pub fn bytes(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.all_bytes.load(Ordering::Relaxed))
    }
}

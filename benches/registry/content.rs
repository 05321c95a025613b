//! Bytes to push: incompressible, and different every time.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA256};

pub(super) const MIB: usize = 1024 * 1024;
pub(super) const GIB: usize = 1024 * MIB;

/// Bytes that no compressor and no deduplication can shorten.
pub(super) fn random(length: usize) -> Vec<u8> {
    let mut state = unique();
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A number never handed out before, in this run or another.
pub(super) fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let start = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    (start << 24) + NEXT.fetch_add(1, Ordering::Relaxed)
}

/// `sha256:…` of the concatenated parts, on this thread.
pub(super) fn digest(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut digest = String::from("sha256:");
    for byte in context.finish().as_ref() {
        write!(digest, "{byte:02x}").expect("a string takes everything");
    }
    digest
}

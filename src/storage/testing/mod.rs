//! What a storage backend is tested with.
//!
//! [`contract()`] checks every promise of [`Backend`](super::Backend) against an implementation ([`contract_of()`]
//! one that promises less), and every
//! implementation runs it, bare and inside [`Faulty`]. [`Faulty`] makes a backend fail the way disks and
//! networks do, for the tests of everything above the backend; it never sleeps. Part of the library, so
//! that a backend in another crate can run them too.

mod contract;
mod faults;
mod faulty;
mod staged;
mod suspended;
mod unreadable;

pub use self::contract::{Traits, contract, contract_of};
pub use self::faults::{Cause, Ending, Fault, Faults, Hold, Op};
pub use self::faulty::Faulty;
pub use self::unreadable::Unreadable;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::{ByteStream, Error, Key, MAX_FRAME, StagingId};

/// Reads a body to its end, checking that its frames are neither empty nor too large.
pub async fn collect(mut body: ByteStream) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.next().await {
        let frame = frame?;
        assert!(!frame.is_empty(), "frames are never empty");
        assert!(frame.len() <= MAX_FRAME, "a frame has at most {MAX_FRAME} bytes, not {}", frame.len());
        bytes.extend_from_slice(&frame);
    }
    Ok(bytes)
}

/// Bytes that differ between offsets, so that a body put together in the wrong order is noticed.
pub fn pattern(len: usize) -> Bytes {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        // xorshift32: no short cycle and no dependency.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..len).map(next).collect::<Vec<_>>().into()
}

fn key(text: &str) -> Key {
    text.parse().expect("a literal key")
}

fn staging(text: &str) -> StagingId {
    text.parse().expect("a literal staging id")
}

//! Memory for answers that are made as a whole out of what is stored: registry manifests, and pages of packages, of
//! their files and of events. OCI manifests do not use it.
//!
//! To make an answer takes several times its size, for milliseconds; to send it takes as long as its client reads. So
//! the two have budgets of their own: first comes the place to send from, then that to make in, which is free again
//! once the body exists. Nobody who waits for a client keeps others from making. Small answers have a lane to
//! themselves and never wait behind large ones. Who reads slowly while others wait is cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::body::StreamError;
use super::error::Error;

/// What large answers take while they are made. One that needs more has all of it.
const MAKING: usize = 64 * 1024 * 1024;

/// Large answers on their way to clients. One that needs more has all of it.
const LARGE: usize = 48 * 1024 * 1024;

/// Small answers on their way, and what those take that are small while they are made as well.
const SMALL: usize = 16 * 1024 * 1024;

/// A small answer, in bytes.
const SMALL_ANSWER: usize = 1024 * 1024;

/// What is given away at once.
const PLACE: usize = 16 * 1024;

/// What stored canonical CBOR grows to while its JSON is made: rows, a tree, and the text.
pub(super) const PROJECTED: usize = 8;

/// How long an answer waits for its place.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is handed to a connection at a time, in bytes.
const FRAME: usize = 64 * 1024;

/// Bytes a second below which an answer is too slow.
const RATE: u64 = 64 * 1024;

/// For so long an answer may be slower while others wait, and while nobody does.
const GRACE: Duration = Duration::from_secs(10);
const LONG_GRACE: Duration = Duration::from_secs(30);

/// The memory there is. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Room {
    making: Arc<Semaphore>,
    small: Lane,
    large: Lane,
    patience: Duration,
}

/// A budget for sending, and how many wait for it.
#[derive(Clone, Debug)]
struct Lane {
    size: usize,
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// The memory of one answer.
#[derive(Debug)]
pub(super) struct Taken {
    making: Option<OwnedSemaphorePermit>,
    sending: OwnedSemaphorePermit,
    lane: Lane,
}

/// An answer on its way. It ends early when its client reads too slowly.
pub(super) struct Sending {
    left: Bytes,
    pace: Pace,
    lane: Lane,
}

/// How an answer gets on.
#[derive(Debug)]
struct Pace {
    begun: Option<Instant>,
    size: u64,
}

/// Bytes on their way, and their memory.
struct Held {
    bytes: Vec<u8>,
    _sending: OwnedSemaphorePermit,
}

impl Default for Room {
    fn default() -> Self {
        let making = Arc::new(Semaphore::new(MAKING / PLACE));
        Self { making, small: Lane::new(SMALL), large: Lane::new(LARGE), patience: PATIENCE }
    }
}

impl Room {
    /// Waits for the memory of an answer that takes `making` bytes while it is made and has about `body` bytes;
    /// [`Error::Crowded`] when it did not come free in time.
    pub(super) async fn take(&self, making: usize, body: usize) -> Result<Taken, Error> {
        let taken = tokio::time::timeout(self.patience, self.wait(making, body)).await;
        taken.ok().flatten().ok_or(Error::Crowded)
    }

    /// The same for a part of a stream, which waits as long as it takes. Meanwhile it should hold nothing.
    pub(super) async fn wait(&self, making: usize, body: usize) -> Option<Taken> {
        let lane = if body <= SMALL_ANSWER { &self.small } else { &self.large };
        let (making, body) =
            if making.max(body) <= SMALL_ANSWER { (0, making.max(body)) } else { (making, body) };
        let sending = lane.take(body).await.ok()?;
        let making = match places(making, MAKING) {
            0 => None,
            places => Some(Arc::clone(&self.making).acquire_many_owned(places).await.ok()?),
        };
        Some(Taken { making, sending, lane: lane.clone() })
    }
}

impl Lane {
    fn new(size: usize) -> Self {
        Self { size, places: Arc::new(Semaphore::new(size / PLACE)), waiting: Arc::default() }
    }

    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, AcquireError> {
        let _waiting = Waiting::new(&self.waiting);
        Arc::clone(&self.places).acquire_many_owned(places(bytes, self.size)).await
    }

    fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// Counted until dropped: whoever waits may be gone before its turn.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Taken {
    /// The body of an answer. What was for making it is given back at once, and what it does not need for being sent.
    pub(super) fn hold(mut self, mut bytes: Vec<u8>) -> Sending {
        bytes.shrink_to_fit();
        drop(self.making.take());
        let needed = places(bytes.len(), LARGE) as usize;
        let spare = self.sending.num_permits().saturating_sub(needed);
        drop(self.sending.split(spare));
        let pace = Pace { begun: None, size: bytes.len() as u64 };
        let left = Bytes::from_owner(Held { bytes, _sending: self.sending });
        Sending { left, pace, lane: self.lane }
    }
}

impl Sending {
    /// Bytes that were not handed over yet.
    pub(super) fn left(&self) -> u64 {
        self.left.len() as u64
    }

    /// The next bytes; an error when what went before took too long.
    pub(super) fn next(&mut self) -> Option<Result<Bytes, StreamError>> {
        if self.left.is_empty() {
            return None;
        }
        if self.pace.is_too_slow(Instant::now(), self.left(), self.lane.is_waited_for()) {
            tracing::debug!("An answer of {} bytes was read too slowly and ended", self.pace.size);
            self.left = Bytes::new();
            return Some(Err("the answer was read too slowly".into()));
        }
        Some(Ok(self.left.split_to(FRAME.min(self.left.len()))))
    }
}

impl Pace {
    fn is_too_slow(&mut self, now: Instant, left: u64, others_wait: bool) -> bool {
        let elapsed = now - *self.begun.get_or_insert(now);
        let time = |bytes: u64| Duration::from_secs(bytes / RATE);
        let is_behind = others_wait && elapsed > GRACE + time(self.size - left);
        is_behind || elapsed > LONG_GRACE + time(self.size)
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The places of so many bytes, and no more than there are.
fn places(bytes: usize, all: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PLACE).min(all / PLACE)).expect("no more than there are")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn impatient() -> Room {
        Room { patience: Duration::from_millis(20), ..Room::default() }
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_keeps_its_memory_and_no_more() {
        let room = impatient();
        let whole = room.take(usize::MAX, usize::MAX).await.unwrap();
        assert!(matches!(room.take(2 * MIB, 2 * MIB).await, Err(Error::Crowded)));
        let unread = whole.hold(vec![0; 3 * MIB]);
        let rest = room.take(MAKING, LARGE - 3 * MIB).await.unwrap();
        assert!(matches!(room.take(MAKING, 2 * MIB).await, Err(Error::Crowded)));
        assert_eq!(unread.left(), 3 * MIB as u64);
        drop((unread, rest));
        room.take(MAKING, LARGE).await.unwrap();
    }

    #[tokio::test]
    async fn a_slow_reader_and_one_that_asked_for_all_the_room_stalled_every_small_answer() {
        let room = Room::default();
        let _slow = room.take(8 * MIB, 8 * MIB).await.unwrap().hold(vec![0; 8 * MIB]);
        let mut all = Box::pin(room.take(usize::MAX, usize::MAX));
        assert!(futures_util::poll!(&mut all).is_pending());
        let small = Box::pin(room.take(MIB, MIB));
        assert!(matches!(futures_util::poll!(small), std::task::Poll::Ready(Ok(_))));
        // A page is small though it takes more while it is made, which the one that waits for its reader has not.
        let page = Box::pin(room.take(16 * MIB, MIB));
        assert!(matches!(futures_util::poll!(page), std::task::Poll::Ready(Ok(_))));
    }

    #[tokio::test]
    async fn what_an_answer_took_while_it_was_made_was_kept_until_it_was_sent() {
        let room = impatient();
        let _unread = room.take(MAKING, 2 * MIB).await.unwrap().hold(vec![0; 2 * MIB]);
        room.take(MAKING, 2 * MIB).await.unwrap();
    }

    #[test]
    fn a_slow_reader_kept_its_answer_for_as_long_as_it_liked() {
        let begun = Instant::now();
        let size = 10 * MIB as u64;
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut pace = Pace { begun: Some(begun), size };
        // 12 KB/s.
        let left = |seconds: u64| size - 12_000 * seconds;
        assert!(!pace.is_too_slow(at(10), left(10), true));
        assert!(pace.is_too_slow(at(20), left(20), true));
        assert!(!pace.is_too_slow(at(180), left(180), false));
        assert!(pace.is_too_slow(at(200), left(200), false));
        // 1 MB/s.
        assert!(!pace.is_too_slow(at(10), size - 10_000_000, true));
    }

    #[tokio::test]
    async fn an_answer_arrives_whole_and_those_who_wait_are_counted() {
        let room = Room::default();
        let bytes: Vec<u8> = (0..=250).cycle().take(2 * MIB + 5).collect();
        let mut sending = room.take(LARGE, LARGE).await.unwrap().hold(bytes.clone());
        let mut waiting = Box::pin(room.take(LARGE, LARGE));
        assert!(futures_util::poll!(&mut waiting).is_pending() && room.large.is_waited_for());
        drop(waiting);
        assert!(!room.large.is_waited_for());
        let mut arrived = Vec::new();
        while let Some(frame) = sending.next() {
            arrived.extend_from_slice(&frame.unwrap());
        }
        assert_eq!(arrived, bytes);
    }
}

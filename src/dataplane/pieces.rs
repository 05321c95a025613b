//! A body cut into pieces that can be hashed, and written past the page cache, as they are.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Body, ClientError};

/// Bytes gathered from the network before they are hashed and written as one piece. Two pieces are in
/// memory at a time: one being received, one being worked on.
const PIECE: usize = 512 * 1024;

/// A piece while many bodies arrive at once: slower, but thousands of slow clients fit into memory.
const SMALL: usize = 32 * 1024;

/// Whole pieces in memory at once, over all bodies: 96 MiB. What arrives beyond comes in small ones.
static BUDGET: Semaphore = Semaphore::const_new(192);

/// Where pieces begin in memory: what direct I/O asks for on every usual device.
const ALIGNMENT: usize = 4096;

/// Cuts a body into pieces of exactly [`PIECE`] bytes (or [`SMALL`] ones while memory is short) and a last one
/// that may be shorter.
///
/// The bytes are copied out of the network's frames: the connection uses its buffer again instead of
/// mapping a new one, and many tiny frames cost no more memory than few large ones.
pub(super) struct Pieces<'a> {
    body: &'a mut Body,
    /// What of the last frame belongs to the next piece.
    rest: Bytes,
    stock: Arc<Stock>,
}

/// What was received in one go.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// `None` when there is more; how the body ended otherwise.
    pub(super) end: Option<Result<(), ClientError>>,
}

impl<'a> Pieces<'a> {
    pub(super) fn of(body: &'a mut Body) -> Self {
        Self { body, rest: Bytes::new(), stock: Arc::default() }
    }

    /// The next piece. A body that is one frame stays that frame. Cancelling loses what was received.
    pub(super) async fn next(&mut self) -> Piece {
        if self.rest.is_empty()
            && let Some(end) = self.receive().await
        {
            return Piece { bytes: Bytes::new(), end: Some(end) };
        }
        let mut first = std::mem::take(&mut self.rest);
        if first.len() < PIECE
            && let Some(end) = self.receive().await
        {
            return Piece { bytes: first, end: Some(end) };
        }
        let mut buffer = Buffer::from(Arc::clone(&self.stock));
        buffer.fill(&mut first);
        if !first.is_empty() {
            self.rest = first;
        }
        let end = loop {
            buffer.fill(&mut self.rest);
            if buffer.is_full() {
                break None;
            }
            if let Some(end) = self.receive().await {
                break Some(end);
            }
        };
        Piece { bytes: Bytes::from_owner(buffer), end }
    }

    /// Waits for a frame with something in it. Returns how the body ended if none came.
    async fn receive(&mut self) -> Option<Result<(), ClientError>> {
        loop {
            match self.body.next().await {
                Some(Ok(frame)) if frame.is_empty() => {}
                Some(Ok(frame)) => {
                    self.rest = frame;
                    return None;
                }
                Some(Err(error)) => return Some(Err(error)),
                None => return Some(Ok(())),
            }
        }
    }
}

/// Buffers of one body, used again.
struct Stock {
    free: Mutex<Vec<Whole>>,
    budget: &'static Semaphore,
}

/// The memory of a whole piece, and the right to have it.
type Whole = (Vec<u8>, SemaphorePermit<'static>);

impl Default for Stock {
    fn default() -> Self {
        Self { free: Mutex::default(), budget: &BUDGET }
    }
}

/// A piece being filled. Its memory goes back to the stock when the last part of it is dropped.
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    size: usize,
    permit: Option<SemaphorePermit<'static>>,
    stock: Arc<Stock>,
}

impl Buffer {
    fn from(stock: Arc<Stock>) -> Self {
        let recycled = stock.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let whole = recycled.or_else(|| {
            let permit = stock.budget.try_acquire().ok()?;
            Some((Vec::with_capacity(PIECE + ALIGNMENT), permit))
        });
        let (mut bytes, size, permit) = match whole {
            Some((bytes, permit)) => (bytes, PIECE, Some(permit)),
            None => (Vec::with_capacity(SMALL + ALIGNMENT), SMALL, None),
        };
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        bytes.resize(start, 0);
        Self { bytes, start, size, permit, stock }
    }

    fn is_full(&self) -> bool {
        self.bytes.len() == self.start + self.size
    }

    /// Takes what fits.
    fn fill(&mut self, from: &mut Bytes) {
        let room = self.start + self.size - self.bytes.len();
        self.bytes.extend_from_slice(&from.split_to(room.min(from.len())));
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            self.stock.free.lock().unwrap_or_else(PoisonError::into_inner).push((bytes, permit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn cut(frames: Vec<Vec<u8>>) -> Vec<Bytes> {
        let mut body: Body = Box::pin(futures_util::stream::iter(frames.into_iter().map(|f| Ok(f.into()))));
        let mut pieces = Pieces::of(&mut body);
        let mut cut = Vec::new();
        loop {
            let piece = pieces.next().await;
            cut.push(piece.bytes);
            if let Some(end) = piece.end {
                end.unwrap();
                return cut;
            }
        }
    }

    #[tokio::test]
    async fn pieces_are_whole_and_aligned_however_the_frames_fall() {
        let content: Vec<u8> = (0..3 * PIECE + 100).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect();
        for frame in [1000, PIECE, PIECE + 1, 2 * PIECE + 7, content.len()] {
            let cut = cut(content.chunks(frame).map(<[u8]>::to_vec).collect()).await;
            assert_eq!(cut.concat(), content, "frames of {frame}");
            assert_eq!(cut.len(), 4, "frames of {frame}");
            for piece in &cut[..3] {
                assert_eq!((piece.len(), piece.as_ptr().align_offset(ALIGNMENT)), (PIECE, 0));
            }
        }
    }

    #[tokio::test]
    async fn a_body_of_one_frame_is_not_copied() {
        let frame = vec![7; 1000];
        let address = frame.as_ptr();
        let cut = cut(vec![frame]).await;
        assert_eq!((cut.len(), cut[0].as_ptr()), (1, address));
    }

    #[tokio::test]
    async fn an_empty_body_is_an_empty_piece() {
        assert_eq!(cut(vec![vec![], vec![]]).await, [Bytes::new()]);
    }

    #[tokio::test]
    async fn pieces_are_small_when_memory_is_short() {
        static TWO: Semaphore = Semaphore::const_new(2);
        let stock = Arc::new(Stock { free: Mutex::default(), budget: &TWO });
        let buffers: Vec<_> = (0..4).map(|_| Buffer::from(Arc::clone(&stock))).collect();
        assert_eq!(
            buffers.iter().map(|buffer| buffer.size).collect::<Vec<_>>(),
            [PIECE, PIECE, SMALL, SMALL]
        );
        drop(buffers);
        assert_eq!(Buffer::from(Arc::clone(&stock)).size, PIECE, "whole pieces are used again");
        drop(stock);
        assert_eq!(TWO.available_permits(), 2, "and given back with their body");
    }

    #[tokio::test]
    async fn memory_is_used_again() {
        let stock = Arc::<Stock>::default();
        let buffer = Buffer::from(Arc::clone(&stock));
        let address = buffer.bytes.as_ptr();
        drop(Bytes::from_owner(buffer));
        assert_eq!(Buffer::from(stock).bytes.as_ptr(), address);
    }
}

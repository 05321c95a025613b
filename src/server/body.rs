//! Bodies in and out.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::room::Sending;
use crate::registry::{Body, ClientError};

/// The error type of outgoing streams; it only ends the connection, where it was logged already.
pub(super) type StreamError = Box<dyn std::error::Error + Send + Sync>;

/// A stream on its way out.
pub(super) type OutStream = Pin<Box<dyn Stream<Item = Result<Bytes, StreamError>> + Send>>;

/// A response body. Its exact length is known unless it is [open](Self::Open).
pub(super) enum ResponseBody {
    Empty,
    Full(Bytes),
    /// One that has a place in the memory for answers.
    Held(Sending),
    Stream {
        frames: OutStream,
        left: u64,
    },
    /// One that ends when it ends.
    Open(OutStream),
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Held(sending) => Poll::Ready(sending.next().map(|frame| frame.map(Frame::data))),
            Self::Stream { frames, left } => match frames.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(bytes))) => {
                    *left = left.saturating_sub(bytes.len() as u64);
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            },
            Self::Open(frames) => frames.poll_next_unpin(cx).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Held(sending) => sending.left() == 0,
            Self::Stream { left, .. } => *left == 0,
            Self::Open(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Empty => 0,
            Self::Full(bytes) => bytes.len() as u64,
            Self::Held(sending) => sending.left(),
            Self::Stream { left, .. } => *left,
            Self::Open(_) => return SizeHint::default(),
        })
    }
}

/// After an early refusal this much more of a body is read, so that a client that keeps sending gets to
/// read the answer and not a reset.
const DRAIN: u64 = 64 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// A request body as the registry takes it: data frames, and an error when the connection breaks or the
/// client stands still for too long. A body ends only when its last chunk arrived; a cut connection is
/// never taken for an end.
///
/// Whoever drops it before its end need not care about the rest: it is read on, within limits, beside the
/// answer. A client that waits for "100 Continue" has sent nothing and is not asked to when the body was
/// never looked at.
pub(super) fn incoming(body: Incoming, waits_for_continue: bool, idle: Duration) -> Body {
    let is_done = body.is_end_stream();
    Box::pin(Request { frames: frames(body, idle), is_done, is_wanted: !waits_for_continue })
}

struct Request {
    frames: Body,
    is_done: bool,
    /// Whether the client sends it, by itself or because it was asked for.
    is_wanted: bool,
}

impl Stream for Request {
    type Item = Result<Bytes, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.is_wanted = true;
        let polled = self.frames.poll_next_unpin(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.is_done = true;
        }
        polled
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.is_done || !self.is_wanted {
            return;
        }
        let mut rest = std::mem::replace(&mut self.frames, Box::pin(futures_util::stream::empty()));
        // Outside a runtime the process is about to end.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        drop(runtime.spawn(tokio::time::timeout(DRAIN_TIME, async move {
            let mut read = 0;
            while let Some(Ok(bytes)) = rest.next().await {
                read += bytes.len() as u64;
                if read > DRAIN {
                    break;
                }
            }
        })));
    }
}

fn frames(body: Incoming, idle: Duration) -> Body {
    let frames = futures_util::stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        loop {
            match tokio::time::timeout(idle, body.frame()).await {
                Err(_) => {
                    return Some((Err(ClientError(format!("nothing came for {} s", idle.as_secs()))), None));
                }
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some((Err(ClientError(error.to_string())), None)),
                Ok(Some(Ok(frame))) => {
                    // Trailers carry nothing for us.
                    if let Ok(bytes) = frame.into_data() {
                        return Some((Ok(bytes), Some(body)));
                    }
                }
            }
        }
    });
    Box::pin(frames)
}

/// Why a body could not be collected.
pub(super) enum Collected<'a> {
    /// The body, and its memory's place in the budget.
    Whole(Bytes, Option<SemaphorePermit<'a>>),
    TooLarge,
    /// There was no memory for it in time.
    Crowded,
    Broken(ClientError),
}

/// Bodies up to this size are collected without asking.
const SMALL: usize = 64 * 1024;

/// Memory for larger bodies that are being collected, whoever sends them. Small ones never wait for it.
#[derive(Debug)]
pub(super) struct Budget {
    places: Semaphore,
    patience: Duration,
}

impl Budget {
    /// A budget of so many bytes, for which a body waits no longer than `patience`.
    pub(super) fn new(bytes: usize, patience: Duration) -> Self {
        Self { places: Semaphore::new(bytes / SMALL), patience }
    }

    /// Waits for the memory of one body; `None` when it did not come free in time.
    async fn take(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let places = u32::try_from(bytes.div_ceil(SMALL)).ok()?;
        tokio::time::timeout(self.patience, self.places.acquire_many(places)).await.ok()?.ok()
    }
}

/// Collects a body of at most `limit` bytes; refuses a longer one as soon as it is known to be longer.
pub(super) async fn collect(
    mut body: Body,
    declared: Option<u64>,
    limit: usize,
    budget: &Budget,
) -> Collected<'_> {
    if declared.is_some_and(|declared| declared > limit as u64) {
        return Collected::TooLarge;
    }
    let mut first = Bytes::new();
    let mut rest: Vec<u8> = Vec::new();
    let expected = declared.and_then(|declared| usize::try_from(declared).ok()).unwrap_or(limit);
    let mut reserved = None;
    while let Some(bytes) = body.next().await {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => return Collected::Broken(error),
        };
        if first.len() + rest.len() + bytes.len() > limit {
            return Collected::TooLarge;
        }
        if reserved.is_none() && first.len() + rest.len() + bytes.len() > SMALL {
            reserved = budget.take(expected).await;
            if reserved.is_none() {
                return Collected::Crowded;
            }
        }
        if first.is_empty() {
            first = bytes;
        } else {
            rest.extend_from_slice(&bytes);
        }
    }
    if rest.is_empty() {
        return Collected::Whole(first, reserved);
    }
    let mut whole = Vec::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.append(&mut rest);
    Collected::Whole(whole.into(), reserved)
}

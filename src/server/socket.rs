//! A connection's socket. It stops reading when nothing more may come: a client that asks for nothing
//! within the header time, and, once the server stops, a client that is between two requests.
//!
//! It is above encryption: the end it makes is an end in order, which encryption then says to the client as well.
//! Below, the same end would be a line that was cut.
//!
//! hyper limits the time of a head only after it knows the protocol, and lets a head that has begun take
//! that time even while the server stops; one client that sends half a head would hold up a restart.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::body::{ResponseBody, StreamError};

/// Counts the requests of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

/// A request from its head to the end of its answer.
#[derive(Debug)]
pub(super) struct UnderWay(Requests);

impl Requests {
    pub(super) fn begin(&self) -> UnderWay {
        self.0.begun.fetch_add(1, Ordering::AcqRel);
        UnderWay(self.clone())
    }

    fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::Acquire) > 0
    }

    fn is_between(&self) -> bool {
        self.0.ended.load(Ordering::Acquire) == self.0.begun.load(Ordering::Acquire)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::AcqRel);
    }
}

pub(super) struct Socket<S> {
    stream: S,
    requests: Requests,
    /// Until the first request.
    opening: Option<Pin<Box<Sleep>>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Socket<S> {
    /// Until `deadline` the first request must have come.
    pub(super) fn new(stream: S, requests: Requests, deadline: Instant, stop: &CancellationToken) -> Self {
        let opening = Some(Box::pin(tokio::time::sleep_until(deadline)));
        let stop = Box::pin(stop.clone().cancelled_owned());
        Self { stream, requests, opening, stop }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.requests.is_between() && self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(())); // nothing was filled in: the end
        }
        if self.requests.has_begun() {
            self.opening = None;
        }
        if let Some(opening) = &mut self.opening
            && opening.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// An answer's body; its request is under way until it was handed over.
pub(super) struct Counted {
    body: ResponseBody,
    _under_way: UnderWay,
}

impl Counted {
    pub(super) fn new(body: ResponseBody, under_way: UnderWay) -> Self {
        Self { body, _under_way: under_way }
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

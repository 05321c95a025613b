//! A stream of events: events as they come, bookmarks in between, and an end that says where to go on.
//!
//! A stream is pulled. Nothing is read for a client that takes nothing, and what it has not taken is a small page, shared
//! with everybody else where it comes from memory, or one large event, which has a place in the memory for large answers.
//! Who reads that too slowly while others wait for theirs is cut off. While nothing happens that a stream is for, it is a
//! timer and a place in a list of those who are woken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::frame::{Frames, Framing, Place, Reason};
use super::{need, shape};
use crate::registry::{self, EventLimit, Feed, Record};
use crate::server::body::{OutStream, StreamError};
use crate::server::error::{self, Error};
use crate::server::room::{Room, Sending, Taken};

/// What is read at once. A large event has a page to itself.
const PAGE: EventLimit = EventLimit { events: 256, bytes: shape::SMALL };

/// What is handed to the connection at a time, in bytes, unless an event is longer.
const FRAME: usize = 64 * 1024;

/// Events that are passed over without a word, at most.
const SILENT: i64 = 1000;

/// A client that follows the log.
pub(super) struct Stream {
    pub(super) feed: Feed,
    pub(super) frames: Frames,
    /// Events that may still go.
    pub(super) left: usize,
    /// How long to wait at the end of the log; as long as it lasts when nobody says.
    pub(super) patience: Option<Duration>,
    pub(super) lasts: Duration,
    pub(super) bookmark: Duration,
    pub(super) room: Room,
    pub(super) stopping: CancellationToken,
    /// Its place among all streams.
    pub(super) _slot: OwnedSemaphorePermit,
}

impl Stream {
    /// The stream, which begins after where the feed is; `head` is the end of the log.
    pub(super) fn into_body(self, head: i64) -> OutStream {
        let (now, at) = (Instant::now(), self.feed.after());
        let going = Going {
            ends_at: now + around(self.lasts),
            bookmark_at: now + self.bookmark,
            gives_up_at: None,
            page: Vec::new().into_iter(),
            place: Place { scanned_to: at, head },
            at,
            told: at,
            wanted: None,
            granted: None,
            sending: None,
            phase: Phase::Beginning,
            stream: self,
        };
        // In a box: what the stream is made of would otherwise be moved with every step, and be there twice.
        Box::pin(futures_util::stream::unfold(Box::new(going), |mut going| async move {
            going.next().await.map(|next| (next, going))
        }))
    }
}

struct Going {
    stream: Stream,
    ends_at: Instant,
    bookmark_at: Instant,
    /// Once the end of the log was reached and waiting is limited.
    gives_up_at: Option<Instant>,
    /// What was read and has not gone yet.
    page: std::vec::IntoIter<Arc<Record>>,
    /// Where that ends.
    place: Place,
    /// Everything up to here has gone, or does not match.
    at: i64,
    /// The last number the client was told.
    told: i64,
    /// The payload of a large event that is next, in bytes, for which there has to be room.
    wanted: Option<usize>,
    /// The room for it.
    granted: Option<(usize, Taken)>,
    /// A large event on its way.
    sending: Option<Sending>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Beginning,
    Going,
    Ended,
}

impl Going {
    /// What goes out next; `None` behind the end.
    async fn next(&mut self) -> Option<Result<Bytes, StreamError>> {
        match self.phase {
            Phase::Beginning => {
                self.phase = Phase::Going;
                return Some(Ok(self.stream.frames.begin(self.place)));
            }
            Phase::Ended => return None,
            Phase::Going => {}
        }
        if let Some(piece) = self.piece() {
            return Some(piece);
        }
        let next = self.frame().await;
        let next = next.unwrap_or_else(|end| Some(self.end(end)));
        next.map_or_else(|| self.piece(), |bytes| Some(Ok(bytes)))
    }

    /// The next piece of a large event on its way. One that is read too slowly breaks off.
    fn piece(&mut self) -> Option<Result<Bytes, StreamError>> {
        let piece = self.sending.as_mut()?.next();
        match &piece {
            Some(Ok(_)) => {}
            Some(Err(_)) => (self.phase, self.sending) = (Phase::Ended, None),
            None => self.sending = None,
        }
        piece
    }

    /// What goes out next; nothing where that is a large event, which goes out in pieces.
    async fn frame(&mut self) -> Result<Option<Bytes>, End> {
        loop {
            self.check()?;
            let bytes = self.batch().await?;
            if self.sending.is_some() {
                return Ok(None);
            }
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
            if let Some(size) = self.wanted.take() {
                self.granted = self.room(size).await.map(|room| (size, room));
                // The next page has the event again.
            }
            if self.at - self.told >= SILENT || Instant::now() >= self.bookmark_at {
                return Ok(Some(self.bookmark()));
            }
            // In a box: the statements in it would make every stream that waits as large as one that reads.
            let limit = EventLimit { events: PAGE.events.min(self.stream.left), ..PAGE };
            let page = Box::pin(self.stream.feed.page(limit)).await?;
            self.place = Place { scanned_to: page.scanned_to, head: page.head.max(page.scanned_to) };
            let is_last = page.is_last();
            if !page.records.is_empty() {
                self.page = page.records.into_iter();
                self.gives_up_at = None;
                continue;
            }
            self.at = page.scanned_to;
            if is_last && self.at - self.told < SILENT {
                self.wait().await?;
            }
        }
    }

    /// Whether it goes on.
    fn check(&self) -> Result<(), End> {
        let reason = if self.stream.stopping.is_cancelled() {
            Reason::Shutdown
        } else if self.stream.left == 0 {
            Reason::Limit
        } else if Instant::now() >= self.ends_at {
            Reason::Time
        } else {
            return Ok(());
        };
        Err(End::Ordinary(reason))
    }

    /// Events of the page, as many as go at once; nothing when it is through.
    async fn batch(&mut self) -> Result<Bytes, End> {
        let mut out = Vec::new();
        while out.len() < FRAME && self.stream.left > 0 {
            let Some(record) = self.page.next() else {
                self.at = self.at.max(self.place.scanned_to);
                break;
            };
            // It may have been read a while ago.
            if !self.stream.feed.sees(&record) {
                continue;
            }
            let is_large = record.payload.len() > shape::SMALL;
            if is_large && out.is_empty() {
                self.large(&record).await?;
                break;
            }
            let shown = if is_large { None } else { Some(self.shown(&record).await) };
            match shown {
                Some(Ok(shown)) => self.stream.frames.event(&mut out, &record, &shown),
                Some(Err(error)) if out.is_empty() => return Err(End::Failed(error)),
                // What is before it goes first; the event is met again.
                Some(Err(_)) | None => {
                    self.go_back();
                    break;
                }
            }
            self.gone(&record);
        }
        Ok(out.into())
    }

    /// Has a large event go out next if there is room for it; else that is wanted, and the event is met again.
    async fn large(&mut self, record: &Arc<Record>) -> Result<(), End> {
        let size = record.payload.len();
        let granted = self.granted.take().filter(|(granted, _)| *granted >= size);
        let Some((_, room)) = granted else {
            // Who waits holds nothing.
            self.wanted = Some(size);
            self.go_back();
            return Ok(());
        };
        let shown = self.shown(record).await.map_err(End::Failed)?;
        let mut out = Vec::new();
        self.stream.frames.event(&mut out, record, &shown);
        self.sending = Some(room.hold(out));
        self.gone(record);
        Ok(())
    }

    /// What of an event is text; nothing where its bytes go out as they are stored.
    async fn shown(&self, record: &Arc<Record>) -> Result<Bytes, Error> {
        match self.stream.frames.framing {
            Framing::Cbor => Ok(Bytes::new()),
            Framing::Ndjson | Framing::Sse => shape::shown(record).await,
        }
    }

    fn gone(&mut self, record: &Record) {
        self.granted = None;
        self.stream.left -= 1;
        (self.at, self.told) = (record.sequence, record.sequence);
    }

    /// Whatever did not go is read again.
    fn go_back(&mut self) {
        self.page = Vec::new().into_iter();
        self.place.scanned_to = self.at;
        self.stream.feed.back_to(self.at);
    }

    /// Waits for room for an event. There is no hurry, but the stream may end meanwhile.
    async fn room(&self, size: usize) -> Option<Taken> {
        let (making, body) = need((1, size));
        tokio::select! {
            room = self.stream.room.wait(making, body) => room,
            () = tokio::time::sleep_until(self.ends_at) => None,
            () = self.stream.stopping.cancelled() => None,
        }
    }

    fn bookmark(&mut self) -> Bytes {
        self.told = self.at;
        self.bookmark_at = Instant::now() + self.stream.bookmark;
        self.stream.frames.bookmark(Place { scanned_to: self.at, head: self.place.head.max(self.at) })
    }

    /// Waits at the end of the log for more, or for something else to do.
    async fn wait(&mut self) -> Result<(), End> {
        let mut until = self.ends_at.min(self.bookmark_at);
        if let Some(patience) = self.stream.patience {
            let gives_up_at = *self.gives_up_at.get_or_insert_with(|| Instant::now() + patience);
            if Instant::now() >= gives_up_at {
                return Err(End::Ordinary(Reason::Head));
            }
            until = until.min(gives_up_at);
        }
        tokio::select! {
            waited = self.stream.feed.wait() => waited?,
            () = tokio::time::sleep_until(until) => {}
            () = self.stream.stopping.cancelled() => {}
        }
        Ok(())
    }

    fn end(&mut self, end: End) -> Bytes {
        self.phase = Phase::Ended;
        self.page = Vec::new().into_iter();
        let (reason, request) = match end {
            End::Ordinary(reason) => (reason, None),
            End::Failed(error) => (Reason::Error, Some(error::failed_midway(&error))),
        };
        self.stream.frames.end(reason, self.at, request.as_deref())
    }
}

/// Why there is nothing more.
enum End {
    Ordinary(Reason),
    Failed(Error),
}

impl From<registry::Error> for End {
    fn from(error: registry::Error) -> Self {
        match error {
            registry::Error::Stopping => Self::Ordinary(Reason::Shutdown),
            error => Self::Failed(error.into()),
        }
    }
}

/// A tenth more or less, so that the clients of a server that was restarted do not come back together for ever.
fn around(time: Duration) -> Duration {
    let mut byte = [0];
    getrandom::fill(&mut byte).expect("the operating system gives random bytes");
    time * 9 / 10 + time * u32::from(byte[0]) / (5 * 255)
}

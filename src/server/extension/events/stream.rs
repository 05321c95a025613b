//! A stream of events: events as they come, bookmarks in between, and an end that says where to go on.
//!
//! A stream is pulled. Nothing is read for a client that takes nothing, and what it has not taken is a page at most,
//! shared with everybody else where it comes from memory. While nothing happens a stream is a timer and a place in a
//! list of those who are woken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::frame::{Frames, Framing, Place, Reason};
use super::shape;
use crate::registry::{self, EventLimit, Feed, Record};
use crate::server::body::OutStream;
use crate::server::error::{self, Error};
use crate::server::room::{PROJECTED, Room};

/// What is read at once. With so many events of the usual size it is not much, and with large ones less than a list has.
const PAGE: EventLimit = EventLimit { events: 256, bytes: 256 * 1024 };

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
            phase: Phase::Beginning,
            stream: self,
        };
        // In a box: what the stream is made of would otherwise be moved with every step, and be there twice.
        Box::pin(futures_util::stream::unfold(Box::new(going), |mut going| async move {
            going.next().await.map(|bytes| (Ok(bytes), going))
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
    async fn next(&mut self) -> Option<Bytes> {
        match self.phase {
            Phase::Beginning => {
                self.phase = Phase::Going;
                return Some(self.stream.frames.begin(self.place));
            }
            Phase::Ended => return None,
            Phase::Going => {}
        }
        let next = self.frame().await;
        Some(next.unwrap_or_else(|end| self.end(end)))
    }

    async fn frame(&mut self) -> Result<Bytes, End> {
        loop {
            self.check()?;
            let bytes = self.batch().await?;
            if !bytes.is_empty() {
                return Ok(bytes);
            }
            if self.at - self.told >= SILENT || Instant::now() >= self.bookmark_at {
                return Ok(self.bookmark());
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
            let shown = match self.shown(&record).await {
                Ok(shown) => shown,
                Err(error) if out.is_empty() => return Err(End::Failed(error)),
                // What is before it goes first; the event is met again.
                Err(_) => {
                    self.place.scanned_to = self.at;
                    self.page = Vec::new().into_iter();
                    break;
                }
            };
            self.stream.frames.event(&mut out, &record, &shown);
            self.stream.left -= 1;
            (self.at, self.told) = (record.sequence, record.sequence);
        }
        Ok(out.into())
    }

    async fn shown(&self, record: &Arc<Record>) -> Result<Bytes, Error> {
        if self.stream.frames.framing == Framing::Cbor {
            return Ok(Bytes::new());
        }
        let is_large = record.payload.len() > shape::SMALL && !shape::is_shown(record);
        let _making =
            if is_large { self.stream.room.make(record.payload.len() * PROJECTED).await } else { None };
        shape::shown(record).await
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

//! Following the log of a registry, and proof that nothing of it was missed.
//!
//! The reference consumer: whatever is told of the log, here or over HTTP, goes through one [`Checker`] before anybody
//! sees it. Sequence numbers have no gaps, so an event that is lost, repeated or out of order is found at once, and so
//! is a log that was set back or is another one by the time a broken connection is made again. A place in the log is a
//! [`Cursor`], which a [`cursor::File`] keeps.
//!
//! ```text
//! Reader (Remote: pages or a stream over HTTP; a database of this machine)
//!   └─> Tail: identify, read, again when the connection breaks ─> Checker ─> the events, in order, each once
//! ```
//!
//! | file | what |
//! |---|---|
//! | `follow` | [`Tail`]: reads on and on, and begins again where it was |
//! | `check` | [`Checker`]: pure, every rule of the proof |
//! | [`mod@cursor`] | [`Cursor`] and the file that keeps it |
//! | `frame`, `lines` | what is told, and where its lines end |
//! | `remote` | [`Remote`]: over HTTP |

mod check;
pub mod cursor;
mod follow;
mod frame;
mod lines;
mod remote;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use check::{Checker, Fault};
pub use cursor::{Cursor, Filter, Seen};
pub use follow::{Options, Start, Tail};
pub use frame::{Event, Format, Frame};
pub use remote::Remote;

/// Bytes of one event, or one page of events, at most: a payload of 16 MiB of which every byte is escaped in JSON, and
/// room for its envelope. Longer is refused, so that no server fills the memory.
pub const MAX_EVENT: usize = 100 << 20;

/// Who answers, and where its log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The log.
    pub log_id: String,
    /// Grows when the log was restored from an older copy.
    pub epoch: i64,
    /// Its newest event.
    pub head: i64,
    /// The first event the filter lets through behind the place that was asked for, if there is one.
    pub next: Option<Seen>,
}

/// What a log said at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Which log, where that is told with every answer.
    pub log: Option<(String, i64)>,
    /// Events and how far the log was looked through, in the order they were told.
    pub frames: Vec<Frame>,
    /// Whether nothing more comes before it is read again.
    pub is_over: bool,
}

/// Where a log is read from.
pub trait Reader: Send {
    /// Who answers, and what comes first behind the event `since`, or behind all there is without. What was open before
    /// is closed.
    fn identify(&mut self, since: Option<i64>) -> impl Future<Output = Result<Identity, Error>> + Send;

    /// What comes next behind the event `since` of that log; a reader that follows waits until there is something. Every
    /// event the filter lets through is told, each behind those before it.
    ///
    /// Cancelled, it loses nothing.
    fn read(&mut self, since: i64, log: &Identity) -> impl Future<Output = Result<Batch, Error>> + Send;
}

/// Why a log cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was told cannot all be true, or the log is not the one that was read before.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It may do better later, at the earliest `after` that time.
    #[error("{source}")]
    Passing {
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// How long to wait, when that was said.
        after: Option<Duration>,
    },
    /// It will not.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

//! Reading the log on and on: what every consumer of it is built on.
//!
//! A consumer has a place in the log, the number of the last event it has seen, and asks for what comes after it.
//! Nothing about a consumer is kept here: one that is slow, or gone, costs nothing, and the appender never waits for
//! any. The newest events are in a [ring](Ring) in memory, so that those who follow the end of the log, however many,
//! cost no statement, and a [scout](Scout) wakes only whom an event is for; whoever is further behind reads pages from
//! the database.
//!
//! - **Nothing is skipped.** A [page](Page) says how far it has looked; what lies before that and is not on it does not
//!   match the filter. Sequence numbers have no gaps, so a consumer can check that itself.
//! - **As stored.** A [`Record`] has the bytes of the event; its payload is not decoded, so that an event which only a
//!   newer program understands is handed on like any other.

mod cloud;
mod filter;
mod json;
mod lookout;
mod record;
mod ring;
mod scan;
mod unopened;

use std::sync::Arc;

pub use cloud::cloud_event;
pub use filter::{Filter, TypePattern, TypePatternError};
pub use json::{json, leaf_hash};
pub use lookout::Scout;
pub(super) use lookout::{Lookout, look_out};
pub use record::Record;
pub(super) use ring::Ring;
pub(super) use scan::{STATEMENTS, horizon, scan};
pub use unopened::read;

use super::{Head, Sequence};

/// Events that are looked at for one page, at most.
pub const SCANNED: usize = 4096;

/// What a page may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Events, at least one.
    pub events: usize,
    /// Bytes of payload, unless it has a single event.
    pub bytes: usize,
}

impl Limit {
    /// Bytes of payload of a page where nobody wants fewer.
    pub const BYTES: usize = 4 << 20;

    /// Whether a page that has so much already is full, when an event comes that makes it so many bytes.
    fn is_reached(self, events: usize, bytes: usize) -> bool {
        events >= self.events.max(1) || (bytes > self.bytes && events > 0)
    }
}

/// So many events.
impl From<usize> for Limit {
    fn from(events: usize) -> Self {
        Self { events, bytes: Self::BYTES }
    }
}

/// Events of the log, and how far it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What matches, in order.
    pub records: Vec<Arc<Record>>,
    /// Every matching event up to this number is on the page, or was before where it begins.
    pub scanned_to: Sequence,
    /// Where the log ends, as far as this process knows.
    pub head: Sequence,
}

impl Page {
    /// A page on which there is nothing more to come for now.
    pub fn is_last(&self) -> bool {
        self.scanned_to >= self.head
    }
}

/// A page of the newest events, from memory; `None` when not all of what comes after `after` is there. What is there
/// already beyond `head` is not told before the head is: whoever came back behind it would be refused.
pub(super) fn recent(
    ring: &Ring,
    head: &Head,
    after: Sequence,
    filter: &Filter,
    limit: Limit,
) -> Option<Page> {
    let mut looked_at = ring.after(after, SCANNED)?;
    let known = looked_at.partition_point(|record| record.sequence <= head.last());
    looked_at.truncate(known);
    looked_at.last()?;
    let (mut records, mut bytes, mut scanned_to) = (Vec::new(), 0, after);
    for record in looked_at {
        if filter.matches(&record) {
            bytes += record.payload.len();
            if limit.is_reached(records.len(), bytes) {
                return Some(Page { records, scanned_to, head: head.last() });
            }
            scanned_to = record.sequence;
            records.push(record);
        } else {
            scanned_to = record.sequence;
        }
    }
    Some(Page { records, scanned_to, head: head.last() })
}

//! Reading the log on and on: what every consumer of it is built on.
//!
//! A consumer has a place in the log, the number of the last event it has seen, and asks for what comes after it.
//! Nothing about a consumer is kept here: one that is slow, or gone, costs nothing, and the appender never waits for
//! any. The newest events are in a [ring](Ring) in memory, so that those who follow the end of the log, however many,
//! cost no statement; whoever is further behind reads pages from the database.
//!
//! - **Nothing is skipped.** A [page](Page) says how far it has looked; what lies before that and is not on it does not
//!   match the filter. Sequence numbers have no gaps, so a consumer can check that itself.
//! - **As stored.** A [`Record`] has the bytes of the event; its payload is not decoded, so that an event which only a
//!   newer program understands is handed on like any other.

mod filter;
mod record;
mod ring;
mod scan;
mod unopened;

use std::sync::Arc;

pub use filter::{Filter, TypePattern, TypePatternError};
pub use record::Record;
pub(super) use ring::Ring;
pub(super) use scan::{STATEMENTS, horizon, scan};
pub use unopened::read;

use super::{Head, Sequence};
use crate::db::PAGE_BYTES;

/// Events that are looked at for one page, at most.
pub const SCANNED: usize = 4096;

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

/// A page of the newest events, from memory; `None` when not all of what comes after `after` is there.
pub(super) fn recent(
    ring: &Ring,
    head: &Head,
    after: Sequence,
    filter: &Filter,
    limit: usize,
) -> Option<Page> {
    let looked_at = ring.after(after, SCANNED)?;
    let last = looked_at.last()?.sequence;
    let (mut records, mut bytes, mut scanned_to) = (Vec::new(), 0_i64, after);
    for record in looked_at {
        if filter.matches(&record) {
            bytes += i64::try_from(record.payload.len()).unwrap_or(i64::MAX);
            if records.len() >= limit || (bytes > PAGE_BYTES && !records.is_empty()) {
                return Some(Page { records, scanned_to, head: head.last().max(last) });
            }
            scanned_to = record.sequence;
            records.push(record);
        } else {
            scanned_to = record.sequence;
        }
    }
    Some(Page { records, scanned_to, head: head.last().max(last) })
}

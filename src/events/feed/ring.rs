//! The newest events in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Record;
use crate::events::Sequence;

/// Events that are kept, at most.
const EVENTS: usize = 4096;

/// And no more memory than this.
const BYTES: usize = 16 * 1024 * 1024;

/// The newest events, without gaps. Who follows the end of the log reads them from here.
#[derive(Debug, Default)]
pub(in crate::events) struct Ring(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
}

impl Ring {
    /// Adds what comes next. What is known already is passed over; behind a gap the ring begins anew.
    pub(in crate::events) fn push(&self, records: impl IntoIterator<Item = Record>) {
        // Made outside the lock.
        let records: Vec<_> = records.into_iter().map(Arc::new).collect();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            match kept.records.back().map(|last| record.sequence - last.sequence) {
                Some(..=0) => continue,
                Some(2..) => *kept = Kept::default(),
                Some(1) | None => {}
            }
            kept.bytes += record.size();
            kept.records.push_back(record);
            while kept.records.len() > EVENTS || (kept.bytes > BYTES && kept.records.len() > 1) {
                let oldest = kept.records.pop_front().expect("there is more than one");
                kept.bytes -= oldest.size();
            }
        }
    }

    /// Up to `limit` events after the one given; `None` when not all of them are here.
    pub(super) fn after(&self, after: Sequence, limit: usize) -> Option<Vec<Arc<Record>>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.records.front()?.sequence;
        let from = usize::try_from(after + 1 - first).ok()?;
        (from <= kept.records.len()).then(|| kept.records.iter().skip(from).take(limit).cloned().collect())
    }
}

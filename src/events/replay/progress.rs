//! How far a replay is.

use std::time::{Duration, Instant};

use super::super::Sequence;
use super::Progress;

/// How often a replay that nobody watches says how far it is.
const EVERY: Duration = Duration::from_secs(10);

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The event of the snapshot it began with; 0 when it began with event 1.
    pub from: Sequence,
    /// The newest event folded.
    pub events: Sequence,
    /// The last one there is.
    pub total: Sequence,
    /// How long it took so far.
    pub taken: Duration,
}

impl Folded {
    /// Events folded in a second; 0 before the first.
    pub fn per_second(&self) -> u64 {
        let micros = self.taken.as_micros().max(1);
        let rate = u128::from((self.events - self.from).unsigned_abs()) * 1_000_000 / micros;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

/// Tells whoever watches.
pub(super) struct Report<'a> {
    from: Sequence,
    total: Sequence,
    begun: Instant,
    tell: Progress<'a>,
}

impl<'a> Report<'a> {
    pub(super) fn new(from: Sequence, total: Sequence, tell: Progress<'a>) -> Self {
        Self { from, total, begun: Instant::now(), tell }
    }

    pub(super) fn folded(&mut self, events: Sequence) {
        let Self { from, total, begun, tell } = self;
        tell(Folded { from: *from, events, total: *total, taken: begun.elapsed() });
    }
}

/// Says it in the log, now and then.
pub(super) fn logged() -> impl FnMut(Folded) + Send {
    let mut said = Duration::ZERO;
    move |folded: Folded| {
        if folded.taken >= said + EVERY {
            said = folded.taken;
            let (events, total, per_second) = (folded.events, folded.total, folded.per_second());
            tracing::info!(events, total, per_second, "Rebuilding the views");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_counts_what_was_folded_and_not_what_a_snapshot_had() {
        let folded = Folded { from: 1000, events: 3000, total: 9000, taken: Duration::from_millis(500) };
        assert_eq!(folded.per_second(), 4000);
        assert_eq!(Folded { taken: Duration::ZERO, events: 1000, ..folded }.per_second(), 0);
    }
}

//! What one process knows of the compliance clock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::clock::{Clock, Micros, SECOND};
use crate::events::{Event, Fact, Observer};
use crate::registry::Error;
use crate::views::compliance::Tick;

/// The share of the measured time that compliance time may be faster by, to catch up after a stop: five minutes in a
/// day. What is set ahead, and not far enough to freeze, comes to at most a day in 288.
pub(super) const CATCH_UP: Micros = 24 * 60 / 5;

/// How often the clock is read for the record.
const EVERY: Micros = 60 * 60 * SECOND;

/// The compliance clock at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// What the system's clock shows.
    pub wall: Micros,
    /// Compliance time.
    pub compliance: Micros,
    /// Whether dispositions and deletions are frozen.
    pub is_frozen: bool,
    /// The last tick; `None` while nothing was ever retained.
    pub tick: Option<Tick>,
    /// Measured since this process knows of that tick.
    pub since_tick: Micros,
}

impl ClockReading {
    /// How far the system's clock is ahead.
    pub fn lag(&self) -> Micros {
        self.wall.saturating_sub(self.compliance).max(0)
    }

    /// When what cannot be undone is judged to be done: compliance time, and never ahead of the system's clock. A clock
    /// that was set ahead, confirmed and then set right is right.
    pub fn judged_at(&self) -> Micros {
        self.compliance.min(self.wall)
    }

    /// Whether it is to be read for the record: an hour has passed, or it is frozen and nobody has said so.
    pub(super) fn is_due(&self) -> bool {
        self.tick.is_some_and(|tick| self.since_tick >= EVERY || self.is_frozen != tick.is_frozen)
    }

    /// The refusal of what is frozen.
    pub(super) fn frozen(&self) -> Error {
        Error::ClockFrozen { wall: self.wall, compliance: self.compliance }
    }

    /// One sentence for whoever looks after the registry, when there is something to look at.
    pub fn alarm(&self) -> Option<String> {
        self.is_frozen.then(|| self.frozen().to_string())
    }
}

/// Knows the last tick and when it was learnt of. Told of every tick of every replica.
#[derive(Debug)]
pub(in crate::registry) struct Keeper {
    clock: Clock,
    limit: Micros,
    anchor: Mutex<Option<Anchor>>,
    is_stale: AtomicBool,
}

/// From where time is measured.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    tick: Tick,
    /// Compliance time when the tick was learnt of, which is no earlier than the tick says.
    compliance: Micros,
    /// The clock that nobody sets at that moment.
    at: Micros,
}

impl Keeper {
    pub(in crate::registry) fn new(clock: Clock, limit: Micros) -> Self {
        Self { clock, limit, anchor: Mutex::new(None), is_stale: AtomicBool::new(false) }
    }

    pub(super) fn limit(&self) -> Micros {
        self.limit
    }

    /// Whether ticks may have been missed.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::SeqCst)
    }

    /// Takes note of a tick, unless a newer one is known.
    pub(in crate::registry) fn learn(&self, tick: Tick) {
        self.is_stale.store(false, Ordering::SeqCst);
        let (wall, at) = (self.clock.now(), self.clock.elapsed());
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let compliance = match &*anchor {
            Some(known) if known.tick.sequence >= tick.sequence => return,
            // What was measured here was measured, also when a replica that knows less wrote the tick.
            Some(known) => tick.compliance.max(known.compliance_at(wall, at)),
            None => tick.compliance,
        };
        *anchor = Some(Anchor { tick, compliance, at });
    }

    /// The clock now.
    pub(in crate::registry) fn read(&self) -> ClockReading {
        let (wall, at) = (self.clock.now(), self.clock.elapsed());
        let anchor = *self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(anchor) = anchor else {
            return ClockReading { wall, compliance: wall, is_frozen: false, tick: None, since_tick: 0 };
        };
        let compliance = anchor.compliance_at(wall, at);
        let is_frozen = anchor.tick.is_frozen || is_ahead(wall, compliance, self.limit);
        ClockReading { wall, compliance, is_frozen, tick: Some(anchor.tick), since_tick: at - anchor.at }
    }
}

impl Anchor {
    fn compliance_at(&self, wall: Micros, at: Micros) -> Micros {
        let measured = at - self.at;
        // A clock that is in doubt is not caught up with.
        let allowance = if self.tick.is_frozen { 0 } else { measured / CATCH_UP };
        let most = self.compliance.saturating_add(measured).saturating_add(allowance);
        most.min(wall).max(self.tick.compliance)
    }
}

/// Whether the system's clock is further ahead than anybody need believe.
pub(super) fn is_ahead(wall: Micros, compliance: Micros, limit: Micros) -> bool {
    wall.saturating_sub(compliance) > limit
}

impl Observer for Keeper {
    fn committed(&self, events: &[Event]) {
        for event in events {
            let (wall, compliance, is_frozen) = match &event.fact {
                Fact::ClockTicked(fact) => (fact.wall, fact.compliance, fact.is_frozen),
                Fact::ClockResynchronised(fact) => (fact.compliance, fact.compliance, false),
                _ => continue,
            };
            self.learn(Tick { wall, compliance, is_frozen, sequence: event.sequence });
        }
    }

    fn lost_track(&self) {
        self.is_stale.store(true, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const DAY: Micros = 24 * 60 * 60 * SECOND;

    fn tick(compliance: Micros, sequence: i64) -> Tick {
        Tick { wall: compliance, compliance, is_frozen: false, sequence }
    }

    fn keeper() -> (ManualClock, Keeper) {
        let manual = ManualClock::at(0);
        let keeper = Keeper::new(manual.clock(), DAY);
        (manual, keeper)
    }

    #[test]
    fn without_a_tick_it_is_the_clock_of_the_system() {
        let (manual, keeper) = keeper();
        manual.jump(900 * DAY);
        let reading = keeper.read();
        assert_eq!((reading.compliance, reading.is_frozen, reading.is_due()), (900 * DAY, false, false));
    }

    #[test]
    fn it_catches_up_by_five_minutes_a_day_and_never_passes_the_system() {
        let (manual, keeper) = keeper();
        keeper.learn(tick(0, 1));
        manual.jump(7 * 60 * SECOND);
        manual.advance(DAY);
        assert_eq!(keeper.read().lag(), 2 * 60 * SECOND);
        manual.advance(DAY);
        assert_eq!((keeper.read().lag(), keeper.read().compliance), (0, keeper.read().wall));
    }

    #[test]
    fn an_older_tick_is_none_and_what_was_measured_stays() {
        let (manual, keeper) = keeper();
        keeper.learn(tick(0, 5));
        keeper.learn(tick(10 * DAY, 4));
        assert_eq!(keeper.read().tick, Some(tick(0, 5)));
        manual.advance(DAY);
        // Written by a replica that was started a moment ago.
        keeper.learn(tick(SECOND, 6));
        assert_eq!((keeper.read().compliance, keeper.read().since_tick), (DAY, 0));
    }

    #[test]
    fn a_clock_in_doubt_is_not_caught_up_with() {
        let (manual, keeper) = keeper();
        keeper.learn(Tick { is_frozen: true, ..tick(0, 1) });
        manual.jump(60 * SECOND);
        manual.advance(DAY);
        let reading = keeper.read();
        assert_eq!((reading.lag(), reading.is_frozen), (60 * SECOND, true));
    }
}

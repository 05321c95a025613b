//! The time source. Nothing else in the crate asks the system for the time of day.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch, UTC. The unit of every time in the log and the views.
pub type Micros = i64;

/// One second in [`Micros`].
pub const SECOND: Micros = 1_000_000;

/// Tells the time. Cheap to clone; tests hold a [`ManualClock`] and move it.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    /// With the moment it was made, by the clock that nobody sets.
    System(Instant),
    Manual(Arc<Hands>),
}

#[derive(Debug)]
struct Hands {
    wall: AtomicI64,
    elapsed: AtomicI64,
}

impl Clock {
    /// The clock of the operating system.
    pub fn system() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// Microseconds since the epoch. May run backwards when the system clock is set back; whoever
    /// needs monotone times (the log) clamps against what it recorded last.
    pub fn now(&self) -> Micros {
        match &self.0 {
            Source::System(_) => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
            }
            Source::Manual(hands) => hands.wall.load(Ordering::SeqCst),
        }
    }

    /// How long this clock has been running, whatever was done to the time of day. Never runs backwards, stands still
    /// while the machine sleeps, and begins anew with every process.
    pub fn elapsed(&self) -> Micros {
        match &self.0 {
            Source::System(since) => i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX),
            Source::Manual(hands) => hands.elapsed.load(Ordering::SeqCst),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System(_) => "Clock(system)",
            Source::Manual(_) => "Clock(manual)",
        })
    }
}

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

impl ManualClock {
    /// A clock that shows `at`.
    pub fn at(at: Micros) -> Self {
        Self(Arc::new(Hands { wall: AtomicI64::new(at), elapsed: AtomicI64::new(0) }))
    }

    /// Lets time pass; negative values set the time of day back, and nothing passes.
    pub fn advance(&self, by: Micros) {
        self.0.elapsed.fetch_add(by.max(0), Ordering::SeqCst);
        self.jump(by);
    }

    /// Sets the time of day ahead, or back, and no time passes.
    pub fn jump(&self, by: Micros) {
        self.0.wall.fetch_add(by, Ordering::SeqCst);
    }

    /// The [`Clock`] that follows this one.
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(Arc::clone(&self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let manual = ManualClock::at(5 * SECOND);
        let clock = manual.clock();
        assert_eq!(clock.now(), 5 * SECOND);
        manual.advance(-2 * SECOND);
        assert_eq!(clock.now(), 3 * SECOND);
    }

    #[test]
    fn what_passed_does_not_depend_on_the_time_of_day() {
        let manual = ManualClock::at(5 * SECOND);
        let clock = manual.clock();
        manual.advance(2 * SECOND);
        manual.jump(100 * SECOND);
        manual.advance(-200 * SECOND);
        assert_eq!((clock.now(), clock.elapsed()), (-93 * SECOND, 2 * SECOND));
        let clock = Clock::system();
        let before = clock.elapsed();
        assert!(before >= 0 && clock.elapsed() >= before);
    }
}

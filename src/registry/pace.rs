//! A steady pace.

use std::time::Duration;

use tokio::time::Instant;

/// Lets so many things happen in a second and no more, evenly, over the whole of a run.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: u64,
    next: Instant,
}

impl Pace {
    pub(super) fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1), next: Instant::now() }
    }

    /// Waits until `count` more things may happen. Time that went by unused is not made up for.
    pub(super) async fn wait(&mut self, count: u64) {
        tokio::time::sleep_until(self.begin(count, Instant::now())).await;
    }

    /// How many things may happen at once, of so many: no more than in a second.
    pub(super) fn at_once(&self, most: usize) -> usize {
        most.min(usize::try_from(self.per_second).unwrap_or(most))
    }

    /// When `count` more things may happen.
    fn begin(&mut self, count: u64, now: Instant) -> Instant {
        let begin = self.next.max(now);
        let nanos = u128::from(count) * 1_000_000_000 / u128::from(self.per_second);
        // A century: nothing is that slow.
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX).min(100 * 365 * 86_400 * 1_000_000_000);
        self.next = begin + Duration::from_nanos(nanos);
        begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_holds_also_after_a_rest() {
        let mut pace = Pace::new(100);
        let start = Instant::now();
        let after = |begin: Instant| (begin - start).as_millis();
        assert_eq!([0, 80, 160].map(|_| after(pace.begin(8, start))), [0, 80, 160]);
        let rested = start + Duration::from_mins(1);
        assert_eq!([0, 1].map(|_| after(pace.begin(8, rested))), [60_000, 60_080]);
    }

    #[test]
    fn a_rate_lower_than_what_is_done_at_once_was_passed() {
        assert_eq!([1, 2, 8, 1000].map(|rate| Pace::new(rate).at_once(8)), [1, 2, 8, 8]);
    }
}

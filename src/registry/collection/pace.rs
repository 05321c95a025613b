//! A steady pace.

use std::time::Duration;

use tokio::time::Instant;

/// Lets so many things happen in a second and no more, evenly, over the whole of a run.
#[derive(Debug)]
pub(super) struct Pace {
    each: Duration,
    next: Instant,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        Self { each: Duration::from_secs(1) / per_second.max(1), next: Instant::now() }
    }

    /// Waits until `count` more things may happen. Time that went by unused is not made up for.
    pub(super) async fn wait(&mut self, count: usize) {
        tokio::time::sleep_until(self.begin(count, Instant::now())).await;
    }

    /// When `count` more things may happen.
    fn begin(&mut self, count: usize, now: Instant) -> Instant {
        let begin = self.next.max(now);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.next = begin + self.each.saturating_mul(count);
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
}

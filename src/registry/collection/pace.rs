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
        tokio::time::sleep_until(self.next).await;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.next = self.next.max(Instant::now()) + self.each.saturating_mul(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_holds_also_after_a_rest() {
        let begun = Instant::now();
        let mut pace = Pace::new(100);
        for _ in 0..10 {
            pace.wait(8).await;
        }
        assert_eq!(begun.elapsed().as_millis(), 720);
        tokio::time::advance(Duration::from_mins(1)).await;
        pace.wait(8).await;
        let rested = Instant::now();
        pace.wait(8).await;
        assert_eq!(rested.elapsed().as_millis(), 80);
    }
}

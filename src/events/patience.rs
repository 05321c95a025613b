//! How long the log tries again while the database is away.

use std::time::{Duration, Instant};

/// In total. Longer than a server takes to restart; shorter than clients wait for an answer.
const LIMIT: Duration = Duration::from_secs(10);

/// The first pause; each is twice the one before, up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(20);

const LONGEST: Duration = Duration::from_secs(1);

/// Pauses between attempts, until there have been enough.
#[derive(Debug)]
pub(super) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    /// None at all where trying again cannot help: an embedded database does not come back.
    pub(super) fn new(is_any: bool) -> Self {
        let limit = if is_any { LIMIT } else { Duration::ZERO };
        Self { until: Instant::now() + limit, pause: SHORTEST }
    }

    /// Waits before another attempt; `false` when there should be none.
    pub(super) async fn wait(&mut self) -> bool {
        if Instant::now() + self.pause > self.until {
            return false;
        }
        tokio::time::sleep(jitter(self.pause)).await;
        self.pause = (self.pause * 2).min(LONGEST);
        true
    }
}

/// Between half and all of it, so that replicas do not come back in step.
fn jitter(pause: Duration) -> Duration {
    let mut byte = [0];
    getrandom::fill(&mut byte).expect("the operating system gives random bytes");
    pause / 2 + pause * u32::from(byte[0]) / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_ends() {
        assert!(!Patience::new(false).wait().await);
        let mut patience = Patience::new(true);
        assert!(patience.wait().await);
        patience.until = Instant::now();
        assert!(!patience.wait().await);
    }

    #[test]
    fn pauses_are_at_least_half_and_never_longer() {
        for _ in 0..100 {
            let pause = jitter(LONGEST);
            assert!(pause >= LONGEST / 2 && pause <= LONGEST, "{pause:?}");
        }
    }
}

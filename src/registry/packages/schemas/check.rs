//! Checks that cannot be stopped, kept from taking the server with them.
//!
//! Each runs on a thread of its own that nobody waits for when the process ends, a few at a time, and is given up after a
//! while. What it may cost is bounded before it starts; time is the bound for what that does not see, such as a slow
//! machine.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::registry::Error;

/// Checks at once.
const AT_ONCE: usize = 2;

/// How long one may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one may take.
const TIME: Duration = Duration::from_secs(10);

/// Compiling follows references as deep as they lead; only what is used of it is ever memory.
pub(super) const STACK: usize = 64 << 20;

/// Where checks run.
#[derive(Debug)]
pub(in crate::registry) struct Checks {
    places: Arc<Semaphore>,
    patience: Duration,
    time: Duration,
}

impl Default for Checks {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)), patience: PATIENCE, time: TIME }
    }
}

impl Checks {
    /// Runs a check. [`Error::Busy`] when there is no place for long, and when it takes longer than [`TIME`]: that says
    /// nothing about what is checked, since its cost is bounded. Then it goes on, and keeps its place among the few there
    /// are.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        check: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let busy = || Error::Busy("too much metadata is being checked");
        let place = tokio::time::timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| busy())?.map_err(|_| Error::Stopping)?;
        let (found, answer) = oneshot::channel();
        let thread = std::thread::Builder::new().name("schema".to_owned()).stack_size(STACK);
        let run = move || {
            let checked = check();
            drop(place);
            // Nobody may be there any more.
            drop(found.send(checked));
        };
        thread.spawn(run).map_err(|_| busy())?;
        match tokio::time::timeout(self.time, answer).await {
            Ok(answer) => answer.map_err(|_| Error::Stopping),
            Err(_) => Err(Error::Busy("checking with a metadata schema takes too long on this machine now")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_check_that_never_ends_is_given_up_and_so_is_the_wait_behind_it() {
        let short = Duration::from_millis(20);
        let checks = Checks { patience: short, time: short, ..Checks::default() };
        let mut stuck = Vec::new();
        for _ in 0..AT_ONCE {
            let (end, ended) = mpsc::channel::<()>();
            let forever = move || assert!(ended.recv().is_err());
            let given_up = checks.run(forever).await.unwrap_err();
            assert!(matches!(given_up, Error::Busy(_)) && given_up.is_temporary(), "{given_up}");
            stuck.push(end);
        }
        let refused = checks.run(|| 1).await.unwrap_err();
        assert!(matches!(refused, Error::Busy(_)) && refused.is_temporary(), "{refused}");
        drop(stuck);
        // Every place came back.
        let _all = checks.places.acquire_many(2).await.unwrap();
    }
}

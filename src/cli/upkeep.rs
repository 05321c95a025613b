//! What a server does by itself from time to time. Each of these may be ended anywhere: the next run goes on.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::registry::{Error, Registry, Swept};

/// How often abandoned uploads are looked for.
const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// How often it is looked whether the compliance clock has to be read for the record.
const TICK_EVERY: Duration = Duration::from_mins(1);

/// How often refused attempts that were only counted are told.
const DENIALS_EVERY: Duration = Duration::from_mins(1);

/// How often it is looked whether a snapshot is due.
const SNAPSHOT_EVERY: Duration = Duration::from_mins(1);

/// After as many failures as it takes: every attempt reads all views and sends them.
const SNAPSHOT_RARELY: Duration = Duration::from_hours(1);

/// After a start there is more urgent work than reading everything.
const SETTLE: Duration = Duration::from_mins(5);

/// Begins all of it that is switched on. It ends with the set.
pub(super) fn start(registry: &Registry) -> JoinSet<()> {
    let options = registry.options();
    let mut tasks = JoinSet::new();
    tasks.spawn(sweep(registry.clone()));
    tasks.spawn(keep_time(registry.clone()));
    tasks.spawn(tell_denials(registry.clone()));
    if options.snapshots.every > 0 {
        tasks.spawn(snapshot(registry.clone()));
    }
    if options.gc.enabled {
        tasks.spawn(collect(registry.clone(), options.gc.interval));
    }
    if options.disposal.enabled {
        tasks.spawn(dispose(registry.clone(), options.disposal.interval));
    }
    if options.scrub.enabled {
        tasks.spawn(scrub(registry.clone(), options.scrub.interval));
    }
    tasks
}

/// Removes abandoned uploads and drafts.
async fn sweep(registry: Registry) {
    let mut ticks = every(SWEEP_EVERY, Duration::ZERO);
    loop {
        ticks.tick().await;
        match registry.sweep().await {
            // A run is bounded; while there is work the next one follows at once.
            Ok(swept) if swept != Swept::default() => {
                tracing::debug!(?swept, "Swept abandoned uploads and drafts");
                ticks.reset_immediately();
            }
            Ok(_) => {}
            Err(error) => failed(&error, "Sweeping abandoned uploads and drafts"),
        }
    }
}

/// Reads the compliance clock for the record when it is due.
async fn keep_time(registry: Registry) {
    let mut ticks = every(TICK_EVERY, Duration::ZERO);
    loop {
        ticks.tick().await;
        if let Err(error) = registry.tick_if_due().await {
            failed(&error, "Reading the clock for the record");
        }
    }
}

/// Records the refused attempts that were only counted, once their time is over.
async fn tell_denials(registry: Registry) {
    let mut ticks = every(DENIALS_EVERY, DENIALS_EVERY);
    loop {
        ticks.tick().await;
        registry.record_denials(false).await;
    }
}

/// Writes a snapshot when it is due. While that fails, more and more rarely.
async fn snapshot(registry: Registry) {
    let mut pause = SNAPSHOT_EVERY;
    loop {
        tokio::time::sleep(pause).await;
        let written = registry.snapshot_if_due().await;
        pause = if written.is_ok() { SNAPSHOT_EVERY } else { after_failure(pause) };
        match written {
            Ok(None) => {}
            Ok(Some(snapshot)) => {
                let (key, size) = (&snapshot.object.key, snapshot.object.size);
                tracing::info!(key, size, "Wrote a snapshot at event {}", snapshot.sequence);
            }
            Err(error) => failed(&error, "Writing a snapshot"),
        }
    }
}

/// How long to wait for the next attempt to write a snapshot when the one after this pause failed too.
fn after_failure(pause: Duration) -> Duration {
    SNAPSHOT_RARELY.min(2 * pause)
}

/// Collects garbage.
async fn collect(registry: Registry, interval: Duration) {
    let mut ticks = every(interval, Duration::ZERO);
    loop {
        ticks.tick().await;
        match registry.collect_if_due().await {
            Ok(None) => {}
            Ok(Some(run)) => {
                if let Some(failure) = &run.done.failure {
                    tracing::warn!(failure, "Collecting garbage failed");
                } else {
                    tracing::debug!(done = ?run.done, "Collected garbage");
                }
            }
            Err(error) => failed(&error, "Collecting garbage"),
        }
    }
}

/// Disposes of what leaves by schedule.
async fn dispose(registry: Registry, interval: Duration) {
    let mut ticks = every(interval, Duration::ZERO);
    loop {
        ticks.tick().await;
        match registry.dispose_if_due().await {
            Ok(None) => {}
            Ok(Some(run)) => tracing::debug!(?run, "Disposed by schedule"),
            Err(error) => failed(&error, "Disposal by schedule"),
        }
    }
}

/// Verifies stored bytes.
async fn scrub(registry: Registry, interval: Duration) {
    let mut ticks = every(interval, SETTLE.min(interval));
    loop {
        ticks.tick().await;
        match registry.scrub_if_due().await {
            Ok(None) => {}
            Ok(Some(run)) => {
                tracing::debug!(status = run.status.as_str(), done = ?run.done, "Verified stored bytes");
            }
            Err(error) => failed(&error, "Verifying stored bytes"),
        }
    }
}

/// A run that takes longer than the interval is followed by a pause all the same.
fn every(interval: Duration, first: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + first, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn failed(error: &Error, what: &'static str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what} failed");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_fails_is_tried_more_and_more_rarely_and_never_less_than_every_hour() {
        let mut pause = SNAPSHOT_EVERY;
        let pauses: Vec<u64> = std::iter::repeat_with(|| {
            pause = after_failure(pause);
            pause.as_secs() / 60
        })
        .take(8)
        .collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
    }
}

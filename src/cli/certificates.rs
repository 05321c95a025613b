//! Certificates that are exchanged while the server runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::time::MissedTickBehavior;

use crate::server::tls::{Reloading, Warning};

/// How often the files are compared with what is in force.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Reads them again when they changed, or at a signal whether they did or not. What is wrong leaves everything as it
/// was, so a file may be written in any way: until it is whole, the one before is in force.
pub(super) async fn keep_current(tls: Arc<Reloading>, mut told: Signal) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_told = tokio::select! {
            _ = ticks.tick() => false,
            _ = told.recv() => true,
        };
        let tls = Arc::clone(&tls);
        let read = move || (is_told || tls.changed()).then(|| tls.reload());
        match tokio::task::spawn_blocking(read).await {
            Ok(None) => {}
            Ok(Some(Ok(warnings))) => {
                tracing::info!("Read the certificates again; new connections have them");
                warn(&warnings);
            }
            Ok(Some(Err(error))) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "The certificates stay as they were: what is in their files cannot be used"
                );
            }
            Err(error) => tracing::error!("Reading the certificates again was broken off: {error}"),
        }
    }
}

/// Says what is not right with certificates that are in force all the same.
pub(super) fn warn(warnings: &[Warning]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

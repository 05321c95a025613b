//! Commands that somebody stops.

use tokio::signal::unix::{SignalKind, signal};

use super::Outcome;
use super::output::complain;

/// What shells say of a command that a signal ended: 128 and its number.
const BY_SIGNAL: i32 = 128;

/// Runs work that holds nothing which has to be put away, until it ends or SIGINT (Ctrl-C) or SIGTERM stops it. Then
/// `advice` is said and the process ends: files may still be hashed on other threads, and nobody waits for them.
pub(super) async fn until_stopped(work: impl Future<Output = Outcome>, advice: &str) -> Outcome {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let kind = tokio::select! {
        outcome = work => return outcome,
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
    };
    complain(&format!("interrupted; {advice}"));
    std::process::exit(BY_SIGNAL + kind.as_raw_value());
}

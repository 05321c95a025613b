//! Commands that somebody stops.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Outcome;
use super::output::complain;

/// What shells say of a command that a signal ended: 128 and its number.
const BY_SIGNAL: i32 = 128;

/// Runs work that holds nothing which has to be put away, until it ends or SIGINT (Ctrl-C) or SIGTERM stops it. Then
/// `advice` is said and the process ends: files may still be hashed on other threads, and nobody waits for them.
pub(super) async fn until_stopped(work: impl Future<Output = Outcome>, advice: &str) -> Outcome {
    let mut signals = Signals::listen()?;
    tokio::select! {
        outcome = work => outcome,
        stop = signals.next() => stop.end(advice),
    }
}

/// The signals that stop a command. While this lives they do nothing else.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// A signal that came.
pub(super) struct Stop(SignalKind);

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    /// The next one. Cancelled, it loses none.
    pub(super) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop(SignalKind::interrupt()),
            _ = self.terminate.recv() => Stop(SignalKind::terminate()),
        }
    }
}

impl Stop {
    /// Says what to do next and ends the process, as shells have it.
    pub(super) fn end(&self, advice: &str) -> ! {
        complain(&format!("interrupted; {advice}"));
        std::process::exit(BY_SIGNAL + self.0.as_raw_value());
    }
}

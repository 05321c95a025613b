//! `artifactstore serve`

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior};

use super::output::say;
use super::{Failure, Outcome, open};
use crate::config::Settings;
use crate::registry::{Registry, Swept};
use crate::server::Server;

/// After a start there is more urgent work than reading everything.
const SETTLE: Duration = Duration::from_mins(5);

/// How often abandoned uploads are looked for.
const SWEEP_EVERY: Duration = Duration::from_mins(10);

pub(super) async fn serve(settings: &Settings, insecure_listen: bool) -> Outcome {
    let listen = settings.listen;
    if !listen.ip().is_loopback() && !insecure_listen {
        return Err(Failure(format!(
            "{listen} can be reached from other machines and nobody has to log in; listen on 127.0.0.1, or say \
             --insecure-listen if something in front of this server controls access"
        )));
    }
    let mut signals = Signals::new()?;
    let parts = open::write(settings).await?;
    let registry = parts.registry(settings).await?;
    let failed = |error| Failure(format!("cannot listen on {listen}: {error}"));
    let server = Server::bind(listen, registry.clone(), settings.server.clone()).await.map_err(failed)?;
    announce(server.address()?)?;
    let sweeper = tokio::spawn(sweep(registry.clone()));
    let collector = tokio::spawn(collect(registry.clone()));
    let scrubber = tokio::spawn(scrub(registry.clone()));
    let run = server.run(async move {
        signals.next().await;
        if let Err(Failure(error)) = end_at_the_next() {
            tracing::warn!("A second signal will not stop at once: {error}");
        }
        tracing::info!("Stopping: requests under way may end; a second signal stops at once");
    });
    if !run.await {
        tracing::warn!("Some requests did not end in time and were cut off");
    }
    sweeper.abort();
    collector.abort();
    scrubber.abort();
    // What was refused in the last minute and only counted so far.
    registry.record_denials(true).await;
    drop(registry);
    parts.db.close().await;
    Ok(true)
}

fn announce(address: SocketAddr) -> Result<(), Failure> {
    let mut text = format!("listening on http://{address}");
    if std::io::stdout().is_terminal() {
        let _ = write!(text, "\n\ntry, in a directory with some files:");
        let _ = write!(
            text,
            "\n  oras push --plain-http {address}/evidence/run:1 ./results.json:application/json"
        );
        let _ = write!(text, "\n  oras pull --plain-http {address}/evidence/run:1 -o ./copy");
        let _ = write!(text, "\n  oras repo ls --plain-http {address}");
    }
    say(&text)
}

/// Removes abandoned uploads and drafts, at the start and from time to time.
async fn sweep(registry: Registry) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        match registry.sweep().await {
            // A run is bounded; while there is work the next one follows at once.
            Ok(swept) if swept != Swept::default() => {
                tracing::debug!(?swept, "Swept abandoned uploads and drafts");
                ticks.reset_immediately();
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "Sweeping abandoned uploads and drafts failed"
                );
            }
        }
    }
}

/// Collects garbage from time to time, if it is to. Ended anywhere, the next run goes on.
async fn collect(registry: Registry) {
    let options = &registry.options().gc;
    if !options.enabled {
        return;
    }
    let mut ticks = tokio::time::interval(options.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match registry.collect_if_due().await {
            Ok(Some(run)) => {
                if let Some(failure) = &run.done.failure {
                    tracing::warn!(failure, "A collection of garbage failed");
                } else {
                    tracing::debug!(done = ?run.done, "Collected garbage");
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "Collecting garbage failed");
            }
        }
    }
}

/// Verifies stored bytes from time to time, if it is to. Ended anywhere, the next pass goes on.
async fn scrub(registry: Registry) {
    let options = &registry.options().scrub;
    if !options.enabled {
        return;
    }
    let first = Instant::now() + SETTLE.min(options.interval);
    let mut ticks = tokio::time::interval_at(first, options.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match registry.scrub_if_due().await {
            Ok(Some(run)) => {
                tracing::debug!(status = run.status.as_str(), done = ?run.done, "Verified stored bytes")
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "Verifying stored bytes failed");
            }
        }
    }
}

/// Ends the process at the next signal, also when the runtime that serves is busy or gone: on a thread with a runtime of
/// its own. The next signal counts when this returns.
fn end_at_the_next() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    let wait = move || {
        runtime.block_on(signals.next());
        std::process::exit(130);
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(())
}

/// The signals that mean "stop".
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

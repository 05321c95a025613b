//! `artifactstore serve`

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::say;
use super::{Failure, Outcome, certificates, open, upkeep};
use crate::client::webhook::Sender;
use crate::clock::Clock;
use crate::config::Settings;
use crate::server::Server;
use crate::server::tls::Reloading;

pub(super) async fn serve(settings: &Settings, insecure_listen: bool) -> Outcome {
    let listen = settings.listen;
    if !listen.ip().is_loopback() && !insecure_listen {
        return Err(Failure(format!(
            "{listen} can be reached from other machines and nobody has to log in; listen on 127.0.0.1, or say \
             --insecure-listen if something in front of this server controls access"
        )));
    }
    let mut signals = Signals::new()?;
    let tls = settings.tls.as_ref().map(|options| Reloading::open(options.clone(), Clock::system()));
    let tls = tls.transpose()?.map(|(tls, warnings)| {
        certificates::warn(&warnings);
        Arc::new(tls)
    });
    let parts = open::write(settings).await?;
    let registry = parts.registry(settings).await?;
    registry.tick().await?;
    let failed = |error| Failure(format!("cannot listen on {listen}: {error}"));
    let mut server = Server::bind(listen, registry.clone(), settings.server.clone()).await.map_err(failed)?;
    let mut upkeep = upkeep::start(&registry);
    if let Some(tls) = &tls {
        // Before anybody hears that it runs: without this the signal would end it.
        let hangup = signal(SignalKind::hangup())?;
        upkeep.spawn(certificates::keep_current(Arc::clone(tls), hangup));
        server = server.encrypted(Arc::clone(tls));
    }
    announce(server.address()?, tls.is_some())?;
    if settings.registry.webhooks.max > 0 {
        let sender = Sender::new(settings.registry.webhooks.guard.clone())?;
        upkeep.spawn(registry.courier(Arc::new(sender)).run());
    }
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
    upkeep.shutdown().await;
    // What was refused in the last minute and only counted so far.
    registry.record_denials(true).await;
    registry.record_origins().await;
    // What was measured since the last tick would not count.
    if let Err(error) = registry.tick().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "The clock cannot be read for the record");
    }
    drop(registry);
    parts.db.close().await;
    Ok(true)
}

fn announce(address: SocketAddr, is_encrypted: bool) -> Result<(), Failure> {
    // `oras` takes a registry of this machine for one without TLS unless it is told.
    let (scheme, plain) =
        if is_encrypted { ("https", " --plain-http=false") } else { ("http", " --plain-http") };
    let mut text = format!("listening on {scheme}://{address}");
    if std::io::stdout().is_terminal() {
        let _ = write!(text, "\n\ntry, in a directory with some files:");
        let _ = write!(text, "\n  oras push{plain} {address}/evidence/run:1 ./results.json:application/json");
        let _ = write!(text, "\n  oras pull{plain} {address}/evidence/run:1 -o ./copy");
        let _ = write!(text, "\n  oras repo ls{plain} {address}");
    }
    say(&text)
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

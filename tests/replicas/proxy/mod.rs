//! Something that stands between a replica and a service, and does not keep its word.

mod http;
mod message;
mod postgres;
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) use http::{Operation, StorageFault, StorageFaults};
pub(crate) use postgres::{DatabaseFault, DatabaseFaults};

use crate::runtime::{runtime, wait};

/// Carries one connection to its end.
pub(crate) trait Relay: Send + Sync + 'static {
    /// Returns how the client's side is to be closed.
    fn relay(&self, client: &mut TcpStream, server: &mut TcpStream) -> impl Future<Output = End> + Send;
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order: what was sent arrives, and then nothing more.
    Closed,
    /// At once, and whatever is on the way is lost.
    Reset,
}

/// A listening proxy. Its connections end with it.
#[derive(Debug)]
pub(crate) struct Proxy<R> {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it does.
    pub(crate) faults: Arc<R>,
    open: watch::Sender<bool>,
}

impl<R: Relay> Proxy<R> {
    /// Listens in front of the service at `upstream`.
    pub(crate) fn start(upstream: SocketAddr, faults: R) -> Self {
        let listener = wait(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (open, gate) = watch::channel(true);
        let faults = Arc::new(faults);
        runtime().spawn(accept(listener, upstream, Arc::clone(&faults), gate));
        Self { address, faults, open }
    }

    /// Cuts every connection and takes no new one.
    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    /// Takes connections again.
    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn accept<R: Relay>(
    listener: TcpListener,
    upstream: SocketAddr,
    faults: Arc<R>,
    mut gate: watch::Receiver<bool>,
) {
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => client,
                Err(_) => continue,
            },
            // The sender is gone: so is the proxy.
            () = async { while gate.changed().await.is_ok() {} } => return,
        };
        if *gate.borrow() {
            runtime().spawn(carry(client, upstream, Arc::clone(&faults), gate.clone()));
        } else {
            let _ = client.set_zero_linger();
        }
    }
}

async fn carry<R: Relay>(
    mut client: TcpStream,
    upstream: SocketAddr,
    faults: Arc<R>,
    mut gate: watch::Receiver<bool>,
) {
    let relayed = async {
        let mut server = TcpStream::connect(upstream).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let end = faults.relay(&mut client, &mut server).await;
        if end == End::Reset {
            server.set_zero_linger()?;
        }
        std::io::Result::Ok(end)
    };
    let end = tokio::select! {
        end = relayed => end.unwrap_or(End::Reset),
        // Closed, or gone.
        _ = gate.wait_for(|open| !open) => End::Reset,
    };
    if end == End::Reset {
        let _ = client.set_zero_linger();
    }
}

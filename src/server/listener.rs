//! Accepting connections until told to stop: HTTP/1.1 and HTTP/2, over TLS (by ALPN) or without (by prior knowledge).

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::body::Budget;
use super::limits::Limits;
use super::patient::Patient;
use super::room::Room;
use super::socket::{Counted, Requests, Socket};
use super::tls::{self, Reloading};
use super::{Options, State, service};
use crate::clock::Clock;
use crate::registry::Registry;

/// HTTP/2 flow control windows: large enough that one upload fills a fast link.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
const STREAMS: u32 = 128;

/// HTTP/2 peers are asked whether they are still there.
const PING_EVERY: Duration = Duration::from_mins(1);

/// What an HTTP/1 connection reads and writes at once.
const READ_BUFFER: usize = 128 * 1024;

/// Pages of events that are made at once, each of 4 MiB or of one event.
const PAGES: usize = 8;

/// After a failed accept (no file descriptors left) the next try waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    state: Arc<State>,
    tls: Option<Arc<Reloading>>,
}

/// One that was accepted.
struct Connection {
    state: Arc<State>,
    protocol: auto::Builder<TokioExecutor>,
    peer: IpAddr,
    /// Until when a first request must have come, encryption included.
    deadline: Instant,
    /// Tells it of a shutdown, which waits for it.
    watcher: Watcher,
}

impl Server {
    /// Binds an address; port 0 picks a free one.
    pub async fn bind(address: SocketAddr, registry: Registry, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            listener,
            state: Arc::new(State {
                limits: Limits::new(options.limits),
                clock: Clock::system(),
                budget: Budget::new(options.collecting, options.idle_timeout),
                room: Room::default(),
                streams: Arc::new(Semaphore::new(options.max_streams)),
                pages: Semaphore::new(PAGES),
                stopping: CancellationToken::new(),
                registry,
                options,
            }),
            tls: None,
        })
    }

    /// The same over TLS, and in no other way. Every connection has what is in force when it is accepted.
    #[must_use]
    pub fn encrypted(mut self, tls: Arc<Reloading>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The address it listens on.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` completes, then lets requests that are under way end, for a limited time.
    /// Returns whether all of them did.
    pub async fn run(self, stop: impl Future<Output = ()>) -> bool {
        let connections = Arc::new(Semaphore::new(self.state.options.max_connections));
        let graceful = GracefulShutdown::new();
        let stopping = self.state.stopping.clone();
        let protocol = protocol(&self.state.options);
        tokio::pin!(stop);
        loop {
            let accept = async {
                let permit = Arc::clone(&connections).acquire_owned().await.expect("it is never closed");
                (self.listener.accept().await, permit)
            };
            let (accepted, permit) = tokio::select! {
                accepted = accept => accepted,
                () = &mut stop => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!("Accepting a connection failed: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Answers are written whole; waiting to fill a packet only delays them.
            let _ = stream.set_nodelay(true);
            let stream = Patient::new(stream, self.state.options.idle_timeout);
            let connection = Connection {
                state: Arc::clone(&self.state),
                protocol: protocol.clone(),
                peer: peer.ip(),
                deadline: Instant::now() + self.state.options.header_timeout,
                watcher: graceful.watcher(),
            };
            let tls = self.tls.as_ref().map(|tls| tls.current());
            let stopping = stopping.clone();
            tokio::spawn(async move {
                match tls {
                    None => connection.serve(stream).await,
                    Some(tls) => {
                        if let Some(stream) = tls::accept(stream, tls, connection.deadline, &stopping).await {
                            connection.serve(stream).await;
                        }
                    }
                }
                drop(permit);
            });
        }
        drop(self.listener);
        stopping.cancel();
        tokio::time::timeout(self.state.options.drain, graceful.shutdown()).await.is_ok()
    }
}

impl Connection {
    /// Answers what comes over it until it ends.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let Self { state, protocol, peer, deadline, watcher } = self;
        let requests = Requests::default();
        let socket = Socket::new(stream, requests.clone(), deadline, &state.stopping);
        let service = service_fn(move |request| {
            let (state, under_way) = (Arc::clone(&state), requests.begin());
            async move {
                let answer = service::serve(state, request, peer).await?;
                Ok::<_, Infallible>(answer.map(|body| Counted::new(body, under_way)))
            }
        });
        let connection = protocol.serve_connection(TokioIo::new(socket), service);
        if let Err(error) = watcher.watch(connection.into_owned()).await {
            tracing::debug!("A connection ended: {error}");
        }
    }
}

fn protocol(options: &Options) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(READ_BUFFER)
        .header_read_timeout(options.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Some(PING_EVERY));
    builder
}

//! A network between a registry and its server that can be slow, or fail at a chosen moment.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// COMMIT as a simple query of the protocol.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// COMMIT does not reach the server.
    BeforeCommit,
    /// COMMIT reaches the server and the connection ends at the same moment.
    DuringCommit,
    /// The server has committed; its answer is lost.
    AfterCommit,
}

/// A TCP proxy in front of a server. Threads and not tasks: a timer of a runtime is not exact to a millisecond.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    server: String,
    delay: Duration,
    is_down: AtomicBool,
    is_closed: AtomicBool,
    cut: Mutex<Option<Cut>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Starts one in front of `server` that adds `delay` to every round trip.
    pub fn start(server: String, delay: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let rules = Arc::new(Rules {
            server,
            delay,
            is_down: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            cut: Mutex::default(),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&rules);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.is_closed.load(Ordering::SeqCst) {
                    break;
                }
                if let Ok(client) = client {
                    // A connection that does not come about ends; its client notices.
                    let _ = accepting.connect(client);
                }
            }
        });
        Ok(Self { address, rules })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the connection of the next COMMIT.
    pub fn cut_next(&self, cut: Cut) {
        *lock(&self.rules.cut) = Some(cut);
    }

    /// Whether the cut has happened.
    pub fn has_cut(&self) -> bool {
        lock(&self.rules.cut).is_none()
    }

    /// Ends every connection.
    pub fn cut_all(&self) {
        for stream in lock(&self.rules.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets nothing through, or everything again.
    pub fn set_down(&self, is_down: bool) {
        self.rules.is_down.store(is_down, Ordering::SeqCst);
        if is_down {
            self.cut_all();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.rules.is_closed.store(true, Ordering::SeqCst);
        self.cut_all();
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

impl Rules {
    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        if self.is_down.load(Ordering::SeqCst) {
            return Ok(());
        }
        let server = TcpStream::connect(&self.server)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            lock(&self.open).push(stream.try_clone()?);
        }
        let (rules, from, to) = (Arc::clone(self), client.try_clone()?, server.try_clone()?);
        thread::spawn(move || rules.forward(from, to));
        let rules = Arc::clone(self);
        thread::spawn(move || rules.answer(server, client));
        Ok(())
    }

    /// From the client to the server.
    fn forward(&self, mut client: TcpStream, mut server: TcpStream) {
        let mut buffer = vec![0; 256 * 1024];
        while let Ok(len) = client.read(&mut buffer)
            && len > 0
        {
            let bytes = &buffer[..len];
            let is_commit = bytes.windows(COMMIT.len()).any(|window| window == COMMIT);
            let cut = if is_commit { lock(&self.cut).take() } else { None };
            match cut {
                Some(Cut::BeforeCommit) => break,
                Some(Cut::DuringCommit) => {
                    let _ = server.write_all(bytes);
                    break;
                }
                Some(Cut::AfterCommit) => {
                    let _ = client.shutdown(Shutdown::Both);
                    // Nobody is there to be told; the server learns it after it has answered.
                    let _ = server.write_all(bytes);
                    return;
                }
                None => {}
            }
            if server.write_all(bytes).is_err() {
                break;
            }
        }
        for stream in [client, server] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// From the server to the client, later.
    fn answer(&self, mut server: TcpStream, mut client: TcpStream) {
        let mut buffer = vec![0; 1024 * 1024];
        while let Ok(len) = server.read(&mut buffer)
            && len > 0
        {
            let due = Instant::now() + self.delay;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if client.write_all(&buffer[..len]).is_err() {
                break;
            }
        }
        for stream in [client, server] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A client over plain sockets: whatever can be written can be sent.

use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use super::{PATIENCE, Request, Response};

/// Sends each request on a connection of its own and remembers what it sent.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    trace: Arc<Mutex<Vec<String>>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, trace: Arc::default() }
    }

    #[track_caller]
    pub(crate) fn send(&self, request: &Request) -> Response {
        let mut connection = self.connect();
        match connection.exchange(request) {
            Ok(response) => {
                self.note(format!("{request}\n    -> {response}"));
                response
            }
            Err(error) => panic!("{request}: {error}"),
        }
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address).expect("the server accepts connections")
    }

    /// What was sent and answered so far, newest last.
    pub(crate) fn trace(&self) -> String {
        self.trace.lock().expect("no holder panics").join("\n")
    }

    fn note(&self, entry: String) {
        self.trace.lock().expect("no holder panics").push(entry);
    }

    #[track_caller]
    pub(crate) fn get(&self, target: impl Into<String>) -> Response {
        self.send(&Request::get(target))
    }

    #[track_caller]
    pub(crate) fn head(&self, target: impl Into<String>) -> Response {
        self.send(&Request::head(target))
    }

    #[track_caller]
    pub(crate) fn delete(&self, target: impl Into<String>) -> Response {
        self.send(&Request::delete(target))
    }

    #[track_caller]
    pub(crate) fn post(&self, target: impl Into<String>) -> Response {
        self.send(&Request::post(target))
    }
}

/// One connection, kept alive. Reading gives up after [`PATIENCE`].
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    input: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let input = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, input })
    }

    /// Sends a whole request and reads its answer. When the server closes while the request is still being
    /// sent, the answer it gave before counts.
    pub(crate) fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        let sent = request.write(&mut self.stream);
        let received = self.receive(&request.method);
        if received.is_err() {
            sent?;
        }
        received
    }

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Reads one response; `method` says whether it has a body.
    pub(crate) fn receive(&mut self, method: &str) -> io::Result<Response> {
        Response::read(&mut self.input, method)
    }

    /// Reads one interim response, like 100, and returns its status.
    pub(crate) fn receive_interim(&mut self) -> io::Result<u16> {
        Response::read_one(&mut self.input, "GET").map(|response| response.status)
    }

    /// What it receives, for who reads it in another way.
    pub(super) fn into_input(self) -> BufReader<TcpStream> {
        self.input
    }

    /// A second handle on the socket, for sending from another thread.
    pub(crate) fn sender(&self) -> TcpStream {
        self.stream.try_clone().expect("a socket can be duplicated")
    }

    /// Reads until the server closes; an error when it does not within the time.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        io::Read::read_to_end(&mut self.input, &mut rest)?;
        Ok(rest)
    }

    /// Says that nothing more is sent.
    pub(crate) fn finish_sending(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

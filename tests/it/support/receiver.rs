//! A receiver of webhooks over plain sockets, that answers as it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What came in.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map_or_else(|| panic!("no {name} in {self:?}"), |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("it is JSON")
    }
}

/// Listens on a free port of 127.0.0.1 as long as the test runs.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    answer: Arc<Mutex<String>>,
}

impl Receiver {
    /// One that takes everything.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let answer = Arc::new(Mutex::new("204 No Content".to_owned()));
        let (into, told) = (Arc::clone(&received), Arc::clone(&answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (into, told) = (Arc::clone(&into), Arc::clone(&told));
                std::thread::spawn(move || serve(stream, &into, &told));
            }
        });
        Self { address, received, answer }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers with this status line and these headers from now on.
    pub(crate) fn answer(&self, status: &str) {
        status.clone_into(&mut self.answer.lock().expect("no holder panics"));
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no holder panics").clone()
    }
}

fn serve(stream: TcpStream, into: &Mutex<Vec<Received>>, told: &Mutex<String>) -> Option<()> {
    let mut input = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            input.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut received = Received { line: line.trim_end().to_owned(), headers, body: Vec::new() };
        received.body.resize(received.header("content-length").parse().ok()?, 0);
        input.read_exact(&mut received.body).ok()?;
        into.lock().expect("no holder panics").push(received);
        let answer = told.lock().expect("no holder panics").clone();
        let length = if answer.starts_with("204") { "" } else { "content-length: 0\r\n" };
        write!(stream, "HTTP/1.1 {answer}\r\n{length}\r\n").ok()?;
    }
}

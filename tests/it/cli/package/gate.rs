//! A man in the middle: what stands between a client and a registry, and what goes wrong there.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::support::{PATIENCE, Server};

/// What happens to a request.
pub(super) enum Act {
    /// It reaches the registry.
    Pass,
    /// It is answered with this head (without the empty line) and body.
    Answer(String, String),
    /// The same, with any bytes.
    Bytes(String, Vec<u8>),
    /// It is answered with these bytes, and the connection ends.
    Raw(Vec<u8>),
    /// It is never answered.
    Stall,
    /// The connection breaks after so many bytes of its body.
    CutRequest(usize),
    /// The connection breaks after so many bytes of the answer.
    CutAnswer(usize),
    /// In its answer one text becomes another of the same length.
    Change(&'static str, &'static str),
}

/// The head of a request.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) line: String,
    text: String,
    /// Of a form; others go by.
    pub(super) form: String,
}

impl Head {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Listens for as long as the test runs.
pub(super) struct Gate {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Head>>>,
}

impl Gate {
    /// `decide` is asked for every request, with those that came before.
    pub(super) fn before(
        server: &Server,
        decide: impl Fn(&Head, &[Head]) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::at(server.address(), decide)
    }

    /// Before the server that is at this address when something passes.
    pub(super) fn at(
        upstream: SocketAddr,
        decide: impl Fn(&Head, &[Head]) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, decide) = (Arc::new(Mutex::new(Vec::new())), Arc::new(decide));
        let heads = Arc::clone(&seen);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (decide, heads) = (Arc::clone(&decide), Arc::clone(&heads));
                std::thread::spawn(move || {
                    // A connection that breaks is what this is for.
                    let _ = serve(connection, upstream, |head| {
                        let mut seen = heads.lock().unwrap();
                        let act = decide(head, &seen);
                        seen.push(head.clone());
                        act
                    });
                });
            }
        });
        Self { address, seen }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far whose first line begins so.
    pub(super) fn seen(&self, prefix: &str) -> Vec<Head> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|head| head.line.starts_with(prefix)).cloned().collect()
    }
}

/// One request per connection.
fn serve(
    mut client: TcpStream,
    upstream: SocketAddr,
    decide: impl FnOnce(&Head) -> Act,
) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).unwrap();
    let line = text.lines().next().unwrap_or_default().to_owned();
    let mut head = Head { line, text: text.clone(), form: String::new() };
    let mut length: usize = head.header("content-length").map_or(0, |value| value.parse().unwrap());
    if head.header("content-type") == Some("application/x-www-form-urlencoded") {
        (&client).take(length as u64).read_to_string(&mut head.form)?;
        length = 0;
    }
    let answer = match decide(&head) {
        Act::Answer(status, body) => Err((status, body.into_bytes())),
        Act::Bytes(status, body) => Err((status, body)),
        Act::Raw(bytes) => {
            std::io::copy(&mut (&client).take(length as u64), &mut std::io::sink())?;
            client.write_all(&bytes)?;
            return client.shutdown(Shutdown::Both);
        }
        Act::Stall => {
            // Until the client goes away.
            client.set_read_timeout(None)?;
            return std::io::copy(&mut client, &mut std::io::sink()).map(drop);
        }
        act => Ok(act),
    };
    let act = match answer {
        Ok(act) => act,
        Err((status, body)) => {
            std::io::copy(&mut (&client).take(length as u64), &mut std::io::sink())?;
            let length = body.len();
            write!(client, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
            return client.write_all(&body);
        }
    };
    let mut server = TcpStream::connect(upstream)?;
    let alone = format!("{}Connection: close\r\n\r\n", text.strip_suffix("\r\n").unwrap());
    server.write_all(alone.as_bytes())?;
    let sent = if let Act::CutRequest(most) = act { most.min(length) } else { length };
    std::io::copy(&mut (&client).take(sent as u64), &mut server)?;
    if sent < length {
        // What was sent arrives; then both ends are alone.
        server.shutdown(Shutdown::Write)?;
        std::io::copy(&mut server, &mut std::io::sink())?;
        return client.shutdown(Shutdown::Both);
    }
    match act {
        Act::CutAnswer(most) => {
            std::io::copy(&mut server.take(most as u64), &mut client)?;
        }
        Act::Change(from, to) => {
            let mut answer = Vec::new();
            server.read_to_end(&mut answer)?;
            if let Some(at) = answer.windows(from.len()).position(|part| part == from.as_bytes()) {
                answer[at..at + from.len()].copy_from_slice(to.as_bytes());
            }
            client.write_all(&answer)?;
        }
        _ => {
            std::io::copy(&mut server, &mut client)?;
        }
    }
    client.shutdown(Shutdown::Both)
}

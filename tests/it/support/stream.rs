//! An answer that goes on and on, read as it comes.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::{Connection, Request, Response};

/// The body of an answer of which only the head was read.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Without its body.
    pub(crate) head: Response,
    body: BufReader<Chunks>,
}

/// A server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: String,
    pub(crate) retry: String,
}

impl Sent {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Stream {
    /// Sends a request on a connection of its own, and reads the head of a chunked answer.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, request: &Request) -> Self {
        let mut connection = Connection::open(address).expect("the server accepts connections");
        connection.write(request.head_bytes()).expect("the server reads");
        let mut input = connection.into_input();
        let head =
            Response::read_one(&mut input, "HEAD").unwrap_or_else(|error| panic!("{request}: {error}"));
        assert_eq!(
            (head.status, head.header("transfer-encoding")),
            (200, Some("chunked")),
            "{request}: {head}"
        );
        Self { head, body: BufReader::new(Chunks { input, left: 0, is_over: false }) }
    }

    /// The next line; `None` behind the last chunk. An error when the connection breaks off, or nothing comes.
    pub(crate) fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let read = self.body.read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim_end_matches('\n').to_owned()))
    }

    /// The next line, which is JSON.
    #[track_caller]
    pub(crate) fn json(&mut self) -> Value {
        let line = self.line().expect("the stream goes on").expect("the stream has not ended");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The next server-sent event.
    #[track_caller]
    pub(crate) fn sent(&mut self) -> Sent {
        let mut sent = Sent::default();
        loop {
            let line = self.line().expect("the stream goes on").expect("the stream has not ended");
            if line.is_empty() {
                return sent;
            }
            let (field, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line}"));
            match field {
                "id" => value.clone_into(&mut sent.id),
                "event" => value.clone_into(&mut sent.event),
                "data" => value.clone_into(&mut sent.data),
                "retry" => value.clone_into(&mut sent.retry),
                other => panic!("a field {other}"),
            }
        }
    }

    /// What there is until the end.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.body.read_to_end(&mut rest).expect("the stream ends in order");
        rest
    }
}

/// The data of chunks.
#[derive(Debug)]
struct Chunks {
    input: BufReader<TcpStream>,
    left: usize,
    is_over: bool,
}

impl Chunks {
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.input.read_line(&mut line)?;
        let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
        line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(ended)
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_over || buffer.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            let size = self.line()?;
            self.left = usize::from_str_radix(&size, 16)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{error}: {size:?}")))?;
            if self.left == 0 {
                self.line()?;
                self.is_over = true;
                return Ok(0);
            }
        }
        let most = buffer.len().min(self.left);
        let read = self.input.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read;
        if self.left == 0 {
            self.line()?;
        }
        Ok(read)
    }
}

//! A client that costs as little as possible and is the same for every party: blocking sockets, fixed
//! requests, bodies thrown away.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Outcome;

/// A party that stands still for this long has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// A keep-alive connection.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    address: SocketAddr,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were read and not yet looked at.
    unread: std::ops::Range<usize>,
}

/// An answer without its body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    /// Bytes of head and body together.
    pub(super) length: usize,
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, address, buffer: vec![0; 256 * 1024], unread: 0..0 })
    }

    /// Sends a request whose body is `parts` and reads the answer, which must have the status `expected`.
    pub(super) fn call(
        &mut self,
        method: &str,
        target: &str,
        content_type: &str,
        parts: &[&[u8]],
        expected: u16,
    ) -> Outcome<Answer> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if !matches!(method, "GET" | "HEAD") {
            write!(head, "content-type: {content_type}\r\ncontent-length: {length}\r\n")?;
        }
        head += "\r\n";
        if length <= 64 * 1024 {
            let whole = [&[head.as_bytes()], parts].concat().concat();
            self.stream.write_all(&whole)?;
        } else {
            self.stream.write_all(head.as_bytes())?;
            parts.iter().try_for_each(|part| self.stream.write_all(part))?;
        }
        let answer = self.answer(method != "HEAD")?;
        if answer.status != expected {
            let status = answer.status;
            return Err(format!("{method} {target} was answered {status}, not {expected}").into());
        }
        Ok(answer)
    }

    /// Sends a prepared request and leaves the answer for later.
    pub(super) fn send(&mut self, request: &[u8]) -> Outcome<()> {
        Ok(self.stream.write_all(request)?)
    }

    /// Reads an answer and throws its body away.
    pub(super) fn answer(&mut self, has_body: bool) -> Outcome<Answer> {
        let head = self.head()?;
        let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or("not an HTTP answer")?;
        let mut answer = Answer { status, length: head.len(), head };
        if has_body && status != 204 {
            let length = answer.header("content-length").ok_or("an answer without a length")?.parse()?;
            self.skip(length)?;
            answer.length += length;
        }
        Ok(answer)
    }

    /// Throws away `length` bytes of answers.
    pub(super) fn skip(&mut self, mut length: usize) -> Outcome<()> {
        while length > 0 {
            if self.unread.is_empty() {
                self.fill()?;
            }
            let step = length.min(self.unread.len());
            self.unread.start += step;
            length -= step;
        }
        Ok(())
    }

    fn head(&mut self) -> Outcome<String> {
        let mut head = Vec::new();
        loop {
            if self.unread.is_empty() {
                self.fill()?;
            }
            let seen = head.len();
            head.extend_from_slice(&self.buffer[self.unread.clone()]);
            let from = seen.saturating_sub(3);
            let end = head[from..].windows(4).position(|window| window == b"\r\n\r\n");
            let Some(end) = end.map(|at| from + at + 4) else {
                self.unread = 0..0;
                continue;
            };
            self.unread.start += end - seen;
            head.truncate(end);
            return Ok(String::from_utf8(head)?);
        }
    }

    fn fill(&mut self) -> Outcome<()> {
        let read = loop {
            match self.stream.read(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if read == 0 {
            return Err("the connection was closed".into());
        }
        self.unread = 0..read;
        Ok(())
    }
}

impl Answer {
    /// A header's value; `name` in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Pushes a blob in two requests, as clients do.
pub(super) fn push_blob(client: &mut Client, repository: &str, digest: &str, parts: &[&[u8]]) -> Outcome<()> {
    let octets = "application/octet-stream";
    let begun = client.call("POST", &format!("/v2/{repository}/blobs/uploads/"), octets, &[], 202)?;
    let location = begun.header("location").ok_or("an upload without a location")?;
    let path = match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => location,
    };
    let separator = if path.contains('?') { '&' } else { '?' };
    client.call("PUT", &format!("{path}{separator}digest={digest}"), octets, parts, 201).map(drop)
}

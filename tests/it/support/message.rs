//! Requests and responses, as bytes on the wire.

use std::fmt;
use std::io::{self, BufRead, Read as _, Write};

use serde_json::Value;

/// A request, exactly as it will be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Payload,
}

/// How the body travels.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Absent,
    Length(Vec<u8>),
    Chunked(Vec<u8>),
}

impl Request {
    pub(crate) fn new(method: &str, target: impl Into<String>) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), payload: Payload::Absent }
    }

    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn head(target: impl Into<String>) -> Self {
        Self::new("HEAD", target)
    }

    pub(crate) fn post(target: impl Into<String>) -> Self {
        Self::new("POST", target)
    }

    pub(crate) fn put(target: impl Into<String>) -> Self {
        Self::new("PUT", target)
    }

    pub(crate) fn patch(target: impl Into<String>) -> Self {
        Self::new("PATCH", target)
    }

    pub(crate) fn delete(target: impl Into<String>) -> Self {
        Self::new("DELETE", target)
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A body with `Content-Length`.
    pub(crate) fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.payload = Payload::Length(bytes.into());
        self
    }

    /// A body with `Transfer-Encoding: chunked` and no length.
    pub(crate) fn chunked(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.payload = Payload::Chunked(bytes.into());
        self
    }

    /// The head: request line and headers. `Host` and the framing of the body are added when absent.
    pub(crate) fn head_bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let has = |name: &str| self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !has("host") {
            head += "Host: registry.test\r\n";
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match &self.payload {
            _ if has("content-length") || has("transfer-encoding") => {}
            // Go's client says so for the methods that usually have a body.
            Payload::Absent if ["POST", "PUT", "PATCH"].contains(&self.method.as_str()) => {
                head += "Content-Length: 0\r\n";
            }
            Payload::Absent => {}
            Payload::Length(bytes) => head += &format!("Content-Length: {}\r\n", bytes.len()),
            Payload::Chunked(_) => head += "Transfer-Encoding: chunked\r\n",
        }
        (head + "\r\n").into_bytes()
    }

    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.head_bytes())?;
        match &self.payload {
            Payload::Absent => {}
            Payload::Length(bytes) => out.write_all(bytes)?,
            Payload::Chunked(bytes) => {
                for piece in bytes.chunks(16 * 1024) {
                    write!(out, "{:x}\r\n", piece.len())?;
                    out.write_all(piece)?;
                    out.write_all(b"\r\n")?;
                }
                out.write_all(b"0\r\n\r\n")?;
            }
        }
        out.flush()
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        self.headers.iter().try_for_each(|(name, value)| write!(f, " [{name}: {value}]"))?;
        match &self.payload {
            Payload::Absent => Ok(()),
            Payload::Length(bytes) => write!(f, " ({} bytes)", bytes.len()),
            Payload::Chunked(bytes) => write!(f, " ({} bytes, chunked)", bytes.len()),
        }
    }
}

/// A response, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Reads a response to a request of this method. Interim answers are skipped.
    pub(crate) fn read(input: &mut impl BufRead, method: &str) -> io::Result<Self> {
        loop {
            let response = Self::read_one(input, method)?;
            if response.status >= 200 {
                return Ok(response);
            }
        }
    }

    pub(super) fn read_one(input: &mut impl BufRead, method: &str) -> io::Result<Self> {
        let start = line(input)?;
        let status = start.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status: u16 = status.ok_or_else(|| invalid(format!("status line {start:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = line(input)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(format!("header {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Self { status, headers, body: Vec::new() };
        if method != "HEAD" && status >= 200 && status != 204 && status != 304 {
            response.body = response.read_body(input)?;
        }
        Ok(response)
    }

    fn read_body(&self, input: &mut impl BufRead) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = line(input)?;
                let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
                let size = size.map_err(|error| invalid(error.to_string()))?;
                let start = body.len();
                body.resize(start + size, 0);
                input.read_exact(&mut body[start..])?;
                line(input)?;
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        match self.header("content-length") {
            Some(length) => {
                let length = length.parse().map_err(|_| invalid(format!("content-length {length:?}")))?;
                input.take(length).read_to_end(&mut body)?;
                if (body.len() as u64) < length {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body is short"));
                }
            }
            None => {
                input.read_to_end(&mut body)?;
            }
        }
        Ok(body)
    }

    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Every header of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// A header that must be there.
    #[track_caller]
    pub(crate) fn required(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no {name} in {self}"))
    }

    /// `Location`.
    #[track_caller]
    pub(crate) fn location(&self) -> String {
        self.required("location").to_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// The codes of an error body.
    #[track_caller]
    pub(crate) fn codes(&self) -> Vec<String> {
        let body = self.json();
        let errors = body["errors"].as_array().unwrap_or_else(|| panic!("no errors in {self}"));
        errors.iter().map(|error| error["code"].as_str().expect("a code is text").to_owned()).collect()
    }

    /// Checks the status and returns the response, for chains.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Checks status and code of a refusal.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status, status, "{self}");
        assert!(self.codes().iter().all(|found| found == code), "expected {code}: {self}");
        self
    }

    /// Checks a header and returns the response, for chains.
    #[track_caller]
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        assert_eq!(self.header(name), Some(value), "{name} of {self}");
        self
    }

    /// Checks that a header is absent and returns the response, for chains.
    #[track_caller]
    pub(crate) fn without(self, name: &str) -> Self {
        assert_eq!(self.header(name), None, "{name} of {self}");
        self
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        self.headers.iter().try_for_each(|(name, value)| write!(f, " [{name}: {value}]"))?;
        let shown = &self.body[..self.body.len().min(400)];
        if shown.is_empty() { Ok(()) } else { write!(f, " {}", String::from_utf8_lossy(shown)) }
    }
}

fn line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the line ends early: {line:?}"))),
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

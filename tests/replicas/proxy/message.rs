//! HTTP/1.1 messages, as far as a proxy has to know them: where they end.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Everything before a body.
pub(super) struct Head {
    pub(super) bytes: Vec<u8>,
}

impl Head {
    /// `None` when the peer has closed.
    pub(super) async fn read<R: AsyncBufRead + Unpin>(from: &mut R) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        loop {
            let before = bytes.len();
            if from.read_until(b'\n', &mut bytes).await? == 0 {
                return if bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            if &bytes[before..] == b"\r\n" {
                return Ok(Some(Self { bytes }));
            }
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("the SDK and the service write ASCII")
    }

    pub(super) fn first(&self) -> &str {
        self.text().lines().next().unwrap_or_default()
    }

    pub(super) fn is(&self, method: &str) -> bool {
        self.first().split(' ').next() == Some(method)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.text().lines().skip(1);
        let mut headers = lines.filter_map(|line| line.split_once(':'));
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(super) fn framing(&self, is_answer: bool) -> Framing {
        if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Framing::Chunked;
        }
        match self.header("content-length").and_then(|value| value.parse().ok()) {
            Some(length) => Framing::Length(length),
            None if !is_answer || [" 204", " 304"].iter().any(|code| self.first().contains(code)) => {
                Framing::Length(0)
            }
            None => Framing::Close,
        }
    }
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    Close,
}

impl Framing {
    pub(super) async fn pump<R: AsyncBufRead + Unpin, W: AsyncWrite + Unpin>(
        self,
        from: &mut R,
        to: &mut W,
    ) -> io::Result<()> {
        match self {
            Self::Length(length) => exactly(length, from, to).await,
            Self::Close => tokio::io::copy_buf(from, to).await.map(drop),
            Self::Chunked => loop {
                let mut line = Vec::new();
                from.read_until(b'\n', &mut line).await?;
                to.write_all(&line).await?;
                let size = std::str::from_utf8(&line).ok().and_then(|text| text.trim().split(';').next());
                let size = size.and_then(|text| u64::from_str_radix(text, 16).ok());
                match size.ok_or(io::ErrorKind::InvalidData)? {
                    0 => return trailer(from, to).await,
                    size => exactly(size + 2, from, to).await?,
                }
            },
        }
    }

    /// Passes on the beginning of a body. Returns what is left of it.
    pub(super) async fn pump_some<R: AsyncBufRead + Unpin, W: AsyncWrite + Unpin>(
        self,
        limit: u64,
        from: &mut R,
        to: &mut W,
    ) -> io::Result<Self> {
        let Self::Length(length) = self else { return Ok(self) };
        let some = limit.min(length);
        exactly(some, from, to).await?;
        Ok(Self::Length(length - some))
    }
}

async fn exactly<R: AsyncBufRead + Unpin, W: AsyncWrite + Unpin>(
    length: u64,
    from: &mut R,
    to: &mut W,
) -> io::Result<()> {
    let passed = tokio::io::copy_buf(&mut from.take(length), to).await?;
    if passed == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

async fn trailer<R: AsyncBufRead + Unpin, W: AsyncWrite + Unpin>(from: &mut R, to: &mut W) -> io::Result<()> {
    loop {
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line).await?;
        to.write_all(&line).await?;
        if line.is_empty() || line == b"\r\n" {
            return Ok(());
        }
    }
}

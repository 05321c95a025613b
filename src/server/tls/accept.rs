//! A connection's handshake.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::server::patient::Patient;

/// What a client is told that speaks HTTP without TLS: otherwise it would see a line that breaks and look for the
/// reason elsewhere.
const PLAIN_HTTP: &str = "HTTP/1.1 400 Bad Request\r\n\
                          connection: close\r\n\
                          content-type: text/plain; charset=utf-8\r\n\
                          content-length: 51\r\n\r\n\
                          This port speaks HTTPS; write https:// in the URL.\n";

/// What a refused client may still send while it is told why, in bytes and in time. A socket that is closed while bytes
/// are in it takes back what it said (RFC 9112 section 9.6).
const LINGER_BYTES: u64 = 64 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// The encrypted connection, or `None` when there is none until the deadline or until the server stops.
///
/// That is no trouble of the server: whoever scans ports makes some every minute. It is said when somebody looks for it.
pub(in crate::server) async fn accept(
    stream: Patient,
    config: Arc<ServerConfig>,
    deadline: Instant,
    stop: &CancellationToken,
) -> Option<TlsStream<Patient>> {
    let shaken = tokio::select! {
        shaken = tokio::time::timeout_at(deadline, handshake(stream, config)) => shaken,
        () = stop.cancelled() => return None,
    };
    match shaken {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => tracing::debug!("A TLS handshake failed: {error}"),
        Err(_) => tracing::debug!("A TLS handshake took too long"),
    }
    None
}

async fn handshake(stream: Patient, config: Arc<ServerConfig>) -> io::Result<TlsStream<Patient>> {
    // TLS begins with the type of a record, far below the first letter of a method.
    if stream.first_byte().await?.is_some_and(|byte| byte.is_ascii_alphabetic()) {
        refuse_plain(stream).await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the client speaks HTTP without TLS"));
    }
    match TlsAcceptor::from(config).accept(stream).into_fallible().await {
        Ok(stream) => Ok(stream),
        Err((error, stream)) => {
            let _ = close(stream).await;
            Err(error)
        }
    }
}

async fn refuse_plain(mut stream: Patient) -> io::Result<()> {
    stream.write_all(PLAIN_HTTP.as_bytes()).await?;
    close(stream).await
}

/// Ends a connection so that its client can read what it was told.
async fn close(mut stream: Patient) -> io::Result<()> {
    stream.shutdown().await?;
    let (mut rest, mut nowhere) = (stream.take(LINGER_BYTES), tokio::io::sink());
    let linger = tokio::io::copy(&mut rest, &mut nowhere);
    tokio::time::timeout(LINGER, linger).await.unwrap_or(Ok(0)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_without_tls_is_told_has_the_length_it_says() {
        let (head, body) = PLAIN_HTTP.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("\r\ncontent-length: {}", body.len())), "{head}");
    }
}

//! HTTP/2 with prior knowledge, or as TLS chose it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

use super::message::Payload;
use super::{PATIENCE, Request, Response};

type Chunks = futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, std::convert::Infallible>>>;
type Outgoing = Either<Full<Bytes>, StreamBody<Chunks>>;

/// One connection.
#[derive(Debug)]
pub(crate) struct H2 {
    runtime: Runtime,
    sender: http2::SendRequest<Outgoing>,
    /// Scheme, host and port.
    server: String,
}

impl H2 {
    /// Without encryption, by prior knowledge.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let runtime = runtime();
        let sender = runtime.block_on(async {
            shake(TcpStream::connect(address).await.expect("the server accepts connections")).await
        });
        Self { runtime, sender, server: format!("http://{address}") }
    }

    /// To `localhost`; the server must choose HTTP/2 of what `config` offers.
    pub(crate) fn encrypted(address: SocketAddr, config: ClientConfig) -> Self {
        let runtime = runtime();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("the server accepts connections");
            let name = ServerName::try_from("localhost").expect("it is a name");
            let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
            let stream = stream.expect("the server shows a certificate that is believed");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            shake(stream).await
        });
        Self { runtime, sender, server: format!("https://localhost:{}", address.port()) }
    }

    /// Sends a request; a chunked payload travels without a length.
    #[track_caller]
    pub(crate) fn send(&self, request: &Request) -> Response {
        let mut builder = hyper::Request::builder()
            .method(request.method.as_str())
            .uri(format!("{}{}", self.server, request.target));
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let body = match &request.payload {
            Payload::Absent => Either::Left(Full::default()),
            Payload::Length(bytes) => Either::Left(Full::new(bytes.clone().into())),
            Payload::Chunked(bytes) => {
                let frames: Vec<_> = bytes
                    .chunks(16 * 1024)
                    .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))))
                    .collect();
                Either::Right(StreamBody::new(futures_util::stream::iter(frames)))
            }
        };
        let sent = builder.body(body).expect("the request is well-formed");
        let mut sender = self.sender.clone();
        let answered = self.runtime.block_on(async move {
            let exchange = async {
                let response = sender.send_request(sent).await?;
                let (parts, body) = response.into_parts();
                Ok::<_, hyper::Error>((parts, body.collect().await?.to_bytes()))
            };
            tokio::time::timeout(PATIENCE, exchange).await
        });
        let (parts, body) = answered
            .unwrap_or_else(|_| panic!("{request}: no answer"))
            .unwrap_or_else(|error| panic!("{request}: {error:?}"));
        let text = |value: &hyper::header::HeaderValue| value.to_str().expect("ASCII").to_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        Response { status: parts.status.as_u16(), headers: headers.collect(), body: body.to_vec() }
    }
}

fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime can be built")
}

async fn shake<S>(stream: S) -> http2::SendRequest<Outgoing>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = shaken.expect("the server speaks HTTP/2");
    tokio::spawn(connection);
    sender
}

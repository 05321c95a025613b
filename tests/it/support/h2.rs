//! HTTP/2 with prior knowledge.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::message::Payload;
use super::{PATIENCE, Request, Response};

type Chunks = futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, std::convert::Infallible>>>;
type Outgoing = Either<Full<Bytes>, StreamBody<Chunks>>;

/// One h2c connection.
#[derive(Debug)]
pub(crate) struct H2 {
    runtime: Runtime,
    sender: http2::SendRequest<Outgoing>,
    address: SocketAddr,
}

impl H2 {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("the server accepts connections");
            let io = TokioIo::new(stream);
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.expect("the server speaks HTTP/2");
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender, address }
    }

    /// Sends a request; a chunked payload travels without a length.
    #[track_caller]
    pub(crate) fn send(&self, request: &Request) -> Response {
        let mut builder = hyper::Request::builder()
            .method(request.method.as_str())
            .uri(format!("http://{}{}", self.address, request.target));
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

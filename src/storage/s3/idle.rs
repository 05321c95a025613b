//! Time-outs for silence instead of length: a request fails when no byte moved for a while, however long it takes.
//!
//! The SDK's own read time-out counts from the start of a request, so that a large part over a slow line would
//! be cut; and what it has against standing bodies says nothing about a server that took the whole request and
//! never answers.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An HTTP client whose requests fail after `idle` without a byte moving.
#[derive(Debug)]
pub(super) struct IdleClient {
    pub(super) inner: SharedHttpClient,
    pub(super) idle: Duration,
}

#[derive(Debug)]
struct IdleConnector {
    inner: SharedHttpConnector,
    idle: Duration,
}

impl HttpClient for IdleClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(IdleConnector { inner, idle: self.idle })
    }
}

impl HttpConnector for IdleConnector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let (idle, moved) = (self.idle, Moved::now());
        if request.body().is_streaming() {
            let body = std::mem::replace(request.body_mut(), SdkBody::taken());
            *request.body_mut() = SdkBody::from_body_1_x(Sent { body, moved: moved.clone() });
        }
        let call = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            tokio::pin!(call);
            loop {
                let deadline = moved.last() + idle;
                tokio::select! {
                    answer = &mut call => {
                        return answer.map(|response| response.map(|body| {
                            SdkBody::from_body_1_x(Received { body, idle, waiting: None })
                        }));
                    }
                    () = sleep_until(deadline) => {
                        if moved.last() + idle <= Instant::now() {
                            return Err(ConnectorError::timeout(Silence(idle).into()));
                        }
                    }
                }
            }
        })
    }
}

/// Nothing moved for this long.
#[derive(Debug, thiserror::Error)]
#[error("no byte moved for {0:?}")]
struct Silence(Duration);

/// When a byte of the request was last taken by the network.
#[derive(Clone)]
struct Moved(Arc<Mutex<Instant>>);

impl Moved {
    fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A request body that notes when it is asked for more.
struct Sent {
    body: SdkBody,
    moved: Moved,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.moved.touch();
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        Body::is_end_stream(&self.body)
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&self.body)
    }
}

/// A response body that fails when it stands still while somebody waits for it. Whoever reads slowly is not at
/// fault: the time counts from the moment that nothing was there.
struct Received {
    body: SdkBody,
    idle: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Body for Received {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = None;
            return Poll::Ready(frame);
        }
        let deadline = this.waiting.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + this.idle)));
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Silence(this.idle).into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        Body::is_end_stream(&self.body)
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&self.body)
    }
}

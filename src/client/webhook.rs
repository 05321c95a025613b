//! Deliveries of webhooks, over HTTP.
//!
//! Not the [`Client`](super::Client) of registries: a receiver is a stranger. What it answers is read no further than it
//! can be shown, nothing is followed, and it is called at exactly the addresses that were looked at.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{DATE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

use super::{Error, tls};
use crate::registry::{
    Deliver, Delivery, Endpoint, Forbidden, Guard, Host, LONGEST_DELIVERY, Receipt, Undelivered,
};

/// A connection is made within this time.
const CONNECT: Duration = Duration::from_secs(15);

/// A connection that nothing is sent over is kept this long, for the next event.
const KEEP: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read.
const ANSWER: usize = 4096;

/// An answer whose status has come is read for this long.
const READ: Duration = Duration::from_secs(1);

/// Sends webhooks.
pub struct Sender {
    guard: Guard,
    pool: Pool<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
}

/// Resolves names to addresses that may be called, or to none.
#[derive(Clone, Debug)]
struct Resolver {
    guard: Guard,
}

impl Sender {
    /// Sends to where the guard lets it. Certificates are those of the system, or of the file that `SSL_CERT_FILE`
    /// names.
    pub fn new(guard: Guard) -> Result<Self, Error> {
        tls::check_roots()?;
        let mut tcp = HttpConnector::new_with_resolver(Resolver { guard: guard.clone() });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let builder = HttpsConnectorBuilder::new;
        let connector = match builder().with_native_roots() {
            Ok(connector) => connector,
            // A small container has no certificates; receivers without encryption can be called all the same.
            Err(error) => {
                let error: &dyn StdError = &error;
                tracing::warn!(error, "No certificates to trust: webhooks with https will fail");
                builder().with_tls_config(tls::trusting_nobody())
            }
        };
        let connector = connector.https_or_http().enable_http1().wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP)
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { guard, pool })
    }

    async fn exchange(&self, delivery: &Delivery) -> Result<Receipt, Undelivered> {
        let endpoint = &delivery.endpoint;
        // The resolver is not asked about an address that is written out.
        self.guard.check(endpoint).map_err(|forbidden| Undelivered::Forbidden(forbidden.to_string()))?;
        let request = request(delivery)?;
        let answer = self.pool.request(request).await;
        let answer = answer.map_err(|error| reason(endpoint, &error))?;
        let status = answer.status().as_u16();
        let retry_after = asked(answer.headers());
        let beginning = beginning(answer.into_body()).await;
        Ok(Receipt { status, retry_after, beginning })
    }
}

#[async_trait]
impl Deliver for Sender {
    async fn send(&self, delivery: &Delivery) -> Result<Receipt, Undelivered> {
        let late = || Undelivered::Late(format!("no answer within {} seconds", LONGEST_DELIVERY.as_secs()));
        tokio::time::timeout(LONGEST_DELIVERY, self.exchange(delivery)).await.unwrap_or_else(|_| Err(late()))
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({:?})", self.guard)
    }
}

fn request(delivery: &Delivery) -> Result<Request<Full<Bytes>>, Undelivered> {
    let unfit = |_| Undelivered::Unreachable("the request cannot be put together".to_owned());
    let uri: http::Uri = delivery.endpoint.expose().parse().map_err(|_| {
        // Without the text: it may hold a secret.
        Undelivered::Unreachable("the URL cannot be called".to_owned())
    })?;
    let mut request = Request::builder().method(Method::POST).uri(uri);
    for (name, value) in &delivery.headers {
        let unfit = |_| Undelivered::Unreachable("a header cannot be sent".to_owned());
        let mut value = HeaderValue::from_str(value).map_err(unfit)?;
        value.set_sensitive(*name == "webhook-signature");
        request = request.header(HeaderName::from_static(name), value);
    }
    request.body(Full::new(delivery.body.clone())).map_err(unfit)
}

/// How an answer begins. One that breaks off, or that never ends, is an answer all the same: its status says what
/// counts.
async fn beginning(mut body: Incoming) -> Bytes {
    let mut bytes = BytesMut::new();
    let reading = async {
        while bytes.len() < ANSWER {
            let Some(Ok(frame)) = body.frame().await else { break };
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data[..data.len().min(ANSWER - bytes.len())]);
            }
        }
    };
    // Late or not: what has come is what there is.
    let _ = tokio::time::timeout(READ, reading).await;
    bytes.freeze()
}

/// What `Retry-After` says: seconds, or a date.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    // By its own clock, whatever ours shows.
    let now = date(headers.get(DATE)?.to_str().ok()?)?;
    let seconds = date(text)?.as_second() - now.as_second();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Why there is no answer, in a sentence that does not show the URL.
fn reason(endpoint: &Endpoint, error: &hyper_util::client::legacy::Error) -> Undelivered {
    let host = endpoint.host();
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    let mut last = error.to_string();
    while let Some(cause) = next {
        if let Some(forbidden) = cause.downcast_ref::<Forbidden>() {
            return Undelivered::Forbidden(forbidden.to_string());
        }
        last = cause.to_string();
        // What an I/O error holds is not its source.
        let held = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = held.map_or_else(|| cause.source(), |held| Some(held));
    }
    if error.is_connect() {
        return Undelivered::Unreachable(format!("{host} cannot be reached: {last}"));
    }
    Undelivered::Unanswered(format!("{host} did not answer: {last}"))
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = self.guard.clone();
        Box::pin(async move {
            let found: Vec<IpAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.map(|found| found.ip()).collect();
            let checked = checked(&guard, name.as_str(), found)?;
            Ok(checked.into_iter().map(|address| SocketAddr::new(address, 0)).collect::<Vec<_>>().into_iter())
        })
    }
}

/// The addresses of a name, if every one of them may be called. One that may not makes the name suspicious, and which of
/// them is called would be chance.
fn checked(guard: &Guard, name: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, Forbidden> {
    let host = Host::Name(name.into());
    found.iter().try_for_each(|address| guard.check_address(&host, *address))?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_name_that_leads_inside_by_one_of_its_addresses_is_not_called() {
        let guard = Guard::default();
        let public = addresses(&["8.8.8.8", "2606:4700::1111"]);
        assert_eq!(checked(&guard, "hooks.example.com", public.clone()), Ok(public));
        for inside in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"] {
            let mixed = addresses(&["8.8.8.8", inside]);
            let refused = checked(&guard, "hooks.example.com", mixed).unwrap_err();
            assert_eq!(refused.host, "hooks.example.com", "{inside}");
        }
        let allowing = Guard::new(vec!["hooks.example.com".parse().unwrap()]);
        let inside = addresses(&["10.0.0.1"]);
        assert_eq!(checked(&allowing, "hooks.example.com", inside.clone()), Ok(inside.clone()));
        assert!(checked(&allowing, "other.example.com", inside).is_err());
    }

    #[tokio::test]
    async fn a_name_is_looked_at_by_what_it_resolves_to() {
        let mut resolver = Resolver { guard: Guard::default() };
        let refused = resolver.call("localhost".parse().unwrap()).await.unwrap_err();
        assert!(refused.downcast_ref::<Forbidden>().is_some(), "{refused}");
        let allowed = vec!["localhost".parse().unwrap()];
        let mut resolver = Resolver { guard: Guard::new(allowed) };
        assert!(resolver.call("localhost".parse().unwrap()).await.unwrap().count() > 0);
    }

    fn delivery(url: &str) -> Delivery {
        let endpoint = url.parse().unwrap();
        Delivery { endpoint, headers: vec![("webhook-id", "1".to_owned())], body: Bytes::from_static(b"{}") }
    }

    /// Answers every request on one connection the same way, once it has all of it.
    async fn receiver(answer: String) -> u16 {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut seen = Vec::new();
                while !seen.ends_with(b"\r\n\r\n{}") && stream.read_buf(&mut seen).await.unwrap() > 0 {}
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        port
    }

    #[tokio::test]
    async fn an_answer_is_read_no_further_than_it_can_be_shown_and_never_followed() {
        let guard = Guard::new(vec!["127.0.0.1".parse().unwrap()]);
        let sender = Sender::new(guard).unwrap();
        let long = "x".repeat(100_000);
        let port = receiver(format!(
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\nretry-after: 7\r\n\
             content-length: {}\r\n\r\n{long}",
            long.len()
        ))
        .await;
        let receipt = sender.send(&delivery(&format!("http://127.0.0.1:{port}/x"))).await.unwrap();
        assert_eq!((receipt.status, receipt.beginning.len()), (302, ANSWER));
        assert_eq!(receipt.retry_after, Some(Duration::from_secs(7)));
        let nowhere = sender.send(&delivery("http://127.0.0.1:1/secret")).await.unwrap_err();
        let Undelivered::Unreachable(text) = nowhere else { panic!("{nowhere:?}") };
        assert!(text.starts_with("127.0.0.1 cannot be reached") && !text.contains("secret"), "{text}");
    }

    #[tokio::test]
    async fn a_receiver_whose_answer_never_ended_was_sent_the_same_event_again() {
        let sender = Sender::new(Guard::new(vec!["127.0.0.1".parse().unwrap()])).unwrap();
        let port = receiver("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_owned()).await;
        let receipt = sender.send(&delivery(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
        assert_eq!((receipt.status, receipt.beginning.as_ref()), (200, b"abc".as_slice()));
    }

    #[tokio::test]
    async fn nothing_is_sent_to_an_address_inside_whatever_was_stored() {
        let sender = Sender::new(Guard::default()).unwrap();
        let port = receiver("HTTP/1.1 204 No Content\r\n\r\n".to_owned()).await;
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "a.localhost"] {
            let refused = sender.send(&delivery(&format!("http://{host}:{port}/"))).await.unwrap_err();
            let Undelivered::Forbidden(text) = refused else { panic!("{host}: {refused:?}") };
            assert!(text.contains("webhooks.allow"), "{host}: {text}");
        }
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_until_a_date() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            headers.insert(DATE, "Wed, 21 Oct 2015 07:28:00 GMT".parse().unwrap());
            asked(&headers)
        };
        assert_eq!(of("120"), Some(Duration::from_mins(2)));
        assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(of("Wed, 21 Oct 2015 08:28:00 GMT"), Some(Duration::from_hours(1)));
        assert_eq!(of("Wed, 21 Oct 2015 06:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(of("soon"), None);
    }
}

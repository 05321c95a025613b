//! Requests to one registry: retries, log-in, redirects and idle time-outs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::address::resolve;
use super::auth::Auth;
use super::credentials::Credentials;
use super::payload::{Outgoing, Payload};
use super::place::Server;
use super::{Error, IN_FLIGHT, retry, tls};

/// Nothing moves for this long, and the connection is given up; noticed within twice the time. There is no limit on
/// a whole transfer.
const IDLE: Duration = Duration::from_mins(1);

/// The same where the server has all of a request and what it has to do may take long: look at every part of a
/// package, or move a large file to its place.
const FINISH: Duration = Duration::from_mins(10);

/// Connections are made within this time.
const CONNECT: Duration = Duration::from_secs(10);

/// An idle connection is kept this long: less than servers keep theirs.
const KEEP: Duration = Duration::from_secs(20);

/// Hops of one download at most.
const REDIRECTS: usize = 5;

/// Log-ins for one request at most: the tokens of others may end it meanwhile.
const LOGINS: usize = 3;

/// Bytes read of an answer that explains a refusal.
const MAX_REASON: usize = 64 << 10;

/// A client of one registry. Cheap to clone; clones share connections and log-ins.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    server: Server,
    pool: Pool<HttpsConnector<HttpConnector>, Outgoing>,
    auth: Auth,
    patience: Patience,
    /// Whether the registry takes blobs in sessions only; it said so.
    wants_sessions: AtomicBool,
}

/// How long nothing may move.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) idle: Duration,
    pub(super) finish: Duration,
}

/// A request, as often as it has to be sent.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// Path and query, or a whole URL the server gave.
    pub(super) target: String,
    /// The repository it is about; tokens are for one.
    pub(super) scope: &'a str,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) payload: Payload,
    /// Whether the server may get it twice, so that it is sent again when nobody knows whether it arrived.
    pub(super) is_repeatable: bool,
    /// Whether it ends something, which may take the server long. It is not sent again when that is too long: the
    /// caller asks whether it was done.
    is_last: bool,
}

/// What one attempt brought.
struct Attempt {
    answer: Response<Incoming>,
    /// Whether the registry itself answered, and not the storage it redirected to.
    is_own: bool,
}

/// On an answer to a request that was sent more than once.
#[derive(Clone, Copy, Debug)]
struct Repeated;

/// Why a request got no answer.
enum Trouble {
    /// Nothing reached the server.
    NotSent(Error),
    /// Nobody knows.
    Broken(Error),
    /// Trying again leads nowhere.
    Final(Error),
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, target: impl Into<String>, scope: &'a str) -> Self {
        let is_repeatable = method != Method::POST;
        let (headers, payload) = (Vec::new(), Payload::empty());
        Self { method, target: target.into(), scope, headers, payload, is_repeatable, is_last: false }
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// A request that ends something.
    pub(super) fn last(mut self) -> Self {
        self.is_last = true;
        self
    }

    /// A request that must not arrive twice.
    pub(super) fn once(mut self) -> Self {
        self.is_repeatable = false;
        self
    }

    /// A POST that does no harm when it arrives twice.
    pub(super) fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// The request without its query, which may hold a signature.
    pub(super) fn what(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }
}

impl Client {
    /// A client that logs in with these credentials where the server asks for them. Nothing is sent yet.
    pub fn new(server: Server, credentials: Credentials) -> Result<Self, Error> {
        Self::with_patience(server, credentials, Patience { idle: IDLE, finish: FINISH })
    }

    pub(super) fn with_patience(
        server: Server,
        credentials: Credentials,
        patience: Patience,
    ) -> Result<Self, Error> {
        if !server.is_plain() {
            tls::check_roots()?;
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let builder = HttpsConnectorBuilder::new;
        let connector = match builder().with_native_roots() {
            Ok(connector) => connector,
            // A small container has no certificates, and needs none here.
            Err(_) if server.is_plain() => builder().with_tls_config(tls::trusting_nobody()),
            Err(error) => return Err(Error::NoRoots(error)),
        };
        let connector = connector.https_or_http().enable_http1().wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .pool_idle_timeout(KEEP)
            .pool_max_idle_per_host(IN_FLIGHT)
            .build(connector);
        let (auth, wants_sessions) = (Auth::new(credentials), AtomicBool::new(false));
        Ok(Self { inner: Arc::new(Inner { server, pool, auth, patience, wants_sessions }) })
    }

    /// The registry it talks to.
    pub fn server(&self) -> &Server {
        &self.inner.server
    }

    /// Whether blobs are to be sent in sessions only.
    pub(super) fn wants_sessions(&self) -> bool {
        self.inner.wants_sessions.load(Ordering::Relaxed)
    }

    /// Remembers that a blob in one request was answered with a session.
    pub(super) fn use_sessions(&self) {
        self.inner.wants_sessions.store(true, Ordering::Relaxed);
    }

    /// Sends a request until it is answered, at most [`retry::ATTEMPTS`] times. Every status that is left after
    /// retries, log-in and redirects is an answer.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Response<Incoming>, Error> {
        let mut logins = 0;
        let mut attempt = 1;
        loop {
            let login = self.inner.auth.known(call.scope);
            let outcome = self.follow(call, login.as_ref()).await;
            let last = attempt == retry::ATTEMPTS;
            let pause = match outcome {
                // Only the registry's own: where else would be told the password that is for it?
                Ok(Attempt { answer, is_own: true }) if answer.status() == StatusCode::UNAUTHORIZED => {
                    self.login(call, answer.headers(), login.as_ref()).await?;
                    logins += 1;
                    // The same again would be refused again; a token may have ended meanwhile.
                    if logins > LOGINS || self.inner.auth.known(call.scope) == login {
                        return Err(self.unauthorized(self.reason(answer).await.1));
                    }
                    continue;
                }
                Ok(Attempt { answer, .. }) if retry::is_passing(answer.status()) && !last => {
                    retry::pause(attempt, retry::asked(answer.headers()))
                }
                Ok(Attempt { mut answer, .. }) => {
                    if attempt > 1 {
                        answer.extensions_mut().insert(Repeated);
                    }
                    return Ok(answer);
                }
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::NotSent(error) | Trouble::Broken(error)) if last => return Err(error),
                Err(Trouble::Broken(error)) if !call.is_repeatable => return Err(error),
                Err(Trouble::Broken(error @ Error::Idle { .. })) if call.is_last => return Err(error),
                Err(Trouble::NotSent(_) | Trouble::Broken(_)) => {
                    call.payload.check_unchanged().await?;
                    retry::pause(attempt, None)
                }
            };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// As [`send`](Self::send); every status but the expected ones is a refusal.
    pub(super) async fn expect(
        &self,
        call: &Call<'_>,
        expected: &[StatusCode],
    ) -> Result<Response<Incoming>, Error> {
        let answer = self.send(call).await?;
        if expected.contains(&answer.status()) { Ok(answer) } else { Err(self.refusal(call, answer).await) }
    }

    /// What the server said to a request it did not carry out.
    pub(super) async fn refusal(&self, call: &Call<'_>, answer: Response<Incoming>) -> Error {
        if answer.status().is_success() {
            // Whoever answers everything so is no registry.
            return self.protocol(&call.what(), format!("the status {}", answer.status().as_u16()));
        }
        let status = answer.status().as_u16();
        let is_repeated = answer.extensions().get::<Repeated>().is_some();
        let (code, message) = self.reason(answer).await;
        let server = self.server().to_string();
        Error::Refused { server, what: call.what(), status, code, message, is_repeated }
    }

    /// The whole body, of at most `limit` bytes.
    pub(super) async fn body(
        &self,
        what: &str,
        answer: Response<Incoming>,
        limit: usize,
    ) -> Result<Bytes, Error> {
        let mut body = answer.into_body();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk(&mut body).await? {
            if bytes.len() + chunk.len() > limit {
                return Err(self.protocol(what, format!("its answer is longer than {limit} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// The next bytes of a body.
    pub(super) async fn chunk(&self, body: &mut Incoming) -> Result<Option<Bytes>, Error> {
        loop {
            let idle = self.inner.patience.idle;
            let frame = tokio::time::timeout(idle, body.frame()).await.map_err(|_| self.idle(idle))?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(error)) => return Err(self.unreachable(error)),
            }
        }
    }

    pub(super) fn protocol(&self, what: &str, reason: impl Into<String>) -> Error {
        Error::Protocol { server: self.server().to_string(), what: what.to_owned(), reason: reason.into() }
    }

    fn idle(&self, time: Duration) -> Error {
        Error::Idle { server: self.server().to_string(), seconds: time.as_secs() }
    }

    fn unreachable(&self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Unreachable { server: self.server().to_string(), source: Box::new(source) }
    }

    /// What did not answer: a redirect may have led elsewhere.
    fn unreachable_at(&self, target: &Uri, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        if self.is_own(target) {
            return self.unreachable(source);
        }
        let (host, server) = (self.host_of(target), self.server().to_string());
        Error::ElsewhereUnreachable { host, server, source: Box::new(source) }
    }

    /// Who is asked for a target, without what a URL may tell besides.
    fn host_of(&self, target: &Uri) -> String {
        match (target.scheme_str(), target.host()) {
            (Some(scheme), Some(host)) if !self.is_own(target) => {
                let port = target.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{scheme}://{host}{port}")
            }
            _ => self.server().to_string(),
        }
    }

    fn unauthorized(&self, reason: String) -> Error {
        let server = self.server();
        Error::Unauthorized { server: server.to_string(), host: server.login().to_owned(), reason }
    }

    /// Logs in as the answer asks, unless another request did so since this one was sent. One at a time: when a
    /// token ends, all requests under way are refused at once, and one new token does for them.
    async fn login(
        &self,
        call: &Call<'_>,
        headers: &HeaderMap,
        used: Option<&HeaderValue>,
    ) -> Result<(), Error> {
        let auth = &self.inner.auth;
        let _turn = auth.turn(call.scope).await;
        let known = auth.known(call.scope);
        if known.is_some() && known.as_ref() != used {
            return Ok(());
        }
        auth.login(self, call.scope, headers).await
    }

    /// What becomes of one attempt, without the pauses between attempts.
    #[cfg(test)]
    pub(super) async fn once_followed(&self, call: &Call<'_>) -> Result<StatusCode, Error> {
        match self.follow(call, None).await {
            Ok(attempt) => Ok(attempt.answer.status()),
            Err(Trouble::Final(error) | Trouble::NotSent(error) | Trouble::Broken(error)) => Err(error),
        }
    }

    /// Sends once, and follows where a download leads.
    async fn follow(&self, call: &Call<'_>, login: Option<&HeaderValue>) -> Result<Attempt, Trouble> {
        let mut target = self.absolute(&call.target).map_err(Trouble::Final)?;
        let first = target.authority().cloned();
        for _ in 0..REDIRECTS {
            // Storage behind a redirect has its own credentials in the URL.
            let is_own = self.is_own(&target);
            let is_elsewhere = target.authority() != first.as_ref();
            let answer = self.once(call, &target, login.filter(|_| is_own), is_elsewhere).await?;
            if !answer.status().is_redirection() || !matches!(call.method, Method::GET | Method::HEAD) {
                return Ok(Attempt { answer, is_own });
            }
            let Some(location) = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()) else {
                return Ok(Attempt { answer, is_own });
            };
            let next: Uri = resolve(&target.to_string(), location)
                .parse()
                .map_err(|_| Trouble::Final(self.redirected(call)))?;
            if next.authority().is_none() || (next.scheme_str() != Some("https") && !self.server().is_plain())
            {
                return Err(Trouble::Final(self.redirected(call)));
            }
            target = next;
        }
        Err(Trouble::Final(self.redirected(call)))
    }

    fn redirected(&self, call: &Call<'_>) -> Error {
        self.protocol(&call.what(), "it redirects in a circle, or to somewhere that is not encrypted")
    }

    async fn once(
        &self,
        call: &Call<'_>,
        target: &Uri,
        login: Option<&HeaderValue>,
        is_elsewhere: bool,
    ) -> Result<Response<Incoming>, Trouble> {
        let moved = Arc::new(AtomicU64::new(0));
        let body = call.payload.body(Arc::clone(&moved)).await.map_err(Trouble::Final)?;
        let mut request = Request::new(body);
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = target.clone();
        let headers = request.headers_mut();
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("artifactstore/", env!("CARGO_PKG_VERSION"))),
        );
        if !matches!(call.method, Method::GET | Method::HEAD) {
            headers.insert(CONTENT_LENGTH, call.payload.len().into());
        }
        for (name, value) in &call.headers {
            // A token service that redirects is not who the password is for.
            if is_elsewhere && *name == AUTHORIZATION {
                continue;
            }
            let value = HeaderValue::from_str(value);
            let value = value.map_err(|_| {
                Trouble::Final(
                    self.protocol(&call.what(), format!("{name} cannot be sent, it has control characters")),
                )
            })?;
            headers.append(name, value);
        }
        if let Some(login) = login {
            headers.insert(AUTHORIZATION, login.clone());
        }
        tokio::select! {
            answer = self.inner.pool.request(request) => answer.map_err(|error| {
                if let Some(error) = tls::refusal(self.host_of(target), &error) {
                    return Trouble::Final(error);
                }
                let not_sent = error.is_connect();
                let error = self.unreachable_at(target, error);
                if not_sent { Trouble::NotSent(error) } else { Trouble::Broken(error) }
            }),
            time = quiet(&moved, call.payload.len(), self.inner.patience, call.is_last) => {
                Err(Trouble::Broken(Error::Idle { server: self.host_of(target), seconds: time.as_secs() }))
            }
        }
    }

    /// Where the answer to a request says to go on; below the server's own address only what is behind that.
    pub(super) fn location(&self, call: &Call<'_>, headers: &HeaderMap) -> Result<String, Error> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let missing = || self.protocol(&call.what(), "its answer has no Location to go on at");
        let there = resolve(&self.absolute(&call.target)?.to_string(), location.ok_or_else(missing)?);
        let own = there.strip_prefix(&self.server().to_string()).filter(|path| path.starts_with('/'));
        Ok(own.map(str::to_owned).unwrap_or(there))
    }

    /// The target as a URL: the server's paths are relative to it.
    fn absolute(&self, target: &str) -> Result<Uri, Error> {
        let url =
            if target.starts_with('/') { format!("{}{target}", self.server()) } else { target.to_owned() };
        let uri: Option<Uri> = url.parse().ok();
        let is_fit = |uri: &Uri| match uri.scheme_str() {
            Some("https") => true,
            Some("http") => self.server().is_plain(),
            _ => false,
        };
        uri.filter(is_fit).ok_or_else(|| {
            let place = crate::secret::without_password(target);
            self.protocol(&place, "that is no address to go on at")
        })
    }

    fn is_own(&self, uri: &Uri) -> bool {
        uri.authority().is_some_and(|authority| authority.as_str() == self.server().authority())
    }

    /// The first error of an OCI error body.
    async fn reason(&self, answer: Response<Incoming>) -> (String, String) {
        let Ok(bytes) = self.body("", answer, MAX_REASON).await else {
            return (String::new(), String::new());
        };
        let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = |field: &str| {
            let text = body["errors"][0][field].as_str().unwrap_or_default();
            // It goes to a terminal.
            let plain: String = text.chars().filter(|c| !c.is_control()).take(1000).collect();
            plain
        };
        (text("code"), text("message"))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.server())
    }
}

/// Ends when nothing was taken from the body for the time, which it tells. A request that ends something and has
/// been taken whole gets longer.
pub(super) async fn quiet(moved: &AtomicU64, all: u64, patience: Patience, is_last: bool) -> Duration {
    loop {
        let before = moved.load(Ordering::Relaxed);
        let time = if is_last && before >= all { patience.finish } else { patience.idle };
        tokio::time::sleep(time).await;
        if moved.load(Ordering::Relaxed) == before {
            return time;
        }
    }
}

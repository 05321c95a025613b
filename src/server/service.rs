//! One request through the layers.

use std::any::Any;
use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::header::{CONTENT_LENGTH, EXPECT, HeaderName, USER_AGENT};
use http::{HeaderMap, Method, Request};
use hyper::body::Incoming;

use super::body::{self, ResponseBody};
use super::error::{self, Error};
use super::limits::{Guard, Refused};
use super::respond::{Answer, Headers as _};
use super::route::{Permission, Route};
use super::{State, extension, metrics, probes, v2};
use crate::registry::{Actor, Body, Origin, Registry, Sight};

/// What a handler may use of a request.
pub(super) struct Call<'a> {
    pub(super) state: &'a State,
    pub(super) actor: Actor,
    pub(super) headers: HeaderMap,
    pub(super) is_head: bool,
    body: Option<Body>,
}

impl Call<'_> {
    /// The body; a handler takes it at most once.
    pub(super) fn body(&mut self) -> Body {
        self.body.take().unwrap_or_else(|| Box::pin(futures_util::stream::empty()))
    }

    /// The declared length of the body.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// What the caller may see of the log. It is asked about every event before that goes to the caller, also in the
    /// middle of a stream. Everybody sees everything, like everybody may [do](authorise) everything.
    #[expect(
        clippy::unused_self,
        reason = "what somebody sees depends on who it is as soon as that is known"
    )]
    pub(super) fn sight(&self) -> Sight {
        Registry::full_sight()
    }

    /// A header as text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What a client or a proxy calls a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) async fn serve(
    state: Arc<State>,
    request: Request<Incoming>,
    peer: IpAddr,
) -> Result<Answer, Infallible> {
    let (parts, incoming) = request.into_parts();
    let waits_for_continue = parts.headers.contains_key(EXPECT);
    let mut call = Call {
        state: &state,
        actor: Actor::anonymous(),
        headers: parts.headers,
        is_head: parts.method == Method::HEAD,
        body: Some(body::incoming(incoming, waits_for_continue, state.options.idle_timeout)),
    };
    let route = Route::parse(&parts.method, parts.uri.path(), parts.uri.query());
    let admitted = admit(&state, route.as_ref().ok(), peer);
    let answered = match (route, admitted) {
        (_, Err(refused)) => Err(refused.into()),
        (Ok(route), Ok(_under_way)) => {
            call.actor = authorise(&route.permission());
            // A panic is a bug, or a view that was altered by hand: the client gets a 500, not a dead connection.
            let origin = origin(&call, peer);
            let dispatched = origin.scope(AssertUnwindSafe(dispatch(route, &mut call)).catch_unwind()).await;
            dispatched.unwrap_or_else(|panic| Err(Error::Panicked(reason(&*panic))))
        }
        (Err(error), Ok(_)) => Err(error.into()),
    };
    let mut answer = answered.unwrap_or_else(error::answer);
    // Without the query: a signed URL opens what it names for whoever reads the log.
    tracing::debug!(status = answer.status().as_u16(), "{} {}", parts.method, parts.uri.path());
    if call.is_head {
        *answer.body_mut() = ResponseBody::Empty;
    }
    answer.set(HeaderName::from_static("docker-distribution-api-version"), "registry/2.0");
    answer.set(http::header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    Ok(answer)
}

fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Lets a request in, also one that asks for nothing there is. Probes always are: whoever sends them would take a busy
/// server for a dead one.
fn admit(state: &State, route: Option<&Route>, peer: IpAddr) -> Result<Option<Guard>, Refused> {
    if route.is_some_and(|route| route.permission() == Permission::None) {
        return Ok(None);
    }
    state.limits.admit(peer, route.is_some_and(Route::stores), state.clock.elapsed())
}

/// Where a request comes from. The address is that of the socket: what a header says of others is anybody's word.
fn origin(call: &Call<'_>, peer: IpAddr) -> Origin {
    Origin::request(peer, call.header(&USER_AGENT), call.header(&REQUEST_ID))
}

/// Who is calling. There is no authentication yet: everyone may do everything, and the server listens on
/// loopback unless it was told otherwise.
fn authorise(_: &Permission<'_>) -> Actor {
    Actor::anonymous()
}

async fn dispatch(route: Route, call: &mut Call<'_>) -> Result<Answer, Error> {
    match route {
        Route::Health | Route::Ready => Ok(probes::ready(&call.state.registry).await),
        Route::Live => Ok(probes::live(&call.state.registry)),
        Route::Metrics => metrics::metrics(call.state).await,
        Route::Extension(route) => extension::dispatch(route, call).await,
        Route::Base => Ok(v2::base::base()),
        Route::Discover(_) => Ok(v2::base::discover()),
        Route::Catalog(page) => v2::lists::catalog(call, page).await,
        Route::TagHistory(name, tag, asked) => v2::history::of_tag(call, &name, &tag, asked).await,
        Route::Tags(name, page) => v2::lists::tags(call, &name, page).await,
        Route::Referrers(name, digest, filter) => v2::lists::referrers(call, &name, &digest, filter).await,
        Route::Blob(name, digest) => v2::blobs::get(call, &name, &digest).await,
        Route::DeleteBlob(name, digest) => v2::blobs::delete(call, &name, &digest).await,
        Route::BeginUpload(name, begin) => v2::uploads::begin(call, &name, begin).await,
        Route::UploadStatus(name, id) => v2::uploads::status(call, name, id).await,
        Route::UploadChunk(name, id) => v2::uploads::chunk(call, name, id).await,
        Route::FinishUpload(name, id, digest) => v2::uploads::finish(call, name, id, digest).await,
        Route::CancelUpload(name, id) => v2::uploads::cancel(call, name, id).await,
        Route::Manifest(name, reference) => v2::manifests::get(call, &name, &reference).await,
        Route::PushManifest(name, reference, tags) => v2::manifests::put(call, &name, &reference, tags).await,
        Route::DeleteManifest(name, reference) => v2::manifests::delete(call, &name, &reference).await,
    }
}

//! Events: the log as a list and as a stream, and pages of what happened to one thing.
//!
//! One cursor, the number of the last event a client has seen, is good for all framings. JSON is a page, for which a
//! client may wait (long poll); lines of JSON and server-sent events follow the log on and on; a CBOR sequence has the
//! stored bytes.

mod frame;
mod list;
mod shape;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, VARY};
use serde_json::{Value, json};

use super::super::error::Error;
use super::super::respond::{Answer, Headers as _, empty, held, open};
use super::super::room::{PROJECTED, Taken};
use super::super::route::{Events, Format, RouteError, Since, sequence};
use super::super::service::Call;
use super::accept;
use crate::oci::RepositoryName;
use crate::package::PackageId;
use crate::registry::{Begin, Event, Feed, Record};
use frame::{Frames, Framing};
pub(super) use shape::projected;

/// Events of a page, at most and when nobody says. The log ends one earlier when it gets too large.
pub(super) const MAX_PAGE: usize = 1000;

/// What an event takes besides its payload, in bytes.
const EVENT: usize = 2048;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

const JSON: &str = "application/json";

/// `CloudEvents` in a JSON array.
const BATCH: &str = "application/cloudevents-batch+json";

/// In what an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Page(Format),
    Stream(Framing, Format),
}

/// `GET G/events…` and `GET R/events…`
pub(super) async fn follow(call: &mut Call<'_>, asked: Events) -> Result<Answer, Error> {
    let form = form(call, asked.format)?;
    let begin = begin(call, &asked, form)?;
    let registry = &call.state.registry;
    if let Some(name) = &asked.of {
        registry.check_repository(name).await?;
    }
    let feed = registry.follow(begin, &asked.expected, asked.filter.clone(), call.sight()).await?;
    let media_type = match form {
        Form::Page(Format::Json) => JSON,
        Form::Page(Format::CloudEvents) => BATCH,
        Form::Stream(framing, _) => framing.media_type(),
    };
    let answer = match form {
        _ if call.is_head => empty(StatusCode::OK).with(CONTENT_TYPE, media_type),
        Form::Page(format) => list::page(call.state, feed, &asked, format).await?,
        Form::Stream(framing, format) => stream(call, feed, &asked, framing, format)?,
    };
    // Proxies would otherwise keep events until they have a bufferful.
    Ok(answer.with(CACHE_CONTROL, "no-cache").with(ACCEL_BUFFERING, "no").with(VARY, "Accept"))
}

/// The form the client wants, of those there are of a format.
fn form(call: &Call<'_>, format: Option<Format>) -> Result<Form, Error> {
    use Form::{Page, Stream};
    const LINES: &[&str] = &["application/x-ndjson", "application/ndjson", "application/jsonl"];
    const SSE: &[&str] = &["text/event-stream"];
    const CBOR: &[&str] = &["application/cbor-seq"];
    const NAMES: &[&str] =
        &[JSON, "application/x-ndjson", "text/event-stream", "application/cbor-seq", BATCH];
    let as_cloud = format == Some(Format::CloudEvents);
    let of = format.unwrap_or(Format::Json);
    let page: &[&str] = if as_cloud { &[BATCH, JSON] } else { &[JSON] };
    let mut offers = vec![page, LINES, SSE];
    let mut forms = vec![Page(of), Stream(Framing::Ndjson, of), Stream(Framing::Sse, of)];
    if !as_cloud {
        offers.push(CBOR);
        forms.push(Stream(Framing::Cbor, of));
    }
    if format.is_none() {
        offers.push(&[BATCH]);
        forms.push(Page(Format::CloudEvents));
    }
    match accept::preferred(&call.headers, &offers) {
        Some(offer) => Ok(forms[offer]),
        None if accept::preferred(&call.headers, &[CBOR]).is_some() => {
            let reason = "there is no CBOR of it".to_owned();
            Err(RouteError::Query { name: "format", reason }.into())
        }
        None => Err(Error::NotAcceptable(NAMES)),
    }
}

/// Lists begin with the log, what follows it with what comes. A browser that lost its stream says where that was, and
/// sends the rest of its request as before.
fn begin(call: &Call<'_>, asked: &Events, form: Form) -> Result<Begin, Error> {
    if let (Form::Stream(Framing::Sse, _), Some(id)) = (form, call.headers.get(LAST_EVENT_ID)) {
        let id = id.to_str().ok().and_then(sequence);
        return id.map(Begin::After).ok_or(Error::LastEventId);
    }
    let is_list = match form {
        Form::Page(_) => true,
        Form::Stream(framing, _) => framing.is_list(),
    };
    Ok(asked.since.clone().unwrap_or(if is_list { Begin::After(0) } else { Begin::Now }))
}

fn stream(
    call: &Call<'_>,
    feed: Feed,
    asked: &Events,
    framing: Framing,
    format: Format,
) -> Result<Answer, Error> {
    let (state, head) = (call.state, call.state.registry.head());
    let limit = state.options.max_streams;
    let slot = Arc::clone(&state.streams).try_acquire_owned();
    let patience = asked.wait.or(framing.is_list().then_some(0));
    let (place, last) = (feed.after(), head.last());
    let stream = stream::Stream {
        feed,
        frames: Frames { framing, format, log_id: head.log_id.into(), epoch: head.epoch },
        left: asked.limit.unwrap_or(usize::MAX),
        patience: patience.map(Duration::from_secs),
        lasts: state.options.stream_time,
        bookmark: state.options.bookmark,
        room: state.room.clone(),
        stopping: state.stopping.clone(),
        _slot: slot.map_err(|_| Error::TooManyStreams { limit })?,
    };
    Ok(open(framing.media_type(), stream.into_body(last.max(place))))
}

/// `GET R/packages/<id>/events?since=&limit=`
pub(super) async fn of_package(
    call: &mut Call<'_>,
    name: &RepositoryName,
    id: &PackageId,
    Since { since, limit }: Since,
) -> Result<Answer, Error> {
    let registry = &call.state.registry;
    let package = registry.package_in(name, id).await?;
    let head = registry.head();
    let limit = limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let (making, body) = need(registry.package_events_size(id, since, limit).await?);
    let room = call.state.room.take(making, body).await?;
    let events = registry.package_events(id, since, limit).await?;
    if events.is_empty() {
        registry.check_cursor(since).await?;
    }
    let last = events.last().map_or(since, |event| event.sequence);
    // Another replica may have recorded what was just read, and this one not have heard of it.
    let newest = head.last().max(last);
    let scanned_to = if last < package.revision { last } else { newest };
    let rest = json!({
        "log_id": head.log_id, "epoch": head.epoch, "next_since": last, "scanned_to": scanned_to, "head": newest,
    });
    page(events, &rest, room).await
}

/// The memory for a page of so many events with so many bytes of payload: while it is made, and while it is sent.
pub(super) fn need((count, size): (usize, usize)) -> (usize, usize) {
    (size * (PROJECTED + 2) + count * EVENT, size * 2 + count * EVENT / 2)
}

/// Events, and an object of what else there is to say; in the memory that was taken for them.
pub(super) async fn page(events: Vec<Event>, rest: &Value, room: Taken) -> Result<Answer, Error> {
    let mut body = b"{\"events\":[".to_vec();
    for (at, event) in events.into_iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        let record = Arc::new(Record::from(&event));
        drop(event);
        body.extend_from_slice(&shape::shown(&record).await?);
    }
    close(&mut body, rest);
    Ok(held(JSON, room.hold(body)))
}

/// The end of the list, and what else there is to say.
fn close(body: &mut Vec<u8>, rest: &Value) {
    let mut text = String::new();
    let _ = write!(text, "],{}", &rest.to_string()[1..]);
    body.extend_from_slice(text.as_bytes());
}

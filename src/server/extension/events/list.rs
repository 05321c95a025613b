//! A page of the log, and waiting for one on which there is something.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, LINK};
use serde_json::json;
use tokio::time::Instant;

use super::{BATCH, JSON, MAX_PAGE, need, shape};
use crate::registry::{EventPage, Feed, Record, SCANNED_EVENTS, TypePattern, cloud_event};
use crate::server::State;
use crate::server::error::Error;
use crate::server::respond::{Answer, Headers as _, held};
use crate::server::route::{Events, Format, events_path, plain};

/// How long a page waits for its turn to be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// A page of events, or, after the time that the client waits, one without.
pub(super) async fn page(
    state: &State,
    mut feed: Feed,
    asked: &Events,
    format: Format,
) -> Result<Answer, Error> {
    let limit = asked.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let until = Instant::now() + Duration::from_secs(asked.wait.unwrap_or_default());
    loop {
        let before = feed.after();
        // What was read is in memory until its room is found.
        let reading = tokio::time::timeout(PATIENCE, state.pages.acquire()).await;
        let reading = reading.map_err(|_| Error::Crowded)?.map_err(|_| Error::Crowded)?;
        let page = Box::pin(feed.page(limit)).await?;
        let many = i64::try_from(SCANNED_EVENTS).unwrap_or(i64::MAX);
        let has_worked = page.scanned_to - before >= many;
        let is_over = Instant::now() >= until || state.stopping.is_cancelled();
        if !page.records.is_empty() || has_worked || (is_over && page.is_last()) {
            return match format {
                Format::Json => json_page(state, page).await,
                Format::CloudEvents => batch(state, page, asked).await,
            };
        }
        drop(reading);
        if page.is_last() {
            tokio::select! {
                waited = feed.wait() => waited?,
                () = tokio::time::sleep_until(until) => {}
                () = state.stopping.cancelled() => {}
            }
        }
    }
}

async fn json_page(state: &State, page: EventPage) -> Result<Answer, Error> {
    let head = state.registry.head();
    let rest = json!({
        "log_id": head.log_id, "epoch": head.epoch, "next_since": page.scanned_to, "scanned_to": page.scanned_to,
        "head": page.head.max(page.scanned_to),
    });
    let (making, size) = memory(&page);
    let room = state.room.take(making, size).await?;
    let mut body = b"{\"events\":[".to_vec();
    for (at, record) in page.records.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&shape::shown(record).await?);
    }
    super::close(&mut body, &rest);
    Ok(held(JSON, room.hold(body)))
}

/// A batch has no place for anything but events: where the next one begins is in the link.
async fn batch(state: &State, page: EventPage, asked: &Events) -> Result<Answer, Error> {
    let head = state.registry.head();
    let (making, size) = memory(&page);
    let room = state.room.take(making, size).await?;
    let mut body = b"[".to_vec();
    for (at, record) in page.records.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        let shown = shape::shown(record).await?;
        body.extend(cloud_event(record, &shown, &head.log_id));
    }
    body.push(b']');
    let next = next(asked, page.scanned_to, &head.log_id, head.epoch);
    let answer = held(BATCH, room.hold(body));
    Ok(answer.with(CONTENT_TYPE, BATCH).with(LINK, &format!("<{next}>; rel=\"next\"")))
}

fn memory(page: &EventPage) -> (usize, usize) {
    let size = |record: &Arc<Record>| record.payload.len();
    need((page.records.len(), page.records.iter().map(size).sum()))
}

/// The same request for what comes behind.
fn next(asked: &Events, since: i64, log_id: &str, epoch: i64) -> String {
    let mut next = format!(
        "{}?since={since}&log_id={log_id}&epoch={epoch}&format=cloudevents",
        events_path(asked.of.as_ref())
    );
    let types: Vec<&str> = asked.filter.types.iter().map(TypePattern::as_str).collect();
    let repository = asked.filter.repository.as_ref().filter(|_| asked.of.is_none());
    let optional = [
        ("limit", asked.limit.map(|limit| limit.to_string())),
        ("wait", asked.wait.map(|wait| wait.to_string())),
        ("types", (!types.is_empty()).then(|| types.join(","))),
        ("package", asked.filter.package.as_ref().map(ToString::to_string)),
        ("repository", repository.map(ToString::to_string)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            let _ = write!(next, "&{name}={}", plain(&value));
        }
    }
    next
}

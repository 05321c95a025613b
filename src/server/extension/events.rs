//! Events as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::error::Error;
use super::super::respond::{Answer, held};
use super::super::room::{PROJECTED, Taken};
use super::super::route::Since;
use super::super::service::Call;
use crate::codec::jcs;
use crate::oci::RepositoryName;
use crate::package::PackageId;
use crate::registry::Event;
use crate::retention::rfc3339;

/// Events of a page, at most and when nobody says. The log ends one earlier when it gets too large.
pub(super) const MAX_PAGE: usize = 1000;

/// What an event takes besides its payload, in bytes.
const EVENT: usize = 2048;

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
    let mut body = String::from("{\"events\":[");
    for (at, event) in events.into_iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        write(&mut body, event).await?;
    }
    let _ = write!(body, "],{}", &rest.to_string()[1..]);
    Ok(held("application/json", room.hold(body.into_bytes())))
}

/// The payload goes in as text: that of a large package would be a large tree.
async fn write(body: &mut String, event: Event) -> Result<(), Error> {
    let mut shape = json!({
        "sequence": event.sequence,
        "type": event.type_name(),
        "recorded_at": rfc3339(event.recorded_at),
        "actor": event.actor.as_str(),
        "subject": event.fact.subject(),
        "leaf_hash": format!("sha256:{}", hex(event.leaf_hash())),
    });
    if let Some(repository) = event.fact.repository() {
        shape["repository"] = repository.as_str().into();
    }
    let payload = projected(event.payload().to_vec()).await?;
    let payload = String::from_utf8(payload).expect("JSON is UTF-8");
    let _ = write!(body, "{{\"payload\":{payload},{}", &shape.to_string()[1..]);
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The canonical JSON of stored canonical CBOR. Up to 16 MiB of it, hence on a thread of its own.
pub(super) async fn projected(cbor: Vec<u8>) -> Result<Vec<u8>, Error> {
    let projected = tokio::task::spawn_blocking(move || jcs::from_cbor(&cbor)).await;
    match projected {
        Ok(Ok(json)) => Ok(json),
        Ok(Err(error)) => Err(Error::Panicked(format!("stored CBOR has no projection: {error}"))),
        Err(error) => Err(Error::Panicked(error.to_string())),
    }
}

//! The history of a tag, as `extensions/_oci.md` of the distribution specification proposes it.

use std::fmt::Write as _;

use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde_json::{Value, json};

use super::super::download::CHANGING;
use super::super::error::Error;
use super::super::respond::{Answer, Headers as _, full, link};
use super::super::route::{History, plain};
use super::super::service::Call;
use crate::oci::{RepositoryName, Tag, media};
use crate::registry::{TagTurn, Turn};
use crate::retention::rfc3339;

/// Entries of a page, at most and when nobody says.
const MAX_PAGE: usize = 1000;

/// `GET /v2/<name>/_oci/tag-history/<tag>`: an index of what the tag named, the newest first. A tag that never was has an
/// empty one, as the proposal wants it: 404 is for registries that know no history.
pub(in crate::server) async fn of_tag(
    call: &mut Call<'_>,
    name: &RepositoryName,
    tag: &Tag,
    asked: History,
) -> Result<Answer, Error> {
    let limit = asked.n.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let (entries, next) = call.state.registry.tag_history(name, tag, &asked.span, limit).await?;
    let manifests: Vec<Value> = entries.iter().map(shape).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": media::OCI_IMAGE_INDEX, "manifests": manifests });
    let answer = full(StatusCode::OK, media::OCI_IMAGE_INDEX, index.to_string());
    let next = next.map(|last| {
        let mut next = format!("/v2/{name}/_oci/tag-history/{tag}?n={limit}&last={last}");
        if let Some(since) = asked.span.since {
            let _ = write!(next, "&since={}", plain(&rfc3339(since)));
        }
        if let Some(digest) = &asked.span.digest {
            let _ = write!(next, "&digest={}", plain(digest.as_str()));
        }
        next
    });
    Ok(link(answer.with(CACHE_CONTROL, CHANGING), next))
}

fn shape(entry: &TagTurn) -> Value {
    let event = match entry.turn {
        Turn::Moved => "created",
        Turn::Deleted => "deleted",
    };
    let mut annotations = json!({
        "org.opencontainers.distribution.tag.timestamp": rfc3339(entry.at),
        "org.opencontainers.distribution.tag.event": event,
        "dev.artifactstore.tag.sequence": entry.sequence.to_string(),
        "dev.artifactstore.tag.actor": entry.actor,
    });
    if let Some(previous) = &entry.previous {
        annotations["dev.artifactstore.tag.previous"] = previous.as_str().into();
    }
    json!({
        "mediaType": entry.media_type, "size": entry.size, "digest": entry.digest, "annotations": annotations,
    })
}

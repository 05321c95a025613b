//! Blobs: pull and delete.

use http::StatusCode;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_RANGE, LOCATION, RANGE,
};

use super::super::conditional;
use super::super::error::Error;
use super::super::respond::{Answer, DIGEST, Headers as _, REDIRECT, empty};
use super::super::service::Call;
use super::ranges;
use crate::oci::{Digest, RangeHeader, RangeRequest, RepositoryName, media};

/// Content under a digest never changes.
pub(super) const IMMUTABLE: &str = "private, max-age=31536000, immutable";

/// GET and HEAD of a blob, with conditions and ranges. A `Range` on HEAD means nothing (RFC 9110 section 14.2).
///
/// Storage that gives out URLs serves a GET itself, unless the client said not to, or asks for something that
/// storage would answer otherwise than we do. HEAD is always answered from the database.
pub(in crate::server) async fn get(
    call: &mut Call<'_>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Answer, Error> {
    let registry = &call.state.registry;
    let blob = registry.blob(name, digest).await?;
    if conditional::is_known(&call.headers, digest) {
        return Ok(describe(empty(StatusCode::NOT_MODIFIED), digest));
    }
    let range =
        call.header(&RANGE).filter(|_| !call.is_head && conditional::allows_range(&call.headers, digest));
    let range = range.map_or(RangeRequest::Whole, |range| RangeHeader::parse(range, blob.size));
    if call.is_head {
        let mut head = empty(StatusCode::OK).with(CONTENT_TYPE, media::OCTET_STREAM);
        head.headers_mut().insert(CONTENT_LENGTH, blob.size.into());
        return Ok(describe(head, digest));
    }
    if may_be_sent_away(call, &range)
        && let Some(url) = registry.blob_url(&blob).await?
    {
        // The URL works for anyone and for a short time: no cache may keep it.
        return Ok(empty(StatusCode::TEMPORARY_REDIRECT)
            .with(LOCATION, &url)
            .with(DIGEST, digest.as_str())
            .with(CACHE_CONTROL, "no-store"));
    }
    Ok(describe(ranges::answer(registry, blob, range).await?, digest))
}

/// Whether the storage would answer as we do. It knows one range at a time, and entity tags of its own.
fn may_be_sent_away(call: &Call<'_>, range: &RangeRequest) -> bool {
    let is_simple = match range {
        RangeRequest::Whole | RangeRequest::Single { .. } => true,
        RangeRequest::Multi(_) | RangeRequest::Unsatisfiable => false,
    };
    let stays = call.header(&REDIRECT).is_some_and(|value| value.trim().eq_ignore_ascii_case("never"));
    // A malformed or overlong `Range` counts as none here; the storage might think otherwise.
    let is_understood = call.headers.get(RANGE).is_none() || matches!(range, RangeRequest::Single { .. });
    is_simple && is_understood && !stays && call.headers.get(IF_RANGE).is_none()
}

/// Takes a blob out of the repository.
pub(in crate::server) async fn delete(
    call: &mut Call<'_>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Answer, Error> {
    call.state.registry.delete_blob(name, call.actor.clone(), digest).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

fn describe(answer: Answer, digest: &Digest) -> Answer {
    answer
        .with(DIGEST, digest.as_str())
        .with(ETAG, &conditional::etag(digest))
        .with(ACCEPT_RANGES, "bytes")
        .with(CACHE_CONTROL, IMMUTABLE)
}

//! Stored content as a response, with conditions and ranges: a blob under its digest, a file of a package.

mod ranges;

use std::time::Duration;

use http::StatusCode;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_RANGE, LOCATION, RANGE,
};

use super::conditional;
use super::error::Error;
use super::respond::{Answer, DIGEST, Headers as _, REDIRECT, empty};
use super::service::Call;
use crate::oci::{Digest, RangeHeader, RangeRequest};
use crate::registry::Blob;

/// What is under a digest never changes.
pub(super) const IMMUTABLE: &str = "private, max-age=31536000, immutable";

/// What may be something else the next time.
pub(super) const CHANGING: &str = "private, no-cache";

/// How content presents itself.
#[derive(Debug)]
pub(super) struct Content<'a> {
    /// Its entity tag.
    pub(super) digest: &'a Digest,
    pub(super) media_type: &'a str,
    /// How long its address leads to it.
    pub(super) cache: &'static str,
    /// How long the client may read it, if not for ever.
    pub(super) left: Option<Duration>,
}

/// GET and HEAD, with conditions and ranges. A `Range` on HEAD means nothing (RFC 9110 section 14.2).
///
/// Storage that gives out URLs serves a GET itself, unless the client said not to, or asks for something that
/// storage would answer otherwise than we do. HEAD is always answered from the database.
pub(super) async fn answer(call: &mut Call<'_>, blob: Blob, content: Content<'_>) -> Result<Answer, Error> {
    let registry = &call.state.registry;
    if conditional::is_known(&call.headers, content.digest) {
        return Ok(content.describe(empty(StatusCode::NOT_MODIFIED)));
    }
    let is_ranged = !call.is_head && conditional::allows_range(&call.headers, content.digest);
    let range = call.header(&RANGE).filter(|_| is_ranged);
    let range = range.map_or(RangeRequest::Whole, |range| RangeHeader::parse(range, blob.size));
    if call.is_head {
        let mut head = empty(StatusCode::OK).with(CONTENT_TYPE, content.media_type);
        head.headers_mut().insert(CONTENT_LENGTH, blob.size.into());
        return Ok(content.describe(head));
    }
    if may_be_sent_away(call, &range)
        && let Some(url) = registry.blob_url(&blob, content.left).await?
    {
        // The URL works for anyone and for a short time: no cache may keep it.
        return Ok(empty(StatusCode::TEMPORARY_REDIRECT)
            .with(LOCATION, &url)
            .with(DIGEST, content.digest.as_str())
            .with(CACHE_CONTROL, "no-store"));
    }
    Ok(content.describe(ranges::answer(registry, blob, content.media_type, range).await?))
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

impl Content<'_> {
    fn describe(&self, answer: Answer) -> Answer {
        answer
            .with(DIGEST, self.digest.as_str())
            .with(ETAG, &conditional::etag(self.digest))
            .with(ACCEPT_RANGES, "bytes")
            .with(CACHE_CONTROL, self.cache)
    }
}

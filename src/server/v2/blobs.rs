//! Blobs: pull and delete.

use http::StatusCode;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, RANGE};

use super::super::conditional;
use super::super::error::Error;
use super::super::respond::{Answer, DIGEST, Headers as _, empty};
use super::super::service::Call;
use super::ranges;
use crate::oci::{Digest, RangeHeader, RangeRequest, RepositoryName, media};

/// Content under a digest never changes.
pub(super) const IMMUTABLE: &str = "private, max-age=31536000, immutable";

/// GET and HEAD of a blob, with conditions and ranges. A `Range` on HEAD means nothing (RFC 9110 section 14.2).
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
    Ok(describe(ranges::answer(registry, blob, range).await?, digest))
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

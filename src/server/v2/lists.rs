//! Lists: repositories, tags, referrers.

use std::fmt::Write as _;

use http::StatusCode;
use serde_json::json;

use super::super::error::Error;
use super::super::respond::{Answer, Headers as _, OCI_FILTERS, full, json, link};
use super::super::route::{Filter, Page, plain};
use super::super::service::Call;
use crate::oci::{Digest, RepositoryName, media};

/// Entries of a page when the client names no number, and at most.
const MAX_PAGE: usize = 10_000;

/// `GET /v2/_catalog`
pub(in crate::server) async fn catalog(call: &mut Call<'_>, page: Page) -> Result<Answer, Error> {
    let limit = page.limit(MAX_PAGE);
    let (names, more) = call.state.registry.repositories(&page.last, limit).await?;
    let answer = json(StatusCode::OK, &json!({ "repositories": names }));
    let next = names
        .last()
        .filter(|_| more)
        .map(|last| format!("/v2/_catalog?n={limit}&last={}", plain(last.as_str())));
    Ok(link(answer, next))
}

/// `GET /v2/<name>/tags/list`
pub(in crate::server) async fn tags(
    call: &mut Call<'_>,
    name: &RepositoryName,
    page: Page,
) -> Result<Answer, Error> {
    let limit = page.limit(MAX_PAGE);
    let (tags, more) = call.state.registry.tags(name, &page.last, limit).await?;
    let answer = json(StatusCode::OK, &json!({ "name": name, "tags": tags }));
    // With `n=0` there is no last tag and so no link (distribution-spec "Listing Tags").
    let next = tags
        .last()
        .filter(|_| more)
        .map(|last| format!("/v2/{name}/tags/list?n={limit}&last={}", plain(last.as_str())));
    Ok(link(answer, next))
}

/// `GET /v2/<name>/referrers/<digest>`
pub(in crate::server) async fn referrers(
    call: &mut Call<'_>,
    name: &RepositoryName,
    digest: &Digest,
    filter: Filter,
) -> Result<Answer, Error> {
    let types = &filter.artifact_types;
    let page = call.state.registry.referrers(name, digest, types, filter.after.as_ref()).await?;
    let mut answer = full(StatusCode::OK, media::OCI_IMAGE_INDEX, page.index);
    if !types.is_empty() {
        answer.set(OCI_FILTERS, "artifactType");
    }
    let next = page.next.map(|last| {
        let mut next = format!("/v2/{name}/referrers/{digest}?last={}", plain(last.as_str()));
        for artifact_type in types {
            let _ = write!(next, "&artifactType={}", plain(artifact_type));
        }
        next
    });
    Ok(link(answer, next))
}

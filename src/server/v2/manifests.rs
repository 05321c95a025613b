//! Manifests: pull, push, delete.

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION};

use super::super::body::{Collected, collect};
use super::super::conditional;
use super::super::download::{CHANGING, IMMUTABLE};
use super::super::error::Error;
use super::super::respond::{Answer, DIGEST, Headers as _, OCI_SUBJECT, OCI_TAG, PACKAGE, empty, full};
use super::super::route::manifest_path;
use super::super::service::Call;
use crate::oci::{Reference, RepositoryName, Tag};
use crate::registry;

/// GET and HEAD. `Accept` does not filter: what was pushed is what is served.
pub(in crate::server) async fn get(
    call: &mut Call<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Answer, Error> {
    let manifest = call.state.registry.manifest(name, reference).await?;
    let answer = if conditional::is_known(&call.headers, &manifest.digest) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        full(StatusCode::OK, &manifest.media_type, manifest.bytes)
    };
    let cache = match reference {
        Reference::Digest(_) => IMMUTABLE,
        Reference::Tag(_) => CHANGING,
    };
    Ok(answer
        .with(DIGEST, manifest.digest.as_str())
        .with(ETAG, &conditional::etag(&manifest.digest))
        .with(CACHE_CONTROL, cache))
}

/// PUT by tag or digest, with further tags for a digest.
pub(in crate::server) async fn put(
    call: &mut Call<'_>,
    name: &RepositoryName,
    reference: &Reference,
    tags: Vec<Tag>,
) -> Result<Answer, Error> {
    let registry = &call.state.registry;
    let limit = registry.options().max_manifest;
    let (bytes, _reserved) =
        match collect(call.body(), call.content_length(), limit, &call.state.budget).await {
            Collected::Whole(bytes, reserved) => (bytes, reserved),
            Collected::TooLarge => return Err(registry::Error::ManifestTooLarge { limit }.into()),
            Collected::Crowded => return Err(Error::Crowded),
            Collected::Broken(error) => return Err(Error::Broken(error.to_string())),
        };
    let content_type = call.header(&CONTENT_TYPE);
    let pushed =
        registry.push_manifest(name, call.actor.clone(), reference, tags, content_type, bytes).await?;
    let mut answer = empty(StatusCode::CREATED)
        .with(LOCATION, &manifest_path(name, &pushed.digest))
        .with(DIGEST, pushed.digest.as_str())
        .warn(&pushed.warnings);
    if let Some(subject) = &pushed.subject {
        answer.set(OCI_SUBJECT, subject.as_str());
    }
    if let Some(package) = &pushed.package {
        answer.set(PACKAGE, package.as_str());
    }
    if matches!(reference, Reference::Digest(_)) {
        pushed.tags.iter().for_each(|tag| answer.add(OCI_TAG, tag.as_str()));
    }
    Ok(answer)
}

/// DELETE of a tag, or of a manifest with every tag on it.
pub(in crate::server) async fn delete(
    call: &mut Call<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Answer, Error> {
    call.state.registry.delete_manifest(name, call.actor.clone(), reference).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

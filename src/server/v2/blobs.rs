//! Blobs: pull and delete.

use http::StatusCode;

use super::super::download::{self, Content, IMMUTABLE};
use super::super::error::Error;
use super::super::respond::{Answer, empty};
use super::super::service::Call;
use crate::oci::{Digest, RepositoryName, media};

/// GET and HEAD of a blob.
pub(in crate::server) async fn get(
    call: &mut Call<'_>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Answer, Error> {
    let registry = &call.state.registry;
    let blob = if call.is_head {
        // Clients ask before they push.
        registry.blob_to_rely_on(name, call.actor.clone(), digest).await?
    } else {
        registry.blob(name, digest).await?
    };
    let content = Content { digest, media_type: media::OCTET_STREAM, cache: IMMUTABLE, left: None };
    download::answer(call, blob, content).await
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

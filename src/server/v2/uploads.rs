//! Uploads: begin, chunk, status, finish, cancel.

use http::header::{CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderValue, StatusCode};

use super::super::error::Error;
use super::super::respond::{Answer, DIGEST, Headers as _, UPLOAD_UUID, empty};
use super::super::route::{Begin, blob_path, upload_path};
use super::super::service::Call;
use crate::oci::{
    Algorithm, ContentRange, Digest, RepositoryName, UploadId, received_range, received_range_status,
};
use crate::registry::{self, Actor, Registry, Upload};

/// POST: a session, a whole blob, or a mount that becomes a session when it cannot be done.
pub(in crate::server) async fn begin(
    call: &mut Call<'_>,
    name: &RepositoryName,
    begin: Begin,
) -> Result<Answer, Error> {
    let registry = call.state.registry.clone();
    match begin {
        Begin::Session(algorithm) => open(&registry, call.actor.clone(), name, algorithm).await,
        Begin::Whole(digest) => {
            let body = call.body();
            registry.push_blob(name, call.actor.clone(), &digest, body).await?;
            Ok(created(name, &digest))
        }
        Begin::Mount(digest, from) => {
            let mounted = registry.mount_blob(name, call.actor.clone(), &digest, from.as_ref()).await?;
            match mounted {
                Some(_) => Ok(created(name, &digest)),
                None => open(&registry, call.actor.clone(), name, Some(digest.algorithm())).await,
            }
        }
    }
}

async fn open(
    registry: &Registry,
    actor: Actor,
    name: &RepositoryName,
    algorithm: Option<Algorithm>,
) -> Result<Answer, Error> {
    let upload = registry.begin_upload(name, actor, algorithm).await?;
    Ok(session(StatusCode::ACCEPTED, &upload).with(RANGE, &received_range(0)))
}

/// GET: how far it is.
pub(in crate::server) async fn status(
    call: &mut Call<'_>,
    name: RepositoryName,
    id: UploadId,
) -> Result<Answer, Error> {
    let upload = upload(call, name, id);
    let progress = call.state.registry.upload_progress(&upload).await?;
    Ok(session(StatusCode::NO_CONTENT, &upload).with(RANGE, &received_range_status(progress.received)))
}

/// PATCH: one more chunk. The answer's range is that of the whole upload.
pub(in crate::server) async fn chunk(
    call: &mut Call<'_>,
    name: RepositoryName,
    id: UploadId,
) -> Result<Answer, Error> {
    let upload = upload(call, name, id);
    let range = content_range(&call.state.registry, call.headers.get(CONTENT_RANGE), &upload).await?;
    let body = call.body();
    let progress = call.state.registry.append_upload(upload.clone(), range, body).await;
    let progress = progress.map_err(|error| on_upload(error, &upload))?;
    Ok(session(StatusCode::ACCEPTED, &upload).with(RANGE, &received_range(progress.received)))
}

/// PUT: the rest, if any, and the digest of the whole.
pub(in crate::server) async fn finish(
    call: &mut Call<'_>,
    name: RepositoryName,
    id: UploadId,
    digest: Digest,
) -> Result<Answer, Error> {
    let upload = upload(call, name, id);
    let range = content_range(&call.state.registry, call.headers.get(CONTENT_RANGE), &upload).await?;
    let body = call.body();
    let finished = call.state.registry.finish_upload(upload.clone(), digest.clone(), range, body).await;
    finished.map_err(|error| on_upload(error, &upload))?;
    Ok(created(&upload.repository, &digest))
}

/// DELETE: forget it.
pub(in crate::server) async fn cancel(
    call: &mut Call<'_>,
    name: RepositoryName,
    id: UploadId,
) -> Result<Answer, Error> {
    match call.state.registry.cancel_upload(upload(call, name, id)).await {
        Ok(()) => Ok(empty(StatusCode::NO_CONTENT)),
        Err(registry::Error::UploadOutOfOrder { .. }) => Err(Error::Busy),
        Err(error) => Err(error.into()),
    }
}

fn upload(call: &Call<'_>, repository: RepositoryName, id: UploadId) -> Upload {
    Upload { repository, actor: call.actor.clone(), id }
}

/// The range of the chunk, if it says one. A malformed one is answered like one that does not fit.
async fn content_range(
    registry: &Registry,
    header: Option<&HeaderValue>,
    upload: &Upload,
) -> Result<Option<ContentRange>, Error> {
    let Some(header) = header else {
        return Ok(None);
    };
    match ContentRange::parse(header.to_str().unwrap_or_default()) {
        Ok(range) => Ok(Some(range)),
        Err(error) => {
            let received = registry.upload_progress(upload).await?.received;
            let location = upload_path(&upload.repository, &upload.id);
            Err(Error::ContentRange { reason: error.to_string(), location, received })
        }
    }
}

fn on_upload(error: registry::Error, upload: &Upload) -> Error {
    Error::Upload { error, location: upload_path(&upload.repository, &upload.id) }
}

fn session(status: StatusCode, upload: &Upload) -> Answer {
    empty(status)
        .with(LOCATION, &upload_path(&upload.repository, &upload.id))
        .with(UPLOAD_UUID, upload.id.as_str())
}

fn created(name: &RepositoryName, digest: &Digest) -> Answer {
    empty(StatusCode::CREATED).with(LOCATION, &blob_path(name, digest)).with(DIGEST, digest.as_str())
}

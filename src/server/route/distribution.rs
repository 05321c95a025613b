//! The routes of the distribution specification that take more than a GET, and their paths.

use http::Method;

use super::query::Query;
use super::{Route, RouteError};
use crate::oci::{Algorithm, Digest, Reference, ReferenceError, RepositoryName, Tag, UploadId};

/// How an upload begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// A session; the algorithm is a hint of the digest it will be closed with.
    Session(Option<Algorithm>),
    /// The whole blob is the body.
    Whole(Digest),
    /// Take the blob from another repository, or from any.
    Mount(Digest, Option<RepositoryName>),
}

/// The path of a blob.
pub fn blob_path(name: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{name}/blobs/{digest}")
}

/// The path of an upload session.
pub fn upload_path(name: &RepositoryName, id: &UploadId) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// The path of a manifest.
pub fn manifest_path(name: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{name}/manifests/{digest}")
}

pub(super) fn blob(method: &Method, name: RepositoryName, digest: &str) -> Result<Route, RouteError> {
    let digest = || digest.parse().map_err(RouteError::Digest);
    match *method {
        Method::GET | Method::HEAD => Ok(Route::Blob(name, digest()?)),
        Method::DELETE => Ok(Route::DeleteBlob(name, digest()?)),
        _ => Err(RouteError::Method(&["GET", "HEAD", "DELETE"])),
    }
}

pub(super) fn begin(method: &Method, name: RepositoryName, query: &Query) -> Result<Route, RouteError> {
    if method != Method::POST {
        return Err(RouteError::Method(&["POST"]));
    }
    let begin = if let Some(mount) = query.one("mount") {
        let digest = mount.parse().map_err(RouteError::Digest)?;
        match query.one("from").filter(|from| !from.is_empty()).map(str::parse) {
            None => Begin::Mount(digest, None),
            Some(Ok(from)) => Begin::Mount(digest, Some(from)),
            // There is no such repository, and what cannot be mounted is uploaded.
            Some(Err(_)) => Begin::Session(Some(digest.algorithm())),
        }
    } else if let Some(digest) = query.one("digest") {
        Begin::Whole(digest.parse().map_err(RouteError::Digest)?)
    } else {
        let algorithm = query.one("digest-algorithm").filter(|name| !name.is_empty());
        Begin::Session(algorithm.map(|name| name.parse().map_err(RouteError::Digest)).transpose()?)
    };
    Ok(Route::BeginUpload(name, begin))
}

pub(super) fn upload(
    method: &Method,
    name: RepositoryName,
    id: &str,
    query: &Query,
) -> Result<Route, RouteError> {
    let id = || id.parse().map_err(|_| RouteError::Upload);
    match *method {
        Method::GET | Method::HEAD => Ok(Route::UploadStatus(name, id()?)),
        Method::PATCH => Ok(Route::UploadChunk(name, id()?)),
        Method::DELETE => Ok(Route::CancelUpload(name, id()?)),
        Method::PUT => {
            let id = id()?;
            let digest = query.one("digest").ok_or(RouteError::DigestMissing)?;
            Ok(Route::FinishUpload(name, id, digest.parse().map_err(RouteError::Digest)?))
        }
        _ => Err(RouteError::Method(&["GET", "HEAD", "PATCH", "PUT", "DELETE"])),
    }
}

pub(super) fn manifest(
    method: &Method,
    name: RepositoryName,
    text: &str,
    query: &Query,
) -> Result<Route, RouteError> {
    let reference = || text.parse().map_err(RouteError::Reference);
    match *method {
        Method::GET | Method::HEAD => match text.parse() {
            Ok(reference) => Ok(Route::Manifest(name, reference)),
            Err(ReferenceError::Tag(error)) => Err(RouteError::NoSuchTag(error)),
            Err(error) => Err(RouteError::Reference(error)),
        },
        Method::DELETE => Ok(Route::DeleteManifest(name, reference()?)),
        Method::PUT => {
            let reference = reference()?;
            let mut tags: Vec<Tag> = Vec::new();
            for tag in query.all("tag") {
                let tag = tag.parse().map_err(RouteError::Tag)?;
                if !tags.contains(&tag) {
                    tags.push(tag);
                }
            }
            if !tags.is_empty() && matches!(reference, Reference::Tag(_)) {
                let reason = "only a push by digest can set further tags".to_owned();
                return Err(RouteError::Query { name: "tag", reason });
            }
            Ok(Route::PushManifest(name, reference, tags))
        }
        _ => Err(RouteError::Method(&["GET", "HEAD", "PUT", "DELETE"])),
    }
}

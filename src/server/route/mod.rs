//! Routes: from method and URI to what is asked for, and back.
//!
//! The tail of a path is fixed and a repository name is what remains before it, so names may contain
//! `blobs`, `manifests`, `uploads` or `tags` themselves. Segments are percent-decoded one by one and once:
//! a decoded slash cannot make a new segment. Parsing is pure and total.

mod audit;
mod disposing;
mod distribution;
mod error;
mod events;
mod extension;
mod history;
mod objects;
mod parameters;
mod permission;
mod query;
mod retention;
mod webhooks;

use http::Method;
use percent_encoding::percent_decode_str;

pub use audit::Audit;
pub use disposing::{Disposing, certificate_path, disposition_path};
pub use distribution::{Begin, blob_path, manifest_path, upload_path};
pub use error::RouteError;
pub use events::{Events, Format, events_path, sequence};
pub use extension::{EXTENSION, Extension, Ingest, Since, file_path, package_path};
pub use history::History;
pub use objects::{Objects, Which};
pub use permission::Permission;
pub use query::{Filter, Page, plain};
pub use retention::{Retention, explain_path, holds_path};
pub use webhooks::{Webhooks, webhook_path};

use crate::oci::{Digest, NameError, Reference, RepositoryName, Tag, UploadId, excerpt};
use distribution::{begin, blob, manifest, upload};
use parameters::Parameters;
use query::Query;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /v2/`: is this a registry? (end-1)
    Base,
    /// `GET /v2/_catalog?n=&last=`
    Catalog(Page),
    /// `GET /v2/_oci/ext/discover`, also under a repository.
    Discover(Option<RepositoryName>),
    /// `GET|HEAD /v2/<name>/blobs/<digest>` (end-2)
    Blob(RepositoryName, Digest),
    /// `DELETE /v2/<name>/blobs/<digest>` (end-10)
    DeleteBlob(RepositoryName, Digest),
    /// `POST /v2/<name>/blobs/uploads/` (end-4a, end-4b, end-4c, end-11)
    BeginUpload(RepositoryName, Begin),
    /// `GET /v2/<name>/blobs/uploads/<id>` (end-13)
    UploadStatus(RepositoryName, UploadId),
    /// `PATCH /v2/<name>/blobs/uploads/<id>` (end-5)
    UploadChunk(RepositoryName, UploadId),
    /// `PUT /v2/<name>/blobs/uploads/<id>?digest=` (end-6)
    FinishUpload(RepositoryName, UploadId, Digest),
    /// `DELETE /v2/<name>/blobs/uploads/<id>` (end-14)
    CancelUpload(RepositoryName, UploadId),
    /// `GET|HEAD /v2/<name>/manifests/<tag-or-digest>` (end-3)
    Manifest(RepositoryName, Reference),
    /// `PUT /v2/<name>/manifests/<tag-or-digest>?tag=` (end-7a, end-7b)
    PushManifest(RepositoryName, Reference, Vec<Tag>),
    /// `DELETE /v2/<name>/manifests/<tag-or-digest>` (end-9)
    DeleteManifest(RepositoryName, Reference),
    /// `GET /v2/<name>/tags/list?n=&last=` (end-8a, end-8b)
    Tags(RepositoryName, Page),
    /// `GET /v2/<name>/_oci/tag-history/<tag>?n=&before=&since=&digest=`
    TagHistory(RepositoryName, Tag, History),
    /// `GET /v2/<name>/referrers/<digest>?artifactType=` (end-12a, end-12b)
    Referrers(RepositoryName, Digest, Filter),
    /// Something of the extension `_artifactstore`, under a repository or not.
    Extension(Extension),
    /// `GET /health`
    Health,
    /// `GET /livez`
    Live,
    /// `GET /readyz`
    Ready,
    /// `GET /metrics`
    Metrics,
}

impl Route {
    /// What a request asks for.
    pub fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Self, RouteError> {
        match path {
            "/health" => return read(method, Self::Health),
            "/livez" => return read(method, Self::Live),
            "/readyz" => return read(method, Self::Ready),
            "/metrics" => return read(method, Self::Metrics),
            "/v2" | "/v2/" => return read(method, Self::Base),
            _ => {}
        }
        let rest = path.strip_prefix("/v2/").ok_or(RouteError::NotFound)?;
        let segments = rest.split('/').map(decode).collect::<Result<Vec<_>, _>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let query = query.unwrap_or("");
        // Its segments may be those of other routes. A tag may have its name, with nothing behind it.
        if let Some(at) = segments.iter().position(|segment| *segment == EXTENSION)
            && at + 1 < segments.len()
        {
            let query = Parameters::parse(query);
            return Extension::parse(method, &segments[..at], &segments[at + 1..], &query)
                .map(Self::Extension);
        }
        if let [ref name @ .., "_oci", "tag-history", tag] = *segments {
            return history::parse(method, repository(name)?, tag, &Parameters::parse(query));
        }
        let query = Query::parse(query);
        match *segments.as_slice() {
            ["_catalog"] => read(method, Self::Catalog(query.page()?)),
            ["_oci", "ext", "discover"] => read(method, Self::Discover(None)),
            [ref name @ .., "_oci", "ext", "discover"] => {
                read(method, Self::Discover(Some(repository(name)?)))
            }
            [ref name @ .., "tags", "list"] => read(method, Self::Tags(repository(name)?, query.page()?)),
            [ref name @ .., "manifests", reference] => manifest(method, repository(name)?, reference, &query),
            [ref name @ .., "referrers", digest] => {
                let digest = digest.parse().map_err(RouteError::Digest)?;
                read(method, Self::Referrers(repository(name)?, digest, query.filter()?))
            }
            [ref name @ .., "blobs", "uploads"] | [ref name @ .., "blobs", "uploads", ""] => {
                begin(method, repository(name)?, &query)
            }
            [ref name @ .., "blobs", "uploads", id] => upload(method, repository(name)?, id, &query),
            [ref name @ .., "blobs", digest] => blob(method, repository(name)?, digest),
            _ => Err(RouteError::NotFound),
        }
    }

    /// Whether its body is to be stored.
    pub fn stores(&self) -> bool {
        match self {
            Self::BeginUpload(_, Begin::Whole(_))
            | Self::UploadChunk(..)
            | Self::FinishUpload(..)
            | Self::PushManifest(..) => true,
            Self::Extension(route) => route.stores(),
            _ => false,
        }
    }

    /// What the caller must be allowed to do. Exhaustive: a new route does not compile without an answer.
    pub fn permission(&self) -> Permission<'_> {
        match self {
            Self::Health | Self::Live | Self::Ready => Permission::None,
            Self::Base | Self::Discover(None) | Self::Metrics => Permission::Known,
            Self::Catalog(_) => Permission::Sight,
            Self::Discover(Some(name))
            | Self::Blob(name, _)
            | Self::Manifest(name, _)
            | Self::Tags(name, _)
            | Self::TagHistory(name, ..)
            | Self::Referrers(name, ..) => Permission::pull(name),
            // Cancelling one's own upload is part of pushing: clients cancel with a push token.
            Self::BeginUpload(name, _)
            | Self::UploadStatus(name, _)
            | Self::UploadChunk(name, _)
            | Self::FinishUpload(name, ..)
            | Self::CancelUpload(name, _)
            | Self::PushManifest(name, ..) => Permission::push(name),
            Self::Extension(route) => route.permission(),
            Self::DeleteBlob(name, _) | Self::DeleteManifest(name, _) => Permission::delete(name),
        }
    }
}

fn read(method: &Method, route: Route) -> Result<Route, RouteError> {
    match *method {
        Method::GET | Method::HEAD => Ok(route),
        _ => Err(RouteError::Method(&["GET", "HEAD"])),
    }
}

fn decode(segment: &str) -> Result<String, RouteError> {
    percent_decode_str(segment)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| RouteError::Encoding(excerpt(segment)))
}

fn repository(segments: &[&str]) -> Result<RepositoryName, RouteError> {
    // An extension we do not have: no name component starts with an underscore.
    if segments.iter().any(|segment| segment.starts_with('_')) {
        return Err(RouteError::NotFound);
    }
    // `%2f`: joined, it would make two components of one.
    if let Some(part) = segments.iter().find(|segment| segment.contains('/')) {
        return Err(RouteError::Name(NameError::Component { part: (*part).into() }));
    }
    segments.join("/").parse().map_err(RouteError::Name)
}

#[cfg(test)]
mod tests;

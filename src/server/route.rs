//! Routes: from method and URI to what is asked for, and back.
//!
//! The tail of a path is fixed and a repository name is what remains before it, so names may contain
//! `blobs`, `manifests`, `uploads` or `tags` themselves. Segments are percent-decoded one by one and once:
//! a decoded slash cannot make a new segment. Parsing is pure and total.

use std::fmt;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::oci::{
    Algorithm, Digest, DigestError, NameError, Reference, ReferenceError, RepositoryName, Tag, TagError,
    UploadId,
};

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
    /// `GET /v2/<name>/referrers/<digest>?artifactType=` (end-12a, end-12b)
    Referrers(RepositoryName, Digest, Filter),
    /// `GET /health`
    Health,
    /// `GET /livez`
    Live,
    /// `GET /readyz`
    Ready,
}

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

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many at most.
    pub n: Option<usize>,
    /// After which; it need not exist.
    pub last: String,
}

/// Which referrers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these artifact types; all when empty.
    pub artifact_types: Vec<String>,
    /// Continue after this one.
    pub after: Option<Digest>,
}

/// What a caller must be allowed to do. A mount needs [`Pull`](Self::Pull) on its source as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission<'a> {
    /// Nothing: probes.
    None,
    /// To be somebody the registry knows.
    Known,
    /// To list repositories.
    Catalog,
    /// To read a repository.
    Pull(&'a RepositoryName),
    /// To add to a repository.
    Push(&'a RepositoryName),
    /// To remove from a repository.
    Delete(&'a RepositoryName),
}

/// Why a request asks for nothing that exists.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// There is no such path.
    #[error("there is nothing at this path")]
    NotFound,
    /// The path exists, with other methods.
    #[error("this path takes {}", .0.join(", "))]
    Method(&'static [&'static str]),
    /// The repository name is malformed.
    #[error("invalid repository name: {0}")]
    Name(#[source] NameError),
    /// A digest is malformed or of an unknown algorithm.
    #[error("invalid digest: {0}")]
    Digest(#[source] DigestError),
    /// A session is to be closed without a digest.
    #[error("the query parameter digest is missing: it says what the upload is")]
    DigestMissing,
    /// A reference to push to or to delete is malformed.
    #[error("invalid reference: {0}")]
    Reference(#[source] ReferenceError),
    /// A tag to read is malformed, so there is none like it.
    #[error("there is no such tag: {0}")]
    NoSuchTag(#[source] TagError),
    /// A tag is malformed.
    #[error("invalid tag: {0}")]
    Tag(#[source] TagError),
    /// A session id is malformed; none of ours is.
    #[error("there is no such upload")]
    Upload,
    /// A query parameter has no meaning.
    #[error("query parameter {name}: {reason}")]
    Query {
        /// The parameter.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Route {
    /// What a request asks for.
    pub fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Self, RouteError> {
        match path {
            "/health" => return read(method, Self::Health),
            "/livez" => return read(method, Self::Live),
            "/readyz" => return read(method, Self::Ready),
            "/v2" | "/v2/" => return read(method, Self::Base),
            _ => {}
        }
        let rest = path.strip_prefix("/v2/").ok_or(RouteError::NotFound)?;
        let segments = rest.split('/').map(decode).collect::<Result<Vec<_>, _>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let query = Query::parse(query.unwrap_or(""));
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

    /// What the caller must be allowed to do. Exhaustive: a new route does not compile without an answer.
    pub fn permission(&self) -> Permission<'_> {
        match self {
            Self::Health | Self::Live | Self::Ready => Permission::None,
            Self::Base | Self::Discover(None) => Permission::Known,
            Self::Catalog(_) => Permission::Catalog,
            Self::Discover(Some(name))
            | Self::Blob(name, _)
            | Self::Manifest(name, _)
            | Self::Tags(name, _)
            | Self::Referrers(name, ..) => Permission::Pull(name),
            // Cancelling one's own upload is part of pushing: clients cancel with a push token.
            Self::BeginUpload(name, _)
            | Self::UploadStatus(name, _)
            | Self::UploadChunk(name, _)
            | Self::FinishUpload(name, ..)
            | Self::CancelUpload(name, _)
            | Self::PushManifest(name, ..) => Permission::Push(name),
            Self::DeleteBlob(name, _) | Self::DeleteManifest(name, _) => Permission::Delete(name),
        }
    }
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

fn read(method: &Method, route: Route) -> Result<Route, RouteError> {
    match *method {
        Method::GET | Method::HEAD => Ok(route),
        _ => Err(RouteError::Method(&["GET", "HEAD"])),
    }
}

fn blob(method: &Method, name: RepositoryName, digest: &str) -> Result<Route, RouteError> {
    let digest = || digest.parse().map_err(RouteError::Digest);
    match *method {
        Method::GET | Method::HEAD => Ok(Route::Blob(name, digest()?)),
        Method::DELETE => Ok(Route::DeleteBlob(name, digest()?)),
        _ => Err(RouteError::Method(&["GET", "HEAD", "DELETE"])),
    }
}

fn begin(method: &Method, name: RepositoryName, query: &Query) -> Result<Route, RouteError> {
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

fn upload(method: &Method, name: RepositoryName, id: &str, query: &Query) -> Result<Route, RouteError> {
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

fn manifest(method: &Method, name: RepositoryName, text: &str, query: &Query) -> Result<Route, RouteError> {
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

fn decode(segment: &str) -> Result<String, RouteError> {
    percent_decode_str(segment).decode_utf8().map(Into::into).map_err(|_| RouteError::NotFound)
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

/// Decoded query parameters. Those a route does not know (`ns`, `state`, `origin`, …) are ignored.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn page(&self) -> Result<Page, RouteError> {
        let n = self.one("n").filter(|n| !n.is_empty());
        let invalid =
            |n: &str| RouteError::Query { name: "n", reason: format!("{n:?} is not a number of entries") };
        let n = n.map(|n| n.parse().map_err(|_| invalid(n))).transpose()?;
        Ok(Page { n, last: self.one("last").unwrap_or_default().to_owned() })
    }

    fn filter(&self) -> Result<Filter, RouteError> {
        // Clients send the `+` of a media type raw, and a media type holds no space.
        let types = self.all("artifactType").filter(|t| !t.is_empty()).map(|t| t.replace(' ', "+"));
        let after = self.one("last").map(|last| last.parse().map_err(RouteError::Digest)).transpose()?;
        Ok(Filter { artifact_types: types.collect(), after })
    }
}

impl fmt::Display for Permission<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing"),
            Self::Known => f.write_str("to be known"),
            Self::Catalog => f.write_str("registry:catalog:*"),
            Self::Pull(name) => write!(f, "repository:{name}:pull"),
            Self::Push(name) => write!(f, "repository:{name}:pull,push"),
            Self::Delete(name) => write!(f, "repository:{name}:delete"),
        }
    }
}

#[cfg(test)]
mod tests;

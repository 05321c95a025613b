//! The routes of the extension `_artifactstore`: what stands behind that segment, under a repository or the registry.

use http::Method;

use super::parameters::{Parameters, refused};
use super::retention::cursor;
use super::{
    Audit, Disposing, Events, Objects, Page, Permission, Retention, RouteError, Webhooks, repository,
};
use crate::auth::Action;
use crate::clock::Micros;
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::package::{PackageId, PackagePath};
use crate::registry::{Filter, Status, Target};

/// The segment.
pub const EXTENSION: &str = "_artifactstore";

/// The greatest sequence of an event that every reader of JSON can say: 2^53 - 1.
pub(super) const MAX_SEQUENCE: u64 = (1 << 53) - 1;

/// What a request asks of the extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// `POST R/packages`
    CreatePackage(RepositoryName),
    /// `GET R/packages?status=&class=&kind=&reference=&n=&last=`
    Packages(RepositoryName, Filter, Page),
    /// `GET R/packages?eligible=true…`, and where it goes on
    EligiblePackages(RepositoryName, Filter, Option<(Micros, Target)>, Option<usize>),
    /// `GET R/packages/<id>`
    Package(RepositoryName, PackageId),
    /// `GET G/packages/<id>`: the id is enough.
    PackageAnywhere(PackageId),
    /// `DELETE R/packages/<id>`
    AbortPackage(RepositoryName, PackageId),
    /// `POST R/packages/<id>/finalize`
    FinalizePackage(RepositoryName, PackageId),
    /// `GET R/packages/<id>/manifest`
    PackageManifest(RepositoryName, PackageId),
    /// `GET R/packages/<id>/events?since=&limit=`
    PackageEvents(RepositoryName, PackageId, Since),
    /// `GET R/packages/<id>/files?n=&last=`
    Files(RepositoryName, PackageId, Page),
    /// `GET|HEAD R/packages/<id>/files/<path>`
    File(RepositoryName, PackageId, PackagePath),
    /// `PUT R/packages/<id>/files/<path>?replace=&digest=&role=&mount=`
    IngestFile(RepositoryName, PackageId, PackagePath, Ingest),
    /// `DELETE R/packages/<id>/files/<path>`
    DropFile(RepositoryName, PackageId, PackagePath),
    /// `R/objects…`
    Objects(Objects),
    /// `R/retention…`, `R/holds…` and `R/explain`
    Retention(Retention),
    /// `R/disposition…`
    Disposing(Disposing),
    /// `G/audit` and `R/audit`
    Audit(Audit),
    /// `GET G/schemas?n=&last=`
    Schemas(Page),
    /// `GET G/schemas/<name>`
    Schema(String),
    /// `PUT G/schemas/<name>`
    RegisterSchema(String),
    /// `GET G/retention/classes`
    RetentionClasses,
    /// `POST G/gc`
    CollectGarbage,
    /// `GET G/gc/runs?n=&last=`
    CollectionRuns(Page),
    /// `GET G/gc/runs/<run>?since=&limit=`
    CollectionRun(String, Since),
    /// `GET G/clock`
    Clock,
    /// `POST G/clock/resync`
    ResyncClock,
    /// `GET G/scrub?n=&last=`
    Scrub(Page),
    /// `POST G/scrub`
    StartScrub,
    /// `GET G/scrub/runs?n=&last=`
    ScrubRuns(Page),
    /// `GET G/scrub/runs/<run>?n=&last=`
    ScrubRun(String, Page),
    /// `G/webhooks…`
    Webhooks(Webhooks),
    /// `GET G/events…` and `GET R/events…`
    Events(Events),
    /// `GET G/openapi.json`
    OpenApi,
}

/// How a file comes in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ingest {
    /// Whether it may take the place of another one.
    pub replace: bool,
    /// What the client says it hashes to.
    pub digest: Option<Digest>,
    /// What it is for.
    pub role: Option<String>,
    /// A blob the repository holds already, instead of a body.
    pub mount: Option<Digest>,
}

/// Which events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// Those after this one.
    pub since: i64,
    /// How many at most.
    pub limit: Option<usize>,
}

impl Extension {
    /// What a request asks for, from the segments before and behind the extension's.
    pub(super) fn parse(
        method: &Method,
        name: &[&str],
        rest: &[&str],
        query: &Parameters,
    ) -> Result<Self, RouteError> {
        if name.is_empty() {
            return Self::of_registry(method, rest, query);
        }
        let name = repository(name)?;
        match *rest {
            ["packages"] => match *method {
                Method::POST => Ok(Self::CreatePackage(name)),
                Method::GET | Method::HEAD => Self::list(name, query),
                _ => Err(RouteError::Method(&["GET", "HEAD", "POST"])),
            },
            ["packages", id] => match *method {
                Method::GET | Method::HEAD => Ok(Self::Package(name, package(id)?)),
                Method::DELETE => Ok(Self::AbortPackage(name, package(id)?)),
                _ => Err(RouteError::Method(&["GET", "HEAD", "DELETE"])),
            },
            ["packages", id, "finalize"] => match *method {
                Method::POST => Ok(Self::FinalizePackage(name, package(id)?)),
                _ => Err(RouteError::Method(&["POST"])),
            },
            ["packages", id, "manifest"] => read(method, || Ok(Self::PackageManifest(name, package(id)?))),
            ["packages", id, "events"] => {
                read(method, || Ok(Self::PackageEvents(name, package(id)?, query.since()?)))
            }
            ["packages", id, "files"] => read(method, || Ok(Self::Files(name, package(id)?, query.page()?))),
            ["packages", id, "files", ref path @ ..] => match *method {
                Method::GET | Method::HEAD => Ok(Self::File(name, package(id)?, file(path)?)),
                Method::PUT => Ok(Self::IngestFile(name, package(id)?, file(path)?, query.ingest()?)),
                Method::DELETE => Ok(Self::DropFile(name, package(id)?, file(path)?)),
                _ => Err(RouteError::Method(&["GET", "HEAD", "PUT", "DELETE"])),
            },
            ["retention" | "holds" | "explain", ..] => {
                Retention::parse(method, name, rest, query).map(Self::Retention)
            }
            ["disposition", ref rest @ ..] => {
                Disposing::parse(method, name, rest, query).map(Self::Disposing)
            }
            ["audit"] => Audit::parse(method, Some(name), query).map(Self::Audit),
            ["events"] => read(method, || Ok(Self::Events(query.events(Some(name))?))),
            ["objects", ref key @ ..] => Objects::parse(method, name, key, query).map(Self::Objects),
            _ => Err(RouteError::NotFound),
        }
    }

    fn list(name: RepositoryName, query: &Parameters) -> Result<Self, RouteError> {
        let (filter, page) = (query.packages()?, query.page()?);
        if query.flag("eligible")? == Some(true) {
            return Ok(Self::EligiblePackages(name, filter, cursor(&page.last)?, page.n));
        }
        Ok(Self::Packages(name, filter, page))
    }

    fn of_registry(method: &Method, rest: &[&str], query: &Parameters) -> Result<Self, RouteError> {
        match *rest {
            ["packages", id] => read(method, || Ok(Self::PackageAnywhere(package(id)?))),
            ["schemas"] => read(method, || Ok(Self::Schemas(query.page()?))),
            ["schemas", name] => match *method {
                Method::GET | Method::HEAD => Ok(Self::Schema(name.to_owned())),
                Method::PUT => Ok(Self::RegisterSchema(name.to_owned())),
                _ => Err(RouteError::Method(&["GET", "HEAD", "PUT"])),
            },
            ["retention", "classes"] => read(method, || Ok(Self::RetentionClasses)),
            ["gc"] => match *method {
                // What is ignored elsewhere would delete something here.
                Method::POST if query.text("dry_run")?.is_some() => {
                    Err(refused("dry_run", "it belongs into the body, as {\"dry_run\": true}"))
                }
                Method::POST => Ok(Self::CollectGarbage),
                _ => Err(RouteError::Method(&["POST"])),
            },
            ["gc", "runs"] => read(method, || Ok(Self::CollectionRuns(query.page()?))),
            ["gc", "runs", run] => read(method, || Ok(Self::CollectionRun(run.to_owned(), query.since()?))),
            ["audit"] => Audit::parse(method, None, query).map(Self::Audit),
            ["clock"] => read(method, || Ok(Self::Clock)),
            ["clock", "resync"] => match *method {
                Method::POST => Ok(Self::ResyncClock),
                _ => Err(RouteError::Method(&["POST"])),
            },
            ["scrub"] => match *method {
                Method::GET | Method::HEAD => Ok(Self::Scrub(query.page()?)),
                Method::POST => Ok(Self::StartScrub),
                _ => Err(RouteError::Method(&["GET", "HEAD", "POST"])),
            },
            ["scrub", "runs"] => read(method, || Ok(Self::ScrubRuns(query.page()?))),
            ["scrub", "runs", run] => read(method, || Ok(Self::ScrubRun(run.to_owned(), query.page()?))),
            ["webhooks", ref rest @ ..] => Webhooks::parse(method, rest, query).map(Self::Webhooks),
            ["events"] => read(method, || Ok(Self::Events(query.events(None)?))),
            ["openapi.json"] => read(method, || Ok(Self::OpenApi)),
            _ => Err(RouteError::NotFound),
        }
    }

    /// Whether its body is to be stored as it is.
    pub(super) fn stores(&self) -> bool {
        matches!(self, Self::IngestFile(..) | Self::Objects(Objects::Put(..)))
    }

    /// What the caller must be allowed to do.
    pub(super) fn permission(&self) -> Permission<'_> {
        match self {
            Self::Schemas(_) | Self::Schema(_) | Self::RetentionClasses | Self::Clock | Self::OpenApi => {
                Permission::Known
            }
            // What it tells names repositories and content of all of them.
            Self::RegisterSchema(_)
            | Self::ResyncClock
            | Self::CollectGarbage
            | Self::CollectionRuns(_)
            | Self::CollectionRun(..)
            | Self::Scrub(_)
            | Self::StartScrub
            | Self::ScrubRuns(_)
            | Self::ScrubRun(..)
            | Self::Webhooks(_) => Permission::Everywhere(Action::Admin),
            Self::Events(route) => route.permission(),
            Self::Objects(route) => route.permission(),
            Self::Retention(route) => route.permission(),
            Self::Disposing(route) => route.permission(),
            Self::Audit(route) => route.permission(),
            Self::PackageAnywhere(id) => Permission::PullPackage(id),
            Self::Packages(name, ..)
            | Self::EligiblePackages(name, ..)
            | Self::Package(name, _)
            | Self::PackageManifest(name, _)
            | Self::PackageEvents(name, ..)
            | Self::Files(name, ..)
            | Self::File(name, ..) => Permission::pull(name),
            // A draft is its producer's, like an upload.
            Self::CreatePackage(name)
            | Self::AbortPackage(name, _)
            | Self::FinalizePackage(name, _)
            | Self::IngestFile(name, ..)
            | Self::DropFile(name, ..) => Permission::push(name),
        }
    }
}

fn read(
    method: &Method,
    route: impl FnOnce() -> Result<Extension, RouteError>,
) -> Result<Extension, RouteError> {
    match *method {
        Method::GET | Method::HEAD => route(),
        _ => Err(RouteError::Method(&["GET", "HEAD"])),
    }
}

fn package(id: &str) -> Result<PackageId, RouteError> {
    id.parse().map_err(RouteError::Package)
}

/// The decoded segments as one path. `%2F` would make two parts of one segment.
fn file(segments: &[&str]) -> Result<PackagePath, RouteError> {
    match segments.iter().find(|segment| segment.contains('/')) {
        Some(part) => Err(RouteError::EncodedSlash((*part).to_owned())),
        None => segments.join("/").parse().map_err(RouteError::Path),
    }
}

impl Parameters {
    fn packages(&self) -> Result<Filter, RouteError> {
        let reference = self.digest("reference")?;
        if reference.as_ref().is_some_and(|digest| digest.algorithm() != Algorithm::Sha256) {
            return Err(refused(
                "reference",
                "packages are known by the sha256 digest of their OCI manifest",
            ));
        }
        let statuses = "one of created, uploading, finalized, deleted and failed";
        Ok(Filter {
            status: self.read("status", statuses, Status::parse)?,
            kind: self.word("kind")?,
            class: self.word("class")?,
            reference,
        })
    }

    fn ingest(&self) -> Result<Ingest, RouteError> {
        Ok(Ingest {
            replace: self.flag("replace")?.unwrap_or_default(),
            digest: self.digest("digest")?,
            role: self.text("role")?.map(str::to_owned),
            mount: self.digest("mount")?,
        })
    }

    pub(super) fn since(&self) -> Result<Since, RouteError> {
        let since = self.number("since", 0, Some(MAX_SEQUENCE))?.unwrap_or_default();
        let limit = self.number("limit", 1, None)?;
        Ok(Since {
            since: since.cast_signed(),
            limit: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        })
    }
}

/// `R/packages/<id>`
pub fn package_path(name: &RepositoryName, id: &PackageId) -> String {
    format!("/v2/{name}/{EXTENSION}/packages/{id}")
}

/// `R/packages/<id>/files/<path>`
pub fn file_path(name: &RepositoryName, id: &PackageId, path: &PackagePath) -> String {
    format!("{}/files/{}", package_path(name, id), super::query::plain(path.as_str()))
}

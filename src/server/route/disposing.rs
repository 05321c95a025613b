//! The routes of dispositions.

use http::Method;

use super::parameters::{Parameters, refused};
use super::{EXTENSION, Page, Permission, RouteError};
use crate::auth::Action;
use crate::oci::RepositoryName;
use crate::registry::DispositionStatus;
use crate::retention::DispositionId;

/// What a request asks of dispositions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposing {
    /// `POST R/disposition`
    Propose(RepositoryName),
    /// `GET R/disposition?status=&n=&last=`
    List(RepositoryName, Option<DispositionStatus>, Page),
    /// `GET R/disposition/<id>`
    Get(RepositoryName, DispositionId),
    /// `GET R/disposition/<id>/certificate`
    Certificate(RepositoryName, DispositionId),
    /// `POST R/disposition/<id>/approve`
    Approve(RepositoryName, DispositionId),
    /// `POST R/disposition/<id>/reject`
    Reject(RepositoryName, DispositionId),
    /// `POST R/disposition/<id>/execute`
    Execute(RepositoryName, DispositionId),
}

impl Disposing {
    /// What a request asks for, from the segments behind `disposition`.
    pub(super) fn parse(
        method: &Method,
        name: RepositoryName,
        rest: &[&str],
        query: &Parameters,
    ) -> Result<Self, RouteError> {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        match *rest {
            [] if is_read => {
                let statuses = "one of proposed, approved, rejected, voided and executed";
                let status = query.read("status", statuses, DispositionStatus::parse)?;
                Ok(Self::List(name, status, query.page()?))
            }
            [] if *method == Method::POST => Ok(Self::Propose(name)),
            [] => Err(RouteError::Method(&["GET", "HEAD", "POST"])),
            [id] if is_read => Ok(Self::Get(name, disposition(id)?)),
            [id, "certificate"] if is_read => Ok(Self::Certificate(name, disposition(id)?)),
            [_] | [_, "certificate"] => Err(RouteError::Method(&["GET", "HEAD"])),
            [id, verb @ ("approve" | "reject" | "execute")] if *method == Method::POST => {
                let id = disposition(id)?;
                // What is ignored elsewhere would dispose of something here.
                if query.text("dry_run")?.is_some() {
                    return Err(refused(
                        "dry_run",
                        "a step cannot be tried; GET R/explain says what stands against it",
                    ));
                }
                Ok(match verb {
                    "approve" => Self::Approve(name, id),
                    "reject" => Self::Reject(name, id),
                    _ => Self::Execute(name, id),
                })
            }
            [_, "approve" | "reject" | "execute"] => Err(RouteError::Method(&["POST"])),
            _ => Err(RouteError::NotFound),
        }
    }

    /// What the caller must be allowed to do.
    pub(super) fn permission(&self) -> Permission<'_> {
        match self {
            Self::List(name, ..) | Self::Get(name, _) | Self::Certificate(name, _) => Permission::pull(name),
            Self::Propose(name) | Self::Execute(name, _) => Permission::In(name, &[Action::Dispose]),
            Self::Approve(name, _) => Permission::In(name, &[Action::Approve]),
            // Who proposed takes it back, who may approve rejects it.
            Self::Reject(name, _) => Permission::In(name, &[Action::Approve, Action::Dispose]),
        }
    }
}

fn disposition(id: &str) -> Result<DispositionId, RouteError> {
    id.parse().map_err(RouteError::Disposition)
}

/// `R/disposition/<id>`
pub fn disposition_path(name: &RepositoryName, id: &DispositionId) -> String {
    format!("/v2/{name}/{EXTENSION}/disposition/{id}")
}

/// `R/disposition/<id>/certificate`
pub fn certificate_path(name: &RepositoryName, id: &DispositionId) -> String {
    format!("{}/certificate", disposition_path(name, id))
}

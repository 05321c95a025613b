//! The routes of retentions and holds.

use http::Method;

use super::parameters::{Parameters, refused};
use super::{EXTENSION, Page, Permission, RouteError, plain};
use crate::auth::Action;
use crate::clock::Micros;
use crate::oci::RepositoryName;
use crate::registry::{Item, Target};
use crate::retention::HoldId;

/// What a request asks of retentions and holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retention {
    /// `GET R/retention?reference=`: of the whole repository without one.
    Show(RepositoryName, Option<Item>),
    /// `GET R/retention/over?n=&last=`
    Over(RepositoryName, Option<(Micros, Target)>, Option<usize>),
    /// `POST R/retention/extend`
    Extend(RepositoryName),
    /// `POST R/retention/shorten`
    Shorten(RepositoryName),
    /// `POST R/holds`
    Place(RepositoryName),
    /// `GET R/holds?released=&n=&last=`
    Holds(RepositoryName, bool, Page),
    /// `GET R/holds/<id>`
    Hold(RepositoryName, HoldId),
    /// `DELETE R/holds/<id>?reason=`
    Release(RepositoryName, HoldId, String),
    /// `GET R/explain?reference=`: the whole repository without one.
    Explain(RepositoryName, Option<Item>),
}

impl Retention {
    /// What a request asks for, from the segments behind the extension's; the first is known to be ours.
    pub(super) fn parse(
        method: &Method,
        name: RepositoryName,
        rest: &[&str],
        query: &Parameters,
    ) -> Result<Self, RouteError> {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        match *rest {
            ["retention"] if is_read => Ok(Self::Show(name, query.item()?)),
            ["explain"] if is_read => Ok(Self::Explain(name, query.item()?)),
            ["retention", "over"] if is_read => {
                let page = query.page()?;
                Ok(Self::Over(name, cursor(&page.last)?, page.n))
            }
            ["retention" | "explain"] | ["retention", "over"] => Err(RouteError::Method(&["GET", "HEAD"])),
            ["retention", "extend"] if *method == Method::POST => Ok(Self::Extend(name)),
            ["retention", "shorten"] if *method == Method::POST => Ok(Self::Shorten(name)),
            ["retention", "extend" | "shorten"] => Err(RouteError::Method(&["POST"])),
            ["holds"] if is_read => {
                let released = query.flag("released")?.unwrap_or_default();
                Ok(Self::Holds(name, released, query.page()?))
            }
            ["holds"] if *method == Method::POST => Ok(Self::Place(name)),
            ["holds"] => Err(RouteError::Method(&["GET", "HEAD", "POST"])),
            ["holds", id] if is_read => Ok(Self::Hold(name, hold(id)?)),
            ["holds", id] if *method == Method::DELETE => {
                let reason = query.text("reason")?.unwrap_or_default().to_owned();
                Ok(Self::Release(name, hold(id)?, reason))
            }
            ["holds", _] => Err(RouteError::Method(&["GET", "HEAD", "DELETE"])),
            _ => Err(RouteError::NotFound),
        }
    }

    /// What the caller must be allowed to do.
    pub(super) fn permission(&self) -> Permission<'_> {
        match self {
            Self::Show(name, _)
            | Self::Over(name, ..)
            | Self::Holds(name, ..)
            | Self::Hold(name, _)
            | Self::Explain(name, _) => Permission::pull(name),
            Self::Extend(name) | Self::Shorten(name) => Permission::retain(name),
            Self::Place(name) => Permission::In(name, &[Action::Hold]),
            Self::Release(name, ..) => Permission::In(name, &[Action::Release]),
        }
    }
}

/// Where a list of what is over goes on: when the last one of the page before ended, and which that was.
pub(super) fn cursor(last: &str) -> Result<Option<(Micros, Target)>, RouteError> {
    if last.is_empty() {
        return Ok(None);
    }
    let pair =
        last.split_once('@').and_then(|(until, target)| Some((until.parse().ok()?, Target::parse(target)?)));
    let reason = "follow the link of the page before".to_owned();
    pair.map(Some).ok_or(RouteError::Query { name: "last", reason })
}

fn hold(id: &str) -> Result<HoldId, RouteError> {
    id.parse().map_err(RouteError::Hold)
}

impl Parameters {
    fn item(&self) -> Result<Option<Item>, RouteError> {
        match self.text("reference")? {
            // One that was left empty by mistake is not about the whole repository.
            Some("") => Err(refused("reference", "it is empty; leave it out to mean the whole repository")),
            Some(text) => text.parse().map(Some).map_err(RouteError::Item),
            None => Ok(None),
        }
    }
}

/// `R/explain?reference=`
pub fn explain_path(name: &RepositoryName, reference: &str) -> String {
    format!("/v2/{name}/{EXTENSION}/explain?reference={}", plain(reference))
}

/// `R/holds`
pub fn holds_path(name: &RepositoryName) -> String {
    format!("/v2/{name}/{EXTENSION}/holds")
}

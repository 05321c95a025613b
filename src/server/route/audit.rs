//! The routes of the audit: `G/audit` and `R/audit`.

use http::Method;

use super::parameters::{Parameters, refused};
use super::{Permission, RouteError, repository as checked};
use crate::auth::Action;
use crate::clock::Micros;
use crate::oci::{RepositoryName, excerpt};
use crate::registry::{AUDIT_ACTIONS, AuditFilter, Decision, Item};
use crate::retention::parse_rfc3339;
use crate::setting::nearest;

/// The parameters of the audit of one repository.
const KNOWN: [&str; 9] =
    ["since", "limit", "actor", "action", "package", "reference", "decision", "from", "until"];

/// The longest name of an actor, in bytes.
const ACTOR: usize = 255;

/// `GET G/audit` and `GET R/audit` with `?since=&limit=&actor=&action=&package=&reference=&decision=&from=&until=`, under
/// the registry also `repository=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The repository in the path.
    pub name: Option<RepositoryName>,
    /// Which entries; that of the path is in it.
    pub filter: AuditFilter,
    /// After which event.
    pub since: i64,
    /// How many entries at most.
    pub limit: Option<usize>,
}

impl Audit {
    /// What a request asks for.
    pub(super) fn parse(
        method: &Method,
        name: Option<RepositoryName>,
        query: &Parameters,
    ) -> Result<Self, RouteError> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(RouteError::Method(&["GET", "HEAD"]));
        }
        // Who misspells a filter is not to be given everything.
        match &name {
            Some(_) => query.only(&KNOWN)?,
            None => query.only(&[&KNOWN[..], &["repository"]].concat())?,
        }
        let since = query.since()?;
        let read = |text: &str| checked(&text.split('/').collect::<Vec<_>>()).ok();
        // Beside a name in the path there is none.
        let asked = query.read("repository", "the name of a repository", read)?;
        let repository = name.clone().or(asked);
        let package = query.read("package", "the id of a package", |text| text.parse().ok())?;
        let reference = "a tag, a digest or the id of a package";
        let reference = query.read("reference", reference, |text| text.parse::<Item>().ok())?;
        if package.is_some() && reference.is_some() {
            return Err(refused("reference", "it is given beside package; one of them is enough"));
        }
        let decision = query.read("decision", "one of allowed and refused", Decision::parse)?;
        let filter = AuditFilter {
            repository,
            actor: query.read("actor", "the id of an actor", actor)?,
            action: action(query)?,
            package,
            reference,
            decision,
            from: moment(query, "from")?,
            until: moment(query, "until")?,
        };
        Ok(Self { name, filter, since: since.since, limit: since.limit })
    }

    /// What the caller must be allowed to do.
    pub(super) fn permission(&self) -> Permission<'_> {
        match &self.name {
            Some(name) => Permission::In(name, &[Action::Audit]),
            None => Permission::Everywhere(Action::Audit),
        }
    }
}

fn actor(text: &str) -> Option<String> {
    let is_one = (1..=ACTOR).contains(&text.len()) && !text.contains('\0');
    is_one.then(|| text.to_owned())
}

fn action(query: &Parameters) -> Result<Option<String>, RouteError> {
    let Some(text) = query.text("action")? else { return Ok(None) };
    if AUDIT_ACTIONS.contains(&text) {
        return Ok(Some(text.to_owned()));
    }
    let candidates = AUDIT_ACTIONS.iter().map(|action| ((*action).to_owned(), *action));
    let meant = nearest(text, candidates).map(|action| format!("; did you mean {action}?"));
    let meant = meant.unwrap_or_else(|| format!("; there are {}", AUDIT_ACTIONS.join(", ")));
    Err(refused("action", &format!("{:?} is no action{meant}", excerpt(text))))
}

fn moment(query: &Parameters, name: &'static str) -> Result<Option<Micros>, RouteError> {
    query.read(name, "a moment like 2030-01-31T00:00:00Z", parse_rfc3339)
}

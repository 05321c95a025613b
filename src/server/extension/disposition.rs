//! Dispositions: proposed, approved, rejected, executed, certified.

use http::StatusCode;
use http::header::{CACHE_CONTROL, ETAG, LOCATION};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::conditional;
use super::super::download::{CHANGING, IMMUTABLE};
use super::super::error::Error;
use super::super::respond::{Answer, Headers as _, empty, held, json as answer, link};
use super::super::route::{Disposing, Page, certificate_path, disposition_path};
use super::super::service::Call;
use super::input;
use super::retention::refusal;
use crate::clock::{Micros, SECOND};
use crate::oci::RepositoryName;
use crate::registry::{Approval, Disposition, DispositionStatus, Item};
use crate::retention::{DispositionId, rfc3339};

/// Dispositions of a page, at most and when nobody says.
const MAX_PAGE: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Propose {
    reference: String,
    #[serde(default)]
    reason: String,
}

/// A step for a state of the retention, if one is named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AsSeen {
    revision: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reject {
    #[serde(default)]
    reason: String,
}

pub(super) async fn dispatch(route: Disposing, call: &mut Call<'_>) -> Result<Answer, Error> {
    match route {
        Disposing::Propose(name) => propose(call, &name).await,
        Disposing::List(name, status, page) => list(call, &name, status, &page).await,
        Disposing::Get(name, id) => get(call, &name, &id).await,
        Disposing::Certificate(name, id) => certificate(call, &name, &id).await,
        Disposing::Approve(name, id) => {
            let asked: AsSeen = input::read(call).await?;
            let (registry, actor) = (&call.state.registry, call.actor.clone());
            let approved = registry.approve_disposition(&name, actor, &id, asked.revision).await;
            done(call, &name, &id, ("disposition.approve", approved)).await
        }
        Disposing::Reject(name, id) => {
            let asked: Reject = input::read(call).await?;
            let (registry, actor) = (&call.state.registry, call.actor.clone());
            let rejected = registry.reject_disposition(&name, actor, &id, &asked.reason).await;
            done(call, &name, &id, ("disposition.reject", rejected)).await
        }
        Disposing::Execute(name, id) => {
            let asked: AsSeen = input::read(call).await?;
            let (registry, actor) = (&call.state.registry, call.actor.clone());
            let executed = registry.execute_disposition(&name, actor, &id, asked.revision).await;
            done(call, &name, &id, ("disposition.execute", executed)).await
        }
    }
}

/// What a step came to.
async fn done(
    call: &mut Call<'_>,
    name: &RepositoryName,
    id: &DispositionId,
    (action, outcome): (&str, Result<Disposition, crate::registry::Error>),
) -> Result<Answer, Error> {
    let Err(error) = outcome else { return get(call, name, id).await };
    let Ok((found, _)) = call.state.registry.find_disposition(name, id).await else {
        return Err(error.into());
    };
    Err(refusal(&call.state.registry, name, (action, &Item::from(found.target)), error).await)
}

async fn propose(call: &mut Call<'_>, name: &RepositoryName) -> Result<Answer, Error> {
    let asked: Propose = input::read(call).await?;
    let item = asked.reference.parse::<Item>();
    let item = item.map_err(|error| input::refused(&format!("reference: {error}")))?;
    let (registry, actor) = (&call.state.registry, call.actor.clone());
    let proposed = match registry.propose_disposition(name, actor, &item, &asked.reason).await {
        Ok(proposed) => proposed,
        Err(error) => return Err(refusal(registry, name, ("disposition.propose", &item), error).await),
    };
    let location = disposition_path(name, &proposed.id);
    Ok(answer(StatusCode::CREATED, &shape(&proposed, None)).with(LOCATION, &location))
}

async fn list(
    call: &mut Call<'_>,
    name: &RepositoryName,
    status: Option<DispositionStatus>,
    page: &Page,
) -> Result<Answer, Error> {
    let limit = page.limit(MAX_PAGE);
    let mut found = call.state.registry.dispositions(name, status, &page.last, limit + 1).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|last| {
        let status = status.map(|status| format!("&status={}", status.as_str())).unwrap_or_default();
        format!("/v2/{name}/_artifactstore/disposition?n={limit}&last={}{status}", last.id)
    });
    let shapes: Vec<Value> = found.iter().map(|found| shape(found, None)).collect();
    Ok(link(answer(StatusCode::OK, &json!({ "dispositions": shapes })), next))
}

async fn get(call: &mut Call<'_>, name: &RepositoryName, id: &DispositionId) -> Result<Answer, Error> {
    let (found, approvals) = call.state.registry.find_disposition(name, id).await?;
    Ok(answer(StatusCode::OK, &shape(&found, Some(&approvals))))
}

/// The document as it is: of a final one its digest is in the log.
async fn certificate(
    call: &mut Call<'_>,
    name: &RepositoryName,
    id: &DispositionId,
) -> Result<Answer, Error> {
    let registry = &call.state.registry;
    let (making, body) = registry.certificate_weight(name, id).await?;
    let room = call.state.room.take(making, body).await?;
    let found = registry.certificate(name, id).await?;
    let digest = found.digest();
    let rendered = if conditional::is_known(&call.headers, &digest) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        held("application/json", room.hold(found.document.into_bytes()))
    };
    let caching = if found.is_final { IMMUTABLE } else { CHANGING };
    Ok(rendered.with(ETAG, &conditional::etag(&digest)).with(CACHE_CONTROL, caching))
}

/// A disposition; with its approvals where they were looked up.
pub(crate) fn shape(of: &Disposition, approvals: Option<&[Approval]>) -> Value {
    let from = of.approved_at.map(|at| at.saturating_add(Micros::from(of.cooling_off) * SECOND));
    let mut shape = json!({
        "id": of.id,
        "repository": of.repository,
        "target": of.target.to_string(),
        "status": of.status.as_str(),
        "reason": of.reason,
        "proposed_by": of.proposed_by,
        "proposed_at": rfc3339(of.proposed_at),
        "revision": of.revision,
        "approvals_needed": of.approvals,
        "cooling_off": of.cooling_off,
        "approved_at": of.approved_at.map(rfc3339),
        "executable_from": from.map(rfc3339),
    });
    if let Some(approvals) = approvals {
        let approval = |it: &Approval| json!({ "by": it.principal, "at": rfc3339(it.at) });
        shape["approvals"] = approvals.iter().map(approval).collect();
    }
    if let Some(end) = &of.end {
        shape["ended_by"] = end.by.as_str().into();
        shape["ended_at"] = rfc3339(end.at).into();
        shape["end_reason"] = end.reason.as_str().into();
    }
    if of.status == DispositionStatus::Executed {
        shape["certificate"] = certificate_path(&of.repository, &of.id).into();
    }
    shape
}

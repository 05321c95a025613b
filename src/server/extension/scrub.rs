//! The scrub: how it stands, begun, looked at.

use std::time::Duration;

use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};

use super::super::error::Error;
use super::super::respond::{Answer, Headers as _, json as answer, link};
use super::super::route::{Page, plain};
use super::super::service::Call;
use super::input;
use crate::registry::{Damaged, ScrubRun, ScrubState, ScrubStatus};
use crate::retention::rfc3339;

/// Runs or findings of a page, at most and when nobody says.
const MAX_PAGE: usize = 100;

/// How long a request waits for the pass it began. The pass goes on without it.
const PATIENCE: Duration = Duration::from_secs(10);

/// `POST G/scrub`
pub(super) async fn start(call: &mut Call<'_>) -> Result<Answer, Error> {
    input::nothing(call).await?;
    let run = call.state.registry.scrub_in_background(call.actor.clone(), PATIENCE).await?;
    let status = if run.status == ScrubStatus::Running { StatusCode::ACCEPTED } else { StatusCode::OK };
    let location = format!("/v2/_artifactstore/scrub/runs/{}", run.done.run);
    Ok(answer(status, &shape(&run)).with(LOCATION, &location))
}

/// `GET G/scrub`: with what is damaged now.
pub(super) async fn state(call: &mut Call<'_>, page: &Page) -> Result<Answer, Error> {
    let registry = &call.state.registry;
    let ScrubState { current, last, troubles } = registry.scrub_state().await?;
    let limit = page.limit(MAX_PAGE);
    let (found, next) = findings(registry.damaged(&page.last, limit + 1).await?, limit);
    let body = json!({
        "current": current.as_ref().map(shape),
        "last": last.as_ref().map(shape),
        "corrupt": troubles.corrupt,
        "missing": troubles.missing,
        "unreadable": troubles.unreadable,
        "findings": found,
    });
    let next = next.map(|last| format!("/v2/_artifactstore/scrub?n={limit}&last={}", plain(&last)));
    Ok(link(answer(StatusCode::OK, &body), next))
}

/// `GET G/scrub/runs`
pub(super) async fn list(call: &mut Call<'_>, page: &Page) -> Result<Answer, Error> {
    let limit = page.limit(MAX_PAGE);
    let before = Some(page.last.as_str()).filter(|run| !run.is_empty());
    let mut runs = call.state.registry.scrub_runs(before, limit + 1).await?;
    let has_more = runs.len() > limit;
    runs.truncate(limit);
    let next = runs.last().filter(|_| has_more);
    let next = next.map(|last| format!("/v2/_artifactstore/scrub/runs?n={limit}&last={}", last.done.run));
    let runs: Vec<Value> = runs.iter().map(shape).collect();
    Ok(link(answer(StatusCode::OK, &json!({ "runs": runs })), next))
}

/// `GET G/scrub/runs/<run>`: with what it found first.
pub(super) async fn get(call: &mut Call<'_>, run: &str, page: &Page) -> Result<Answer, Error> {
    let registry = &call.state.registry;
    let mut body = shape(&registry.scrub_run(run).await?);
    let limit = page.limit(MAX_PAGE);
    let (found, next) = findings(registry.scrub_findings(run, &page.last, limit + 1).await?, limit);
    body["findings"] = found.into();
    let next =
        next.map(|last| format!("/v2/_artifactstore/scrub/runs/{run}?n={limit}&last={}", plain(&last)));
    Ok(link(answer(StatusCode::OK, &body), next))
}

/// A page of them, and the last one if more follow.
fn findings(mut found: Vec<Damaged>, limit: usize) -> (Vec<Value>, Option<String>) {
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more).map(|last| last.key.clone());
    (found.iter().map(finding).collect(), last)
}

fn finding(copy: &Damaged) -> Value {
    json!({
        "content": copy.content,
        "backend": copy.backend,
        "key": copy.key,
        "trouble": copy.trouble.as_str(),
        "finding": copy.finding,
        "run": copy.run,
        "found_at": rfc3339(copy.found_at),
        "state": copy.state.as_str(),
        "ended_at": copy.ended_at.map(rfc3339),
        "replaced_by": copy.replaced_by,
    })
}

fn shape(run: &ScrubRun) -> Value {
    let done = &run.done;
    json!({
        "run": done.run,
        "status": run.status.as_str(),
        "started_at": rfc3339(done.started_at),
        "finished_at": run.finished_at.map(rfc3339),
        "covers": done.covers,
        "blobs": done.blobs,
        "bytes": done.bytes,
        "manifests": done.manifests,
        "damaged": done.damaged,
        "unreadable": done.unreadable,
        "recovered": done.recovered,
        "repaired": done.repaired,
        "failure": run.failure,
    })
}

//! Collections of garbage: begun, foretold, looked at.

use std::time::Duration;

use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};

use super::super::error::Error;
use super::super::respond::{Answer, Headers as _, json as answer, link};
use super::super::route::{Page, Since};
use super::super::service::Call;
use super::events::{self, MAX_PAGE as MAX_EVENTS};
use super::{input, shapes};
use crate::registry::RunStatus;

/// Runs of a page, at most and when nobody says.
const MAX_PAGE: usize = 100;

/// How long a request waits for the run it began. The run goes on without it.
const PATIENCE: Duration = Duration::from_secs(10);

/// `POST G/gc`
pub(super) async fn collect(call: &mut Call<'_>) -> Result<Answer, Error> {
    let is_dry_run = input::is_dry_run(call).await?;
    let registry = &call.state.registry;
    if is_dry_run {
        return Ok(answer(StatusCode::OK, &shapes::plan(&registry.collection_plan().await?)));
    }
    let run = registry.collect_in_background(call.actor.clone(), PATIENCE).await?;
    let status = if run.status == RunStatus::Running { StatusCode::ACCEPTED } else { StatusCode::OK };
    let location = format!("/v2/_artifactstore/gc/runs/{}", run.done.run);
    Ok(answer(status, &shapes::run(&run)).with(LOCATION, &location))
}

/// `GET G/gc/runs`
pub(super) async fn list(call: &mut Call<'_>, page: &Page) -> Result<Answer, Error> {
    let limit = page.limit(MAX_PAGE);
    let before = Some(page.last.as_str()).filter(|run| !run.is_empty());
    let mut runs = call.state.registry.gc_runs(before, limit + 1).await?;
    let has_more = runs.len() > limit;
    runs.truncate(limit);
    let next = runs.last().filter(|_| has_more);
    let next = next.map(|last| format!("/v2/_artifactstore/gc/runs?n={limit}&last={}", last.done.run));
    let runs: Vec<Value> = runs.iter().map(shapes::run).collect();
    Ok(link(answer(StatusCode::OK, &json!({ "runs": runs })), next))
}

/// `GET G/gc/runs/<run>`: with what it did to which objects.
pub(super) async fn get(
    call: &mut Call<'_>,
    run: &str,
    Since { since, limit }: Since,
) -> Result<Answer, Error> {
    let registry = &call.state.registry;
    let mut shape = shapes::run(&registry.gc_run(run).await?);
    let limit = limit.unwrap_or(MAX_EVENTS).min(MAX_EVENTS);
    let (making, body) = events::need(registry.gc_run_events_size(run, since, limit).await?);
    let room = call.state.room.take(making, body).await?;
    let events = registry.gc_run_events(run, since, limit).await?;
    shape["next_since"] = events.last().map_or(since, |event| event.sequence).into();
    events::page(events, &shape, room).await
}

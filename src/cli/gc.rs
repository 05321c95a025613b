//! `artifactstore gc`

use serde_json::json;

use super::output::print;
use super::{Failure, Outcome, open, user};
use crate::clock::Clock;
use crate::config::Settings;
use crate::registry::{self, Actor, Tally};
use crate::server::collection_plan_shape as shape;

pub(super) async fn plan(settings: &Settings, as_json: bool) -> Outcome {
    let parts = open::read(settings).await?;
    let plan =
        registry::plan_collection(&parts.db, &parts.data, &Clock::system(), &settings.registry).await?;
    let line = |(reason, found): (&str, Tally)| format!("{reason}: {}", count(found));
    let mut lines: Vec<String> = plan.reasons().into_iter().map(line).collect();
    lines.push(format!("not due yet: {}", count(plan.waiting)));
    lines.push(format!("reclaimable: {}", count(plan.reclaimable())));
    if plan.is_frozen {
        lines.push(
            "the clock is frozen: nothing is collected before it was looked at (`artifactstore clock show`)"
                .to_owned(),
        );
    }
    print(as_json, &shape(&plan), &lines.join("\n"))?;
    Ok(true)
}

pub(super) async fn collect(settings: &Settings, as_json: bool) -> Outcome {
    let parts = open::write(settings).await?;
    let registry = parts.registry(settings).await?;
    let run = registry.collect_for(Actor::user(&user::name())).await?;
    drop(registry);
    parts.db.close().await;
    let run =
        run.ok_or_else(|| Failure("a server is collecting garbage already; try again later".to_owned()))?;
    let done = &run.done;
    let mut text = format!(
        "{} links released, {} blobs condemned, {} copies ({} bytes) and {} orphans deleted",
        done.released, done.condemned, done.purged, done.purged_bytes, done.orphans
    );
    if let Some(failure) = &done.failure {
        text = format!("{text}\n{failure}");
    }
    let body = json!({
        "run": done.run,
        "status": run.status.as_str(),
        "released": done.released,
        "condemned": done.condemned,
        "purged": done.purged,
        "purged_bytes": done.purged_bytes,
        "orphans": done.orphans,
        "failure": done.failure,
    });
    print(as_json, &body, &text)?;
    Ok(done.failure.is_none())
}

fn count(tally: Tally) -> String {
    format!("{} objects, {} bytes", tally.objects, tally.bytes)
}

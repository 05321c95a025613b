//! `artifactstore dispose`

use serde_json::{Value, json};

use super::output::print;
use super::{Failure, Outcome, open};
use crate::client::shown;
use crate::clock::Clock;
use crate::config::Settings;
use crate::registry::{self, Scheduled, ScheduledStep};
use crate::retention::rfc3339;

/// Things a dry run tells of, at most.
const MOST: usize = 1000;

pub(super) async fn plan(settings: &Settings, as_json: bool) -> Outcome {
    let parts = open::read(settings).await?;
    let plan = registry::plan_disposal(&parts.db, &Clock::system(), &settings.registry, MOST).await?;
    parts.close().await;
    let mut lines: Vec<String> = plan.iter().map(line).collect();
    if lines.is_empty() {
        lines.push("nothing is due".to_owned());
    }
    let shapes: Vec<Value> = plan.iter().map(shape).collect();
    let body = json!({
        "dry_run": true,
        "is_enabled": settings.registry.disposal.enabled,
        "scheduled": shapes,
    });
    print(as_json, &body, &lines.join("\n"))?;
    Ok(true)
}

pub(super) async fn dispose(settings: &Settings, as_json: bool) -> Outcome {
    if !settings.registry.disposal.enabled {
        return Err(Failure(
            "disposal by schedule is off; set retention.scheduled_disposal = true, or look at what it would do with \
             --dry-run"
                .to_owned(),
        ));
    }
    let parts = open::write(settings).await?;
    let registry = parts.registry(settings).await?;
    let run = registry.dispose_by_schedule().await;
    drop(registry);
    parts.close().await;
    let run = run?.ok_or_else(|| Failure("a server is at it already; try again later".to_owned()))?;
    let text = format!("{} looked at, {} proposed, {} executed", run.looked, run.proposed, run.executed);
    let body = json!({ "looked": run.looked, "proposed": run.proposed, "executed": run.executed });
    print(as_json, &body, &text)?;
    Ok(true)
}

fn step(scheduled: &Scheduled) -> (&'static str, Option<String>) {
    match &scheduled.step {
        ScheduledStep::Propose => ("propose", None),
        ScheduledStep::Execute(id) => ("execute", Some(id.to_string())),
        ScheduledStep::Wait(why) => ("wait", Some(why.clone())),
    }
}

fn shape(scheduled: &Scheduled) -> Value {
    let (step, detail) = step(scheduled);
    json!({
        "repository": scheduled.repository,
        "target": scheduled.target.to_string(),
        "class": scheduled.class,
        "due_at": rfc3339(scheduled.due_at),
        "step": step,
        "detail": detail,
    })
}

fn line(scheduled: &Scheduled) -> String {
    let (step, detail) = step(scheduled);
    let detail = detail.map(|detail| format!(": {}", shown(&detail))).unwrap_or_default();
    let Scheduled { repository, target, class, .. } = scheduled;
    format!("{step}  {repository}  {target}  {class}{detail}")
}

//! `artifactstore scrub`

use serde_json::{Value, json};

use super::output::print;
use super::{Failure, Outcome, open, user};
use crate::config::Settings;
use crate::registry::{Actor, Damaged, ScrubRun, ScrubStatus};

/// Findings that are shown; the rest is in the log and over HTTP.
const SHOWN: usize = 1000;

pub(super) async fn scrub(settings: &Settings, as_json: bool) -> Outcome {
    let parts = open::write(settings).await?;
    let registry = parts.registry(settings).await?;
    let run = registry.scrub_for(Actor::user(&user::name())).await?;
    let damaged = registry.damaged("", SHOWN).await?;
    drop(registry);
    parts.db.close().await;
    let run = run.ok_or_else(|| Failure("a server is scrubbing already; try again later".to_owned()))?;
    print(as_json, &body(&run, &damaged), &text(&run, &damaged))?;
    Ok(damaged.is_empty() && run.failure.is_none())
}

fn text(run: &ScrubRun, damaged: &[Damaged]) -> String {
    let done = &run.done;
    let line = |copy: &Damaged| format!("{}: {} {}", copy.content, copy.key, copy.finding);
    let mut lines: Vec<String> = damaged.iter().map(line).collect();
    lines.push(format!(
        "{} blobs and {} manifests ({} bytes) read: {} damaged ({} repaired), {} unreadable, {} whole again",
        done.blobs, done.manifests, done.bytes, done.damaged, done.repaired, done.unreadable, done.recovered
    ));
    lines.push(match run.status {
        ScrubStatus::Completed => format!("cycle {} is complete", done.run),
        ScrubStatus::Paused | ScrubStatus::Running => format!("cycle {} goes on with the next run", done.run),
    });
    lines.extend(run.failure.clone());
    lines.join("\n")
}

fn body(run: &ScrubRun, damaged: &[Damaged]) -> Value {
    let done = &run.done;
    let copy = |copy: &Damaged| {
        json!({
            "content": copy.content,
            "backend": copy.backend,
            "key": copy.key,
            "trouble": copy.trouble.as_str(),
            "finding": copy.finding,
            "run": copy.run,
        })
    };
    json!({
        "run": done.run,
        "status": run.status.as_str(),
        "blobs": done.blobs,
        "bytes": done.bytes,
        "manifests": done.manifests,
        "damaged": done.damaged,
        "unreadable": done.unreadable,
        "recovered": done.recovered,
        "repaired": done.repaired,
        "failure": run.failure,
        "findings": damaged.iter().map(copy).collect::<Vec<_>>(),
    })
}

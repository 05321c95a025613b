//! The commands that look at what is stored: `version`, `health`, `migrate`, `verify`.

use std::io::IsTerminal as _;
use std::os::unix::fs::DirBuilderExt as _;

use serde_json::{Value, json};

use super::output::{print, remark};
use super::package::meter::count;
use super::{Failure, Outcome, open};
use crate::config::Settings;
use crate::registry::{self, Capability, Health, Verification};

pub(super) fn version(as_json: bool) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    print(as_json, &json!({ "version": version }), &format!("artifactstore {version}"))?;
    Ok(true)
}

pub(super) async fn health(settings: &Settings, as_json: bool) -> Outcome {
    let parts = open::read(settings).await?;
    let health = registry::inspect(&parts.db, &parts.data).await;
    let line = |component: &registry::Component| match &component.problem {
        None => format!("{}: ok", component.name),
        Some(problem) => format!("{}: {problem}", component.name),
    };
    let lines: Vec<_> = health.components.iter().map(line).collect();
    print(as_json, &describe(&health), &lines.join("\n"))?;
    Ok(health.is_ready())
}

fn describe(health: &Health) -> Value {
    let component = |part: &registry::Component| {
        let capacity =
            part.capacity.map(|(total, available)| json!({ "total": total, "available": available }));
        json!({ "name": part.name, "problem": part.problem, "capacity": capacity, "capabilities": part.capabilities })
    };
    json!({
        "status": if health.is_ready() { "ok" } else { "failing" },
        "components": health.components.iter().map(component).collect::<Vec<_>>(),
    })
}

pub(super) async fn migrate(settings: &Settings, as_json: bool) -> Outcome {
    let parts = open::write(settings).await?;
    // Opening the log starts one where there is none and rebuilds views of an older version.
    let registry = parts.registry(settings).await?;
    let sequence = registry.last_sequence();
    drop(registry);
    parts.db.close().await;
    let database = settings.database.url.to_string();
    let text = format!("{database} is up to date; the log has {sequence} events");
    print(as_json, &json!({ "database": database, "sequence": sequence }), &text)?;
    Ok(true)
}

pub(super) async fn probe(settings: &Settings, as_json: bool) -> Outcome {
    let storage = open::storage(settings).await?;
    let tried = registry::probe(&storage).await?;
    let lacks = |can: &Capability| can.needed && !can.supported;
    let line = |can: &Capability| {
        let verdict = match (can.supported, can.needed) {
            (true, _) => "yes",
            (false, false) => "no, not needed",
            (false, true) => "NO, and it is needed",
        };
        let detail = can.detail.as_ref().map_or_else(String::new, |detail| format!(" ({detail})"));
        format!("  {}: {verdict}{detail}", can.name)
    };
    let lines = tried
        .iter()
        .flat_map(|(id, can)| std::iter::once(format!("storage:{id}")).chain(can.iter().map(line)));
    let describe = |can: &Capability| json!({ "name": can.name, "supported": can.supported, "needed": can.needed, "detail": can.detail });
    let body: Vec<_> = tried
        .iter()
        .map(|(id, can)| json!({ "id": id, "capabilities": can.iter().map(describe).collect::<Vec<_>>() }))
        .collect();
    print(as_json, &json!({ "storage": body }), &lines.collect::<Vec<_>>().join("\n"))?;
    Ok(!tried.iter().any(|(_, can)| can.iter().any(lacks)))
}

pub(super) async fn verify(settings: &Settings, as_json: bool) -> Outcome {
    let parts = open::read(settings).await?;
    let shows_progress = !as_json && std::io::stderr().is_terminal();
    let progress = |done: &Verification| {
        if shows_progress && done.blobs.is_multiple_of(64) {
            remark(&format!("\r{} blobs, {} MiB", done.blobs, done.bytes >> 20));
        }
    };
    let done = registry::verify(&parts.db, &parts.data, progress).await?;
    if shows_progress {
        remark("\n");
    }
    let mut lines: Vec<_> =
        done.faults.iter().map(|fault| format!("{}: {}", fault.content, fault.reason)).collect();
    let verdict = if lines.is_empty() { "all intact".to_owned() } else { format!("{} damaged", lines.len()) };
    for fault in &done.unusable {
        lines.push(format!("{}: snapshot {}; write a new one", fault.content, fault.reason));
    }
    let snapshots = if done.snapshots > 0 {
        format!(" and {} of the views", count(done.snapshots, "snapshot"))
    } else {
        String::new()
    };
    lines.push(format!(
        "{} blobs ({} bytes) and {} manifests{snapshots} read, {verdict}",
        done.blobs, done.bytes, done.manifests
    ));
    let fault = |fault: &registry::Fault| json!({ "content": fault.content, "reason": fault.reason });
    let body = json!({
        "blobs": done.blobs,
        "bytes": done.bytes,
        "manifests": done.manifests,
        "snapshots": done.snapshots,
        "faults": done.faults.iter().map(fault).collect::<Vec<_>>(),
        "unusable": done.unusable.iter().map(fault).collect::<Vec<_>>(),
    });
    print(as_json, &body, &lines.join("\n"))?;
    Ok(done.faults.is_empty() && done.unusable.is_empty())
}

/// A directory of our own, which nobody else may look into and which goes away with the command.
pub(super) struct Scratch(std::path::PathBuf);

impl Scratch {
    pub(super) fn path(&self) -> &std::path::Path {
        &self.0
    }

    pub(super) fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("artifactstore-{}", ulid::Ulid::generate()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Failure(format!("cannot create {}: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

//! `artifactstore copy`

use std::io::IsTerminal as _;
use std::path::PathBuf;

use serde_json::json;

use super::output::{print, remark};
use super::{Failure, Outcome, open};
use crate::config::{Config, Flags, Settings};
use crate::registry::{self, Copied, CopyOutcome, Side};

/// Which two registries.
#[derive(Debug, clap::Args)]
pub(super) struct Sides {
    /// The original: its data directory or its configuration file. The environment says nothing about it.
    #[arg(long, value_name = "DIR|FILE")]
    from: PathBuf,
    /// The copy: a data directory or a configuration file; the environment holds for it, as for `serve`.
    #[arg(long, value_name = "DIR|FILE")]
    to: PathBuf,
    /// Nothing writes to the original: needed where that cannot be seen, for one on PostgreSQL.
    #[arg(long)]
    at_rest: bool,
}

impl Sides {
    /// The settings of the original and of the copy.
    pub(super) fn load(
        &self,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<(Settings, Settings), Failure> {
        let from = Config::load(flags(&self.from), std::iter::empty())?.settings;
        let to = Config::load(flags(&self.to), environment)?.settings;
        if from.database.url == to.database.url {
            return Err(Failure(format!(
                "both sides are {}; a copy needs a place of its own",
                to.database.url
            )));
        }
        if from.storage.engine == to.storage.engine {
            return Err(Failure("both sides have the same storage; a copy needs one of its own".to_owned()));
        }
        Ok((from, to))
    }
}

fn flags(side: &std::path::Path) -> Flags {
    let is_file = side.extension().is_some_and(|extension| extension == "toml") || side.is_file();
    if is_file {
        return Flags { file: Some(side.to_owned()), values: Vec::new() };
    }
    Flags { file: None, values: vec![("data", side.display().to_string())] }
}

pub(super) async fn copy(sides: &Sides, from: &Settings, to: &Settings, as_json: bool) -> Outcome {
    let (original, is_locked) = open::original(from).await?;
    open::refuse_same_place(&original, to).await?;
    let copy = open::write(to).await?;
    let shows_progress = !as_json && std::io::stderr().is_terminal();
    let progress = |copied: &Copied| {
        if shows_progress && (copied.objects + copied.events.unsigned_abs()).is_multiple_of(64) {
            let (objects, mib, events) = (copied.objects, copied.bytes >> 20, copied.events);
            remark(&format!("\r{objects} objects, {mib} MiB sent, {events} events"));
        }
    };
    let outcome = registry::copy(
        Side { db: &original.db, data: &original.data },
        Side { db: &copy.db, data: &copy.data },
        is_locked || sides.at_rest,
        progress,
    )
    .await;
    if shows_progress {
        remark("\n");
    }
    let outcome = outcome?;
    copy.db.close().await;
    original.db.close().await;
    report(&outcome, as_json)
}

fn report(outcome: &CopyOutcome, as_json: bool) -> Outcome {
    let (copied, status, lines) = match outcome {
        CopyOutcome::Whole { copied, log, state } => (
            copied,
            "whole",
            vec![
                "the logs are equal byte for byte, the views too, and every object was read back".to_owned(),
                format!("log   {log}"),
                format!("state {}", state.digest),
            ],
        ),
        CopyOutcome::Closed(copied) => (
            copied,
            "closed",
            vec![
                "the original may be in use: the copy stays closed; stop the original and run this once more \
                 (for one on PostgreSQL, with --at-rest)"
                    .to_owned(),
            ],
        ),
        CopyOutcome::Damaged { copied, is_open, verification } => {
            let fault = |fault: &registry::Fault| format!("{}: {}", fault.content, fault.reason);
            let mut lines: Vec<_> = verification.faults.iter().map(fault).collect();
            let advice = if *is_open {
                "the copy was whole before and goes on by itself: restore what is named, or push it there once more"
            } else {
                "the copy stays closed, run this again to send them once more"
            };
            lines.push(format!("{} damaged; {advice}", lines.len()));
            (copied, "damaged", lines)
        }
    };
    let Copied { objects, sent, bytes, manifests, events } = copied;
    let summary = format!(
        "{objects} objects ({sent} sent, {bytes} bytes), {manifests} manifests and {events} events are in the copy"
    );
    let mut body = json!({
        "status": status, "objects": objects, "sent": sent, "bytes": bytes,
        "manifests": manifests, "events": events,
    });
    match outcome {
        CopyOutcome::Whole { log, state, .. } => {
            body["log"] = json!(log);
            body["state"] = json!(state.digest);
        }
        CopyOutcome::Damaged { verification, .. } => {
            let fault = |fault: &registry::Fault| json!({ "content": fault.content, "reason": fault.reason });
            body["faults"] = verification.faults.iter().map(fault).collect();
        }
        CopyOutcome::Closed(_) => {}
    }
    let text = [vec![summary], lines].concat().join("\n");
    print(as_json, &body, &text)?;
    Ok(matches!(outcome, CopyOutcome::Whole { .. }))
}

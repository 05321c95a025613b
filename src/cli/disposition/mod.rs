//! `artifactstore disposition …`: over HTTP with any artifactstore registry, or on a data directory, there in the name
//! of whoever runs the command.

mod site;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{answer, say};
use super::package::write;
use super::retention::{ITEM_HELP, lines};
use super::{Failure, Outcome};
use crate::client::shown;
use crate::oci::RepositoryName;
use crate::retention::DispositionId;
use site::{Site, Verb, Where};

const STATUSES: [&str; 5] = ["proposed", "approved", "rejected", "voided", "executed"];

/// What can be done with dispositions.
#[derive(Debug, Subcommand)]
pub(super) enum Disposition {
    /// Propose to dispose of something whose retention is over; prints the id of the proposal.
    Propose(Propose),
    /// Agree to what somebody else proposed.
    Approve(AsSeen),
    /// End a proposal.
    Reject(Reject),
    /// Dispose of it, once it is approved and has cooled off. Its tombstone stays for ever.
    Execute(AsSeen),
    /// Show a disposition and its approvals.
    Show(Step),
    /// List the dispositions of a repository.
    List(List),
    /// Print the deletion certificate: what became of every blob; exits with 1 while it is interim.
    Certificate(Certificate),
}

#[derive(Debug, Args)]
pub(super) struct Propose {
    #[arg(help = ITEM_HELP)]
    item: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct AsSeen {
    #[command(flatten)]
    step: Step,
    /// Only if it is about this state of the retention, as `show` prints it
    #[arg(long, value_name = "N")]
    revision: Option<i64>,
}

#[derive(Debug, Args)]
pub(super) struct Reject {
    #[command(flatten)]
    step: Step,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Args)]
pub(super) struct Step {
    /// The repository: [host[:port]/]repository
    repository: String,
    /// The disposition.
    id: String,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// The repository: [host[:port]/]repository
    repository: String,
    /// Only those of this status.
    #[arg(long, value_name = "STATUS", value_parser = STATUSES)]
    status: Option<String>,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(super) struct Certificate {
    #[command(flatten)]
    step: Step,
    /// Write the document to a file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Disposition {
    pub(super) async fn run(self) -> Outcome {
        match self {
            Self::Propose(Propose { item, reason, at }) => {
                let as_json = at.remote.json;
                let (site, repository, reference) = at.find(&item).await?;
                let proposed = site.close(site.propose(&repository, &reference, &reason).await).await?;
                answer(as_json, &proposed, proposed["id"].as_str().unwrap_or_default())?;
            }
            Self::Approve(AsSeen { step, revision }) => step.take(Verb::Approve(revision)).await?,
            Self::Reject(Reject { step, reason }) => step.take(Verb::Reject(reason)).await?,
            Self::Execute(AsSeen { step, revision }) => step.take(Verb::Execute(revision)).await?,
            Self::Show(step) => {
                let (site, repository, id, as_json) = step.open().await?;
                let found = site.close(site.show(&repository, &id).await).await?;
                answer(as_json, &found, &lines(&found))?;
            }
            Self::List(List { repository, status, at }) => {
                let as_json = at.remote.json;
                let (site, repository) = at.open(&repository).await?;
                let found = site.close(site.list(&repository, status.as_deref()).await).await?;
                let line = |it: &Value| {
                    let text = |field: &str| shown(it[field].as_str().unwrap_or("-")).to_string();
                    ["id", "status", "target", "proposed_by", "proposed_at"].map(text).join("  ")
                };
                let text: Vec<String> = found.iter().map(line).collect();
                if as_json || !text.is_empty() {
                    answer(as_json, &json!({ "dispositions": found }), &text.join("\n"))?;
                }
            }
            Self::Certificate(Certificate { step, output }) => {
                let (site, repository, id, as_json) = step.open().await?;
                let document = site.close(site.certificate(&repository, &id).await).await?;
                return certified(&document, as_json, output.as_ref());
            }
        }
        Ok(true)
    }
}

impl Step {
    async fn open(self) -> Result<(Site, RepositoryName, DispositionId, bool), Failure> {
        let id = self.id.parse()?;
        let as_json = self.at.remote.json;
        let (site, repository) = self.at.open(&self.repository).await?;
        Ok((site, repository, id, as_json))
    }

    async fn take(self, verb: Verb) -> Result<(), Failure> {
        let (site, repository, id, as_json) = self.open().await?;
        let after = site.close(site.step(&repository, &id, verb).await).await?;
        let text = |field: &str| after[field].as_str().map(|text| format!(", {field} {text}"));
        let more = text("executable_from").filter(|_| after["status"] == "approved");
        let text = format!("{id} is {}{}", after["status"].as_str().unwrap_or("?"), more.unwrap_or_default());
        answer(as_json, &after, &text)
    }
}

/// The document as it is, for the digest is over its bytes; or what it comes to, for people.
fn certified(document: &[u8], as_json: bool, output: Option<&PathBuf>) -> Outcome {
    let certificate: Value = serde_json::from_slice(document)?;
    let is_final = certificate["status"] == "final";
    if output.is_some() {
        write(document, output)?;
    }
    if as_json {
        if output.is_none() {
            say(&String::from_utf8_lossy(document))?;
        }
        return Ok(is_final);
    }
    say(&format!("status: {}", if is_final { "final" } else { "interim" }))?;
    for field in ["repository", "target", "reference"] {
        say(&format!("{field}: {}", certificate[field].as_str().unwrap_or("-").escape_debug()))?;
    }
    for (outcome, tally) in certificate["summary"].as_object().into_iter().flatten() {
        say(&format!("{outcome}: {} blobs, {} bytes", tally["blobs"], tally["bytes"]))?;
    }
    for blob in certificate["blobs"].as_array().into_iter().flatten() {
        let text = |field: &str| blob[field].as_str();
        let digest = text("sha256").or_else(|| text("content_address")).unwrap_or("-");
        let since = text("purged_at").or_else(|| text("waits_as")).or_else(|| text("damage"));
        let since = since.map_or_else(|| kept_by(&blob["because"]), str::to_owned);
        say(&format!("{}  {digest}  {since}", text("outcome").unwrap_or("-")))?;
    }
    Ok(is_final)
}

/// Why a blob is still there, in a few words.
fn kept_by(because: &Value) -> String {
    let word = |reason: &Value| {
        let kind = reason["kind"].as_str()?;
        let name = reason["id"].as_str().or_else(|| reason["content_address"].as_str());
        let others = reason["repositories"].as_u64().map(|count| format!("{count} other repositories"));
        Some(name.map(|name| format!("{kind} {name}")).or(others).unwrap_or_else(|| kind.to_owned()))
    };
    let words: Vec<String> = because.as_array().into_iter().flatten().filter_map(word).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_blob_is_said_in_words() {
        let because = json!([
            { "kind": "package", "id": "pkg_1" }, { "kind": "object" }, { "kind": "elsewhere", "repositories": 9 },
        ]);
        assert_eq!(kept_by(&because), "package pkg_1, object, 9 other repositories");
        assert_eq!(kept_by(&Value::Null), "-");
    }
}

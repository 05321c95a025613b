//! `artifactstore audit`: on a data directory, also beside a running server, or over HTTP.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::output::{json, say, write};
use super::package::Remote;
use super::{Common, Failure, Outcome, open};
use crate::client::{Client, shown};
use crate::clock::Micros;
use crate::oci::RepositoryName;
use crate::package::PackageId;
use crate::registry::{self, AUDIT_ACTIONS, AuditFilter, AuditSpan, Decision, Item};
use crate::retention::{parse_rfc3339, rfc3339};
use crate::server::{audit_header, audit_line, audit_shape};

/// Columns for people; what is missing is a dash.
const COLUMNS: [&str; 8] =
    ["sequence", "at", "actor", "action", "decision", "repository", "reference", "reason"];

/// Which entries, where they are and how they are printed.
#[derive(Debug, Args)]
pub(super) struct Audit {
    /// Only of this repository
    #[arg(long, value_name = "NAME")]
    repository: Option<RepositoryName>,
    /// Only what this actor did, or tried
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Only this action, as tag.move
    #[arg(long, value_name = "ACTION", value_parser = clap::builder::PossibleValuesParser::new(AUDIT_ACTIONS), hide_possible_values = true)]
    action: Option<String>,
    /// Only about this package, with its retention, holds and dispositions
    #[arg(long, value_name = "ID", conflicts_with = "reference")]
    package: Option<PackageId>,
    /// Only about this tag, digest or package; a tag or a digest with --repository
    #[arg(long, value_name = "REFERENCE")]
    reference: Option<Item>,
    /// Only what was refused
    #[arg(long)]
    refused: bool,
    /// Only from this moment on, as 2030-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Micros>,
    /// Only before this moment
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Micros>,
    /// Only after this event
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    since: i64,
    /// How it is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Table, conflicts_with = "json")]
    format: Format,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    remote: Remote,
}

/// How entries are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// One document.
    Json,
    /// One document a line.
    Ndjson,
    /// As spreadsheets read it; cells that would be formulas have a quote before them.
    Csv,
}

fn moment(text: &str) -> Result<Micros, String> {
    parse_rfc3339(text).ok_or_else(|| "give a moment like 2030-01-31T00:00:00Z".to_owned())
}

impl Audit {
    pub(super) async fn run(self) -> Outcome {
        let format = if self.remote.json { Format::Json } else { self.format };
        let filter = AuditFilter {
            repository: self.repository,
            actor: self.actor,
            action: self.action,
            package: self.package,
            reference: self.reference,
            decision: self.refused.then_some(Decision::Refused),
            from: self.from,
            until: self.until,
        };
        let is_shown = std::io::stdout().is_terminal();
        let mut printed = Printed { format, is_shown, is_begun: false };
        if self.remote.is_named() {
            from_server(&self.remote.client()?, &filter, self.since, &mut printed).await?;
        } else {
            let parts = open::read(&self.common.start()?).await?;
            let done = from_here(&parts, &filter, self.since, &mut printed).await;
            parts.close().await;
            done?;
        }
        printed.end()?;
        Ok(true)
    }
}

/// Up to the newest event of now, page after page.
async fn from_here(
    parts: &open::Parts,
    filter: &AuditFilter,
    mut since: i64,
    printed: &mut Printed,
) -> Result<(), Failure> {
    let mut to = None;
    loop {
        let page = registry::read_audit(&parts.db, filter, AuditSpan { since, to, ..AuditSpan::default() });
        let page = page.await?;
        for entry in &page.entries {
            printed.entry(&audit_shape(entry))?;
        }
        since = page.scanned_to;
        if since >= *to.get_or_insert(page.head) {
            return Ok(());
        }
    }
}

/// The same over HTTP.
async fn from_server(
    client: &Client,
    filter: &AuditFilter,
    since: i64,
    printed: &mut Printed,
) -> Result<(), Failure> {
    let (asked, mut since, mut head) = (query(filter), since, None);
    loop {
        let mut query = asked.clone();
        query.push(("since", since.to_string()));
        let page = client.audit(filter.repository.as_ref(), &query).await?;
        let number = |field: &str| {
            let what = || Failure(format!("the server's answer has no {field}"));
            page[field].as_i64().ok_or_else(what)
        };
        let end = match head {
            Some(head) => head,
            None => *head.insert(number("head")?),
        };
        for entry in page["entries"].as_array().into_iter().flatten() {
            // What came meanwhile is for who asks next.
            if entry["sequence"].as_i64().is_none_or(|sequence| sequence <= end) {
                printed.entry(entry)?;
            }
        }
        let next = number("next_since")?;
        if next >= end {
            return Ok(());
        }
        if next <= since {
            return Err(Failure(format!("the server does not go on after event {since}")));
        }
        since = next;
    }
}

/// What is asked, by the names of the parameters; the repository is in the path.
fn query(filter: &AuditFilter) -> Vec<(&'static str, String)> {
    let moment = |at: Option<Micros>| at.map(rfc3339);
    let all = [
        ("actor", filter.actor.clone()),
        ("action", filter.action.clone()),
        ("package", filter.package.as_ref().map(PackageId::to_string)),
        ("reference", filter.reference.as_ref().map(Item::to_string)),
        ("decision", filter.decision.map(|decision| decision.as_str().to_owned())),
        ("from", moment(filter.from)),
        ("until", moment(filter.until)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What was printed so far.
struct Printed {
    format: Format,
    /// Whether it goes to a terminal and not to a file.
    is_shown: bool,
    is_begun: bool,
}

impl Printed {
    /// Once, when it is known that there is an answer: a command that could not run prints nothing.
    fn begin(&mut self) -> Result<bool, Failure> {
        if std::mem::replace(&mut self.is_begun, true) {
            return Ok(false);
        }
        match self.format {
            Format::Json => write(b"{\"entries\":["),
            Format::Csv => {
                let mut text = String::new();
                audit_header(&mut text);
                write(text.as_bytes())
            }
            Format::Table | Format::Ndjson => Ok(()),
        }?;
        Ok(true)
    }

    fn entry(&mut self, entry: &Value) -> Result<(), Failure> {
        let is_first = self.begin()?;
        match self.format {
            Format::Json => write(format!("{}{}", if is_first { "" } else { "," }, json(entry)).as_bytes()),
            Format::Ndjson => say(&json(entry)),
            Format::Csv => {
                let mut text = String::new();
                if self.is_shown {
                    audit_line(&mut text, &seen(entry));
                } else {
                    audit_line(&mut text, entry);
                }
                write(text.as_bytes())
            }
            Format::Table => say(&line(entry)),
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.begin()?;
        if self.format == Format::Json { say("]}") } else { Ok(()) }
    }
}

fn line(entry: &Value) -> String {
    let cell = |field: &str| match &entry[field] {
        Value::Null => "-".to_owned(),
        Value::String(text) => shown(text).to_string(),
        other => other.to_string(),
    };
    COLUMNS.map(cell).join("  ")
}

/// An entry in whose texts nothing does anything to a terminal: a server may say what it likes.
fn seen(entry: &Value) -> Value {
    match entry {
        Value::String(text) => shown(text).to_string().into(),
        Value::Array(all) => all.iter().map(seen).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), seen(value))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_moves_no_cursor_in_a_table_on_a_terminal() {
        let entry = json!({
            "sequence": 7, "actor": "a\u{1b}[2J", "reference": ["\u{9b}2J"], "from": { "client": "b\u{202e}c" },
        });
        let mut text = String::new();
        audit_line(&mut text, &seen(&entry));
        assert!(!text.trim_end().chars().any(crate::client::is_unseen), "{text:?}");
        assert!(text.starts_with("7,,a\\u{1b}[2J,") && text.contains(",b\\u{202e}c,"), "{text:?}");
    }
}

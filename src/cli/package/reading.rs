//! `package show`, `list`, `files`, `events` and `manifest`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::output::say;
use super::super::{Failure, Outcome, output};
use super::meter::size;
use super::{Remote, connect, id, write};
use crate::client::packages::{Encoding, Filter};
use crate::client::shown;
use crate::oci::{Digest, Reference};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Show {
    /// The package.
    id: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct List {
    /// The repository: [host[:port]/]repository
    repository: String,
    /// Only these: created, uploading, finalized, deleted or failed
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only those of this retention class.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Only those of this kind.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only those of this OCI manifest, sha256:…
    #[arg(long, value_name = "DIGEST")]
    reference: Option<String>,
    /// Only those whose retention is over and that nothing holds, the longest over first.
    #[arg(long, conflicts_with = "after")]
    eligible: bool,
    /// How many at most; the next ones are those --after the last of these.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// Only those behind this id; it need not exist.
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Files {
    /// The package.
    id: String,
    /// How many at most [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only those behind this path; it need not exist.
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    after: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Events {
    /// The package.
    id: String,
    /// Only events behind this sequence number.
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    since: i64,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Manifest {
    /// The package.
    id: String,
    /// The canonical CBOR, which digests are over, instead of JSON.
    #[arg(long)]
    cbor: bool,
    /// Write to a file.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[arg(long, value_name = "URL", help = super::SERVER_HELP)]
    server: Option<String>,
    /// Print JSON; it is JSON unless --cbor is given.
    #[arg(long, conflicts_with = "cbor")]
    json: bool,
}

impl Show {
    pub(super) async fn run(self) -> Outcome {
        let package = self.remote.client()?.package(&id(&self.id)?).await?;
        if self.remote.json {
            say(&output::json(&package))?;
            return Ok(true);
        }
        let fields = [
            "id",
            "repository",
            "status",
            "kind",
            "retention_class",
            "expires_at",
            "created_at",
            "finalized_at",
            "reference",
            "manifest_digest",
            "metadata",
        ];
        let line = |field: &str| match &package[field] {
            Value::Null => None,
            Value::String(text) => Some(format!("{field}: {}", shown(text))),
            other => Some(format!("{field}: {}", output::json(other))),
        };
        say(&fields.into_iter().filter_map(line).collect::<Vec<_>>().join("\n"))?;
        Ok(true)
    }
}

impl List {
    pub(super) async fn run(self) -> Outcome {
        let place = self.remote.place(&self.repository)?;
        let mut reference: Option<Digest> = self.reference.as_deref().map(str::parse).transpose()?;
        match &place.reference {
            Some(Reference::Tag(tag)) => {
                return Err(Failure(format!(
                    "a repository is listed, and {tag} is a tag; leave it out, or ask for --reference DIGEST"
                )));
            }
            Some(Reference::Digest(digest)) => reference = Some(digest.clone()),
            None => {}
        }
        let (status, class, kind, after) = (self.status, self.class, self.kind, self.after);
        let filter = Filter { status, class, kind, reference, after, eligible: self.eligible };
        let packages = connect(&place)?.packages(&place.repository, &filter, self.limit).await?;
        list(self.remote.json, "packages", &packages, |package| {
            let text = |field: &str| shown(package[field].as_str().unwrap_or("-")).to_string();
            format!("{}  {}  {}  {}", text("id"), text("status"), text("kind"), text("created_at"))
        })
    }
}

impl Files {
    pub(super) async fn run(self) -> Outcome {
        let limit = self.limit.unwrap_or(usize::MAX);
        let files = self.remote.client()?.package_files(&id(&self.id)?, &self.after, limit).await?;
        list(self.remote.json, "files", &files, |file| {
            let text = |field: &str| shown(file[field].as_str().unwrap_or("-")).to_string();
            let bytes = size(file["size"].as_u64().unwrap_or_default());
            format!("{}  {}  {bytes}  {}", text("sha256"), text("path"), text("media_type"))
        })
    }
}

impl Events {
    pub(super) async fn run(self) -> Outcome {
        let events = self.remote.client()?.package_events(&id(&self.id)?, self.since, self.limit).await?;
        list(self.remote.json, "events", &events, |event| {
            let text = |field: &str| shown(event[field].as_str().unwrap_or("-")).to_string();
            format!("{}  {}  {}  {}", event["sequence"], text("recorded_at"), text("type"), text("actor"))
        })
    }
}

/// Shows the entries of a list, a line each for people.
fn list(as_json: bool, field: &str, entries: &[Value], line: impl Fn(&Value) -> String) -> Outcome {
    let text = if as_json {
        output::json(&json!({ field: entries })) + "\n"
    } else {
        entries.iter().map(|entry| line(entry) + "\n").collect()
    };
    output::write(text.as_bytes())?;
    Ok(true)
}

impl Manifest {
    pub(super) async fn run(self) -> Outcome {
        let remote = Remote { server: self.server, json: self.json };
        let encoding = if self.cbor { Encoding::Cbor } else { Encoding::Json };
        let manifest = remote.client()?.package_manifest(&id(&self.id)?, encoding).await?;
        write(&manifest, self.output.as_ref())?;
        Ok(true)
    }
}

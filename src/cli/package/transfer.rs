//! `package push`, `pull` and `verify`.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::json;

use super::super::output::{self, remark, say};
use super::super::{Failure, Outcome};
use super::arguments::Said;
use super::meter::{Meter, count, size};
use super::{Remote, connect};
use crate::client::pull::{What, pull};
use crate::client::verify::verify;
use crate::client::{Job, Pushed, push, shown, shown_path, tree};
use crate::package::PackageId;

/// How many problems are written out; all of them are in the JSON.
const SHOWN: usize = 100;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Push {
    /// The directory.
    directory: PathBuf,
    /// Where to: [host[:port]/]repository[:tag]
    #[arg(long, value_name = "REFERENCE")]
    to: String,
    #[command(flatten)]
    said: Said,
    /// Leave out links, sockets, pipes and devices instead of refusing them.
    #[arg(long)]
    skip_special: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Pull {
    /// A package id, or [host[:port]/]repository[:tag|@digest]
    what: String,
    /// The directory to write into; it is made if it is not there.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Replace files that are there with other content.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Verify {
    /// The directory, as `package pull` left it.
    directory: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Push {
    pub(super) async fn run(self) -> Outcome {
        let to = self.remote.place(&self.to)?;
        let (description, provenance) = (self.said.description()?, self.said.provenance()?);
        let meter = Meter::start();
        let (directory, skip) = (self.directory, self.skip_special);
        let walked = tokio::task::spawn_blocking(move || tree::walk(&directory, skip)).await?;
        let tree = walked?;
        let client = connect(&to)?;
        let job = Job { to, files: tree.files, description, provenance };
        let pushed = push(&client, job, &meter.progress).await?;
        drop(meter);
        for path in &tree.skipped {
            remark(&format!("left out {}\n", shown_path(path)));
        }
        remark_foreign(&tree.foreign);
        show_pushed(&pushed, self.remote.json)?;
        Ok(true)
    }
}

/// Says what was pushed: the id first.
pub(in crate::cli) fn show_pushed(pushed: &Pushed, as_json: bool) -> Result<(), Failure> {
    say(&if as_json { pushed_json(pushed).to_string() } else { described(pushed) })
}

/// A pushed package as `--json` has it.
fn pushed_json(pushed: &Pushed) -> serde_json::Value {
    json!({
        "id": pushed.id,
        "repository": pushed.repository,
        "digest": pushed.reference,
        "reference": reference(pushed),
        "tag": pushed.tag,
        "content_manifest": pushed.content_manifest,
        "class": pushed.class,
        "expires_at": pushed.expires_at,
        "files": pushed.files,
        "bytes": pushed.bytes,
        "uploaded": pushed.uploaded,
        "uploaded_bytes": pushed.uploaded_bytes,
    })
}

fn described(pushed: &Pushed) -> String {
    // Not every registry knows packages; the digest is a name everywhere.
    let mut text = match &pushed.id {
        Some(id) => id.to_string(),
        None => pushed.reference.to_string(),
    };
    let _ = write!(text, "\n  {}", reference(pushed));
    if let Some(tag) = &pushed.tag {
        let _ = write!(text, "\n  {}:{tag}", pushed.repository);
    }
    if let Some(class) = &pushed.class {
        let until =
            pushed.expires_at.as_deref().map_or("for ever".to_owned(), |time| format!("until {time}"));
        let _ = write!(text, "\n  kept as {class}, {until}");
    }
    let sent = match pushed.uploaded {
        0 => "nothing had to be sent".to_owned(),
        sent => format!("{} sent, {}", count(sent as u64, "content"), size(pushed.uploaded_bytes)),
    };
    let _ = write!(text, "\n  {}, {}; {sent}", count(pushed.files as u64, "file"), size(pushed.bytes));
    text
}

/// Names what is not packed although nobody said so.
pub(in crate::cli) fn remark_foreign(foreign: &[PathBuf]) {
    for path in foreign {
        remark(&format!(
            "{} is not packed: .artifactstore/ is where a pull keeps its own\n",
            shown_path(path)
        ));
    }
}

fn reference(pushed: &Pushed) -> String {
    format!("{}@{}", pushed.repository, pushed.reference)
}

impl Pull {
    pub(super) async fn run(self) -> Outcome {
        let (client, what) = if let Ok(id) = self.what.parse::<PackageId>() {
            (self.remote.client()?, What::Package(id))
        } else {
            let place = self.remote.place(&self.what)?;
            let missing = || Failure(format!("{:?} names no tag or digest, and is no package id", self.what));
            let reference = place.reference.clone().ok_or_else(missing)?;
            (connect(&place)?, What::Reference(place.repository, reference))
        };
        let meter = Meter::start();
        let pulled = pull(&client, &what, &self.output, self.force, &meter.progress).await?;
        drop(meter);
        if self.remote.json {
            let json = json!({
                "id": pulled.id,
                "repository": pulled.repository,
                "digest": pulled.reference,
                "content_manifest": pulled.content_manifest,
                "files": pulled.files,
                "bytes": pulled.bytes,
                "downloaded": pulled.downloaded,
                "downloaded_bytes": pulled.downloaded_bytes,
            });
            say(&output::json(&json))?;
        } else {
            let kept = pulled.files - pulled.downloaded;
            say(&format!(
                "{}: {}, {}; {} received, {kept} there before",
                shown_path(&self.output),
                count(pulled.files as u64, "file"),
                size(pulled.bytes),
                pulled.downloaded,
            ))?;
        }
        Ok(true)
    }
}

impl Verify {
    pub(super) async fn run(self) -> Outcome {
        let meter = Meter::start();
        let verified = verify(&self.directory, &meter.progress).await?;
        drop(meter);
        let problems = &verified.problems;
        if self.json {
            let list: Vec<_> = problems
                .iter()
                .map(|problem| json!({ "path": problem.path, "problem": problem.what }))
                .collect();
            let json = json!({
                "digest": verified.reference,
                "content_manifest": verified.content_manifest,
                "files": verified.files,
                "bytes": verified.bytes,
                "problems": list,
            });
            say(&output::json(&json))?;
            return Ok(problems.is_empty());
        }
        let mut text = String::new();
        for problem in problems.iter().take(SHOWN) {
            let _ = writeln!(text, "{} {}", shown(&problem.path), problem.what);
        }
        if problems.len() > SHOWN {
            let _ = writeln!(text, "and {} more", problems.len() - SHOWN);
        }
        let (files, bytes) = (count(verified.files as u64, "file"), size(verified.bytes));
        let verdict = if problems.is_empty() { "all as it was" } else { "not as it was" };
        let _ = writeln!(text, "{files}, {bytes}: {verdict}");
        let _ = write!(text, "  content manifest {}", verified.content_manifest);
        say(&text)?;
        Ok(problems.is_empty())
    }
}

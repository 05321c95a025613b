//! `package create`, `ingest`, `drop`, `finalize` and `abort`.

use std::path::PathBuf;

use serde_json::Value;

use super::super::output::{self, say};
use super::super::{Failure, Outcome};
use super::arguments::{Said, metadata};
use super::meter::Meter;
use super::{Remote, connect, id, path_of};
use crate::client::{drafts, shown};
use crate::oci::Tag;
use crate::package::PackagePath;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Create {
    /// Where to: [host[:port]/]repository
    #[arg(long, value_name = "REPOSITORY")]
    to: String,
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Ingest {
    /// The draft.
    id: String,
    /// The file.
    file: PathBuf,
    /// Its path in the package [default: its name]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// What it is [default: by the extension of its path]
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// What it is for, e.g. scorecard.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Take the place of a file with the same path.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Drop {
    /// The draft.
    id: String,
    /// The file's path in the package.
    path: PackagePath,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Finalize {
    /// The draft.
    id: String,
    /// The tag it gets.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// The retention class to ask for, instead of the one it was created with.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Metadata instead of that it was created with: one text, or a JSON object from a file.
    #[arg(long, value_name = "KEY=VALUE|@FILE")]
    meta: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Abort {
    /// The draft.
    id: String,
    #[command(flatten)]
    remote: Remote,
}

impl Create {
    pub(super) async fn run(self) -> Outcome {
        let to = self.remote.place(&self.to)?;
        if let Some(reference) = &to.reference {
            return Err(Failure(format!(
                "a draft has no tag yet, and {reference} is one; give it to finalize"
            )));
        }
        let (description, provenance) = (self.said.description()?, self.said.provenance()?);
        let package = connect(&to)?.create_package(&to.repository, &description, &provenance).await?;
        show(&package, self.remote.json, "id")?;
        Ok(true)
    }
}

impl Ingest {
    pub(super) async fn run(self) -> Outcome {
        let id = id(&self.id)?;
        let path = path_of(self.path.as_deref(), &self.file)?;
        let meter = Meter::start();
        let ingest = drafts::Ingest {
            file: &self.file,
            path: &path,
            media_type: self.media_type.as_deref(),
            role: self.role.as_deref(),
            replace: self.replace,
        };
        let file = self.remote.client()?.ingest_file(&id, &ingest, &meter.progress).await?;
        drop(meter);
        show(&file, self.remote.json, "sha256")?;
        Ok(true)
    }
}

impl Drop {
    pub(super) async fn run(self) -> Outcome {
        let id = id(&self.id)?;
        self.remote.client()?.drop_file(&id, &self.path).await?;
        let json = serde_json::json!({ "id": id, "path": self.path, "status": "dropped" }).to_string();
        say(&if self.remote.json { json } else { format!("{} was dropped", self.path) })?;
        Ok(true)
    }
}

impl Finalize {
    pub(super) async fn run(self) -> Outcome {
        let id = id(&self.id)?;
        let tag: Option<Tag> = self.tag.as_deref().map(str::parse).transpose()?;
        let metadata = if self.meta.is_empty() { None } else { Some(metadata(&self.meta)?) };
        let client = self.remote.client()?;
        let package =
            client.finalize_package(&id, tag.as_ref(), self.class.as_deref(), metadata.as_ref()).await?;
        show(&package, self.remote.json, "reference")?;
        Ok(true)
    }
}

impl Abort {
    pub(super) async fn run(self) -> Outcome {
        let id = id(&self.id)?;
        self.remote.client()?.abort_package(&id).await?;
        let json = serde_json::json!({ "id": id, "status": "failed" }).to_string();
        say(&if self.remote.json { json } else { format!("{id} was given up") })?;
        Ok(true)
    }
}

/// All of an answer as JSON, or the one field a script wants.
fn show(answer: &Value, json: bool, field: &str) -> Result<(), Failure> {
    say(&if json {
        output::json(answer)
    } else {
        shown(answer[field].as_str().unwrap_or_default()).to_string()
    })
}

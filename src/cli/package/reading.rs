//! `package show`, `list`, `files` and `manifest`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::Outcome;
use super::meter::size;
use super::{Remote, connect, id, write};
use crate::client::packages::{Encoding, Filter};
use crate::oci::Digest;

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
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Files {
    /// The package.
    id: String,
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
            println!("{package}");
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
        for field in fields {
            match &package[field] {
                Value::Null => {}
                Value::String(text) => println!("{field}: {}", text.escape_debug()),
                other => println!("{field}: {other}"),
            }
        }
        Ok(true)
    }
}

impl List {
    pub(super) async fn run(self) -> Outcome {
        let place = self.remote.place(&self.repository)?;
        let reference: Option<Digest> = self.reference.as_deref().map(str::parse).transpose()?;
        let filter = Filter { status: self.status, class: self.class, kind: self.kind, reference };
        let packages = connect(&place)?.packages(&place.repository, &filter, self.limit).await?;
        if self.remote.json {
            println!("{}", json!({ "packages": packages }));
            return Ok(true);
        }
        for package in &packages {
            let text = |field: &str| package[field].as_str().unwrap_or("-").escape_debug().to_string();
            println!("{}  {}  {}  {}", text("id"), text("status"), text("kind"), text("created_at"));
        }
        Ok(true)
    }
}

impl Files {
    pub(super) async fn run(self) -> Outcome {
        let files = self.remote.client()?.package_files(&id(&self.id)?).await?;
        if self.remote.json {
            println!("{}", json!({ "files": files }));
            return Ok(true);
        }
        for file in &files {
            let text = |field: &str| file[field].as_str().unwrap_or("-").escape_debug().to_string();
            let bytes = size(file["size"].as_u64().unwrap_or_default());
            println!("{}  {}  {bytes}  {}", text("sha256"), text("path"), text("media_type"));
        }
        Ok(true)
    }
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

//! `package download`

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::output::say;
use super::super::{Failure, Outcome};
use super::meter::{Meter, size};
use super::{Remote, id};
use crate::client::Client;
use crate::client::download::{Downloaded, Range, Stopped};
use crate::package::{PackageId, PackagePath};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Download {
    /// The package or draft.
    id: String,
    /// The file's path in it.
    path: PackagePath,
    /// The file to write, or - for the output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Only these bytes, which are not compared with anything: FIRST-LAST, FIRST- or -COUNT, counted from 0
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    range: Option<Range>,
    #[command(flatten)]
    remote: Remote,
}

impl Download {
    pub(super) async fn run(self) -> Outcome {
        let id = id(&self.id)?;
        let is_stdout = self.output == Path::new("-");
        if is_stdout && self.remote.json {
            return Err(Failure(
                "--json and the content cannot both go to the output; name a file".to_owned(),
            ));
        }
        let client = self.remote.client()?;
        if is_stdout {
            return match self.bring(&client, &id, &mut io::stdout()).await {
                // Whoever reads along has had enough.
                Err(Stopped::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(true),
                Err(Stopped::Output(error)) => Err(Failure(format!("cannot write the output: {error}"))),
                Err(Stopped::Client(error)) => Err(error.into()),
                Ok(_) => Ok(true),
            };
        }
        let failed = |error: io::Error| Failure(format!("cannot write {}: {error}", self.output.display()));
        // Beside it, so that a file with this name is whole.
        let folder = self.output.parent().filter(|folder| !folder.as_os_str().is_empty());
        let name = format!(".artifactstore-{}", ulid::Ulid::generate());
        let temporary = Temporary(folder.unwrap_or(Path::new(".")).join(name));
        let mut file = File::create_new(&temporary.0).map_err(failed)?;
        let downloaded = match self.bring(&client, &id, &mut file).await {
            Err(Stopped::Output(error)) => return Err(failed(error)),
            Err(Stopped::Client(error)) => return Err(error.into()),
            Ok(downloaded) => downloaded,
        };
        std::fs::rename(&temporary.0, &self.output).map_err(failed)?;
        self.tell(&downloaded)
    }

    async fn bring(
        &self,
        client: &Client,
        id: &PackageId,
        output: &mut impl Write,
    ) -> Result<Downloaded, Stopped> {
        let meter = Meter::start();
        client.download(id, &self.path, self.range.as_ref(), output, &meter.progress).await
    }

    fn tell(&self, downloaded: &Downloaded) -> Outcome {
        let Downloaded { file, bytes, is_whole } = downloaded;
        let text = if self.remote.json {
            let (sha256, content_address) = (&file.sha256, &file.content_address);
            json!({
                "path": file.path, "output": self.output, "bytes": bytes, "whole": is_whole,
                "size": file.size, "sha256": sha256, "content_address": content_address,
            })
            .to_string()
        } else {
            let what = if *is_whole { format!("{}", file.sha256) } else { "a part, not verified".to_owned() };
            format!("{}: {}, {what}", self.output.display(), size(*bytes))
        };
        say(&text)?;
        Ok(true)
    }
}

/// A file that goes away unless it got another name.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

//! `artifactstore pull`

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use serde_json::json;

use super::output::{complain, print};
use super::stat::{describe, find};
use super::{Failure, Outcome, open};
use crate::config::Settings;
use crate::oci::{Digest, RepositoryName};
use crate::registry::Verified;

pub(super) async fn pull(
    settings: &Settings,
    digest: &Digest,
    output: &Path,
    repository: &RepositoryName,
    as_json: bool,
) -> Outcome {
    let is_stdout = output == Path::new("-");
    if is_stdout && as_json {
        return Err(Failure("--json and the content cannot both go to the output; name a file".to_owned()));
    }
    if output.is_dir() {
        return Err(Failure(format!("{} is a directory; name a file in it", output.display())));
    }
    let parts = open::read(settings).await?;
    let Some(stat) = find(&parts, repository, digest, as_json).await? else { return Ok(false) };
    let target = if is_stdout { "the output".to_owned() } else { output.display().to_string() };
    let failed = |error: io::Error| Failure(format!("cannot write {target}: {error}"));
    let written = match stat.read(&parts.data).await {
        Err(error) => Err(Stopped::Content(error)),
        Ok(body) if is_stdout => write(body, &mut io::stdout()).await,
        Ok(body) if output.exists() && !output.is_file() => {
            // A device or a pipe: another file in its place would be something else.
            let mut file = File::options().write(true).open(output).map_err(failed)?;
            write(body, &mut file).await
        }
        Ok(body) => {
            let mut file = Temporary::beside(output).map_err(failed)?;
            match write(body, &mut file.file).await {
                Ok(()) => file.publish(output).map_err(Stopped::Output),
                stopped => stopped,
            }
        }
    };
    parts.close().await;
    match written {
        Ok(()) => {}
        // Whoever reads along has had enough.
        Err(Stopped::Output(error)) if is_stdout && error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(Stopped::Output(error)) => return Err(failed(error)),
        Err(Stopped::Content(error)) if error.is_damage() => {
            let Failure(problem) = Failure::from(error);
            let text = format!("{digest} is damaged: {problem}");
            if as_json {
                print(true, &json!({ "digest": digest, "problem": text }), "")?;
            }
            complain(&text);
            return Ok(false);
        }
        Err(Stopped::Content(error)) => return Err(error.into()),
    }
    if !is_stdout {
        let mut body = describe(&stat, repository);
        body["output"] = json!(output);
        print(as_json, &body, &format!("{} bytes in {}", stat.size, output.display()))?;
    }
    Ok(true)
}

/// Why the content did not arrive.
enum Stopped {
    /// It could not be read, or is not what its digest says.
    Content(crate::registry::Error),
    /// It could not be written.
    Output(io::Error),
}

async fn write(mut body: Verified, to: &mut impl Write) -> Result<(), Stopped> {
    while let Some(piece) = body.next().await {
        to.write_all(&piece.map_err(Stopped::Content)?).map_err(Stopped::Output)?;
    }
    to.flush().map_err(Stopped::Output)
}

/// A file that becomes the output when it is whole, and goes away otherwise.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn beside(output: &Path) -> io::Result<Self> {
        let name = output.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
        // Short enough for a name that is as long as may be.
        let id = ulid::Ulid::generate().to_string().to_lowercase();
        let start = name.to_string_lossy().chars().take(32).collect::<String>();
        let path = output.with_file_name(format!(".{start}.{id}"));
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file })
    }

    fn publish(self, output: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, output)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Published, it is not there any more.
        let _ = fs::remove_file(&self.path);
    }
}

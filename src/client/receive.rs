//! One blob into one file.

use std::path::Path;

use http::header::CONTENT_RANGE;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt as _;

use super::digests::{Digesting, Digests};
use super::{Client, Error, Progress, retry};
use crate::oci::{Digest, RepositoryName};
use crate::package::File;

/// Receives a blob of `size` bytes into a new file; goes on where it was when the connection breaks. What arrived
/// has at most that many bytes; the rest is for the caller to compare. `what` names it in errors.
pub(super) async fn receive(
    client: &Client,
    repository: &RepositoryName,
    digest: &Digest,
    size: u64,
    what: &str,
    path: &Path,
    progress: &Progress,
) -> Result<Digests, Error> {
    let fault = || Error::file(path, "written");
    let open = OpenOptions::new().write(true).create_new(true).open(path).await;
    let mut output = open.map_err(fault())?;
    let mut digesting = Digesting::new();
    let mut failures = 0;
    loop {
        let before = digesting.size();
        let answer = client.get_blob(repository, digest, before).await?;
        if before > 0 && !goes_on(&answer, before) {
            // It begins anew; so does the file.
            output.set_len(0).await.map_err(fault())?;
            output = OpenOptions::new().write(true).open(path).await.map_err(fault())?;
            digesting = Digesting::new();
        }
        let mut body = answer.into_body();
        let trouble = loop {
            match client.chunk(&mut body).await {
                Ok(Some(bytes)) => {
                    digesting.update(&bytes);
                    if digesting.size() > size {
                        return Err(client.damage(what, digest, format!("more than {size} bytes")));
                    }
                    output.write_all(&bytes).await.map_err(fault())?;
                    progress.add_bytes(bytes.len() as u64);
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        // Behind the last byte there is nothing to go on with, however the connection ended.
        let Some(trouble) = trouble.filter(|_| digesting.size() < size) else { break };
        failures = if digesting.size() > before { 1 } else { failures + 1 };
        if failures > retry::ATTEMPTS {
            return Err(trouble);
        }
        tokio::time::sleep(retry::pause(failures, None)).await;
    }
    output.flush().await.map_err(fault())?;
    Ok(digesting.finish())
}

/// Whether an answer is the rest from `start` on.
fn goes_on(answer: &Response<Incoming>, start: u64) -> bool {
    let range = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    answer.status() == StatusCode::PARTIAL_CONTENT && range.starts_with(&format!("bytes {start}-"))
}

/// A file that is not what the table says.
pub(super) fn damaged(client: &Client, file: &File, found: Digests) -> Error {
    let (expected, other) = if found.sha256 == file.sha256 {
        (&file.content_address, found.content_address)
    } else {
        (&file.sha256, found.sha256)
    };
    client.damage(file.path.as_str(), expected, format!("{} bytes with {other}", found.size))
}

impl Client {
    pub(super) fn damage(&self, what: &str, expected: &Digest, found: String) -> Error {
        let server = self.server().to_string();
        Error::Damaged { server, what: what.to_owned(), expected: expected.clone(), found }
    }
}

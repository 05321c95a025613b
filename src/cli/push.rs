//! `artifactstore push`

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use tokio::sync::mpsc;

use super::output::print;
use super::{Failure, Outcome, open};
use crate::config::Settings;
use crate::oci::RepositoryName;
use crate::registry::{self, Actor, Body, ClientError, Store};

/// Bytes read at once.
const PIECE: usize = 256 * 1024;

/// Pieces that wait to be stored.
const PIECES: usize = 2;

pub(super) async fn push(
    settings: &Settings,
    path: &Path,
    repository: RepositoryName,
    as_json: bool,
) -> Outcome {
    // Before anything is made for it.
    let source = source(path)?;
    let parts = open::write(settings).await?;
    let registry = parts.registry(settings).await?;
    if let Err(error) = registry.sweep().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "Sweeping abandoned uploads failed");
    }
    let store = Store::new(registry, repository.clone(), Actor::system());
    let digest = match store.put(body(source)).await {
        Err(registry::Error::BodyBroken { reason, .. }) => {
            return Err(Failure(format!("cannot read {}: {reason}", path.display())));
        }
        stored => stored?,
    };
    let stat = store.stat(&digest).await?;
    drop(store);
    parts.close().await;
    let body = json!({
        "digest": digest,
        "content_address": stat.content_address,
        "sha256": stat.sha256,
        "size": stat.size,
        "repository": repository,
    });
    print(as_json, &body, digest.as_str())?;
    Ok(true)
}

fn source(path: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    let failed = |error| Failure(format!("cannot read {}: {error}", path.display()));
    if path.is_dir() {
        return Err(Failure(format!(
            "{} is a directory; `push` stores one file, or - for the input",
            path.display()
        )));
    }
    Ok(Box::new(File::open(path).map_err(failed)?))
}

/// Reads on a thread of its own, which ends with the process: an input that stays open holds nobody up.
fn body(mut source: Box<dyn Read + Send>) -> Body {
    let (pieces, received) = mpsc::channel(PIECES);
    std::thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        loop {
            let piece = match source.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => Ok(Bytes::copy_from_slice(&buffer[..read])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(ClientError(error.to_string())),
            };
            let is_last = piece.is_err();
            if pieces.blocking_send(piece).is_err() || is_last {
                return;
            }
        }
    });
    let next = |mut received: mpsc::Receiver<_>| async move { Some((received.recv().await?, received)) };
    Box::pin(stream::unfold(received, next))
}

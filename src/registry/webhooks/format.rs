//! How an event is rendered for a receiver.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::codec::jcs;
use crate::events::feed::{self, Record};
use crate::events::{BlobLinked, BlobUnlinked, Fact, TagMoved};
use crate::oci::{Algorithm, Digest, Reference, RepositoryName};
use crate::registry::{Error, Registry};
use crate::retention::rfc3339;
use crate::views::contents;

/// Payloads above this are rendered on a thread of their own.
const LARGE: usize = 64 * 1024;

/// As many of them at once: each takes several times its payload, which may have 16 MiB, and every webhook comes to the
/// same event at about the same time.
static LARGE_AT_ONCE: Semaphore = Semaphore::const_new(4);

/// How events are rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As the lists of events show them.
    Json,
    /// `CloudEvents` 1.0, structured.
    CloudEvents,
    /// The envelope of the notifications of the distribution registry. Most events have no counterpart there, and are
    /// passed over.
    Distribution,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Json, Self::CloudEvents, Self::Distribution];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::CloudEvents => "cloudevents",
            Self::Distribution => "distribution",
        }
    }

    /// The format of a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// The media type of a delivery.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::CloudEvents => "application/cloudevents+json; charset=utf-8",
            Self::Distribution => "application/vnd.docker.distribution.events.v2+json",
        }
    }

    /// Whether it can say what an event of this type says.
    pub(super) fn says(self, type_name: &str) -> bool {
        match self {
            Self::Json | Self::CloudEvents => true,
            Self::Distribution => matches!(
                type_name,
                "v1.blob.linked"
                    | "v1.blob.unlinked"
                    | "v1.manifest.pushed"
                    | "v1.manifest.deleted"
                    | "v1.tag.moved"
                    | "v1.tag.deleted"
            ),
        }
    }

    /// What is sent of an event.
    pub(super) async fn render(
        self,
        registry: &Registry,
        record: &Arc<Record>,
    ) -> Result<Bytes, RenderError> {
        match self {
            Self::Json => on_a_thread(record, |record| record.shown(feed::json)).await,
            Self::CloudEvents => {
                let log_id = registry.log_id();
                let render = move |record: &Record| {
                    let shown = record.shown(feed::json)?;
                    Ok(feed::cloud_event(record, &shown, &log_id).into())
                };
                on_a_thread(record, render).await
            }
            Self::Distribution => envelope(registry, record).await,
        }
    }
}

/// Why an event could not be rendered.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenderError {
    /// Its payload is not what it should be.
    #[error("the event cannot be rendered")]
    Payload(#[source] jcs::Error),
    /// Its payload is not one of its type.
    #[error("the event cannot be understood")]
    Fact(#[source] crate::events::FactError),
    /// What it is about could not be looked up.
    #[error("what the event is about cannot be looked up")]
    Registry(#[source] Error),
    /// The thread failed.
    #[error("the event cannot be rendered: {0}")]
    Thread(#[source] tokio::task::JoinError),
}

async fn on_a_thread(
    record: &Arc<Record>,
    render: impl FnOnce(&Record) -> Result<Bytes, jcs::Error> + Send + 'static,
) -> Result<Bytes, RenderError> {
    if record.payload.len() <= LARGE {
        return render(record).map_err(RenderError::Payload);
    }
    let room = LARGE_AT_ONCE.acquire().await.expect("it is never closed");
    let record = Arc::clone(record);
    let render = move || {
        let _room = room;
        render(&record)
    };
    let rendered = tokio::task::spawn_blocking(render).await;
    rendered.map_err(RenderError::Thread)?.map_err(RenderError::Payload)
}

/// What happened, in the words of the distribution registry.
async fn envelope(registry: &Registry, record: &Record) -> Result<Bytes, RenderError> {
    let fact = Fact::decode(&record.type_name, &record.payload).map_err(RenderError::Fact)?;
    let (action, target) = match &fact {
        Fact::ManifestPushed(fact) => {
            ("push", sized(manifest(&fact.repository, &fact.digest), &fact.media_type, fact.size))
        }
        Fact::TagMoved(fact) => ("push", tagged(registry, fact).await?),
        Fact::BlobLinked(fact) => linked(registry, fact).await?,
        Fact::ManifestDeleted(fact) => ("delete", gone(&fact.repository, &fact.digest)),
        Fact::BlobUnlinked(fact) => ("delete", unlinked(registry, fact).await?),
        Fact::TagDeleted(fact) => ("delete", json!({ "repository": fact.repository, "tag": fact.tag })),
        // `says` lets nothing else through; an envelope may be empty.
        _ => return Ok(json!({ "events": [] }).to_string().into()),
    };
    let event = json!({
        "id": format!("{}/{}", registry.log_id(), record.sequence),
        "timestamp": rfc3339(record.recorded_at),
        "action": action,
        "target": target,
        "request": { "id": record.command, "method": if action == "delete" { "DELETE" } else { "PUT" }, "useragent": "" },
        "actor": { "name": record.actor },
        "source": { "instanceID": registry.log_id() },
    });
    Ok(json!({ "events": [event] }).to_string().into())
}

fn manifest(repository: &RepositoryName, digest: &Digest) -> serde_json::Value {
    json!({ "repository": repository, "digest": digest, "url": format!("/v2/{repository}/manifests/{digest}") })
}

fn gone(repository: &RepositoryName, digest: &Digest) -> serde_json::Value {
    json!({ "repository": repository, "digest": digest })
}

fn sized(mut target: serde_json::Value, media_type: &str, size: u64) -> serde_json::Value {
    target["mediaType"] = media_type.into();
    target["size"] = size.into();
    target["length"] = size.into();
    target
}

/// A tag was set: a push by tag. What the manifest is the event does not say, and it may be gone by now.
async fn tagged(registry: &Registry, fact: &TagMoved) -> Result<serde_json::Value, RenderError> {
    let mut target = manifest(&fact.repository, &fact.digest);
    target["tag"] = fact.tag.as_str().into();
    let reference = Reference::Digest(fact.digest.clone());
    Ok(match known(registry.manifest(&fact.repository, &reference).await)? {
        Some(found) => sized(target, &found.media_type, found.bytes.len() as u64),
        None => target,
    })
}

/// A repository has a blob: pushed, or mounted from another one.
async fn linked(
    registry: &Registry,
    fact: &BlobLinked,
) -> Result<(&'static str, serde_json::Value), RenderError> {
    let (repository, digest) = (&fact.repository, &fact.digest);
    let mut target = json!({
        "repository": repository, "digest": digest, "url": format!("/v2/{repository}/blobs/{digest}"),
    });
    if let Some(found) = known(registry.blob(repository, digest).await)? {
        target = sized(target, "application/octet-stream", found.size);
    }
    Ok(match &fact.mounted_from {
        Some(from) => {
            target["fromRepository"] = from.as_str().into();
            ("mount", target)
        }
        None => ("push", target),
    })
}

/// A repository has a blob no more. The event names the content; receivers know it as it was pushed, by its SHA-256, which
/// stays known when the bytes are gone.
async fn unlinked(registry: &Registry, fact: &BlobUnlinked) -> Result<serde_json::Value, RenderError> {
    let digests = contents::digests_of(&registry.inner.db, &fact.content).await;
    let digests = digests.map_err(|error| RenderError::Registry(error.into()))?;
    let digest = digests.iter().find(|digest| digest.algorithm() == Algorithm::Sha256);
    Ok(gone(&fact.repository, digest.unwrap_or(&fact.content)))
}

/// What is there, if it is; whoever cannot look must not say that it is not.
fn known<T>(found: Result<T, Error>) -> Result<Option<T>, RenderError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_temporary() => Err(RenderError::Registry(error)),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn every_webhook_rendered_the_same_large_event_at_once() {
        let record = Arc::new(Record::unstored(1, None, "s", vec![0; LARGE + 1]));
        let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // Each waits until four are there, and leaves when they have looked.
        let (come, go) = (Arc::new(Barrier::new(4)), Arc::new(Barrier::new(4)));
        let rendering = (0..16).map(|_| {
            let (under_way, most) = (Arc::clone(&under_way), Arc::clone(&most));
            let (come, go, record) = (Arc::clone(&come), Arc::clone(&go), Arc::clone(&record));
            async move {
                let render = move |_: &Record| {
                    most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    come.wait();
                    under_way.fetch_sub(1, Ordering::SeqCst);
                    go.wait();
                    Ok(Bytes::new())
                };
                on_a_thread(&record, render).await.unwrap();
            }
        });
        futures_util::future::join_all(rendering).await;
        assert_eq!(most.load(Ordering::SeqCst), 4);
    }
}

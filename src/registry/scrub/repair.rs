//! Repairing a blob from another copy of its content.
//!
//! A storage may have several: of two pushes at once, of an upload whose event was lost, or one that an operator put
//! there. The bytes are copied under a key of their own, compared on the way: the object that was found may be on its
//! way out.

use futures_util::StreamExt as _;

use super::commands::RepairBlob;
use super::pass::Pass;
use crate::dataplane::{self, Body, ClientError, DataPlane, Location, Received, Stored};
use crate::events::Fact;
use crate::registry::{Actor, Error};
use crate::storage::{Object, StagingId};
use crate::views::blobs::Blob;
use crate::views::damages;

/// Copies of one content that are tried.
const COPIES: usize = 16;

/// What came of one copy.
enum Attempt {
    /// It took the place of the damaged one.
    Repaired,
    /// It is no better, or somebody was quicker.
    NoUse,
    /// It could not be written anew.
    Failed,
}

impl Pass<'_> {
    /// Looks for another copy of a blob that is damaged or cannot be read, and puts it in its place. Whether that was
    /// done. That it cannot be written is told and no reason to stop: what comes behind it is still to be looked at.
    pub(super) async fn repair(&mut self, blob: &Blob) -> Result<bool, Error> {
        let (db, data) = (&self.registry.inner.db, &self.registry.inner.data);
        let mut found = match data.copies(&blob.content, COPIES).await {
            Ok(found) => found,
            Err(error) if error.is_unavailable() => return Err(error.into()),
            Err(error) => {
                not_repaired(blob, &error);
                return Ok(false);
            }
        };
        found.retain(|copy| copy.key.as_str() != blob.key && copy.size == blob.size);
        let keys: Vec<&str> = found.iter().map(|copy| copy.key.as_str()).collect();
        let aside = damages::kept(db, &keys).await?;
        for copy in found.iter().filter(|copy| !aside.contains(copy.key.as_str())) {
            let (backend, key) = (data.id().to_owned(), copy.key.to_string());
            let location = Location { backend, key, size: copy.size, version: None };
            let attempt = self.repair_from(blob, &location).await?;
            self.read_on(copy.size).await?;
            match attempt {
                Attempt::Repaired => {
                    tracing::info!(from = location.key, "Repaired {} from another copy", blob.content);
                    return Ok(true);
                }
                Attempt::NoUse => {}
                Attempt::Failed => return Ok(false),
            }
        }
        Ok(false)
    }

    async fn repair_from(&self, blob: &Blob, copy: &Location) -> Result<Attempt, Error> {
        let data = &self.registry.inner.data;
        let object = match data.open(copy, None).await {
            Ok(object) => object,
            Err(error) if error.is_unavailable() => return Err(error.into()),
            Err(_) => return Ok(Attempt::NoUse),
        };
        let stored = match write(data, blob, object).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(Attempt::NoUse),
            Err(error) => {
                not_repaired(blob, &error);
                return Ok(Attempt::Failed);
            }
        };
        let location = stored.location.clone();
        let command = RepairBlob { content: blob.content.clone(), lost: blob.key.clone(), stored };
        let committed = self.registry.submit(Actor::system(), command).await?;
        if committed.events.iter().any(|event| matches!(event.fact, Fact::BlobRepaired(_))) {
            return Ok(Attempt::Repaired);
        }
        // A push was quicker, and nothing names ours.
        if let Err(error) = data.delete(&location).await {
            not_repaired(blob, &error);
        }
        Ok(Attempt::NoUse)
    }
}

/// Writes an object anew under a key of its own if it is the content of a blob. Every error is one of writing.
async fn write(data: &DataPlane, blob: &Blob, object: Object) -> Result<Option<Stored>, dataplane::Error> {
    let id: StagingId = format!("repair-{}", ulid::Ulid::generate()).parse().expect("ULIDs make staging ids");
    let mut ingest = data.ingest(id, None);
    let mut body: Body =
        Box::pin(object.body.map(|frame| frame.map_err(|error| ClientError(error.to_string()))));
    match ingest.append(&mut body, blob.size).await {
        Ok(Received { broken: None, .. }) => {}
        Ok(_) | Err(dataplane::Error::TooLarge { .. }) => {
            ingest.discard().await?;
            return Ok(None);
        }
        Err(error) => {
            // What is left of it is found by a sweep.
            drop(ingest.discard().await);
            return Err(error);
        }
    }
    let sealed = ingest.seal_unclaimed();
    if *sealed.digests.content() != blob.content {
        sealed.discard().await?;
        return Ok(None);
    }
    sealed.publish().await.map(Some)
}

fn not_repaired(blob: &Blob, error: &dataplane::Error) {
    let (key, error) = (&blob.key, error as &dyn std::error::Error);
    tracing::error!(key, error, "The copy of {} was not repaired", blob.content);
}

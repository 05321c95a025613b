//! Repairing a blob from another copy of its content.
//!
//! A storage may have several: of two pushes at once, of an upload whose event was lost, or one that an operator put
//! there. The bytes are copied under a key of their own, compared on the way: the object that was found may be on its
//! way out.

use futures_util::StreamExt as _;

use super::commands::RepairBlob;
use super::pass::Pass;
use crate::dataplane::{Body, ClientError, Location, Received};
use crate::events::Fact;
use crate::registry::{Actor, Error};
use crate::storage::StagingId;
use crate::views::blobs::Blob;
use crate::views::damages;

/// Copies of one content that are tried.
const COPIES: usize = 16;

impl Pass<'_> {
    /// Looks for another copy of a damaged blob and puts it in its place. Whether there was one.
    pub(super) async fn repair(&mut self, blob: &Blob) -> Result<bool, Error> {
        let (db, data) = (&self.registry.inner.db, &self.registry.inner.data);
        let mut found = data.copies(&blob.content, COPIES).await?;
        found.retain(|copy| copy.key.as_str() != blob.key && copy.size == blob.size);
        let keys: Vec<&str> = found.iter().map(|copy| copy.key.as_str()).collect();
        let aside = damages::kept(db, &keys).await?;
        for copy in found.iter().filter(|copy| !aside.contains(copy.key.as_str())) {
            let (backend, key) = (data.id().to_owned(), copy.key.to_string());
            let location = Location { backend, key, size: copy.size, version: None };
            let is_repaired = self.repair_from(blob, &location).await?;
            self.read_on(copy.size).await?;
            if is_repaired {
                tracing::info!(from = location.key, "Repaired {} from another copy", blob.content);
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn repair_from(&self, blob: &Blob, copy: &Location) -> Result<bool, Error> {
        let data = &self.registry.inner.data;
        let object = match data.open(copy, None).await {
            Ok(object) => object,
            Err(error) if error.is_unavailable() => return Err(error.into()),
            Err(_) => return Ok(false),
        };
        let id: StagingId =
            format!("repair-{}", ulid::Ulid::generate()).parse().expect("ULIDs make staging ids");
        let mut ingest = data.ingest(id, None);
        let mut body: Body =
            Box::pin(object.body.map(|frame| frame.map_err(|error| ClientError(error.to_string()))));
        let received = ingest.append(&mut body, blob.size).await;
        if !matches!(received, Ok(Received { broken: None, .. })) {
            ingest.discard().await?;
            return Ok(false);
        }
        let sealed = ingest.seal_unclaimed();
        if *sealed.digests.content() != blob.content {
            sealed.discard().await?;
            return Ok(false);
        }
        let stored = sealed.publish().await?;
        let location = stored.location.clone();
        let command = RepairBlob { content: blob.content.clone(), lost: blob.key.clone(), stored };
        let committed = self.registry.submit(Actor::system(), command).await?;
        if committed.events.iter().any(|event| matches!(event.fact, Fact::BlobRepaired(_))) {
            return Ok(true);
        }
        // A push was quicker, and nothing names ours.
        data.delete(&location).await?;
        Ok(false)
    }
}

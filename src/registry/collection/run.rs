//! One run: every step in batches, each batch a command that decides anew. Ended anywhere, the next run goes on.

use futures_util::future::join_all;

use super::BATCH;
use super::commands::{Candidate, CondemnBlobs, IntendDeletes, RecordPurged, ReleaseLinks, copy};
use super::naming::naming_of;
use crate::clock::Micros;
use crate::dataplane::{self, Location};
use crate::events::{Copy, Fact, GcCompleted};
use crate::registry::maintenance::Lease;
use crate::registry::pace::Pace;
use crate::registry::{Actor, Error, Registry, micros, places};
use crate::views::blobs::{self, Blob, Stage};
use crate::views::{damages, links};

/// Objects deleted at once.
const AT_ONCE: usize = 8;

/// Objects that could not be deleted, beyond which a run gives up: the storage fails, and not an object.
const MAX_FAILED: u64 = 100;

/// A run under way.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) registry: &'a Registry,
    pub(super) lease: Lease,
    pub(super) pace: Pace,
    pub(super) done: GcCompleted,
    /// Objects that could not be deleted, and why the last of them could not.
    failed: u64,
    last: Option<dataplane::Error>,
    /// Whether the storage was found to be the registry's.
    is_our_place: bool,
}

impl<'a> Run<'a> {
    pub(super) fn new(registry: &'a Registry, lease: Lease, run: String) -> Self {
        let pace = Pace::new(registry.inner.options.gc.rate.into());
        let done = GcCompleted { run, started_at: registry.inner.clock.now(), ..GcCompleted::default() };
        Self { registry, lease, pace, done, failed: 0, last: None, is_our_place: false }
    }

    /// Does everything there is to do. Any error but that of single deletes ends it.
    pub(super) async fn work(&mut self) -> Result<(), Error> {
        self.finish_deletes().await?;
        // While time is in doubt nobody knows what its grace is over for.
        self.registry.note_freeze().await?;
        self.registry.refuse_while_frozen()?;
        self.release_links().await?;
        self.condemn_blobs().await?;
        self.delete_blobs().await?;
        if self.registry.is_frozen() {
            return Ok(());
        }
        self.remove_orphans().await
    }

    /// One sentence when something could not be deleted although the run got to its end.
    pub(super) fn problem(&self) -> Option<String> {
        let last = self.last.as_ref()?;
        Some(format!("{} objects could not be deleted: {}", self.failed, super::reasons(last)))
    }

    /// Goes on where an earlier run ended between the intent and the deed.
    async fn finish_deletes(&mut self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let db = &self.registry.inner.db;
            let page = blobs::leaving(db, Stage::Deleting, Micros::MAX, after.as_ref(), BATCH).await?;
            let Some(last) = page.last() else { return Ok(()) };
            if self.registry.is_frozen() {
                return Ok(());
            }
            after = Some(last.clone());
            let blobs: Vec<Blob> = page.into_iter().map(|leaving| leaving.blob).collect();
            let aside = damages::aside_now(db, &blobs).await?;
            self.delete(blobs.into_iter().map(copy).collect(), aside).await?;
        }
    }

    async fn release_links(&mut self) -> Result<(), Error> {
        let before = self.before(self.registry.inner.options.gc.grace);
        let mut after = None;
        loop {
            self.renew().await?;
            let db = &self.registry.inner.db;
            let page = links::unused(db, before, after.as_ref(), BATCH).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.link.clone());
            let candidate = |found: links::Candidate| {
                let naming = naming_of(&found);
                Candidate { link: found.link, naming }
            };
            let candidates = page.into_iter().map(candidate).collect();
            let command = ReleaseLinks { run: self.done.run.clone(), candidates };
            let committed = self.registry.submit(Actor::system(), command).await?;
            for event in &committed.events {
                if let Fact::BlobsReleased(fact) = &event.fact {
                    self.done.released += fact.contents.len() as u64;
                }
            }
        }
    }

    async fn condemn_blobs(&mut self) -> Result<(), Error> {
        let before = self.before(self.registry.inner.options.gc.grace);
        let mut after = None;
        loop {
            self.renew().await?;
            let db = &self.registry.inner.db;
            let page = blobs::leaving(db, Stage::Unlinked, before, after.as_ref(), BATCH).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            let contents = page.into_iter().map(|leaving| leaving.blob.content).collect();
            let command = CondemnBlobs { run: self.done.run.clone(), contents, before };
            let committed = self.registry.submit(Actor::system(), command).await?;
            for event in &committed.events {
                if let Fact::BlobsCondemned(fact) = &event.fact {
                    self.done.condemned += fact.contents.len() as u64;
                }
            }
        }
    }

    async fn delete_blobs(&mut self) -> Result<(), Error> {
        let before = self.before(self.registry.inner.options.gc.quarantine);
        let mut after = None;
        loop {
            self.renew().await?;
            let db = &self.registry.inner.db;
            let page = blobs::leaving(db, Stage::Condemned, before, after.as_ref(), BATCH).await?;
            let Some(last) = page.last() else { return Ok(()) };
            // While time is in doubt nothing is done that cannot be undone.
            self.registry.note_freeze().await?;
            after = Some(last.clone());
            let contents = page.into_iter().map(|leaving| leaving.blob.content).collect();
            let command = IntendDeletes { run: self.done.run.clone(), contents, before };
            let committed = self.registry.submit(Actor::system(), command).await?;
            // Exactly what the log says, and nothing that was found before.
            for event in committed.events {
                if let Fact::BlobsDeleteIntended(fact) = event.fact {
                    self.delete(fact.copies, fact.aside).await?;
                }
            }
        }
    }

    /// Deletes copies whose deletion was recorded as intended, and records those that are gone. Damaged ones that were
    /// kept aside go first: content is gone when nothing is left of it.
    async fn delete(&mut self, mut copies: Vec<Copy>, aside: Vec<Copy>) -> Result<(), Error> {
        let mut aside_gone = Vec::with_capacity(aside.len());
        let mut end = self.delete_all(&aside, &mut aside_gone).await;
        let mut gone = Vec::with_capacity(copies.len());
        if end.is_ok() {
            let is_left =
                |copy: &Copy| aside.iter().any(|it| it.content == copy.content && !aside_gone.contains(it));
            copies.retain(|copy| !is_left(copy));
            end = self.delete_all(&copies, &mut gone).await;
        }
        if !(gone.is_empty() && aside_gone.is_empty()) {
            let command = RecordPurged { run: self.done.run.clone(), copies: gone, aside: aside_gone };
            let committed = self.registry.submit(Actor::system(), command).await?;
            for event in &committed.events {
                if let Fact::BlobsPurged(fact) = &event.fact {
                    let all = || fact.copies.iter().chain(&fact.aside);
                    self.done.purged += all().count() as u64;
                    self.done.purged_bytes += all().map(|copy| copy.size).sum::<u64>();
                }
            }
        }
        end
    }

    async fn delete_all(&mut self, copies: &[Copy], gone: &mut Vec<Copy>) -> Result<(), Error> {
        for chunk in copies.chunks(self.pace.at_once(AT_ONCE)) {
            self.delete_some(chunk, gone).await?;
        }
        Ok(())
    }

    async fn delete_some(&mut self, copies: &[Copy], gone: &mut Vec<Copy>) -> Result<(), Error> {
        self.registry.refuse_while_frozen()?;
        self.check_place().await?;
        self.renew().await?;
        self.pace.wait(copies.len() as u64).await;
        let data = &self.registry.inner.data;
        let deletes = copies.iter().map(|copy| async move { (copy, data.delete(&location(copy)).await) });
        for (copy, deleted) in join_all(deletes).await {
            match deleted {
                Ok(_) => gone.push(copy.clone()),
                Err(error) => self.failed_to_delete(&copy.key, error)?,
            }
        }
        Ok(())
    }

    /// What is not there counts as deleted, so it must be our storage where it is not. Once in a run.
    async fn check_place(&mut self) -> Result<(), Error> {
        if !self.is_our_place {
            places::check_place(&self.registry.inner.db, &self.registry.inner.data).await?;
            self.is_our_place = true;
        }
        Ok(())
    }

    /// One object that cannot be deleted does not keep the others; a storage that fails ends the run.
    pub(super) fn failed_to_delete(&mut self, key: &str, error: dataplane::Error) -> Result<(), Error> {
        tracing::warn!(key, error = &error as &dyn std::error::Error, "An object cannot be deleted");
        self.failed += 1;
        if error.is_unavailable() || self.failed > MAX_FAILED {
            return Err(error.into());
        }
        self.last = Some(error);
        Ok(())
    }

    /// Keeps the lease. An error when another replica has it: that one goes on.
    pub(super) async fn renew(&mut self) -> Result<(), Error> {
        if self.lease.renew(self.registry.inner.clock.now()).await? {
            Ok(())
        } else {
            Err(Error::CollectionTaken)
        }
    }

    fn before(&self, period: std::time::Duration) -> Micros {
        self.registry.inner.clock.now().saturating_sub(micros(period))
    }
}

fn location(copy: &Copy) -> Location {
    Location {
        backend: copy.backend.clone(),
        key: copy.key.clone(),
        size: copy.size,
        version: copy.version.clone(),
    }
}

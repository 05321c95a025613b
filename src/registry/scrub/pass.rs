//! One pass: object by object, in steps with room for others in between. Ended anywhere, the next one goes on.

use super::commands::{CompleteScrub, RecordFinding, Shown};
use super::progress::{Cursor, Progress};
use super::runs::ScrubRun;
use crate::clock::{Micros, SECOND};
use crate::dataplane::{Finding, Verdict};
use crate::events::{Damage, ScrubCompleted, manifest_key};
use crate::hash;
use crate::oci::Digest;
use crate::registry::blobs::location;
use crate::registry::collection::reasons;
use crate::registry::maintenance::Lease;
use crate::registry::pace::Pace;
use crate::registry::{Actor, Error, Registry, places};
use crate::views::blobs::{self, Blob};
use crate::views::damages::{self, DATABASE};
use crate::views::manifests;

/// Blobs asked for at once.
const BLOBS: i64 = 64;

/// Manifests asked for at once; each has up to 16 MiB.
const MANIFESTS: i64 = 4;

/// Manifests without bytes that are named at the end of a cycle.
const LOST: i64 = 1000;

/// How much is read again at most, or after what time it is noted how far the pass is, whichever comes first.
const NOTE_BYTES: u64 = 64 << 20;
const NOTE_OBJECTS: u64 = 64;
const NOTE_EVERY: Micros = 5 * SECOND;

/// Objects in a row that cannot be read, beyond which it is the storage that fails, and not an object.
const MAX_UNREADABLE: u64 = 100;

/// A pass under way.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    pub(super) registry: &'a Registry,
    lease: Lease,
    pace: Pace,
    progress: Progress,
    /// Bytes read in this pass.
    read: u64,
    /// Of these, and of the objects, those since the last note; and when that was.
    unnoted: (u64, u64),
    noted_at: Micros,
    unreadable_in_a_row: u64,
}

impl<'a> Pass<'a> {
    pub(super) fn new(registry: &'a Registry, lease: Lease, progress: Progress) -> Self {
        let pace = Pace::new(registry.inner.options.scrub.rate);
        let noted_at = registry.inner.clock.now();
        Self { registry, lease, pace, progress, read: 0, unnoted: (0, 0), noted_at, unreadable_in_a_row: 0 }
    }

    /// Goes on with the cycle until it is done or the pass has read what it may. Whether the cycle is done.
    pub(super) async fn work(&mut self) -> Result<bool, Error> {
        // From the first moment on it is known which cycle is under way.
        self.note().await?;
        if let Cursor::Blobs(after) = self.progress.cursor.clone() {
            if !self.blobs(after).await? {
                return Ok(false);
            }
            self.progress.cursor = Cursor::Manifests(None);
            self.note().await?;
        }
        if let Cursor::Manifests(after) = self.progress.cursor.clone() {
            return self.manifests(after).await;
        }
        Ok(true)
    }

    /// Notes how the pass ended, and records the cycle when that did.
    pub(super) async fn end(
        mut self,
        outcome: Result<bool, Error>,
        asked: Option<Actor>,
    ) -> Result<(Lease, ScrubRun), Error> {
        match outcome {
            Ok(true) => {
                let done = self.progress.done;
                let is_idle = (done.blobs, done.manifests, done.damaged) == (0, 0, 0);
                if asked.is_some() || !is_idle {
                    let actor = asked.unwrap_or_else(Actor::system);
                    self.registry.submit(actor, CompleteScrub(done.clone())).await?;
                }
                self.lease.note(None).await?;
                Ok((self.lease, ScrubRun::ended(done, self.registry.inner.clock.now())))
            }
            Ok(false) => {
                self.progress.failure = None;
                self.note().await?;
                Ok((self.lease, ScrubRun::paused(self.progress)))
            }
            // Whoever has it now says how far it is.
            Err(Error::ScrubTaken) => Err(Error::ScrubTaken),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "A pass of the scrub ended early");
                self.progress.failure = Some(reasons(&error));
                self.note().await?;
                Ok((self.lease, ScrubRun::paused(self.progress)))
            }
        }
    }

    /// Reads the blobs after one. Whether all of them were.
    async fn blobs(&mut self, mut after: Option<Digest>) -> Result<bool, Error> {
        loop {
            let page = blobs::page(&self.registry.inner.db, after.as_ref(), BLOBS).await?;
            if page.is_empty() {
                return Ok(true);
            }
            let keys: Vec<&str> = page.iter().map(|blob| blob.key.as_str()).collect();
            let known = damages::among(&self.registry.inner.db, &keys).await?;
            let is_open =
                |key: &str| known.iter().any(|copy| copy.key == key && copy.state == damages::State::Open);
            for blob in &page {
                if self.read >= self.registry.inner.options.scrub.pass {
                    return Ok(false);
                }
                let before = self.progress.done.clone();
                let looked = self.blob(blob, is_open(&blob.key)).await;
                after = Some(blob.content.clone());
                self.looked(looked, before, Cursor::Blobs(after.clone())).await?;
            }
        }
    }

    /// Goes on behind an object, or, if that could not be looked at, before it. What was found is noted at once.
    async fn looked(
        &mut self,
        looked: Result<bool, Error>,
        before: ScrubCompleted,
        cursor: Cursor,
    ) -> Result<(), Error> {
        match looked {
            Ok(is_finding) => {
                self.progress.cursor = cursor;
                if is_finding { self.note().await } else { self.note_sometimes().await }
            }
            Err(error) => {
                self.progress.done = before;
                Err(error)
            }
        }
    }

    /// Reads a blob and records what that showed. Whether it was anything but what is expected.
    async fn blob(&mut self, blob: &Blob, is_open: bool) -> Result<bool, Error> {
        self.progress.done.blobs += 1;
        let shown = self.look_twice(blob).await?;
        match &shown {
            Shown::Unreadable(_) if self.unreadable_in_a_row >= MAX_UNREADABLE => {
                return Err(Error::ScrubStuck(MAX_UNREADABLE));
            }
            Shown::Unreadable(_) => self.unreadable_in_a_row += 1,
            Shown::Whole | Shown::Damaged(..) => self.unreadable_in_a_row = 0,
        }
        if matches!(shown, Shown::Whole) && !is_open {
            return Ok(false);
        }
        let is_news = self.record(&blob.content, &blob.backend, &blob.key, shown.clone()).await?;
        match shown {
            Shown::Whole => self.progress.done.recovered += u64::from(is_news),
            Shown::Unreadable(_) => {
                self.progress.done.unreadable += 1;
                self.progress.done.repaired += u64::from(self.repair(blob).await?);
            }
            Shown::Damaged(..) if self.is_damaged_still(blob).await? => {
                self.progress.done.damaged += 1;
                self.progress.done.repaired += u64::from(self.repair(blob).await?);
            }
            // It was replaced or deleted while it was read.
            Shown::Damaged(..) => {}
        }
        Ok(true)
    }

    /// Reads a copy. What seems damaged is read once more: a finding is for ever, and a cable may be loose.
    async fn look_twice(&mut self, blob: &Blob) -> Result<Shown, Error> {
        let first = self.look(blob).await?;
        let Shown::Damaged(damage, _) = &first else { return Ok(first) };
        if *damage == Damage::Missing {
            // Where nothing of ours is, nothing is missing.
            places::check_place(&self.registry.inner.db, &self.registry.inner.data).await?;
        }
        match self.look(blob).await? {
            Shown::Whole => {
                Ok(Shown::Unreadable("it was read twice, and only the second time rightly".to_owned()))
            }
            second => Ok(second),
        }
    }

    async fn look(&mut self, blob: &Blob) -> Result<Shown, Error> {
        self.renew().await?;
        let location = location(blob.clone());
        let mut reading = self.registry.inner.data.reading(&location, &blob.content).await?;
        while let Some(bytes) = reading.step().await? {
            self.progress.done.bytes += bytes;
            self.read_on(bytes).await?;
        }
        Ok(shown(reading.verdict()))
    }

    /// Reads the manifests after one. Whether all of them were.
    async fn manifests(&mut self, mut after: Option<Digest>) -> Result<bool, Error> {
        loop {
            let page = manifests::contents(&self.registry.inner.db, after.as_ref(), MANIFESTS).await?;
            if page.is_empty() {
                break;
            }
            let keys: Vec<String> = page.iter().map(|(content, _)| manifest_key(content)).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let known = damages::among(&self.registry.inner.db, &keys).await?;
            for (content, bytes) in page {
                if self.read >= self.registry.inner.options.scrub.pass {
                    return Ok(false);
                }
                let key = manifest_key(&content);
                let is_open = known.iter().any(|it| it.key == key && it.state == damages::State::Open);
                let before = self.progress.done.clone();
                let looked = self.manifest(&content, &bytes, is_open).await;
                after = Some(content);
                self.looked(looked, before, Cursor::Manifests(after.clone())).await?;
            }
        }
        let lost = manifests::lost(&self.registry.inner.db, LOST).await?;
        for content in &lost {
            let shown = Shown::Damaged(Damage::Missing, "is not in the database".to_owned());
            self.record(content, DATABASE, &manifest_key(content), shown).await?;
        }
        self.progress.done.damaged += lost.len() as u64;
        Ok(true)
    }

    /// The same as [`blob`](Self::blob) for the bytes of a manifest.
    async fn manifest(&mut self, content: &Digest, bytes: &[u8], is_open: bool) -> Result<bool, Error> {
        self.renew().await?;
        self.progress.done.manifests += 1;
        self.progress.done.bytes += bytes.len() as u64;
        self.read_on(bytes.len() as u64).await?;
        let actual = hash::digest(content.algorithm(), bytes);
        let shown = if actual != *content {
            self.progress.done.damaged += 1;
            Shown::Damaged(Damage::Corrupt, format!("hashes to {actual}"))
        } else if is_open {
            self.progress.done.recovered += 1;
            Shown::Whole
        } else {
            return Ok(false);
        };
        self.record(content, DATABASE, &manifest_key(content), shown).await?;
        Ok(true)
    }

    /// Records what was found out. Whether it was news.
    async fn record(&self, content: &Digest, backend: &str, key: &str, shown: Shown) -> Result<bool, Error> {
        let run = self.progress.done.run.clone();
        let (content, backend, key) = (content.clone(), backend.to_owned(), key.to_owned());
        self.registry.record_finding(RecordFinding { run, content, backend, key, shown }).await
    }

    /// Whether the blob still has the copy that was read.
    async fn is_damaged_still(&self, blob: &Blob) -> Result<bool, Error> {
        let now = blobs::of_any_state(&self.registry.inner.db, &blob.content).await?;
        Ok(now.is_some_and(|now| now.state.is_kept() && now.key == blob.key && now.damage.is_some()))
    }

    /// So many bytes were read: others have their turn, and the lease is kept.
    pub(super) async fn read_on(&mut self, bytes: u64) -> Result<(), Error> {
        self.read += bytes;
        self.unnoted.0 += bytes;
        self.pace.wait(bytes).await;
        self.renew().await
    }

    /// Keeps the lease. An error when another replica has it: that one goes on.
    async fn renew(&mut self) -> Result<(), Error> {
        if self.lease.renew(self.registry.inner.clock.now()).await? { Ok(()) } else { Err(Error::ScrubTaken) }
    }

    async fn note_sometimes(&mut self) -> Result<(), Error> {
        self.unnoted.1 += 1;
        let is_due = self.registry.inner.clock.now() >= self.noted_at + NOTE_EVERY;
        if is_due || self.unnoted.0 >= NOTE_BYTES || self.unnoted.1 >= NOTE_OBJECTS {
            self.note().await?;
        }
        Ok(())
    }

    async fn note(&mut self) -> Result<(), Error> {
        self.unnoted = (0, 0);
        self.noted_at = self.registry.inner.clock.now();
        self.lease.note(Some(self.progress.text())).await
    }
}

/// What a verdict comes to.
pub(super) fn shown(verdict: Verdict) -> Shown {
    match verdict {
        Verdict::Intact => Shown::Whole,
        Verdict::Damaged(Finding::Unreadable { reason }) => Shown::Unreadable(reason),
        Verdict::Damaged(finding @ Finding::Missing) => Shown::Damaged(Damage::Missing, finding.to_string()),
        Verdict::Damaged(finding) => Shown::Damaged(Damage::Corrupt, finding.to_string()),
    }
}

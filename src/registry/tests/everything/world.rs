//! A registry that lives through a history, and the looks at it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::TestCaseError;
use tempfile::TempDir;

use super::call::{Call, Made, content, make};
use super::reference::{Checked, Reference, must};
use super::rules::policy;
use super::step::Step;
use super::{BLOBS, REPOSITORIES};
use crate::clock::{Clock, ManualClock, Micros, SECOND};
use crate::dataplane::DataPlane;
use crate::db::testing::{On, Place};
use crate::db::{Access, Db};
use crate::hash;
use crate::oci::{self, Algorithm, Digest, RepositoryName};
use crate::registry::{
    Actor, Check, CollectionOptions, Error, Item, Options, Registry, Status, replay_check, verify,
};
use crate::storage::testing::{Cause, Fault, Faulty, collect};
use crate::storage::{Backend as _, Memory};

/// Steps from one look at everything to the next.
const LOOK: usize = 12;

pub(super) struct World {
    place: Place,
    pub(super) clock: ManualClock,
    memory: Memory,
    backend: Faulty,
    policy: usize,
    db: Db,
    pub(super) registry: Registry,
    pub(super) reference: Reference,
    /// The last event the reference has seen.
    absorbed: i64,
    /// What the clock showed then.
    shown: Micros,
    /// Attempts that were refused because of a protection.
    refused: u64,
    /// The keys in the storage at the last look, and ever.
    listed: BTreeSet<String>,
    ever: BTreeSet<String>,
    steps: usize,
}

/// Without any grace: only the protocol is between a push and its loss.
fn options(number: usize) -> Options {
    let gc = CollectionOptions {
        grace: Duration::ZERO,
        quarantine: Duration::ZERO,
        rate: 1_000_000,
        ..CollectionOptions::default()
    };
    Options { gc, retention: policy(number), ..Options::default() }
}

/// As the only process, whatever the engine: leases of the one before are void.
async fn open(place: &Place, clock: &ManualClock, backend: &Faulty, policy: usize) -> (Db, Registry) {
    let db = place.open(Access::Create).await;
    let data = DataPlane::new(Arc::new(backend.clone()));
    let registry = Registry::open_as(db.clone(), data, clock.clock(), options(policy), false).await;
    (db, registry.unwrap())
}

impl World {
    pub(super) async fn new(on: On) -> Self {
        let clock = ManualClock::at(Clock::system().now());
        let memory = Memory::with_clock(clock.clock());
        let backend = Faulty::new(Arc::new(memory.clone()));
        let place = Place::new(on).await;
        let (db, registry) = open(&place, &clock, &backend, 0).await;
        let (reference, shown) = (Reference::default(), clock.clock().now());
        let (listed, ever) = (BTreeSet::new(), BTreeSet::new());
        let (policy, absorbed, refused, steps) = (0, 0, 0, 0);
        Self {
            place,
            clock,
            memory,
            backend,
            policy,
            db,
            registry,
            reference,
            absorbed,
            shown,
            refused,
            listed,
            ever,
            steps,
        }
    }

    pub(super) async fn step(&mut self, step: &Step) -> Checked {
        self.clock.advance(1);
        match step {
            Step::Do(deed) => {
                let Some(call) = Box::pin(self.call(*deed)).await else { return Ok(()) };
                let expected = self.expected(&call);
                let before = self.registry.last_sequence();
                let outcome = self.make(&call).await;
                self.absorb().await?;
                let is_as_expected = expected.is_none_or(|expected| expected == outcome.is_ok());
                must(is_as_expected, "what is refused is what is protected", &(&call, expected, &outcome))?;
                if matches!(call, Call::Plan) {
                    let is_same = self.registry.last_sequence() == before;
                    must(is_same, "G5: a plan changes nothing", &call)?;
                }
                self.acknowledged(&call, &outcome)?;
                self.again(&call, &outcome).await?;
            }
            Step::Fault(deed, op, nth, is_done) => {
                let Some(call) = Box::pin(self.call(*deed)).await else { return Ok(()) };
                let cause = Cause::Kind(std::io::ErrorKind::TimedOut);
                let fault = if *is_done { Fault::LoseResponse(cause) } else { Fault::Fail(cause) };
                self.backend.faults().arm(*op, *nth, fault);
                let outcome = self.make(&call).await;
                self.backend.faults().disarm();
                self.absorb().await?;
                self.acknowledged(&call, &outcome)?;
            }
            Step::Crash(deed, polls) => {
                let Some(call) = Box::pin(self.call(*deed)).await else { return Ok(()) };
                let task = tokio::spawn(Box::pin(make(self.registry.clone(), call)));
                go_on(*polls).await;
                task.abort();
                // Whether it was quicker is nothing anybody was told.
                let _ = task.await;
                Box::pin(self.restart()).await?;
            }
            Step::Beside(deed, polls, other) => {
                let Some(call) = Box::pin(self.call(*deed)).await else { return Ok(()) };
                let other = Box::pin(self.call(*other)).await;
                let task = tokio::spawn(Box::pin(make(self.registry.clone(), call)));
                go_on(*polls).await;
                if let Some(other) = other {
                    let _ = self.make(&other).await;
                }
                let outcome = task.await.map_err(|error| TestCaseError::fail(error.to_string()))?;
                self.note(&outcome);
                self.absorb().await?;
            }
            Step::Rush(polls) => {
                let collect = Box::pin(make(self.registry.clone(), Call::Collect));
                let collect = tokio::spawn(collect);
                go_on(*polls).await;
                for (blob, to) in (0..BLOBS).flat_map(|blob| REPOSITORIES.map(|to| (blob, to))) {
                    let call = Call::Push(to.parse().unwrap(), content(blob));
                    let pushed = self.make(&call).await;
                    must(pushed.is_ok(), "a push is never in the way of a collection", &(call, pushed))?;
                }
                let outcome = collect.await.map_err(|error| TestCaseError::fail(error.to_string()))?;
                self.note(&outcome);
                self.absorb().await?;
            }
            Step::Wait(hours) => self.clock.advance(hours * 3600 * SECOND),
            Step::Restart(number) => {
                self.policy = *number;
                Box::pin(self.restart()).await?;
            }
        }
        self.look_at_storage().await?;
        self.steps += 1;
        if self.steps.is_multiple_of(LOOK) { Box::pin(self.look()).await } else { Ok(()) }
    }

    async fn make(&mut self, call: &Call) -> Result<Made, Error> {
        let outcome = Box::pin(make(self.registry.clone(), call.clone())).await;
        self.note(&outcome);
        outcome
    }

    /// Refusals are on record (R8).
    fn note(&mut self, outcome: &Result<Made, Error>) {
        let is_denied = matches!(outcome, Err(Error::Protected(_) | Error::TagRetired { .. }));
        self.refused += u64::from(is_denied);
    }

    async fn restart(&mut self) -> Checked {
        self.db.close().await;
        (self.db, self.registry) = open(&self.place, &self.clock, &self.backend, self.policy).await;
        self.absorb().await?;
        // What was only counted in that minute is lost with the process.
        self.refused = self.reference.denied;
        Box::pin(self.look()).await
    }

    /// Lets the reference see what was recorded.
    async fn absorb(&mut self) -> Checked {
        let now = self.clock.clock().now();
        self.reference.clock = (now.min(self.shown), now.max(self.shown));
        self.shown = now;
        loop {
            let events = self.registry.events(self.absorbed, 500).await.unwrap();
            let Some(last) = events.last() else { return Ok(()) };
            // Commands are not torn apart: a page is far longer than what one step records.
            assert!(events.len() < 500);
            self.absorbed = last.sequence;
            self.reference.absorb(&events)?;
        }
    }

    /// What an answer says is so from then on.
    fn acknowledged(&self, call: &Call, outcome: &Result<Made, Error>) -> Checked {
        let Ok(made) = outcome else { return Ok(()) };
        let at = |name: &RepositoryName| self.reference.repositories.get(name);
        let content = |bytes: &[u8]| hash::digest(Algorithm::Blake3, bytes);
        let is_so = match (call, made) {
            (Call::Push(to, bytes), _) => at(to).is_some_and(|it| it.links.contains(&content(bytes))),
            (Call::Put(to, _, reference, bytes), _) => at(to).is_some_and(|it| {
                let content = content(bytes);
                let is_tagged = match reference {
                    oci::Reference::Tag(tag) => it.tags.get(tag) == Some(&content),
                    oci::Reference::Digest(_) => true,
                };
                it.manifests.contains_key(&content) && is_tagged
            }),
            (Call::Package(..), Made::Package(id)) => self.reference.packages[id].is_finalized(),
            (Call::Finalize(_, id, _), _) => self.reference.packages[id].is_finalized(),
            (Call::Draft(..), Made::Package(id)) => self.reference.packages[id].is_draft(),
            (Call::Ingest(_, id, path, bytes, _), _) => {
                self.reference.packages[id].files.get(path) == Some(&content(bytes))
            }
            (Call::Abort(_, id), _) => self.reference.packages[id].has_ended,
            (Call::Store(to, key, bytes), _) => {
                at(to).is_some_and(|it| it.objects.get(key) == Some(&content(bytes)))
            }
            (Call::DeleteKey(of, key), _) => at(of).is_none_or(|it| !it.objects.contains_key(key)),
            (Call::Delete(of, oci::Reference::Tag(tag)), _) => {
                at(of).is_none_or(|it| !it.tags.contains_key(tag))
            }
            (Call::Delete(of, oci::Reference::Digest(digest)), _) => {
                at(of).is_none_or(|it| !it.manifests.contains_key(&self.reference.content(digest)))
            }
            (Call::Hold(..), Made::Hold(id)) => self.reference.holds[id].is_in_force,
            (Call::Release(_, id), _) => !self.reference.holds[id].is_in_force,
            (Call::Shorten(.., bypass), _) => *bypass,
            (Call::Execute(_, id, _), _) => !self.reference.dispositions[id].is_open,
            _ => true,
        };
        must(is_so, "what was acknowledged is so", call)
    }

    /// R11: asked for what is so already, an extension changes nothing.
    async fn again(&mut self, call: &Call, outcome: &Result<Made, Error>) -> Checked {
        if !matches!((call, outcome), (Call::Extend(..), Ok(_))) {
            return Ok(());
        }
        let before = self.registry.last_sequence();
        let again = self.make(call).await;
        let is_same = again.is_ok() && self.registry.last_sequence() == before;
        must(is_same, "R11: an extension is idempotent", &(call, again))
    }

    /// Whether a call succeeds, where that is known beforehand.
    fn expected(&self, call: &Call) -> Option<bool> {
        let known = &self.reference;
        let at = |name: &RepositoryName| known.repositories.get(name);
        match call {
            Call::Push(..) | Call::Draft(..) | Call::Collect | Call::Plan | Call::Sweep => Some(true),
            Call::Put(to, _, oci::Reference::Tag(tag), bytes) => {
                let new = hash::digest(Algorithm::Blake3, bytes);
                let before = at(to).and_then(|it| it.tags.get(tag)).filter(|before| **before != new);
                let is_pinned = before.is_some_and(|it| known.protection(to, it, None).pins_tags());
                let is_retired = at(to).is_some_and(|it| it.retired.contains(tag));
                (is_pinned || is_retired).then_some(false)
            }
            Call::Delete(of, oci::Reference::Tag(tag)) => {
                let Some(content) = at(of).and_then(|it| it.tags.get(tag)) else { return Some(false) };
                let protection = known.protection(of, content, None);
                let is_last = at(of)?.tags.values().filter(|it| *it == content).count() == 1;
                Some(protection.is_free() || !(protection.pins_tags() || is_last))
            }
            Call::Delete(of, oci::Reference::Digest(digest)) => {
                let content = known.content(digest);
                let is_there = at(of).is_some_and(|it| it.manifests.contains_key(&content));
                Some(is_there && known.protection(of, &content, None).is_free())
            }
            Call::DeleteBlob(of, digest) => {
                let content = known.content(digest);
                let is_there = at(of).is_some_and(|it| it.links.contains(&content));
                Some(is_there && !known.is_named(of, &content) && !known.is_held(of, None))
            }
            Call::DeleteKey(of, key) => {
                let is_there = at(of).is_some_and(|it| it.objects.contains_key(key));
                Some(!is_there || !known.is_held(of, None))
            }
            Call::Store(to, key, bytes) => {
                let before = at(to).and_then(|it| it.objects.get(key));
                let is_same = before.is_none_or(|it| *it == hash::digest(Algorithm::Blake3, bytes));
                Some(is_same || !known.is_held(to, None))
            }
            Call::Hold(of, Some(item), _) => {
                let target = self.target(of, item);
                let is_there = |target: &crate::events::Target| match target {
                    crate::events::Target::Package(id) => known.packages[id].is_there(),
                    crate::events::Target::Manifest(_) => true,
                };
                Some(target.is_some_and(|target| is_there(&target)))
            }
            Call::Release(_, id) => Some(known.holds[id].is_in_force),
            Call::Abort(of, id) => {
                let target = crate::events::Target::Package(id.clone());
                Some(!known.is_held(of, None) && !known.is_held(of, Some(&target)))
            }
            Call::Shorten(.., false) => Some(false),
            _ => None,
        }
    }

    /// G1 to G3: what is in the storage, and what went.
    async fn look_at_storage(&mut self) -> Checked {
        let page = self.memory.list("", None, 100_000).await.unwrap();
        let listed: BTreeSet<String> = page.objects.into_iter().map(|it| it.key.to_string()).collect();
        for key in self.listed.difference(&listed) {
            let may = !self.reference.named_keys.contains(key) || self.reference.given_up.contains(key);
            must(may, "G2: only what was meant to go is deleted", key)?;
        }
        for key in listed.difference(&self.listed) {
            must(self.ever.insert(key.clone()), "G3: a key is never used again", key)?;
        }
        for (content, blob) in self.reference.blobs.iter().filter(|(_, blob)| blob.state.is_kept()) {
            must(listed.contains(&blob.key), "G1: the copy of a blob is there", &(content, blob))?;
        }
        self.listed = listed;
        Ok(())
    }

    /// Everything, as clients see it.
    async fn look(&mut self) -> Checked {
        self.look_at_storage().await?;
        for (name, of) in &self.reference.repositories {
            for content in of.manifests.keys() {
                self.look_at_manifest(name, content).await?;
            }
            for content in self.reference.needed(name) {
                let blob = self.registry.blob(name, &content).await;
                let blob = blob.map_err(|error| TestCaseError::fail(format!("{content}: {error}")))?;
                let bytes = collect(self.registry.open_blob(&blob, None).await.unwrap().body).await.unwrap();
                let is_right = hash::digest(Algorithm::Blake3, &bytes) == content;
                must(is_right, "G6: what is needed is there with the right bytes", &(name, content))?;
            }
            let tags = self.registry.tags(name, "", 100).await.map(|(tags, _)| tags).unwrap_or_default();
            let expected: Vec<oci::Tag> = of.tags.keys().cloned().collect();
            must(tags == expected, "tags are where they were put", &(name, &tags, &expected))?;
            for (tag, content) in &of.tags {
                let found = self.registry.manifest(name, &oci::Reference::Tag(tag.clone())).await;
                let found = found.map(|it| hash::digest(Algorithm::Blake3, &it.bytes)).ok();
                must(found.as_ref() == Some(content), "a tag names what was put", &(name, tag, &found))?;
            }
            for digest in &of.disposed {
                let is_there = of.manifests.contains_key(&self.reference.content(digest));
                let found = self.registry.manifest(name, &oci::Reference::Digest(digest.clone())).await;
                let is_told = matches!(found, Err(Error::Disposed { .. }));
                must(is_there || is_told, "R9: a tombstone stays", &(name, digest))?;
            }
            for (key, content) in &of.objects {
                let store = self.registry.keyed_store(name, Actor::anonymous());
                let bytes = store.get(key, 1000).await.unwrap();
                let is_right = hash::digest(Algorithm::Blake3, &bytes) == *content;
                must(is_right, "a key names what was put", &(name, key))?;
            }
        }
        Box::pin(self.look_at_packages()).await
    }

    async fn look_at_manifest(&self, name: &RepositoryName, content: &Digest) -> Checked {
        let reference = oci::Reference::Digest(content.clone());
        let found = self.registry.manifest(name, &reference).await;
        let found = found.map_err(|error| TestCaseError::fail(format!("{content}: {error}")))?;
        let is_right = hash::digest(Algorithm::Blake3, &found.bytes) == *content;
        must(is_right, "a manifest is what was pushed", &(name, content))?;
        let explained = self.registry.explain(name, Some(&Item::Manifest(reference))).await.unwrap();
        let target = explained.target.clone().unwrap();
        let protection = self.reference.protection_of(name, &target);
        let verdict = (explained.verdict.is_free(), explained.verdict.pins_tags());
        let expected = (protection.is_free(), protection.pins_tags());
        must(verdict == expected, "what protects is told", &(name, &target, &explained.facts, &protection))?;
        let kept =
            self.reference.kept.get(&(name.clone(), target)).map(|it| (it.from, it.until, it.revision));
        let told = explained.retention.map(|it| (it.retained.from, it.retained.until, it.revision));
        must(kept == told, "R1: a retention is as it was promised", &(name, content, kept, told))
    }

    async fn look_at_packages(&self) -> Checked {
        for (id, known) in &self.reference.packages {
            let package = self.registry.package(id).await.unwrap();
            let is_right = match package.status {
                Status::Created | Status::Uploading => known.is_draft(),
                Status::Finalized => known.is_finalized(),
                Status::Deleted | Status::Failed => known.has_ended,
            };
            must(is_right, "a package is what it was made", &(id, package.status, known))?;
            if !known.is_finalized() {
                continue;
            }
            for (path, content) in &known.files {
                let (_, blob) = self.registry.package_file(id, path).await.unwrap();
                let bytes = collect(self.registry.open_blob(&blob, None).await.unwrap().body).await.unwrap();
                let is_right = hash::digest(Algorithm::Blake3, &bytes) == *content;
                must(is_right, "G6: a file is what was sent", &(id, path))?;
            }
        }
        Ok(())
    }

    /// Everything is as the log says, every refusal is on record, and what nothing needs goes.
    pub(super) async fn end(&mut self) -> Checked {
        self.clock.advance(61 * SECOND);
        self.registry.sweep().await.unwrap();
        self.absorb().await?;
        must(
            self.refused == self.reference.denied,
            "R8: a refusal is on record",
            &(self.refused, self.reference.denied),
        )?;
        Box::pin(self.look()).await?;
        let scratch = TempDir::new().unwrap();
        let checked = replay_check(&self.db, scratch.path()).await.unwrap();
        let Check::Compared { replayed, live } = checked else { panic!("{checked:?}") };
        must(replayed.state == live, "a replay gives the live state", &replayed.state.differences(&live))?;
        let data = DataPlane::new(Arc::new(self.backend.clone()));
        let verified = verify(&self.db, &data, |_| ()).await.unwrap();
        must(verified.faults.is_empty(), "everything is where it should be", &verified.faults)
    }
}

/// Lets what was begun go on for a while.
async fn go_on(polls: usize) {
    for _ in 0..polls {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
}

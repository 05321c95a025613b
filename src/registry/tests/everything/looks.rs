//! Looks at a registry: at its storage after every step, at everything now and then, and at the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::TestCaseError;
use tempfile::TempDir;

use super::reference::{Checked, must};
use super::rules::DAY;
use super::world::World;
use super::{PEOPLE, TAGS};
use crate::clock::SECOND;
use crate::dataplane::DataPlane;
use crate::hash;
use crate::oci::{self, Algorithm, Digest, RepositoryName};
use crate::registry::tests::audit::naive;
use crate::registry::{
    Actor, AuditFilter, AuditSpan, Check, Decision, Error, HistorySpan, Item, Status, replay_check,
    replay_check_with, verify,
};
use crate::storage::Backend as _;
use crate::storage::testing::collect;
use crate::views::damages;

impl World {
    /// G1 to G3: what is in the storage, and what went.
    pub(super) async fn look_at_storage(&mut self) -> Checked {
        let page = self.memory.list("", None, 100_000).await.unwrap();
        let listed: BTreeSet<String> = page.objects.into_iter().map(|it| it.key.to_string()).collect();
        for key in self.listed.difference(&listed) {
            let may = !self.reference.named_keys.contains(key) || self.reference.given_up.contains(key);
            must(may, "G2: only what was meant to go is deleted", key)?;
        }
        for key in listed.difference(&self.listed) {
            must(self.ever.insert(key.clone()), "G3: a key is never used again", key)?;
        }
        for snapshot in self.registry.snapshots().await.unwrap() {
            must(listed.contains(&snapshot.object.key), "a snapshot that is kept is there", &snapshot)?;
        }
        for (content, blob) in self.reference.blobs.iter().filter(|(_, blob)| blob.state.is_kept()) {
            must(listed.contains(&blob.key), "G1: the copy of a blob is there", &(content, blob))?;
        }
        self.listed = listed;
        Ok(())
    }

    /// Everything, as clients see it.
    pub(super) async fn look(&mut self) -> Checked {
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
        let kept = self
            .reference
            .kept
            .get(&(name.clone(), target))
            .map(|it| (it.from, it.until, it.floor, it.revision));
        let told = explained.retention.map(|it| (it.retained, it.revision));
        let told = told.map(|(it, revision)| (it.from, it.until, it.floor, revision));
        must(kept == told, "R1: a retention is as it was promised", &(name, content, kept, told))
    }

    /// The audit and the history of tags say what the log says.
    async fn look_at_audit(&self) -> Checked {
        let log = self.registry.events(0, 100_000).await.unwrap();
        let last = log.last().map_or(0, |event| event.sequence);
        must(last == self.registry.last_sequence(), "the whole log is looked at", &log.len())?;
        let all = AuditFilter::default;
        let mut filters = vec![
            all(),
            AuditFilter { decision: Some(Decision::Refused), ..all() },
            AuditFilter { action: Some("tag.move".to_owned()), ..all() },
        ];
        let people = PEOPLE.map(|name| Actor::user(name).as_str().to_owned());
        filters.extend(people.map(|actor| AuditFilter { actor: Some(actor), ..all() }));
        let packages = naive::packages(&log);
        filters.extend(packages.into_iter().map(|id| AuditFilter { package: Some(id), ..all() }));
        for (name, of) in &self.reference.repositories {
            let here = AuditFilter { repository: Some(name.clone()), ..all() };
            let about = |reference: String| AuditFilter {
                reference: Some(reference.parse::<Item>().unwrap()),
                ..here.clone()
            };
            filters.extend(TAGS.map(|tag| about(tag.to_owned())));
            filters.extend(of.manifests.keys().chain(&of.disposed).map(|digest| about(digest.to_string())));
            filters.push(here);
        }
        if let Some(event) = log.get(log.len() / 2) {
            filters.push(AuditFilter { from: Some(event.recorded_at), ..all() });
            filters.push(AuditFilter { until: Some(event.recorded_at), ..all() });
        }
        for filter in &filters {
            let (mut found, mut span) = (Vec::new(), AuditSpan { limit: 100, ..AuditSpan::default() });
            loop {
                let page = match self.registry.audit(filter, span).await {
                    Ok(page) => page,
                    // Whatever was refused in a repository nobody pushed to.
                    Err(Error::RepositoryUnknown(_)) if found.is_empty() => break,
                    Err(error) => panic!("{filter:?}: {error}"),
                };
                found.extend(page.entries);
                span.since = page.scanned_to;
                if page.scanned_to >= page.head {
                    break;
                }
            }
            let is_so = found == naive::audit(&log, filter);
            must(is_so, "the audit says what the log says", &(filter, &found))?;
        }
        for ((name, tag), lines) in naive::history(&log) {
            let found = self.registry.tag_history(&name, &tag, &HistorySpan::default(), 1000).await.unwrap();
            let is_so = found.0 == lines && found.1.is_none();
            must(is_so, "the history of a tag says what the log says", &(name, tag, found, lines))?;
        }
        Ok(())
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

    /// What nothing needs goes, once the clock is beyond every time on record: links, copies, and what crashes left.
    async fn leave_nothing(&mut self) -> Checked {
        self.confirm().await?;
        for days in [120, 0, 0, 0, 8, 8] {
            self.clock.advance(days * DAY + 1);
            self.registry.collect().await.unwrap();
            self.absorb().await?;
            self.look_at_storage().await?;
        }
        for (name, of) in &self.reference.repositories {
            let (needed, is_held) = (self.reference.needed(name), self.reference.is_held(name, None));
            must(
                is_held || of.links == needed,
                "what nothing needs is given up",
                &(name, &of.links, needed),
            )?;
        }
        let blobs = self.reference.blobs.values().filter(|blob| blob.state.is_kept());
        let mut keys: BTreeSet<String> = blobs.map(|blob| blob.key.clone()).collect();
        // And copies that a push could not read and replaced: they are kept aside as long as their content is.
        let others: Vec<&str> = self.listed.difference(&keys).map(String::as_str).collect();
        let aside = damages::kept(&self.db, &others).await.unwrap();
        keys.extend(aside);
        let snapshots = self.registry.snapshots().await.unwrap();
        keys.extend(snapshots.into_iter().map(|snapshot| snapshot.object.key));
        must(self.listed == keys, "nothing but the copies of blobs stays", &(&self.listed, keys))
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
        must(
            self.weakening <= self.reference.weakening,
            "R8: an attempt to make a protection weaker is on record",
            &(self.weakening, self.reference.weakening),
        )?;
        Box::pin(self.look()).await?;
        Box::pin(self.leave_nothing()).await?;
        Box::pin(self.look_at_audit()).await?;
        let scratch = TempDir::new().unwrap();
        let checked = replay_check(&self.db, scratch.path()).await.unwrap();
        let Check::Compared { replayed, live } = checked else { panic!("{checked:?}") };
        must(replayed.state == live, "a replay gives the live state", &replayed.state.differences(&live))?;
        let data = DataPlane::new(Arc::new(self.backend.clone()));
        let newest = self.registry.snapshots().await.unwrap().first().map_or(0, |newest| newest.sequence);
        let scratch = TempDir::new().unwrap();
        let checked = replay_check_with(&self.db, scratch.path(), Some(&data), &mut |_| {}).await.unwrap();
        let Check::Compared { replayed, live } = checked else { panic!("{checked:?}") };
        must(replayed.from == newest, "a replay begins with the newest snapshot", &(replayed.from, newest))?;
        must(
            replayed.state == live,
            "a snapshot and the tail are the live state",
            &replayed.state.differences(&live),
        )?;
        let verified = verify(&self.db, &data, |_| ()).await.unwrap();
        must(verified.faults.is_empty(), "everything is where it should be", &verified.faults)
    }
}

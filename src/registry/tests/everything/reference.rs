//! The reference: what the log says there is, every event held against the rules of `core.md` (R1 to R12, G1 to G6)
//! as it comes. It knows nothing of views, rows and commands.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::TestCaseError;

use super::rules::{DAY, demand, policy};
use crate::clock::{Micros, SECOND};
use crate::events::{Event, Fact, Role, TagMoved, Target};
use crate::oci::{Digest, RepositoryName, Tag};
use crate::package::{PackageId, PackagePath};
use crate::retention::{DispositionId, HoldId, HoldKind, Mode, Rule, Start};
use crate::views::blobs::State;

pub(super) type Checked<T = ()> = Result<T, TestCaseError>;

/// Ends the history where a rule was broken.
pub(super) fn must(is_so: bool, rule: &str, what: &dyn std::fmt::Debug) -> Checked {
    if is_so { Ok(()) } else { Err(TestCaseError::fail(format!("{rule}: {what:?}"))) }
}

#[derive(Debug, Default)]
pub(super) struct Repository {
    pub(super) links: BTreeSet<Digest>,
    pub(super) manifests: BTreeMap<Digest, Manifest>,
    /// By content.
    pub(super) tags: BTreeMap<Tag, Digest>,
    pub(super) objects: BTreeMap<PackagePath, Digest>,
    pub(super) retired: BTreeSet<Tag>,
    /// What was disposed of, by the digest of its manifest.
    pub(super) disposed: BTreeSet<Digest>,
}

/// Digests as the manifest has them.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) blobs: Vec<Digest>,
    pub(super) children: Vec<Digest>,
    pub(super) subject: Option<Digest>,
}

#[derive(Debug)]
pub(super) struct Blob {
    pub(super) key: String,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) struct Package {
    pub(super) repository: RepositoryName,
    pub(super) files: BTreeMap<PackagePath, Digest>,
    /// Its content manifest and its OCI manifest, once it is finalized.
    pub(super) table: Option<Digest>,
    pub(super) reference: Option<Digest>,
    pub(super) has_ended: bool,
}

impl Package {
    fn draft(repository: &RepositoryName, files: BTreeMap<PackagePath, Digest>) -> Self {
        Self { repository: repository.clone(), files, table: None, reference: None, has_ended: false }
    }

    pub(super) fn is_there(&self) -> bool {
        !self.has_ended
    }

    pub(super) fn is_draft(&self) -> bool {
        self.is_there() && self.reference.is_none()
    }

    pub(super) fn is_finalized(&self) -> bool {
        self.is_there() && self.reference.is_some()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) rule: Rule,
    pub(super) from: Option<Micros>,
    pub(super) until: Option<Micros>,
    pub(super) revision: i64,
}

#[derive(Debug)]
pub(super) struct Hold {
    pub(super) repository: RepositoryName,
    pub(super) target: Option<Target>,
    pub(super) kind: HoldKind,
    pub(super) is_in_force: bool,
}

#[derive(Debug)]
pub(super) struct Disposition {
    pub(super) repository: RepositoryName,
    pub(super) target: Target,
    pub(super) revision: i64,
    pub(super) proposer: String,
    pub(super) approvals: BTreeSet<String>,
    pub(super) approved_at: Option<Micros>,
    pub(super) is_open: bool,
}

#[derive(Debug, Default)]
pub(super) struct Reference {
    pub(super) repositories: BTreeMap<RepositoryName, Repository>,
    pub(super) blobs: BTreeMap<Digest, Blob>,
    contents: BTreeMap<Digest, Digest>,
    pub(super) packages: BTreeMap<PackageId, Package>,
    pub(super) kept: BTreeMap<(RepositoryName, Target), Kept>,
    pub(super) holds: BTreeMap<HoldId, Hold>,
    pub(super) dispositions: BTreeMap<DispositionId, Disposition>,
    /// Every key that an event named, and those that may be deleted.
    pub(super) named_keys: BTreeSet<String>,
    pub(super) given_up: BTreeSet<String>,
    /// Which policy is in force.
    pub(super) policy: usize,
    /// What the clock showed since the last look: from, to.
    pub(super) clock: (Micros, Micros),
    /// Refusals on record.
    pub(super) denied: u64,
    pub(super) told: BTreeMap<&'static str, u64>,
    /// The tags of this command that nobody may move.
    pinned: BTreeSet<Tag>,
    /// What leaves with the disposition of this command: the target and its repository, and manifests.
    leaving: Option<(RepositoryName, Target, BTreeSet<Digest>)>,
}

impl Reference {
    /// What a digest stands for.
    pub(super) fn content(&self, digest: &Digest) -> Digest {
        self.contents.get(digest).unwrap_or(digest).clone()
    }

    fn of(&mut self, repository: &RepositoryName) -> &mut Repository {
        self.repositories.entry(repository.clone()).or_default()
    }

    /// What was recorded since the last look, command by command.
    pub(super) fn absorb(&mut self, events: &[Event]) -> Checked {
        for command in events.chunk_by(|a, b| a.command == b.command) {
            self.pinned = self.pinned_before(command);
            for event in command {
                *self.told.entry(event.fact.type_name()).or_default() += 1;
                self.event(event)?;
            }
            if let Some((repository, target, _)) = self.leaving.take() {
                self.kept.remove(&(repository, target));
            }
            self.is_whole(command)?;
        }
        Ok(())
    }

    /// The tags a command moves that were on what pins them. What it brings itself protects nothing that was before.
    fn pinned_before(&self, command: &[Event]) -> BTreeSet<Tag> {
        let moved = command.iter().filter_map(|event| match &event.fact {
            Fact::TagMoved(fact) => Some(fact),
            _ => None,
        });
        let is_pinned = |fact: &&TagMoved| {
            let before = self.repositories.get(&fact.repository).and_then(|it| it.tags.get(&fact.tag));
            let before = before.filter(|before| **before != fact.content);
            before.is_some_and(|it| self.protection(&fact.repository, it, None).pins_tags())
        };
        moved.filter(is_pinned).map(|fact| fact.tag.clone()).collect()
    }

    /// Whatever was recorded: what is needed is there.
    fn is_whole(&self, command: &[Event]) -> Checked {
        let all = || command.iter().map(told).collect::<Vec<_>>();
        for (name, repository) in &self.repositories {
            for content in &repository.links {
                let state = self.blobs.get(content).map(|blob| blob.state);
                must(state == Some(State::Live), "G1: a linked blob is live", &(content, state, all()))?;
            }
            for content in self.needed(name) {
                let is_linked = repository.links.contains(&content);
                must(is_linked, "G1: what is named is linked", &(name, content, all()))?;
            }
            for (tag, content) in &repository.tags {
                let is_there = repository.manifests.contains_key(content);
                must(is_there, "a tag names a manifest that is there", &(tag, all()))?;
            }
        }
        let finalized = command.iter().find_map(|event| match &event.fact {
            Fact::PackageFinalized(fact) => Some((&fact.package.repository, &fact.package.id)),
            _ => None,
        });
        let Some((repository, id)) = finalized else { return Ok(()) };
        let key = (repository.clone(), Target::Package(id.clone()));
        must(self.kept.contains_key(&key), "a package is retained from the first moment", &all())
    }

    fn event(&mut self, event: &Event) -> Checked {
        match &event.fact {
            Fact::BlobStored(_)
            | Fact::BlobRepaired(_)
            | Fact::BlobLinked(_)
            | Fact::BlobUnlinked(_)
            | Fact::BlobsReleased(_)
            | Fact::BlobsCondemned(_)
            | Fact::BlobRevived(_)
            | Fact::BlobsDeleteIntended(_)
            | Fact::BlobsPurged(_) => self.of_blobs(event),
            Fact::ManifestPushed(_)
            | Fact::ManifestDeleted(_)
            | Fact::TagMoved(_)
            | Fact::TagDeleted(_)
            | Fact::ObjectStored(_)
            | Fact::ObjectDeleted(_)
            | Fact::ContentDigested(_) => self.of_names(event),
            Fact::PackageCreated(_)
            | Fact::PackageFileIngested(_)
            | Fact::PackageFileReplaced(_)
            | Fact::PackageFileDropped(_)
            | Fact::PackageFinalized(_)
            | Fact::PackageFailed(_)
            | Fact::PackageDeleted(_) => self.of_packages(event),
            Fact::RetentionResolved(_)
            | Fact::RetentionExtended(_)
            | Fact::RetentionStarted(_)
            | Fact::RetentionShortened(_)
            | Fact::HoldPlaced(_)
            | Fact::HoldReleased(_) => self.of_retention(event),
            Fact::DispositionProposed(_)
            | Fact::DispositionApproved(_)
            | Fact::DispositionRejected(_)
            | Fact::DispositionVoided(_)
            | Fact::DispositionExecuted(_) => self.of_dispositions(event),
            Fact::RetentionDenied(fact) => {
                self.denied += fact.count;
                Ok(())
            }
            Fact::PolicyChanged(fact) => {
                let known = (0..2).find(|number| policy(*number).to_json() == fact.policy);
                self.policy = known.expect("there are two policies");
                Ok(())
            }
            // Nothing else takes anything away.
            _ => Ok(()),
        }
    }

    fn of_blobs(&mut self, event: &Event) -> Checked {
        match &event.fact {
            Fact::BlobStored(fact) => {
                let state = self.blobs.get(&fact.content).map(|blob| blob.state);
                let is_gone = state.is_none_or(|state| !state.is_kept());
                must(is_gone, "a second copy takes the place of none that is kept", &told(event))?;
                must(self.named_keys.insert(fact.key.clone()), "G3: a key is used once", &told(event))?;
                for digest in &fact.digests {
                    self.contents.insert(digest.clone(), fact.content.clone());
                }
                let blob = Blob { key: fact.key.clone(), state: State::Live };
                self.blobs.insert(fact.content.clone(), blob);
                Ok(())
            }
            Fact::BlobRepaired(fact) => {
                must(self.named_keys.insert(fact.key.clone()), "G3: a key is used once", &told(event))?;
                self.given_up.insert(fact.lost.clone());
                let Some(blob) = self.blobs.get_mut(&fact.content).filter(|blob| blob.state.is_kept()) else {
                    return must(false, "only what is there is repaired", &told(event));
                };
                blob.key.clone_from(&fact.key);
                Ok(())
            }
            Fact::BlobLinked(fact) => {
                let is_held = |from: &RepositoryName| {
                    self.repositories.get(from).is_some_and(|it| it.links.contains(&fact.content))
                };
                let is_legal = fact.mounted_from.as_ref().is_none_or(is_held);
                must(is_legal, "a mount is from where the blob is", &told(event))?;
                self.of(&fact.repository).links.insert(fact.content.clone());
                Ok(())
            }
            Fact::BlobUnlinked(fact) => self.unlink(&fact.repository, &fact.content, event),
            Fact::BlobsReleased(fact) => {
                fact.contents.iter().try_for_each(|content| self.unlink(&fact.repository, content, event))
            }
            Fact::BlobsCondemned(fact) => {
                fact.contents.iter().try_for_each(|it| self.step(it, State::Live, State::Condemned, event))
            }
            Fact::BlobRevived(fact) => {
                let blob = self.blobs.get_mut(&fact.content);
                let blob = blob.filter(|blob| blob.state == State::Condemned);
                let is_condemned = blob.map(|blob| blob.state = State::Live).is_some();
                must(is_condemned, "only what is condemned is revived", &told(event))
            }
            Fact::BlobsDeleteIntended(fact) => fact.copies.iter().try_for_each(|copy| {
                let is_the_copy = self.blobs.get(&copy.content).is_some_and(|blob| blob.key == copy.key);
                must(is_the_copy, "G2: the copy that is meant", &told(event))?;
                self.given_up.insert(copy.key.clone());
                self.step(&copy.content, State::Condemned, State::Deleting, event)
            }),
            Fact::BlobsPurged(fact) => fact.copies.iter().try_for_each(|copy| {
                must(self.given_up.contains(&copy.key), "G2: no purge without an intent", &told(event))?;
                let blob = self.blobs.get_mut(&copy.content).filter(|blob| blob.key == copy.key);
                if let Some(blob) = blob.filter(|blob| blob.state == State::Deleting) {
                    blob.state = State::Purged;
                }
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn unlink(&mut self, repository: &RepositoryName, content: &Digest, event: &Event) -> Checked {
        must(!self.is_named(repository, content), "R5, G6: what is named stays linked", &told(event))?;
        must(!self.is_held(repository, None), "a held repository gives nothing up", &told(event))?;
        must(self.of(repository).links.remove(content), "only a link ends", &told(event))
    }

    /// A blob is a stage further on its way out.
    fn step(&mut self, content: &Digest, from: State, to: State, event: &Event) -> Checked {
        let is_linked = self.repositories.values().any(|it| it.links.contains(content));
        must(!is_linked, "G1: what is linked stays", &told(event))?;
        let blob = self.blobs.get_mut(content).filter(|blob| blob.state == from);
        let is_so = blob.map(|blob| blob.state = to).is_some();
        must(is_so, "G2: a blob leaves in order", &told(event))
    }

    fn of_names(&mut self, event: &Event) -> Checked {
        match &event.fact {
            Fact::ContentDigested(fact) => {
                self.contents.insert(fact.digest.clone(), fact.content.clone());
                Ok(())
            }
            Fact::ManifestPushed(fact) => {
                for digest in &fact.digests {
                    self.contents.insert(digest.clone(), fact.content.clone());
                }
                let of = |is_child: bool| {
                    let wanted = fact.references.iter().filter(|it| (it.role == Role::Child) == is_child);
                    wanted.map(|it| it.target.clone()).collect()
                };
                let subject = fact.subject.as_ref().map(|subject| subject.digest.clone());
                let manifest = Manifest { blobs: of(false), children: of(true), subject };
                self.of(&fact.repository).manifests.insert(fact.content.clone(), manifest);
                Ok(())
            }
            Fact::ManifestDeleted(fact) => {
                self.check_delete(&fact.repository, &fact.content, event)?;
                let of = self.of(&fact.repository);
                of.manifests.remove(&fact.content);
                of.tags.retain(|_, content| *content != fact.content);
                Ok(())
            }
            Fact::TagMoved(fact) => {
                let of = self.of(&fact.repository);
                must(!of.retired.contains(&fact.tag), "R9: a retired tag is never used again", &told(event))?;
                of.tags.insert(fact.tag.clone(), fact.content.clone());
                let is_pinned = self.pinned.contains(&fact.tag);
                must(!is_pinned, "a tag on what is held or immutable stays", &told(event))
            }
            Fact::TagDeleted(fact) => {
                let of = self.of(&fact.repository);
                let Some(content) = of.tags.remove(&fact.tag) else {
                    return must(false, "a tag that was there", &told(event));
                };
                let is_last = !of.tags.values().any(|it| *it == content);
                let protection = self.protection(&fact.repository, &content, None);
                let may = protection.is_free() || !(protection.pins_tags() || is_last);
                must(
                    may,
                    "a tag on what is held or immutable, and the last one on what is retained",
                    &told(event),
                )
            }
            Fact::ObjectStored(fact) => {
                let is_held = self.is_held(&fact.repository, None);
                let before = self.of(&fact.repository).objects.insert(fact.key.clone(), fact.content.clone());
                must(before.is_none() || !is_held, "a held repository overwrites nothing", &told(event))
            }
            Fact::ObjectDeleted(fact) => {
                must(
                    !self.is_held(&fact.repository, None),
                    "a held repository deletes nothing",
                    &told(event),
                )?;
                let before = self.of(&fact.repository).objects.remove(&fact.key);
                must(before.is_some(), "a key that was there", &told(event))
            }
            _ => Ok(()),
        }
    }

    /// R5: nothing that is protected goes, but what is disposed of, and then only that.
    fn check_delete(&self, repository: &RepositoryName, content: &Digest, event: &Event) -> Checked {
        let mut protection = self.protection(repository, content, None);
        if let Some((_, target, with)) = &self.leaving {
            protection.kept.retain(|(by, _)| by != target);
            must(with.contains(content), "R5: what leaves with a disposition belongs to it", &told(event))?;
        }
        must(protection.is_free(), "R5: what is protected stays", &(told(event), &protection))
    }

    fn of_packages(&mut self, event: &Event) -> Checked {
        let held = |repository: &RepositoryName, id: &PackageId| {
            self.is_held(repository, None) || self.is_held(repository, Some(&Target::Package(id.clone())))
        };
        let is_frozen = match &event.fact {
            Fact::PackageFileReplaced(fact) => held(&fact.repository, &fact.package),
            Fact::PackageFileDropped(fact) => held(&fact.repository, &fact.package),
            Fact::PackageFailed(fact) => held(&fact.repository, &fact.package),
            _ => false,
        };
        must(!is_frozen, "what is held stays as it is", &told(event))?;
        match &event.fact {
            Fact::PackageCreated(fact) => {
                let package = Package::draft(&fact.repository, BTreeMap::new());
                self.packages.insert(fact.package.clone(), package);
                Ok(())
            }
            Fact::PackageFileIngested(fact) => {
                let (path, content) = (fact.file.path.clone(), fact.file.content_address.clone());
                let before = self.draft(&fact.package, event)?.files.insert(path, content);
                must(before.is_none(), "a file is not overwritten by chance", &told(event))
            }
            Fact::PackageFileReplaced(fact) => {
                let (path, content) = (fact.file.path.clone(), fact.file.content_address.clone());
                self.draft(&fact.package, event)?.files.insert(path, content);
                Ok(())
            }
            Fact::PackageFileDropped(fact) => {
                self.draft(&fact.package, event)?.files.remove(&fact.path);
                Ok(())
            }
            Fact::PackageFinalized(fact) => {
                let files: BTreeMap<_, _> =
                    fact.files.iter().map(|it| (it.path.clone(), it.content_address.clone())).collect();
                if !self.packages.contains_key(&fact.package.id) {
                    let package = Package::draft(&fact.package.repository, files.clone());
                    self.packages.insert(fact.package.id.clone(), package);
                }
                let draft = self.draft(&fact.package.id, event)?;
                must(draft.files == files, "a package is what its draft was", &told(event))?;
                draft.table = Some(fact.package.content_manifest.clone());
                draft.reference = Some(fact.package.reference.clone());
                Ok(())
            }
            Fact::PackageFailed(fact) => {
                self.draft(&fact.package, event)?.has_ended = true;
                Ok(())
            }
            Fact::PackageDeleted(fact) => {
                let target = Target::Package(fact.package.clone());
                let is_disposed = self.leaving.as_ref().is_some_and(|(_, it, _)| *it == target);
                must(is_disposed, "R5: a package leaves by a disposition", &told(event))?;
                self.packages.get_mut(&fact.package).expect("it was disposed of").has_ended = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn draft(&mut self, id: &PackageId, event: &Event) -> Checked<&mut Package> {
        let draft = self.packages.get_mut(id).filter(|package| package.is_draft());
        draft.ok_or_else(|| {
            TestCaseError::fail(format!("a finalized package never changes: {:?}", told(event)))
        })
    }

    fn of_retention(&mut self, event: &Event) -> Checked {
        match &event.fact {
            Fact::RetentionResolved(fact) => {
                let Rule { mode, start, approvals, cooling_off, .. } = fact.rule;
                let wanted = demand(&fact.rule.class, self.policy);
                let found = (mode, wanted.1, start, approvals, cooling_off);
                must(found == wanted, "R7: the rule in force is pinned", &told(event))?;
                let kept = Kept {
                    rule: fact.rule.clone(),
                    from: fact.from,
                    until: fact.until,
                    revision: event.sequence,
                };
                let begins = (start == Start::Finalized).then_some(());
                let is_late_enough = fact.from.is_none_or(|from| from >= self.clock.0);
                must(
                    fact.from.map(drop) == begins && is_late_enough,
                    "a period begins at its push",
                    &told(event),
                )?;
                must(
                    fact.until == end(&kept, wanted.1),
                    "a period lasts as long as its class says",
                    &told(event),
                )?;
                let before = self.kept.insert((fact.repository.clone(), fact.target.clone()), kept);
                must(before.is_none(), "R1: a retention is resolved once", &told(event))
            }
            Fact::RetentionExtended(fact) => {
                let after = Kept {
                    rule: fact.rule.clone().unwrap_or_else(|| self.rule(&fact.repository, &fact.target)),
                    from: fact.from,
                    until: fact.until,
                    revision: event.sequence,
                };
                let before = self.kept.insert((fact.repository.clone(), fact.target.clone()), after.clone());
                let Some(before) = before else {
                    return must(false, "R1: what has none is resolved", &told(event));
                };
                must(
                    !is_sooner(&before, &after),
                    "R1: a retention only grows",
                    &(told(event), before.until),
                )?;
                let is_weaker = |a: &Rule, b: &Rule| {
                    b.mode < a.mode || b.approvals < a.approvals || b.cooling_off < a.cooling_off
                };
                must(!is_weaker(&before.rule, &after.rule), "R2: a class is only raised", &told(event))
            }
            Fact::RetentionStarted(fact) => {
                let others = self.holds.iter().filter(|(id, hold)| **id != fact.hold && hold.is_in_force);
                let is_waiting_on = |hold: &Hold| {
                    let is_here = hold.repository == fact.repository;
                    is_here && hold.kind == HoldKind::Event && hold.target.as_ref() == Some(&fact.target)
                };
                let is_last = !others.map(|(_, hold)| hold).any(is_waiting_on);
                let hold = self.holds.get(&fact.hold);
                let is_event = hold.is_some_and(|it| it.kind == HoldKind::Event && !it.is_in_force);
                must(is_last && is_event, "a period starts with the last event", &told(event))?;
                let now = self.clock.0;
                let Some(kept) = self.kept.get_mut(&(fact.repository.clone(), fact.target.clone())) else {
                    return must(false, "what starts is retained", &told(event));
                };
                must(
                    kept.from.is_none() && fact.from >= now,
                    "R3: a release starts what waited, and nothing else",
                    event,
                )?;
                (kept.from, kept.revision) = (Some(fact.from), event.sequence);
                kept.until = fact.until;
                let days = demand(&kept.rule.class, self.policy).1;
                must(fact.until == end(kept, days), "a period lasts as long as its class says", &told(event))
            }
            Fact::RetentionShortened(fact) => {
                let Some(kept) = self.kept.get_mut(&(fact.repository.clone(), fact.target.clone())) else {
                    return must(false, "what is shortened is retained", &told(event));
                };
                must(kept.rule.mode == Mode::Governance, "R1: compliance is never shortened", &told(event))?;
                let is_told = !fact.reason.is_empty() && fact.previous == kept.until;
                must(is_told, "R10: a bypass says why and from what", &told(event))?;
                must(kept.from.is_some(), "what waits for an event is not shortened", &told(event))?;
                (kept.until, kept.revision) = (Some(fact.until), event.sequence);
                Ok(())
            }
            Fact::HoldPlaced(fact) => {
                let hold = Hold {
                    repository: fact.repository.clone(),
                    target: fact.target.clone(),
                    kind: fact.kind,
                    is_in_force: true,
                };
                self.holds.insert(fact.hold.clone(), hold);
                Ok(())
            }
            Fact::HoldReleased(fact) => {
                let hold = self.holds.get_mut(&fact.hold).filter(|hold| hold.is_in_force);
                must(hold.map(|hold| hold.is_in_force = false).is_some(), "a hold ends once", &told(event))
            }
            _ => Ok(()),
        }
    }

    fn rule(&self, repository: &RepositoryName, target: &Target) -> Rule {
        self.kept[&(repository.clone(), target.clone())].rule.clone()
    }

    fn of_dispositions(&mut self, event: &Event) -> Checked {
        let (now, actor) = (self.clock.1, event.actor.as_str());
        match &event.fact {
            Fact::DispositionProposed(fact) => {
                let kept = self.kept.get(&(fact.repository.clone(), fact.target.clone()));
                let Some(kept) = kept else {
                    return must(false, "what is retained is disposed of", &told(event));
                };
                must(
                    kept.revision == fact.revision,
                    "R6: a proposal is for the state there is",
                    &told(event),
                )?;
                let demanded = (kept.rule.approvals, kept.rule.cooling_off);
                must(
                    (fact.approvals, fact.cooling_off) == demanded,
                    "R6: as its rule demands",
                    &told(event),
                )?;
                let protection = self.protection_of(&fact.repository, &fact.target);
                must(
                    protection.is_over(now),
                    "R5: only what is over is proposed",
                    &(told(event), &protection),
                )?;
                let disposition = Disposition {
                    repository: fact.repository.clone(),
                    target: fact.target.clone(),
                    revision: fact.revision,
                    proposer: actor.to_owned(),
                    approvals: BTreeSet::new(),
                    approved_at: (fact.approvals == 0).then_some(event.recorded_at),
                    is_open: true,
                };
                self.dispositions.insert(fact.disposition.clone(), disposition);
                Ok(())
            }
            Fact::DispositionApproved(fact) => {
                let kept = &self.kept;
                let open = self.dispositions.get_mut(&fact.disposition).filter(|it| it.is_open);
                let Some(open) = open else {
                    return must(false, "only what is open is approved", &told(event));
                };
                must(open.proposer != actor, "R6: nobody approves a proposal of their own", &told(event))?;
                must(open.approvals.insert(actor.to_owned()), "R6: everybody approves once", &told(event))?;
                let kept = &kept[&(open.repository.clone(), open.target.clone())];
                let is_same = kept.revision == open.revision && fact.revision == open.revision;
                must(is_same, "R6: an approval is for the state there is", &told(event))?;
                let is_complete = open.approvals.len() == usize::from(kept.rule.approvals);
                must(is_complete == fact.is_complete, "R6: as many as the rule demands", &told(event))?;
                open.approved_at = is_complete.then_some(event.recorded_at);
                Ok(())
            }
            Fact::DispositionRejected(fact) => self.end(&fact.disposition, event),
            Fact::DispositionVoided(fact) => self.end(&fact.disposition, event),
            Fact::DispositionExecuted(fact) => {
                self.end(&fact.disposition, event)?;
                let ended = &self.dispositions[&fact.disposition];
                let kept = &self.kept[&(fact.repository.clone(), fact.target.clone())];
                must(ended.target == fact.target, "R6: what was approved leaves", &told(event))?;
                must(kept.revision == ended.revision, "R6: as it was approved", &told(event))?;
                let cooling_off = Micros::from(kept.rule.cooling_off) * SECOND;
                let is_due = ended.approved_at.is_some_and(|at| at + cooling_off <= now);
                must(is_due, "R6: approved by all, and cooled off", &(told(event), ended, now))?;
                let protection = self.protection_of(&fact.repository, &fact.target);
                must(protection.is_over(now), "R5: only what is over leaves", &(told(event), &protection))?;
                let retires = kept.rule.mode == Mode::Compliance;
                must(fact.retires_tags == retires, "R9: tags of what is immutable retire", &told(event))?;
                let content = self.content(&fact.reference);
                let members = self.repositories.get(&fact.repository).into_iter();
                let members = members.flat_map(|it| it.manifests.keys());
                let with = members.filter(|it| self.bound_up(&fact.repository, it).contains(&content));
                let with: BTreeSet<Digest> = with.cloned().collect();
                let of = self.of(&fact.repository);
                of.disposed.insert(fact.reference.clone());
                if retires {
                    of.retired.extend(fact.tags.iter().cloned());
                }
                self.leaving = Some((fact.repository.clone(), fact.target.clone(), with));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, id: &DispositionId, event: &Event) -> Checked {
        let open = self.dispositions.get_mut(id).filter(|it| it.is_open);
        must(open.map(|it| it.is_open = false).is_some(), "a disposition ends once", &told(event))
    }
}

/// An event without its bytes.
fn told(event: &Event) -> (i64, &str, &Fact) {
    (event.sequence, event.actor.as_str(), &event.fact)
}

/// When a period that has begun ends.
fn end(kept: &Kept, days: Option<i64>) -> Option<Micros> {
    Some(kept.from? + days? * DAY)
}

/// Whether something may leave sooner after a change than before.
fn is_sooner(before: &Kept, after: &Kept) -> bool {
    match (before.until, after.until) {
        (None, Some(_)) => true,
        (Some(before), Some(after)) => after < before,
        (_, None) => after.from.is_none() && before.from.is_some(),
    }
}

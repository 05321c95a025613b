//! The reference: what the log says there is, every event held against the rules of `core.md` (R1 to R12, G1 to G6)
//! as it comes. It knows nothing of views, rows and commands.

mod blobs;
mod dispositions;
mod names;
mod packages;
mod retention;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::TestCaseError;

use super::rules::policy;
use crate::clock::Micros;
use crate::events::{Event, Fact, TagMoved, Target};
use crate::oci::{Digest, RepositoryName, Tag};
use crate::package::{PackageId, PackagePath};
use crate::retention::{DispositionId, Floor, HoldId, HoldKind, Rule};
use crate::views::blobs::State;

/// The actions whose refusals are of attempts to make a protection weaker, or to go on with a disposition.
const WEAKENING: [&str; 5] = [
    "retention.extend",
    "retention.shorten",
    "disposition.propose",
    "disposition.approve",
    "disposition.execute",
];

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
    /// What it was extended to before its period began.
    pub(super) floor: Option<Floor>,
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
    /// Approvals, and seconds of cooling-off.
    pub(super) demanded: (u8, u32),
    pub(super) proposer: String,
    pub(super) approvals: BTreeSet<String>,
    pub(super) approved_at: Option<Micros>,
    pub(super) is_open: bool,
    /// Whether a hold on it or on anything that protects it was placed since.
    pub(super) is_void: bool,
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
    /// Whether time is in doubt.
    is_frozen: bool,
    /// Refusals on record: of what a protection keeps, and of what would have made one weaker.
    pub(super) denied: u64,
    pub(super) weakening: u64,
    pub(super) told: BTreeMap<&'static str, u64>,
    /// The tags of this command that nobody may move.
    pinned: BTreeSet<Tag>,
    /// What leaves with the disposition of this command: the targets and their repository, and manifests.
    leaving: Option<(RepositoryName, BTreeSet<Target>, BTreeSet<Digest>)>,
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
            if let Some((repository, targets, _)) = self.leaving.take() {
                self.kept.retain(|(of, target), _| *of != repository || !targets.contains(target));
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
                let is_weakening = WEAKENING.contains(&fact.action.as_str());
                *(if is_weakening { &mut self.weakening } else { &mut self.denied }) += fact.count;
                Ok(())
            }
            Fact::ClockTicked(fact) => {
                self.is_frozen = fact.is_frozen;
                Ok(())
            }
            Fact::ClockResynchronised(_) => {
                self.is_frozen = false;
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
}

/// An event without its bytes.
fn told(event: &Event) -> (i64, &str, &Fact) {
    (event.sequence, event.actor.as_str(), &event.fact)
}

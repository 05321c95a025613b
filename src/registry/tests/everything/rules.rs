//! What protects what, and what the two policies demand, said again in the plainest way.

use std::collections::BTreeSet;

use super::reference::{Kept, Reference};
use crate::clock::{Micros, SECOND};
use crate::events::Target;
use crate::oci::{Digest, RepositoryName};
use crate::package::PackageId;
use crate::retention::{Bounds, Class, Classes, Mode, Policy, Start};

pub(super) const DAY: Micros = 86_400 * SECOND;

/// What a class demands: mode, days (`None` for ever), start, approvals, seconds of cooling-off, and days until a schedule
/// may dispose of it (`None` for never).
pub(super) type Demand = (Mode, Option<i64>, Start, u8, u32, Option<i64>);

/// The classes, by policy: the second demands less of what comes, and nothing less of what is there (R7).
pub(super) fn demand(class: &str, policy: usize) -> Demand {
    use Mode::{Compliance, Governance};
    match (class, policy) {
        ("brief", 0) => (Governance, Some(7), Start::Finalized, 1, 24 * 3600, None),
        ("brief", _) => (Governance, Some(1), Start::Finalized, 0, 0, Some(1)),
        // Stronger than a brief in all but this: a schedule may dispose of it, or sooner.
        ("hasty", _) => (Governance, Some(20), Start::Finalized, 1, 24 * 3600, Some(1)),
        ("case", _) => (Governance, Some(30), Start::Event, 1, 0, None),
        ("vault", 0) => (Compliance, Some(90), Start::Finalized, 2, 24 * 3600, None),
        ("vault", _) => (Compliance, Some(10), Start::Finalized, 1, 3600, None),
        (_, _) => (Compliance, None, Start::Finalized, 2, 24 * 3600, None),
    }
}

/// The second policy gives what nobody gave a class one in this repository, and wants something of every class there.
pub(super) const WITH_DEFAULT: &str = "b/c";
pub(super) const LEAST: &str = "hasty";

/// Whether a demand is no less than another in anything.
fn is_at_least(a: &Demand, b: &Demand) -> bool {
    let is_longer = |a: Option<i64>, b: Option<i64>| a.is_none_or(|a| b.is_some_and(|b| a >= b));
    let starts = |it: &Demand| it.1.is_none() || it.2 == Start::Event;
    let is_as_long = is_longer(a.1, b.1) && (starts(a) || b.2 == Start::Finalized);
    a.0 >= b.0 && is_as_long && a.3 >= b.3 && a.4 >= b.4 && is_longer(a.5, b.5)
}

/// What a class comes to in a repository; nothing where it is refused.
pub(super) fn given<'a>(repository: &RepositoryName, class: &'a str, policy: usize) -> Option<&'a str> {
    let (asked, least) = (demand(class, policy), demand(LEAST, policy));
    if policy == 0 || repository.as_str() != WITH_DEFAULT || is_at_least(&asked, &least) {
        return Some(class);
    }
    is_at_least(&least, &asked).then_some(LEAST)
}

pub(super) fn policy(number: usize) -> Policy {
    let class = |name: &&str| {
        let (mode, days, start, approvals, cooling_off, leaves) = demand(name, number);
        let period = |days: i64| format!("P{days}D").parse().unwrap();
        Class {
            name: (*name).to_owned(),
            mode,
            period: days.map(period),
            start,
            auto_dispose_after: leaves.map(period),
            approvals,
            cooling_off,
        }
    };
    let classes = Classes::default().with(super::CLASSES.iter().map(class).collect(), "brief").unwrap();
    let bounds = Bounds {
        pattern: WITH_DEFAULT.to_owned(),
        default: Some("brief".to_owned()),
        at_least: Some(LEAST.to_owned()),
        at_most: None,
    };
    Policy::new(classes, if number == 0 { Vec::new() } else { vec![bounds] }).unwrap()
}

/// Everything that bears on whether something may leave.
#[derive(Debug, Default)]
pub(super) struct Protection<'a> {
    pub(super) is_held: bool,
    pub(super) kept: Vec<(Target, &'a Kept)>,
}

impl Protection<'_> {
    pub(super) fn is_free(&self) -> bool {
        !self.is_held && self.kept.is_empty()
    }

    pub(super) fn pins_tags(&self) -> bool {
        self.is_held || self.kept.iter().any(|(_, kept)| kept.rule.mode == Mode::Compliance)
    }

    /// R5.
    pub(super) fn is_over(&self, now: Micros) -> bool {
        let is_over = |kept: &Kept| kept.from.is_some() && kept.until.is_some_and(|until| until <= now);
        !self.is_held && self.kept.iter().all(|(_, kept)| is_over(kept))
    }
}

impl Reference {
    pub(super) fn is_held(&self, repository: &RepositoryName, target: Option<&Target>) -> bool {
        let is_on = |hold: &super::reference::Hold| {
            hold.is_in_force && hold.repository == *repository && hold.target.as_ref() == target
        };
        self.holds.values().any(is_on)
    }

    /// A manifest, every index over it, what it refers to, and so on.
    pub(super) fn bound_up(&self, repository: &RepositoryName, first: &Digest) -> BTreeSet<Digest> {
        let mut all = BTreeSet::from([first.clone()]);
        let Some(of) = self.repositories.get(repository) else { return all };
        loop {
            let mut more: BTreeSet<Digest> = BTreeSet::new();
            for (content, manifest) in &of.manifests {
                let children = manifest.children.iter().map(|child| self.content(child));
                if children.into_iter().any(|child| all.contains(&child)) {
                    more.insert(content.clone());
                }
                if all.contains(content) {
                    more.extend(manifest.subject.iter().map(|subject| self.content(subject)));
                }
            }
            let before = all.len();
            all.extend(more);
            if all.len() == before {
                return all;
            }
        }
    }

    /// What protects a manifest; with `only`, as one package that it is.
    pub(super) fn protection(
        &self,
        repository: &RepositoryName,
        content: &Digest,
        only: Option<&PackageId>,
    ) -> Protection<'_> {
        self.of_targets(repository, self.members(repository, content, only))
    }

    /// Whether what protects one thing protects another.
    pub(super) fn binds(&self, repository: &RepositoryName, of: &Target, by: &Target) -> bool {
        let members = match of {
            Target::Manifest(content) => self.members(repository, content, None),
            Target::Package(id) => match self.packages.get(id).and_then(|it| it.reference.as_ref()) {
                Some(reference) => self.members(repository, &self.content(reference), Some(id)),
                None => BTreeSet::from([of.clone()]),
            },
        };
        members.contains(by)
    }

    /// What protects a manifest, by what it is bound up with.
    fn members(
        &self,
        repository: &RepositoryName,
        content: &Digest,
        only: Option<&PackageId>,
    ) -> BTreeSet<Target> {
        let mut targets = BTreeSet::new();
        for member in self.bound_up(repository, content) {
            let packages = self.packages.iter().filter(|(_, it)| {
                let reference = it.reference.as_ref().map(|reference| self.content(reference));
                it.is_finalized() && it.repository == *repository && reference.as_ref() == Some(&member)
            });
            let packages = packages
                .map(|(id, _)| id)
                .filter(|id| member != *content || only.is_none_or(|only| only == *id));
            targets.extend(packages.cloned().map(Target::Package));
            targets.insert(Target::Manifest(member));
        }
        targets
    }

    /// What protects a package or a manifest that is to be disposed of.
    pub(super) fn protection_of(&self, repository: &RepositoryName, target: &Target) -> Protection<'_> {
        match target {
            Target::Manifest(content) => self.protection(repository, content, None),
            Target::Package(id) => match self.packages.get(id).and_then(|it| it.reference.as_ref()) {
                Some(reference) => self.protection(repository, &self.content(reference), Some(id)),
                None => self.of_targets(repository, BTreeSet::from([target.clone()])),
            },
        }
    }

    fn of_targets(&self, repository: &RepositoryName, targets: BTreeSet<Target>) -> Protection<'_> {
        let mut protection = Protection { is_held: self.is_held(repository, None), kept: Vec::new() };
        for target in targets {
            protection.is_held |= self.is_held(repository, Some(&target));
            let kept = self.kept.get(&(repository.clone(), target.clone()));
            protection.kept.extend(kept.map(|kept| (target, kept)));
        }
        protection
    }

    /// Whether anything of a repository names a blob: then the repository keeps it.
    pub(super) fn is_named(&self, repository: &RepositoryName, content: &Digest) -> bool {
        self.needed(repository).contains(content)
    }

    /// Every blob that manifests, packages, drafts and keys of a repository need.
    pub(super) fn needed(&self, repository: &RepositoryName) -> BTreeSet<Digest> {
        let mut all = BTreeSet::new();
        if let Some(of) = self.repositories.get(repository) {
            let named = of.manifests.values().flat_map(|manifest| &manifest.blobs);
            all.extend(named.map(|digest| self.content(digest)));
            all.extend(of.objects.values().cloned());
        }
        for package in self.packages.values().filter(|it| it.repository == *repository && it.is_there()) {
            all.extend(package.files.values().cloned());
            all.extend(package.table.clone());
        }
        all
    }
}

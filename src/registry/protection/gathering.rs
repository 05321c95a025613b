//! The gathering: everything that bears on whether something may leave, and what something itself bears on. Pure.

use std::collections::BTreeSet;

use crate::events::{Read, Rows, Sequence, Target};
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::package::PackageId;
use crate::retention::{Facts, Hold, HoldId};
use crate::views::packages::{Package, Status};
use crate::views::{contents, holds, manifests, packages, referrers, retentions};

/// Manifests and packages that are looked at for one answer; beyond, nothing is sure.
const MOST: usize = 10_000;

/// Indexes over indexes and referrers to referrers that are followed; each level is a question to the database.
const DEEPEST: usize = 64;

/// Things below another one that are looked for.
const BELOW: usize = 1_000;

/// The first rows that [`of_manifest`] looks at.
pub(in crate::registry) fn reads(repository: &RepositoryName, content: &Digest) -> Vec<Read> {
    let target = Target::Manifest(content.clone());
    vec![
        holds::on(repository, None),
        holds::on(repository, Some(&target)),
        retentions::read(repository, &target),
        contents::of(content),
        manifests::naming(repository, content),
        referrers::of_manifest(repository, content),
    ]
}

/// Everything that bears on whether a manifest may leave its repository.
pub(in crate::registry) fn of_manifest(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Facts {
    Gathering::of_manifest(rows, repository, content).facts
}

/// Everything that bears on whether a package may leave its repository, or a draft may be given up; other packages of
/// the same manifest do not.
pub(in crate::registry) fn of_package(rows: &Rows, package: &Package) -> Facts {
    Gathering::of_package(rows, &package.repository, package).facts
}

/// Everything that bears on whether something may leave its repository.
pub(in crate::registry) fn of_target(rows: &Rows, repository: &RepositoryName, target: &Target) -> Facts {
    Gathering::of_target(rows, repository, target).facts
}

/// The newest retention of what something is bound up with now, itself left out, and the event that changed it last.
pub(in crate::registry) fn newest_around(
    rows: &Rows,
    repository: &RepositoryName,
    target: &Target,
) -> Option<(Target, Sequence)> {
    let around = Gathering::of_target(rows, repository, target).looked_at.into_iter();
    let changed = around.filter(|it| it != target).filter_map(|it| {
        let revision = retentions::get(rows, repository, &it)?.revision;
        Some((it, revision))
    });
    changed.max_by_key(|(_, revision)| *revision)
}

/// The newest hold that ever bore on something by way of what it is bound up with now, released or not, and the event
/// that placed it.
pub(in crate::registry) fn newest_hold(
    rows: &Rows,
    repository: &RepositoryName,
    target: &Target,
) -> Option<(HoldId, Sequence)> {
    let looked_at = Gathering::of_target(rows, repository, target).looked_at;
    let on = std::iter::once(None).chain(looked_at.iter().map(Some));
    on.filter_map(|target| holds::newest(rows, repository, target)).max_by_key(|(_, sequence)| *sequence)
}

/// What holds a whole repository.
pub(in crate::registry) fn of_repository(rows: &Rows, repository: &RepositoryName) -> Facts {
    Gathering::new(rows, repository).facts
}

/// What something bears on because its manifest or an index over that is it: itself, its manifest, and the children of
/// that with the packages they are. As far as it is looked for; what refers to them is not.
pub(in crate::registry) fn beneath(rows: &Rows, repository: &RepositoryName, target: &Target) -> Vec<Target> {
    let (mut found, first) = match target {
        Target::Manifest(content) => (Vec::new(), Some(content.clone())),
        Target::Package(id) => {
            (vec![target.clone()], packages::get(rows, id).and_then(|it| content_of(rows, &it)))
        }
    };
    let (mut seen, mut next): (BTreeSet<Digest>, Vec<Digest>) =
        (BTreeSet::new(), first.into_iter().collect());
    while let Some(content) = next.pop() {
        if found.len() >= BELOW {
            break;
        }
        let is_first = seen.is_empty();
        // By two indexes, or twice by one.
        if !seen.insert(content.clone()) {
            continue;
        }
        // Of the packages that the first one is, another one is not bound up with this one.
        if !is_first || matches!(target, Target::Manifest(_)) {
            let digests = contents::known(rows, &content);
            found.extend(packages_by(rows, repository, &digests).into_iter().map(Target::Package));
        }
        let children = manifests::children_of(rows, repository, &content).into_iter();
        next.extend(children.map(|child| contents::content_of(rows, &child).unwrap_or(child)));
        found.push(Target::Manifest(content));
    }
    found
}

/// What is retained or held when somebody names a manifest: of one that is one package, the package.
pub(in crate::registry) fn stands_for(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Target {
    let packages = packages_by(rows, repository, &contents::known(rows, content));
    match <[PackageId; 1]>::try_from(packages) {
        Ok([only]) => Target::Package(only),
        Err(_) => Target::Manifest(content.clone()),
    }
}

/// The content of the manifest of a finalized package.
fn content_of(rows: &Rows, package: &Package) -> Option<Digest> {
    let reference = package.reference.as_ref().filter(|_| package.status == Status::Finalized)?;
    contents::content_of(rows, reference)
}

/// The finalized packages that a manifest of these digests is.
fn packages_by(rows: &Rows, repository: &RepositoryName, digests: &[Digest]) -> Vec<PackageId> {
    let sha256 = digests.iter().filter(|digest| digest.algorithm() == Algorithm::Sha256);
    let named = sha256.flat_map(|digest| packages::named_by(rows, repository, digest));
    named.filter(|package| package.status == Status::Finalized).map(|package| package.id).collect()
}

struct Gathering<'a> {
    rows: &'a Rows,
    repository: &'a RepositoryName,
    facts: Facts,
    /// Things whose own records were looked at.
    looked_at: Vec<Target>,
    seen: BTreeSet<Digest>,
}

impl<'a> Gathering<'a> {
    fn new(rows: &'a Rows, repository: &'a RepositoryName) -> Self {
        let facts = Facts::default();
        let mut gathering = Self { rows, repository, facts, looked_at: Vec::new(), seen: BTreeSet::new() };
        gathering.hold(None);
        gathering
    }

    fn of_manifest(rows: &'a Rows, repository: &'a RepositoryName, content: &Digest) -> Self {
        let mut gathering = Self::new(rows, repository);
        gathering.closure(content.clone(), None);
        gathering
    }

    fn of_package(rows: &'a Rows, repository: &'a RepositoryName, package: &Package) -> Self {
        let mut gathering = Self::new(rows, repository);
        gathering.own(&Target::Package(package.id.clone()));
        if let Some(content) = content_of(rows, package) {
            gathering.closure(content, Some(&package.id));
        }
        gathering
    }

    fn of_target(rows: &'a Rows, repository: &'a RepositoryName, target: &Target) -> Self {
        match target {
            Target::Manifest(content) => Self::of_manifest(rows, repository, content),
            Target::Package(id) => match packages::get(rows, id) {
                Some(package) => Self::of_package(rows, repository, &package),
                None => Self::new(rows, repository),
            },
        }
    }

    fn hold(&mut self, target: Option<&Target>) {
        let by = target.map(Target::to_string);
        let found = holds::in_force(self.rows, self.repository, target).into_iter();
        let hold = |hold: holds::Hold| Hold { id: hold.id, kind: hold.kind, matter: hold.matter };
        self.facts.held.extend(found.map(|found| (by.clone(), hold(found))));
    }

    fn own(&mut self, target: &Target) {
        self.looked_at.push(target.clone());
        let found = retentions::get(self.rows, self.repository, target);
        self.facts.retained.extend(found.map(|found| (target.to_string(), found.retained)));
        self.hold(Some(target));
    }

    /// A manifest and everything whose protection it shares, level by level. Of the packages that are the first one
    /// only `package`, if there is one.
    fn closure(&mut self, first: Digest, package: Option<&PackageId>) {
        let mut level = vec![first];
        for depth in 0..DEEPEST {
            let mut next = Vec::new();
            for content in level {
                if !self.seen.insert(content.clone()) {
                    continue;
                }
                if self.looked_at.len() >= MOST {
                    self.facts.is_cut = true;
                    return;
                }
                self.own(&Target::Manifest(content.clone()));
                let digests = contents::known(self.rows, &content);
                if depth > 0 || package.is_none() {
                    self.packages(&digests);
                }
                let parents = |digest: &Digest| manifests::parents(self.rows, self.repository, digest);
                next.extend(digests.iter().flat_map(parents));
                next.extend(self.subject(&content));
            }
            next.retain(|content| !self.seen.contains(content));
            if next.is_empty() {
                return;
            }
            level = next;
        }
        self.facts.is_cut = true;
    }

    fn packages(&mut self, digests: &[Digest]) {
        for id in packages_by(self.rows, self.repository, digests) {
            self.own(&Target::Package(id));
        }
    }

    /// The manifest it refers to, where anybody knows that digest.
    fn subject(&self, content: &Digest) -> Option<Digest> {
        let (subject, _) = referrers::subject_of(self.rows, self.repository, content)?;
        contents::content_of(self.rows, &subject)
    }
}

//! What leaves a repository with something that is disposed of. Pure.
//!
//! Its manifest, unless another package is the same one; of an index the children that nothing else names; the table
//! the registry published of a package. What is tagged, or protected by anything else, stays.

use std::collections::BTreeSet;

use super::item::packages_of;
use crate::clock::Micros;
use crate::events::{ManifestDeleted, Rows, Target};
use crate::oci::{Algorithm, Digest, RepositoryName, Tag};
use crate::package::mapping::names;
use crate::registry::protection;
use crate::retention::judge;
use crate::views::retentions::{self, Retention};
use crate::views::{contents, manifests, package_files, packages, referrers, tags};

/// What leaves.
pub(super) struct Leaving {
    /// SHA-256 of the manifest, whether it leaves or not.
    pub(super) reference: Digest,
    /// The manifests that leave, by content address.
    pub(super) manifests: Vec<ManifestDeleted>,
    /// Their tags, sorted.
    pub(super) tags: Vec<Tag>,
    /// The blobs they and the package name, sorted.
    pub(super) blobs: Vec<Digest>,
}

/// The retention that the manifest of a package has of its own, when it is this package only: it came under a class
/// before. Whoever names the manifest names the package, so both end together.
pub(super) fn shared(rows: &Rows, repository: &RepositoryName, target: &Target) -> Option<Retention> {
    let Target::Package(id) = target else { return None };
    let content = contents::content_of(rows, &packages::get(rows, id)?.reference?)?;
    let is_it = protection::stands_for(rows, repository, &content) == *target;
    is_it.then(|| retentions::get(rows, repository, &Target::Manifest(content))).flatten()
}

/// What nothing else keeps once `target` is gone, and another retention that ends `with` it. `None` when it is nowhere.
pub(super) fn left_alone(
    rows: &Rows,
    repository: &RepositoryName,
    (target, with): (&Target, Option<&Target>),
    referrers: &[Digest],
    now: Micros,
) -> Option<Leaving> {
    let content = match target {
        Target::Package(id) => contents::content_of(rows, &packages::get(rows, id)?.reference?)?,
        Target::Manifest(content) => content.clone(),
    };
    let digests = contents::known(rows, &content);
    let reference = digests.iter().find(|digest| digest.algorithm() == Algorithm::Sha256)?.clone();
    let mut gone = Gone { rows, repository, target, with, now, contents: BTreeSet::new() };
    if gone.is_free(&content) && gone.is_only_package(&content) {
        gone.leave(content);
        for referrer in referrers {
            if gone.is_table_of(referrer, &digests) {
                gone.leave(referrer.clone());
            }
        }
    }
    let mut blobs: BTreeSet<Digest> = BTreeSet::new();
    if let Target::Package(id) = target {
        blobs.extend(package_files::contents_of(rows, id));
    }
    let manifests: Vec<ManifestDeleted> = gone.contents.iter().filter_map(|it| gone.deleted(it)).collect();
    for manifest in &manifests {
        blobs.extend(manifests::blobs_of(rows, repository, &manifest.content));
    }
    let mut tags: Vec<Tag> = manifests.iter().flat_map(|manifest| manifest.tags.clone()).collect();
    tags.sort();
    Some(Leaving { reference, manifests, tags, blobs: blobs.into_iter().collect() })
}

struct Gone<'a> {
    rows: &'a Rows,
    repository: &'a RepositoryName,
    target: &'a Target,
    with: Option<&'a Target>,
    now: Micros,
    contents: BTreeSet<Digest>,
}

impl Gone<'_> {
    /// Whether nothing but what is disposed of protects a manifest.
    fn is_free(&self, content: &Digest) -> bool {
        let mut facts = protection::of_manifest(self.rows, self.repository, content);
        let is_ending =
            |by: &str| by == self.target.as_str() || self.with.is_some_and(|it| by == it.as_str());
        facts.retained.retain(|(by, _)| !is_ending(by));
        judge(&facts, self.now).is_free()
    }

    /// Whether no other package is this manifest.
    fn is_only_package(&self, content: &Digest) -> bool {
        let packages = packages_of(self.rows, self.repository, content);
        packages.iter().all(|package| package.id.as_str() == self.target.as_str())
    }

    /// A manifest leaves, and what only it names.
    fn leave(&mut self, first: Digest) {
        let mut next = vec![first];
        while let Some(content) = next.pop() {
            for child in manifests::children_of(self.rows, self.repository, &content) {
                let child = contents::content_of(self.rows, &child).unwrap_or(child);
                if child != content && self.is_orphan(&child, &content) {
                    next.push(child);
                }
            }
            self.contents.insert(content);
        }
    }

    fn is_orphan(&self, child: &Digest, parent: &Digest) -> bool {
        if self.contents.contains(child) {
            return false;
        }
        let digests = contents::known(self.rows, child);
        let mut parents =
            digests.iter().flat_map(|digest| manifests::parents(self.rows, self.repository, digest));
        let is_elsewhere = parents.any(|other| other != *parent && !self.contents.contains(&other));
        !is_elsewhere && self.is_untagged(child) && self.is_free(child) && self.is_only_package(child)
    }

    fn is_untagged(&self, content: &Digest) -> bool {
        tags::names_on(self.rows, self.repository, content).is_empty()
    }

    /// Whether a manifest is the table that the registry published beside one of these digests.
    fn is_table_of(&self, content: &Digest, digests: &[Digest]) -> bool {
        let Some((subject, notes)) = referrers::subject_of(self.rows, self.repository, content) else {
            return false;
        };
        let is_generated = notes.iter().any(|(key, value)| key == names::GENERATED && value == "true");
        is_generated && digests.contains(&subject) && self.is_untagged(content) && self.is_free(content)
    }

    fn deleted(&self, content: &Digest) -> Option<ManifestDeleted> {
        let digest = manifests::pushed_as(self.rows, self.repository, content)?;
        let (repository, content) = (self.repository.clone(), content.clone());
        let tags = tags::names_on(self.rows, self.repository, &content);
        Some(ManifestDeleted { repository, content, digest, tags })
    }
}

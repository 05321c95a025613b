//! Why something stays: everything that bears on it, and what that comes to.

use super::item::{Found, Item, find};
use crate::clock::Micros;
use crate::events::{Rows, Target, look};
use crate::oci::{Algorithm, Digest, RepositoryName, Tag};
use crate::package::PackageId;
use crate::registry::{Error, Registry, Status, protection};
use crate::retention::{Facts, Verdict, judge};
use crate::views::dispositions::{self, Disposition};
use crate::views::holds::{self, Hold};
use crate::views::retentions::{self, Retention};
use crate::views::tombstones::{self, Tombstone};
use crate::views::{contents, manifests, referrers, repositories, tags};

/// What stands for and against something, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Its repository.
    pub repository: RepositoryName,
    /// What it is; `None` for the whole repository.
    pub target: Option<Target>,
    /// SHA-256 of its OCI manifest, if it has one.
    pub reference: Option<Digest>,
    /// The packages it is: itself, or those of the manifest.
    pub packages: Vec<PackageId>,
    /// The tags on its manifest.
    pub tags: Vec<Tag>,
    /// The indexes that name its manifest, by content address.
    pub indexes: Vec<Digest>,
    /// What its manifest refers to.
    pub subject: Option<Digest>,
    /// Its own retention.
    pub retention: Option<Retention>,
    /// The holds on itself, or on the whole repository.
    pub holds: Vec<Hold>,
    /// Its open dispositions, and the one that ended it.
    pub dispositions: Vec<Disposition>,
    /// What is left of it, if it was disposed of.
    pub disposed: Option<Tombstone>,
    /// What protects it, its own records and those of what it is bound up with.
    pub facts: Facts,
    /// What that comes to.
    pub verdict: Verdict,
    /// Compliance time.
    pub at: Micros,
}

impl Explanation {
    /// Whether it has a retention, every one that bears on it is over, and nothing holds it.
    pub fn is_eligible(&self) -> bool {
        !self.facts.retained.is_empty() && self.verdict.is_eligible()
    }

    /// When the last of everything that retains it ends, as it is now: `None` when nothing does, `Some(None)` when
    /// that is never, or not known.
    pub fn retained_until(&self) -> Option<Option<Micros>> {
        let ends = self.facts.retained.iter().map(|(_, retained)| retained.until);
        ends.reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b)))
    }
}

impl Registry {
    /// What bears on an item, or on a whole repository, and whether it may leave.
    pub async fn explain(
        &self,
        repository: &RepositoryName,
        item: Option<&Item>,
    ) -> Result<Explanation, Error> {
        let now = self.compliance_now();
        match look(&self.inner.db, |rows| explain(rows, repository, item, now)).await? {
            Err(Error::ManifestUnknown(_)) if let Some(Item::Manifest(reference)) = item => {
                Err(self.absent(repository, reference).await?)
            }
            explained => explained,
        }
    }
}

fn explain(
    rows: &Rows,
    repository: &RepositoryName,
    item: Option<&Item>,
    now: Micros,
) -> Result<Explanation, Error> {
    let Some(item) = item else { return whole(rows, repository, now) };
    let found = find(rows, repository, item)?;
    let target = found.target();
    let (facts, reference) = match (&found, found.package()) {
        (_, Some(package)) if package.status == Status::Finalized => {
            (protection::of_package(rows, package), package.reference.clone())
        }
        (_, Some(package)) => (protection::of_package(rows, package), None),
        (Found::Manifest(content, _), None) => {
            (protection::of_manifest(rows, repository, content), sha256(rows, content))
        }
        (Found::Package(_), None) => unreachable!("a package stands for itself"),
    };
    let content = match &found {
        Found::Manifest(content, _) => Some(content.clone()),
        Found::Package(_) => reference.as_ref().and_then(|it| contents::content_of(rows, it)),
    };
    let packages = match &found {
        Found::Package(package) => vec![package.id.clone()],
        Found::Manifest(_, packages) => packages.iter().map(|package| package.id.clone()).collect(),
    };
    let digests = content.as_ref().map(|content| contents::known(rows, content)).unwrap_or_default();
    let mut indexes: Vec<Digest> =
        digests.iter().flat_map(|digest| manifests::parents(rows, repository, digest)).collect();
    indexes.sort();
    indexes.dedup();
    let of_content = content.as_ref();
    // Something can be pushed again after its disposition; a package cannot.
    let disposed = found.package().filter(|package| package.status == Status::Deleted);
    let disposed = disposed.and_then(|_| tombstones::get(rows, repository, &target));
    let mut dispositions = dispositions::open_about(rows, repository, &target);
    dispositions.extend(disposed.as_ref().and_then(|left| dispositions::get(rows, &left.disposition)));
    Ok(Explanation {
        repository: repository.clone(),
        reference,
        packages,
        tags: of_content.map(|it| tags::names_on(rows, repository, it)).unwrap_or_default(),
        indexes,
        subject: of_content.and_then(|it| referrers::subject_of(rows, repository, it)).map(|it| it.0),
        retention: retentions::get(rows, repository, &target),
        holds: holds::in_force(rows, repository, Some(&target)),
        dispositions,
        disposed,
        target: Some(target),
        verdict: judge(&facts, now),
        facts,
        at: now,
    })
}

fn whole(rows: &Rows, repository: &RepositoryName, now: Micros) -> Result<Explanation, Error> {
    if !repositories::is_known(rows, repository) {
        return Err(Error::RepositoryUnknown(repository.clone()));
    }
    let facts = protection::of_repository(rows, repository);
    Ok(Explanation {
        repository: repository.clone(),
        target: None,
        reference: None,
        packages: Vec::new(),
        tags: Vec::new(),
        indexes: Vec::new(),
        subject: None,
        retention: None,
        holds: holds::in_force(rows, repository, None),
        dispositions: Vec::new(),
        disposed: None,
        verdict: judge(&facts, now),
        facts,
        at: now,
    })
}

fn sha256(rows: &Rows, content: &Digest) -> Option<Digest> {
    contents::known(rows, content).into_iter().find(|digest| digest.algorithm() == Algorithm::Sha256)
}

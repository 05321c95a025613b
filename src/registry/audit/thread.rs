//! Which thread of the log a question is about.

use super::Filter;
use crate::db::Db;
use crate::events::trail::{self, Outline, SUBJECTS, Thread};
use crate::events::{Event, Fact, Target};
use crate::oci::{Algorithm, Digest, Reference, RepositoryName, Tag};
use crate::package::PackageId;
use crate::registry::Error;
use crate::registry::retention::Item;
use crate::views::{contents, dispositions, holds, packages};

/// The events to look at.
#[derive(Debug)]
pub(super) enum Selection {
    /// All of them.
    All,
    /// Those of a repository.
    Repository(RepositoryName),
    /// Those an actor caused.
    Actor(String),
    /// Those of a repository that tell of a tag.
    Tag(RepositoryName, Tag),
    /// Those about something.
    About {
        /// What may have many events each.
        subjects: Vec<String>,
        /// The holds and the dispositions of it, which have few.
        related: Vec<String>,
    },
}

impl Selection {
    /// The shortest thread on which everything is that a filter lets through.
    pub(super) async fn of(db: &Db, filter: &Filter) -> Result<Self, Error> {
        let repository = filter.repository.as_ref();
        if let Some(id) = &filter.package {
            return Self::package(db, id, repository).await;
        }
        match (filter.reference.clone(), repository) {
            (Some(Item::Package(id)), None) => Self::package(db, &id, None).await,
            (Some(Item::Package(id)), Some(name)) => match Self::package(db, &id, repository).await {
                // A tag may look like an id.
                Err(Error::PackageUnknown(_)) => match id.as_str().parse() {
                    Ok(tag) => Ok(Self::Tag(name.clone(), tag)),
                    Err(_) => Err(Error::PackageUnknown(id)),
                },
                found => found,
            },
            (Some(Item::Manifest(_)), None) => Err(Error::AuditOfRepository),
            (Some(Item::Manifest(Reference::Tag(tag))), Some(name)) => Ok(Self::Tag(name.clone(), tag)),
            (Some(Item::Manifest(Reference::Digest(digest))), Some(name)) => {
                Self::content(db, &digest, name).await
            }
            (None, Some(name)) => Ok(Self::Repository(name.clone())),
            (None, None) => Ok(filter.actor.clone().map_or(Self::All, Self::Actor)),
        }
    }

    async fn package(db: &Db, id: &PackageId, repository: Option<&RepositoryName>) -> Result<Self, Error> {
        let found = packages::find(db, id).await?;
        let found = found.filter(|package| repository.is_none_or(|name| *name == package.repository));
        let package = found.ok_or_else(|| Error::PackageUnknown(id.clone()))?;
        let mut related = Vec::new();
        add_related(db, &package.repository, &Target::Package(id.clone()), &mut related).await?;
        Ok(Self::About { subjects: vec![id.to_string()], related })
    }

    /// Whatever has a digest: a manifest with the packages it stands for, or a blob. Of one that is not known, attempts
    /// on it.
    async fn content(db: &Db, digest: &Digest, repository: &RepositoryName) -> Result<Self, Error> {
        let Some(content) = contents::find(db, digest).await? else {
            return Ok(Self::About { subjects: vec![digest.to_string()], related: Vec::new() });
        };
        let digests = contents::digests_of(db, &content).await?;
        let mut related = Vec::new();
        add_related(db, repository, &Target::Manifest(content), &mut related).await?;
        let mut subjects: Vec<String> = digests.iter().map(Digest::to_string).collect();
        for reference in digests.iter().filter(|it| it.algorithm() == Algorithm::Sha256) {
            for id in packages::ids_of(db, repository, reference).await? {
                subjects.push(id.to_string());
                add_related(db, repository, &Target::Package(id), &mut related).await?;
            }
        }
        Ok(Self::About { subjects, related })
    }

    /// Up to `limit` events in order, after the first and up to the second of two, and up to where these are all there
    /// are.
    pub(super) async fn next(
        &self,
        db: &Db,
        (after, to): (i64, i64),
        limit: usize,
    ) -> Result<(Vec<Outline>, i64), Error> {
        let thread = match self {
            Self::All => Thread::All,
            Self::Repository(name) | Self::Tag(name, _) => Thread::Repository(name.as_str()),
            Self::Actor(actor) => Thread::Actor(actor),
            Self::About { subjects, related } => {
                let mut merge = Merge { found: Vec::new(), to, limit };
                for subject in subjects {
                    merge.add(db, Thread::Subject(subject), after).await?;
                }
                for some in related.chunks(SUBJECTS) {
                    merge.add(db, Thread::Subjects(some), after).await?;
                }
                merge.settle();
                return Ok((merge.found, merge.to));
            }
        };
        let mut merge = Merge { found: Vec::new(), to, limit };
        merge.add(db, thread, after).await?;
        Ok((merge.found, merge.to))
    }

    /// Whether an event on the thread is one that is meant.
    pub(super) fn is_about(&self, event: &Event) -> bool {
        let Self::Tag(_, tag) = self else { return true };
        match &event.fact {
            Fact::TagMoved(fact) => fact.tag == *tag,
            Fact::TagDeleted(fact) => fact.tag == *tag,
            Fact::ManifestDeleted(fact) => fact.tags.contains(tag),
            Fact::DispositionExecuted(fact) => fact.tags.contains(tag),
            Fact::RetentionDenied(fact) => fact.subject == tag.as_str(),
            _ => false,
        }
    }

    /// Whether events of a type can be meant.
    pub(super) fn may_be_about(&self, type_name: &str) -> bool {
        const OF_TAGS: [&str; 5] = [
            "v1.tag.moved",
            "v1.tag.deleted",
            "v1.manifest.deleted",
            "v1.disposition.executed",
            super::entry::DENIED,
        ];
        !matches!(self, Self::Tag(..)) || OF_TAGS.contains(&type_name)
    }
}

/// Adds the holds and the dispositions there ever were of something.
async fn add_related(
    db: &Db,
    repository: &RepositoryName,
    target: &Target,
    related: &mut Vec<String>,
) -> Result<(), Error> {
    related.extend(holds::ids_on(db, repository, target).await?);
    related.extend(dispositions::ids_of(db, repository, target).await?);
    Ok(())
}

/// Several threads as one, as far as all of them were read.
struct Merge {
    found: Vec<Outline>,
    to: i64,
    limit: usize,
}

impl Merge {
    async fn add(&mut self, db: &Db, thread: Thread<'_>, after: i64) -> Result<(), Error> {
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        let found = trail::outline(db, thread, (after, self.to), limit).await?;
        if let Some(last) = found.last().filter(|_| found.len() >= self.limit) {
            self.to = last.sequence;
        }
        self.found.extend(found);
        if self.found.len() >= 2 * self.limit {
            self.settle();
        }
        Ok(())
    }

    /// Keeps no more than there may be, in order and each once.
    fn settle(&mut self) {
        self.found.sort_unstable_by_key(|outline| outline.sequence);
        self.found.dedup_by_key(|outline| outline.sequence);
        self.found.retain(|outline| outline.sequence <= self.to);
        if self.found.len() > self.limit {
            self.found.truncate(self.limit);
            self.to = self.found.last().map_or(self.to, |outline| outline.sequence);
        }
    }
}

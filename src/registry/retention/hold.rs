//! Holds: placed, listed, released.

use super::item::{Found, Item, find, packages_of};
use super::leaving::shared;
use super::{MATTER, REASON, given, voided};
use crate::clock::Micros;
use crate::events::{
    Command, Decision, Fact, HoldPlaced, HoldReleased, Read, RetentionStarted, Rows, Target,
};
use crate::oci::RepositoryName;
use crate::registry::tags::count;
use crate::registry::{Actor, Error, Registry, Status, protection};
use crate::retention::{HoldId, HoldKind};
use crate::views::holds::{self, Hold};
use crate::views::{repositories, retentions};

/// A hold to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHold {
    /// What is held; `None` for the whole repository.
    pub item: Option<Item>,
    /// What it is for.
    pub kind: HoldKind,
    /// The matter it belongs to.
    pub matter: String,
    /// Why.
    pub reason: String,
}

impl Registry {
    /// Holds something, whatever its retention says, until somebody releases it. Drafts can be held too, and by a legal
    /// hold a whole repository. From the moment it returns nothing of it can be lost; proposals to dispose of it are
    /// void.
    pub async fn place_hold(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        new: NewHold,
    ) -> Result<Hold, Error> {
        if new.item.is_none() && new.kind == HoldKind::Event {
            return Err(Error::EventHoldOnAll);
        }
        let command = PlaceHold {
            repository: repository.clone(),
            hold: HoldId::generate(),
            item: new.item,
            kind: new.kind,
            matter: given("matter", &new.matter, MATTER)?,
            reason: given("reason", &new.reason, REASON)?,
        };
        let (id, is_on_all) = (command.hold.clone(), command.item.is_none());
        self.submit(actor.clone(), command).await?;
        if is_on_all && let Err(error) = self.void_dispositions(repository, &actor).await {
            // None of them comes to anything any more; the sweep says so.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "Dispositions are not yet ended by a hold"
            );
        }
        self.find_hold(repository, &id).await
    }

    /// Ends a hold. The release of the last event hold on something starts the retention that waited for it.
    pub async fn release_hold(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        id: &HoldId,
        reason: &str,
    ) -> Result<Hold, Error> {
        let command = ReleaseHold {
            repository: repository.clone(),
            hold: id.clone(),
            reason: given("reason", reason, REASON)?,
            now: self.retention_begins(),
        };
        self.submit(actor, command).await?;
        self.find_hold(repository, id).await
    }

    /// A hold of a repository, also a released one.
    pub async fn find_hold(&self, repository: &RepositoryName, id: &HoldId) -> Result<Hold, Error> {
        let found = holds::find(&self.inner.db, id).await?;
        let found = found.filter(|hold| hold.repository == *repository);
        found.ok_or_else(|| Error::HoldUnknown(id.clone()))
    }

    /// Up to `limit` holds of a repository by id, after a text that need not be one; also released ones, if so asked.
    pub async fn holds(
        &self,
        repository: &RepositoryName,
        with_released: bool,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Hold>, Error> {
        let found = holds::page(&self.inner.db, repository, !with_released, after, count(limit)).await?;
        if found.is_empty() && !repositories::exists(&self.inner.db, repository).await? {
            return Err(Error::RepositoryUnknown(repository.clone()));
        }
        Ok(found)
    }
}

/// Why a disposition is over, to people.
pub(super) fn placed(hold: &HoldId) -> String {
    format!("hold {hold} was placed")
}

/// Something is held.
#[derive(Debug)]
struct PlaceHold {
    repository: RepositoryName,
    hold: HoldId,
    item: Option<Item>,
    kind: HoldKind,
    matter: String,
    reason: String,
}

impl PlaceHold {
    fn target(&self, rows: &Rows) -> Result<Option<Target>, Error> {
        let Some(item) = &self.item else {
            let is_known = repositories::is_known(rows, &self.repository);
            return is_known.then_some(None).ok_or_else(|| Error::RepositoryUnknown(self.repository.clone()));
        };
        let found = find(rows, &self.repository, item)?;
        if let Found::Package(package) = &found
            && matches!(package.status, Status::Failed | Status::Deleted)
        {
            return Err(Error::NothingLeft { package: package.id.clone(), status: package.status });
        }
        Ok(Some(found.target()))
    }
}

impl Command for PlaceHold {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![repositories::read(&self.repository)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let target = self.target(rows)?;
        let mut facts = vec![
            HoldPlaced {
                repository: self.repository.clone(),
                hold: self.hold.clone(),
                target: target.clone(),
                kind: self.kind,
                matter: self.matter.clone(),
                reason: self.reason.clone(),
            }
            .into(),
        ];
        // At once where it is seen from here; of the others the next step finds it out, or the sweep.
        let reason = placed(&self.hold);
        let held = target.iter().flat_map(|target| protection::beneath(rows, &self.repository, target));
        for target in held {
            facts.extend(voided(rows, &self.repository, &target, &reason));
        }
        Ok(Decision { facts, contents: Vec::new() })
    }
}

/// A hold ends.
#[derive(Debug)]
struct ReleaseHold {
    repository: RepositoryName,
    hold: HoldId,
    reason: String,
    now: Micros,
}

impl ReleaseHold {
    /// The retentions that waited for this release and for no other.
    fn started(&self, rows: &Rows, hold: &Hold) -> Vec<Fact> {
        let Some(target) = hold.target.as_ref().filter(|_| hold.kind == HoldKind::Event) else {
            return Vec::new();
        };
        let others = |target: &Target| {
            let in_force = holds::in_force(rows, &self.repository, Some(target));
            in_force.iter().any(|other| other.kind == HoldKind::Event && other.id != hold.id)
        };
        if others(target) {
            return Vec::new();
        }
        let mut waiting = vec![target.clone()];
        let with: Vec<Target> = match target {
            Target::Manifest(content) => {
                let packages = packages_of(rows, &self.repository, content).into_iter();
                packages.map(|it| Target::Package(it.id)).collect()
            }
            Target::Package(_) => {
                shared(rows, &self.repository, target).into_iter().map(|it| it.target).collect()
            }
        };
        waiting.extend(with.into_iter().filter(|target| !others(target)));
        let start = |target: Target| {
            let retention = retentions::get(rows, &self.repository, &target)?;
            let started = retention.retained.started(self.now)?;
            let (repository, hold) = (self.repository.clone(), hold.id.clone());
            let until = started.until;
            Some(RetentionStarted { repository, target, hold, from: self.now, until }.into())
        };
        waiting.into_iter().filter_map(start).collect()
    }
}

impl Command for ReleaseHold {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![holds::read(&self.hold)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let hold = holds::get(rows, &self.hold).filter(|hold| hold.repository == self.repository);
        let hold = hold.ok_or_else(|| Error::HoldUnknown(self.hold.clone()))?;
        if let Some(release) = &hold.released {
            return Err(Error::HoldEnded { hold: self.hold.clone(), at: release.at });
        }
        let (repository, reason) = (self.repository.clone(), self.reason.clone());
        let mut facts = vec![HoldReleased { repository, hold: self.hold.clone(), reason }.into()];
        facts.extend(self.started(rows, &hold));
        Ok(Decision { facts, contents: Vec::new() })
    }
}

//! Dispositions: the only way out of a retention that is over.
//!
//! ```text
//! propose -> approve, by as many as the class says and none of them the proposer -> cooling-off -> execute
//!        \_ reject           \_ void: a new hold, a changed retention, 30 days without anybody executing it
//! ```
//!
//! Whether it may go on is judged again at every step, in the step's own command (R5). An approval is for one state of
//! the retention (R6).

use super::change::{self, retention_of};
use super::hold::placed;
use super::item::Item;
use super::leaving::{Leaving, left_alone, shared};
use super::{Explanation, REASON, given};
use crate::clock::{Micros, SECOND};
use crate::events::{
    Command, Decision, DispositionApproved, DispositionExecuted, DispositionProposed, DispositionRejected,
    DispositionVoided, Fact, PackageDeleted, Read, Rows, Target, look,
};
use crate::oci::{Digest, RepositoryName};
use crate::registry::compliance::refuse_frozen;
use crate::registry::tags::count;
use crate::registry::{Actor, Error, Registry, protection};
use crate::retention::{DispositionId, Retained, Rule};
use crate::views::dispositions::{self, Approval, Disposition, Status};
use crate::views::retentions::{self, Retention};
use crate::views::{referrers, repositories};

/// Open dispositions of each status that a request ends.
const AT_ONCE: i64 = 500;

/// How long an approved disposition may wait to be executed.
const LAPSES: Micros = 30 * 24 * 60 * 60 * SECOND;

/// Open dispositions a sweep looks at together.
const PAGE: i64 = 100;

/// Referrers of a manifest that are asked whether they leave with it.
const REFERRERS: i64 = 1000;

impl Registry {
    /// Proposes to dispose of something whose retention is over.
    pub async fn propose_disposition(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        item: &Item,
        reason: &str,
    ) -> Result<Disposition, Error> {
        self.note_freeze().await?;
        let command = Propose {
            repository: repository.clone(),
            disposition: DispositionId::generate(),
            item: item.clone(),
            reason: given("reason", reason, REASON)?,
            now: self.compliance_now(),
        };
        let id = command.disposition.clone();
        self.submit_weakening(actor, "disposition.propose", (repository, item.to_string()), command).await?;
        Ok(self.find_disposition(repository, &id).await?.0)
    }

    /// Agrees to a proposal of somebody else, as its retention stands; with `revision` only if that is the state that
    /// was proposed. Twice is the same as once.
    pub async fn approve_disposition(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        id: &DispositionId,
        revision: Option<i64>,
    ) -> Result<Disposition, Error> {
        self.note_freeze().await?;
        let (principal, now) = (actor.as_str().to_owned(), self.compliance_now());
        let command = Approve { step: step(repository, id), principal, revision, now };
        let (found, _) = self.find_disposition(repository, id).await?;
        let subject = (repository, found.target.to_string());
        self.submit_weakening(actor, "disposition.approve", subject, command).await?;
        let (found, _) = self.find_disposition(repository, id).await?;
        if found.status == Status::Voided {
            return Err(Error::DispositionEnded { disposition: id.clone(), status: found.status });
        }
        Ok(found)
    }

    /// Ends a proposal.
    pub async fn reject_disposition(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        id: &DispositionId,
        reason: &str,
    ) -> Result<Disposition, Error> {
        let reason = given("reason", reason, REASON)?;
        self.submit(actor, Reject { step: step(repository, id), reason }).await?;
        Ok(self.find_disposition(repository, id).await?.0)
    }

    /// Disposes of something: it is gone from its repository, and a tombstone stays for ever. Its bytes leave by a
    /// collection, where nothing else needs them. With `revision` only if that is the state that was proposed.
    pub async fn execute_disposition(
        &self,
        repository: &RepositoryName,
        actor: Actor,
        id: &DispositionId,
        revision: Option<i64>,
    ) -> Result<Disposition, Error> {
        let (found, _) = self.find_disposition(repository, id).await?;
        self.note_freeze().await?;
        let referrers = self.referring(repository, &found.target).await?;
        let now = self.compliance_now();
        let command = Execute { step: step(repository, id), revision, referrers, now };
        let subject = (repository, found.target.to_string());
        self.submit_weakening(actor, "disposition.execute", subject, command).await?;
        let (done, _) = self.find_disposition(repository, id).await?;
        if done.status == Status::Executed {
            return Ok(done);
        }
        Err(Error::DispositionEnded { disposition: id.clone(), status: done.status })
    }

    /// A disposition of a repository with its approvals, also one that ended.
    pub async fn find_disposition(
        &self,
        repository: &RepositoryName,
        id: &DispositionId,
    ) -> Result<(Disposition, Vec<Approval>), Error> {
        let found = dispositions::find(&self.inner.db, id).await?;
        let found = found.filter(|(disposition, _)| disposition.repository == *repository);
        found.ok_or_else(|| Error::DispositionUnknown(id.clone()))
    }

    /// Up to `limit` dispositions of a repository by id, after a text that need not be one; of one status if so asked.
    pub async fn dispositions(
        &self,
        repository: &RepositoryName,
        status: Option<Status>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Disposition>, Error> {
        let found = dispositions::page(&self.inner.db, repository, status, after, count(limit)).await?;
        if found.is_empty() && !repositories::exists(&self.inner.db, repository).await? {
            return Err(Error::RepositoryUnknown(repository.clone()));
        }
        Ok(found)
    }

    /// Up to `limit` things of a repository whose retention is over, the longest first, after the one whose retention
    /// ended then, each with whether a disposition may go on and what stands against it; and where the list goes on.
    pub async fn retentions_over(
        &self,
        repository: &RepositoryName,
        after: Option<(Micros, &Target)>,
        limit: usize,
    ) -> Result<(Vec<Explanation>, Option<(Micros, Target)>), Error> {
        let now = self.compliance_now();
        let over = retentions::over(&self.inner.db, repository, now, after, count(limit)).await?;
        let last = over.last().filter(|_| over.len() == limit);
        let next = last.and_then(|last| Some((last.retained.until?, last.target.clone())));
        if over.is_empty() && !repositories::exists(&self.inner.db, repository).await? {
            return Err(Error::RepositoryUnknown(repository.clone()));
        }
        let mut explained = Vec::with_capacity(over.len());
        for Retention { target, .. } in over {
            match self.explain(repository, Some(&target.into())).await {
                Ok(explanation) => explained.push(explanation),
                // It was disposed of a moment ago.
                Err(Error::PackageUnknown(_) | Error::ManifestUnknown(_) | Error::Disposed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((explained, next))
    }

    /// Ends open dispositions that lost their ground or that nobody executed in time, and says how many.
    pub(in crate::registry) async fn sweep_dispositions(&self) -> Result<u64, Error> {
        let (mut swept, mut after) = (0, String::new());
        loop {
            let page = dispositions::open(&self.inner.db, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(swept) };
            last.id.as_str().clone_into(&mut after);
            for open in page {
                swept += u64::from(self.void_groundless(&open, &Actor::system()).await?);
            }
        }
    }

    /// Ends the open dispositions of a repository that lost their ground by what somebody just did: so many of each
    /// status as a request may, the sweep ends the others.
    pub(super) async fn void_dispositions(
        &self,
        repository: &RepositoryName,
        actor: &Actor,
    ) -> Result<(), Error> {
        for status in [Status::Proposed, Status::Approved] {
            for open in dispositions::page(&self.inner.db, repository, Some(status), "", AT_ONCE).await? {
                self.void_groundless(&open, actor).await?;
            }
        }
        Ok(())
    }

    /// Ends an open disposition if it lost its ground, and says whether.
    async fn void_groundless(&self, open: &Disposition, actor: &Actor) -> Result<bool, Error> {
        let now = self.compliance_now();
        if look(&self.inner.db, |rows| groundless(rows, open, now)).await?.is_none() {
            return Ok(false);
        }
        let command = Void { step: step(&open.repository, &open.id), now };
        Ok(!self.submit(actor.clone(), command).await?.events.is_empty())
    }

    /// What refers to the manifest of something, by content; it may change before anything is decided.
    async fn referring(&self, repository: &RepositoryName, target: &Target) -> Result<Vec<Digest>, Error> {
        let reference = match target {
            Target::Package(id) => self.package(id).await?.reference,
            Target::Manifest(content) => Some(content.clone()),
        };
        let Some(reference) = reference else { return Ok(Vec::new()) };
        let subject = self.digests_of(repository, &reference).await?;
        let found = referrers::page(&self.inner.db, repository, &subject, None, REFERRERS).await?;
        Ok(found.into_iter().map(|referrer| referrer.content).collect())
    }
}

fn step(repository: &RepositoryName, id: &DispositionId) -> Step {
    Step { repository: repository.clone(), disposition: id.clone() }
}

/// Which disposition a command is about.
#[derive(Debug)]
struct Step {
    repository: RepositoryName,
    disposition: DispositionId,
}

impl Step {
    fn open(&self, rows: &Rows) -> Result<Disposition, Error> {
        let found = dispositions::get(rows, &self.disposition);
        let found = found.filter(|disposition| disposition.repository == self.repository);
        let found = found.ok_or_else(|| Error::DispositionUnknown(self.disposition.clone()))?;
        if found.status.is_open() {
            return Ok(found);
        }
        Err(Error::DispositionEnded { disposition: found.id, status: found.status })
    }

    /// That the disposition is over, and nothing else.
    fn void(&self, reason: String) -> Decision {
        let (repository, disposition) = (self.repository.clone(), self.disposition.clone());
        let fact = DispositionVoided { repository, disposition, reason };
        Decision { facts: vec![fact.into()], contents: Vec::new() }
    }
}

/// Why an open disposition cannot come to anything any more.
pub(super) fn groundless(rows: &Rows, disposition: &Disposition, now: Micros) -> Option<String> {
    let is_late = |approved: Micros| now > approved.saturating_add(LAPSES);
    if disposition.approved_at.is_some_and(is_late) {
        return Some("nobody executed it within 30 days".to_owned());
    }
    let (repository, target) = (&disposition.repository, &disposition.target);
    let revision = retentions::get(rows, repository, target).map(|retention| retention.revision);
    if revision != Some(disposition.revision) {
        return Some("its retention was changed".to_owned());
    }
    // Whoever agreed did not know of it, and its release does not bring that back.
    let newest = protection::newest_hold(rows, repository, target);
    if let Some((hold, _)) = newest.filter(|(_, sequence)| *sequence > disposition.sequence) {
        return Some(placed(&hold));
    }
    let newest = protection::newest_around(rows, repository, target);
    if let Some((around, _)) = newest.filter(|(_, revision)| *revision > disposition.sequence) {
        return Some(change::around(&around));
    }
    let eligible = protection::check_eligible(rows, repository, target, now);
    eligible.err().map(|_| "it is held or retained again".to_owned())
}

/// Until when an approved disposition cools off, if it does at all. Compliance time may be behind what was recorded;
/// no cooling-off is none all the same.
pub(super) fn cools_until(disposition: &Disposition, now: Micros) -> Option<Micros> {
    let until = disposition.approved_at?.saturating_add(Micros::from(disposition.cooling_off) * SECOND);
    (disposition.cooling_off > 0 && now < until).then_some(until)
}

/// How many approvals are missing.
pub(super) fn missing(rows: &Rows, disposition: &Disposition) -> usize {
    let given = dispositions::approvals(rows, &disposition.id).len();
    usize::from(disposition.approvals).saturating_sub(given)
}

#[derive(Debug)]
struct Propose {
    repository: RepositoryName,
    disposition: DispositionId,
    item: Item,
    reason: String,
    now: Micros,
}

impl Command for Propose {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        Vec::new()
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let (target, retention) = retention_of(rows, &self.repository, &self.item)?;
        let retention = retention.ok_or_else(|| Error::NotRetained(self.item.to_string()))?;
        refuse_frozen(rows)?;
        protection::check_eligible(rows, &self.repository, &target, self.now)?;
        let mut facts = Vec::new();
        for open in dispositions::open_about(rows, &self.repository, &target) {
            let Some(reason) = groundless(rows, &open, self.now) else {
                return Err(Error::DispositionOpen(open.id));
            };
            let (repository, disposition) = (self.repository.clone(), open.id);
            facts.push(DispositionVoided { repository, disposition, reason }.into());
        }
        let rule = retention.retained.rule;
        // What leaves with it is to be agreed to as well.
        let with = shared(rows, &self.repository, &target).map(|it| it.retained.rule);
        let with = with.as_ref();
        let fact = DispositionProposed {
            repository: self.repository.clone(),
            disposition: self.disposition.clone(),
            target,
            revision: retention.revision,
            approvals: with.map_or(0, |it| it.approvals).max(rule.approvals),
            cooling_off: with.map_or(0, |it| it.cooling_off).max(rule.cooling_off),
            reason: self.reason.clone(),
        };
        facts.push(fact.into());
        Ok(Decision { facts, contents: Vec::new() })
    }
}

#[derive(Debug)]
struct Approve {
    step: Step,
    principal: String,
    revision: Option<i64>,
    now: Micros,
}

impl Command for Approve {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![dispositions::read(&self.step.disposition)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let open = self.step.open(rows)?;
        if self.principal == open.proposed_by {
            return Err(Error::OwnProposal(open.id));
        }
        let current = retentions::get(rows, &open.repository, &open.target).map(|it| it.revision);
        let seen = self.revision.unwrap_or(open.revision);
        if seen != open.revision || current != Some(open.revision) {
            return Err(Error::StaleRevision { disposition: open.id, revision: open.revision });
        }
        let approvals = dispositions::approvals(rows, &open.id);
        if open.status == Status::Approved || approvals.iter().any(|it| it.principal == self.principal) {
            return Ok(Decision::default());
        }
        protection::check_eligible(rows, &open.repository, &open.target, self.now)?;
        if let Some(reason) = groundless(rows, &open, self.now) {
            return Ok(self.step.void(reason));
        }
        refuse_frozen(rows)?;
        let fact = DispositionApproved {
            repository: open.repository,
            disposition: open.id,
            revision: open.revision,
            is_complete: approvals.len() + 1 >= usize::from(open.approvals),
        };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

#[derive(Debug)]
struct Reject {
    step: Step,
    reason: String,
}

impl Command for Reject {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![dispositions::read(&self.step.disposition)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let open = self.step.open(rows)?;
        let (repository, disposition) = (open.repository, open.id);
        let fact = DispositionRejected { repository, disposition, reason: self.reason.clone() };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

/// Ends a disposition that lost its ground.
#[derive(Debug)]
struct Void {
    step: Step,
    now: Micros,
}

impl Command for Void {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![dispositions::read(&self.step.disposition)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let open = match self.step.open(rows) {
            // Another replica was faster.
            Err(Error::DispositionEnded { .. }) => return Ok(Decision::default()),
            open => open?,
        };
        Ok(groundless(rows, &open, self.now).map_or_else(Decision::default, |why| self.step.void(why)))
    }
}

#[derive(Debug)]
struct Execute {
    step: Step,
    revision: Option<i64>,
    /// Manifests that may leave with it.
    referrers: Vec<Digest>,
    now: Micros,
}

impl Command for Execute {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![dispositions::read(&self.step.disposition)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let open = self.step.open(rows)?;
        if self.revision.is_some_and(|seen| seen != open.revision) {
            return Err(Error::StaleRevision { disposition: open.id, revision: open.revision });
        }
        if open.approved_at.is_none() {
            let missing = missing(rows, &open);
            return Err(Error::NotApproved { disposition: open.id, missing });
        }
        let (repository, target) = (&open.repository, &open.target);
        // First: who tries to execute what is held again is told of the hold, and is on record.
        protection::check_eligible(rows, repository, target, self.now)?;
        refuse_frozen(rows)?;
        if let Some(reason) = groundless(rows, &open, self.now) {
            return Ok(self.step.void(reason));
        }
        if let Some(until) = cools_until(&open, self.now) {
            return Err(Error::CoolingOff { disposition: open.id, until });
        }
        let retention = retentions::get(rows, repository, target);
        let retention = retention.ok_or_else(|| Error::NotRetained(target.to_string()))?;
        let Retained { rule, from, until, .. } = retention.retained;
        // It came to be the only package since, or its manifest under a stronger class: nobody agreed to that.
        let is_agreed =
            |rule: &Rule| rule.approvals <= open.approvals && rule.cooling_off <= open.cooling_off;
        let with = shared(rows, repository, target).filter(|it| is_agreed(&it.retained.rule));
        let both = (target, with.as_ref().map(|it| &it.target));
        let leaving = left_alone(rows, repository, both, &self.referrers, self.now);
        let Leaving { reference, manifests, tags, blobs } = leaving.ok_or_else(|| {
            // Dispositions are about what is there, or was never pushed whole.
            Error::ManifestUnknown(target.to_string())
        })?;
        let executed = DispositionExecuted {
            repository: repository.clone(),
            disposition: open.id.clone(),
            target: target.clone(),
            retires_tags: rule.pins_tags() || with.is_some_and(|it| it.retained.rule.pins_tags()),
            rule,
            from,
            until,
            reference,
            manifests: manifests.iter().map(|it| it.content.clone()).collect(),
            tags,
            blobs,
        };
        let mut facts: Vec<Fact> = vec![executed.into()];
        facts.extend(manifests.into_iter().map(Fact::from));
        if let Target::Package(package) = target {
            let (repository, package) = (repository.clone(), package.clone());
            facts.push(PackageDeleted { repository, package, disposition: open.id }.into());
        }
        Ok(Decision { facts, contents: Vec::new() })
    }
}

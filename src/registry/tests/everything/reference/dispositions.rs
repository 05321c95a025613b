//! Dispositions: R5, R6, R9.

use std::collections::BTreeSet;

use super::{Checked, Disposition, Hold, Kept, Package, Reference, must, told};
use crate::clock::{Micros, SECOND};
use crate::events::{Event, Fact, Target};
use crate::oci::{Digest, RepositoryName};
use crate::retention::{DispositionId, HoldKind, Mode, Rule};

impl Reference {
    pub(super) fn of_dispositions(&mut self, event: &Event) -> Checked {
        let (now, actor) = (self.clock.1, event.actor.as_str());
        let is_an_end = matches!(event.fact, Fact::DispositionVoided(_) | Fact::DispositionRejected(_));
        must(is_an_end || !self.is_frozen, "R12: nothing leaves while time is in doubt", &told(event))?;
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
                let demanded = self.demanded(&fact.repository, &fact.target, &kept.rule);
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
                    demanded,
                    proposer: actor.to_owned(),
                    approvals: BTreeSet::new(),
                    approved_at: (fact.approvals == 0).then_some(event.recorded_at),
                    is_open: true,
                    is_void: false,
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
                must(!open.is_void, "a hold voids what was proposed before it", &told(event))?;
                must(open.proposer != actor, "R6: nobody approves a proposal of their own", &told(event))?;
                must(open.approvals.insert(actor.to_owned()), "R6: everybody approves once", &told(event))?;
                let kept = &kept[&(open.repository.clone(), open.target.clone())];
                let is_same = kept.revision == open.revision && fact.revision == open.revision;
                must(is_same, "R6: an approval is for the state there is", &told(event))?;
                let is_complete = open.approvals.len() == usize::from(open.demanded.0);
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
                must(!ended.is_void, "a hold voids what was approved before it", &told(event))?;
                must(ended.target == fact.target, "R6: what was approved leaves", &told(event))?;
                must(kept.revision == ended.revision, "R6: as it was approved", &told(event))?;
                let cooling_off = Micros::from(ended.demanded.1) * SECOND;
                // Compliance time may be behind what was recorded; no cooling-off is none all the same.
                let is_due = ended.approved_at.is_some_and(|at| cooling_off == 0 || at + cooling_off <= now);
                must(is_due, "R6: approved by all, and cooled off", &(told(event), ended, now))?;
                let protection = self.protection_of(&fact.repository, &fact.target);
                must(protection.is_over(now), "R5: only what is over leaves", &(told(event), &protection))?;
                let is_agreed =
                    |rule: &Rule| rule.approvals <= ended.demanded.0 && rule.cooling_off <= ended.demanded.1;
                let with = self.shared(&fact.repository, &fact.target).filter(|(_, it)| is_agreed(&it.rule));
                let is_strict = |kept: &Kept| kept.rule.mode == Mode::Compliance;
                let retires = is_strict(kept) || with.as_ref().is_some_and(|(_, with)| is_strict(with));
                let mut targets = BTreeSet::from([fact.target.clone()]);
                targets.extend(with.map(|(target, _)| target));
                must(fact.retires_tags == retires, "R9: tags of what is immutable retire", &told(event))?;
                let content = self.content(&fact.reference);
                let members = self.repositories.get(&fact.repository).into_iter();
                let members = members.flat_map(|it| it.manifests.keys());
                let with = members.filter(|it| self.bound_up(&fact.repository, it).contains(&content));
                let with: BTreeSet<Digest> = with.cloned().collect();
                // Of another package of it the manifest stays, and what it has of its own.
                let is_gone = |target: &Target| match target {
                    Target::Manifest(content) => fact.manifests.contains(content),
                    Target::Package(_) => true,
                };
                targets.retain(is_gone);
                let of = self.of(&fact.repository);
                of.disposed.insert(fact.reference.clone());
                if retires {
                    of.retired.extend(fact.tags.iter().cloned());
                }
                targets.insert(fact.target.clone());
                self.leaving = Some((fact.repository.clone(), targets, with));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Approvals and seconds of cooling-off, for everything that leaves with something.
    fn demanded(&self, repository: &RepositoryName, target: &Target, rule: &Rule) -> (u8, u32) {
        let with = self.shared(repository, target);
        let rules = with.iter().map(|(_, kept)| &kept.rule).chain([rule]);
        rules.fold((0, 0), |(approvals, cooling_off), rule| {
            (rule.approvals.max(approvals), rule.cooling_off.max(cooling_off))
        })
    }

    /// What the manifest of a package has of its own, when it is this package only.
    fn shared(&self, repository: &RepositoryName, target: &Target) -> Option<(Target, Kept)> {
        let Target::Package(id) = target else { return None };
        let reference = |package: &Package| package.reference.as_ref().map(|it| self.content(it));
        let content = reference(self.packages.get(id)?)?;
        let is_same = |it: &&Package| {
            it.is_finalized() && it.repository == *repository && reference(it).as_ref() == Some(&content)
        };
        let is_only = self.packages.values().filter(is_same).count() == 1;
        let manifest = Target::Manifest(content);
        let kept = self.kept.get(&(repository.clone(), manifest.clone())).filter(|_| is_only)?;
        Some((manifest, kept.clone()))
    }

    /// A hold was placed: it voids every open disposition of what it protects, also when it is released again.
    pub(super) fn void_by(&mut self, hold: &Hold, event: &Event) -> Checked {
        let starts_something = hold.kind == HoldKind::Legal || hold.target.is_some();
        must(starts_something, "an event hold is on what its release starts", &told(event))?;
        let bears_on = |open: &Disposition| {
            let is_here = open.is_open && open.repository == hold.repository;
            is_here && hold.target.as_ref().is_none_or(|on| self.binds(&open.repository, &open.target, on))
        };
        let open = self.dispositions.iter().filter(|(_, open)| bears_on(open));
        let void: Vec<DispositionId> = open.map(|(id, _)| id.clone()).collect();
        for id in void {
            self.dispositions.get_mut(&id).expect("it was found").is_void = true;
        }
        Ok(())
    }

    fn end(&mut self, id: &DispositionId, event: &Event) -> Checked {
        let open = self.dispositions.get_mut(id).filter(|it| it.is_open);
        must(open.map(|it| it.is_open = false).is_some(), "a disposition ends once", &told(event))
    }
}

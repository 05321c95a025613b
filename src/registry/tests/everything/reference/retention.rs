//! Retentions and holds: R1 to R4, R7, R10.

use super::super::rules::{DAY, LEAST, demand, given};
use super::{Checked, Hold, Kept, Reference, must, told};
use crate::clock::Micros;
use crate::events::{Event, Fact, RetentionStarted, Target};
use crate::oci::RepositoryName;
use crate::retention::{Floor, HoldKind, Mode, Rule, Start};

impl Reference {
    pub(super) fn of_retention(&mut self, event: &Event) -> Checked {
        match &event.fact {
            Fact::RetentionResolved(fact) => {
                let Rule { mode, start, approvals, cooling_off, auto_dispose_after, .. } = fact.rule;
                let wanted = demand(&fact.rule.class, self.policy);
                let leaves = wanted.5.map(|days| format!("P{days}D").parse().unwrap());
                let found = (mode, wanted.1, start, approvals, cooling_off, wanted.5);
                must(
                    found == wanted && auto_dispose_after == leaves,
                    "R7: the rule in force is pinned",
                    &told(event),
                )?;
                self.is_within(&fact.repository, &fact.rule, event)?;
                let kept = Kept {
                    rule: fact.rule.clone(),
                    from: fact.from,
                    until: fact.until,
                    floor: None,
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
                if let Some(rule) = &fact.rule {
                    self.is_within(&fact.repository, rule, event)?;
                }
                let after = Kept {
                    rule: fact.rule.clone().unwrap_or_else(|| self.rule(&fact.repository, &fact.target)),
                    from: fact.from,
                    until: fact.until,
                    floor: fact.floor,
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
                    let (before, after) = (days_to_leave(a), days_to_leave(b));
                    let is_hasty = after.is_some_and(|after| before.is_none_or(|before| after < before));
                    b.mode < a.mode || b.approvals < a.approvals || b.cooling_off < a.cooling_off || is_hasty
                };
                must(!is_weaker(&before.rule, &after.rule), "R2: a class is only raised", &told(event))
            }
            Fact::RetentionStarted(fact) => self.started(fact, event),
            Fact::RetentionShortened(fact) => {
                let is_bounded = given(&fact.repository, "brief", self.policy) == Some(LEAST);
                let least = demand(LEAST, self.policy).1.filter(|_| is_bounded);
                let Some(kept) = self.kept.get_mut(&(fact.repository.clone(), fact.target.clone())) else {
                    return must(false, "what is shortened is retained", &told(event));
                };
                must(kept.rule.mode == Mode::Governance, "R1: compliance is never shortened", &told(event))?;
                let is_told = !fact.reason.is_empty() && fact.previous == kept.until;
                must(is_told, "R10: a bypass says why and from what", &told(event))?;
                must(kept.from.is_some(), "what waits for an event is not shortened", &told(event))?;
                let is_above =
                    least.is_none_or(|days| kept.from.is_some_and(|from| fact.until >= from + days * DAY));
                must(is_above, "nobody goes below the bound of a repository", &told(event))?;
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
                self.void_by(&hold, event)?;
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

    /// The last event something waited for happened.
    fn started(&mut self, fact: &RetentionStarted, event: &Event) -> Checked {
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
        let wanted = match (end(kept, days), kept.floor.take()) {
            (_, Some(Floor::ForEver)) | (None, _) => None,
            (Some(end), Some(Floor::Until(floor))) => Some(end.max(floor)),
            (end, None) => end,
        };
        must(
            fact.until == wanted,
            "a period lasts as long as its class says, and as was promised before it began",
            &(told(event), wanted),
        )
    }

    /// A class is one that its repository may have.
    fn is_within(&self, repository: &RepositoryName, rule: &Rule, event: &Event) -> Checked {
        let is_so = given(repository, &rule.class, self.policy) == Some(&rule.class);
        must(is_so, "a repository has nothing below its bound", &told(event))
    }

    fn rule(&self, repository: &RepositoryName, target: &Target) -> Rule {
        self.kept[&(repository.clone(), target.clone())].rule.clone()
    }
}

/// After how many days a schedule may dispose of what is over, if it may.
fn days_to_leave(rule: &Rule) -> Option<Micros> {
    rule.auto_dispose_after.map(|period| period.after(0) / DAY)
}

/// When a period that has begun ends.
fn end(kept: &Kept, days: Option<i64>) -> Option<Micros> {
    Some(kept.from? + days? * DAY)
}

/// Whether something may leave sooner after a change than before.
fn is_sooner(before: &Kept, after: &Kept) -> bool {
    if after.from.is_none() {
        // A floor says when it may leave at the earliest; a period that has begun is given up for no waiting.
        return before.from.is_some() || after.floor < before.floor || after.until.is_some();
    }
    let is_below = match (before.floor, after.until) {
        (Some(Floor::ForEver), Some(_)) => true,
        (Some(Floor::Until(floor)), Some(until)) => until < floor,
        _ => false,
    };
    is_below
        || after.floor.is_some()
        || match (before.until, after.until) {
            (None, Some(_)) => true,
            (Some(before), Some(after)) => after < before,
            (_, None) => after.from.is_none() && before.from.is_some(),
        }
}

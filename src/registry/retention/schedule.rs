//! Disposal by schedule: what its class lets leave by itself goes the way of every disposition.
//!
//! ```text
//! retention over -> auto_dispose_after -> proposed by the registry -> as many approvals as the class says
//!     -> cooling-off -> executed by the registry
//! ```
//!
//! It is no shortcut: each step is the command anybody else would submit, judged in its own transaction. A hold or a
//! longer retention that comes before the last of them wins. What a person proposed is left to people, and what a
//! person rejected is not proposed again unless its retention changes.
//!
//! A run is bounded and the next one goes on. A lease keeps replicas from doing it at once, which saves work and is not
//! what makes it safe.

use std::time::Duration;

use super::change::retention_of;
use super::disposition::{cools_until, groundless, missing};
use super::item::Item;
use crate::clock::{Clock, Micros};
use crate::db::Db;
use crate::events::{Rows, Target, look};
use crate::oci::RepositoryName;
use crate::registry::compliance::{ClockReading, read_clock, refuse_frozen};
use crate::registry::maintenance::{Lease, Maintenance, is_due};
use crate::registry::tags::count;
use crate::registry::{Actor, Error, Options, Registry, protection};
use crate::retention::{DispositionId, rfc3339};
use crate::setting::{Kind, Setting, Values};
use crate::views::dispositions::{self, Status};
use crate::views::retentions::{self, Retention};

/// The lease that one replica has while it is at it.
const LEASE: &str = "disposal";

/// Things looked at together.
const PAGE: u64 = 100;

/// Things a run looks at, at most.
const LOOKS: u64 = 1000;

/// What stands at a proposal of the registry.
const WHY: &str = "its class is disposed of by schedule";

const ENABLED: Setting = Setting {
    key: "retention.scheduled_disposal",
    kind: Kind::Switch,
    default: "false",
    doc: "Whether the server disposes of what is of a class with auto_dispose_after, when that is over. Approvals and \
          cooling-off are as for any disposition.",
};
const INTERVAL: Setting = Setting {
    key: "retention.disposal_interval",
    kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_hours(24 * 365) },
    default: "1h",
    doc: "How often it does so.",
};

/// Whether and when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisposalOptions {
    /// Whether the server does so by itself.
    pub enabled: bool,
    /// How often.
    pub interval: Duration,
}

impl Default for DisposalOptions {
    fn default() -> Self {
        Self { enabled: false, interval: Duration::from_hours(1) }
    }
}

impl DisposalOptions {
    /// What can be set.
    pub const SETTINGS: [&Setting; 2] = [&ENABLED, &INTERVAL];

    /// What was set.
    pub fn from_values(values: &Values) -> Self {
        let interval = values.duration(&INTERVAL).unwrap_or(Self::default().interval);
        Self { enabled: values.is_on(&ENABLED), interval }
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DisposalRun {
    /// Things it looked at.
    pub looked: u64,
    /// Dispositions it proposed.
    pub proposed: u64,
    /// Dispositions it executed.
    pub executed: u64,
}

/// Something that its class lets leave by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// Its repository.
    pub repository: RepositoryName,
    /// What it is.
    pub target: Target,
    /// Its class.
    pub class: String,
    /// Since when it may leave.
    pub due_at: Micros,
    /// What a run would do.
    pub step: ScheduledStep,
}

/// What comes next for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScheduledStep {
    /// It is proposed.
    Propose,
    /// Its disposition is executed.
    Execute(DispositionId),
    /// Nothing for now, and why.
    Wait(String),
}

/// Up to `limit` things that their classes let leave by now, the longest first, with what a run would do. Only reads.
pub async fn plan_disposal(
    db: &Db,
    clock: &Clock,
    options: &Options,
    limit: usize,
) -> Result<Vec<Scheduled>, Error> {
    plan(db, &read_clock(db, clock, &options.clock).await?, limit).await
}

async fn plan(db: &Db, clock: &ClockReading, limit: usize) -> Result<Vec<Scheduled>, Error> {
    let now = clock.judged_at();
    let due = retentions::due(db, now, None, count(limit)).await?;
    let mut scheduled = Vec::with_capacity(due.len());
    for retention in due {
        let step = match clock.alarm() {
            Some(alarm) => ScheduledStep::Wait(alarm),
            None => look(db, |rows| next(rows, &retention, now)).await?,
        };
        let due_at = retention.retained.leaves_at().unwrap_or(now);
        let Retention { repository, target, retained, .. } = retention;
        scheduled.push(Scheduled { repository, target, class: retained.rule.class, due_at, step });
    }
    Ok(scheduled)
}

impl Registry {
    /// Says what a run would do now with the first `limit` things that their classes let leave. Only reads.
    pub async fn disposal_plan(&self, limit: usize) -> Result<Vec<Scheduled>, Error> {
        plan(&self.inner.db, &self.compliance_clock().await?, limit).await
    }

    /// Goes one step further with everything that its class lets leave by now, within the bound of a run. `None` while a
    /// replica is at it already. Ended at any point, the next run goes on.
    pub async fn dispose_by_schedule(&self) -> Result<Option<DisposalRun>, Error> {
        self.dispose_at_most(LOOKS).await
    }

    /// The same if it was not done for as long as is set, by whatever replica, and if it is to be done at all.
    pub async fn dispose_if_due(&self) -> Result<Option<DisposalRun>, Error> {
        let options = &self.inner.options.disposal;
        let now = self.inner.clock.now();
        let state = Maintenance::new(&self.inner.db).state(LEASE, now).await?;
        if !options.enabled || !is_due(state.begun_at, options.interval, now) || state.holder.is_some() {
            return Ok(None);
        }
        self.dispose_by_schedule().await
    }

    pub(in crate::registry) async fn dispose_at_most(
        &self,
        looks: u64,
    ) -> Result<Option<DisposalRun>, Error> {
        let begun_at = self.inner.clock.now();
        let holder = ulid::Ulid::generate().to_string();
        let maintenance = Maintenance::new(&self.inner.db);
        let Some(mut lease) = maintenance.claim(LEASE, &holder, begun_at).await? else { return Ok(None) };
        let mut done = DisposalRun::default();
        let ended = self.dispose_due(&mut lease, &mut done, looks).await;
        lease.release(begun_at).await?;
        ended.map(|()| Some(done))
    }

    async fn dispose_due(&self, lease: &mut Lease, done: &mut DisposalRun, looks: u64) -> Result<(), Error> {
        self.note_freeze().await?;
        let mut after = lease.position.as_deref().and_then(Place::parse);
        while done.looked < looks && !self.is_frozen() {
            if !lease.renew(self.inner.clock.now()).await? {
                return Ok(());
            }
            let limit = looks.saturating_sub(done.looked).min(PAGE);
            let place = after.as_ref().map(|it| (it.at, &it.repository, &it.target));
            let page =
                retentions::due(&self.inner.db, self.compliance_now(), place, limit.cast_signed()).await?;
            let Some(last) = page.last() else {
                // The next run begins with the first again.
                return lease.note(None).await;
            };
            after = Place::of(last);
            for retention in &page {
                self.dispose_one(retention, done).await?;
                done.looked += 1;
            }
            lease.note(after.as_ref().map(Place::text)).await?;
        }
        Ok(())
    }

    /// Goes one step further with something, or two where nothing has to be waited for between them.
    async fn dispose_one(&self, retention: &Retention, done: &mut DisposalRun) -> Result<(), Error> {
        let (repository, actor) = (&retention.repository, Actor::system());
        for _ in 0..2 {
            let now = self.compliance_now();
            let step = look(&self.inner.db, |rows| next(rows, retention, now)).await?;
            let taken = match step {
                ScheduledStep::Propose => {
                    let item = Item::from(retention.target.clone());
                    let proposed = self.propose_disposition(repository, actor.clone(), &item, WHY).await;
                    proposed.map(|_| done.proposed += 1)
                }
                ScheduledStep::Execute(id) => {
                    let executed = self.execute_disposition(repository, actor.clone(), &id, None).await;
                    executed.map(|_| done.executed += 1)
                }
                ScheduledStep::Wait(_) => return Ok(()),
            };
            match taken {
                Ok(()) => {}
                // Somebody was faster: a hold, another disposition. One thing that stays does not keep the others.
                Err(error) if is_refusal(&error) => {
                    tracing::info!(target = %retention.target, "Was not disposed of by schedule: {error}");
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What comes next for something, as it is now. Pure.
fn next(rows: &Rows, found: &Retention, now: Micros) -> ScheduledStep {
    use ScheduledStep::{Execute, Propose, Wait};
    let (repository, target) = (&found.repository, &found.target);
    let retention = match retention_of(rows, repository, &Item::from(target.clone())) {
        Ok((same, Some(retention))) if same == *target => retention,
        Ok((same, Some(_))) if same != *target => {
            return Wait(format!("it is {same}, which leaves by itself"));
        }
        Ok(_) => return Wait("nothing retains it any more".to_owned()),
        Err(error) => return Wait(error.to_string()),
    };
    if retention.retained.leaves_at().is_none_or(|at| at > now) {
        return Wait("its retention was changed".to_owned());
    }
    let may_leave =
        refuse_frozen(rows).and_then(|()| protection::check_eligible(rows, repository, target, now));
    if let Err(error) = may_leave {
        return Wait(error.to_string());
    }
    // One that lost its ground is over, and the next proposal says so.
    let open = dispositions::open_about(rows, repository, target).pop();
    if let Some(open) = open.filter(|open| groundless(rows, open, now).is_none()) {
        if open.proposed_by != Actor::system().as_str() {
            return Wait(format!("{} was proposed by somebody, who goes on with it", open.id));
        }
        if open.approved_at.is_none() {
            return Wait(format!("{} needs {} more approvals", open.id, missing(rows, &open)));
        }
        return match cools_until(&open, now) {
            Some(until) => Wait(format!("{} cools off until {}", open.id, rfc3339(until))),
            None => Execute(open.id),
        };
    }
    let closed = dispositions::closed_about(rows, repository, target).into_iter();
    let mut rejected = closed.filter(|it| it.status == Status::Rejected && it.revision == retention.revision);
    match rejected.next() {
        Some(rejected) => Wait(format!("{} was rejected, and its retention is the same since", rejected.id)),
        None => Propose,
    }
}

/// Whether an error says no to this one thing, and nothing of the others.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Protected(_)
            | Error::ClockFrozen { .. }
            | Error::CoolingOff { .. }
            | Error::DispositionEnded { .. }
            | Error::DispositionOpen(_)
            | Error::DispositionUnknown(_)
            | Error::ManifestUnknown(_)
            | Error::NotApproved { .. }
            | Error::NotRetained(_)
            | Error::NothingLeft { .. }
            | Error::PackageUnknown(_)
    )
}

/// How far a run came.
struct Place {
    at: Micros,
    repository: RepositoryName,
    target: Target,
}

impl Place {
    fn of(retention: &Retention) -> Option<Self> {
        let (repository, target) = (retention.repository.clone(), retention.target.clone());
        Some(Self { at: retention.retained.leaves_at()?, repository, target })
    }

    fn text(&self) -> String {
        format!("{} {} {}", self.at, self.repository, self.target)
    }

    /// A note that says nothing is as good as none.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let (at, repository) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { at, repository, target: Target::parse(parts.next()?)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again() {
        let target = Target::parse("pkg_01arz3ndektsv4rrffq69g5fav").unwrap();
        let place = Place { at: 7, repository: "team/results".parse().unwrap(), target };
        let text = place.text();
        assert_eq!(Place::parse(&text).unwrap().text(), text);
        for other in ["", "7", "7 team/results", "x team/results pkg_01arz3ndektsv4rrffq69g5fav", "7 A b"] {
            assert!(Place::parse(other).is_none(), "{other:?}");
        }
    }
}

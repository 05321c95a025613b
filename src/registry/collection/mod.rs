//! Collecting garbage beside everything else.
//!
//! A blob leaves in steps, each an event that is decided again on the rows of its moment:
//!
//! ```text
//! link unused for the grace -> released -> blob unlinked for the grace -> condemned
//!      -> quarantine -> deletion intended -> the object is deleted -> purged
//! ```
//!
//! A push saves the blob at any step before the intent. After it the copy is as good as gone, and a push stores a
//! copy of its own under a key of its own, so a late delete hits nothing but what it was meant for. Safety rests on
//! that alone: the periods, the lease and the rate only decide how much work is done in vain. The model check in
//! `model.rs` explores every interleaving of it.
//!
//! The candidates come from the database; nothing is concluded from a listing of the storage, but for objects that
//! no row names (`orphans.rs`). A read that fails ends the run.

pub(super) mod commands;
mod naming;
mod options;
pub(super) mod orphans;
mod plan;
pub(super) mod rules;
mod run;
mod runs;

#[cfg(test)]
mod model;

use std::time::Duration;

pub(super) use commands::{KeepLink, refreshed};
pub use options::Options;
pub use plan::{Plan, Tally, plan};
pub use runs::{CollectionRun, RunStatus};

use super::commands::Record;
use super::maintenance::{Maintenance, is_due};
use super::{Actor, Error, Origin, Registry, micros};
use crate::clock::Micros;
use crate::events::GcCompleted;
use run::Run;

/// The lease that one replica has while it collects.
const LEASE: &str = "gc";

/// Blobs or links of one command: few enough that a push behind it in the queue hardly notices.
const BATCH: i64 = 64;

impl Registry {
    /// Collects garbage as far as it is due, and records what came of it. `None` while a replica is at it already.
    ///
    /// Ended at any point, also by dropping the future, the next run goes on. A run that a failing database or storage
    /// ended says why; an error is only one that kept even that from being recorded.
    pub async fn collect(&self) -> Result<Option<CollectionRun>, Error> {
        self.collect_for(Actor::system()).await
    }

    /// The same because somebody asked for it.
    pub async fn collect_for(&self, actor: Actor) -> Result<Option<CollectionRun>, Error> {
        self.run(runs::new_id(), Some(actor)).await
    }

    /// The same if it was not done for as long as is set, by whatever replica. What found nothing to do is not
    /// recorded.
    pub async fn collect_if_due(&self) -> Result<Option<CollectionRun>, Error> {
        let now = self.inner.clock.now();
        let state = Maintenance::new(&self.inner.db).state(LEASE, now).await?;
        if !is_due(state.begun_at, self.inner.options.gc.interval, now) || state.holder.is_some() {
            return Ok(None);
        }
        self.run(runs::new_id(), None).await
    }

    /// Begins one that goes on by itself, and waits for it so long. [`Error::CollectionRunning`] while a replica is at
    /// it already.
    pub async fn collect_in_background(
        &self,
        actor: Actor,
        patience: Duration,
    ) -> Result<CollectionRun, Error> {
        let (id, registry) = (runs::new_id(), self.clone());
        let (run, begun_at) = (id.clone(), self.inner.clock.now());
        let work = async move { registry.run(run, Some(actor)).await };
        let task = tokio::spawn(Origin::carry(Origin::here(), work));
        match tokio::time::timeout(patience, task).await {
            Ok(Ok(ended)) => ended?.ok_or(Error::CollectionRunning),
            Ok(Err(_)) => Err(Error::Stopping),
            Err(_) => Ok(CollectionRun::begun(id, begun_at)),
        }
    }

    /// Says what a collection would find now. Only reads.
    pub async fn collection_plan(&self) -> Result<Plan, Error> {
        let Self { inner } = self;
        plan(&inner.db, &inner.data, &inner.clock, &inner.options).await
    }

    /// What it does is done by the registry; that it was done stands under the name of who asked. What nobody asked for
    /// is recorded only if there was something to do.
    async fn run(&self, id: String, asked: Option<Actor>) -> Result<Option<CollectionRun>, Error> {
        let maintenance = Maintenance::new(&self.inner.db);
        let Some(lease) = maintenance.claim(LEASE, &id, self.inner.clock.now()).await? else {
            return Ok(None);
        };
        let mut run = Run::new(self, lease, id);
        let failure = match run.work().await {
            Ok(()) => run.problem(),
            Err(error) => Some(reasons(&error)),
        };
        let Run { lease, mut done, .. } = run;
        done.failure = failure;
        let is_idle = done
            == GcCompleted { run: done.run.clone(), started_at: done.started_at, ..GcCompleted::default() };
        let mut finished_at = self.inner.clock.now();
        if asked.is_some() || !is_idle {
            let actor = asked.unwrap_or_else(Actor::system);
            let committed = self.submit(actor, Record(done.clone().into())).await?;
            finished_at = committed.events.last().map_or(finished_at, |event| event.recorded_at);
        }
        if done.purged > 0
            && let Err(error) = self.issue_certificates().await
        {
            // What was collected is; the sweep tries again.
            tracing::warn!(error = &error as &dyn std::error::Error, "Certificates could not be issued");
        }
        lease.release(done.started_at).await?;
        Ok(Some(CollectionRun::ended(done, finished_at)))
    }

    /// An unused link older than this begins its grace again when somebody is about to rely on it: sooner would be an
    /// event for every request, later might be too late.
    pub(super) fn stale_before(&self) -> Micros {
        self.inner.clock.now().saturating_sub(micros(self.inner.options.gc.grace / 2))
    }
}

/// An error with its causes, in one line.
pub(super) fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

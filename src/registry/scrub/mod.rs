//! Verifying what is stored, beside everything else.
//!
//! A *cycle* reads every blob whose copy is kept, and every manifest, and compares it with its content address. It is
//! done in *passes*, each of so many bytes at most and so many in a second; how far it is stands in a table, so that a
//! process that was killed, or another replica, goes on there. What a cycle finds is recorded at once:
//!
//! ```text
//! other bytes, fewer, more -> corrupted ─┐                      ┌─> repaired: from another copy, or by a push
//! no bytes                 -> corrupted ─┴─ nobody is served ───┴─> recovered: found whole by a later cycle
//! cannot be read           -> unreadable: says nothing about the bytes, and they do not count as verified
//! ```
//!
//! Readers and pushes that meet damage before a cycle does put it on record in the same way (`doubt`).
//!
//! Nothing is deleted: a damaged copy stays under its key, also when another one took its place (`views::damages`). A
//! storage that is not available, or not the one it was, ends a pass and is no finding.

mod commands;
mod doubt;
mod options;
mod pass;
mod progress;
mod repair;
mod runs;
mod verified;

#[cfg(test)]
pub(super) mod testing;

use std::time::Duration;

pub(super) use doubt::LOOKS;
pub use options::Options;
pub use runs::{ScrubRun, ScrubState, ScrubStatus, TroubleCounts};
pub use verified::Verified;

use super::maintenance::{Maintenance, is_due};
use super::{Actor, Error, Origin, Registry};
use crate::views::runs as ended;
use pass::Pass;
use progress::Progress;

/// The lease that one replica has while it scrubs.
const LEASE: &str = "scrub";

impl Registry {
    /// Makes a pass: goes on with the cycle that is under way, or begins one. `None` while a replica is at it already.
    ///
    /// Ended at any point, also by dropping the future, the next pass goes on. What ended a pass early stands in its
    /// result; an error is only one that kept even that from being noted.
    pub async fn scrub(&self) -> Result<Option<ScrubRun>, Error> {
        self.scrub_for(Actor::system()).await
    }

    /// The same because somebody asked for it.
    pub async fn scrub_for(&self, actor: Actor) -> Result<Option<ScrubRun>, Error> {
        self.pass(Some(actor)).await
    }

    /// The same if the last pass was begun as long ago as is set, by whatever replica; a new cycle only if the last
    /// one was. Where nothing is stored a cycle is not recorded.
    pub async fn scrub_if_due(&self) -> Result<Option<ScrubRun>, Error> {
        let options = &self.inner.options.scrub;
        let now = self.inner.clock.now();
        let state = Maintenance::new(&self.inner.db).state(LEASE, now).await?;
        if state.holder.is_some() || !is_due(state.begun_at, options.interval, now) {
            return Ok(None);
        }
        if state.position.as_deref().and_then(Progress::read).is_none() {
            let last = ended::scrubs(&self.inner.db, None, 1).await?;
            if last.first().is_some_and(|(last, _)| !is_due(last.started_at, options.cycle, now)) {
                return Ok(None);
            }
        }
        self.pass(None).await
    }

    /// Begins a pass that goes on by itself, and waits for it so long. [`Error::ScrubRunning`] while a replica is at
    /// it already.
    pub async fn scrub_in_background(&self, actor: Actor, patience: Duration) -> Result<ScrubRun, Error> {
        let registry = self.clone();
        let work = async move { registry.pass(Some(actor)).await };
        let task = tokio::spawn(Origin::carry(Origin::here(), work));
        match tokio::time::timeout(patience, task).await {
            Ok(Ok(ended)) => ended?.ok_or(Error::ScrubRunning),
            Ok(Err(_)) => Err(Error::Stopping),
            Err(_) => {
                let state = self.scrub_state().await?;
                state.current.or(state.last).ok_or(Error::ScrubRunning)
            }
        }
    }

    /// A cycle stands under the name of who asked for its last pass. One that nobody asked for is recorded only where
    /// something is stored.
    async fn pass(&self, asked: Option<Actor>) -> Result<Option<ScrubRun>, Error> {
        let maintenance = Maintenance::new(&self.inner.db);
        let begun_at = self.inner.clock.now();
        // A name of its own: two replicas may go on with the same cycle, and one at a time.
        let holder = format!("pass_{}", ulid::Ulid::generate());
        let Some(lease) = maintenance.claim(LEASE, &holder, begun_at).await? else {
            return Ok(None);
        };
        let progress = match lease.position.as_deref().and_then(Progress::read) {
            Some(progress) => progress,
            None => Progress::begin(begun_at, self.head_now().await?),
        };
        let mut pass = Pass::new(self, lease, progress);
        let outcome = pass.work().await;
        let (lease, run) = pass.end(outcome, asked).await?;
        lease.release(begun_at).await?;
        Ok(Some(run))
    }

    /// The number of the newest event there is, also one of another replica.
    async fn head_now(&self) -> Result<i64, Error> {
        self.inner.log.current().await.map_err(Error::Log)?;
        Ok(self.last_sequence())
    }
}

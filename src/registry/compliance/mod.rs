//! The compliance clock: the time that retentions are judged by (R12).
//!
//! The system's clock can be set, and whoever sets it ahead would end every retention. So the log keeps a time of its
//! own, in ticks. Between them it advances by what a clock measures that nobody sets, and it never passes the system's:
//!
//! ```text
//! compliance time = min(system's clock, last tick + measured since + allowance), never before the last tick
//! ```
//!
//! What is measured begins anew with every process, so time while nothing ran is not counted, and starting again and
//! again gains nothing. The [allowance](keeper::CATCH_UP) is a small share of what was measured: in it the clock
//! catches up with short stops. A system's clock that is further ahead than is set freezes dispositions and deletions,
//! until somebody looked at it and says so for the record: only a person knows whether a month went by or a clock was
//! set.
//!
//! The clock begins with the first retention: where nothing is retained there is nothing to judge, and no tick.

mod commands;
mod keeper;
mod options;

pub use crate::views::compliance::Tick as ClockTick;
use commands::{Resynchronise, TakeTick};
pub(super) use commands::{WithClock, refuse_frozen};
pub use keeper::ClockReading;
pub(super) use keeper::Keeper;
pub use options::Options;

use super::retention::{REASON, given};
use super::{Actor, Error, Registry, micros};
use crate::clock::{Clock, Micros};
use crate::db::Db;
use crate::views::compliance;

/// The compliance clock of a log as it was recorded last; beside a running server that may be an hour ago.
pub async fn read_clock(db: &Db, clock: &Clock, options: &Options) -> Result<ClockReading, Error> {
    let keeper = Keeper::new(clock.clone(), micros(options.jump));
    if let Some(tick) = compliance::find(db).await? {
        keeper.learn(tick);
    }
    Ok(keeper.read())
}

impl Registry {
    /// What retentions are judged by (R12): compliance time, and never ahead of the system's clock.
    pub(super) fn compliance_now(&self) -> Micros {
        self.inner.compliance.read().judged_at()
    }

    /// When a retention that is resolved now begins: not before what is recorded already, were the clock set back.
    pub(super) fn retention_begins(&self) -> Micros {
        let ClockReading { wall, compliance, .. } = self.inner.compliance.read();
        wall.max(self.recorded_now()).max(compliance)
    }

    /// When something is done that is recorded right after: not before what is recorded already, were the clock set
    /// back.
    pub(super) fn recorded_now(&self) -> Micros {
        self.inner.clock.now().max(self.inner.log.watch().borrow().last_recorded_at)
    }

    /// The compliance clock as it stands.
    pub async fn compliance_clock(&self) -> Result<ClockReading, Error> {
        self.learn_tick().await?;
        Ok(self.inner.compliance.read())
    }

    /// Reads the clock for the record, once there is anything to judge. For when serving begins and ends; what embeds a
    /// registry calls it before it closes one, else the time that it ran is not counted.
    pub async fn tick(&self) -> Result<ClockReading, Error> {
        self.take_tick(true).await
    }

    /// The same if it is due, by whatever replica: an hour after the last time, or at once when the system's clock has
    /// gone ahead.
    pub async fn tick_if_due(&self) -> Result<(), Error> {
        let keeper = &self.inner.compliance;
        if !keeper.is_stale() && !keeper.read().is_due() {
            return Ok(());
        }
        self.learn_tick().await?;
        // Another replica may have been faster.
        if keeper.read().is_due() {
            self.take_tick(false).await?;
        }
        Ok(())
    }

    /// Follows the system's clock again: somebody looked at it, and it is right. Compliance time never goes back.
    pub async fn resynchronise_clock(&self, actor: Actor, reason: &str) -> Result<ClockReading, Error> {
        let reason = given("reason", reason, REASON)?;
        self.learn_tick().await?;
        let reading = self.inner.compliance.read();
        let command = Resynchronise { wall: reading.wall, compliance: reading.compliance, reason };
        self.submit(actor, command).await?;
        Ok(self.inner.compliance.read())
    }

    /// Puts on record that the system's clock went ahead, if that was noticed just now: what cannot be undone is
    /// decided on the record.
    pub(super) async fn note_freeze(&self) -> Result<(), Error> {
        let reading = self.inner.compliance.read();
        if reading.is_frozen && reading.is_due() {
            self.take_tick(false).await?;
        }
        Ok(())
    }

    /// Whether time is in doubt, so that nothing is done that cannot be undone.
    pub(super) fn is_frozen(&self) -> bool {
        self.inner.compliance.read().is_frozen
    }

    /// Refuses what cannot be undone while time is in doubt.
    pub(super) fn refuse_while_frozen(&self) -> Result<(), Error> {
        let reading = self.inner.compliance.read();
        if reading.is_frozen { Err(reading.frozen()) } else { Ok(()) }
    }

    async fn take_tick(&self, anyway: bool) -> Result<ClockReading, Error> {
        self.learn_tick().await?;
        let reading = self.inner.compliance.read();
        let Some(tick) = reading.tick else { return Ok(reading) };
        let command = TakeTick {
            wall: reading.wall,
            compliance: reading.compliance,
            limit: self.inner.compliance.limit(),
            seen: (!anyway).then_some(tick.sequence),
        };
        self.submit(Actor::system(), command).await?;
        let reading = self.inner.compliance.read();
        if reading.is_frozen {
            tracing::error!("Dispositions and deletions are frozen: {}", reading.frozen());
        }
        Ok(reading)
    }

    /// Makes sure of the last tick, which may be another replica's.
    async fn learn_tick(&self) -> Result<(), Error> {
        if let Some(tick) = compliance::find(&self.inner.db).await? {
            self.inner.compliance.learn(tick);
        }
        Ok(())
    }
}

//! Who does what only one replica does at a time, and how far it is: an operational table.
//!
//! Like claims of uploads, a lease is for a short time, renewed while its holder is at work, and written under a
//! compare. It saves work and nothing else: what it guards must be right when two replicas do it at once.
//!
//! Every statement comes to the same when it is repeated.

use std::time::Duration;

use super::{Error, micros};
use crate::clock::{Micros, SECOND};
use crate::db::{self, Db, Operational};

/// A lease that is not renewed ends after this long: its process is gone.
pub(super) const LEASE: Micros = 60 * SECOND;

/// No lease ends later than this: one that seems to was taken by a clock that was wrong, and is void. More than the
/// clocks of replicas are apart.
const LONGEST: Micros = 10 * LEASE;

const CLAIM: &str = "INSERT INTO maintenance (name, lease, lease_until, position, updated_at) \
    VALUES ($1, $2, $3, NULL, 0) ON CONFLICT (name) DO UPDATE SET lease = $2, lease_until = $3 \
    WHERE maintenance.lease IS NULL OR maintenance.lease_until < $4 OR maintenance.lease_until > $5 \
    OR maintenance.lease = $2 RETURNING position";

const FIND: &str = "SELECT lease, lease_until, updated_at, position FROM maintenance WHERE name = $1";

const RENEW: &str = "UPDATE maintenance SET lease_until = $1 WHERE name = $2 AND lease = $3";

const NOTE: &str = "UPDATE maintenance SET position = $1 WHERE name = $2 AND lease = $3";

const RELEASE: &str = "UPDATE maintenance SET lease = NULL, lease_until = 0, updated_at = $1 \
    WHERE name = $2 AND lease = $3";

const RELEASE_ALL: &str = "UPDATE maintenance SET lease = NULL, lease_until = 0 WHERE lease IS NOT NULL";

/// Every named statement of this table, for the test that prepares each.
#[cfg(test)]
pub(super) static STATEMENTS: &[&str] = &[CLAIM, FIND, RENEW, NOTE, RELEASE, RELEASE_ALL];

/// The table.
#[derive(Clone, Debug)]
pub(super) struct Maintenance(Operational);

/// The right to do something until it is released.
#[derive(Debug)]
pub(super) struct Lease {
    table: Operational,
    name: &'static str,
    holder: String,
    /// When it was last made sure of.
    renewed_at: Micros,
    /// How far the one before came, as it noted it.
    pub(super) position: Option<String>,
}

/// What is known of some work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Who is at it.
    pub(super) holder: Option<String>,
    /// When it was begun that was done last; 0 for never.
    pub(super) begun_at: Micros,
    /// How far it is, as it was noted.
    pub(super) position: Option<String>,
}

/// Whether what was begun then, or never (0), is to be done again. A beginning that is still to come was noted by a clock
/// that was wrong, and says nothing.
pub(super) fn is_due(begun_at: Micros, period: Duration, now: Micros) -> bool {
    let period = micros(period);
    // A little early: timers and clocks do not agree to the microsecond.
    begun_at > now || begun_at.saturating_add(period - period / 10) <= now
}

impl Maintenance {
    pub(super) fn new(db: &Db) -> Self {
        Self(db.operational())
    }

    /// Claims the right to some work. `None` while somebody else has it.
    pub(super) async fn claim(
        &self,
        name: &'static str,
        holder: &str,
        now: Micros,
    ) -> Result<Option<Lease>, Error> {
        let args = vec![name.into(), holder.into(), (now + LEASE).into(), now.into(), (now + LONGEST).into()];
        let rows = self.0.query(CLAIM, args).await?;
        Ok(rows.first().map(|row| Lease {
            table: self.0.clone(),
            name,
            holder: holder.to_owned(),
            renewed_at: now,
            position: row.optional_text(0).map(str::to_owned),
        }))
    }

    /// Who is at some work, and when it was begun that was done last.
    pub(super) async fn state(&self, name: &'static str, now: Micros) -> Result<State, Error> {
        let rows = self.0.query(FIND, vec![name.into()]).await?;
        let Some(row) = rows.first() else { return Ok(State { holder: None, begun_at: 0, position: None }) };
        let holder = row.optional_text(0).filter(|_| (now..=now + LONGEST).contains(&row.integer(1)));
        let position = row.optional_text(3).map(str::to_owned);
        Ok(State { holder: holder.map(str::to_owned), begun_at: row.integer(2), position })
    }

    /// Ends every lease. For the one process that has the database to itself, when it starts.
    pub(super) async fn release_all(&self) -> Result<(), db::Error> {
        self.0.execute(RELEASE_ALL, Vec::new()).await.map(drop)
    }
}

impl Lease {
    /// Makes sure of the lease, if that was not done for a while. `false` when somebody else has it.
    pub(super) async fn renew(&mut self, now: Micros) -> Result<bool, Error> {
        if now < self.renewed_at + LEASE / 4 {
            return Ok(true);
        }
        let args = vec![(now + LEASE).into(), self.name.into(), self.holder.as_str().into()];
        let is_ours = self.table.execute(RENEW, args).await? > 0;
        self.renewed_at = now;
        Ok(is_ours)
    }

    /// Notes how far the work is.
    pub(super) async fn note(&mut self, position: Option<String>) -> Result<(), Error> {
        let args = vec![position.as_deref().into(), self.name.into(), self.holder.as_str().into()];
        self.table.execute(NOTE, args).await?;
        self.position = position;
        Ok(())
    }

    /// Gives the right back: the work that was begun then is done.
    pub(super) async fn release(self, begun_at: Micros) -> Result<(), Error> {
        let args = vec![begun_at.into(), self.name.into(), self.holder.as_str().into()];
        self.table.execute(RELEASE, args).await?;
        Ok(())
    }
}

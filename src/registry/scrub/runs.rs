//! What the scrub did and does, and what is damaged.

use super::progress::{PREFIX, Progress};
use super::{LEASE, Maintenance};
use crate::clock::Micros;
use crate::events::ScrubCompleted;
use crate::registry::{Error, Registry};
use crate::views::damages::{self, Damaged, Trouble};
use crate::views::runs;

/// Copies that are counted at most, and asked for at once.
const COUNTED: u64 = 100_000;
const PAGE: i64 = 500;

/// How far a cycle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrubStatus {
    /// A pass is at work.
    Running,
    /// Between two passes.
    Paused,
    /// Everything was read.
    Completed,
}

impl ScrubStatus {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
        }
    }
}

/// One cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubRun {
    /// How far it is.
    pub status: ScrubStatus,
    /// What it did so far.
    pub done: ScrubCompleted,
    /// When it ended.
    pub finished_at: Option<Micros>,
    /// Why its last pass ended early, if it did.
    pub failure: Option<String>,
}

impl ScrubRun {
    pub(super) fn ended(done: ScrubCompleted, at: Micros) -> Self {
        Self { status: ScrubStatus::Completed, done, finished_at: Some(at), failure: None }
    }

    pub(super) fn paused(progress: Progress) -> Self {
        let Progress { done, failure, .. } = progress;
        Self { status: ScrubStatus::Paused, done, finished_at: None, failure }
    }
}

/// Copies that are damaged or unreadable now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TroubleCounts {
    /// With other bytes than were stored.
    pub corrupt: u64,
    /// Without any.
    pub missing: u64,
    /// Of which nothing is known.
    pub unreadable: u64,
}

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubState {
    /// The cycle under way.
    pub current: Option<ScrubRun>,
    /// The last one that ended: what it covers was verified since it began.
    pub last: Option<ScrubRun>,
    /// What is damaged now.
    pub troubles: TroubleCounts,
}

impl Registry {
    /// How the scrub stands, and how much is damaged now. The counts stop at 100 000.
    pub async fn scrub_state(&self) -> Result<ScrubState, Error> {
        let last = runs::scrubs(&self.inner.db, None, 1).await?;
        let mut troubles = TroubleCounts::default();
        let (mut after, mut counted) = (String::new(), 0);
        loop {
            let page = damages::open(&self.inner.db, &after, PAGE).await?;
            let Some(copy) = page.last() else { break };
            after.clone_from(&copy.key);
            counted += page.len() as u64;
            for copy in page {
                match copy.trouble {
                    Trouble::Corrupt | Trouble::Lost => troubles.corrupt += 1,
                    Trouble::Missing => troubles.missing += 1,
                    Trouble::Unreadable => troubles.unreadable += 1,
                }
            }
            if counted >= COUNTED {
                break;
            }
        }
        let last = last.into_iter().next().map(|(done, at)| ScrubRun::ended(done, at));
        Ok(ScrubState { current: self.scrub_under_way().await?, last, troubles })
    }

    /// The cycle under way.
    async fn scrub_under_way(&self) -> Result<Option<ScrubRun>, Error> {
        let state = Maintenance::new(&self.inner.db).state(LEASE, self.inner.clock.now()).await?;
        let progress = state.position.as_deref().and_then(Progress::read);
        Ok(progress.map(|progress| {
            let status = if state.holder.is_some() { ScrubStatus::Running } else { ScrubStatus::Paused };
            ScrubRun { status, ..ScrubRun::paused(progress) }
        }))
    }

    /// Up to `limit` cycles that ended, the newest first, before the one given.
    pub async fn scrub_runs(&self, before: Option<&str>, limit: usize) -> Result<Vec<ScrubRun>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let ended = runs::scrubs(&self.inner.db, before, limit).await?;
        Ok(ended.into_iter().map(|(done, at)| ScrubRun::ended(done, at)).collect())
    }

    /// A cycle, whether it ended or is under way.
    pub async fn scrub_run(&self, run: &str) -> Result<ScrubRun, Error> {
        let unknown = || Error::ScrubUnknown(run.to_owned());
        let is_id = run
            .strip_prefix(PREFIX)
            .is_some_and(|ulid| ulid.len() == 26 && ulid::Ulid::from_string(&ulid.to_uppercase()).is_ok());
        if !is_id {
            return Err(unknown());
        }
        if let Some((done, at)) = runs::scrub(&self.inner.db, run).await? {
            return Ok(ScrubRun::ended(done, at));
        }
        let current = self.scrub_under_way().await?;
        current.filter(|current| current.done.run == run).ok_or_else(unknown)
    }

    /// Up to `limit` copies that a cycle was the first to find damaged or unreadable, by key, after a text that need
    /// not be one.
    pub async fn scrub_findings(&self, run: &str, after: &str, limit: usize) -> Result<Vec<Damaged>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(damages::of_run(&self.inner.db, run, after, limit).await?)
    }

    /// Up to `limit` copies that are damaged or unreadable now, by key, after a text that need not be one.
    pub async fn damaged(&self, after: &str, limit: usize) -> Result<Vec<Damaged>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(damages::open(&self.inner.db, after, limit).await?)
    }
}

//! What collections did: each by itself, and to which objects.

use super::{LEASE, Maintenance};
use crate::clock::Micros;
use crate::events::GcCompleted;
use crate::registry::tags::count;
use crate::registry::{Error, Event, Registry};
use crate::views::runs;

/// What every id of a run begins with.
const PREFIX: &str = "gc_";

/// A new id; ids sort by when they were made.
pub(super) fn new_id() -> String {
    format!("{PREFIX}{}", ulid::Ulid::generate().to_string().to_lowercase())
}

/// The run of this id as one that is at work, with nothing of it on record yet. `None` when it is no id.
fn at_work(run: &str) -> Option<CollectionRun> {
    let ulid = run.strip_prefix(PREFIX).filter(|ulid| ulid.len() == 26)?;
    let began = ulid::Ulid::from_string(&ulid.to_uppercase()).ok()?;
    let started_at = i64::try_from(began.timestamp_ms()).unwrap_or(0).saturating_mul(1000);
    Some(CollectionRun::begun(run.to_owned(), started_at))
}

/// How far a collection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// At work.
    Running,
    /// Did everything there was to do.
    Completed,
    /// Ended early, or could not delete something.
    Failed,
    /// Its process ended before it did. The next run went on.
    Interrupted,
}

impl RunStatus {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionRun {
    /// How far it is.
    pub status: RunStatus,
    /// What it did, as far as it is on record.
    pub done: GcCompleted,
    /// When it ended.
    pub finished_at: Option<Micros>,
}

impl CollectionRun {
    pub(super) fn begun(run: String, started_at: Micros) -> Self {
        let done = GcCompleted { run, started_at, ..GcCompleted::default() };
        Self { status: RunStatus::Running, done, finished_at: None }
    }

    /// What is on record of a run, given the one that is at work.
    fn known(done: GcCompleted, finished_at: Option<Micros>, holder: Option<&str>) -> Self {
        match finished_at {
            Some(at) => Self::ended(done, at),
            None if holder == Some(done.run.as_str()) => {
                Self { status: RunStatus::Running, done, finished_at: None }
            }
            None => Self { status: RunStatus::Interrupted, done, finished_at: None },
        }
    }

    pub(super) fn ended(done: GcCompleted, finished_at: Micros) -> Self {
        let status = if done.failure.is_some() { RunStatus::Failed } else { RunStatus::Completed };
        Self { status, done, finished_at: Some(finished_at) }
    }
}

impl Registry {
    /// Up to `limit` collections that did something, that somebody asked for, or that are at work, the newest first,
    /// before the run given.
    pub async fn gc_runs(&self, before: Option<&str>, limit: usize) -> Result<Vec<CollectionRun>, Error> {
        // First who is at work: a run that ends meanwhile is on record then.
        let holder = self.collecting().await?;
        let runs = runs::collections(&self.inner.db, before, count(limit)).await?;
        let known = |(done, at)| CollectionRun::known(done, at, holder.as_deref());
        let mut runs: Vec<_> = runs.into_iter().map(known).collect();
        if let Some(first) = holder.as_deref().filter(|_| before.is_none()).and_then(at_work)
            && runs.iter().all(|run| run.done.run != first.done.run)
        {
            // It did nothing yet.
            runs.insert(0, first);
            runs.truncate(limit);
        }
        Ok(runs)
    }

    /// The run that is at work.
    async fn collecting(&self) -> Result<Option<String>, Error> {
        Ok(Maintenance::new(&self.inner.db).state(LEASE, self.inner.clock.now()).await?.holder)
    }

    /// A collection, whether it ended or not.
    pub async fn gc_run(&self, run: &str) -> Result<CollectionRun, Error> {
        let unknown = || Error::RunUnknown(run.to_owned());
        let at_work = at_work(run).ok_or_else(unknown)?;
        let holder = self.collecting().await?;
        if let Some((done, at)) = runs::collection(&self.inner.db, run).await? {
            return Ok(CollectionRun::known(done, at, holder.as_deref()));
        }
        if holder.as_deref() != Some(run) {
            return Err(unknown());
        }
        Ok(at_work)
    }

    /// What a collection did to which objects: up to `limit` of its events in order, after the one given; fewer where
    /// they are large. Only an empty page says that there are no more.
    pub async fn gc_run_events(&self, run: &str, after: i64, limit: usize) -> Result<Vec<Event>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(self.inner.log.of_run(run, after, limit).await?)
    }

    /// How many events [`gc_run_events`](Self::gc_run_events) leads to, and how many bytes of payload.
    pub async fn gc_run_events_size(
        &self,
        run: &str,
        after: i64,
        limit: usize,
    ) -> Result<(usize, usize), Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (events, bytes) = self.inner.log.size_of_run(run, after, limit).await?;
        Ok((usize::try_from(events).unwrap_or_default(), usize::try_from(bytes).unwrap_or_default()))
    }
}

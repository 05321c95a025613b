//! When content was verified last: not told by an event per blob, but by the cycles that covered it.

use crate::clock::Micros;
use crate::oci::Digest;
use crate::registry::{Error, Registry};
use crate::views::{contents, damages, runs};

/// The newest cycle that read the copy of some content and found it whole. It did so between its two times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The cycle.
    pub run: String,
    /// When it began.
    pub started_at: Micros,
    /// When it ended.
    pub finished_at: Micros,
}

impl Registry {
    /// When content was verified last, by any digest of it. `None` when no cycle that ended has covered its copy: one
    /// that was stored or repaired since the last cycle began waits for the next.
    ///
    /// Says less rather than more: of a copy that is damaged or could not be read, the last cycle before that was
    /// found out.
    pub async fn verified(&self, digest: &Digest) -> Result<Option<Verified>, Error> {
        let db = &self.inner.db;
        let Some(content) = contents::find(db, digest).await? else { return Ok(None) };
        let Some((named_at, doubt)) = damages::copy_of(db, &content).await? else { return Ok(None) };
        let mut newest = runs::scrubs(db, None, 1).await?.into_iter().next();
        if let Some(doubt) = doubt {
            // The cycles that ended while nobody knew.
            let is_over = |at: Micros| doubt.ended_at.is_some_and(|ended_at| ended_at <= at);
            if newest.as_ref().is_some_and(|(_, finished_at)| !is_over(*finished_at)) {
                newest = runs::scrubs(db, Some(&doubt.run), 1).await?.into_iter().next();
            }
        }
        let covering = newest.filter(|(run, _)| run.covers >= named_at);
        Ok(covering.map(|(done, finished_at)| Verified {
            run: done.run,
            started_at: done.started_at,
            finished_at,
        }))
    }
}

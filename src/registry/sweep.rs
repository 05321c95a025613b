//! Sweeping what nobody goes on with: uploads, and drafts of packages.

use super::signing::keys::Keys;
use super::uploads::staging;
use super::{Error, Registry};
use crate::clock::Micros;
use crate::storage::{Deletion, StagingId};

/// Sessions removed in one run at most.
const SESSIONS: i64 = 1000;

/// Staged writes looked at in one run at most.
const LEFTOVERS: usize = 100_000;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Expired sessions, with the bytes they had received.
    pub sessions: u64,
    /// Staged bytes that no session knows.
    pub leftovers: u64,
    /// Drafts of packages that expired.
    pub drafts: u64,
    /// Origins of commands that were kept for long enough.
    pub origins: u64,
}

impl Registry {
    /// Removes upload sessions that have expired, and staged bytes without a session that are as old or, where one
    /// process has the database for itself, were left by an earlier one: nobody can go on with those. Ends drafts of
    /// packages that have expired, issues certificates that are final by now, and removes retired signing keys and origins
    /// of commands that were kept for long enough. Bounded per run: what is left is the next run's. Idempotent; never touches an
    /// upload that is in use. Any number of replicas may do it at once.
    ///
    /// Nothing of it waits for something else: a part that fails keeps no other from being done, and is the error, if it is
    /// the first one.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        let now = self.inner.clock.now();
        let sessions = self.sweep_sessions(now).await;
        let mut untouched_since = now.saturating_sub(self.upload_expiry());
        if !self.inner.is_shared {
            // What was staged before this process began has no other writer.
            untouched_since = untouched_since.max(self.inner.opened_at);
        }
        let leftovers = self.sweep_leftovers(untouched_since).await;
        let drafts = self.sweep_drafts().await;
        let dispositions = self.sweep_dispositions().await;
        let certificates = self.issue_certificates().await;
        self.record_denials(false).await;
        let keys = Keys::new(&self.inner.db).sweep(now).await;
        let origins = self.inner.origins.sweep().await;
        let (sessions, leftovers, drafts) = (sessions?, leftovers?, drafts?);
        dispositions?;
        certificates?;
        keys?;
        Ok(Swept { sessions, leftovers, drafts, origins: origins? })
    }

    async fn sweep_sessions(&self, now: Micros) -> Result<u64, Error> {
        let sessions = self.sessions();
        let mut swept = 0;
        for id in sessions.expired(now, SESSIONS).await? {
            // The row first: nobody can claim it any more, and bytes without one are leftovers.
            let Some(is_finished) = sessions.remove_expired(&id, now).await? else { continue };
            self.inner.uploads.forget(&id);
            if !is_finished {
                self.unstage(&staging(&id)).await;
            }
            swept += 1;
        }
        Ok(swept)
    }

    /// Looks at the first [`LEFTOVERS`] staged writes the backend lists; what is removed makes room for the next run.
    async fn sweep_leftovers(&self, untouched_since: Micros) -> Result<u64, Error> {
        let sessions = self.sessions();
        let mut swept = 0;
        for leftover in self.inner.data.leftovers(LEFTOVERS).await? {
            if leftover.touched_at >= untouched_since || sessions.is_known(leftover.id.as_str()).await? {
                continue;
            }
            swept += u64::from(self.unstage(&leftover.id).await);
        }
        Ok(swept)
    }

    /// One write that cannot be removed, because it is open or the disk fails, does not keep the others.
    async fn unstage(&self, id: &StagingId) -> bool {
        match self.inner.data.unstage(id).await {
            Ok(removed) => removed == Deletion::Deleted,
            Err(error) => {
                tracing::warn!(%id, error = &error as &dyn std::error::Error, "A staged write cannot be removed");
                false
            }
        }
    }
}

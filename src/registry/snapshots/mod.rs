//! Taking snapshots of the views, and keeping the newest two.
//!
//! Bytes before the event, the event before the delete: the object is durable before `v1.snapshot.created` names it,
//! and that event says which older object it retires before that is removed. What a crash leaves in between no view
//! names, and a collection finds it. An error leaves nothing behind: whatever fails is tried again soon, and every time
//! it would be as many bytes more.

mod options;
mod shelf;

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

pub use self::options::Options;
pub(super) use self::shelf::Shelved;
use super::blobs::forget;
use super::maintenance::{Lease, Maintenance};
use super::{Actor, Error, Registry, places};
use crate::dataplane::{Body, Location, Stored};
use crate::db;
use crate::events::snapshot::{Dumped, dump};
use crate::events::{self, Command, Copy, Decision, Fact, Read, Rows, SnapshotCreated};
use crate::storage::StagingId;
use crate::views::{self, snapshots};

pub use crate::views::snapshots::Snapshot;

/// The lease that one replica has while it writes a snapshot.
const LEASE: &str = "snapshot";

/// How often it makes sure of it.
const RENEW: Duration = Duration::from_secs(10);

/// What the keys of snapshots begin with.
const PREFIX: &str = "snapshots";

/// Pieces on their way to the storage.
const PIECES: usize = 4;

impl Registry {
    /// Writes the views as they are now to the storage, and records it. Of older snapshots one is kept. `None` while a
    /// replica is at it already, or when there is one of this moment.
    pub async fn snapshot(&self) -> Result<Option<Snapshot>, Error> {
        let holder = ulid::Ulid::generate().to_string();
        let (maintenance, begun_at) = (Maintenance::new(&self.inner.db), self.inner.clock.now());
        let Some(mut lease) = maintenance.claim(LEASE, &holder, begun_at).await? else { return Ok(None) };
        let taken = self.take_snapshot(&mut lease).await;
        lease.release(begun_at).await?;
        taken
    }

    /// The same if as many events as are set were recorded since the last one.
    pub async fn snapshot_if_due(&self) -> Result<Option<Snapshot>, Error> {
        let every = self.inner.options.snapshots.every;
        let kept = snapshots::kept(&self.inner.db).await?;
        let version = views::projections().version();
        let last = kept.iter().find(|it| it.views_version == version).map_or(0, |it| it.sequence);
        let since = self.last_sequence().saturating_sub(last).unsigned_abs();
        if every == 0 || since < every {
            return Ok(None);
        }
        self.snapshot().await
    }

    /// The snapshots that are kept, the newest first.
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        Ok(snapshots::kept(&self.inner.db).await?)
    }

    async fn take_snapshot(&self, lease: &mut Lease) -> Result<Option<Snapshot>, Error> {
        let id = format!("snapshot-{}", ulid::Ulid::generate());
        let id: StagingId = id.parse().expect("ULIDs make staging ids");
        let writing = self.write_snapshot(id.clone());
        tokio::pin!(writing);
        let written = loop {
            tokio::select! {
                written = &mut writing => break written,
                () = tokio::time::sleep(RENEW) => self.keep(lease).await,
            }
        };
        let (dumped, stored) = match written {
            Ok(written) => written,
            Err(error) => {
                // However far it came: nobody goes on with a dump of an earlier moment.
                forget(self.inner.data.unstage(&id).await);
                return Err(error);
            }
        };
        let object = copy(&stored);
        let command = RecordSnapshot { dumped, object: object.clone() };
        let committed = match self.submit(Actor::system(), command).await {
            Ok(committed) => committed,
            Err(error) => {
                if is_unrecorded(&error) {
                    forget(self.inner.data.delete(&stored.location).await);
                }
                return Err(error);
            }
        };
        let Some(event) = committed.events.into_iter().next() else {
            // Another replica was quicker. No event will ever name this one.
            self.inner.data.delete(&stored.location).await?;
            return Ok(None);
        };
        let Fact::SnapshotCreated(fact) = event.fact else {
            unreachable!("the command records nothing else")
        };
        if let Some(retired) = fact.retires {
            self.remove_snapshot(retired).await;
        }
        let SnapshotCreated { sequence, views_version, state, rows, .. } = fact;
        let created_at = event.recorded_at;
        Ok(Some(Snapshot { sequence, views_version, state, rows, object, created_at }))
    }

    /// Makes sure of the lease. Without it two may write, of which one is too late to be recorded: no reason to end.
    async fn keep(&self, lease: &mut Lease) {
        if let Err(error) = lease.renew(self.inner.clock.now()).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "The lease of a snapshot was not renewed");
        }
    }

    /// Dumps into the storage, piece by piece. On an error some of it may be staged.
    async fn write_snapshot(&self, id: StagingId) -> Result<(Dumped, Stored), Error> {
        let mut ingest = self.inner.data.ingest(id, None);
        let (pieces, received) = mpsc::channel(PIECES);
        let mut body = body(received);
        let projections = views::projections();
        let (dumped, received) = tokio::join!(
            dump(&self.inner.db, &projections, pieces),
            // Whatever ends it early lets go of the receiving end, and so ends the dump.
            async move {
                let received = ingest.append(&mut body, u64::MAX).await;
                drop(body);
                received.map(|_| ingest)
            }
        );
        let ingest = received?;
        let dumped = dumped?.unwrap_or_else(|| unreachable!("all pieces were received"));
        Ok((dumped, ingest.seal_unclaimed().publish_as(PREFIX).await?))
    }

    /// What cannot be removed now a collection finds: no view names it any more.
    async fn remove_snapshot(&self, object: Copy) {
        let (db, data) = (&self.inner.db, &self.inner.data);
        let removed = async {
            places::check_place(db, data).await?;
            Ok::<_, Error>(data.delete(&location(&object)).await?)
        };
        if let Err(error) = removed.await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(key = object.key, error, "An older snapshot is left for a collection");
        }
    }
}

/// The views were written to the storage.
#[derive(Debug)]
struct RecordSnapshot {
    dumped: Dumped,
    object: Copy,
}

impl Command for RecordSnapshot {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        snapshots::reads().into()
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let kept = snapshots::kept_now(rows);
        let Dumped { state, views_version, rows } = &self.dumped;
        let is_news =
            |newest: &Snapshot| newest.views_version != *views_version || newest.sequence < state.sequence;
        if !kept.first().is_none_or(is_news) {
            return Ok(Decision::default());
        }
        let fact = SnapshotCreated {
            sequence: state.sequence,
            views_version: *views_version,
            state: state.digest.clone(),
            rows: *rows,
            object: self.object.clone(),
            retires: kept.get(1).map(|oldest| oldest.object.clone()),
        };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

/// Whether an error says that no event names the object and none will. After a commit whose answer was lost one may, and
/// so may one of an appender that ended: the object stays then, and if it is nobody's a collection finds it.
fn is_unrecorded(error: &Error) -> bool {
    match error {
        Error::Stopping => false,
        Error::Log(error) => {
            !matches!(**error, events::Error::Db(db::Error::Commit(_)) | events::Error::Closed)
        }
        _ => true,
    }
}

fn body(mut pieces: mpsc::Receiver<Bytes>) -> Body {
    Box::pin(stream::poll_fn(move |context| pieces.poll_recv(context).map(|piece| piece.map(Ok))))
}

fn copy(stored: &Stored) -> Copy {
    let Location { backend, key, size, version } = stored.location.clone();
    Copy { content: stored.digests.content().clone(), size, backend, key, version }
}

/// Where the object of a snapshot is.
pub(super) fn location(object: &Copy) -> Location {
    let Copy { content: _, size, backend, key, version } = object.clone();
    Location { backend, key, size, version }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_object_that_an_event_may_name_is_not_taken_for_nobodys() {
        let failed = |error| is_unrecorded(&Error::Log(Arc::new(error)));
        assert!(!failed(events::Error::Closed) && !is_unrecorded(&Error::Stopping));
        assert!(failed(events::Error::Poisoned("a panic".to_owned())) && failed(events::Error::Absent));
    }
}

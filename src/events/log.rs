//! The handle to the log.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::appender::Appender;
use super::command::{Queued, Submitted};
use super::feed::{self, Filter, Limit, Lookout, Page, Scout};
use super::follower::Follower;
use super::snapshot::Shelf;
use super::tail::Tail;
use super::{Actor, Command, Committed, Error, Event, Head, Projections, Refusal, Sequence, query, replay};
use crate::clock::Clock;
use crate::db::Db;
use crate::package::PackageId;

/// Commands that may wait; a further one waits to be queued, which slows its client.
const QUEUE: usize = 256;

/// Told of every commit, of every replica, once and in order. Of a commit here before its commands are answered,
/// so that a cache is never behind a reader that was told of its own write; of one elsewhere before
/// [`Log::current`] returns to a reader that asked after it.
pub trait Observer: Send + Sync {
    /// These events are durable. Must not block.
    fn committed(&self, events: &[Event]);

    /// Anything may have changed: too many events were missed, one is not understood, the outcome of a commit
    /// can not be found out, or the views were rebuilt. What was remembered must be forgotten. Must not block.
    fn lost_track(&self);
}

/// The handle to the log. Cheap to clone; the appender ends when the last one is gone.
#[derive(Clone, Debug)]
pub struct Log {
    db: Db,
    queue: mpsc::Sender<Box<dyn Queued>>,
    tail: Arc<Tail>,
    lookout: Arc<Lookout>,
    views_version: i64,
    horizon: Sequence,
    /// Nobody else writes to an embedded database, so there is nobody to follow.
    follower: Option<Follower>,
}

impl Log {
    /// Opens the log in `db`, starts one where there is none, rebuilds views that another version of the
    /// projections wrote or that are lost altogether, and starts the appender.
    ///
    /// In a shared database views of a newer version stay, and the log is refused: newer replicas are running.
    pub async fn open(
        db: Db,
        projections: Projections,
        clock: Clock,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        Self::open_with(db, projections, clock, observer, None).await
    }

    /// The same; views that are rebuilt begin with the newest snapshot on the shelf that can be used.
    pub async fn open_with(
        db: Db,
        projections: Projections,
        clock: Clock,
        observer: Arc<dyn Observer>,
        shelf: Option<&dyn Shelf>,
    ) -> Result<Self, Error> {
        let mut head = Head::load_or_create(&db).await?;
        let version = projections.version();
        if head.views_version > version && db.is_shared() {
            return Err(Error::Superseded { known: version, found: head.views_version });
        }
        if head.views_version != version || replay::are_lost_in(&db, &projections).await? {
            head = replay::bring_up_to_date(&db, &projections, shelf).await?;
        }
        let horizon = feed::horizon(&db).await?;
        let tail = Arc::new(Tail::open(db.clone(), observer, head).await?);
        let bell = Arc::new(Notify::new());
        let start = |listener| Follower::start(&db, listener, &tail, Arc::clone(&bell));
        let follower = db.listener().map(start);
        let lookout = Arc::new(Lookout::default());
        tokio::spawn(feed::look_out(Arc::clone(&lookout), Arc::clone(tail.ring()), tail.watch()));
        let (queue, commands) = mpsc::channel(QUEUE);
        let appender = Appender { db: db.clone(), projections, clock, tail: Arc::clone(&tail), bell };
        tokio::spawn(appender.run(commands));
        Ok(Self { db, queue, tail, lookout, views_version: version, horizon, follower })
    }

    /// Has a command decided and, if accepted, recorded durably.
    ///
    /// Cancelling the future does not take the command back.
    pub async fn submit<C: Command>(
        &self,
        actor: Actor,
        command: C,
    ) -> Result<Committed, Refusal<C::Rejection>> {
        let (reply, answer) = oneshot::channel();
        let queued = Submitted::new(actor, command, reply);
        let closed = || Refusal::Failed(Arc::new(Error::Closed));
        self.queue.send(Box::new(queued)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// A read barrier: when it returns, the observer was told of every event that any replica had acknowledged
    /// before the call, or, with an allowed age, that long before it. On an embedded database at once.
    pub async fn current(&self) -> Result<(), Arc<Error>> {
        match &self.follower {
            Some(follower) => follower.current().await,
            None => Ok(()),
        }
    }

    /// The same for a place in the log that somebody was given, perhaps by another replica and a moment ago: where it is
    /// beyond what is known, the log is looked at whatever age is allowed. Returns the number of the newest event.
    pub async fn current_at(&self, place: Sequence) -> Result<Sequence, Arc<Error>> {
        self.current().await?;
        match &self.follower {
            Some(follower) if place > self.last() => follower.current_now().await?,
            _ => {}
        }
        Ok(self.last())
    }

    /// The number of the newest event this process knows of.
    pub fn last(&self) -> Sequence {
        self.tail.last()
    }

    /// Follows the head: changes after every commit, here or elsewhere.
    pub fn watch(&self) -> watch::Receiver<Head> {
        self.tail.watch()
    }

    /// Up to `limit` events in order, after the one given. Fewer do not say that there are no more: events with large
    /// payloads make short pages, of 4 MiB or of one event.
    pub async fn after(&self, after: Sequence, limit: i64) -> Result<Vec<Event>, Error> {
        let log_id = self.tail.watch().borrow().log_id.clone();
        query::after(&self.db, &log_id, after, limit).await
    }

    /// What a filter matches of the events after the one given, in order: up to `limit`, which is at least 1, or 4 MiB
    /// of payload, of the next [`feed::SCANNED`] events. Reads memory alone where the newest events are enough.
    ///
    /// [`Error::Forked`] once the log is not the one this process knows, and [`Error::Expired`] where the next event is
    /// not in the log any more.
    pub async fn feed(
        &self,
        after: Sequence,
        filter: &Filter,
        limit: impl Into<Limit>,
    ) -> Result<Page, Error> {
        let limit = limit.into();
        if let Some(forked) = self.tail.forked() {
            return Err(Error::Forked(forked.clone()));
        }
        let head = self.tail.watch().borrow().clone();
        if after >= head.last() {
            return Ok(Page { records: Vec::new(), scanned_to: after, head: head.last() });
        }
        if let Some(page) = feed::recent(self.tail.ring(), &head, after, filter, limit) {
            return Ok(page);
        }
        if after < self.horizon {
            return Err(Error::Expired { horizon: self.horizon });
        }
        feed::scan(&self.db, &head, after, filter, limit).await
    }

    /// Keeps watch for events that a filter lets through.
    pub fn scout(&self, filter: &Filter) -> Scout {
        self.lookout.scout(filter, || self.last())
    }

    /// The number of the last event that is not in the log any more; 0 while all are.
    pub fn horizon(&self) -> Sequence {
        self.horizon
    }

    /// The same of one package.
    pub async fn of_package(
        &self,
        package: &PackageId,
        after: Sequence,
        limit: i64,
    ) -> Result<Vec<Event>, Error> {
        let log_id = self.tail.watch().borrow().log_id.clone();
        query::of_package(&self.db, &log_id, package, after, limit).await
    }

    /// How many events such a page has, and how many bytes of payload.
    pub async fn size_of_package(
        &self,
        package: &PackageId,
        after: Sequence,
        limit: i64,
    ) -> Result<(i64, i64), Error> {
        query::size_of_package(&self.db, package, after, limit).await
    }

    /// The same of one collection: what it did to which objects.
    pub async fn of_run(&self, run: &str, after: Sequence, limit: i64) -> Result<Vec<Event>, Error> {
        let log_id = self.tail.watch().borrow().log_id.clone();
        query::of_run(&self.db, &log_id, run, after, limit).await
    }

    /// How many events such a page has, and how many bytes of payload.
    pub async fn size_of_run(&self, run: &str, after: Sequence, limit: i64) -> Result<(i64, i64), Error> {
        query::size_of_run(&self.db, run, after, limit).await
    }

    /// Whether the appender still takes commands.
    pub fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }

    /// One sentence when nothing can be appended until somebody does something.
    pub fn problem(&self) -> Option<String> {
        if let Some(forked) = self.tail.forked() {
            return Some(forked.to_string());
        }
        let found = self.tail.watch().borrow().views_version;
        if found != self.views_version {
            return Some(Error::Superseded { known: self.views_version, found }.to_string());
        }
        (!self.is_open()).then(|| "the event log takes no commands any more".to_owned())
    }
}

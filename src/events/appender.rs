//! The appender: group commit.
//!
//! ```text
//! wait for a command; drain what else has queued (never wait to fill a batch)
//! BEGIN; head row; load the rows the batch names
//! per command: decide -> number and seal events -> fold into the rows     (in memory, pure)
//! write events, manifest bytes and changed view rows in bulk; write the head; COMMIT
//! publish the head; answer everyone
//! ```
//! A rejected command records nothing and its answer waits for the commit too, since it may have been
//! decided on what an earlier command of the batch did. When the engine refuses a batch or code of a
//! projection panics in it, each command is tried alone, so one that cannot be stored fails alone.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::event::{EVENTS, Envelope};
use super::{
    Actor, CommandId, Error, Event, Fact, Head, MANIFEST_CONTENTS, Projections, Read, Rows, Sequence, replay,
};
use crate::clock::Clock;
use crate::db::{self, Db, Row, Tx, Value};
use crate::oci::Digest;

/// Commands in one transaction at most.
const MAX_BATCH: usize = 256;

/// Manifest bytes in one transaction at most, so that a batch of large ones stays bounded in memory.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Commands that may wait; a further one waits to be queued, which slows its client.
const QUEUE: usize = 256;

/// A change somebody wants.
pub trait Command: Send + Sync + 'static {
    /// Why the registry says no.
    type Rejection: Send + Sync + 'static;

    /// The rows [`decide`](Self::decide) and the folding of its events will look at. A hint: it lets the
    /// appender load a whole batch in a few statements.
    fn reads(&self) -> Vec<Read>;

    /// Decides on the rows as they are now. Pure; may run more than once.
    fn decide(&self, rows: &Rows) -> Result<Decision, Self::Rejection>;

    /// Bytes this command will add beside its events.
    fn weight(&self) -> usize {
        0
    }
}

/// What a command leads to. Without facts it changes nothing.
#[derive(Debug, Default)]
pub struct Decision {
    /// What happened, in order.
    pub facts: Vec<Fact>,
    /// Manifest bytes the facts name, by content address; stored in the same transaction.
    pub contents: Vec<(Digest, Bytes)>,
}

/// The durable outcome of a command.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The events it recorded; empty when everything was already so.
    pub events: Vec<Event>,
}

/// Why a command has no outcome.
#[derive(Debug)]
pub enum Refusal<R> {
    /// It was decided: no.
    Rejected(R),
    /// The log failed. Shared by everyone in the batch.
    Failed(Arc<Error>),
}

/// Told of every commit before its commands are answered, so that a cache is never behind a reader that was
/// told of its own write.
pub trait Observer: Send + Sync {
    /// These events are durable now, or may be: when the outcome of a commit can not be found out, forgetting
    /// too much is right. Must not block.
    fn committed(&self, events: &[Event]);
}

/// The handle to the log. Cheap to clone; the appender ends when the last one is gone.
#[derive(Clone, Debug)]
pub struct Log {
    queue: mpsc::Sender<Box<dyn Queued>>,
    head: watch::Receiver<Head>,
}

impl Log {
    /// Opens the log in `db`, starts one where there is none, rebuilds views that another version of the
    /// projections wrote, and starts the appender.
    pub async fn open(
        db: Db,
        projections: Projections,
        clock: Clock,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        let mut head = Head::load_or_create(&db).await?;
        if head.views_version != projections.version() {
            replay::rebuild(&db, &projections).await?;
            head.views_version = projections.version();
        }
        let (queue, commands) = mpsc::channel(QUEUE);
        let (publish, head) = watch::channel(head);
        tokio::spawn(Appender { db, projections, clock, observer, publish }.run(commands));
        Ok(Self { queue, head })
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
        let id = CommandId::random();
        let queued = Submitted { actor, id, command, rejection: None, reply };
        let closed = || Refusal::Failed(Arc::new(Error::Closed));
        self.queue.send(Box::new(queued)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Returns when this process has seen every event that was acknowledged before the call, whoever wrote it: what
    /// an [`Observer`] forgets is forgotten then.
    #[expect(clippy::unused_async, reason = "a shared database makes it wait")]
    pub async fn current(&self) -> Result<(), Error> {
        Ok(()) // one process writes to the embedded database, and tells its observer before it answers
    }

    /// The number of the newest committed event.
    pub fn last(&self) -> Sequence {
        self.head.borrow().last()
    }

    /// Follows the head: changes after every commit.
    pub fn watch(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }

    /// Whether the appender still takes commands.
    pub fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }
}

/// A command in the queue, its types erased.
trait Queued: Send + Sync {
    fn id(&self) -> &CommandId;
    fn actor(&self) -> &Actor;
    fn weight(&self) -> usize;
    fn reads(&self) -> Vec<Read>;
    /// `None` when the command was rejected; the rejection is kept for [`answer`](Self::answer).
    fn decide(&mut self, rows: &Rows) -> Option<Decision>;
    fn answer(self: Box<Self>, outcome: Result<Committed, Arc<Error>>);
}

struct Submitted<C: Command> {
    actor: Actor,
    id: CommandId,
    command: C,
    rejection: Option<C::Rejection>,
    reply: oneshot::Sender<Result<Committed, Refusal<C::Rejection>>>,
}

impl<C: Command> Queued for Submitted<C> {
    fn id(&self) -> &CommandId {
        &self.id
    }

    fn actor(&self) -> &Actor {
        &self.actor
    }

    fn weight(&self) -> usize {
        self.command.weight()
    }

    fn reads(&self) -> Vec<Read> {
        self.command.reads()
    }

    fn decide(&mut self, rows: &Rows) -> Option<Decision> {
        match self.command.decide(rows) {
            Ok(decision) => {
                self.rejection = None;
                Some(decision)
            }
            Err(rejection) => {
                self.rejection = Some(rejection);
                None
            }
        }
    }

    fn answer(self: Box<Self>, outcome: Result<Committed, Arc<Error>>) {
        let answer = match (outcome, self.rejection) {
            (Err(error), _) => Err(Refusal::Failed(error)),
            (Ok(_), Some(rejection)) => Err(Refusal::Rejected(rejection)),
            (Ok(committed), None) => Ok(committed),
        };
        // Nobody listens when the client is gone; the outcome stands.
        let _ = self.reply.send(answer);
    }
}

type Outcome = Result<Committed, Arc<Error>>;

struct Appender {
    db: Db,
    projections: Projections,
    clock: Clock,
    observer: Arc<dyn Observer>,
    publish: watch::Sender<Head>,
}

/// What one transaction will write.
#[derive(Default)]
struct Batch {
    rows: Rows,
    events: Vec<Row>,
    contents: BTreeMap<String, Bytes>,
}

impl Appender {
    async fn run(self, mut commands: mpsc::Receiver<Box<dyn Queued>>) {
        let mut too_heavy = None;
        loop {
            let first = match too_heavy.take() {
                Some(command) => Some(command),
                None => commands.recv().await,
            };
            let Some(first) = first else { break };
            let mut weight = first.weight();
            let mut batch = vec![first];
            while batch.len() < MAX_BATCH {
                let Ok(next) = commands.try_recv() else { break };
                if weight + next.weight() > MAX_BATCH_BYTES {
                    too_heavy = Some(next);
                    break;
                }
                weight += next.weight();
                batch.push(next);
            }
            let outcomes = self.append_all(&mut batch).await;
            for (command, outcome) in batch.into_iter().zip(outcomes) {
                command.answer(outcome);
            }
        }
    }

    /// Appends the batch; when one of its commands spoils it, one command at a time.
    async fn append_all(&self, batch: &mut [Box<dyn Queued>]) -> Vec<Outcome> {
        match self.append(batch).await {
            Ok(outcomes) => outcomes,
            Err(Error::Db(db::Error::Constraint(_)) | Error::Poisoned(_)) if batch.len() > 1 => {
                let mut outcomes = Vec::with_capacity(batch.len());
                for command in batch.chunks_mut(1) {
                    let alone = self.append(command).await;
                    outcomes.extend(alone.unwrap_or_else(|error| vec![Err(Arc::new(error))]));
                }
                outcomes
            }
            Err(error) => {
                let error = Arc::new(error);
                batch.iter().map(|_| Err(Arc::clone(&error))).collect()
            }
        }
    }

    async fn append(&self, commands: &mut [Box<dyn Queued>]) -> Result<Vec<Outcome>, Error> {
        let mut tx = self.db.write().await?;
        let mut head = Head::load(&mut tx).await?;
        let mut batch = Batch::default();
        batch.rows.load(&mut tx, commands.iter().flat_map(|command| reads(&**command)).collect()).await?;
        let mut outcomes = Vec::with_capacity(commands.len());
        for command in &mut *commands {
            outcomes.push(self.decide(&mut **command, &mut batch, &mut head, &mut tx).await?);
        }
        if batch.events.is_empty() {
            return Ok(outcomes);
        }
        batch.write(&head, &mut tx).await?;
        if let Err(error) = tx.commit().await {
            // The commit may have happened all the same: the log itself knows, by command id.
            match self.is_recorded(commands, &outcomes).await {
                Ok(true) => {}
                Ok(false) => return Err(error.into()),
                Err(_) => {
                    self.tell(&outcomes);
                    return Err(error.into());
                }
            }
        }
        self.tell(&outcomes);
        self.publish.send_replace(head);
        Ok(outcomes)
    }

    fn tell(&self, outcomes: &[Outcome]) {
        for done in outcomes.iter().flatten() {
            self.observer.committed(&done.events);
        }
    }

    /// Decides one command and folds its events into the batch.
    async fn decide(
        &self,
        command: &mut dyn Queued,
        batch: &mut Batch,
        head: &mut Head,
        tx: &mut Tx,
    ) -> Result<Outcome, Error> {
        let decision = loop {
            let decided = catch_unwind(AssertUnwindSafe(|| command.decide(&batch.rows)));
            let missed = batch.rows.take_missed();
            if !missed.is_empty() {
                // Whatever it came to, it came to it without rows that are there.
                batch.rows.load(tx, missed).await?;
                continue;
            }
            match decided {
                Err(panic) => return Ok(Err(Arc::new(Error::Poisoned(reason(&*panic))))),
                Ok(decision) => break decision,
            }
        };
        let Some(decision) = decision else {
            return Ok(Ok(Committed { events: Vec::new() }));
        };
        let recorded_at = self.clock.now().max(head.last_recorded_at);
        let mut events = Vec::with_capacity(decision.facts.len());
        for (fact, sequence) in decision.facts.into_iter().zip(head.next_sequence..) {
            let (actor, id) = (command.actor(), command.id());
            let envelope = Envelope { log_id: &head.log_id, sequence, recorded_at, actor, command: id };
            match Event::seal(fact, envelope) {
                Ok(event) => events.push(event),
                // Nothing of this command is in the batch yet.
                Err(error) => return Ok(Err(Arc::new(error))),
            }
        }
        for event in &events {
            fold(event, &self.projections, &mut batch.rows, tx).await?;
            head.next_sequence = event.sequence + 1;
            head.last_recorded_at = recorded_at;
            batch.events.push(event.row());
        }
        batch
            .contents
            .extend(decision.contents.into_iter().map(|(digest, bytes)| (digest.to_string(), bytes)));
        Ok(Ok(Committed { events }))
    }

    /// Whether the first command of the batch that recorded anything is in the log.
    async fn is_recorded(&self, commands: &[Box<dyn Queued>], outcomes: &[Outcome]) -> Result<bool, Error> {
        let recorded = |outcome: &Outcome| outcome.as_ref().is_ok_and(|done| !done.events.is_empty());
        let Some((command, _)) = commands.iter().zip(outcomes).find(|(_, outcome)| recorded(outcome)) else {
            return Ok(false);
        };
        let id = Value::from(command.id().as_str());
        let found =
            self.db.query("SELECT sequence FROM events WHERE command_id = $1 LIMIT 1", vec![id]).await?;
        Ok(!found.is_empty())
    }
}

impl Batch {
    async fn write(self, head: &Head, tx: &mut Tx) -> Result<(), Error> {
        tx.insert(&EVENTS, &self.events).await?;
        let contents = self.contents.into_iter();
        let contents: Vec<Row> =
            contents.map(|(digest, bytes)| Row(vec![digest.into(), bytes.to_vec().into()])).collect();
        tx.upsert(&MANIFEST_CONTENTS, &contents).await?;
        write(self.rows, tx).await?;
        head.store(tx).await
    }
}

/// Folds one event into the rows, loading whatever the projections turn out to look at.
pub(super) async fn fold(
    event: &Event,
    views: &Projections,
    rows: &mut Rows,
    tx: &mut Tx,
) -> Result<(), Error> {
    loop {
        let changes = catch_unwind(AssertUnwindSafe(|| views.apply(event, rows)));
        let missed = rows.take_missed();
        if !missed.is_empty() {
            rows.load(tx, missed).await?;
            continue;
        }
        let changes = changes.map_err(|panic| Error::Poisoned(reason(&*panic)))?;
        for change in changes {
            rows.apply(change);
        }
        return Ok(());
    }
}

/// The declared reads. Only a hint, so a command that panics over them goes without: its decision says more.
fn reads(command: &dyn Queued) -> Vec<Read> {
    catch_unwind(AssertUnwindSafe(|| command.reads())).unwrap_or_default()
}

/// Writes the net changes of a working set in bulk.
pub(super) async fn write(rows: Rows, tx: &mut Tx) -> Result<(), Error> {
    for (table, upserts, deletes) in rows.into_changes() {
        tx.delete(table, &deletes).await?;
        tx.upsert(table, &upserts).await?;
    }
    Ok(())
}

fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

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
use tokio::sync::{Notify, mpsc};

use super::command::Queued;
use super::event::{EVENTS, Envelope};
use super::patience::Patience;
use super::tail::Tail;
use super::{Committed, Error, Event, Head, MANIFEST_CONTENTS, Projections, Read, Rows};
use crate::clock::Clock;
use crate::db::{self, Db, Row, Tx, Value};

/// Commands in one transaction at most.
const MAX_BATCH: usize = 256;

/// Manifest bytes in one transaction at most, so that a batch of large ones stays bounded in memory.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

const RECORDED: &str = "SELECT sequence FROM events WHERE command_id = $1 LIMIT 1";

/// Every named statement of this module.
pub(super) static STATEMENTS: &[&str] = &[RECORDED];

type Outcome = Result<Committed, Arc<Error>>;

pub(super) struct Appender {
    pub(super) db: Db,
    pub(super) projections: Projections,
    pub(super) clock: Clock,
    pub(super) tail: Arc<Tail>,
    /// Rung after every commit.
    pub(super) bell: Arc<Notify>,
}

/// What one transaction will write.
#[derive(Default)]
struct Batch {
    rows: Rows,
    events: Vec<Row>,
    contents: BTreeMap<String, Bytes>,
}

impl Appender {
    pub(super) async fn run(self, mut commands: mpsc::Receiver<Box<dyn Queued>>) {
        let mut too_heavy = None;
        loop {
            let first = match too_heavy.take() {
                Some(command) => Some(command),
                None => commands.recv().await,
            };
            let Some(first) = first else { break };
            let mut weight = first.weight();
            let mut batch = vec![first];
            let mut before = 0;
            while batch.len() < MAX_BATCH {
                let Ok(next) = commands.try_recv() else {
                    if before == batch.len() {
                        break;
                    }
                    // Those who were just answered may have more to say. One that came a moment too late would
                    // make every second batch a small one.
                    before = batch.len();
                    tokio::task::yield_now().await;
                    continue;
                };
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
        let mut patience = Patience::new(self.db.is_shared());
        match self.persist(batch, &mut patience).await {
            Ok(outcomes) => outcomes,
            Err(Error::Db(db::Error::Constraint(_)) | Error::Poisoned(_)) if batch.len() > 1 => {
                let mut outcomes = Vec::with_capacity(batch.len());
                let mut away = None::<Arc<Error>>;
                for command in batch.chunks_mut(1) {
                    if let Some(error) = &away {
                        // Waiting for a database that is away once is enough.
                        outcomes.push(Err(Arc::clone(error)));
                        continue;
                    }
                    match self.persist(command, &mut patience).await {
                        Ok(alone) => outcomes.extend(alone),
                        Err(error) => {
                            let is_away = error.is_unavailable();
                            let error = Arc::new(error);
                            away = is_away.then(|| Arc::clone(&error));
                            outcomes.push(Err(error));
                        }
                    }
                }
                outcomes
            }
            Err(error) => {
                let error = Arc::new(error);
                batch.iter().map(|_| Err(Arc::clone(&error))).collect()
            }
        }
    }

    /// Appends, and tries again while the database is away; for a while.
    async fn persist(
        &self,
        commands: &mut [Box<dyn Queued>],
        patience: &mut Patience,
    ) -> Result<Vec<Outcome>, Error> {
        loop {
            match self.append(commands).await {
                Err(error) if error.is_unavailable() && patience.wait().await => {}
                done => return done,
            }
        }
    }

    async fn append(&self, commands: &mut [Box<dyn Queued>]) -> Result<Vec<Outcome>, Error> {
        let mut tx = self.db.write().await?;
        let mut head = Head::load(&mut tx).await?;
        self.tail.accept(&head)?;
        self.tail.recognise(&head, &mut tx).await?;
        if head.views_version != self.projections.version() {
            let known = self.projections.version();
            return Err(Error::Superseded { known, found: head.views_version });
        }
        let first = head.next_sequence;
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
        match tx.commit().await {
            Ok(()) => {}
            Err(error @ db::Error::Commit(_)) => self.find_out(error, commands, &outcomes).await?,
            Err(error) => return Err(error.into()),
        }
        let events = outcomes.iter().flatten().map(|done| &done.events[..]);
        self.tail.committed(first, head, events).await;
        self.bell.notify_one();
        Ok(outcomes)
    }

    /// After a commit whose answer was lost: `Ok` when it happened all the same. The log itself knows, by
    /// command id.
    async fn find_out(
        &self,
        error: db::Error,
        commands: &[Box<dyn Queued>],
        outcomes: &[Outcome],
    ) -> Result<(), Error> {
        let recorded = |outcome: &Outcome| outcome.as_ref().is_ok_and(|done| !done.events.is_empty());
        let Some((command, _)) = commands.iter().zip(outcomes).find(|(_, outcome)| recorded(outcome)) else {
            return Err(error.into());
        };
        let mut patience = Patience::new(self.db.is_shared());
        loop {
            match self.is_recorded(&**command).await {
                Ok(true) => return Ok(()),
                // Decided and appended again, where that is safe.
                Ok(false) if self.db.is_shared() => return Err(error.undone().into()),
                Ok(false) => return Err(error.into()),
                Err(db::Error::Unavailable(_)) if patience.wait().await => {}
                Err(_) => {
                    self.tail.lost_track();
                    return Err(error.into());
                }
            }
        }
    }

    async fn is_recorded(&self, command: &dyn Queued) -> Result<bool, db::Error> {
        let id = vec![Value::from(command.id().as_str())];
        let found = if self.db.is_shared() {
            // The lock of the head waits for the lost transaction, which may still be at work.
            self.db.write().await?.query(RECORDED, id).await?
        } else {
            self.db.query(RECORDED, id).await?
        };
        Ok(!found.is_empty())
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

//! What is submitted to the log, and what comes of it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Actor, CommandId, Error, Event, Fact, Read, Rows};
use crate::oci::Digest;

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

/// A command in the queue, its types erased.
pub(super) trait Queued: Send + Sync {
    fn id(&self) -> &CommandId;
    fn actor(&self) -> &Actor;
    fn weight(&self) -> usize;
    fn reads(&self) -> Vec<Read>;
    /// `None` when the command was rejected; the rejection is kept for [`answer`](Self::answer).
    fn decide(&mut self, rows: &Rows) -> Option<Decision>;
    fn answer(self: Box<Self>, outcome: Result<Committed, Arc<Error>>);
}

pub(super) struct Submitted<C: Command> {
    actor: Actor,
    id: CommandId,
    command: C,
    rejection: Option<C::Rejection>,
    reply: oneshot::Sender<Answer<C>>,
}

/// What a submitter is told.
pub(super) type Answer<C> = Result<Committed, Refusal<<C as Command>::Rejection>>;

impl<C: Command> Submitted<C> {
    pub(super) fn new(actor: Actor, command: C, reply: oneshot::Sender<Answer<C>>) -> Self {
        Self { actor, id: CommandId::random(), command, rejection: None, reply }
    }
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

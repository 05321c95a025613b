//! Proof that nothing was missed: what may follow what.

use super::{Event, Frame, Identity, Seen};

/// What was told is not the log, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Events are missing.
    #[error("event {expected} is missing: event {found} was told next")]
    Gap {
        /// The number that should have come.
        expected: i64,
        /// The number that came.
        found: i64,
    },
    /// Everything is wanted, and something was passed over.
    #[error(
        "event {expected} is missing: the log was looked through to event {found} and nothing of it was told"
    )]
    Unshown {
        /// The number that should have come.
        expected: i64,
        /// How far the log was said to have been looked through.
        found: i64,
    },
    /// An event came twice, or behind a later one.
    #[error("event {found} was told again: everything up to event {position} was told before")]
    Again {
        /// The number that came.
        found: i64,
        /// Where the reader was.
        position: i64,
    },
    /// A bookmark leads back.
    #[error("a bookmark leads back to event {found}: everything up to event {position} was told before")]
    Backwards {
        /// Where it leads.
        found: i64,
        /// Where the reader was.
        position: i64,
    },
    /// More was told than there is said to be.
    #[error("event {found} was told, and the log is said to end at event {head}")]
    BeyondHead {
        /// The number that came, or to which the log was looked through.
        found: i64,
        /// The newest event.
        head: i64,
    },
    /// Another log answers.
    #[error(
        "this is log {log_id} (epoch {epoch}), and the cursor is of log {known} (epoch {known_epoch}): the registry \
         was restored or replaced; look at what it holds before you begin anew"
    )]
    OtherLog {
        /// The log that answers.
        log_id: String,
        /// Its epoch.
        epoch: i64,
        /// The log that was read before.
        known: String,
        /// Its epoch then.
        known_epoch: i64,
    },
    /// The log goes on from somewhere else.
    #[error(
        "event {sequence} is not the one that was read before ({}, it had {known}): the registry was restored and has \
         gone on differently; look at what it holds before you begin anew",
        found.as_ref().map_or_else(|| "it is not there".to_owned(), |hash| format!("it has the leaf hash {hash}"))
    )]
    OtherEvent {
        /// The event.
        sequence: i64,
        /// The leaf hash it has now; none when it is not there.
        found: Option<String>,
        /// The leaf hash it had.
        known: String,
    },
    /// The log ends before the cursor.
    #[error(
        "the cursor is at event {since}, which this log does not have{}: it was restored or is another one; look at \
         what it holds before you begin anew", note(said)
    )]
    Ahead {
        /// The cursor.
        since: i64,
        /// What was said to it; may be empty.
        said: String,
    },
    /// Events behind the cursor are not in the log any more.
    #[error("what follows event {since} is not in the log any more{}", note(said))]
    Expired {
        /// The cursor.
        since: i64,
        /// What was said to it: from where one can go on; may be empty.
        said: String,
    },
}

fn note(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(" ({said})") }
}

/// Compares what is told with what was told before. Knows every rule, and does nothing else.
#[derive(Clone, Debug)]
pub struct Checker {
    log: Identity,
    /// Everything up to here was told.
    position: i64,
    /// The last event that was told, if its leaf hash is known.
    last: Option<Seen>,
    /// Whether every event is wanted: then each number follows the one before.
    is_whole: bool,
}

impl Checker {
    /// A reader of this log that has seen everything up to `position`.
    pub fn new(log: Identity, position: i64, last: Option<Seen>, is_whole: bool) -> Self {
        Self { log, position, last, is_whole }
    }

    /// Everything up to here was told.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// The last event that was told.
    pub fn last(&self) -> Option<&Seen> {
        self.last.as_ref()
    }

    /// The log as it was known when it was last asked.
    pub fn log(&self) -> &Identity {
        &self.log
    }

    /// From where to ask who answers: so that the last event comes first, and can be compared.
    pub fn asks_from(&self) -> i64 {
        self.last.as_ref().map_or(self.position, |seen| seen.sequence - 1)
    }

    /// Does without the comparison of the last event, which is not in the log any more.
    pub(super) fn forget_last(&mut self) {
        self.last = None;
    }

    /// Whether what answers is still the log that was read, when it was asked from [`asks_from`](Self::asks_from).
    pub fn identity(&mut self, found: Identity) -> Result<(), Fault> {
        self.same_log(&found.log_id, found.epoch)?;
        if found.head < self.position {
            return Err(Fault::Ahead { since: self.position, said: format!("it ends at {}", found.head) });
        }
        if let Some(Seen { sequence, leaf_hash }) = &self.last {
            let next = found.next.as_ref().filter(|next| next.sequence == *sequence);
            if next.is_none_or(|next| next.leaf_hash != *leaf_hash) {
                return Err(Fault::OtherEvent {
                    sequence: *sequence,
                    found: next.map(|next| next.leaf_hash.clone()),
                    known: leaf_hash.clone(),
                });
            }
        }
        self.log = found;
        Ok(())
    }

    /// Whether an answer is of the log that is read.
    pub fn same_log(&self, log_id: &str, epoch: i64) -> Result<(), Fault> {
        if log_id == self.log.log_id && epoch == self.log.epoch {
            return Ok(());
        }
        Err(Fault::OtherLog {
            log_id: log_id.to_owned(),
            epoch,
            known: self.log.log_id.clone(),
            known_epoch: self.log.epoch,
        })
    }

    /// Whether this may come next; then the reader is behind it.
    pub fn frame(&mut self, frame: &Frame) -> Result<(), Fault> {
        match frame {
            Frame::Event(event) => self.event(event),
            Frame::Bookmark { scanned_to, head } => self.bookmark(*scanned_to, *head),
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), Fault> {
        let (found, position) = (event.sequence, self.position);
        if found <= position {
            return Err(Fault::Again { found, position });
        }
        if self.is_whole && found != position + 1 {
            return Err(Fault::Gap { expected: position + 1, found });
        }
        self.position = found;
        self.last = event.seen();
        Ok(())
    }

    fn bookmark(&mut self, scanned_to: i64, head: Option<i64>) -> Result<(), Fault> {
        let position = self.position;
        if scanned_to < position {
            return Err(Fault::Backwards { found: scanned_to, position });
        }
        if let Some(head) = head.filter(|head| scanned_to > *head) {
            return Err(Fault::BeyondHead { found: scanned_to, head });
        }
        if self.is_whole && scanned_to != position {
            return Err(Fault::Unshown { expected: position + 1, found: scanned_to });
        }
        self.position = scanned_to;
        Ok(())
    }
}

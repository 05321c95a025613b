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
        "the cursor is at event {since}, which this log does not have: it was restored or is another one; look at what \
         it holds before you begin anew{}",
        note(said)
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn log(head: i64, next: Option<i64>) -> Identity {
        let next = next.map(seen);
        Identity { log_id: "one".to_owned(), epoch: 1, head, next }
    }

    fn seen(sequence: i64) -> Seen {
        Seen { sequence, leaf_hash: format!("hash of {sequence}") }
    }

    fn event(sequence: i64) -> Frame {
        let json = format!(r#"{{"sequence":{sequence},"type":"v1.x.y","leaf_hash":"hash of {sequence}"}}"#);
        Frame::Event(Event::read(Bytes::from(json)).unwrap())
    }

    fn bookmark(scanned_to: i64, head: i64) -> Frame {
        Frame::Bookmark { scanned_to, head: Some(head) }
    }

    fn at(position: i64, is_whole: bool) -> Checker {
        Checker::new(log(100, None), position, None, is_whole)
    }

    #[test]
    fn of_a_whole_log_each_number_follows_the_one_before() {
        let mut checker = at(4, true);
        for frame in [event(5), bookmark(5, 9), event(6), event(7), bookmark(7, 7)] {
            checker.frame(&frame).unwrap();
        }
        assert_eq!((checker.position(), checker.last()), (7, Some(&seen(7))));
        for (frame, fault) in [
            (event(9), Fault::Gap { expected: 8, found: 9 }),
            (event(7), Fault::Again { found: 7, position: 7 }),
            (event(3), Fault::Again { found: 3, position: 7 }),
            (event(-1), Fault::Again { found: -1, position: 7 }),
            (bookmark(6, 9), Fault::Backwards { found: 6, position: 7 }),
            (bookmark(9, 9), Fault::Unshown { expected: 8, found: 9 }),
            (bookmark(8, 7), Fault::BeyondHead { found: 8, head: 7 }),
        ] {
            assert_eq!(checker.frame(&frame), Err(fault));
            assert_eq!(checker.position(), 7, "what cannot be true moves nothing");
        }
        checker.frame(&event(8)).unwrap();
    }

    #[test]
    fn of_a_part_of_it_numbers_and_bookmarks_only_ever_go_ahead() {
        let mut checker = at(0, false);
        for frame in [event(3), bookmark(8, 20), event(9), bookmark(9, 20), bookmark(20, 20)] {
            checker.frame(&frame).unwrap();
        }
        for (frame, fault) in [
            (event(20), Fault::Again { found: 20, position: 20 }),
            (event(9), Fault::Again { found: 9, position: 20 }),
            (bookmark(19, 20), Fault::Backwards { found: 19, position: 20 }),
            (bookmark(21, 20), Fault::BeyondHead { found: 21, head: 20 }),
        ] {
            assert_eq!(checker.frame(&frame), Err(fault));
        }
        assert_eq!(checker.last(), Some(&seen(9)), "a bookmark is no event");
    }

    #[test]
    fn the_log_is_known_again_by_its_name_its_length_and_its_last_event() {
        let mut checker = Checker::new(log(9, None), 7, Some(seen(5)), false);
        assert_eq!(checker.asks_from(), 4);
        checker.identity(log(12, Some(5))).unwrap();
        assert_eq!(checker.log().head, 12);
        let other = Identity { log_id: "two".to_owned(), ..log(12, Some(5)) };
        assert!(matches!(checker.identity(other), Err(Fault::OtherLog { .. })));
        let restored = Identity { epoch: 2, ..log(12, Some(5)) };
        assert!(matches!(checker.identity(restored), Err(Fault::OtherLog { epoch: 2, known_epoch: 1, .. })));
        assert!(matches!(checker.identity(log(6, Some(5))), Err(Fault::Ahead { since: 7, .. })));
        let next = Some(Seen { sequence: 5, leaf_hash: "another".to_owned() });
        let forked = checker.identity(Identity { next, ..log(12, None) }).unwrap_err();
        assert!(matches!(&forked, Fault::OtherEvent { sequence: 5, found: Some(_), .. }), "{forked}");
        for next in [Some(6), None] {
            let gone = checker.identity(log(12, next)).unwrap_err();
            assert!(matches!(&gone, Fault::OtherEvent { sequence: 5, found: None, .. }), "{gone}");
        }
        // Who has seen no event knows the log by its name.
        at(7, false).identity(log(7, None)).unwrap();
    }
}

//! Reading a log on and on.

use std::collections::VecDeque;

use super::super::retry;
use super::{Batch, Checker, Cursor, Error, Event, Fault, Filter, Frame, Identity, Reader};

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Behind this event; 0 is the beginning of the log.
    After(i64),
    /// Behind the newest event there is.
    Now,
    /// Where another reader was.
    At(Cursor),
}

/// How to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which events.
    pub filter: Filter,
    /// Whether to wait for what is yet to come; else it ends where the log ended when it began.
    pub is_followed: bool,
    /// How many events at most.
    pub limit: Option<u64>,
}

/// Reads a log, and proves that nothing was missed: what it gives is each event once and in order, or an error.
#[derive(Debug)]
pub struct Tail<R> {
    reader: R,
    checker: Checker,
    options: Options,
    /// Where it ends when it does not follow.
    end: i64,
    is_connected: bool,
    /// Attempts that brought nothing, one after the other.
    failures: u32,
    /// Whether somebody was told that it broke.
    is_troubled: bool,
    /// Checked when they are given out.
    told: VecDeque<Frame>,
    is_over: bool,
    given: u64,
}

impl<R: Reader> Tail<R> {
    /// Asks who answers. Where the log is not the one of the cursor, or ends before it, it is not begun.
    pub async fn begin(mut reader: R, start: Start, options: Options) -> Result<Self, Error> {
        let is_whole = options.filter.is_everything();
        let begin = |log, position, last| Checker::new(log, position, last, is_whole);
        let checker = match start {
            Start::Now => {
                let log = reader.identify(None).await?;
                let head = log.head;
                begin(log, head, None)
            }
            Start::After(since) => {
                let log = reader.identify(Some(since)).await?;
                if log.head < since {
                    return Err(Fault::Ahead { since, said: format!("it ends at {}", log.head) }.into());
                }
                begin(log, since, None)
            }
            Start::At(Cursor { log_id, epoch, sequence, last, .. }) => {
                let known = Identity { log_id, epoch, head: sequence, next: None };
                let mut checker = begin(known, sequence, last);
                identify(&mut reader, &mut checker).await?;
                checker
            }
        };
        let end = checker.log().head;
        Ok(Self {
            reader,
            checker,
            options,
            end,
            is_connected: true,
            failures: 0,
            is_troubled: false,
            told: VecDeque::new(),
            is_over: false,
            given: 0,
        })
    }

    /// A reader that goes on from here gets what this one would get next.
    pub fn cursor(&self) -> Cursor {
        let log = self.checker.log();
        Cursor::new(
            (log.log_id.clone(), log.epoch),
            self.checker.position(),
            self.checker.last().cloned(),
            self.options.filter.clone(),
        )
    }

    /// The next events; none where only the cursor moved. `None` at the end. What breaks on the way is told to
    /// `trouble`, and tried again, when it follows: as long as it takes.
    ///
    /// Cancelled, it loses nothing.
    pub async fn next(&mut self, trouble: &mut impl FnMut(&Error)) -> Result<Option<Vec<Event>>, Error> {
        loop {
            if self.is_at_end() {
                return Ok(None);
            }
            if !self.told.is_empty() {
                return self.give().map(Some);
            }
            let outcome = self.ask().await;
            let asked = match outcome {
                Ok(true) => continue,
                Ok(false) if !self.options.is_followed => {
                    return Err(Error::Failed("the log was not told to its end; ask again".into()));
                }
                Ok(false) => None,
                Err(error @ Error::Passing { .. }) if self.options.is_followed => {
                    if !std::mem::replace(&mut self.is_troubled, true) {
                        trouble(&error);
                    }
                    if let Error::Passing { after, .. } = error { after } else { None }
                }
                Err(error) => return Err(error),
            };
            self.is_connected = false;
            self.failures += 1;
            tokio::time::sleep(retry::pause(self.failures, asked)).await;
        }
    }

    /// Whether everything that was wanted was given out.
    fn is_at_end(&self) -> bool {
        let is_enough = self.options.limit.is_some_and(|limit| self.given >= limit);
        is_enough
            || (!self.options.is_followed && self.told.is_empty() && self.checker.position() >= self.end)
    }

    /// Gives out what was told, as far as it can be true; what is wrong with the rest is told the next time.
    fn give(&mut self) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        while let Some(frame) = self.told.front() {
            if self.options.limit.is_some_and(|limit| self.given >= limit) {
                break;
            }
            match self.checker.frame(frame) {
                Ok(()) => {}
                Err(fault) if events.is_empty() => return Err(fault.into()),
                Err(_) => break,
            }
            if let Some(Frame::Event(event)) = self.told.pop_front() {
                self.given += 1;
                events.push(event);
            }
        }
        Ok(events)
    }

    /// Whether something was told. What is over was in order, and is begun again after a pause all the same.
    async fn ask(&mut self) -> Result<bool, Error> {
        if std::mem::take(&mut self.is_over) {
            return Ok(false);
        }
        if !self.is_connected {
            identify(&mut self.reader, &mut self.checker).await?;
            self.is_connected = true;
        }
        let Batch { log, frames, is_over } =
            self.reader.read(self.checker.position(), self.checker.log()).await?;
        if let Some((log_id, epoch)) = log {
            self.checker.same_log(&log_id, epoch)?;
        }
        let brought_something = !frames.is_empty();
        // A stream that begins and ends where it was before has not got on.
        let position = self.checker.position();
        let goes_on = |frame: &Frame| match frame {
            Frame::Event(_) => true,
            Frame::Bookmark { scanned_to, .. } => *scanned_to > position,
        };
        if frames.iter().any(goes_on) {
            (self.failures, self.is_troubled) = (0, false);
        }
        self.is_over = is_over && self.options.is_followed && brought_something;
        self.told.extend(frames);
        Ok(brought_something)
    }
}

/// Asks who answers, and whether it is still the log that was read.
async fn identify<R: Reader>(reader: &mut R, checker: &mut Checker) -> Result<(), Error> {
    let from = checker.asks_from();
    let found = match reader.identify(Some(from)).await {
        // The last event is just not there any more, and what follows it may be.
        Err(Error::Fault(Fault::Expired { .. })) if from < checker.position() => {
            let found = reader.identify(Some(checker.position())).await?;
            checker.forget_last();
            found
        }
        found => found?,
    };
    Ok(checker.identity(found)?)
}

//! The commands of the compliance clock. Decided on the last tick there is, whoever wrote it: it never goes back.

use super::keeper::is_ahead;
use crate::clock::Micros;
use crate::events::{ClockResynchronised, ClockTicked, Command, Decision, Fact, Read, Rows, Sequence};
use crate::registry::Error;
use crate::views::compliance;

/// The clock is read for the record.
#[derive(Debug)]
pub(super) struct TakeTick {
    pub(super) wall: Micros,
    /// As it was measured: a lower bound, also when others have ticked since.
    pub(super) compliance: Micros,
    pub(super) limit: Micros,
    /// The tick that was the last one; when another replica was faster, that will do.
    pub(super) seen: Option<Sequence>,
}

impl Command for TakeTick {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![compliance::read()]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let Some(last) = compliance::get(rows) else { return Ok(Decision::default()) };
        let compliance = self.compliance.max(last.compliance);
        // Only a person ends it.
        let is_frozen = last.is_frozen || is_ahead(self.wall, compliance, self.limit);
        let is_done = self.seen.is_some_and(|seen| seen != last.sequence) && is_frozen == last.is_frozen;
        if is_done {
            return Ok(Decision::default());
        }
        let fact = ClockTicked { wall: self.wall, compliance, is_frozen };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

/// Somebody says that the system's clock is right.
#[derive(Debug)]
pub(super) struct Resynchronise {
    pub(super) wall: Micros,
    pub(super) compliance: Micros,
    pub(super) reason: String,
}

impl Command for Resynchronise {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![compliance::read()]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let last = compliance::get(rows).ok_or(Error::ClockNotBegun)?;
        let compliance = self.wall.max(self.compliance).max(last.compliance);
        let fact = ClockResynchronised { compliance, reason: self.reason.clone() };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

/// A command with which the clock begins, if something is retained by it for the first time.
#[derive(Debug)]
pub(in crate::registry) struct WithClock<C> {
    pub(in crate::registry) command: C,
    /// What the system's clock showed. Nothing was retained before, so nothing ends early by it.
    pub(in crate::registry) wall: Micros,
}

impl<C: Command> Command for WithClock<C> {
    type Rejection = C::Rejection;

    fn reads(&self) -> Vec<Read> {
        self.command.reads()
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, C::Rejection> {
        let mut decision = self.command.decide(rows)?;
        let retains = decision.facts.iter().any(|fact| matches!(fact, Fact::RetentionResolved(_)));
        if retains && compliance::get(rows).is_none() {
            let (wall, compliance) = (self.wall, self.wall);
            decision.facts.push(ClockTicked { wall, compliance, is_frozen: false }.into());
        }
        Ok(decision)
    }

    fn weight(&self) -> usize {
        self.command.weight()
    }
}

/// Refuses while the clock is frozen on record.
pub(in crate::registry) fn refuse_frozen(rows: &Rows) -> Result<(), Error> {
    match compliance::get(rows) {
        Some(tick) if tick.is_frozen => {
            Err(Error::ClockFrozen { wall: tick.wall, compliance: tick.compliance })
        }
        _ => Ok(()),
    }
}

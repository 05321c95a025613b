//! A registry that lives through a history.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::TestCaseError;

use super::call::{Call, Made, content, make};
use super::reference::{Checked, Reference, must};
use super::rules::policy;
use super::step::Step;
use super::{BLOBS, REPOSITORIES};
use crate::clock::{Clock, ManualClock, Micros, SECOND};
use crate::dataplane::DataPlane;
use crate::db::testing::{On, Place};
use crate::db::{Access, Db};
use crate::registry::{Actor, CollectionOptions, Error, Options, Registry};
use crate::storage::Memory;
use crate::storage::testing::{Cause, Fault, Faulty};

/// Steps from one look at everything to the next.
const LOOK: usize = 12;

pub(super) struct World {
    place: Place,
    pub(super) clock: ManualClock,
    pub(super) memory: Memory,
    pub(super) backend: Faulty,
    policy: usize,
    pub(super) db: Db,
    pub(super) registry: Registry,
    pub(super) reference: Reference,
    /// The last event the reference has seen.
    absorbed: i64,
    /// What the clock showed then.
    shown: Micros,
    /// Attempts that were refused because of a protection, and those to make one weaker.
    pub(super) refused: u64,
    pub(super) weakening: u64,
    /// The keys in the storage at the last look, and ever.
    pub(super) listed: BTreeSet<String>,
    pub(super) ever: BTreeSet<String>,
    steps: usize,
}

/// Without any grace: only the protocol is between a push and its loss.
fn options(number: usize) -> Options {
    let gc = CollectionOptions {
        grace: Duration::ZERO,
        quarantine: Duration::ZERO,
        rate: 1_000_000,
        ..CollectionOptions::default()
    };
    Options { gc, retention: policy(number), ..Options::default() }
}

/// As the only process, whatever the engine: leases of the one before are void.
async fn open(place: &Place, clock: &ManualClock, backend: &Faulty, policy: usize) -> (Db, Registry) {
    let db = place.open(Access::Create).await;
    let data = DataPlane::new(Arc::new(backend.clone()));
    let registry = Registry::open_as(db.clone(), data, clock.clock(), options(policy), false).await;
    (db, registry.unwrap())
}

impl World {
    pub(super) async fn new(on: On) -> Self {
        let clock = ManualClock::at(Clock::system().now());
        let memory = Memory::with_clock(clock.clock());
        let backend = Faulty::new(Arc::new(memory.clone()));
        let place = Place::new(on).await;
        let (db, registry) = open(&place, &clock, &backend, 0).await;
        let (reference, shown) = (Reference::default(), clock.clock().now());
        let (listed, ever) = (BTreeSet::new(), BTreeSet::new());
        let (policy, absorbed, refused, weakening, steps) = (0, 0, 0, 0, 0);
        Self {
            place,
            clock,
            memory,
            backend,
            policy,
            db,
            registry,
            reference,
            absorbed,
            shown,
            refused,
            weakening,
            listed,
            ever,
            steps,
        }
    }

    pub(super) async fn step(&mut self, step: &Step) -> Checked {
        self.clock.advance(1);
        match step {
            Step::Do(deed) => {
                let Some(call) = Box::pin(self.call(*deed)).await else { return Ok(()) };
                let expected = self.expected(&call);
                let before = self.registry.last_sequence();
                let outcome = self.make(&call).await;
                self.absorb().await?;
                let is_as_expected = expected.is_none_or(|expected| expected == outcome.is_ok());
                must(is_as_expected, "what is refused is what is protected", &(&call, expected, &outcome))?;
                if matches!(call, Call::Plan) {
                    let is_same = self.registry.last_sequence() == before;
                    must(is_same, "G5: a plan changes nothing", &call)?;
                }
                self.acknowledged(&call, &outcome)?;
                self.again(&call, &outcome).await?;
            }
            Step::Fault(deed, op, nth, is_done) => {
                let Some(call) = Box::pin(self.call(*deed)).await else { return Ok(()) };
                let cause = Cause::Kind(std::io::ErrorKind::TimedOut);
                let fault = if *is_done { Fault::LoseResponse(cause) } else { Fault::Fail(cause) };
                self.backend.faults().arm(*op, *nth, fault);
                let outcome = self.make(&call).await;
                self.backend.faults().disarm();
                self.absorb().await?;
                self.acknowledged(&call, &outcome)?;
            }
            Step::Crash(deed, polls) => {
                let Some(call) = Box::pin(self.call(*deed)).await else { return Ok(()) };
                let task = tokio::spawn(Box::pin(make(self.registry.clone(), call)));
                go_on(*polls).await;
                task.abort();
                // Whether it was quicker is nothing anybody was told.
                let _ = task.await;
                Box::pin(self.restart()).await?;
            }
            Step::Beside(deed, polls, other) => {
                let Some(call) = Box::pin(self.call(*deed)).await else { return Ok(()) };
                let other = Box::pin(self.call(*other)).await;
                let task = tokio::spawn(Box::pin(make(self.registry.clone(), call.clone())));
                go_on(*polls).await;
                if let Some(other) = other {
                    let _ = self.make(&other).await;
                }
                let outcome = task.await.map_err(|error| TestCaseError::fail(error.to_string()))?;
                self.note(&call, &outcome);
                self.absorb().await?;
            }
            Step::Rush(polls) => {
                let collect = Box::pin(make(self.registry.clone(), Call::Collect));
                let collect = tokio::spawn(collect);
                go_on(*polls).await;
                for (blob, to) in (0..BLOBS).flat_map(|blob| REPOSITORIES.map(|to| (blob, to))) {
                    let call = Call::Push(to.parse().unwrap(), content(blob));
                    let pushed = self.make(&call).await;
                    must(pushed.is_ok(), "a push is never in the way of a collection", &(call, pushed))?;
                }
                let outcome = collect.await.map_err(|error| TestCaseError::fail(error.to_string()))?;
                self.note(&Call::Collect, &outcome);
                self.absorb().await?;
            }
            Step::Wait(hours) => self.clock.advance(hours * 3600 * SECOND),
            Step::Jump(hours, is_confirmed) => {
                self.clock.jump(hours * 3600 * SECOND);
                self.registry.tick_if_due().await.unwrap();
                if *is_confirmed {
                    self.confirm().await?;
                }
                self.absorb().await?;
            }
            Step::Snapshot => {
                self.registry.snapshot().await.unwrap().expect("nobody else is at it");
                self.absorb().await?;
            }
            Step::Restart(number) => {
                self.policy = *number;
                Box::pin(self.restart()).await?;
            }
        }
        self.look_at_storage().await?;
        self.steps += 1;
        if self.steps.is_multiple_of(LOOK) { Box::pin(self.look()).await } else { Ok(()) }
    }

    async fn make(&mut self, call: &Call) -> Result<Made, Error> {
        let outcome = Box::pin(make(self.registry.clone(), call.clone())).await;
        self.note(call, &outcome);
        outcome
    }

    /// Refusals are on record (R8).
    fn note(&mut self, call: &Call, outcome: &Result<Made, Error>) {
        let Err(error) = outcome else { return };
        self.refused += u64::from(matches!(error, Error::Protected(_) | Error::TagRetired { .. }));
        let is_weakening = match call {
            Call::Extend(..) | Call::Shorten(..) => true,
            // One that ended by the attempt is on record as that.
            Call::Propose(..) | Call::Approve(..) | Call::Execute(..) => {
                !matches!(error, Error::DispositionEnded { .. })
            }
            _ => false,
        };
        self.weakening += u64::from(is_weakening && error.is_weakening());
    }

    async fn restart(&mut self) -> Checked {
        self.db.close().await;
        (self.db, self.registry) = open(&self.place, &self.clock, &self.backend, self.policy).await;
        self.confirm().await?;
        // What was only counted in that minute is lost with the process.
        (self.refused, self.weakening) = (self.reference.denied, self.reference.weakening);
        Box::pin(self.look()).await
    }

    /// Somebody looks at the clock when it is frozen: the process before took along what it had measured.
    pub(super) async fn confirm(&mut self) -> Checked {
        if self.registry.compliance_clock().await.unwrap().is_frozen {
            self.registry.resynchronise_clock(Actor::user("ada"), "it was looked at").await.unwrap();
        }
        self.absorb().await
    }

    /// Lets the reference see what was recorded.
    pub(super) async fn absorb(&mut self) -> Checked {
        let now = self.clock.clock().now();
        self.reference.clock = (now.min(self.shown), now.max(self.shown));
        self.shown = now;
        loop {
            let events = self.registry.events(self.absorbed, 500).await.unwrap();
            let Some(last) = events.last() else { return Ok(()) };
            // Commands are not torn apart: a page is far longer than what one step records.
            assert!(events.len() < 500);
            self.absorbed = last.sequence;
            self.reference.absorb(&events)?;
        }
    }

    /// R11: asked for what is so already, an extension changes nothing.
    async fn again(&mut self, call: &Call, outcome: &Result<Made, Error>) -> Checked {
        if !matches!((call, outcome), (Call::Extend(..), Ok(_))) {
            return Ok(());
        }
        let before = self.registry.last_sequence();
        let again = self.make(call).await;
        let is_same = again.is_ok() && self.registry.last_sequence() == before;
        must(is_same, "R11: an extension is idempotent", &(call, again))
    }
}

/// Lets what was begun go on for a while.
async fn go_on(polls: usize) {
    for _ in 0..polls {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
}

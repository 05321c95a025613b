//! A reader at the end of the log, in a process of its own, as every replica is one: what its caches are told.

use std::sync::{Arc, Mutex, PoisonError};

use artifactstore::clock::Clock;
use artifactstore::db::{self, Access, Db};
use artifactstore::events::{Event, Log, Observer};
use artifactstore::views;

use crate::database::Leaf;
use crate::place::Place;
use crate::runtime::wait;
use crate::support::eventually;

/// Reads until it is dropped.
pub(crate) struct Tail {
    log: Log,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen(Mutex<Vec<Leaf>>);

impl Observer for Seen {
    fn committed(&self, events: &[Event]) {
        let leaves = events.iter().map(|event| (event.sequence, event.leaf_hash().to_vec()));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(leaves);
    }

    /// A cache forgets everything then; a reader has nothing to forget, and goes on in order.
    fn lost_track(&self) {}
}

impl Tail {
    /// Begins where the log ends now.
    pub(crate) fn open(database: &Place) -> Self {
        let seen = Arc::new(Seen::default());
        let observer: Arc<dyn Observer> = Arc::clone(&seen) as _;
        let url = db::Url::Postgres(database.to_string().into());
        let log = wait(async {
            let db = Db::open(&db::Options::new(url), Access::Create).await.unwrap();
            Log::open(db, views::projections(), Clock::system(), observer).await.unwrap()
        });
        Self { log, seen }
    }

    /// It saw every event of the log once and in order, from where it began to the end.
    pub(crate) fn expect(self, log: &[Leaf]) {
        let end = i64::try_from(log.len()).unwrap();
        eventually("the reader to come to the end", || (self.log.last() >= end).then_some(()));
        let seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = seen.first().map_or(end + 1, |leaf| leaf.0);
        let expected = &log[usize::try_from(first - 1).unwrap()..];
        let at = seen.iter().zip(expected).position(|(seen, expected)| seen != expected);
        let numbers = |leaves: &[Leaf]| leaves.iter().map(|leaf| leaf.0).collect::<Vec<_>>();
        assert!(
            at.is_none() && seen.len() == expected.len(),
            "a reader saw {} events behind {first}, there are {}; it differs at {at:?}: {:?}",
            seen.len(),
            expected.len(),
            at.map(|at| numbers(&seen[at.saturating_sub(3)..seen.len().min(at + 3)])),
        );
        assert!(!seen.is_empty(), "a reader saw nothing");
    }
}

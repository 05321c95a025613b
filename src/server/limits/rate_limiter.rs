//! Who has asked how often.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::rate::{Nanos, Pace, nanos};
use super::{Key, Rate, RetryAfter};
use crate::clock::Micros;

/// Locks, so that requests on different processors seldom wait for each other.
const SHARDS: usize = 16;

/// A shard without a place looks through all it has this often at most: a flood would otherwise pay for nothing
/// and make everybody else wait for it. In nanoseconds.
const SWEEP_EVERY: Nanos = 10_000_000;

/// How often each of many may do something: at most their burst at once, and never more than burst and rate together
/// in any time.
///
/// **Memory** is bounded: it knows so many keys and no more. Whoever owes nothing any more is forgotten as soon as the
/// place is needed. Whoever still does is not, whatever others do: a client that could make the limiter forget would
/// have no limit. So while there is no place, keys that are not known are refused.
///
/// What that costs an attacker: a request keeps a place for as long as it takes to earn it back, so to keep all of them
/// takes as many requests each second, *admitted* ones, as the number of keys times the rate. With 65 536 keys and ten a
/// second that is 655 360; the server is at its end long before.
#[derive(Debug)]
pub struct RateLimiter {
    pace: Pace,
    /// Places of one shard.
    places: usize,
    /// Chooses the shard, with a secret of its own: nobody can aim at one.
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    refused: AtomicU64,
    crowded_out: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    /// When the bucket of each is full again.
    full_at: HashMap<Key, Nanos>,
    /// Nothing is looked for before.
    sweep_at: Nanos,
}

impl RateLimiter {
    /// Knows at most `keys`, rounded up to as many for each lock: about 100 bytes each, and the text of a principal.
    pub fn new(rate: Rate, keys: NonZeroUsize) -> Self {
        Self {
            pace: Pace::new(rate),
            places: keys.get().div_ceil(SHARDS),
            hasher: RandomState::new(),
            shards: Default::default(),
            refused: AtomicU64::new(0),
            crowded_out: AtomicU64::new(0),
        }
    }

    /// Counts one request at `now`, a time of [`Clock::elapsed`](crate::clock::Clock::elapsed). One that is refused
    /// costs nothing: who waits as long as they are told, and did not ask meanwhile, is admitted. Only where the
    /// limiter had no place for them, that is no promise.
    pub fn admit(&self, key: &Key, now: Micros) -> Result<(), RetryAfter> {
        let now = nanos(now);
        let mut shard = self.shard(key);
        if let Some(full_at) = shard.full_at.get_mut(key) {
            let taken = self.pace.take(*full_at, now);
            return taken.map(|next| *full_at = next).inspect_err(|_| count(&self.refused));
        }
        shard.make_place(self.places, now).inspect_err(|_| count(&self.crowded_out))?;
        shard.full_at.insert(key.clone(), self.pace.take_first(now));
        Ok(())
    }

    /// Requests that were refused since they came too often.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Requests that were refused since there was no place to count them. More than none is an attack, or a limiter
    /// that knows too few keys.
    pub fn crowded_out(&self) -> u64 {
        self.crowded_out.load(Ordering::Relaxed)
    }

    /// Keys that are known now, some of which may owe nothing any more.
    pub fn keys(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).full_at.len()).sum()
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(key);
        let at = usize::try_from(hash % SHARDS as u64).expect("there are not many shards");
        lock(&self.shards[at])
    }
}

impl Shard {
    /// Sees to it that there is a place, and says when to ask again where there is none.
    fn make_place(&mut self, places: usize, now: Nanos) -> Result<(), RetryAfter> {
        if self.full_at.len() < places {
            return Ok(());
        }
        if now >= self.sweep_at {
            self.full_at.retain(|_, full_at| *full_at > now);
            let earliest = self.full_at.values().min().copied().unwrap_or_default();
            self.sweep_at = earliest.max(now + SWEEP_EVERY);
        }
        if self.full_at.len() < places { Ok(()) } else { Err(RetryAfter::new(self.sweep_at - now)) }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

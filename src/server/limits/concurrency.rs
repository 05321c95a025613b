//! How many at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Key;

/// How many things each of many may have under way at once: uploads, say. Cheap to clone; all clones are one.
///
/// It knows only those who have something under way, so its memory is bounded by what bounds that: connections.
#[derive(Clone, Debug)]
pub struct Concurrency(Arc<Shared>);

/// One thing that is under way. Dropping it ends it, be it in the course of a panic.
#[derive(Debug)]
#[must_use = "what is under way ends when this is dropped"]
pub struct Guard {
    key: Key,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    most: NonZeroU32,
    /// Never has a zero.
    under_way: Mutex<HashMap<Key, NonZeroU32>>,
    refused: AtomicU64,
}

impl Concurrency {
    /// At most so many for each.
    pub fn new(most: NonZeroU32) -> Self {
        Self(Arc::new(Shared { most, under_way: Mutex::default(), refused: AtomicU64::new(0) }))
    }

    /// Begins one more thing; `None` when there are as many as may be. When one of them ends is not known: there is
    /// nothing to tell a client but to come back later.
    pub fn enter(&self, key: Key) -> Option<Guard> {
        let entered = match self.0.lock().entry(key.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(NonZeroU32::MIN);
                true
            }
            Entry::Occupied(mut occupied) => {
                let more = occupied.get().saturating_add(1);
                let fits = more > *occupied.get() && more <= self.0.most;
                if fits {
                    occupied.insert(more);
                }
                fits
            }
        };
        if !entered {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Guard { key, shared: Arc::clone(&self.0) })
    }

    /// How often somebody had too many under way.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// How many have something under way now.
    pub fn keys(&self) -> usize {
        self.0.lock().len()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, NonZeroU32>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut under_way = self.shared.lock();
        let Some(count) = under_way.get_mut(&self.key) else { return };
        match NonZeroU32::new(count.get() - 1) {
            Some(fewer) => *count = fewer,
            None => {
                under_way.remove(&self.key);
            }
        }
    }
}

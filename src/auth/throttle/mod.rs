//! How long somebody waits who failed to log in (NIST SP 800-63B revision 3, section 5.2.2: rate limiting).
//!
//! Failures are counted for an address, and for a name at an address. They are never counted for a name alone: so nobody
//! can keep somebody else from logging in, unless they share an address, and then only for a minute at a time. Against
//! guesses at one name from many addresses there is how good the password is.

mod key;

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::fmt;
use std::net::IpAddr;

use self::key::Key;
use crate::clock::{Micros, SECOND};

/// Failures in a row of a name at an address before it has to wait: people mistype.
const FREE: u32 = 5;

/// Failures of an address, whatever the name, before it has to wait. More, since an office or a build farm may be behind
/// one address, and the next success does not forget these.
const FREE_OF_ADDRESS: u32 = 20;

/// The longest wait, in seconds. The first is one second, and each is twice the one before.
const LONGEST: i64 = 60;

/// How long after the last failure a count is forgotten.
const MEMORY: Micros = 15 * 60 * SECOND;

/// Counts that are kept, at most: less than 10 MiB.
const COUNTS: usize = 65_536;

/// Who failed to log in lately. Bounded in memory, and it knows no names: it keeps hashes of what was typed.
///
/// It says who may try, and does not wait itself. Whoever checks a password asks [`check`](Self::check) first, and says
/// then how it [ended](Self::failed). What is checked at the same time is not yet counted: so the question belongs behind
/// the bound on how many are checked at once, and not before it.
///
/// Times are those of [`Clock::elapsed`](crate::clock::Clock::elapsed), which nobody sets.
pub struct LoginThrottle {
    counts: HashMap<Key, Count>,
    most: usize,
}

/// Failures, the last of them at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Count {
    failures: u32,
    last: Micros,
}

/// It is too early for another try, whatever the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many logins have failed; the next is possible in {seconds} s")]
pub struct RetryAfter {
    /// How long to wait, rounded up: the header `Retry-After` (RFC 9110 section 10.2.3). Never 0.
    pub seconds: u32,
}

impl LoginThrottle {
    /// One that has seen nobody.
    pub fn new() -> Self {
        Self::with_room_for(COUNTS)
    }

    fn with_room_for(most: usize) -> Self {
        Self { counts: HashMap::new(), most }
    }

    /// Whether somebody may try now. The name is what was presented, also if nobody could have it.
    pub fn check(&self, name: &str, address: IpAddr, now: Micros) -> Result<(), RetryAfter> {
        let wait = |key: Key| self.counts.get(&key).map_or(0, |count| count.wait(key.free(), now));
        let wait = keys(name, address).map(wait).into_iter().max().unwrap_or(0);
        match u32::try_from((wait + SECOND - 1) / SECOND) {
            Ok(0) | Err(_) => Ok(()),
            Ok(seconds) => Err(RetryAfter { seconds }),
        }
    }

    /// Somebody tried and was refused.
    pub fn failed(&mut self, name: &str, address: IpAddr, now: Micros) {
        for key in keys(name, address) {
            if !self.counts.contains_key(&key) {
                self.make_room(now);
            }
            match self.counts.entry(key) {
                Occupied(mut known) => {
                    let failures = if known.get().is_over(now) { 0 } else { known.get().failures };
                    known.insert(Count { failures: failures.saturating_add(1), last: now });
                }
                Vacant(place) => {
                    place.insert(Count { failures: 1, last: now });
                }
            }
        }
    }

    /// Somebody tried and was let in: the failures of this name at this address are forgotten. Those of the address are
    /// not, else whoever has one account could guess at all others.
    pub fn succeeded(&mut self, name: &str, address: IpAddr) {
        self.counts.remove(&Key::of_name(name, address));
    }

    /// Forgets what is over, and if that is not enough an eighth of all: the fewest failures first, and of as many the
    /// oldest. Whoever waits is not forgotten unless others failed as often under nearly as many names and addresses as
    /// there is room for.
    fn make_room(&mut self, now: Micros) {
        if self.counts.len() < self.most {
            return;
        }
        self.counts.retain(|_, count| !count.is_over(now));
        // An eighth, so that the look at all of them is paid for by many failures.
        let eighth = (self.most / 8).max(1);
        if self.counts.len() + eighth <= self.most {
            return;
        }
        let mut all: Vec<(Count, Key)> = self.counts.iter().map(|(key, count)| (*count, *key)).collect();
        all.select_nth_unstable(eighth);
        for (_, key) in &all[..eighth] {
            self.counts.remove(key);
        }
    }
}

impl fmt::Debug for LoginThrottle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoginThrottle({} counts)", self.counts.len())
    }
}

impl Default for LoginThrottle {
    fn default() -> Self {
        Self::new()
    }
}

impl Count {
    fn wait(&self, free: u32, now: Micros) -> Micros {
        let Some(doublings) = self.failures.checked_sub(free) else { return 0 };
        let wait = (1_i64 << doublings.min(6)).min(LONGEST) * SECOND;
        (wait - self.age(now)).max(0)
    }

    fn is_over(&self, now: Micros) -> bool {
        self.age(now) >= MEMORY
    }

    /// Not negative: two threads may have asked for the time in one order and come here in the other.
    fn age(&self, now: Micros) -> Micros {
        now.saturating_sub(self.last).max(0)
    }
}

fn keys(name: &str, address: IpAddr) -> [Key; 2] {
    [Key::of_name(name, address), Key::of_address(address)]
}

#[cfg(test)]
mod tests;

//! How often, and when again.
//!
//! The generic cell rate algorithm (ITU-T I.371 annex A), which is a token bucket with one number for each key: the
//! time at which its bucket is full again. Full means that nothing is known any more that somebody without a history
//! would not have: it can be forgotten.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Micros;

/// Nanoseconds. 128 bits hold every time and every debt there can be, so nothing here saturates.
pub(super) type Nanos = u128;

const SECOND: Nanos = 1_000_000_000;

/// How often somebody may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many requests, evenly,
    pub requests: NonZeroU32,
    /// in this time. Zero limits nothing.
    pub per: Duration,
    /// So many may come at once from somebody who did not ask for a while.
    pub burst: NonZeroU32,
}

/// When somebody who is refused may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(Nanos);

/// A [`Rate`] as it is applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// What each request costs. Rounded up, so that the rate is never exceeded.
    interval: Nanos,
    /// What may be owed and another request still be made.
    tolerance: Nanos,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        let interval = rate.per.as_nanos().div_ceil(rate.requests.get().into());
        Self { interval, tolerance: interval * Nanos::from(rate.burst.get() - 1) }
    }

    /// One more request at `now` of a bucket that is full at `full_at`: when it is full after it.
    pub(super) fn take(self, full_at: Nanos, now: Nanos) -> Result<Nanos, RetryAfter> {
        let admitted_at = full_at.saturating_sub(self.tolerance);
        if admitted_at > now {
            return Err(RetryAfter(admitted_at - now));
        }
        Ok(full_at.max(now) + self.interval)
    }

    /// The same of a full bucket, which never refuses.
    pub(super) fn take_first(self, now: Nanos) -> Nanos {
        now + self.interval
    }
}

impl RetryAfter {
    pub(super) fn new(wait: Nanos) -> Self {
        Self(wait)
    }

    /// For the header `Retry-After` (RFC 9110 section 10.2.3): rounded up, since who comes too early is refused again,
    /// and at least 1.
    pub fn seconds(self) -> u64 {
        u64::try_from(self.0.div_ceil(SECOND).max(1)).unwrap_or(u64::MAX)
    }
}

/// A time of the clock. Before the beginning is the beginning.
pub(super) fn nanos(at: Micros) -> Nanos {
    Nanos::from(at.max(0).unsigned_abs()) * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(requests: u32, per: Duration, burst: u32) -> Pace {
        let [requests, burst] = [requests, burst].map(|it| NonZeroU32::new(it).unwrap());
        Pace::new(Rate { requests, per, burst })
    }

    #[test]
    fn the_header_is_rounded_up_and_never_zero() {
        for (wait, seconds) in
            [(0, 1), (1, 1), (SECOND, 1), (SECOND + 1, 2), (90 * SECOND, 90), (Nanos::MAX, u64::MAX)]
        {
            assert_eq!(RetryAfter(wait).seconds(), seconds, "{wait}");
        }
    }

    #[test]
    fn a_burst_is_admitted_at_once_and_the_rest_one_by_one() {
        let pace = pace(2, Duration::from_secs(1), 3);
        let mut full_at = 0;
        for _ in 0..3 {
            full_at = pace.take(full_at, 0).unwrap();
        }
        assert_eq!(pace.take(full_at, 0), Err(RetryAfter(SECOND / 2)));
        assert_eq!(pace.take(full_at, SECOND / 2 - 1), Err(RetryAfter(1)));
        assert_eq!(pace.take(full_at, SECOND / 2), Ok(2 * SECOND));
    }

    #[test]
    fn the_most_extreme_rates_neither_overflow_nor_let_anybody_through_for_ever() {
        let slow = pace(1, Duration::MAX, u32::MAX);
        let mut full_at = nanos(Micros::MAX);
        full_at = slow.take(full_at, nanos(Micros::MAX)).unwrap();
        assert!(full_at > nanos(Micros::MAX));
        let one = pace(1, Duration::MAX, 1);
        let full_at = one.take(0, 0).unwrap();
        assert!(one.take(full_at, nanos(Micros::MAX)).is_err());
        let unlimited = pace(1, Duration::ZERO, 1);
        assert_eq!(unlimited.take(unlimited.take(0, 5).unwrap(), 5), Ok(5));
    }

    #[test]
    fn what_is_no_whole_number_of_nanoseconds_is_rounded_against_the_client() {
        let third = pace(3, Duration::from_nanos(10), 1);
        assert_eq!(third.take(0, 0), Ok(4));
    }
}

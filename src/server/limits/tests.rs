use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use proptest::prelude::*;

use super::{Concurrency, Key, Rate, RateLimiter};
use crate::clock::{Micros, SECOND};

fn rate(requests: u32, per: Duration, burst: u32) -> Rate {
    let [requests, burst] = [requests, burst].map(|it| NonZeroU32::new(it).unwrap());
    Rate { requests, per, burst }
}

fn limiter(requests: u32, per: Duration, burst: u32, keys: usize) -> RateLimiter {
    RateLimiter::new(rate(requests, per, burst), NonZeroUsize::new(keys).unwrap())
}

fn network(number: u64) -> Key {
    Key::address(IpAddr::V6(Ipv6Addr::from_bits(u128::from(number) << 64 | 1)))
}

#[test]
fn each_has_a_limit_of_their_own() {
    let limiter = limiter(1, Duration::from_secs(10), 2, 100);
    let (ada, eve) = (Key::principal("user:ada"), Key::principal("user:eve"));
    assert!(limiter.admit(&eve, 0).is_ok() && limiter.admit(&eve, 0).is_ok());
    assert_eq!(limiter.admit(&eve, 0).unwrap_err().seconds(), 10);
    assert_eq!(limiter.admit(&eve, 9 * SECOND + 1).unwrap_err().seconds(), 1);
    assert!(limiter.admit(&ada, 0).is_ok());
    assert!(limiter.admit(&eve, 10 * SECOND).is_ok());
    assert_eq!((limiter.refused(), limiter.crowded_out(), limiter.keys()), (2, 0, 2));
}

#[test]
fn another_address_of_the_same_network_is_no_way_around_the_limit() {
    let limiter = limiter(1, Duration::from_secs(10), 1, 100);
    let address = |text: &str| Key::address(text.parse().unwrap());
    limiter.admit(&address("2001:db8::1"), 0).unwrap();
    assert!(limiter.admit(&address("2001:db8::2"), 0).is_err());
    assert!(limiter.admit(&address("2001:db8:0:1::1"), 0).is_ok());
}

#[test]
fn a_million_addresses_take_no_more_memory_and_make_nobody_forgotten() {
    let keys = 4096;
    let limiter = limiter(1, Duration::from_mins(1), 1, keys);
    let debtor = Key::principal("user:eve");
    limiter.admit(&debtor, 0).unwrap();
    let mut admitted = 0_u64;
    for number in 0..1_000_000 {
        admitted += u64::from(limiter.admit(&network(number), 0).is_ok());
    }
    assert!(limiter.keys() <= keys, "{}", limiter.keys());
    assert_eq!(admitted + 1, limiter.keys() as u64);
    assert_eq!(limiter.crowded_out(), 1_000_000 - admitted);
    assert_eq!(limiter.refused(), 0);
    assert!(limiter.admit(&debtor, 59 * SECOND).is_err());
}

#[test]
fn who_owes_nothing_any_more_makes_place_for_others() {
    let keys = 64;
    let limiter = limiter(1, Duration::from_mins(1), 1, keys);
    for number in 0..10_000 {
        let _ = limiter.admit(&network(number), 0);
    }
    assert_eq!(limiter.keys(), keys);
    let wait = limiter.admit(&network(10_000), SECOND).unwrap_err();
    assert_eq!(wait.seconds(), 59);
    assert!(limiter.admit(&network(10_000), 60 * SECOND).is_ok());
    assert!(limiter.keys() <= keys);
}

#[test]
fn a_flood_of_new_addresses_that_each_ask_once_keeps_nobody_out() {
    let limiter = limiter(10, Duration::from_secs(1), 20, 65_536);
    for number in 0..1_000_000_u64 {
        // 100 000 a second.
        let now = Micros::try_from(number * 10).unwrap();
        assert!(limiter.admit(&network(number), now).is_ok(), "{number}");
    }
    assert!(limiter.keys() <= 65_536);
}

#[test]
fn threads_share_one_limit() {
    let limiter = limiter(1, Duration::from_mins(1), 100, 100);
    let ada = Key::principal("user:ada");
    let admitted: usize = std::thread::scope(|scope| {
        let ask = || (0..100).filter(|_| limiter.admit(&ada, 0).is_ok()).count();
        let threads = [(); 4].map(|()| scope.spawn(ask));
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    assert_eq!((admitted, limiter.refused()), (100, 300));
}

#[test]
fn nobody_has_more_under_way_than_they_may() {
    let uploads = Concurrency::new(NonZeroU32::new(2).unwrap());
    let (ada, eve) = (Key::principal("user:ada"), Key::address(Ipv4Addr::LOCALHOST.into()));
    let first = uploads.enter(ada.clone()).unwrap();
    let second = uploads.clone().enter(ada.clone()).unwrap();
    assert!(uploads.enter(ada.clone()).is_none());
    let other = uploads.enter(eve).unwrap();
    assert_eq!((uploads.refused(), uploads.keys()), (1, 2));
    drop(first);
    let third = uploads.enter(ada.clone()).unwrap();
    assert!(uploads.enter(ada).is_none());
    drop((second, third, other));
    assert_eq!((uploads.refused(), uploads.keys()), (2, 0));
}

#[test]
fn a_panic_gives_the_place_back() {
    let uploads = Concurrency::new(NonZeroU32::MIN);
    let ada = Key::principal("user:ada");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = uploads.enter(ada.clone()).unwrap();
        std::panic::resume_unwind(Box::new("an upload failed badly"));
    }));
    assert!(panicked.is_err());
    assert!(uploads.enter(ada).is_some());
}

/// A token bucket as everybody knows it, exact: tokens are counted in parts of `per`.
struct Bucket {
    tokens: u128,
    seen: u128,
}

impl Bucket {
    fn admit(&mut self, rate: Rate, now: u128) -> bool {
        let (per, requests) = (rate.per.as_nanos(), u128::from(rate.requests.get()));
        let most = u128::from(rate.burst.get()) * per;
        self.tokens = most.min(self.tokens + (now - self.seen) * requests);
        self.seen = now;
        let fits = self.tokens >= per;
        if fits {
            self.tokens -= per;
        }
        fits
    }
}

/// Requests of a few keys, each so many microseconds after the one before.
fn history() -> impl Strategy<Value = Vec<(u64, Micros)>> {
    let pause = prop_oneof![3 => Just(0), 4 => 0..500_000_i64, 1 => 0..20_000_000_i64];
    proptest::collection::vec((0..6_u64, pause), 1..200)
}

proptest! {
    #[test]
    fn nobody_is_ever_admitted_more_often_than_burst_and_rate_say(
        requests in 1..20_u32, millis in 1..5_000_u64, burst in 1..10_u32, keys in 1..40_usize, history in history()
    ) {
        let rate = rate(requests, Duration::from_millis(millis), burst);
        let limiter = RateLimiter::new(rate, NonZeroUsize::new(keys).unwrap());
        let mut admitted: HashMap<u64, Vec<Micros>> = HashMap::new();
        let mut now = 0;
        for (key, pause) in history {
            now += pause;
            if limiter.admit(&network(key), now).is_ok() {
                admitted.entry(key).or_default().push(now);
            }
            prop_assert!(limiter.keys() <= keys.next_multiple_of(16));
        }
        for times in admitted.values() {
            for (from, begin) in times.iter().enumerate() {
                for (count, end) in times[from..].iter().enumerate() {
                    let beyond = (i64::try_from(count).unwrap() + 1 - i64::from(burst)).max(0);
                    let earned = (end - begin) * i64::from(requests);
                    prop_assert!(beyond * i64::try_from(millis).unwrap() * 1_000 <= earned);
                }
            }
        }
    }

    #[test]
    fn whoever_has_a_place_is_admitted_exactly_as_by_a_token_bucket(
        requests in 1..20_u32, each in 1..1_000_000_u64, burst in 1..10_u32, history in history()
    ) {
        // The time of one request is a whole number, so nothing is rounded.
        let rate = rate(requests, Duration::from_nanos(each * u64::from(requests)), burst);
        let limiter = RateLimiter::new(rate, NonZeroUsize::new(1_000).unwrap());
        let full = u128::from(burst) * rate.per.as_nanos();
        let mut buckets: HashMap<u64, Bucket> = HashMap::new();
        let mut now = 0;
        for (key, pause) in history {
            now += pause / 100;
            let bucket = buckets.entry(key).or_insert(Bucket { tokens: full, seen: 0 });
            let expected = bucket.admit(rate, u128::try_from(now).unwrap() * 1_000);
            prop_assert_eq!(limiter.admit(&network(key), now).is_ok(), expected);
        }
    }

    #[test]
    fn whoever_waits_as_told_is_admitted(
        requests in 1..20_u32, millis in 1..50_000_u64, burst in 1..10_u32, history in history()
    ) {
        let limiter = RateLimiter::new(
            rate(requests, Duration::from_millis(millis), burst),
            NonZeroUsize::new(1_000).unwrap(),
        );
        let mut now = 0;
        for (key, pause) in history {
            now += pause;
            if let Err(wait) = limiter.admit(&network(key), now) {
                now += i64::try_from(wait.seconds()).unwrap() * SECOND;
                prop_assert!(limiter.admit(&network(key), now).is_ok());
            }
        }
    }

    #[test]
    fn every_guard_is_given_back(most in 1..4_u32, steps in proptest::collection::vec((0..3_u64, any::<bool>()), 0..100)) {
        let uploads = Concurrency::new(NonZeroU32::new(most).unwrap());
        let mut under_way: HashMap<u64, Vec<super::Guard>> = HashMap::new();
        for (key, enters) in steps {
            let mine = under_way.entry(key).or_default();
            if enters {
                let entered = uploads.enter(network(key));
                prop_assert_eq!(entered.is_some(), mine.len() < most as usize);
                mine.extend(entered);
            } else {
                mine.pop();
            }
            let busy = under_way.values().filter(|mine| !mine.is_empty()).count();
            prop_assert_eq!(uploads.keys(), busy);
        }
        drop(under_way);
        prop_assert_eq!(uploads.keys(), 0);
    }
}

use proptest::prelude::*;

use super::*;

const NOW: Micros = 1_000 * SECOND;

fn at(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn fail(throttle: &mut LoginThrottle, times: u32, name: &str, address: &str, now: Micros) {
    for _ in 0..times {
        throttle.failed(name, at(address), now);
    }
}

/// Seconds to wait, 0 for none.
fn wait(throttle: &LoginThrottle, name: &str, address: &str, now: Micros) -> u32 {
    throttle.check(name, at(address), now).map_or_else(|refused| refused.seconds, |()| 0)
}

#[test]
fn after_five_failures_the_wait_is_a_second_and_doubles_to_a_minute() {
    let mut throttle = LoginThrottle::new();
    let mut now = NOW;
    for expected in [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60] {
        throttle.failed("ada", at("192.0.2.1"), now);
        assert_eq!(wait(&throttle, "ada", "192.0.2.1", now), expected);
        now += i64::from(expected) * SECOND;
        assert_eq!(wait(&throttle, "ada", "192.0.2.1", now), 0);
    }
    let refused = RetryAfter { seconds: 60 };
    assert_eq!(refused.to_string(), "too many logins have failed; the next is possible in 60 s");
}

#[test]
fn a_wait_is_rounded_up_and_ends_when_it_says() {
    let mut throttle = LoginThrottle::new();
    fail(&mut throttle, 6, "ada", "192.0.2.1", NOW);
    for (later, expected) in [(0, 2), (1, 2), (SECOND, 1), (2 * SECOND - 1, 1), (2 * SECOND, 0)] {
        assert_eq!(wait(&throttle, "ada", "192.0.2.1", NOW + later), expected, "{later}");
    }
    // Of a time that was asked for a little earlier by another thread.
    assert_eq!(wait(&throttle, "ada", "192.0.2.1", NOW - 5), 2);
}

#[test]
fn nobody_waits_for_the_failures_of_another_address() {
    let mut throttle = LoginThrottle::new();
    fail(&mut throttle, 100, "ada", "192.0.2.1", NOW);
    assert_eq!(wait(&throttle, "ada", "192.0.2.1", NOW), 60);
    for other in ["192.0.2.2", "2001:db8::1"] {
        assert_eq!(wait(&throttle, "ada", other, NOW), 0, "{other}");
    }
}

#[test]
fn another_name_at_an_address_waits_after_twenty_failures_of_the_address() {
    let mut throttle = LoginThrottle::new();
    for number in 1..=FREE_OF_ADDRESS {
        assert_eq!(wait(&throttle, "bob", "192.0.2.1", NOW), 0, "{number}");
        throttle.failed(&format!("user{number}"), at("192.0.2.1"), NOW);
    }
    assert_eq!(wait(&throttle, "bob", "192.0.2.1", NOW), 1);
    throttle.failed("one more", at("192.0.2.1"), NOW);
    assert_eq!(wait(&throttle, "bob", "192.0.2.1", NOW), 2);
}

#[test]
fn a_success_forgets_the_name_and_not_the_address() {
    let mut throttle = LoginThrottle::new();
    fail(&mut throttle, 10, "ada", "192.0.2.1", NOW);
    throttle.succeeded("ada", at("192.0.2.1"));
    assert_eq!(wait(&throttle, "ada", "192.0.2.1", NOW), 0);
    fail(&mut throttle, 10, "eve", "192.0.2.1", NOW);
    throttle.succeeded("eve", at("192.0.2.1"));
    assert_eq!(wait(&throttle, "ada", "192.0.2.1", NOW), 1, "twenty of the address");
}

#[test]
fn what_is_a_quarter_of_an_hour_ago_is_forgotten() {
    let mut throttle = LoginThrottle::new();
    fail(&mut throttle, 30, "ada", "192.0.2.1", NOW);
    throttle.failed("ada", at("192.0.2.1"), NOW + MEMORY - 1);
    assert_eq!(wait(&throttle, "ada", "192.0.2.1", NOW + MEMORY - 1), 60, "it is not over yet");
    let later = NOW + 2 * MEMORY - 1;
    throttle.failed("ada", at("192.0.2.1"), later);
    assert_eq!(wait(&throttle, "ada", "192.0.2.1", later), 0);
    fail(&mut throttle, 4, "ada", "192.0.2.1", later);
    assert_eq!(wait(&throttle, "ada", "192.0.2.1", later), 1, "they count from one again");
}

#[test]
fn an_address_is_one_of_ipv4_or_a_64_of_ipv6() {
    for (address, same, other) in [
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:3::1"),
    ] {
        let mut throttle = LoginThrottle::new();
        fail(&mut throttle, 5, "ada", address, NOW);
        assert_eq!(wait(&throttle, "ada", same, NOW), 1, "{same}");
        assert_eq!(wait(&throttle, "ada", other, NOW), 0, "{other}");
    }
}

#[test]
fn whoever_has_to_wait_cannot_have_it_forgotten_by_failing_elsewhere() {
    let mut throttle = LoginThrottle::with_room_for(64);
    fail(&mut throttle, 8, "ada", "192.0.2.1", NOW);
    for number in 0..=255 {
        let now = NOW + number;
        throttle.failed(&format!("user{number}"), at(&format!("198.51.100.{number}")), now);
        assert!(throttle.counts.len() <= 64, "{}", throttle.counts.len());
        assert_eq!(wait(&throttle, "ada", "192.0.2.1", now), 8, "{number}");
    }
    let mut full = LoginThrottle { counts: throttle.counts.clone(), most: throttle.counts.len() };
    full.failed("ada", at("192.0.2.1"), NOW + 256);
    assert_eq!(full.counts.len(), full.most, "who is known needs no room");
    let last = Key::of_address(at("198.51.100.255"));
    assert!(throttle.counts.contains_key(&last), "of as many failures the oldest are forgotten");
}

#[test]
fn what_is_over_makes_room_before_anybody_else() {
    let mut throttle = LoginThrottle::with_room_for(16);
    for number in 0..7 {
        fail(&mut throttle, 9, "old", &format!("192.0.2.{number}"), NOW);
    }
    throttle.failed("new", at("198.51.100.1"), NOW + MEMORY);
    throttle.failed("newer", at("198.51.100.2"), NOW + MEMORY);
    assert_eq!(throttle.counts.len(), 4);
}

#[test]
fn nothing_that_was_typed_is_kept() {
    let mut throttle = LoginThrottle::default();
    fail(&mut throttle, 5, "hunter2", "192.0.2.1", NOW);
    assert!(!format!("{throttle:?} {:?}", throttle.counts).contains("hunter2"));
    assert_eq!(format!("{throttle:?}"), "LoginThrottle(2 counts)");
    let long = "a".repeat(100_000);
    fail(&mut throttle, 5, &long, "192.0.2.1", NOW);
    assert_eq!(wait(&throttle, &long, "192.0.2.1", NOW), 1);
}

proptest! {
    #[test]
    fn no_wait_is_longer_than_a_minute_and_there_is_never_more_than_room(
        tries in proptest::collection::vec((0..4_u8, 0..40_u8, any::<bool>(), any::<i32>()), 1..200), first in any::<i64>(),
    ) {
        let mut throttle = LoginThrottle::with_room_for(16);
        let mut now = first;
        for (name, address, fails, later) in tries {
            now = now.saturating_add(i64::from(later));
            let (name, address) = (name.to_string(), at(&format!("192.0.2.{address}")));
            if let Err(refused) = throttle.check(&name, address, now) {
                prop_assert!((1..=60).contains(&refused.seconds), "{refused}");
            } else if fails {
                throttle.failed(&name, address, now);
            } else {
                throttle.succeeded(&name, address);
            }
            prop_assert!(throttle.counts.len() <= 16);
        }
    }
}

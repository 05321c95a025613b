//! When a delivery that failed is tried again, and when no more.

use std::time::Duration;

use crate::clock::{Micros, SECOND};

const MINUTE: Micros = 60 * SECOND;
const HOUR: Micros = 60 * MINUTE;

/// The pauses after the first failure, the second, and so on: not quite five days in all.
pub(super) const PAUSES: [Micros; 14] = [
    5 * SECOND,
    30 * SECOND,
    2 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    8 * HOUR,
    12 * HOUR,
    16 * HOUR,
    24 * HOUR,
    24 * HOUR,
    24 * HOUR,
];

/// A receiver may ask for a longer pause, up to this one.
const ASKED: Duration = Duration::from_hours(24);

/// The pause after so many failures in a row, a fifth shorter to a fifth longer: receivers that failed together are not
/// all called together. `None` when it was the last attempt.
pub(super) fn pause(failures: i64, asked: Option<Duration>) -> Option<Micros> {
    let at = usize::try_from(failures.max(1) - 1).ok()?;
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    let pause = varied(*PAUSES.get(at)?, random);
    let asked = asked.map(|asked| i64::try_from(asked.min(ASKED).as_micros()).unwrap_or(i64::MAX));
    Some(asked.map_or(pause, |asked| asked.max(pause)))
}

fn varied(pause: Micros, random: u32) -> Micros {
    pause * 4 / 5 + pause / 5 * 2 * Micros::from(random >> 16) / 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_fifteen_attempts_over_almost_five_days() {
        let days = |pauses: &[Micros]| pauses.iter().sum::<Micros>() / (24 * HOUR);
        assert_eq!(days(&PAUSES), 4);
        assert!(PAUSES.is_sorted());
        for failures in 1..=14 {
            let usual = PAUSES[usize::try_from(failures).unwrap() - 1];
            let pause = pause(failures, None).unwrap();
            assert!((usual * 4 / 5..=usual * 6 / 5).contains(&pause), "{failures}: {pause}");
        }
        assert_eq!(pause(15, None), None);
        assert_eq!(pause(15, Some(Duration::from_secs(1))), None);
        assert_eq!((varied(100, 0), varied(100, u32::MAX)), (80, 120));
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_and_for_no_shorter_one() {
        assert_eq!(pause(1, Some(Duration::from_hours(2))), Some(2 * HOUR));
        assert_eq!(pause(1, Some(Duration::from_hours(900))), Some(24 * HOUR));
        assert!(pause(6, Some(Duration::ZERO)).unwrap() >= HOUR * 4 / 5);
    }
}

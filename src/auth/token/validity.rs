//! When a token is good.

use super::TokenError;
use super::jws::ClaimSet;
use crate::clock::{Micros, SECOND};

/// How far the clocks of two machines may differ, in seconds.
pub(super) const LEEWAY: i64 = 60;

/// The times of a token, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    pub(super) issued: i64,
    /// For as long as it does not say otherwise it begins when it is made.
    pub(super) not_before: Option<i64>,
    pub(super) expires: i64,
}

impl Validity {
    pub(super) fn read(claims: &ClaimSet) -> Result<Self, TokenError> {
        let not_before = claims.get("nbf").map(|_| claims.seconds("nbf")).transpose()?;
        Ok(Self { issued: claims.seconds("iat")?, not_before, expires: claims.seconds("exp")? })
    }

    /// Whether it is good now, and not for more than `longest` seconds altogether.
    pub(super) fn check(&self, now: Micros, longest: u64) -> Result<(), TokenError> {
        let now = now.div_euclid(SECOND);
        let begin = self.not_before.unwrap_or(self.issued);
        if self.expires <= self.issued || self.expires <= begin {
            Err(TokenError::Order)
        } else if self.expires.abs_diff(self.issued) > longest {
            Err(TokenError::Lifetime { longest })
        } else if self.issued > now.saturating_add(LEEWAY) {
            Err(TokenError::Future)
        } else if begin > now.saturating_add(LEEWAY) {
            Err(TokenError::NotYetValid)
        } else if self.expires <= now.saturating_sub(LEEWAY) {
            Err(TokenError::Expired)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_from_its_first_second_to_its_last_give_or_take_a_minute() {
        let at = |now: i64, issued, not_before, expires| {
            Validity { issued, not_before, expires }.check(now * SECOND, 1000)
        };
        for (now, issued, not_before, expires, expected) in [
            (1500, 1000, None, 2000, Ok(())),
            (1500, 1000, None, 2001, Err(TokenError::Lifetime { longest: 1000 })),
            (1500, 1000, None, 1000, Err(TokenError::Order)),
            (1500, 1000, None, 999, Err(TokenError::Order)),
            (1500, 1000, Some(2000), 2000, Err(TokenError::Order)),
            (940, 1000, None, 2000, Ok(())),
            (939, 1000, None, 2000, Err(TokenError::Future)),
            (1140, 1000, Some(1200), 2000, Ok(())),
            (1139, 1000, Some(1200), 2000, Err(TokenError::NotYetValid)),
            (1500, 1000, Some(900), 2000, Ok(())),
            (2059, 1000, None, 2000, Ok(())),
            (2060, 1000, None, 2000, Err(TokenError::Expired)),
        ] {
            assert_eq!(
                at(now, issued, not_before, expires),
                expected,
                "{now} {issued} {not_before:?} {expires}"
            );
        }
        let good = Validity { issued: 0, not_before: None, expires: 1 };
        assert_eq!(good.check(Micros::MAX, 1), Err(TokenError::Expired));
        assert_eq!(good.check(Micros::MIN, 1), Err(TokenError::Future));
    }
}

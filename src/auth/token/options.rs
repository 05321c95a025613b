//! Whom the registry's tokens are from and for, and how long they last.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The longest name of an issuer or service, in bytes: both are in every token.
const LONGEST: usize = 256;

/// How long an access token may last, in minutes.
const ACCESS: RangeInclusive<u64> = 5..=60;

/// How long a refresh token may last, in days.
const REFRESH: RangeInclusive<u64> = 1..=90;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// What a registry says in its tokens; what it makes of them goes by the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    issuer: Box<str>,
    service: Box<str>,
    access: Duration,
    refresh: Duration,
}

/// Why a registry can say no such thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A name is empty, too long, or has a space, a quote, `#` or what is not ASCII.
    #[error("an issuer and a service have 1 to {LONGEST} visible ASCII characters, and no \", \\ or #")]
    Name,
    /// Access tokens would last too short or too long.
    #[error("an access token lasts {} to {} minutes", ACCESS.start(), ACCESS.end())]
    Access,
    /// Refresh tokens would last too short or too long.
    #[error("a refresh token lasts {} to {} days", REFRESH.start(), REFRESH.end())]
    Refresh,
}

impl Options {
    /// The greatest lifetime of an access token there is under any options, in seconds. Tokens that last longer are
    /// refused; those that were made before the options were changed are not.
    pub(super) const LONGEST_ACCESS: u64 = *ACCESS.end() * MINUTE;

    /// The same of a refresh token.
    pub(super) const LONGEST_REFRESH: u64 = *REFRESH.end() * DAY;

    /// Access tokens for 15 minutes and refresh tokens for 30 days. `issuer` is the registry's own name, `service` what
    /// clients are told to ask for; they may be the same.
    pub fn new(issuer: &str, service: &str) -> Result<Self, OptionsError> {
        let is_fit = |c: u8| c.is_ascii_graphic() && !b"\"\\#".contains(&c);
        if [issuer, service]
            .iter()
            .any(|name| !(1..=LONGEST).contains(&name.len()) || !name.bytes().all(is_fit))
        {
            return Err(OptionsError::Name);
        }
        Ok(Self {
            issuer: issuer.into(),
            service: service.into(),
            access: Duration::from_secs(15 * MINUTE),
            refresh: Duration::from_secs(30 * DAY),
        })
    }

    /// With other lifetimes, of which whole seconds count.
    pub fn with_lifetimes(self, access: Duration, refresh: Duration) -> Result<Self, OptionsError> {
        if !(ACCESS.start() * MINUTE..=Self::LONGEST_ACCESS).contains(&access.as_secs()) {
            Err(OptionsError::Access)
        } else if !(REFRESH.start() * DAY..=Self::LONGEST_REFRESH).contains(&refresh.as_secs()) {
            Err(OptionsError::Refresh)
        } else {
            Ok(Self { access, refresh, ..self })
        }
    }

    /// Whom tokens are from, `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whom access tokens are for, `aud`; what a client is told to ask for as `service`.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// How long access tokens last.
    pub fn access_lifetime(&self) -> Duration {
        self.access
    }

    /// How long refresh tokens last.
    pub fn refresh_lifetime(&self) -> Duration {
        self.refresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_visible_and_lifetimes_within_their_limits() {
        let long = "a".repeat(LONGEST + 1);
        for name in ["", "a b", "a\"b", "a#refresh", "ä", "a\n", &long] {
            assert_eq!(Options::new(name, "reg"), Err(OptionsError::Name), "{name:?}");
            assert_eq!(Options::new("reg", name), Err(OptionsError::Name), "{name:?}");
        }
        let options = || Options::new("https://reg.example", "reg.example:5000").unwrap();
        assert_eq!(
            (options().access_lifetime().as_secs(), options().refresh_lifetime().as_secs()),
            (900, 2_592_000)
        );
        let with = |minutes, days| {
            options().with_lifetimes(Duration::from_secs(minutes * MINUTE), Duration::from_secs(days * DAY))
        };
        for (minutes, days) in [(5, 1), (60, 90)] {
            let options = with(minutes, days).unwrap();
            assert_eq!(options.access_lifetime(), Duration::from_secs(minutes * MINUTE));
            assert_eq!(options.refresh_lifetime(), Duration::from_secs(days * DAY));
        }
        for (minutes, days, expected) in [
            (4, 1, OptionsError::Access),
            (61, 1, OptionsError::Access),
            (5, 0, OptionsError::Refresh),
            (5, 91, OptionsError::Refresh),
        ] {
            assert_eq!(with(minutes, days), Err(expected));
        }
    }
}

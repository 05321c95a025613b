//! Periods of the calendar (ISO 8601 durations of whole days and more).

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::clock::Micros;

/// `P3Y`, `P6M`, `P180D`, `P1Y6M`, `P2W`: years, months, weeks and days.
///
/// Added in UTC on the proleptic Gregorian calendar: first years and months together, and where that month has no such
/// day, its last day is taken, once (31 January and one month is 28 or 29 February); then weeks and days. The time of day
/// stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    years: i16,
    months: i16,
    weeks: i16,
    days: i32,
}

/// Why a text is not a period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a period of years, months, weeks or days, such as P3Y, P6M or P180D (at most 1000 years)"
)]
pub struct PeriodError(String);

impl Period {
    /// The moment this long after another. Stops at the end of the year 9999.
    pub fn after(self, at: Micros) -> Micros {
        let span = Span::new().years(self.years).months(self.months).weeks(self.weeks).days(self.days);
        let start = Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX);
        let end =
            start.to_zoned(TimeZone::UTC).checked_add(span).map_or(Timestamp::MAX, |end| end.timestamp());
        end.max(start).as_microsecond()
    }

    /// Whether it is at least as long as another, whenever both begin. Of two that depend on when, as `P1Y` and `P365D`,
    /// neither is.
    pub fn is_at_least(self, other: Self) -> bool {
        let (months, days) = self.parts();
        let (other_months, other_days) = other.parts();
        // Months take a little more or less than their share of the 146 097 days of 400 years, at most as long as a
        // short February and two leap days come to.
        let (average, slack) = (|months: i64| months * 146_097 / 4_800, 5);
        (months >= other_months && days >= other_days)
            || average(months) - slack + days >= average(other_months) + slack + other_days
    }

    /// Months and days.
    fn parts(self) -> (i64, i64) {
        let (years, months) = (i64::from(self.years), i64::from(self.months));
        (years * 12 + months, i64::from(self.weeks) * 7 + i64::from(self.days))
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let error = || PeriodError(text.chars().take(32).collect());
        let mut rest = text.strip_prefix('P').ok_or_else(error)?;
        let mut period = Self { years: 0, months: 0, weeks: 0, days: 0 };
        let mut units = "YMWD";
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: i32 = rest[..digits].parse().map_err(|_| error())?;
            let unit = rest[digits..].chars().next().ok_or_else(error)?;
            let at = units.find(unit).ok_or_else(error)?;
            // Each once, the largest first.
            units = &units[at + 1..];
            let most = match unit {
                'Y' => 1_000,
                'M' => 12_000,
                'W' => 32_000,
                _ => 366_000,
            };
            if number > most {
                return Err(error());
            }
            let small = i16::try_from(number.min(i32::from(i16::MAX))).map_err(|_| error())?;
            match unit {
                'Y' => period.years = small,
                'M' => period.months = small,
                'W' => period.weeks = small,
                _ => period.days = number,
            }
            rest = &rest[digits + 1..];
        }
        let is_nothing = period == Self { years: 0, months: 0, weeks: 0, days: 0 };
        if is_nothing { Err(error()) } else { Ok(period) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P")?;
        let parts = [
            (i32::from(self.years), 'Y'),
            (i32::from(self.months), 'M'),
            (i32::from(self.weeks), 'W'),
            (self.days, 'D'),
        ];
        parts
            .iter()
            .filter(|(number, _)| *number != 0)
            .try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

impl serde::Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The latest moment a document can say (2^53 - 1 µs, in the year 2255); what ends later does not end.
pub const LATEST: Micros = (1 << 53) - 1;

/// RFC 3339 in UTC with microseconds.
pub fn rfc3339(at: Micros) -> String {
    let at = Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX);
    format!("{at:.6}")
}

/// The moment of a text of RFC 3339, with any offset.
pub fn parse_rfc3339(text: &str) -> Option<Micros> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(period: &str, at: &str) -> String {
        let at: Timestamp = at.parse().unwrap();
        rfc3339(period.parse::<Period>().unwrap().after(at.as_microsecond()))
    }

    #[test]
    fn a_period_is_added_by_the_calendar() {
        assert_eq!(after("P1M", "2027-01-31T12:00:00Z"), "2027-02-28T12:00:00.000000Z");
        assert_eq!(after("P1M", "2028-01-31T12:00:00Z"), "2028-02-29T12:00:00.000000Z");
        assert_eq!(after("P1Y", "2028-02-29T00:00:00Z"), "2029-02-28T00:00:00.000000Z");
        // Clamped after the years and the months, and not between them.
        assert_eq!(after("P1Y1M", "2028-02-29T00:00:00Z"), "2029-03-29T00:00:00.000000Z");
        assert_eq!(after("P1Y1M1W1D", "2028-01-31T00:00:00Z"), "2029-03-08T00:00:00.000000Z");
        assert_eq!(after("P1M1D", "2027-01-31T00:00:00Z"), "2027-03-01T00:00:00.000000Z");
        assert_eq!(after("P180D", "2026-11-21T01:02:03.000004Z"), "2027-05-20T01:02:03.000004Z");
        assert_eq!(after("P2W", "2026-12-25T00:00:00Z"), "2027-01-08T00:00:00.000000Z");
        assert_eq!(after("P1000Y", "9990-01-01T00:00:00Z"), rfc3339(Timestamp::MAX.as_microsecond()));
    }

    #[test]
    fn a_period_is_only_longer_than_another_if_it_is_so_whenever_they_begin() {
        let texts = [
            "P1D", "P28D", "P30D", "P1M", "P31D", "P5W", "P1M1D", "P2M", "P7M", "P365D", "P1Y", "P12M",
            "P366D", "P380D", "P4Y", "P1461D", "P7Y", "P2556D", "P100Y", "P36524D", "P36600D",
        ];
        let periods = texts.map(|text| text.parse::<Period>().unwrap());
        // 210 years, with the leap year that 2100 is not, and every day of a month in some of them.
        let begins: Vec<_> = (0..210 * 13).map(|n: i64| n * 29 * 86_400_000_000).collect();
        for (long, short) in periods.iter().flat_map(|a| periods.iter().map(move |b| (*a, *b))) {
            if long.is_at_least(short) {
                let is_so = begins.iter().all(|at| long.after(*at) >= short.after(*at));
                assert!(is_so, "{long} {short}");
            }
        }
        let is_at_least = |a: &str, b: &str| a.parse::<Period>().unwrap().is_at_least(b.parse().unwrap());
        for (long, short) in
            [("P1Y", "P12M"), ("P12M", "P1Y"), ("P10Y", "P180D"), ("P2W", "P14D"), ("P1Y", "P350D")]
        {
            assert!(is_at_least(long, short), "{long} {short}");
        }
        for (a, b) in
            [("P1M", "P30D"), ("P30D", "P1M"), ("P1Y", "P365D"), ("P365D", "P1Y"), ("P179D", "P180D")]
        {
            assert!(!is_at_least(a, b), "{a} {b}");
        }
    }

    #[test]
    fn a_period_is_read_as_it_is_written() {
        for text in ["P7D", "P180D", "P3Y", "P1Y6M", "P2W", "P1Y2M3W4D"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "P",
            "P0D",
            "7D",
            "P1D1Y",
            "P1Y1Y",
            "P-1D",
            "P1.5D",
            "PT1H",
            "P1001Y",
            "P1",
            "P99999999999D",
            "PäD",
        ] {
            assert!(text.parse::<Period>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_time_is_read_as_it_is_written_and_with_an_offset() {
        let at = 1_801_353_600_000_001;
        assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at));
        assert_eq!(parse_rfc3339("2027-01-31T02:00:00+02:00"), parse_rfc3339("2027-01-31T00:00:00Z"));
        for text in ["", "forever", "2027-01-31", "2027-13-01T00:00:00Z"] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}

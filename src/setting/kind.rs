//! What a setting may be, and how that is written.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use crate::secret::Secret;

/// What a setting may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text; the module that owns it looks closer.
    Text,
    /// Text that is never shown.
    Secret,
    /// A URL; its password and query are never shown.
    Url,
    /// A path; a relative one starts at the working directory.
    Path,
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An IP address and a port.
    Address,
    /// A whole number.
    Count {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// Bytes, as `8MiB` or a plain number.
    Size {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A time, as `250ms`, `30s`, `10m`, `24h`.
    Duration {
        /// The least.
        min: Duration,
        /// The most.
        max: Duration,
    },
    /// Texts; one text with commas where there are no lists.
    List,
}

/// A checked value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of text, words, paths, addresses.
    Text(String),
    /// Of secrets and URLs.
    Secret(Secret),
    /// Of switches.
    Switch(bool),
    /// Of counts and sizes, in bytes.
    Number(u64),
    /// Of durations.
    Duration(Duration),
    /// Of lists.
    List(Vec<String>),
}

/// Units of sizes, the largest first.
const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Units of durations in milliseconds. `ms` stands before `s`, which it ends with.
const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl Kind {
    /// Reads a value; the error says what it should be, and never what it is.
    pub fn parse(self, text: &str) -> Result<Value, String> {
        let value = match self {
            Self::Text | Self::Path => Some(Value::Text(text.to_owned())),
            Self::Secret | Self::Url => Some(Value::Secret(text.into())),
            Self::Switch => text.parse().ok().map(Value::Switch),
            Self::Word(words) => words.contains(&text).then(|| Value::Text(text.to_owned())),
            Self::Address => text.parse::<SocketAddr>().is_ok().then(|| Value::Text(text.to_owned())),
            Self::Count { min, max } => whole(text).filter(|n| (min..=max).contains(n)).map(Value::Number),
            Self::Size { min, max } => size(text).filter(|n| (min..=max).contains(n)).map(Value::Number),
            Self::Duration { min, max } => {
                duration(text).filter(|time| (min..=max).contains(time)).map(Value::Duration)
            }
            Self::List => Some(Value::List(
                text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect(),
            )),
        };
        value.ok_or_else(|| self.hint())
    }

    /// What to write.
    pub fn hint(self) -> String {
        match self {
            Self::Text | Self::Secret => "give a text in quotes".to_owned(),
            Self::Url => "give a URL in quotes".to_owned(),
            Self::Path => "give a path in quotes".to_owned(),
            Self::Switch => "say true or false".to_owned(),
            Self::Word(words) => format!("say {}", words.join(" or ")),
            Self::Address => "give an address and a port, like 127.0.0.1:5000".to_owned(),
            Self::Count { min, max } => format!("give a whole number from {min} to {max}"),
            Self::Size { min, max } => {
                format!("give a size like 512KiB or 8MiB, from {} to {}", show_size(min), show_size(max))
            }
            Self::Duration { min, max } => format!(
                "give a time like 250ms, 30s, 10m or 24h, from {} to {}",
                show_duration(min),
                show_duration(max)
            ),
            Self::List => "give a list of texts, like [\"a\", \"b\"]".to_owned(),
        }
    }

    /// A value as it stands in a TOML file.
    pub fn toml(self, text: &str) -> String {
        match self {
            Self::Switch | Self::Count { .. } if !text.is_empty() => text.to_owned(),
            Self::List => {
                let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
                format!("[{}]", entries.map(quoted).collect::<Vec<_>>().join(", "))
            }
            _ => quoted(text),
        }
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

fn whole(text: &str) -> Option<u64> {
    // `parse` would take a sign.
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn size(text: &str) -> Option<u64> {
    with_unit(text, &SIZES).or_else(|| whole(text))
}

fn duration(text: &str) -> Option<Duration> {
    with_unit(text, &TIMES).map(Duration::from_millis)
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    whole(number)?.checked_mul(*factor)
}

fn show_size(bytes: u64) -> String {
    let unit = SIZES.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    unit.map_or_else(|| bytes.to_string(), |(name, factor)| format!("{}{name}", bytes / factor))
}

fn show_duration(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let unit = TIMES.iter().rev().find(|(_, factor)| millis >= *factor && millis.is_multiple_of(*factor));
    unit.map_or_else(|| "0s".to_owned(), |(name, factor)| format!("{}{name}", millis / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Kind = Kind::Size { min: 1024, max: 1 << 42 };
    const TIME: Kind = Kind::Duration { min: Duration::ZERO, max: Duration::from_hours(48) };

    #[test]
    fn sizes_are_bytes_or_have_a_binary_unit() {
        for (text, bytes) in [("4096", 4096), ("8MiB", 8 << 20), ("2 GiB", 2 << 30), ("1TiB", 1 << 40)] {
            assert_eq!(SIZE.parse(text), Ok(Value::Number(bytes)), "{text}");
        }
        for text in
            ["", "8MB", "MiB", "-8MiB", "+8", "8.5MiB", "8mib", "99999999999999999999", "1023", "5TiB"]
        {
            assert!(SIZE.parse(text).unwrap_err().contains("from 1KiB to 4TiB"), "{text}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, millis) in
            [("250ms", 250), ("30s", 30_000), ("10m", 600_000), ("24h", 86_400_000), ("0s", 0)]
        {
            assert_eq!(TIME.parse(text), Ok(Value::Duration(Duration::from_millis(millis))), "{text}");
        }
        for text in ["30", "", "s", "1.5h", "-1s", "3d", "1 week", "18446744073709551615h"] {
            assert!(TIME.parse(text).unwrap_err().contains("from 0s to 2d"), "{text}");
        }
    }

    #[test]
    fn what_is_written_into_a_file_is_quoted_where_it_must_be() {
        assert_eq!(Kind::Text.toml("a \"b\\ \u{1}"), r#""a \"b\\ \u0001""#);
        assert_eq!(Kind::Switch.toml("true"), "true");
        assert_eq!(Kind::List.toml("a, b"), r#"["a", "b"]"#);
        assert_eq!(Kind::List.toml(""), "[]");
        assert_eq!(Kind::Count { min: 0, max: 9 }.toml(""), "\"\"");
    }
}

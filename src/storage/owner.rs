//! Whose objects a place holds, as the marker in it says: a text of two lines.
//!
//! ```text
//! 01K9ZV3N6W2J5V2M0S9Q4T8YB1     the log
//! 01K9ZV3P0XQ7F8E5RD1GZ3K6HC     the place
//! ```
//!
//! Two settings may spell one place differently, and two places may look alike; the id in the second line tells.
//! Whoever moves the objects by other means moves the marker with them. The first release wrote only the log.

use std::fmt;
use std::str::FromStr;

use super::Error;

/// One place among all: made when it is claimed for the first time, and never changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlaceId(Box<str>);

impl PlaceId {
    /// A new one.
    pub(super) fn generate() -> Self {
        Self(ulid::Ulid::generate().to_string().into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a marker has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the marker has to be a line with the id of a log and one with the id of the place")]
pub struct MarkerError;

impl FromStr for PlaceId {
    type Err = MarkerError;

    fn from_str(text: &str) -> Result<Self, MarkerError> {
        match ulid::Ulid::from_string(text) {
            Ok(id) if id.to_string() == text => Ok(Self(text.into())),
            _ => Err(MarkerError),
        }
    }
}

/// What the marker of a place says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The log whose objects are there.
    pub log_id: String,
    /// Which place it is; `None` in a marker of the first release, until it is claimed again.
    pub place: Option<PlaceId>,
}

impl Owner {
    /// The owner of a place that is claimed for the first time.
    pub(super) fn new(log_id: &str) -> Self {
        Self { log_id: log_id.to_owned(), place: Some(PlaceId::generate()) }
    }

    /// What to write for `log_id` where a marker says `found`, or there is none; `None` when nothing is left to
    /// write. [`Error::Foreign`] when it is another log's; `place` names the place for people.
    pub(super) fn to_write(found: Option<&Self>, log_id: &str, place: &str) -> Result<Option<Self>, Error> {
        match found {
            Some(owner) if owner.log_id != log_id => Err(Error::Foreign(format!(
                "{place} holds the objects of registry {}, and the database is that of registry {log_id}; they do \
                 not belong together",
                owner.log_id
            ))),
            Some(Self { place: Some(_), .. }) => Ok(None),
            Some(Self { place: None, .. }) | None => Ok(Some(Self::new(log_id))),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.log_id)?;
        self.place.iter().try_for_each(|place| writeln!(f, "{place}"))
    }
}

impl FromStr for Owner {
    type Err = MarkerError;

    fn from_str(text: &str) -> Result<Self, MarkerError> {
        let mut lines = text.trim().lines().map(str::trim);
        let log_id = lines.next().filter(|id| !id.is_empty()).ok_or(MarkerError)?.to_owned();
        let place = lines.next().map(str::parse).transpose()?;
        if lines.next().is_some() { Err(MarkerError) } else { Ok(Self { log_id, place }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_as_it_was_written() {
        let owner = Owner::new("log");
        assert_eq!(owner.to_string().parse(), Ok(owner.clone()));
        let first_release = Owner { log_id: "log".into(), place: None };
        assert_eq!("log\n".parse(), Ok(first_release.clone()));
        assert_eq!(first_release.to_string(), "log\n");
        let by_hand = format!("log\r\n{} \n\n", owner.place.as_ref().unwrap());
        assert_eq!(by_hand.parse(), Ok(owner));
    }

    #[test]
    fn what_is_no_marker_is_not_read_as_half_of_one() {
        for text in ["", "\n", "log\nplace\n", "log\n01k9zv3p0xq7f8e5rd1gz3k6hc\n", "a\n\nb"] {
            assert_eq!(text.parse::<Owner>(), Err(MarkerError), "{text:?}");
        }
        assert_eq!(format!("{}x", Owner::new("log")).parse::<Owner>(), Err(MarkerError));
    }
}

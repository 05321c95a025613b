//! Byte ranges, in both directions: chunks of an upload (distribution-spec, "Pushing a blob in chunks")
//! and parts of a blob that is read (RFC 9110 §14).
//!
//! The two headers look alike and differ: an upload's is inclusive and must be exact or the chunk is
//! refused, a read's is a wish that is clamped, merged or ignored.

use std::str::FromStr;

use super::text::excerpt;

/// Most ranges one read may ask for; a client that wants more gets the whole.
const MAX_RANGES: usize = 32;

/// The largest byte position an upload may name: positions are stored as signed 64-bit numbers.
const MAX_POSITION: u64 = i64::MAX as u64 - 1;

/// The `Content-Range` of an upload chunk: `<start>-<end>`, both inclusive, `start <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// First byte of the chunk.
    pub start: u64,
    /// Last byte of the chunk.
    pub end_inclusive: u64,
}

/// Why a `Content-Range` is unusable. The answer is 416 whatever the variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentRangeError {
    /// Not `<start>-<end>`.
    #[error("content range {text:?} is not <start>-<end>")]
    Syntax {
        /// The text, shortened.
        text: String,
    },
    /// A position no upload can reach.
    #[error("content range {text:?} names a position beyond {MAX_POSITION}")]
    TooLarge {
        /// The text, shortened.
        text: String,
    },
    /// The range ends before it starts.
    #[error("content range starts at {start}, after its end {end}")]
    Inverted {
        /// First byte.
        start: u64,
        /// Last byte.
        end: u64,
    },
    /// The range ends outside the total it states itself.
    #[error("content range ends at {end} of {total} bytes in total")]
    BeyondTotal {
        /// Last byte.
        end: u64,
        /// The stated total.
        total: u64,
    },
}

impl ContentRange {
    /// Reads the header's value.
    ///
    /// The specification wants `^[0-9]+-[0-9]+$`. What clients send in the manner of RFC 9110 is
    /// understood as well: a prefix `bytes ` or `bytes=` and a suffix `/<total>` or `/*`.
    pub fn parse(header: &str) -> Result<Self, ContentRangeError> {
        let syntax = || ContentRangeError::Syntax { text: excerpt(header) };
        let number = |text: &str| match digits(text) {
            None => Err(syntax()),
            Some(value) if value > MAX_POSITION => Err(ContentRangeError::TooLarge { text: excerpt(header) }),
            Some(value) => Ok(value),
        };
        let value = without_unit(header.trim());
        let (range, total) = match value.split_once('/') {
            None => (value, None),
            Some((range, "*")) => (range, None),
            Some((range, total)) => (range, Some(number(total)?)),
        };
        let (start, end) = range.split_once('-').ok_or_else(syntax)?;
        let (start, end) = (number(start)?, number(end)?);
        if start > end {
            return Err(ContentRangeError::Inverted { start, end });
        }
        match total {
            Some(total) if end >= total => Err(ContentRangeError::BeyondTotal { end, total }),
            _ => Ok(Self { start, end_inclusive: end }),
        }
    }

    /// How many bytes the chunk has; at least one.
    #[allow(clippy::len_without_is_empty, reason = "an inclusive range cannot be empty")]
    pub fn len(&self) -> u64 {
        self.end_inclusive - self.start + 1
    }
}

impl FromStr for ContentRange {
    type Err = ContentRangeError;

    fn from_str(s: &str) -> Result<Self, ContentRangeError> {
        Self::parse(s)
    }
}

/// The `Range` header of a read.
#[derive(Clone, Copy, Debug)]
pub struct RangeHeader;

/// What a read is to be answered with. Every range is `start < end_exclusive <= size`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeRequest {
    /// 200 with everything: the header asks for nothing this server understands.
    Whole,
    /// 206 with one part.
    Single {
        /// First byte.
        start: u64,
        /// One past the last byte.
        end_exclusive: u64,
    },
    /// 206 `multipart/byteranges`: two or more `(start, end_exclusive)`, disjoint, in the order asked for.
    Multi(Vec<(u64, u64)>),
    /// 416 with `Content-Range: bytes */size`.
    Unsatisfiable,
}

impl RangeHeader {
    /// Reads a `Range` header for an object of `size` bytes.
    ///
    /// Ends beyond the object are clamped. An unknown unit, garbage or more than 32 ranges ask for the
    /// whole. A range that has no byte in the object, is inverted or is the suffix `-0` is unsatisfiable;
    /// among several it is dropped. Overlapping ranges become one, so an answer never carries a byte
    /// twice and the sum is at most `size`.
    ///
    /// An empty object has no byte to select, yet a range from byte 0 or a suffix gets it whole instead
    /// of 416: clients put `bytes=0-` on every read.
    pub fn parse(header: &str, size: u64) -> RangeRequest {
        let Some((unit, set)) = header.split_once('=') else {
            return RangeRequest::Whole;
        };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return RangeRequest::Whole;
        }
        let members = set.split(',').map(str::trim).filter(|member| !member.is_empty());
        let mut found = Vec::new();
        let mut count = 0;
        for member in members {
            count += 1;
            match select(member, size) {
                _ if count > MAX_RANGES => return RangeRequest::Whole,
                Selection::Malformed => return RangeRequest::Whole,
                Selection::Nothing => {}
                Selection::Bytes(start, end) => add(&mut found, start, end),
            }
        }
        match found[..] {
            [] if count == 0 => RangeRequest::Whole,
            [] => RangeRequest::Unsatisfiable,
            _ if size == 0 => RangeRequest::Whole,
            [(start, end_exclusive)] => RangeRequest::Single { start, end_exclusive },
            _ => RangeRequest::Multi(found),
        }
    }
}

/// `Range` of a 202 answer to POST and PATCH: `0-<end>` of everything received so far.
///
/// An empty session is `0-0`, although that reads as one byte: docker refuses anything else, and
/// nobody reads the header of a 202 closely.
pub fn received_range(received: u64) -> String {
    format!("0-{}", received.saturating_sub(1))
}

/// `Range` of a status or 416 answer: `0-<end>` of everything received so far.
///
/// An empty session is `0--1`: a client that resumes reads the end and adds one.
pub fn received_range_status(received: u64) -> String {
    if received == 0 { "0--1".to_owned() } else { received_range(received) }
}

enum Selection {
    Bytes(u64, u64),
    Nothing,
    Malformed,
}

/// The bytes one member of a range set selects. Only an empty object yields an empty selection.
fn select(member: &str, size: u64) -> Selection {
    let Some((first, last)) = member.split_once('-') else {
        return Selection::Malformed;
    };
    let (start, end) = match (first.trim(), last.trim()) {
        ("", suffix) => match digits(suffix) {
            None => return Selection::Malformed,
            Some(0) => return Selection::Nothing,
            Some(length) => (size.saturating_sub(length), size),
        },
        (first, "") => match digits(first) {
            None => return Selection::Malformed,
            Some(start) => (start, size),
        },
        (first, last) => match (digits(first), digits(last)) {
            (Some(start), Some(last)) if start <= last => (start, last.saturating_add(1).min(size)),
            (Some(_), Some(_)) => return Selection::Nothing,
            _ => return Selection::Malformed,
        },
    };
    if start < end || (start == 0 && size == 0) { Selection::Bytes(start, end) } else { Selection::Nothing }
}

/// Adds a range, merging it with those it overlaps; the result stands where the first of them stood.
fn add(ranges: &mut Vec<(u64, u64)>, mut start: u64, mut end: u64) {
    let mut place = ranges.len();
    while let Some(at) = ranges.iter().position(|&(s, e)| s < end && start < e) {
        let (s, e) = ranges.remove(at);
        (start, end) = (start.min(s), end.max(e));
        place = place.min(at);
    }
    ranges.insert(place, (start, end));
}

/// A number of ASCII digits; what does not fit counts as the largest, which is beyond every object.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

/// Without a leading `bytes ` or `bytes=`.
fn without_unit(text: &str) -> &str {
    match text.split_at_checked(6) {
        Some((unit, rest)) if ["bytes ", "bytes="].iter().any(|u| unit.eq_ignore_ascii_case(u)) => {
            rest.trim()
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests;

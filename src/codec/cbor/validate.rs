//! The judge of raw bytes.

use super::profile::check_key;
use super::{Error, Limits, MAX_INTEGER, Reason};

const TEXT: u8 = 3;

/// Checks that `bytes` are one item of the profile, in its only spelling (RFC 8949 §4.2.1), within
/// `limits`, with nothing behind it.
///
/// Allocates nothing. Time is linear in the input, whatever lengths the input claims; the stack is
/// bounded by [`Limits::depth`]. Reports the first fault in reading order.
pub fn validate(bytes: &[u8], limits: &Limits) -> Result<(), Error> {
    if bytes.len() > limits.total {
        return Err(fault(limits.total, Reason::Total { limit: limits.total }));
    }
    let mut reader = Reader { bytes, at: 0, items: 0, limits };
    reader.item(0)?;
    if reader.at < bytes.len() {
        return Err(fault(reader.at, Reason::Trailing));
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    items: usize,
    limits: &'a Limits,
}

/// The start of an item: three bits of type and the number behind them (RFC 8949 §3).
struct Head {
    start: usize,
    major: u8,
    argument: u64,
}

impl<'a> Reader<'a> {
    /// Reads one item with everything in it. `depth` counts the containers around it.
    fn item(&mut self, depth: u8) -> Result<(), Error> {
        let head = self.head()?;
        match head.major {
            0 if head.argument > MAX_INTEGER => Err(fault(head.start, Reason::IntegerRange)),
            // The argument n stands for -1 - n.
            1 if head.argument >= MAX_INTEGER => Err(fault(head.start, Reason::IntegerRange)),
            TEXT => self.text(&head),
            4 => self.array(&head, depth),
            5 => self.map(&head, depth),
            // Integers in range, and of major type 7 only what `head` lets through.
            _ => Ok(()),
        }
    }

    fn text(&mut self, head: &Head) -> Result<(), Error> {
        let (start, text) = self.take(head)?;
        if text.len() > self.limits.text {
            return Err(fault(head.start, Reason::Text { limit: self.limits.text }));
        }
        match std::str::from_utf8(text) {
            Ok(_) => Ok(()),
            Err(e) => Err(fault(start + e.valid_up_to(), Reason::Utf8)),
        }
    }

    fn array(&mut self, head: &Head, depth: u8) -> Result<(), Error> {
        self.open(head, 1, depth)?;
        for _ in 0..head.argument {
            self.item(depth + 1)?;
        }
        Ok(())
    }

    fn map(&mut self, head: &Head, depth: u8) -> Result<(), Error> {
        self.open(head, 2, depth)?;
        let mut previous: &[u8] = &[];
        for _ in 0..head.argument {
            let start = self.at;
            let key = self.key()?;
            if key == previous {
                return Err(fault(start, Reason::KeyDuplicate));
            }
            if key < previous {
                return Err(fault(start, Reason::KeyOrder));
            }
            previous = key;
            self.item(depth + 1)?;
        }
        Ok(())
    }

    /// Reads a key and returns its whole encoding, the thing that is sorted.
    fn key(&mut self) -> Result<&'a [u8], Error> {
        let head = self.head()?;
        if head.major != TEXT {
            return Err(fault(head.start, Reason::KeyNotText));
        }
        let (start, text) = self.take(&head)?;
        match check_key(text) {
            Ok(()) => Ok(&self.bytes[head.start..self.at]),
            Err((_, Reason::KeyLength)) => Err(fault(head.start, Reason::KeyLength)),
            Err((at, reason)) => Err(fault(start + at, reason)),
        }
    }

    /// Checks that a container may be entered. Each of its items takes at least one byte, so a
    /// claim beyond the input is refused before anything is read for it.
    fn open(&self, head: &Head, items_per_entry: u64, depth: u8) -> Result<(), Error> {
        if depth >= self.limits.depth {
            return Err(fault(head.start, Reason::Depth { limit: self.limits.depth }));
        }
        match head.argument.checked_mul(items_per_entry) {
            Some(items) if items <= self.left() => Ok(()),
            _ => Err(fault(head.start, Reason::Truncated)),
        }
    }

    /// The content of a text, and where it starts.
    fn take(&mut self, head: &Head) -> Result<(usize, &'a [u8]), Error> {
        if head.argument > self.left() {
            return Err(fault(head.start, Reason::Truncated));
        }
        let len = usize::try_from(head.argument).expect("no longer than the input");
        let start = self.at;
        self.at += len;
        Ok((start, &self.bytes[start..self.at]))
    }

    fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    fn head(&mut self) -> Result<Head, Error> {
        let start = self.at;
        self.items += 1;
        if self.items > self.limits.items {
            return Err(fault(start, Reason::Items { limit: self.limits.items }));
        }
        let initial = *self.bytes.get(start).ok_or(fault(start, Reason::Truncated))?;
        let (major, info) = (initial >> 5, initial & 0x1f);
        if let Some(reason) = forbidden(major, info) {
            return Err(fault(start, reason));
        }
        let width = match info {
            0..24 => 0,
            _ => 1_usize << (info - 24),
        };
        self.at = start + 1 + width;
        let tail = self.bytes.get(start + 1..self.at).ok_or(fault(start, Reason::Truncated))?;
        let argument = match width {
            0 => u64::from(info),
            _ => tail.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        };
        let shortest = match width {
            0 => true,
            1 => argument >= 24,
            // Needs more than the half of its bytes that the next shorter head has.
            _ => argument >> (width * 4) != 0,
        };
        if !shortest {
            return Err(fault(start, Reason::NotShortest));
        }
        Ok(Head { start, major, argument })
    }
}

/// Why an initial byte can start nothing in the profile; what it lets through has an argument of at
/// most eight bytes.
fn forbidden(major: u8, info: u8) -> Option<Reason> {
    match (major, info) {
        (2, _) => Some(Reason::ByteString),
        (6, _) => Some(Reason::Tag),
        (7, 20..=22) => None,
        (7, 0..=24) => Some(Reason::Simple),
        (7, 25..=27) => Some(Reason::Float),
        (3..=5 | 7, 31) => Some(Reason::Indefinite),
        (_, 28..) => Some(Reason::Reserved),
        _ => None,
    }
}

fn fault(offset: usize, reason: Reason) -> Error {
    Error::Bytes { offset, reason }
}

//! Published vectors, the rules one by one, and properties over random values.

mod encode;
mod invalid;
pub(in super::super) mod properties;
mod vectors;

use super::{Error, Limits, Reason, validate};

/// Bytes from hexadecimal digits; blanks separate items for the reader.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|c| *c != b' ').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Where and why the bytes are refused, or `None` if they are valid.
fn fault(bytes: &[u8]) -> Option<(usize, Reason)> {
    match validate(bytes, &Limits::DOCUMENT) {
        Ok(()) => None,
        Err(Error::Bytes { offset, reason }) => Some((offset, reason)),
        Err(other) => panic!("{other}"),
    }
}

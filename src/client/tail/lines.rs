//! Lines of a body that arrives in pieces.

use bytes::{Buf as _, Bytes, BytesMut};

/// Puts pieces together to lines of a bounded length. Every byte is looked at once, and copied once.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: BytesMut,
    /// Bytes of the buffer in which there is no end of a line.
    looked_at: usize,
    limit: usize,
}

/// A line is longer than any may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Lines {
    pub(super) fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), looked_at: 0, limit }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole line without its end; `None` until the rest of it arrives. Empty lines are passed over.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            let end = self.buffer[self.looked_at..].iter().position(|byte| *byte == b'\n');
            let Some(end) = end.map(|at| at + self.looked_at) else {
                self.looked_at = self.buffer.len();
                return if self.looked_at > self.limit { Err(TooLong) } else { Ok(None) };
            };
            let mut line = self.buffer.split_to(end);
            self.buffer.advance(1);
            self.looked_at = 0;
            if line.len() > self.limit {
                return Err(TooLong);
            }
            if line.ends_with(b"\r") {
                line.truncate(line.len() - 1);
            }
            if !line.is_empty() {
                return Ok(Some(line.freeze()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &mut Lines) -> Vec<String> {
        std::iter::from_fn(|| lines.next().unwrap())
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let text = "one\n\ntwo\r\n\n\r\nthree \u{e4}\nrest";
        for size in 1..=text.len() {
            let mut lines = Lines::new(16);
            let mut found = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                lines.push(piece);
                found.extend(all(&mut lines));
            }
            assert_eq!(found, ["one", "two", "three \u{e4}"], "{size}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
        let mut lines = Lines::new(8);
        lines.push(b"12345678");
        assert_eq!(lines.next(), Ok(None));
        lines.push(b"9");
        assert_eq!(lines.next(), Err(TooLong));
        let mut lines = Lines::new(8);
        lines.push(b"123456789\nx\n");
        assert_eq!(lines.next(), Err(TooLong));
    }

    #[test]
    fn a_long_line_in_many_pieces_is_looked_at_once() {
        const MANY: usize = 32 << 20;
        let mut lines = Lines::new(MANY * 2);
        let piece = [b'x'; 1024];
        for _ in 0..MANY / piece.len() {
            lines.push(&piece);
            assert_eq!(lines.next(), Ok(None));
            assert_eq!(lines.looked_at, lines.buffer.len());
        }
        lines.push(b"\n");
        assert_eq!(lines.next().unwrap().unwrap().len(), MANY);
    }
}

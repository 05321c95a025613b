//! The unpacked bytes of an archive, counted.

use std::io::{self, Chain, Cursor, ErrorKind, Read};

use flate2::read::MultiGzDecoder;

use super::Limits;
use super::error::{Error, Limit, Place};

/// What all tar programs read and write at once.
pub(super) const BLOCK: usize = 512;

/// Unpacked bytes from which on the ratio counts.
const GRACE: u64 = 64 << 20;

/// What the packings begin with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const XZ: [u8; 4] = [0xfd, b'7', b'z', b'X'];
const BZIP2: [u8; 4] = *b"BZh9";

/// The bytes behind whatever packing there is, and where in them we are.
pub(super) struct Stream<R: Read> {
    reader: Reader<R>,
    ratio: u64,
    /// The limit that [`left`](Self::left) began with.
    limit: u64,
    /// Bytes that may still come.
    left: u64,
    unpacked: u64,
    pub(super) place: Place,
}

enum Reader<R: Read> {
    Plain(Packed<R>),
    Gzip(Box<MultiGzDecoder<Packed<R>>>),
}

/// The packed bytes: those looked at to know the packing, and the rest.
type Packed<R> = Chain<Cursor<Vec<u8>>, Counted<R>>;

/// A reader that remembers how it went, also when somebody else calls it.
struct Counted<R> {
    inner: R,
    read: u64,
    failed: bool,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(read) => {
                self.read += read as u64;
                Ok(read)
            }
            Err(error) => {
                self.failed = error.kind() != ErrorKind::Interrupted;
                Err(error)
            }
        }
    }
}

impl<R: Read> Stream<R> {
    /// Looks at the first bytes for the packing. `left` bytes of the limit are left.
    pub(super) fn open(source: R, limits: &Limits, left: u64) -> Result<Self, Error> {
        let mut source = Counted { inner: source, read: 0, failed: false };
        let mut start = Vec::with_capacity(BLOCK);
        let place = Place::Start;
        if let Err(source) = source.by_ref().take(ZSTD.len() as u64).read_to_end(&mut start) {
            return Err(Error::Read { place, source });
        }
        let is_gzip = start.starts_with(&GZIP);
        for (magic, name) in [(ZSTD, "zstd"), (XZ, "xz"), (BZIP2, "bzip2")] {
            if start.starts_with(&magic) {
                return Err(Error::Packing(name));
            }
        }
        let packed = Cursor::new(start).chain(source);
        let reader =
            if is_gzip { Reader::Gzip(Box::new(MultiGzDecoder::new(packed))) } else { Reader::Plain(packed) };
        Ok(Self { reader, ratio: limits.ratio, limit: limits.unpacked, left, unpacked: 0, place })
    }

    /// What is left of the limit.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Some bytes; none at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let read = loop {
            let read = match &mut self.reader {
                Reader::Plain(packed) => packed.read(buffer),
                Reader::Gzip(decoder) => decoder.read(buffer),
            };
            match read {
                Ok(read) => break read as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        };
        self.unpacked += read;
        self.left = self.left.checked_sub(read).ok_or_else(|| self.over(Limit::Unpacked(self.limit)))?;
        if self.unpacked > GRACE && self.unpacked > self.packed().read.saturating_mul(self.ratio) {
            return Err(self.over(Limit::Ratio(self.ratio)));
        }
        Ok(usize::try_from(read).expect("it was a usize"))
    }

    /// Fills the buffer. `false` at the end, without a byte of it.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(self.truncated()),
                read => filled += read,
            }
        }
        Ok(true)
    }

    /// Hands `size` bytes to `take` and skips their padding.
    pub(super) fn contents(&mut self, size: u64, mut take: impl FnMut(&[u8])) -> Result<(), Error> {
        if size > self.left {
            return Err(self.over(Limit::Unpacked(self.limit)));
        }
        let mut buffer = [0; 32 * BLOCK];
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        let mut left = size;
        while left > 0 {
            let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            match self.read(&mut buffer[..wanted])? {
                0 => return Err(self.truncated()),
                read => {
                    take(&buffer[..read]);
                    left -= read as u64;
                }
            }
        }
        let padding = usize::try_from(padding).expect("it is less than a block");
        if padding > 0 && !self.fill(&mut buffer[..padding])? {
            return Err(self.truncated());
        }
        Ok(())
    }

    pub(super) fn truncated(&self) -> Error {
        Error::Truncated { place: self.place.clone() }
    }

    pub(super) fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::Damaged { place: self.place.clone(), reason: reason.into() }
    }

    pub(super) fn over(&self, limit: Limit) -> Error {
        Error::Limit { limit, place: self.place.clone() }
    }

    fn failed(&self, error: io::Error) -> Error {
        if self.packed().failed {
            return Error::Read { place: self.place.clone(), source: error };
        }
        match error.kind() {
            ErrorKind::UnexpectedEof => self.truncated(),
            _ => self.damaged(error.to_string()),
        }
    }

    fn packed(&self) -> &Counted<R> {
        match &self.reader {
            Reader::Plain(packed) => packed.get_ref().1,
            Reader::Gzip(decoder) => decoder.get_ref().get_ref().1,
        }
    }
}

//! From header blocks to members: what an entry is called and what it is.

use std::io::Read;

use tar::{EntryType, Header};

use super::LinkKind;
use super::error::{Error, Limit, Place, shown};
use super::pax::Records;
use super::stream::{BLOCK, Stream};

/// What one entry may say of itself in extended headers, bytes; as much as Go's reader takes.
const MAX_EXTENSION: u64 = 1 << 20;

/// An entry whose header was read and whose contents follow in the stream.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
}

/// What an entry is.
#[derive(Debug)]
pub(super) enum Kind {
    File {
        size: u64,
    },
    Folder,
    Link {
        kind: LinkKind,
        target: Vec<u8>,
    },
    /// Said about the archive as a whole; nothing of it concerns us.
    Remark,
}

/// What stood before the header it is about.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    records: Option<Records>,
}

/// Reads up to the contents of the next entry; `None` at the end of the archive, with the stream at its end.
pub(super) fn next<R: Read>(stream: &mut Stream<R>) -> Result<Option<Member>, Error> {
    let mut extensions = Extensions::default();
    loop {
        let Some(header) = block(stream)? else {
            return if extensions.is_empty() { Ok(None) } else { Err(stream.truncated()) };
        };
        let size = size(&header, stream)?;
        let known = match header.entry_type() {
            EntryType::GNULongName => extensions.name.replace(long_text(stream, size)?).is_some(),
            EntryType::GNULongLink => extensions.target.replace(long_text(stream, size)?).is_some(),
            EntryType::XHeader => extensions.records.replace(records(stream, size)?).is_some(),
            EntryType::XGlobalHeader if extensions.is_empty() => {
                if !records(stream, size)?.is_silent() {
                    return Err(
                        stream.damaged("a header for all entries gives them one name, target or size")
                    );
                }
                return Ok(Some(Member { name: Vec::new(), kind: Kind::Remark }));
            }
            _ => return extensions.member(&header, size, stream).map(Some),
        };
        if known {
            return Err(stream.damaged("an entry has two extended headers of one kind"));
        }
    }
}

/// The next header block, checked; `None` at the end of the archive.
fn block<R: Read>(stream: &mut Stream<R>) -> Result<Option<Header>, Error> {
    let mut header = Header::new_old();
    if !stream.fill(header.as_mut_bytes())? {
        // An archive that ends between two entries may be half of one.
        return Err(stream.truncated());
    }
    let bytes = header.as_bytes();
    if bytes.iter().all(|byte| *byte == 0) {
        return rest_is_padding(stream).map(|()| None);
    }
    // The checksum itself counts as spaces.
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let actual = sum(&bytes[..148]) + 8 * u32::from(b' ') + sum(&bytes[156..]);
    if header.cksum().ok() != Some(actual) {
        return Err(stream.damaged("what should be a tar header has a wrong checksum"));
    }
    Ok(Some(header))
}

/// Reads to the end of everything, so that the checksum of a packing is compared too.
fn rest_is_padding<R: Read>(stream: &mut Stream<R>) -> Result<(), Error> {
    let mut buffer = [0; BLOCK];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read if buffer[..read].iter().all(|byte| *byte == 0) => {}
            _ => return Err(stream.damaged("it goes on behind its end")),
        }
    }
}

/// The size of the contents; what does not fit 64 bits is none.
fn size<R: Read>(header: &Header, stream: &Stream<R>) -> Result<u64, Error> {
    let field = header.as_old().size;
    let is_binary = field[0] & 0x80 != 0;
    let fits = !is_binary || (field[0] == 0x80 && field[1..4] == [0; 3]);
    match header.entry_size() {
        Ok(size) if fits => Ok(size),
        _ => Err(stream.damaged("a header has a size that is no number")),
    }
}

fn extension<R: Read>(stream: &mut Stream<R>, size: u64) -> Result<Vec<u8>, Error> {
    if size > MAX_EXTENSION {
        return Err(stream.over(Limit::Extension(MAX_EXTENSION)));
    }
    let mut bytes = Vec::new();
    stream.contents(size, |piece| bytes.extend_from_slice(piece))?;
    Ok(bytes)
}

fn long_text<R: Read>(stream: &mut Stream<R>, size: u64) -> Result<Vec<u8>, Error> {
    let mut text = extension(stream, size)?;
    let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    text.truncate(end);
    stream.place = Place::within(&text);
    Ok(text)
}

fn records<R: Read>(stream: &mut Stream<R>, size: u64) -> Result<Records, Error> {
    let bytes = extension(stream, size)?;
    let records = Records::parse(&bytes).map_err(|reason| stream.damaged(format!("an entry {reason}")))?;
    if let Some(path) = &records.path {
        stream.place = Place::within(path);
    }
    Ok(records)
}

impl Extensions {
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.target.is_none() && self.records.is_none()
    }

    fn member<R: Read>(self, header: &Header, size: u64, stream: &mut Stream<R>) -> Result<Member, Error> {
        let records = self.records.unwrap_or_default();
        let names_twice = self.name.is_some() && records.path.is_some();
        let points_twice = self.target.is_some() && records.target.is_some();
        let name = self.name.or(records.path).unwrap_or_else(|| header.path_bytes().into_owned());
        stream.place = Place::within(&name);
        let entry = || shown(&name);
        let ambiguous = |reason| Err(Error::Ambiguous { name: entry(), reason });
        let special = |what| Err(Error::Special { name: entry(), what });
        if names_twice || points_twice {
            return ambiguous("has two long names");
        }
        if records.is_sparse {
            return special("a sparse file");
        }
        let size = records.size.unwrap_or(size);
        let target = || {
            let plain = || header.link_name_bytes().map_or_else(Vec::new, std::borrow::Cow::into_owned);
            self.target.or(records.target).unwrap_or_else(plain)
        };
        let kind = match header.entry_type() {
            // The oldest programs know folders by their slash.
            EntryType::Regular if name.ends_with(b"/") => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => Kind::File { size },
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink => Kind::Link { kind: LinkKind::Symbolic, target: target() },
            EntryType::Link => Kind::Link { kind: LinkKind::Hard, target: target() },
            EntryType::Char => return special("a character device"),
            EntryType::Block => return special("a block device"),
            EntryType::Fifo => return special("a pipe"),
            EntryType::GNUSparse => return special("a sparse file"),
            _ => return special("of a kind that is not known"),
        };
        if size > 0 && !matches!(kind, Kind::File { .. }) {
            return ambiguous("is no file and has contents");
        }
        Ok(Member { name, kind })
    }
}

//! What is in a tar archive: the paths, sizes and digests of its files, read in one pass.
//!
//! A producer may push a whole directory as one tar layer. [`index`] and [`Indexer`] list it as the files it
//! would unpack to. Nothing is unpacked: bytes are hashed and forgotten, links are recorded and never followed.
//!
//! The archive comes from outside, so everything is bounded ([`Limits`]), memory first: what is kept is the
//! list alone, at most [`Limits::names`] bytes of text and [`Limits::entries`] lines. What tar programs
//! disagree about is refused, because the list has to be what everybody else unpacks: entries that give two
//! names or two sizes, sizes of things that have none, bytes after the end. Devices, pipes and sparse files are
//! refused as well, since a list without them would not be the whole archive.
//!
//! Tar headers are decoded by the `tar` crate. It is not given the stream: it collects a long name in memory,
//! however long the archive says it is.

mod error;
mod header;
mod indexer;
mod pax;
mod stream;

#[cfg(test)]
mod tests;

use std::io::Read;

pub use error::{Error, Limit, Place};
pub use indexer::Indexer;

use super::{MAX_FILES, PackagePath};
use crate::oci::Digest;

/// How much an archive may be. Reading ends where a limit is passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries of any kind, folders and links among them.
    pub entries: u64,
    /// Files.
    pub files: usize,
    /// Paths of files, links and folders, and link targets, together, bytes.
    pub names: usize,
    /// All of it unpacked, headers and padding included, bytes.
    pub unpacked: u64,
    /// Unpacked bytes per packed byte. Held to once 64 MiB were unpacked: a small archive may hold a page of zeros.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 100_000, files: MAX_FILES, names: 16 << 20, unpacked: 64 << 30, ratio: 200 }
    }
}

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is unpacked to.
    pub path: PackagePath,
    /// Bytes.
    pub size: u64,
    /// Its BLAKE3 digest.
    pub content_address: Digest,
    /// Its SHA-256 digest.
    pub sha256: Digest,
}

/// A link of an archive, as it stands there. Its target is text and means nothing to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it is unpacked to.
    pub path: PackagePath,
    /// Which kind.
    pub kind: LinkKind,
    /// Where it points to, unchecked; it may lead anywhere.
    pub target: String,
}

/// The kinds of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A symbolic link.
    Symbolic,
    /// A further name of a file that stands before it.
    Hard,
}

/// What is in one archive, or in several that are unpacked to one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The files, sorted by path.
    pub files: Vec<Entry>,
    /// The links, sorted by path. No file has the path of a link or is below one.
    pub links: Vec<Link>,
    /// The folders that have an entry of their own, sorted, each once. None has the path of a file or a link or is
    /// below one.
    pub folders: Vec<PackagePath>,
}

/// Lists a tar archive, plain or in gzip, to the end of `reader`. Blocks while `reader` does.
pub fn index(reader: impl Read, limits: &Limits) -> Result<Index, Error> {
    let mut indexer = Indexer::new(limits.clone());
    indexer.read(reader)?;
    indexer.finish()
}

//! Why an archive cannot be listed.

use std::fmt;
use std::io;

use super::super::{PackagePath, PathError};
use crate::oci::excerpt;

/// Everything but [`Read`](Self::Read) is the fault of the archive and will not get better.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source failed; says nothing about the archive.
    #[error("the archive cannot be read, {place}")]
    Read {
        /// How far it was read.
        place: Place,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// It ends too early.
    #[error("the archive is cut off {place}")]
    Truncated {
        /// Where.
        place: Place,
    },
    /// It cannot be unpacked.
    #[error("the archive is damaged {place}: {reason}")]
    Damaged {
        /// Where.
        place: Place,
        /// What is wrong.
        reason: String,
    },
    /// Packed in a way that is not read here.
    #[error("the archive is packed with {0}; tar and tar in gzip are read")]
    Packing(&'static str),
    /// More than may be.
    #[error("the archive {limit}, {place}")]
    Limit {
        /// Which limit.
        limit: Limit,
        /// Where it was passed.
        place: Place,
    },
    /// A name that is no path in a package.
    #[error("the archive has an entry that is no file of a package: {0}")]
    Path(#[from] PathError),
    /// A name or a link target that is not UTF-8.
    #[error("the name of archive entry {name:?} is not UTF-8")]
    NotText {
        /// The name, shortened and repaired.
        name: String,
    },
    /// Something that is no file, folder or link.
    #[error("archive entry {name:?} is {what}; a package has files only")]
    Special {
        /// The name, shortened.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// An entry that can be read in two ways.
    #[error("archive entry {name:?} {reason}")]
    Ambiguous {
        /// The name, shortened.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// A path that is there twice.
    #[error("{0} is in the archive twice")]
    Duplicate(PackagePath),
    /// A path that is a file or a link and a folder.
    #[error("{0} is a file or a link in the archive and also a folder")]
    FileAndFolder(PackagePath),
    /// A path that is a file or a link and leads to another.
    #[error("{path} is a file or a link in the archive and also the folder of {inside}")]
    Folder {
        /// The file or link.
        path: PackagePath,
        /// What is below it.
        inside: PackagePath,
    },
}

/// A limit that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Of [`Limits::entries`](super::Limits::entries).
    Entries(u64),
    /// Of [`Limits::files`](super::Limits::files).
    Files(usize),
    /// Of [`Limits::names`](super::Limits::names).
    Names(usize),
    /// Of [`Limits::unpacked`](super::Limits::unpacked).
    Unpacked(u64),
    /// Of [`Limits::ratio`](super::Limits::ratio).
    Ratio(u64),
    /// Of what an entry may say of itself besides its contents, in bytes.
    Extension(u64),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries(limit) => write!(f, "has more than {limit} entries"),
            Self::Files(limit) => write!(f, "has more than {limit} files"),
            Self::Names(limit) => write!(f, "has more than {limit} bytes of paths and link targets"),
            Self::Unpacked(limit) => write!(f, "has more than {limit} bytes when it is unpacked"),
            Self::Ratio(limit) => write!(f, "unpacks to more than {limit} times its size"),
            Self::Extension(limit) => write!(f, "has an extended header of more than {limit} bytes"),
        }
    }
}

/// How far an archive was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// No entry was read.
    #[default]
    Start,
    /// Within the entry of this name, shortened.
    In(String),
    /// Behind the entry of this name, shortened.
    After(String),
}

impl Place {
    pub(super) fn within(name: &[u8]) -> Self {
        Self::In(shown(name))
    }

    /// The place behind the entry that was read.
    pub(super) fn leave(&mut self) {
        if let Self::In(name) = self {
            *self = Self::After(std::mem::take(name));
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("at its beginning"),
            Self::In(name) => write!(f, "in entry {name:?}"),
            Self::After(name) => write!(f, "after entry {name:?}"),
        }
    }
}

/// A name as it is fit for an error message.
pub(super) fn shown(name: &[u8]) -> String {
    excerpt(&String::from_utf8_lossy(&name[..name.len().min(1024)]))
}

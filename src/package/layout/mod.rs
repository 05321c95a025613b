//! Layouts: how a producer's run directory becomes a package, said in a file instead of in code.
//!
//! A [`Layout`] is read from TOML (`docs/layouts.md` is its reference). It knows a run directory by its marker
//! files, takes metadata and provenance out of the JSON documents in it, counts what the documents list, and
//! says what each file is for. Pure: the caller lists the directory, reads the documents that
//! [`Layout::documents`] names and gives both to [`Layout::apply`]. Everything in the directory is part of the
//! package: a layout describes files and leaves none out.

mod apply;
mod document;
mod glob;
mod read;
mod table;
mod whole;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use glob::Glob;
pub(crate) use glob::fits;

use super::{Description, Object, PackagePath};

pub use whole::check_whole;

/// The largest document a layout reads, bytes.
pub const MAX_DOCUMENT: u64 = 16 << 20;

/// The largest layout file, bytes.
pub const MAX_LAYOUT: u64 = 1 << 20;

/// The layout of guide-board's run directories.
const GUIDE_BOARD: &str = include_str!("../../../deploy/layouts/guide-board.toml");

/// How one producer's run directories become packages.
#[derive(Clone, Debug)]
pub struct Layout {
    name: String,
    version: u64,
    kind: String,
    schema: Option<String>,
    class: Option<String>,
    class_from: Option<Place>,
    markers: Vec<PackagePath>,
    conditions: Vec<Condition>,
    metadata: Vec<Field>,
    counts: Vec<Count>,
    agreements: Vec<Agreement>,
    provenance: Vec<Field>,
    files: Vec<FileRule>,
    reports: Option<Reports>,
}

/// A value in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    document: PackagePath,
    /// RFC 6901; empty for the whole document.
    pointer: String,
}

/// A text that a run directory says of itself.
#[derive(Clone, Debug)]
struct Condition {
    place: Place,
    is: Vec<String>,
}

/// A value that is kept.
#[derive(Clone, Debug)]
struct Field {
    /// Where it is kept; dots lead into objects.
    name: String,
    place: Place,
    kind: Kind,
    required: bool,
}

/// What a kept value has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Boolean,
    Object,
    List,
}

/// Elements of a list, counted by what one of their fields says.
#[derive(Clone, Debug)]
struct Count {
    name: String,
    place: Place,
    /// The field, as a pointer into the element.
    by: String,
    values: Vec<String>,
}

/// A number that has to be the same as one taken or counted elsewhere.
#[derive(Clone, Debug)]
struct Agreement {
    name: String,
    place: Place,
}

/// What files are.
#[derive(Clone, Debug)]
struct FileRule {
    paths: Vec<Glob>,
    /// The patterns as they were written.
    shown: String,
    role: Option<String>,
    media_type: Option<String>,
    required: bool,
    /// Whether they have to be all there.
    whole: bool,
}

/// The paths of the files with these roles, kept as metadata.
#[derive(Clone, Debug)]
struct Reports {
    name: String,
    roles: Vec<String>,
}

/// What a layout makes of a run directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Kind, class, schema and metadata.
    pub description: Description,
    /// Where it comes from, the layout included.
    pub provenance: Object,
    /// Every file, in the order the paths were given.
    pub files: Vec<Assigned>,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Which.
    pub path: PackagePath,
    /// What it is for, where a rule says so.
    pub role: Option<String>,
    /// Its media type, where a rule says so.
    pub media_type: Option<String>,
}

/// A layout that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something in the file.
    #[error("{place}: {problem}")]
    Layout {
        /// `file:line`.
        place: String,
        /// What is wrong there and what to write instead.
        problem: String,
    },
}

/// Something about a run directory that is not as its layout says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, when it is about one.
    pub document: Option<PackagePath>,
    /// Where in it, as a JSON pointer; empty for the whole.
    pub pointer: Option<String>,
    /// What is wrong, in a sentence without its subject.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = self.pointer.as_deref().filter(|pointer| !pointer.is_empty());
        match (&self.document, pointer) {
            (Some(document), Some(pointer)) => write!(f, "{document} {pointer}: {}", self.reason),
            (Some(document), None) => write!(f, "{document}: {}", self.reason),
            (None, _) => f.write_str(&self.reason),
        }
    }
}

impl Layout {
    /// The layout of guide-board's run directories.
    pub fn guide_board() -> Self {
        Self::parse("guide-board.toml", GUIDE_BOARD).expect("the built-in layout is tested")
    }

    /// Reads a layout; `name` is what errors call the file.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        read::layout(name, text)
    }

    /// What the producer is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a file has to be all there, which [`check_whole`] tells.
    pub fn is_whole(&self, path: &PackagePath) -> bool {
        self.files.iter().any(|rule| rule.whole && rule.paths.iter().any(|glob| glob.matches(path)))
    }

    /// The documents that have to be read before the layout can be applied, those that are there.
    pub fn documents(&self) -> BTreeSet<&PackagePath> {
        self.places().map(|place| &place.document).collect()
    }

    /// Every place a value is taken from.
    fn places(&self) -> impl Iterator<Item = &Place> {
        let fields = self.metadata.iter().chain(&self.provenance).map(|field| &field.place);
        let counts = self.counts.iter().map(|count| &count.place);
        let agreements = self.agreements.iter().map(|agreement| &agreement.place);
        let conditions = self.conditions.iter().map(|condition| &condition.place);
        fields.chain(counts).chain(agreements).chain(conditions).chain(&self.class_from)
    }
}

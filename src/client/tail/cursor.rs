//! A place in a log, and the file that keeps it.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::lock::{Claim, Lock};
use super::super::shown_path;
use crate::oci::RepositoryName;
use crate::package::PackageId;

/// The one version there is.
const VERSION: u64 = 1;

/// Bytes of a cursor file at most.
const MAX_FILE: u64 = 64 << 10;

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Those about this repository.
    pub repository: Option<RepositoryName>,
    /// Those of these types, as patterns; all without any. Sorted, each once.
    pub types: Vec<String>,
    /// Those about this package.
    pub package: Option<PackageId>,
}

impl Filter {
    /// Whether every event is wanted.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// An event that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Its position.
    pub sequence: i64,
    /// SHA-256 of its header as a leaf, which no other event has.
    pub leaf_hash: String,
}

/// A place in a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    version: u64,
    /// Who was asked; says nothing, the log does.
    pub server: Option<String>,
    /// The log.
    pub log_id: String,
    /// Its epoch.
    pub epoch: i64,
    /// Everything up to this event was told, or does not match the filter.
    pub sequence: i64,
    /// The last event that was told, if there was one: the log is known by it.
    pub last: Option<Seen>,
    /// What was asked for.
    pub filter: Filter,
}

impl Cursor {
    /// A place in a log.
    pub fn new(log: (String, i64), sequence: i64, last: Option<Seen>, filter: Filter) -> Self {
        let (log_id, epoch) = log;
        Self { version: VERSION, server: None, log_id, epoch, sequence, last, filter }
    }
}

/// Why a cursor cannot be kept, or gone on from.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("the cursor file {} cannot be {action}", shown_path(path))]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// Somebody else goes on from it.
    #[error(
        "another tail is keeping its place in {}; stop it, or give this one its own --cursor file",
        shown_path(path)
    )]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Its lock cannot be a file.
    #[error(
        "{} is {what}, and a tail keeps an empty file of this name there meanwhile; remove it",
        shown_path(path)
    )]
    NoLock {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It is no cursor.
    #[error(
        "{} is no cursor file, or a damaged one: {reason}; give another --cursor file and say with --since where to \
         begin",
        shown_path(path)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It is of another question.
    #[error(
        "{} is the cursor of another {what}: {kept}, not {asked}; give this tail its own --cursor file",
        shown_path(path)
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What the cursor is of.
        kept: String,
        /// What was asked for.
        asked: String,
    },
}

/// A file that keeps a cursor, and is ours as long as this lives.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    _lock: Lock,
}

impl File {
    /// Takes the file for this process, and reads what is in it: `None` where there is none yet.
    pub fn open(path: &Path) -> Result<(Self, Option<Cursor>), Error> {
        let refused = |action| move |source| Error::File { path: path.to_owned(), action, source };
        let lock = match Lock::claim(&beside(path, "lock")).map_err(refused("locked"))? {
            Claim::Ours(lock) => lock,
            Claim::Taken => return Err(Error::Busy { path: path.to_owned() }),
            Claim::NoFile(what) => return Err(Error::NoLock { path: beside(path, "lock"), what }),
        };
        let file = Self { path: path.to_owned(), _lock: lock };
        let opened = match fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((file, None)),
            opened => opened.map_err(refused("read"))?,
        };
        let mut bytes = Vec::new();
        opened.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(refused("read"))?;
        let cursor = file.parse(&bytes)?;
        Ok((file, Some(cursor)))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Cursor, Error> {
        let damaged = |reason: String| Error::Damaged { path: self.path.clone(), reason };
        if bytes.len() as u64 > MAX_FILE {
            return Err(damaged(format!("it has more than {MAX_FILE} bytes")));
        }
        let cursor: Cursor = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if cursor.version != VERSION {
            return Err(damaged(format!(
                "it is of version {}, this program knows {VERSION}",
                cursor.version
            )));
        }
        let last = cursor.last.as_ref().map_or(0, |seen| seen.sequence);
        if cursor.sequence < last || last < 0 || cursor.last.as_ref().is_some_and(|seen| seen.sequence < 1) {
            return Err(damaged(format!(
                "its place is event {}, and its last event {last}",
                cursor.sequence
            )));
        }
        Ok(cursor)
    }

    /// Refuses a cursor of another question: what it passed over may be wanted now.
    pub fn check_filter(&self, kept: &Filter, asked: &Filter) -> Result<(), Error> {
        let or_all = |text: Option<&str>| text.unwrap_or("all").to_owned();
        let types =
            |filter: &Filter| or_all(Some(filter.types.join(",").as_str()).filter(|it| !it.is_empty()));
        let fields: [(&'static str, String, String); 3] = [
            (
                "repository",
                or_all(kept.repository.as_ref().map(RepositoryName::as_str)),
                or_all(asked.repository.as_ref().map(RepositoryName::as_str)),
            ),
            ("choice of types", types(kept), types(asked)),
            (
                "package",
                or_all(kept.package.as_ref().map(PackageId::as_str)),
                or_all(asked.package.as_ref().map(PackageId::as_str)),
            ),
        ];
        match fields.into_iter().find(|(_, kept, asked)| kept != asked) {
            None => Ok(()),
            Some((what, kept, asked)) => Err(Error::Other { path: self.path.clone(), what, kept, asked }),
        }
    }

    /// Puts the cursor in place of the one before: after a crash there is one of them, whole.
    pub fn save(&self, cursor: &Cursor) -> Result<(), Error> {
        let text = serde_json::to_vec(cursor).expect("a cursor is texts and numbers");
        self.put(&text).map_err(|source| Error::File { path: self.path.clone(), action: "written", source })
    }

    fn put(&self, text: &[u8]) -> io::Result<()> {
        // One name is enough, since nobody else writes; what a crash leaves there is written over.
        let new = beside(&self.path, "new");
        let mut file = fs::File::create(&new)?;
        file.write_all(text)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// `.name.what` in the same folder.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        let filter = Filter { types: vec!["package".to_owned()], ..Filter::default() };
        let seen = Seen { sequence: 7, leaf_hash: "sha256:00".to_owned() };
        Cursor::new(("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(), 1), 9, Some(seen), filter)
    }

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_stays_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        let (file, before) = File::open(&path).unwrap();
        assert_eq!(before, None);
        file.save(&Cursor { sequence: 8, ..cursor() }).unwrap();
        file.save(&cursor()).unwrap();
        drop(file);
        let (file, kept) = File::open(&path).unwrap();
        assert_eq!(kept, Some(cursor()));
        drop(file);
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names, ["cursor"]);
    }

    #[test]
    fn two_tails_on_one_file_would_each_lose_events() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        let (file, _) = File::open(&path).unwrap();
        // Also with a file in it, which is another one after every write.
        file.save(&cursor()).unwrap();
        assert!(matches!(File::open(&path), Err(Error::Busy { .. })));
        drop(file);
        assert!(File::open(&path).is_ok());
    }

    #[test]
    fn a_damaged_file_is_never_taken_for_the_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        let whole = serde_json::to_string(&cursor()).unwrap();
        let long = format!("{whole}{}", " ".repeat(70_000));
        let newer = whole.replace("\"version\":1", "\"version\":2");
        let behind = whole.replace("\"sequence\":9", "\"sequence\":6");
        let below = whole.replace("\"sequence\":9", "\"sequence\":-1");
        for text in ["", "{}", "7", &whole[..whole.len() - 1], &long, &newer, &behind, &below] {
            fs::write(&path, text).unwrap();
            let refused = File::open(&path).unwrap_err();
            assert!(matches!(refused, Error::Damaged { .. }), "{text}: {refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(File::open(&path), Err(Error::File { .. })));
    }

    #[test]
    fn a_cursor_of_another_question_is_refused_by_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let (file, _) = File::open(&folder.path().join("cursor")).unwrap();
        let kept = Filter {
            repository: Some("team/a".parse().unwrap()),
            types: vec!["tag".to_owned()],
            package: Some("pkg_01arz3ndektsv4rrffq69g5fav".parse().unwrap()),
        };
        assert!(file.check_filter(&kept, &kept).is_ok());
        let everything = Filter::default();
        for (asked, words) in [
            (Filter { repository: None, ..kept.clone() }, "another repository: team/a, not all"),
            (Filter { types: Vec::new(), ..kept.clone() }, "another choice of types: tag, not all"),
            (
                Filter { package: None, ..kept.clone() },
                "another package: pkg_01arz3ndektsv4rrffq69g5fav, not all",
            ),
        ] {
            let refused = file.check_filter(&kept, &asked).unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
        assert!(file.check_filter(&everything, &kept).is_err());
    }
}

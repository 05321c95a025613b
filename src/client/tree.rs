//! The files of a directory.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Error, Source};
use crate::package::{Invalid, MAX_FILES, PackagePath};

/// The folder at the top of a directory that is not packed: what a pull left there.
pub(super) const OWN: &str = ".artifactstore";

/// The content manifest's place in [`OWN`].
pub(super) const MANIFEST: &str = "package.cbor";

/// Where files are while they are received, in [`OWN`].
pub(super) const INCOMING: &str = "incoming";

/// What a pull holds while it writes, in [`OWN`].
pub(super) const LOCK: &str = "pull.lock";

/// What was found below a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The regular files, sorted by path.
    pub files: Vec<Source>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Links, sockets, devices and the like that were left out.
    pub skipped: Vec<PathBuf>,
    /// What is in `.artifactstore/` and was not put there by a pull. It is not packed.
    pub foreign: Vec<PathBuf>,
}

/// Finds every regular file below a directory. Links are never followed; they and other special files are refused
/// by name, or left out with `skip_special`. Folders without files are not in a package. Does blocking I/O.
pub fn walk(directory: &Path, skip_special: bool) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    let mut folders = vec![(directory.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::file(&folder, "read"))? {
            let entry = entry.map_err(Error::file(&folder, "read"))?;
            let path = entry.path();
            // Of the entry itself: a link is a link.
            let meta = entry.metadata().map_err(Error::file(&path, "read"))?;
            let name = entry.file_name();
            if prefix.is_empty() && name == OWN && meta.is_dir() {
                tree.foreign = foreign(&path)?;
                continue;
            }
            if !meta.is_dir() && !meta.is_file() {
                if !skip_special {
                    return Err(Error::Special { path, what: special(meta.file_type()) });
                }
                tree.skipped.push(path);
                continue;
            }
            let Some(name) = name.to_str() else {
                return Err(Error::NotUnicode { path });
            };
            if prefix.is_empty() && name == OWN {
                return Err(Error::Own { path, what: special(meta.file_type()) });
            }
            let logical = format!("{prefix}{name}");
            if meta.is_dir() {
                // Deeper than the longest path there can be no file of a package.
                if logical.len() > PackagePath::MAX_LEN {
                    let source = crate::package::PathError::Length { len: logical.len() };
                    return Err(Error::Name { path, source });
                }
                folders.push((path, format!("{logical}/")));
                continue;
            }
            if tree.files.len() == MAX_FILES {
                return Err(Invalid::TooMany(MAX_FILES + 1).into());
            }
            let logical = logical.parse().map_err(|source| Error::Name { path: path.clone(), source })?;
            tree.bytes += meta.len();
            tree.files.push(Source { path: logical, file: path, media_type: None, role: None });
        }
    }
    tree.files.sort_by(|a, b| a.path.cmp(&b.path));
    tree.skipped.sort();
    Ok(tree)
}

/// What is in our own folder and not ours.
pub(super) fn foreign(own: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(own).map_err(Error::file(own, "read"))? {
        let name = entry.map_err(Error::file(own, "read"))?.file_name();
        if ![MANIFEST, INCOMING, LOCK].iter().any(|known| name == *known) {
            found.push(own.join(name));
        }
    }
    found.sort();
    Ok(found)
}

/// What a thing is that is neither file nor folder.
pub(super) fn special(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    match kind {
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_file() => "a file",
        kind if kind.is_dir() => "a folder",
        _ => "a device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [("b/c/d.json", "{}"), ("a", ""), ("b-", "x"), (".artifactstore/x", "own")] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir(folder.path().join("empty")).unwrap();
        folder
    }

    fn names(tree: &Tree) -> Vec<&str> {
        tree.files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn files_are_found_in_the_order_of_their_paths_and_our_own_folder_is_left_out() {
        let folder = tree();
        let found = walk(folder.path(), false).unwrap();
        assert_eq!(names(&found), ["a", "b-", "b/c/d.json"]);
        assert_eq!((found.bytes, found.skipped.len()), (3, 0));
    }

    /// A file was left out by its name, and so was what people put into the folder.
    #[test]
    fn only_what_a_pull_left_there_is_left_out_without_a_word() {
        let folder = tree();
        let own = folder.path().join(OWN);
        for name in [MANIFEST, LOCK, "notes.txt"] {
            fs::write(own.join(name), "").unwrap();
        }
        fs::create_dir(own.join(INCOMING)).unwrap();
        let found = walk(folder.path(), false).unwrap();
        assert_eq!(found.foreign, [own.join("notes.txt"), own.join("x")]);
        fs::remove_dir_all(&own).unwrap();
        fs::write(&own, "evidence").unwrap();
        for skip_special in [false, true] {
            let error = walk(folder.path(), skip_special).unwrap_err().to_string();
            assert!(error.contains(".artifactstore is a file") && error.contains("rename it"), "{error}");
        }
    }

    #[test]
    fn links_are_refused_by_name_or_left_out_and_never_followed() {
        let folder = tree();
        std::os::unix::fs::symlink("/etc", folder.path().join("b/link")).unwrap();
        let error = walk(folder.path(), false).unwrap_err().to_string();
        assert!(error.contains("b/link is a symbolic link") && error.contains("--skip-special"), "{error}");
        let found = walk(folder.path(), true).unwrap();
        assert_eq!(found.skipped, [folder.path().join("b/link")]);
        assert_eq!(names(&found), ["a", "b-", "b/c/d.json"]);
    }

    #[test]
    fn names_that_cannot_be_in_a_package_are_refused() {
        use std::os::unix::ffi::OsStringExt as _;
        for name in [b"e\xcc\x81".to_vec(), b"a\\b".to_vec(), b"a\nb".to_vec(), b"a\xff".to_vec()] {
            let folder = tree();
            fs::write(folder.path().join(std::ffi::OsString::from_vec(name.clone())), "").unwrap();
            let error = walk(folder.path(), false).unwrap_err();
            assert!(matches!(error, Error::Name { .. } | Error::NotUnicode { .. }), "{name:?}: {error}");
        }
        assert!(matches!(walk(Path::new("/nonexistent"), false), Err(Error::File { .. })));
    }
}

//! System calls relative to an open folder. None of them follows a symlink in its last step.

use std::fs::File;
use std::io;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags, Stat};
use rustix::io::Errno;

const FILE_MODE: Mode = Mode::from_raw_mode(0o640);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o750);

/// Opens the folder `name`; a symlink is `ENOTDIR`.
pub(super) fn folder(at: &File, name: &str) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?.into())
}

/// Makes the folder `name` unless there is something already.
pub(super) fn make_folder(at: &File, name: &str) -> Result<(), Errno> {
    match rustix::fs::mkdirat(at, name, FOLDER_MODE) {
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}

/// Opens `name` for reading. Never waits for a writer of a planted FIFO (`NONBLOCK`).
pub(super) fn open_read(at: &File, name: &str) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?.into())
}

/// Opens `name` for reading and writing.
pub(super) fn open_write(at: &File, name: &str) -> Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?.into())
}

/// Opens `name` for writing past the page cache, where the file system can.
pub(super) fn open_direct(at: &File, name: &str) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?.into())
}

/// Creates `name`, which must not exist.
pub(super) fn create(at: &File, name: &str) -> Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, FILE_MODE)?.into())
}

/// Creates a file without a name in the file system of `at`. A crash leaves nothing of it.
pub(super) fn create_nameless(at: &File) -> Result<File, Errno> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, ".", flags, FILE_MODE)?.into())
}

/// Gives a nameless file its name; `EEXIST` when that is taken.
pub(super) fn name_nameless(file: &File, at: &File, name: &str) -> Result<(), Errno> {
    use std::os::fd::AsRawFd as _;
    // `AT_EMPTY_PATH` would need CAP_DAC_READ_SEARCH; the link in /proc needs nothing.
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(rustix::fs::CWD, link, at, name, AtFlags::SYMLINK_FOLLOW)
}

/// Moves a name without ever replacing one; `EEXIST` when the new one is taken.
pub(super) fn rename_new(from: (&File, &str), to: (&File, &str)) -> Result<(), Errno> {
    match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
        // The file system does not know the flag. A crash between these two leaves both names on one
        // file; whoever opens a staged write looks at its link count for that reason.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty())?;
            rustix::fs::unlinkat(from.0, from.1, AtFlags::empty())
        }
        result => result,
    }
}

/// Removes the file `name`.
pub(super) fn unlink(at: &File, name: &str) -> Result<(), Errno> {
    rustix::fs::unlinkat(at, name, AtFlags::empty())
}

/// Removes the folder `name` if it is empty.
pub(super) fn remove_folder(at: &File, name: &str) -> Result<(), Errno> {
    rustix::fs::unlinkat(at, name, AtFlags::REMOVEDIR)
}

/// Looks at `name` itself.
pub(super) fn stat(at: &File, name: &str) -> Result<Stat, Errno> {
    rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// What kind of thing a stat describes.
pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Size of a file; the kernel never reports a negative one.
pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Names and kinds in a folder, without `.` and `..`, in no order; names that are not UTF-8 are foreign
/// and left out.
pub(super) fn entries(at: &File) -> Result<Vec<(String, FileType)>, Errno> {
    let mut found = Vec::new();
    // A fresh descriptor: reading a folder moves a cursor that `at` may share with others.
    let folder = folder(at, ".")?;
    let mut buffer = Vec::with_capacity(32 * 1024);
    let mut entries = RawDir::new(&folder, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name == "." || name == ".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => match stat(at, name) {
                Ok(stat) => kind(&stat),
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(e),
            },
            known => known,
        };
        found.push((name.to_owned(), kind));
    }
    Ok(found)
}

/// Whether there is nothing in a folder, as far as can be told.
pub(super) fn is_empty(at: &File) -> bool {
    let Ok(folder) = folder(at, ".") else { return false };
    let mut buffer = Vec::with_capacity(1024);
    let mut entries = RawDir::new(&folder, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
            _ => return false,
        }
    }
    true
}

/// The error for something that is in the place of a file and is none.
pub(super) fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a regular file")
}

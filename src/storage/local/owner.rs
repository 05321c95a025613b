//! Whose objects a storage root holds: a file in it names the log.
//!
//! Without it a wrong setting would let a registry sweep another program's files, and a lost database would
//! start an empty registry over the evidence of the old one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::storage::{Error, Key};

/// Holds the log id. Not the name of an object: those begin with a letter or digit.
const OWNER: &str = ".registry";

/// What whoever opens a root for writing locks, beside the objects.
pub const LOCK: &str = ".lock";

/// The log a storage root belongs to; `None` when the root is new or not there. Refuses a folder that holds
/// anything else. Changes nothing, so it can be asked before the folder is opened.
pub fn owner_of(root: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(root.join(OWNER)) {
        Ok(owner) => return Ok(Some(owner.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io(format!("read {}", root.join(OWNER).display()), error)),
    }
    match foreign(root) {
        Ok(None) => Ok(None),
        Ok(Some(name)) => Err(Error::Foreign(format!(
            "{} holds \"{name}\" and is no storage of a registry; choose an empty directory",
            root.display()
        ))),
        Err(error) => Err(Error::io(format!("read {}", root.display()), error)),
    }
}

/// Makes a new storage root the given log's, durably. Refuses one that belongs to another log.
pub(super) fn claim(root: &Path, log_id: &str) -> Result<(), Error> {
    match owner_of(root)? {
        Some(owner) if owner == log_id => Ok(()),
        Some(owner) => Err(Error::Foreign(format!(
            "{} holds the objects of registry {owner}, and the database is that of registry {log_id}; they do not \
             belong together",
            root.display()
        ))),
        None => write(root, log_id)
            .map_err(|error| Error::io(format!("write {}", root.join(OWNER).display()), error)),
    }
}

fn write(root: &Path, log_id: &str) -> io::Result<()> {
    // Under another name first: a crash leaves the whole file or none.
    let staged = root.join(format!("{OWNER}.new"));
    let mut file = File::create(&staged)?;
    writeln!(file, "{log_id}")?;
    file.sync_all()?;
    fs::rename(&staged, root.join(OWNER))?;
    File::open(root)?.sync_all()
}

/// Something in the folder that a new storage root does not have.
fn foreign(root: &Path) -> io::Result<Option<String>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_new = match name.as_str() {
            LOCK | ".registry.new" | "lost+found" => true,
            Key::RESERVED => entry.file_type()?.is_dir() && fs::read_dir(entry.path())?.next().is_none(),
            _ => false,
        };
        if !is_new {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

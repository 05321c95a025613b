//! Whose objects a storage root holds: a file in it names the log and the place.
//!
//! Without it a wrong setting would let a registry sweep another program's files, a lost database would start an
//! empty registry over the evidence of the old one, and a copy could be written onto its original.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::storage::owner::{Owner, PlaceId};
use crate::storage::{Error, Key};

/// Holds the marker. Not the name of an object: those begin with a letter or digit.
const OWNER: &str = ".registry";

/// What whoever opens a root for writing locks, beside the objects.
pub const LOCK: &str = ".lock";

/// The log a storage root belongs to; `None` when the root is new or not there. Refuses a folder that holds
/// anything else. Changes nothing, so it can be asked before the folder is opened.
pub fn owner_of(root: &Path) -> Result<Option<Owner>, Error> {
    let failed = |error: io::Error| Error::io(format!("read {}", root.join(OWNER).display()), error);
    match fs::read_to_string(root.join(OWNER)) {
        Ok(text) => {
            let owner = text.parse().map_err(|odd| failed(io::Error::new(io::ErrorKind::InvalidData, odd)));
            return owner.map(Some);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
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

/// Makes a new storage root the given log's, durably, and completes a marker of the first release. Refuses one that
/// belongs to another log.
pub(super) fn claim(root: &Path, log_id: &str) -> Result<PlaceId, Error> {
    let failed = |error| Error::io(format!("write {}", root.join(OWNER).display()), error);
    // One at a time, whichever process it is in: everybody else reads what the first has written.
    let folder = File::open(root).map_err(failed)?;
    folder.lock().map_err(failed)?;
    let found = owner_of(root)?;
    let to_write = Owner::to_write(found.as_ref(), log_id, &root.display().to_string())?;
    if let Some(owner) = &to_write {
        write(root, &folder, owner).map_err(failed)?;
    }
    let place = to_write.or(found).and_then(|owner| owner.place);
    Ok(place.expect("what is not to be written has a place"))
}

fn write(root: &Path, folder: &File, owner: &Owner) -> io::Result<()> {
    // Under another name first: a crash leaves the whole file or none.
    let staged = root.join(format!("{OWNER}.new"));
    let mut file = File::create(&staged)?;
    write!(file, "{owner}")?;
    file.sync_all()?;
    fs::rename(&staged, root.join(OWNER))?;
    folder.sync_all()
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

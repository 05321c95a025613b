//! Wires the parts of an embedded registry from the settings. The only place above the registry that names
//! database and storage.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Failure, owner};
use crate::clock::Clock;
use crate::config::Settings;
use crate::dataplane::DataPlane;
use crate::db::{self, Access, Db, Url};
use crate::registry::{Options, Registry};
use crate::storage::Local;

/// The lock of a storage root. Not the name of an object: those begin with a letter or digit.
pub(super) const LOCK: &str = ".lock";

/// The parts, opened. While the locks live no other process writes to them.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) db: Db,
    pub(super) data: DataPlane,
    _locks: Vec<File>,
}

/// Opens everything for writing, making what is missing. Refuses a directory that another process or
/// another program uses.
pub(super) async fn write(settings: &Settings) -> Result<Parts, Failure> {
    refuse_foreign(settings)?;
    let parent = settings.database.parent().filter(|parent| !parent.as_os_str().is_empty());
    for directory in [Some(settings.data.as_path()), parent].into_iter().flatten() {
        let failed = |error| Failure(format!("cannot create {}: {error}", directory.display()));
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let database = lock(&settings.database, &lock_of(&settings.database))?;
    if let Some(owner) = owner::of(&settings.storage)?
        && !settings.database.exists()
    {
        return Err(Failure(format!(
            "{} holds the objects of registry {owner}, whose database {} is gone; restore the database, or choose \
             an empty --data directory",
            settings.storage.display(),
            settings.database.display()
        )));
    }
    let db = Db::open(&database_of(settings), Access::Create).await?;
    let storage = Local::open(&settings.storage)?;
    // Its own lock: a registry over another database would sweep what ours has staged.
    let objects = lock(&settings.storage, &settings.storage.join(LOCK))?;
    Ok(Parts { db, data: DataPlane::new(Arc::new(storage)), _locks: vec![database, objects] })
}

/// Opens everything for reading, beside a running server or without one.
pub(super) async fn read(settings: &Settings) -> Result<Parts, Failure> {
    let db = Db::open(&database_of(settings), Access::Read).await.map_err(|error| {
        let Failure(reason) = Failure::from(error);
        Failure(format!("{reason}; is this the right --data directory?"))
    })?;
    if !settings.storage.is_dir() {
        return Err(Failure(format!("there is no storage at {}", settings.storage.display())));
    }
    let storage = Local::open(&settings.storage)?;
    Ok(Parts { db, data: DataPlane::new(Arc::new(storage)), _locks: Vec::new() })
}

impl Parts {
    /// The registry over these parts. The lock stays with the caller.
    pub(super) async fn registry(&self, settings: &Settings) -> Result<Registry, Failure> {
        let options = Options { allow_sparse: settings.allow_sparse, ..Options::default() };
        let registry = Registry::open(self.db.clone(), self.data.clone(), Clock::system(), options).await?;
        owner::claim(&settings.storage, &registry.log_id())?;
        Ok(registry)
    }
}

/// One writer per database and storage root. The lock goes with the process, however it ends.
fn lock(locked: &Path, path: &Path) -> Result<File, Failure> {
    let failed = |error: io::Error| Failure(format!("cannot lock {}: {error}", path.display()));
    File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    // Held open for reading only: a file open for writing keeps its file system from being made read-only.
    let file = File::open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure(format!(
            "another artifactstore is using {}; stop it, or give this one its own --data directory",
            locked.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn database_of(settings: &Settings) -> db::Options {
    db::Options::new(Url::Sqlite(settings.database.clone()))
}

fn lock_of(database: &Path) -> PathBuf {
    database.with_extension("lock")
}

/// A directory with files in it but no registry belongs to something else.
fn refuse_foreign(settings: &Settings) -> Result<(), Failure> {
    let data = &settings.data;
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure(format!("cannot read {}: {error}", data.display()))),
    };
    let lock = lock_of(&settings.database);
    let ours = [&settings.database, &lock, &settings.storage].map(|path| path.file_name());
    if settings.database.exists() {
        return Ok(()); // the database itself is looked into when it is opened
    }
    let mut foreign = None;
    for entry in entries {
        let name = entry?.file_name();
        if !ours.contains(&Some(&name)) && name != "lost+found" {
            foreign = Some(name);
        }
    }
    match foreign {
        None => Ok(()),
        Some(name) => Err(Failure(format!(
            "{} holds \"{}\" and no registry; it belongs to another program, choose an empty --data directory",
            data.display(),
            name.display()
        ))),
    }
}

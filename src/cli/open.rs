//! Wires the parts of a registry from the settings. The only place above the registry that names
//! database and storage.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Failure, owner};
use crate::clock::Clock;
use crate::config::Settings;
use crate::dataplane::DataPlane;
use crate::db::{Access, Db, Url};
use crate::registry::Registry;
use crate::storage::{self, Backend, Engine, Local};

/// The lock of a storage root. Not the name of an object: those begin with a letter or digit.
pub(super) const LOCK: &str = ".lock";

/// The parts, opened. While the locks live no other process writes to what they guard.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) db: Db,
    pub(super) data: DataPlane,
    _locks: Vec<File>,
}

/// A database, opened for writing. While the lock lives no other process writes to it, where only one may.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) db: Db,
    lock: Option<File>,
}

/// Opens everything for writing, making what is missing. Refuses a directory that another process or another
/// program uses. What several processes may share, `PostgreSQL` and buckets, needs no lock.
pub(super) async fn write(settings: &Settings) -> Result<Parts, Failure> {
    let Database { db, lock: of_database } = database(settings).await?;
    let data = data_plane(&settings.storage).await?;
    let of_objects = match &settings.storage.engine {
        // Its own lock: a registry over another database would sweep what ours has staged.
        Engine::Local(root) => Some(lock(root, &root.join(LOCK))?),
        Engine::S3(_) => None,
    };
    Ok(Parts { db, data, _locks: of_database.into_iter().chain(of_objects).collect() })
}

/// Opens the database alone for writing; on the same terms, but beside running replicas where there can be some.
pub(super) async fn database(settings: &Settings) -> Result<Database, Failure> {
    let Url::Sqlite(file) = &settings.database.url else {
        return Ok(Database { db: Db::open(&settings.database, Access::Create).await?, lock: None });
    };
    refuse_foreign(settings, file)?;
    if let Some(directory) = file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let failed = |error| Failure(format!("cannot create {}: {error}", directory.display()));
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let lock = lock(file, &lock_of(file))?;
    if let Engine::Local(root) = &settings.storage.engine
        && let Some(owner) = owner::of(root)?
        && !file.exists()
    {
        return Err(Failure(format!(
            "{} holds the objects of registry {owner}, whose database {} is gone; restore the database, or choose \
             an empty --data directory",
            root.display(),
            file.display()
        )));
    }
    Ok(Database { db: Db::open(&settings.database, Access::Create).await?, lock: Some(lock) })
}

/// Opens everything for reading, beside a running server or without one.
pub(super) async fn read(settings: &Settings) -> Result<Parts, Failure> {
    let db = Db::open(&settings.database, Access::Read).await.map_err(|error| {
        let Failure(reason) = Failure::from(error);
        let is_file = matches!(settings.database.url, Url::Sqlite(_));
        Failure(if is_file { format!("{reason}; is this the right --data directory?") } else { reason })
    })?;
    match &settings.storage.engine {
        Engine::Local(root) if !root.is_dir() => {
            Err(Failure(format!("there is no storage at {}", root.display())))
        }
        _ => Ok(Parts { db, data: data_plane(&settings.storage).await?, _locks: Vec::new() }),
    }
}

impl Parts {
    /// The registry over these parts. The locks stay with the caller.
    pub(super) async fn registry(&self, settings: &Settings) -> Result<Registry, Failure> {
        let (db, data) = (self.db.clone(), self.data.clone());
        let registry = Registry::open(db, data, Clock::system(), settings.registry.clone()).await?;
        match &settings.storage.engine {
            Engine::Local(root) => owner::claim(root, &registry.log_id())?,
            Engine::S3(_) => {}
        }
        Ok(registry)
    }
}

/// The one place that makes a backend of its options.
async fn backend(engine: &Engine) -> Result<Arc<dyn Backend>, Failure> {
    match engine {
        Engine::Local(root) => Ok(Arc::new(Local::open(root)?)),
        Engine::S3(_) => {
            Err(Failure("buckets cannot be opened yet; say storage.backend = \"local\"".to_owned()))
        }
    }
}

async fn data_plane(options: &storage::Options) -> Result<DataPlane, Failure> {
    Ok(DataPlane::new(backend(&options.engine).await?).with_aliases(&options.also))
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

fn lock_of(database: &Path) -> PathBuf {
    database.with_extension("lock")
}

/// A data directory with files in it but no registry belongs to something else.
fn refuse_foreign(settings: &Settings, database: &Path) -> Result<(), Failure> {
    let data = &settings.data;
    let root = match &settings.storage.engine {
        Engine::Local(root) => Some(root.as_path()),
        Engine::S3(_) => None,
    };
    let is_used = database.starts_with(data) || root.is_some_and(|root| root.starts_with(data));
    if !is_used || database.exists() {
        return Ok(()); // a database that is there is looked into when it is opened
    }
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure(format!("cannot read {}: {error}", data.display()))),
    };
    let lock = lock_of(database);
    let ours = [Some(database), Some(&lock), root].map(|path| path.and_then(Path::file_name));
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

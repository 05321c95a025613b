//! Wires the parts of a registry from the settings. The only place above the registry that names
//! database and storage.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Failure;
use crate::clock::Clock;
use crate::config::{Config, Flags, Settings};
use crate::dataplane::DataPlane;
use crate::db::{Access, Db, Url};
use crate::registry::{self, Registry};
use crate::storage::{Backend, Engine, Local, Owner, S3, local};

/// The parts, opened. While the locks live no other process writes to what they guard.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(super) db: Db,
    pub(super) data: DataPlane,
    /// Held until everything is closed.
    locks: Vec<File>,
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
    let engine = &settings.storage.engine;
    // A bucket first: nothing is made beside one that cannot be used.
    let bucket = match engine {
        Engine::S3(_) => Some(backend(engine, Access::Create).await?),
        Engine::Local(_) => None,
    };
    if let Some(bucket) = &bucket {
        refuse_lost(settings, bucket.owner().await?)?;
    }
    let Database { db, lock: of_database } = database(settings).await?;
    let backend = match bucket {
        Some(bucket) => bucket,
        None => backend(engine, Access::Create).await?,
    };
    let of_objects = match engine {
        // Its own lock: a registry over another database would sweep what ours has staged.
        Engine::Local(root) => Some(lock(root, &root.join(local::LOCK))?),
        Engine::S3(_) => None,
    };
    let data = DataPlane::new(backend).with_aliases(&settings.storage.also);
    Ok(Parts { db, data, locks: of_database.into_iter().chain(of_objects).collect() })
}

/// Opens the registry in a data directory with no other settings, as the commands do: for embedding.
pub(crate) async fn directory(path: &Path) -> Result<(Registry, Parts), String> {
    let opening = async {
        let path = path.to_str().ok_or_else(|| Failure(format!("{} is not UTF-8", path.display())))?;
        let flags = Flags { file: None, values: vec![("data", path.to_owned())] };
        let settings = Config::load(flags, std::iter::empty())?.settings;
        let parts = write(&settings).await?;
        Ok((parts.registry(&settings).await?, parts))
    };
    opening.await.map_err(|Failure(reason)| reason)
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
    if let Engine::Local(root) = &settings.storage.engine {
        refuse_lost(settings, local::owner_of(root)?)?;
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
    Ok(Parts { db, data: storage(settings).await?, locks: Vec::new() })
}

/// Opens everything of a registry that is copied, for reading. Whether that keeps others from writing to it: then
/// it is at rest.
pub(super) async fn original(settings: &Settings) -> Result<(Parts, bool), Failure> {
    let mut parts = read(settings).await?;
    let Url::Sqlite(file) = &settings.database.url else { return Ok((parts, false)) };
    match lock(file, &lock_of(file)) {
        Ok(lock) => parts.locks.push(lock),
        Err(Failure(reason)) => {
            tracing::debug!(reason, "The original is in use");
            return Ok((parts, false));
        }
    }
    Ok((parts, true))
}

/// Refuses a copy onto the storage of its original before anything of the copy is made or opened for writing.
pub(super) async fn refuse_same_place(original: &Parts, to: &Settings) -> Result<(), Failure> {
    let owner = match &to.storage.engine {
        // Without opening it: that makes folders, and this one may be another program's.
        Engine::Local(root) => local::owner_of(root)?,
        engine @ Engine::S3(_) => backend(engine, Access::Create).await?.owner().await?,
    };
    Ok(registry::refuse_same_place(&original.data, owner.and_then(|owner| owner.place)).await?)
}

/// Opens storage alone, for looking at it. Makes none.
pub(super) async fn storage(settings: &Settings) -> Result<DataPlane, Failure> {
    let engine = &settings.storage.engine;
    match engine {
        Engine::Local(root) if !root.is_dir() => {
            Err(Failure(format!("there is no storage at {}", root.display())))
        }
        _ => Ok(DataPlane::new(backend(engine, Access::Read).await?).with_aliases(&settings.storage.also)),
    }
}

impl Parts {
    /// Closes the database, once nobody uses it. The locks go with the parts.
    pub(crate) async fn close(&self) {
        self.db.close().await;
    }

    /// The registry over these parts. The locks stay with the caller.
    pub(super) async fn registry(&self, settings: &Settings) -> Result<Registry, Failure> {
        let (db, data) = (self.db.clone(), self.data.clone());
        // Asked in this order: another replica that is starting too begins the log before it claims the storage.
        if let Some(owner) = data.owner().await?
            && !registry::has_log(&db).await?
        {
            return Err(Failure(format!(
                "{} holds the objects of registry {}, and {} holds no registry; restore the database, or choose an \
                 empty storage",
                match &settings.storage.engine {
                    Engine::Local(root) => root.display().to_string(),
                    Engine::S3(options) => format!("bucket {}", options.bucket),
                },
                owner.log_id,
                settings.database.url
            )));
        }
        let registry = Registry::open(db, data, Clock::system(), settings.registry.clone()).await?;
        registry.bind().await?;
        Ok(registry)
    }
}

/// The one place that makes a backend of its options. For writing a bucket is tried first.
async fn backend(engine: &Engine, access: Access) -> Result<Arc<dyn Backend>, Failure> {
    Ok(match (engine, access) {
        (Engine::Local(root), _) => Arc::new(Local::open(root)?),
        (Engine::S3(options), Access::Create) => Arc::new(S3::open(options).await?),
        (Engine::S3(options), Access::Read) => Arc::new(S3::open_untried(options).await?),
    })
}

/// Objects without the log that tells what they are: an empty registry must not begin over them.
fn refuse_lost(settings: &Settings, owner: Option<Owner>) -> Result<(), Failure> {
    let (Url::Sqlite(file), Some(owner)) = (&settings.database.url, owner) else { return Ok(()) };
    if file.exists() {
        return Ok(());
    }
    let (place, instead) = match &settings.storage.engine {
        Engine::Local(root) => (root.display().to_string(), "choose an empty --data directory"),
        Engine::S3(options) => {
            (format!("bucket {}", options.bucket), "choose another bucket or storage.s3.prefix")
        }
    };
    Err(Failure(format!(
        "{place} holds the objects of registry {}, whose database {} is gone; restore the database, or {instead}",
        owner.log_id,
        file.display()
    )))
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

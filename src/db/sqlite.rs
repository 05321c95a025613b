//! The embedded engine: two `SQLite` files side by side.
//!
//! `registry.db` holds the log and its views: WAL with `synchronous=FULL`, one writer connection, a pool
//! of read-only ones. `registry-operational.db` holds upload sessions with `synchronous=NORMAL`: a commit there
//! costs no sync and never queues behind the log's writer. What is promised of it is written by a connection of its own
//! with `synchronous=FULL`: a commit there syncs the WAL, with all that others wrote to it before, whoever reads
//! meanwhile. A checkpoint would do the same only while nobody does. It holds secrets too: its owner alone may read it.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Executor as _, Row as _, Sqlite, TypeInfo as _,
    ValueRef as _,
};

use super::{Access, Error, Kind, Options, Row, Shape, Value};

static REGISTRY: Migrator = sqlx::migrate!("migrations/sqlite");
static OPERATIONAL: Migrator = sqlx::migrate!("migrations/sqlite/operational");

/// `PRAGMA application_id` of our files, set by their first migration: "ARTS".
const APPLICATION_ID: i64 = 0x4152_5453;

/// The code of `SQLITE_NOTADB`.
const NOT_A_DATABASE: &str = "26";

/// Pages of the database that the writer keeps in memory, in KiB: as many as any connection does, and for a rebuild of
/// all views, which would write the pages of a large index again and again.
const SMALL: &str = "PRAGMA cache_size = -2000; BEGIN IMMEDIATE";
const LARGE: &str = "PRAGMA cache_size = -65536; BEGIN IMMEDIATE";

#[derive(Clone, Debug)]
pub(super) struct Files {
    writer: Connections,
    /// Whether the writer has the memory for a rebuild.
    is_large: Arc<AtomicBool>,
    readers: Connections,
    operational: Connections,
    /// The same file, where a commit is synced.
    operational_synced: Connections,
}

/// A pool that speaks in [`Row`]s.
#[derive(Clone, Debug)]
pub(super) struct Connections(SqlitePool);

#[derive(Debug)]
pub(super) struct Transaction(sqlx::Transaction<'static, Sqlite>);

impl Files {
    pub(super) async fn open(registry: &Path, options: &Options, access: Access) -> Result<Self, Error> {
        let operational = beside(registry);
        // Each costs about 100 KiB and a thread.
        let count = options.readers;
        refuse_foreign(registry).await?;
        refuse_foreign(&operational).await?;
        match access {
            Access::Create => {
                let writer = connect(registry, access, SqliteSynchronous::Full, 1).await?;
                migrate(&writer, registry, &REGISTRY).await?;
                keep_private(&operational).map_err(|error| Error::Engine(sqlx::Error::Io(error)))?;
                let sessions = connect(&operational, access, SqliteSynchronous::Normal, 1).await?;
                migrate(&sessions, &operational, &OPERATIONAL).await?;
                let synced = connect(&operational, access, SqliteSynchronous::Full, 1).await?;
                let readers = connect(registry, Access::Read, SqliteSynchronous::Full, count).await?;
                Ok(Self {
                    writer,
                    is_large: Arc::default(),
                    readers,
                    operational: sessions,
                    operational_synced: synced,
                })
            }
            Access::Read => {
                for path in [registry, &operational] {
                    if !path.is_file() {
                        return Err(Error::Missing { path: path.display().to_string() });
                    }
                }
                let readers = connect(registry, access, SqliteSynchronous::Full, count).await?;
                let sessions = connect(&operational, access, SqliteSynchronous::Normal, 1).await?;
                check_version(&readers, registry, &REGISTRY).await?;
                check_version(&sessions, &operational, &OPERATIONAL).await?;
                Ok(Self {
                    writer: readers.clone(),
                    is_large: Arc::default(),
                    readers,
                    operational: sessions.clone(),
                    operational_synced: sessions,
                })
            }
        }
    }

    pub(super) async fn scratch(directory: &Path) -> Result<Self, Error> {
        // Not the name of a live file: a careless `directory` must not open one for writing.
        let path = directory.join("scratch.db");
        let writer = connect(&path, Access::Create, SqliteSynchronous::Off, 1).await?;
        migrate(&writer, &path, &REGISTRY).await?;
        let readers = connect(&path, Access::Read, SqliteSynchronous::Off, 1).await?;
        Ok(Self {
            operational: writer.clone(),
            operational_synced: writer.clone(),
            writer,
            is_large: Arc::default(),
            readers,
        })
    }

    pub(super) async fn begin(&self) -> Result<Transaction, Error> {
        // IMMEDIATE: a deferred transaction that writes later can be refused with SQLITE_BUSY.
        let begin = if self.is_large.swap(false, Ordering::AcqRel) { SMALL } else { "BEGIN IMMEDIATE" };
        Ok(Transaction(self.writer.0.begin_with(begin).await?))
    }

    /// The same for work on the whole database: with room for what is written in no order. The next [`begin`] gives it
    /// back.
    ///
    /// [`begin`]: Self::begin
    pub(super) async fn begin_unlimited(&self) -> Result<Transaction, Error> {
        self.is_large.store(true, Ordering::Release);
        Ok(Transaction(self.writer.0.begin_with(LARGE).await?))
    }

    pub(super) async fn snapshot(&self) -> Result<Transaction, Error> {
        Ok(Transaction(self.readers.0.begin().await?))
    }

    pub(super) async fn query(&self, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.readers.query(sql, args).await.map_err(Error::statement)
    }

    pub(super) fn operational(&self) -> Connections {
        self.operational.clone()
    }

    pub(super) fn operational_synced(&self) -> Connections {
        self.operational_synced.clone()
    }

    pub(super) async fn close(&self) {
        // Readers first: the last connection to close folds the WAL into the file, which a reader cannot.
        self.readers.0.close().await;
        self.operational_synced.0.close().await;
        self.operational.0.close().await;
        self.writer.0.close().await;
    }

    pub(super) async fn catalog(&self) -> Result<Vec<Shape>, Error> {
        let mut tables = catalog(&self.writer).await?;
        tables.extend(catalog(&self.operational).await?);
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        tables.dedup();
        Ok(tables)
    }

    pub(super) async fn prepare(&self, sql: &str) -> Result<(), Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        let registry = self.writer.0.prepare(sqlx::SqlSafeStr::into_sql_str(sql)).await;
        registry.map(drop).map_err(Error::Engine)
    }

    pub(super) async fn prepare_operational(&self, sql: &str) -> Result<(), Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        let operational = self.operational.0.prepare(sqlx::SqlSafeStr::into_sql_str(sql)).await;
        operational.map(drop).map_err(Error::Engine)
    }
}

impl Connections {
    pub(super) async fn query(&self, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>, sqlx::Error> {
        let rows = sqlx::query_with(sql, bind(args)).fetch_all(&self.0).await?;
        rows.iter().map(row).collect()
    }

    pub(super) async fn execute(&self, sql: &'static str, args: Vec<Value>) -> Result<u64, sqlx::Error> {
        Ok(sqlx::query_with(sql, bind(args)).execute(&self.0).await?.rows_affected())
    }
}

impl Transaction {
    pub(super) async fn query(&mut self, sql: String, args: Vec<Value>) -> Result<Vec<Row>, sqlx::Error> {
        let rows = sqlx::query_with(AssertSqlSafe(sql), bind(args)).fetch_all(&mut *self.0).await?;
        rows.iter().map(row).collect()
    }

    pub(super) async fn execute(&mut self, sql: String, args: Vec<Value>) -> Result<u64, sqlx::Error> {
        let done = sqlx::query_with(AssertSqlSafe(sql), bind(args)).execute(&mut *self.0).await?;
        Ok(done.rows_affected())
    }

    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        self.0.commit().await
    }
}

/// Makes a database that its owner alone can read: keys and secrets are in it. The engine makes the files beside it, WAL
/// and shared memory, as it is; those that are there already are changed.
fn keep_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        match fs::set_permissions(&name, Permissions::from_mode(0o600)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

async fn connect(
    path: &Path,
    access: Access,
    sync: SqliteSynchronous,
    max: u32,
) -> Result<Connections, Error> {
    let mut options = SqliteConnectOptions::new()
        .filename(path)
        .synchronous(sync)
        .busy_timeout(Duration::from_secs(10))
        .statement_cache_capacity(256);
    options = match access {
        Access::Create => options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal),
        Access::Read => options.read_only(true),
    };
    let pool = SqlitePoolOptions::new()
        .min_connections(0)
        .max_connections(max)
        .acquire_timeout(Duration::from_secs(30))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            // The engine ends a transaction by itself when the disk is full or fails. sqlx then has nothing
            // to roll back, counts it as open for ever and begins no other: only a new connection helps.
            let is_usable = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_usable) })
        })
        // Generated statements have tens of kilobytes; whoever logs an error names what was tried.
        .connect_with(sqlx::ConnectOptions::disable_statement_logging(options))
        .await?;
    Ok(Connections(pool))
}

/// The operational file of a registry file: `registry.db` has `registry-operational.db`.
fn beside(registry: &Path) -> PathBuf {
    let stem = registry.file_stem().unwrap_or_default().to_string_lossy();
    registry.with_file_name(format!("{stem}-operational.db"))
}

/// Looks into an existing file without changing it: it must be ours, or still empty.
async fn refuse_foreign(path: &Path) -> Result<(), Error> {
    if std::fs::metadata(path).map_or(0, |metadata| metadata.len()) == 0 {
        return Ok(());
    }
    let foreign = || Error::Foreign { path: path.display().to_string() };
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let pool = Connections(
        SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(sqlx::ConnectOptions::disable_statement_logging(options))
            .await?,
    );
    let ours =
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT COUNT(*) FROM sqlite_schema)";
    let found = pool.query(ours, Vec::new()).await;
    pool.0.close().await;
    match found {
        Ok(rows) => {
            let is_ours = rows.iter().any(|row| row.integer(0) == APPLICATION_ID || row.integer(1) == 0);
            if is_ours { Ok(()) } else { Err(foreign()) }
        }
        Err(error)
            if error.as_database_error().is_some_and(|e| e.code().as_deref() == Some(NOT_A_DATABASE)) =>
        {
            Err(foreign())
        }
        Err(error) => Err(error.into()),
    }
}

async fn migrate(pool: &Connections, path: &Path, migrator: &Migrator) -> Result<(), Error> {
    if let Some(found) = version(pool).await? {
        let known = newest(migrator);
        if found > known {
            return Err(Error::Newer { path: path.display().to_string(), found, known });
        }
    }
    let failed = |source| Error::Migrate { path: path.display().to_string(), source };
    migrator.run(&pool.0).await.map_err(failed)
}

async fn check_version(pool: &Connections, path: &Path, migrator: &Migrator) -> Result<(), Error> {
    let found = version(pool).await?.unwrap_or(0);
    let known = newest(migrator);
    let path = path.display().to_string();
    match found.cmp(&known) {
        std::cmp::Ordering::Less => Err(Error::Older { path, found, known }),
        std::cmp::Ordering::Greater => Err(Error::Newer { path, found, known }),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

async fn version(pool: &Connections) -> Result<Option<i64>, Error> {
    let known = pool.query("SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations'", vec![]).await?;
    if known.is_empty() {
        return Ok(None);
    }
    let rows = pool.query("SELECT MAX(version) FROM _sqlx_migrations", vec![]).await?;
    Ok(rows.first().and_then(|row| row.optional_integer(0)))
}

async fn catalog(pool: &Connections) -> Result<Vec<Shape>, Error> {
    let sql = "SELECT m.name, c.name, c.type, c.\"notnull\", NULLIF(c.pk, 0) \
               FROM sqlite_schema m, pragma_table_info(m.name) c \
               WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '_sqlx_%' \
               ORDER BY m.name, c.cid";
    let rows = pool.query(sql, vec![]).await?;
    let columns = rows.iter().map(|row| {
        let kind = match row.text(2) {
            "INTEGER" => Kind::Integer,
            "TEXT" => Kind::Text,
            _ => Kind::Blob,
        };
        (row.text(0), row.text(1), kind, row.integer(3) == 0, row.optional_integer(4))
    });
    Ok(Shape::collect(columns))
}

fn bind(args: Vec<Value>) -> SqliteArguments {
    use sqlx::Arguments as _;
    let mut bound = SqliteArguments::default();
    for arg in args {
        let added = match arg {
            Value::Null => bound.add(None::<i64>),
            Value::Integer(n) => bound.add(n),
            Value::Text(text) => bound.add(String::from(text)),
            Value::Blob(bytes) => bound.add(Vec::from(bytes)),
        };
        added.expect("plain values always encode");
    }
    bound
}

fn row(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    let mut cells = Vec::with_capacity(row.len());
    for column in row.columns() {
        let at = column.ordinal();
        let raw = row.try_get_raw(at)?;
        let cell = if raw.is_null() {
            Value::Null
        } else {
            match raw.type_info().name() {
                "INTEGER" => Value::Integer(row.try_get(at)?),
                "TEXT" => Value::from(row.try_get::<String, _>(at)?),
                _ => Value::from(row.try_get::<Vec<u8>, _>(at)?),
            }
        };
        cells.push(cell);
    }
    Ok(Row(cells))
}

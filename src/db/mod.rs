//! The database facade: typed rows over sqlx. The only module that names sqlx.
//!
//! Everything above speaks one SQL text (`$1` placeholders, `ON CONFLICT … excluded`, three column kinds)
//! and [`Table`] descriptors; the engine is chosen here: an embedded file for one process, or a server for
//! any number of replicas ([`Db::is_shared`]). Two kinds of writes exist:
//!
//! - [`Db::write`]: a transaction on the log and its views. Acknowledged means synced to disk. There is
//!   one writer at a time, whichever process it is in.
//! - [`Db::operational`]: statements on tables that only matter while a client is talking to us (upload
//!   sessions). They survive a crash of the process, not necessarily a power cut, and never wait for
//!   the log's writer. The few that somebody was promised go through [`Db::operational_synced`].

mod error;
mod listener;
mod options;
mod postgres;
mod shape;
mod sqlite;
mod table;
pub mod testing;
mod tx;
mod value;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use error::Error;
pub use listener::Listener;
pub use options::{Options, Url};
pub use shape::Shape;
pub use table::{Column, Index, PAGE_BYTES, Table};
pub use tx::{Operational, Tx};
pub use value::{Key, Kind, Row, Value};

/// How to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Create what is missing, migrate, read and write.
    Create,
    /// Only read; the database must exist. Works beside running servers.
    Read,
}

/// An open database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    engine: Engine,
    max_staleness: Duration,
    statements: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
enum Engine {
    Sqlite(sqlite::Files),
    Postgres(postgres::Server),
}

impl Db {
    /// Opens a database. With [`Access::Create`] missing files or tables are made and migrations run; with
    /// [`Access::Read`] nothing is changed and the schema must be ours. The directory of an embedded database
    /// and the database on a server must exist.
    pub async fn open(options: &Options, access: Access) -> Result<Self, Error> {
        let engine = match &options.url {
            Url::Sqlite(path) => Engine::Sqlite(sqlite::Files::open(path, options, access).await?),
            Url::Postgres(url) => Engine::Postgres(postgres::Server::open(url, options, access).await?),
        };
        Ok(Self { engine, max_staleness: options.max_staleness, statements: Arc::default() })
    }

    /// A throw-away database for rebuilding views in `directory`: same schema, no durability.
    pub async fn scratch(directory: &Path) -> Result<Self, Error> {
        let engine = Engine::Sqlite(sqlite::Files::scratch(directory).await?);
        Ok(Self { engine, max_staleness: Duration::ZERO, statements: Arc::default() })
    }

    /// Whether other processes may write to it while it is open here.
    pub fn is_shared(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// How old the view of this process may be when it answers from what it remembers.
    pub fn max_staleness(&self) -> Duration {
        self.max_staleness
    }

    /// Begins the write transaction; waits for the one before it, in whichever process.
    pub async fn write(&self) -> Result<Tx, Error> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let engine = match &self.engine {
            Engine::Sqlite(files) => tx::Engine::Sqlite(files.begin().await?),
            Engine::Postgres(server) => tx::Engine::Postgres(server.begin().await?),
        };
        Ok(Tx::new(engine, Arc::clone(&self.statements)))
    }

    /// The same for work on the whole database, such as a replay: its statements may take as long as they take.
    pub async fn write_unlimited(&self) -> Result<Tx, Error> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let engine = match &self.engine {
            Engine::Sqlite(files) => tx::Engine::Sqlite(files.begin_unlimited().await?),
            Engine::Postgres(server) => tx::Engine::Postgres(server.begin_unlimited().await?),
        };
        Ok(Tx::new(engine, Arc::clone(&self.statements)))
    }

    /// A consistent view of one moment, for several queries that must agree.
    pub async fn snapshot(&self) -> Result<Tx, Error> {
        let engine = match &self.engine {
            Engine::Sqlite(files) => tx::Engine::Sqlite(files.snapshot().await?),
            Engine::Postgres(server) => tx::Engine::Postgres(server.snapshot().await?),
        };
        Ok(Tx::new(engine, Arc::clone(&self.statements)))
    }

    /// One read, answered from the newest committed state. [`Error::Nul`] on every engine for what some cannot read.
    pub async fn query(&self, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        if args.iter().any(|arg| matches!(arg, Value::Text(text) if text.contains('\0'))) {
            return Err(Error::Nul);
        }
        match &self.engine {
            Engine::Sqlite(files) => files.query(sql, args).await,
            Engine::Postgres(server) => server.query(sql, args).await,
        }
    }

    /// The operational tables.
    pub fn operational(&self) -> Operational {
        match &self.engine {
            Engine::Sqlite(files) => Operational(tx::Sessions::Sqlite(files.operational())),
            Engine::Postgres(server) => Operational(tx::Sessions::Postgres(server.sessions())),
        }
    }

    /// The same tables, for what is to survive a power cut: a statement that returned is synced to disk, and so is every
    /// one on these tables that returned before it.
    pub fn operational_synced(&self) -> Operational {
        match &self.engine {
            Engine::Sqlite(files) => Operational(tx::Sessions::Sqlite(files.operational_synced())),
            Engine::Postgres(server) => Operational(tx::Sessions::Postgres(server.synced())),
        }
    }

    /// Tells every process that [listens](Self::listener), soon and maybe not at all. Does nothing where nobody
    /// else can be.
    pub async fn announce(&self, message: &str) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(server) => server.announce(message).await,
        }
    }

    /// Hears what is announced; `None` where nobody else can be.
    pub fn listener(&self) -> Option<Listener> {
        match &self.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(server) => Some(Listener::new(server.ear())),
        }
    }

    /// Statements sent so far through transactions; tests hold the appender to a constant per batch.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Waits for every connection to close.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(files) => files.close().await,
            Engine::Postgres(server) => server.close().await,
        }
    }

    /// The tables there are, by name, for comparison with [`Table`]s.
    pub async fn catalog(&self) -> Result<Vec<Shape>, Error> {
        match &self.engine {
            Engine::Sqlite(files) => files.catalog().await,
            Engine::Postgres(server) => server.catalog().await,
        }
    }

    /// Prepares a statement without running it, so that a misspelt column is found by a test.
    pub async fn prepare(&self, sql: &str) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(files) => files.prepare(sql).await,
            Engine::Postgres(server) => server.prepare(sql).await,
        }
    }

    /// The same for a statement on an operational table.
    pub async fn prepare_operational(&self, sql: &str) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(files) => files.prepare_operational(sql).await,
            Engine::Postgres(server) => server.prepare(sql).await,
        }
    }

    /// Every statement a table descriptor can generate for this engine, in its smallest form.
    pub fn statements_of(&self, table: &Table) -> Vec<String> {
        let pages =
            [false, true].map(|after| [table.page(after), table.page_size(after), table.page_sizes(after)]);
        let mut all = pages.concat();
        match &self.engine {
            Engine::Sqlite(_) => {
                all.extend([
                    table.upsert(1),
                    table.insert(1),
                    table.delete(1),
                    table.known(1),
                    table.load(None, 1),
                ]);
                all.extend((0..table.indexes.len()).map(|index| table.load(Some(index), 1)));
            }
            Engine::Postgres(_) => all.extend(postgres::statements_of(table)),
        }
        all
    }
}

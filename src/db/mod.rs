//! The database facade: typed rows over sqlx. The only module that names sqlx.
//!
//! Everything above speaks one SQL text (`$1` placeholders, `ON CONFLICT … excluded`, three column kinds)
//! and [`Table`] descriptors; the engine is chosen here. Two kinds of writes exist:
//!
//! - [`Db::write`]: a transaction on the log and its views. Acknowledged means synced to disk. There is
//!   one writer at a time.
//! - [`Db::operational`]: statements on tables that only matter while a client is talking to us (upload
//!   sessions). They survive a crash of the process, not necessarily a power cut, and never wait for
//!   the log's writer.

mod error;
mod options;
mod sqlite;
mod table;
mod tx;
mod value;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use error::Error;
pub use options::{Options, Url};
pub use sqlite::Access;
pub use table::{Column, Index, Table};
pub use tx::{Operational, Tx};
pub use value::{Key, Kind, Row, Value};

/// An open database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    engine: Engine,
    statements: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
enum Engine {
    Sqlite(sqlite::Files),
}

impl Db {
    /// Opens the embedded engine: the file `registry` and one beside it, in a directory that exists. With
    /// [`Access::Create`] missing files are made and migrations run; with [`Access::Read`] nothing is
    /// changed and the schema must be ours.
    pub async fn open(registry: &Path, access: Access) -> Result<Self, Error> {
        let engine = Engine::Sqlite(sqlite::Files::open(registry, access).await?);
        Ok(Self { engine, statements: Arc::default() })
    }

    /// A throw-away database for rebuilding views in `directory`: same schema, no durability.
    pub async fn scratch(directory: &Path) -> Result<Self, Error> {
        let engine = Engine::Sqlite(sqlite::Files::scratch(directory).await?);
        Ok(Self { engine, statements: Arc::default() })
    }

    /// Begins the write transaction; waits for the one before it.
    pub async fn write(&self) -> Result<Tx, Error> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        match &self.engine {
            Engine::Sqlite(files) => Ok(Tx::new(files.begin().await?, Arc::clone(&self.statements))),
        }
    }

    /// A consistent view of one moment, for several queries that must agree.
    pub async fn snapshot(&self) -> Result<Tx, Error> {
        match &self.engine {
            Engine::Sqlite(files) => Ok(Tx::new(files.snapshot().await?, Arc::clone(&self.statements))),
        }
    }

    /// One read, answered from the newest committed state.
    pub async fn query(&self, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        match &self.engine {
            Engine::Sqlite(files) => files.query(sql, args).await,
        }
    }

    /// The operational tables.
    pub fn operational(&self) -> Operational {
        match &self.engine {
            Engine::Sqlite(files) => Operational::new(files.operational()),
        }
    }

    /// Whether other processes may be writing to it now.
    pub fn is_shared(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(_) => false,
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
        }
    }

    /// Table name and its columns in order, as the engine reports them, for comparison with [`Table`]s.
    pub async fn catalog(&self) -> Result<Vec<(String, Vec<(String, Kind)>)>, Error> {
        match &self.engine {
            Engine::Sqlite(files) => files.catalog().await,
        }
    }

    /// Prepares a statement without running it, so that a misspelt column is found by a test.
    pub async fn prepare(&self, sql: &str) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(files) => files.prepare(sql).await,
        }
    }

    /// The same for a statement on an operational table.
    pub async fn prepare_operational(&self, sql: &str) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(files) => files.prepare_operational(sql).await,
        }
    }

    /// Every statement a table descriptor can generate, in its smallest form.
    pub fn statements_of(table: &Table) -> Vec<String> {
        let mut all =
            vec![table.upsert(1), table.insert(1), table.delete(1), table.page(false), table.page(true)];
        all.push(table.load(None, 1));
        all.extend((0..table.indexes.len()).map(|index| table.load(Some(index), 1)));
        all
    }
}

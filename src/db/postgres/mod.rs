//! A `PostgreSQL` server, shared by any number of replicas.
//!
//! Every replica has a few connections of each class, so that one cannot starve another:
//!
//! | class | used for | a commit |
//! |---|---|---|
//! | writer | appends to the log, one at a time | waits for the disk |
//! | readers | queries, snapshots | – |
//! | sessions | upload sessions | survives a crash of a replica, not always one of the server |
//! | signals | the doorbell of the log and its listener | – |
//!
//! The order of all appends is the row lock of `log_head`, taken together with BEGIN. Every wait ends: the
//! server limits locks, statements and idle transactions, and this side gives up on a server that does not
//! answer at all.

mod bulk;
mod connect;
mod pool;
mod schema;
mod signal;
mod transaction;
mod value;

pub(super) use bulk::{CHUNK, delete, insert, load, statements_of, upsert};
pub(super) use pool::Connections;
pub(super) use signal::Ear;
pub(super) use transaction::Transaction;

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use super::{Access, Error, Options, Row, Shape, Value};
use crate::secret::Secret;

/// Appends queue for one connection; the second is for whoever asks about an append whose answer was lost.
const WRITERS: u32 = 2;

/// One for the listener, one for the doorbell.
const SIGNALS: u32 = 2;

/// How much longer than the server's own limit this side waits for an answer.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) struct Server {
    access: Access,
    writer: Connections,
    readers: Connections,
    sessions: Connections,
    signals: Connections,
}

/// What is wrong with the URL of a server, without asking the server. Does not repeat the URL.
pub(super) fn check_url(url: &Secret) -> Result<(), String> {
    connect::read(url).map(drop)
}

impl Server {
    pub(super) async fn open(url: &Secret, options: &Options, access: Access) -> Result<Self, Error> {
        let place = options.url.to_string();
        let target = connect::parse(url, &place)?;
        connect::look(&target, &place, options.connect_timeout, access).await?;
        match access {
            Access::Create => schema::migrate(&target, &place).await?,
            Access::Read => schema::check(&target, &place).await?,
        }
        let pool =
            |durable, size| Connections::new(limited(&target, options, access, durable), options, size);
        // A replica that stands still in the middle of an append holds the head of the log: the others do not wait for
        // it much longer than for any lock.
        let idle = options.lock_timeout.max(APPEND);
        let appends = limited(&target, options, access, true).options([(IDLE, idle.as_millis().to_string())]);
        Ok(Self {
            access,
            writer: Connections::new(appends, options, WRITERS),
            readers: pool(true, options.readers),
            sessions: pool(false, options.sessions),
            signals: pool(false, SIGNALS),
        })
    }

    /// Begins a transaction that holds the head of the log until it ends.
    pub(super) async fn begin(&self) -> Result<Transaction, Error> {
        let sql = match self.access {
            Access::Create => "BEGIN; SELECT 1 FROM log_head FOR UPDATE",
            // The server refuses what is written; a lock would be.
            Access::Read => "BEGIN",
        };
        Transaction::begin(&self.writer, sql, true).await
    }

    /// The same for work that takes as long as it takes. A process that stands still in it is ended all the same.
    pub(super) async fn begin_unlimited(&self) -> Result<Transaction, Error> {
        let sql = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
                   SET LOCAL idle_in_transaction_session_timeout = '60s'; SELECT 1 FROM log_head FOR UPDATE";
        Transaction::begin(&self.writer, sql, false).await
    }

    pub(super) async fn snapshot(&self) -> Result<Transaction, Error> {
        Transaction::begin(&self.readers, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", true).await
    }

    /// One read. Asked again when its connection turns out to be dead: reading twice does no harm.
    pub(super) async fn query(&self, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        let query = || self.readers.query(sql, args.clone());
        self.readers.again(query).await.map_err(Error::statement)
    }

    pub(super) fn sessions(&self) -> Connections {
        self.sessions.clone()
    }

    /// Connections whose commits wait for the disk, and that nobody holds for long: those of the reads.
    pub(super) fn synced(&self) -> Connections {
        self.readers.clone()
    }

    pub(super) fn ear(&self) -> Ear {
        Ear::new(self.signals.clone())
    }

    pub(super) async fn announce(&self, message: &str) -> Result<(), Error> {
        signal::announce(&self.signals, message).await
    }

    pub(super) async fn close(&self) {
        for pool in [&self.signals, &self.readers, &self.sessions, &self.writer] {
            pool.close().await;
        }
    }

    pub(super) async fn catalog(&self) -> Result<Vec<Shape>, Error> {
        schema::catalog(&self.readers).await
    }

    pub(super) async fn prepare(&self, sql: &str) -> Result<(), Error> {
        self.readers.prepare(sql).await.map_err(Error::statement)
    }
}

/// Longer than any append thinks between two statements, also on a busy machine.
const APPEND: Duration = Duration::from_secs(5);

/// How long a transaction may wait for its client.
const IDLE: &str = "idle_in_transaction_session_timeout";

/// Connections whose every wait the server ends.
fn limited(target: &PgConnectOptions, options: &Options, access: Access, durable: bool) -> PgConnectOptions {
    let millis = |limit: Duration| limit.as_millis().to_string();
    let read_only = if access == Access::Read { "on" } else { "off" };
    target.clone().options([
        ("default_transaction_isolation", "read committed".to_owned()),
        ("default_transaction_read_only", read_only.to_owned()),
        ("synchronous_commit", if durable { "on" } else { "off" }.to_owned()),
        ("lock_timeout", millis(options.lock_timeout)),
        ("statement_timeout", millis(options.statement_timeout)),
        (IDLE, millis(options.statement_timeout)),
        ("tcp_keepalives_idle", "10".to_owned()),
        ("tcp_keepalives_interval", "5".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
        // The statements are small and prepared; compiling one costs more than running it a thousand times.
        ("jit", "off".to_owned()),
    ])
}

//! A class of connections.

use std::future::Future;
use std::io;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Postgres, SqlSafeStr as _};

use super::value::{self, Arguments};
use super::{GRACE, Options, Row, Value};

/// A connection unused for this long is tried before it is used: the server may have been restarted.
const STALE: Duration = Duration::from_secs(1);

/// Prepared statements kept per connection.
const STATEMENTS: usize = 512;

/// Connections that speak in [`Row`]s.
#[derive(Clone, Debug)]
pub(in crate::db) struct Connections {
    pool: PgPool,
    patience: Duration,
}

impl Connections {
    /// Opens none yet.
    pub(super) fn new(target: PgConnectOptions, options: &Options, size: u32) -> Self {
        let pool = PgPoolOptions::new()
            .min_connections(0)
            .max_connections(size)
            .acquire_timeout(options.connect_timeout)
            .idle_timeout(Some(Duration::from_mins(10)))
            .max_lifetime(None)
            .test_before_acquire(false)
            .before_acquire(|connection: &mut PgConnection, usage| {
                Box::pin(async move {
                    if usage.idle_for < STALE {
                        return Ok(true);
                    }
                    Ok(matches!(tokio::time::timeout(GRACE, connection.ping()).await, Ok(Ok(()))))
                })
            })
            .connect_lazy_with(target.statement_cache_capacity(STATEMENTS));
        Self { pool, patience: options.statement_timeout + GRACE }
    }

    /// Does something that can be repeated until it meets a connection that is alive. After a restart of the server every
    /// one in the pool is dead; each is met once.
    pub(in crate::db) async fn again<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, sqlx::Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        let mut left = self.pool.size();
        loop {
            match attempt().await {
                Err(error) if left > 0 && is_broken(&error) => left -= 1,
                answered => return answered,
            }
        }
    }

    /// How long an answer may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        self.pool.acquire().await
    }

    pub(in crate::db) async fn query(
        &self,
        sql: &'static str,
        args: Vec<Value>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let mut connection = self.acquire().await?;
        let found = rows(&mut connection, sql.to_owned(), value::cells(&args)?, Some(self.patience)).await;
        checked(connection, found)
    }

    pub(in crate::db) async fn execute(
        &self,
        sql: &'static str,
        args: Vec<Value>,
    ) -> Result<u64, sqlx::Error> {
        let mut connection = self.acquire().await?;
        let done = run(&mut connection, sql.to_owned(), value::cells(&args)?, Some(self.patience)).await;
        checked(connection, done)
    }

    pub(super) async fn prepare(&self, sql: &str) -> Result<(), sqlx::Error> {
        let mut connection = self.acquire().await?;
        let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
        connection.prepare(sql).await.map(drop)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Runs a query on a connection.
pub(super) async fn rows(
    connection: &mut PgConnection,
    sql: String,
    args: Arguments,
    patience: Option<Duration>,
) -> Result<Vec<Row>, sqlx::Error> {
    let query = sqlx::query_with(AssertSqlSafe(sql), args).fetch_all(connection);
    within(patience, query).await?.iter().map(value::row).collect()
}

/// Runs a statement on a connection and says how many rows it touched.
pub(super) async fn run(
    connection: &mut PgConnection,
    sql: String,
    args: Arguments,
    patience: Option<Duration>,
) -> Result<u64, sqlx::Error> {
    let statement = sqlx::query_with(AssertSqlSafe(sql), args).execute(connection);
    Ok(within(patience, statement).await?.rows_affected())
}

/// Ends a wait for a server that does not even refuse.
pub(super) async fn within<T>(
    patience: Option<Duration>,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let Some(patience) = patience else { return answer.await };
    let silent = || io::Error::new(io::ErrorKind::TimedOut, "the database server does not answer");
    tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| Err(silent().into()))
}

/// Gives a connection back, or away when its error says that it is of no more use.
fn checked<T>(
    connection: PoolConnection<Postgres>,
    answer: Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    if answer.as_ref().is_err_and(is_broken) {
        drop(connection.detach());
    }
    answer
}

/// Whether the connection is gone, rather than its statement refused.
pub(super) fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
        }
        _ => false,
    }
}

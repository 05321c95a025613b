//! A transaction that ends whatever happens to it.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Executor as _, Postgres};

use super::pool::{self, Connections};
use super::value::{self, Arguments};
use super::{GRACE, Row, Value};
use crate::db::Error;

/// An open transaction. Not sqlx's own: that one forgets a transaction whose BEGIN took the head's lock in the
/// same message and failed there, and the connection would come back with it still open.
#[derive(Debug)]
pub(in crate::db) struct Transaction {
    /// `None` once it has ended.
    connection: Option<PoolConnection<Postgres>>,
    patience: Option<Duration>,
    /// The server answers COMMIT with "yes" after a failed statement, and rolls back.
    is_spoilt: bool,
}

impl Transaction {
    pub(super) async fn begin(
        connections: &Connections,
        sql: &'static str,
        is_limited: bool,
    ) -> Result<Self, Error> {
        let patience = is_limited.then(|| connections.patience());
        connections.again(|| Self::open(connections, sql, patience)).await.map_err(Error::statement)
    }

    async fn open(
        connections: &Connections,
        sql: &'static str,
        patience: Option<Duration>,
    ) -> Result<Self, sqlx::Error> {
        let connection = connections.acquire().await?;
        // Made first: when this future is dropped half-way, the transaction may be open already.
        let mut tx = Self { connection: Some(connection), patience, is_spoilt: false };
        let begun = pool::within(patience, tx.connection().execute(sql)).await;
        tx.noting(begun)?;
        Ok(tx)
    }

    pub(in crate::db) async fn query(
        &mut self,
        sql: String,
        args: &[Value],
    ) -> Result<Vec<Row>, sqlx::Error> {
        self.rows(sql, value::cells(args)?).await
    }

    pub(in crate::db) async fn execute(&mut self, sql: String, args: &[Value]) -> Result<u64, sqlx::Error> {
        self.run(sql, value::cells(args)?).await
    }

    pub(in crate::db) async fn rows(
        &mut self,
        sql: String,
        args: Arguments,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let patience = self.patience;
        let found = pool::rows(self.connection(), sql, args, patience).await;
        self.noting(found)
    }

    pub(in crate::db) async fn run(&mut self, sql: String, args: Arguments) -> Result<u64, sqlx::Error> {
        let patience = self.patience;
        let done = pool::run(self.connection(), sql, args, patience).await;
        self.noting(done)
    }

    pub(in crate::db) async fn commit(mut self) -> Result<(), Error> {
        if self.is_spoilt {
            return Err(Error::Engine(sqlx::Error::Protocol(
                "a statement before the commit failed".to_owned(),
            )));
        }
        let patience = self.patience;
        let committed = pool::within(patience, self.connection().execute("COMMIT")).await;
        match self.noting(committed) {
            Ok(_) => {
                self.connection = None;
                Ok(())
            }
            Err(error) => Err(Error::commit(error)),
        }
    }

    fn connection(&mut self) -> &mut sqlx::PgConnection {
        self.connection.as_mut().expect("it is there until the transaction ends")
    }

    fn noting<T>(&mut self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if let Err(error) = &answer {
            self.is_spoilt = true;
            if pool::is_broken(error)
                && let Some(connection) = self.connection.take()
            {
                // The server ends what was open on it.
                drop(connection.detach());
            }
        }
        answer
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    let undone = pool::within(Some(GRACE), connection.execute("ROLLBACK")).await;
                    if undone.is_err() {
                        drop(connection.detach());
                    }
                });
            }
            Err(_) => drop(connection.detach()),
        }
    }
}

//! The schema on the server.

use std::cmp::Ordering;
use std::sync::LazyLock;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Executor as _, Row as _};

use super::Connections;
use crate::db::{Error, Kind, Shape};

/// Under names of our own: another program's table of migrations must not be taken for ours.
static REGISTRY: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("migrations/postgres");
    migrator.dangerous_set_table_name(super::connect::MIGRATIONS);
    migrator
});
static OPERATIONAL: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("migrations/postgres/operational");
    migrator.dangerous_set_table_name("artifactstore_migrations_operational");
    migrator
});

/// Brings the schema up to date. Several replicas may do so at once: one goes first, the others wait for it,
/// however long it takes.
pub(super) async fn migrate(target: &PgConnectOptions, place: &str) -> Result<(), Error> {
    let mut connection = unlimited(target).await?;
    for migrator in [&*REGISTRY, &*OPERATIONAL] {
        let known = newest(migrator);
        if let Some(found) = version(&mut connection, migrator).await?
            && found > known
        {
            return Err(Error::Newer { path: place.to_owned(), found, known });
        }
        let failed = |source| {
            if !is_denied(&source) {
                return Error::Migrate { path: place.to_owned(), source };
            }
            let problem = "its user may not create tables there; make it the owner of the database, or GRANT CREATE \
                           ON SCHEMA public to it";
            Error::Refused { place: place.to_owned(), problem: problem.to_owned() }
        };
        migrator.run_direct(None, &mut connection, false).await.map_err(failed)?;
    }
    connection.close().await.map_err(Error::statement)
}

/// Whether the server refuses the user the right to do something (SQLSTATE 42501).
fn is_denied(error: &MigrateError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(sqlx::Error::Database(error)) = error.downcast_ref() {
            return error.code().as_deref() == Some("42501");
        }
        cause = error.source();
    }
    false
}

/// The schema must be the one this program knows.
pub(super) async fn check(target: &PgConnectOptions, place: &str) -> Result<(), Error> {
    let mut connection = unlimited(target).await?;
    for migrator in [&*REGISTRY, &*OPERATIONAL] {
        let known = newest(migrator);
        let found = version(&mut connection, migrator).await?.unwrap_or(0);
        let path = place.to_owned();
        match found.cmp(&known) {
            Ordering::Less => return Err(Error::Older { path, found, known }),
            Ordering::Greater => return Err(Error::Newer { path, found, known }),
            Ordering::Equal => {}
        }
    }
    connection.close().await.map_err(Error::statement)
}

async fn unlimited(target: &PgConnectOptions) -> Result<PgConnection, Error> {
    // Whatever the server or the role prescribe for everyday work.
    let none = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
    let target = target.clone().options(none.map(|name| (name, "0")));
    // "Already exists, skipping" is no news at every start.
    let target = target.options([("client_min_messages", "warning")]);
    PgConnection::connect_with(&target).await.map_err(Error::statement)
}

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

async fn version(connection: &mut PgConnection, migrator: &Migrator) -> Result<Option<i64>, Error> {
    let table = &*migrator.table_name;
    let known: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(table)
        .fetch_one(&mut *connection)
        .await
        .map_err(Error::statement)?;
    if !known {
        return Ok(None);
    }
    let sql = sqlx::AssertSqlSafe(format!("SELECT MAX(version) FROM {table}"));
    let row = connection.fetch_one(sql).await.map_err(Error::statement)?;
    row.try_get(0).map_err(Error::statement)
}

pub(super) async fn catalog(connections: &Connections) -> Result<Vec<Shape>, Error> {
    let sql = "SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT), format_type(a.atttypid, a.atttypmod), \
                   CAST(a.attnotnull AS INTEGER), array_position(i.indkey::int2[], a.attnum) \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
               LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
               WHERE n.nspname = current_schema() AND c.relkind = 'r' \
                   AND c.relname NOT LIKE 'artifactstore\\_migrations%' \
               ORDER BY c.relname COLLATE \"C\", a.attnum";
    let rows = connections.query(sql, Vec::new()).await.map_err(Error::statement)?;
    let columns = rows.iter().map(|row| {
        let kind = match row.text(2) {
            "bigint" => Kind::Integer,
            "text" => Kind::Text,
            _ => Kind::Blob,
        };
        (row.text(0), row.text(1), kind, row.integer(3) == 0, row.optional_integer(4))
    });
    Ok(Shape::collect(columns))
}

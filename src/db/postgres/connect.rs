//! The first connection: says in one sentence what is wrong with the server, the credentials or the database.

use std::io;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Executor as _, Row as _};

use crate::db::{Access, Error};
use crate::secret::Secret;

/// Where the applied migrations are noted.
pub(super) const MIGRATIONS: &str = "artifactstore_migrations";

/// The oldest server with everything that is used; older ones get no fixes any more.
const OLDEST: i64 = 13;

/// What a URL may set. The driver warns of anything else, with its value, which may be a secret.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Understands the URL.
pub(super) fn parse(url: &Secret, place: &str) -> Result<PgConnectOptions, Error> {
    let options = read(url).map_err(|problem| Error::Refused { place: place.to_owned(), problem })?;
    let named = options.get_application_name().is_some();
    let options = if named { options } else { options.application_name("artifactstore") };
    Ok(sqlx::ConnectOptions::disable_statement_logging(options))
}

/// The options a URL says, or what is wrong with it, which does not repeat it.
pub(super) fn read(url: &Secret) -> Result<PgConnectOptions, String> {
    let query = url.expose().split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        if !PARAMETERS.contains(&&*name) && !name.starts_with("options[") {
            return Err(format!("the parameter {name} is not known; known are {}", PARAMETERS.join(", ")));
        }
    }
    // The reason may repeat what it could not read, a password among it.
    url.expose().parse().map_err(|_| {
        "the URL is not understood; write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters as \
         %XX, and if at all sslmode=disable, allow, prefer, require, verify-ca or verify-full"
            .to_owned()
    })
}

/// Connects once and checks that this is a server and a database to work with.
pub(super) async fn look(
    target: &PgConnectOptions,
    place: &str,
    patience: Duration,
    access: Access,
) -> Result<(), Error> {
    let refused = |problem: String| Error::Refused { place: place.to_owned(), problem };
    let connecting = tokio::time::timeout(patience, PgConnection::connect_with(target)).await;
    let Ok(connected) = connecting else {
        return Err(refused(format!(
            "nothing answers within {} s; check host, port and firewall",
            patience.as_secs_f64()
        )));
    };
    let mut connection = connected.map_err(|error| refused(reason(&error, target)))?;
    let sql = "SELECT CAST(current_setting('server_version_num') AS BIGINT), current_setting('server_version'), \
                   current_setting('server_encoding'), pg_is_in_recovery(), current_schema()";
    let server = connection.fetch_one(sql).await.map_err(Error::statement)?;
    let version: i64 = server.try_get(0).map_err(Error::statement)?;
    if version / 10_000 < OLDEST {
        let shown: String = server.try_get(1).map_err(Error::statement)?;
        return Err(refused(format!("the server is PostgreSQL {shown}; use {OLDEST} or newer")));
    }
    let encoding: String = server.try_get(2).map_err(Error::statement)?;
    if encoding != "UTF8" {
        return Err(refused(format!(
            "the database has encoding {encoding}; create one with ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    let is_standby: bool = server.try_get(3).map_err(Error::statement)?;
    if is_standby {
        return Err(refused("the server is a standby; connect to the primary".to_owned()));
    }
    let schema: Option<String> = server.try_get(4).map_err(Error::statement)?;
    if schema.is_none() {
        return Err(refused(
            "the search_path names no schema that exists; create one, or change it".to_owned(),
        ));
    }
    let sql = "SELECT COUNT(*) FILTER (WHERE c.relname = 'artifactstore_migrations'), COUNT(*) \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm')";
    let tables = connection.fetch_one(sql).await.map_err(Error::statement)?;
    let (ours, all): (i64, i64) =
        (tables.try_get(0).map_err(Error::statement)?, tables.try_get(1).map_err(Error::statement)?);
    let _ = connection.close().await;
    match (ours, all) {
        (0, 0) if access == Access::Read => Err(Error::Missing { path: place.to_owned() }),
        (0, 0) | (1.., _) => Ok(()),
        _ => Err(Error::Foreign { path: place.to_owned() }),
    }
}

/// Why no connection came about, and what to do.
fn reason(error: &sqlx::Error, target: &PgConnectOptions) -> String {
    let user = target.get_username();
    let database = target.get_database().unwrap_or(user);
    match error {
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "no server listens there; start PostgreSQL, or correct host and port".to_owned()
        }
        sqlx::Error::Io(error) => {
            format!("the server cannot be reached ({error}); check host, port and network")
        }
        sqlx::Error::Tls(error) => {
            format!("TLS does not come about ({error}); check sslmode and sslrootcert")
        }
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("28P01") => format!("the password of user {user} is wrong; correct it in the URL"),
            Some("28000") => format!(
                "user {user} may not connect ({}); create the role, or allow it in pg_hba.conf",
                error.message()
            ),
            Some("3D000") => {
                format!("database {database} does not exist; create it with `createdb {database}`")
            }
            Some("42501") => format!("user {user} may not use database {database}; grant it CONNECT"),
            Some("53300") => {
                "the server has no connection left; raise max_connections, or lower database.readers"
                    .to_owned()
            }
            _ => format!("the server says: {}", error.message()),
        },
        other => format!("the server does not speak as expected ({other}); check host and port"),
    }
}

//! A throw-away database on a real server, for tests.
//!
//! Part of the library, so that the tests of the program can use it too. The server comes from the environment;
//! without it a test fails and says how to get one.
//!
//! Creating and dropping a database makes the server flush everything it has, which costs more than most tests. So
//! the databases stay, as many as were ever used at once, and are emptied for the next test. A lock that the server
//! gives back when its connection ends says which are in use, whatever process uses them and however it ends.

mod proxy;

pub use proxy::{Cut, Proxy};

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};

#[cfg(test)]
use super::{Access, Db};
use super::{Options, Url};

/// Names a server and a role on it that may create databases.
pub const VARIABLE: &str = "ARTIFACTSTORE_TEST_POSTGRES";

/// The lock of the database with the number 0; any number nobody else uses.
const LOCKS: i64 = 0x6172_7473;

/// An empty database, this test's alone until it is dropped.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
    /// Holds the lock.
    _in_use: PgConnection,
}

impl Database {
    /// Takes one that nobody uses and empties it, or creates one more.
    ///
    /// # Panics
    ///
    /// Without a server to have it on.
    pub async fn new() -> Self {
        let server = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} is not set; start the services with `eval \"$(tests/services up DIR)\"`")
        });
        Self::take(server).await.unwrap_or_else(|error| panic!("the server of {VARIABLE}: {error}"))
    }

    async fn take(server: String) -> Result<Self, sqlx::Error> {
        let mut in_use = PgConnectOptions::from_str(&server)?.disable_statement_logging().connect().await?;
        let mut number = 0;
        let lock = "SELECT pg_try_advisory_lock($1)";
        while !sqlx::query(lock).bind(LOCKS + number).fetch_one(&mut in_use).await?.get::<bool, _>(0) {
            number += 1;
        }
        let name = format!("artifactstore_test_{number}");
        let exists = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)";
        if sqlx::query(exists).bind(&name).fetch_one(&mut in_use).await?.get(0) {
            // Whoever used it may have left connections behind.
            disconnect_all(&mut in_use, &name).await?;
            let options = PgConnectOptions::from_str(&server)?.database(&name);
            let mut inside = options.disable_statement_logging().connect().await?;
            inside
                .execute("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; SELECT pg_stat_reset()")
                .await?;
            inside.close().await?;
        } else {
            let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
            in_use.execute(AssertSqlSafe(create)).await?;
        }
        Ok(Self { server, name, _in_use: in_use })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, password included.
    pub fn url(&self) -> String {
        self.url_at(None)
    }

    /// The same behind another host and port, for a proxy in between.
    pub fn url_at(&self, address: Option<std::net::SocketAddr>) -> String {
        let (scheme, rest) = self.server.split_once("://").expect("it was connected to");
        let (place, query) = rest.split_once('?').map_or((rest, ""), |(place, query)| (place, query));
        let place = place.split('/').next().unwrap_or_default();
        let (user, host) = place.rsplit_once('@').unwrap_or(("", place));
        let host = address.map_or_else(|| host.to_owned(), |address| address.to_string());
        let at = if user.is_empty() { "" } else { "@" };
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{scheme}://{user}{at}{host}/{}{mark}{query}", self.name)
    }

    /// Host and port of the server.
    pub fn address(&self) -> String {
        let options = PgConnectOptions::from_str(&self.server).expect("it was connected to");
        format!("{}:{}", options.get_host(), options.get_port())
    }

    /// A network in front of it that can be slow or fail.
    pub fn proxy(&self, delay: Duration) -> Proxy {
        Proxy::start(self.address(), delay).expect("loopback has a port")
    }

    /// Options to open it with, through a proxy.
    pub fn options_through(&self, proxy: &Proxy) -> Options {
        Options::new(Url::Postgres(self.url_at(Some(proxy.address())).into()))
    }

    /// Options to open it with.
    pub fn options(&self) -> Options {
        Options::new(Url::Postgres(self.url().into()))
    }

    /// Runs statements in it, as its administrator would.
    pub async fn execute(&self, sql: String) {
        let run = async {
            let options = PgConnectOptions::from_str(&self.url())?.disable_statement_logging();
            options.connect().await?.execute(AssertSqlSafe(sql)).await
        };
        run.await.expect("the server is there");
    }

    /// Ends every connection to it, as a restart of the server would.
    pub async fn disconnect_all(&self) {
        let connect = async {
            let options = PgConnectOptions::from_str(&self.server)?.disable_statement_logging();
            disconnect_all(&mut options.connect().await?, &self.name).await
        };
        connect.await.expect("the server is there");
    }
}

async fn disconnect_all(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1";
    sqlx::query(sql).bind(name).execute(connection).await?;
    Ok(())
}

/// The engine a test runs on.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// A place for one new database, gone when this is.
#[cfg(test)]
#[derive(Debug)]
pub(crate) enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(Database),
}

#[cfg(test)]
impl Place {
    pub(crate) async fn new(on: On) -> Self {
        match on {
            On::Sqlite => Self::Sqlite(tempfile::TempDir::new().unwrap()),
            On::Postgres => Self::Postgres(Database::new().await),
        }
    }

    pub(crate) fn options(&self) -> Options {
        match self {
            Self::Sqlite(dir) => Options::new(Url::Sqlite(dir.path().join("registry.db"))),
            Self::Postgres(database) => database.options(),
        }
    }

    pub(crate) async fn open(&self, access: Access) -> Db {
        Db::open(&self.options(), access).await.unwrap()
    }
}

/// Replaces a file of the sources, named from their root: one that is checked in and made by a program.
#[cfg(test)]
pub(crate) fn write_source(path: &str, text: &str) {
    std::fs::write(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path), text).unwrap();
}

/// Runs each named `async fn test(on: On)` on both engines.
#[cfg(test)]
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::db::testing::On::Sqlite).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::db::testing::On::Postgres).await;
            })*
        }
    };
}

#[cfg(test)]
pub(crate) use on_both;

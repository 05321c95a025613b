//! A throw-away database on a real server, for tests.
//!
//! Part of the library, so that the tests of the program can use it too. The server comes from the environment;
//! without it a test fails and says how to get one.

mod proxy;

pub use proxy::{Cut, Proxy};

use std::str::FromStr as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

#[cfg(test)]
use super::{Access, Db};
use super::{Options, Url};

/// Names a server and a role on it that may create databases.
pub const VARIABLE: &str = "ARTIFACTSTORE_TEST_POSTGRES";

/// How long a test waits for its database to be dropped: until the server has been told.
const DROPPING: Duration = Duration::from_millis(150);

/// A new, empty database. Dropped with its connections when this is.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Creates one.
    ///
    /// # Panics
    ///
    /// Without a server to create it on.
    pub async fn new() -> Self {
        let server = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} is not set; start the services with `eval \"$(tests/services up DIR)\"`")
        });
        let name = format!("artifactstore_test_{}", ulid::Ulid::generate().to_string().to_lowercase());
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        execute(&server, create).await.unwrap_or_else(|error| panic!("the server of {VARIABLE}: {error}"));
        Self { server, name }
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

    /// Ends every connection to it, as a restart of the server would.
    pub async fn disconnect_all(&self) {
        let sql = format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        );
        execute(&self.server, sql).await.expect("the server is there");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let (done, dropped) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a small runtime starts");
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            if let Err(error) = runtime.block_on(execute(&server, drop)) {
                eprintln!("database {name} stays behind: {error}");
            }
            // Nobody may wait any more.
            let _ = done.send(());
        });
        // The server takes its time, and goes on without us.
        let _ = dropped.recv_timeout(DROPPING);
    }
}

async fn execute(server: &str, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnectOptions::from_str(server)?.disable_statement_logging().connect().await?;
    connection.execute(AssertSqlSafe(sql)).await?;
    connection.close().await
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

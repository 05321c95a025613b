//! Which database, and how it is used.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// What can be set about the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where it is.
    pub url: Url,
    /// Connections that read at once.
    pub readers: u32,
    /// Connections for upload sessions (`PostgreSQL`; the embedded engine has one).
    pub sessions: u32,
    /// How long opening a connection, or waiting for a free one, may take.
    pub connect_timeout: Duration,
    /// How long a statement may wait for a lock, above all that of the head row (`PostgreSQL`).
    pub lock_timeout: Duration,
    /// How long a statement may take (`PostgreSQL`). Migrations and replay have no limit.
    pub statement_timeout: Duration,
    /// How old the view of a replica may be when it answers from its cache. Zero: every read sees every write
    /// that any replica has acknowledged, for one small query.
    pub max_staleness: Duration,
}

/// An engine and the place of its data.
#[derive(Clone, PartialEq, Eq)]
pub enum Url {
    /// The embedded engine: the file of the log and its views.
    Sqlite(PathBuf),
    /// A `PostgreSQL` server, as `postgres://user:password@host:port/database?…`.
    Postgres(Secret),
}

impl Options {
    /// The defaults for a database.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            readers: 8,
            sessions: 8,
            connect_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            max_staleness: Duration::ZERO,
        }
    }
}

impl fmt::Display for Url {
    /// Without the password and without the query, which may hold one too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => {
                let url = url.expose();
                let url = url.split(['?', '#']).next().unwrap_or_default();
                let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
                match rest.rsplit_once('@') {
                    None => write!(f, "postgres://{rest}"),
                    Some((user, place)) => {
                        let user = user.split(':').next().unwrap_or_default();
                        write!(f, "postgres://{user}@{place}")
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgres://me:secret@host:5433/db?sslpassword=x", "postgres://me@host:5433/db"),
            ("postgresql://me:se@cr:et@host/db", "postgres://me@host/db"),
            ("postgres://host/db", "postgres://host/db"),
            ("postgres:///db?host=/run/postgresql&password=x", "postgres:///db"),
        ] {
            let url = Url::Postgres(url.into());
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }
}

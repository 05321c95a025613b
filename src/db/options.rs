//! Which database, and how it is used.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::secret::{Secret, without_password};
use crate::setting::{Kind, Problem, Setting, Values};

const URL: Setting = Setting {
    key: "database.url",
    kind: Kind::Url,
    default: "sqlite://{data}/registry.db",
    doc: "postgres://user:password@host/database, or sqlite:// and the path of a file.",
};
const READERS: Setting = Setting {
    key: "database.readers",
    kind: Kind::Count { min: 1, max: 1000 },
    default: "8",
    doc: "Connections that read at once.",
};
const SESSIONS: Setting = Setting {
    key: "database.sessions",
    kind: Kind::Count { min: 1, max: 1000 },
    default: "8",
    doc: "Connections for upload sessions (PostgreSQL only).",
};
const CONNECT_TIMEOUT: Setting = Setting {
    key: "database.connect_timeout",
    kind: Kind::Duration { min: Duration::from_millis(100), max: Duration::from_mins(10) },
    default: "10s",
    doc: "How long opening a connection, or waiting for a free one, may take.",
};
const LOCK_TIMEOUT: Setting = Setting {
    key: "database.lock_timeout",
    kind: Kind::Duration { min: Duration::from_millis(100), max: Duration::from_mins(10) },
    default: "5s",
    doc: "How long a statement may wait for a lock (PostgreSQL only).",
};
const STATEMENT_TIMEOUT: Setting = Setting {
    key: "database.statement_timeout",
    kind: Kind::Duration { min: Duration::from_millis(100), max: Duration::from_hours(1) },
    default: "30s",
    doc: "How long a statement may take (PostgreSQL only). Migrations and replay have no limit.",
};
const MAX_STALENESS: Setting = Setting {
    key: "database.max_staleness",
    kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_mins(10) },
    default: "0s",
    doc: "How old the view of a replica may be when it answers from its cache (PostgreSQL only). \
          0s: every read sees every write that any replica has acknowledged, for one small query.",
};

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
    /// What can be set.
    pub const SETTINGS: &[&Setting] =
        &[&URL, &READERS, &SESSIONS, &CONNECT_TIMEOUT, &LOCK_TIMEOUT, &STATEMENT_TIMEOUT, &MAX_STALENESS];

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

    /// What was set.
    pub fn from_values(values: &Values) -> Result<Self, Problem> {
        let url = values.secret(&URL).ok_or_else(|| URL.problem(UrlError::Engine.to_string()))?;
        let url = url.expose().parse().map_err(|error: UrlError| URL.problem(error.to_string()))?;
        let default = Self::new(url);
        Ok(Self {
            readers: values.number(&READERS).unwrap_or(default.readers),
            sessions: values.number(&SESSIONS).unwrap_or(default.sessions),
            connect_timeout: values.duration(&CONNECT_TIMEOUT).unwrap_or(default.connect_timeout),
            lock_timeout: values.duration(&LOCK_TIMEOUT).unwrap_or(default.lock_timeout),
            statement_timeout: values.duration(&STATEMENT_TIMEOUT).unwrap_or(default.statement_timeout),
            max_staleness: values.duration(&MAX_STALENESS).unwrap_or(default.max_staleness),
            ..default
        })
    }
}

/// A database URL that names no database we know. Does not hold it: it may have a password in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither of the two engines.
    #[error("give postgres://user:password@host/database or sqlite:///absolute/path/registry.db")]
    Engine,
    /// A file with parameters, which we would take for a part of its name.
    #[error("give nothing but the path of a file after sqlite://, without \"?\" and \"#\"")]
    Parameters,
    /// What is wrong with a URL of a server.
    #[error("{0}")]
    Server(String),
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        match url.split_once("://") {
            Some(("sqlite", path)) if path.contains(['?', '#']) => Err(UrlError::Parameters),
            Some(("sqlite", path)) if Path::new(path).file_name().is_some() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => {
                let url = url.into();
                super::postgres::check_url(&url).map_err(UrlError::Server)?;
                Ok(Self::Postgres(url))
            }
            _ => Err(UrlError::Engine),
        }
    }
}

impl fmt::Display for Url {
    /// Without the password and without the query, which may hold one too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => {
                let shown = without_password(url.expose());
                write!(f, "postgres://{}", shown.split_once("://").map_or(&*shown, |(_, rest)| rest))
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
    fn the_declared_defaults_are_the_defaults() {
        let options = Options::from_values(&Values::defaults(Options::SETTINGS, "data")).unwrap();
        assert_eq!(options, Options::new(Url::Sqlite("data/registry.db".into())));
    }

    #[test]
    fn a_url_names_one_of_two_engines() {
        assert_eq!("sqlite:///x/y.db".parse(), Ok(Url::Sqlite("/x/y.db".into())));
        for url in ["postgres://me:secret@host/db", "postgresql:///db?host=/run"] {
            assert_eq!(url.parse(), Ok(Url::Postgres(url.into())));
        }
        for url in ["", "x.db", "/x/y.db", "mysql://host/db", "sqlite://", "postgres://", "Postgres://h/d"] {
            assert_eq!(url.parse::<Url>(), Err(UrlError::Engine), "{url}");
        }
        assert_eq!("sqlite:///x.db?mode=ro".parse::<Url>(), Err(UrlError::Parameters));
        for url in
            ["postgres://u:SECRET#PW@h/db", "postgres://u:SECRET/PW@h/db", "postgres://h/db?sslmode=foo"]
        {
            let error = url.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains("not understood") && error.contains("sslmode"), "{url}: {error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgres://me:secret@host:5433/db?sslpassword=x", "postgres://me@host:5433/db"),
            ("postgresql://me:se@cr:et@host/db", "postgres://me@host/db"),
            ("postgres://host/db", "postgres://host/db"),
            ("postgres://me:se?cret@host/db", "postgres://***"),
            ("postgres:///db?host=/run/postgresql&password=x", "postgres:///db"),
        ] {
            let url = Url::Postgres(url.into());
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }
}

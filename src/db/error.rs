//! What can go wrong between us and the engine.

use sqlx::postgres::PgDatabaseError;

/// A database error. Never means "no such row".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A constraint of the schema was violated; the transaction did nothing.
    #[error("the database refused a row")]
    Constraint(#[source] sqlx::Error),
    /// The commit was sent but its outcome is unknown; look the command up before trying again.
    #[error("the outcome of a commit is unknown")]
    Commit(#[source] sqlx::Error),
    /// The database cannot be had for the moment: no connection, or no lock, or no answer in time. Nothing
    /// happened; the same may succeed later.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The server, the credentials or the database cannot be used as they are.
    #[error("cannot use {place}: {problem}")]
    Refused {
        /// The database, without a password.
        place: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The files carry a schema newer than this program.
    #[error("{path} has schema version {found}, this program knows {known}; run a newer artifactstore")]
    Newer {
        /// The database file.
        path: String,
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The files were made by something else.
    #[error("{path} is not an artifactstore database but that of another program; choose an empty one")]
    Foreign {
        /// The file.
        path: String,
    },
    /// There is no database where one was expected.
    #[error("there is no database at {path}")]
    Missing {
        /// The expected file.
        path: String,
    },
    /// The schema is older than this program and was opened read-only.
    #[error(
        "{path} has schema version {found}, this program needs {known}; run `artifactstore migrate` first"
    )]
    Older {
        /// The database file.
        path: String,
        /// Its version.
        found: i64,
        /// The version needed.
        known: i64,
    },
    /// A migration failed or was changed after it was applied.
    #[error("migrating {path} failed")]
    Migrate {
        /// The database file.
        path: String,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// A text to look for has a NUL, which not every engine can compare with. No stored text has one.
    #[error("a text to look for has a NUL character")]
    Nul,
    /// Anything else the engine reports: full disk, a statement that makes no sense.
    #[error("the database failed")]
    Engine(#[from] sqlx::Error),
}

/// `SQLITE_TOOBIG`, `SQLITE_CONSTRAINT`, `SQLITE_MISMATCH`: the row is at fault, not the engine.
const REFUSES_ROW: [u32; 3] = [18, 19, 20];

/// Classes of SQLSTATE that blame the row: data, integrity, and a message too large for a page.
const BLAMES_ROW: [&str; 3] = ["22", "23", "54"];

/// Beginnings of SQLSTATE that pass: connection lost, transaction to be tried again, out of resources, lock not
/// available, cancelled by a time-out, stopped or starting, a transaction that stood idle too long.
const PASSES: [&str; 7] = ["08", "40", "53", "55P03", "57014", "57P0", "25P03"];

impl Error {
    /// Whether the same may succeed later without anybody doing anything.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// A commit that turned out not to have happened: it may be tried again.
    #[must_use]
    pub fn undone(self) -> Self {
        match self {
            Self::Commit(error) => Self::Unavailable(error),
            other => other,
        }
    }

    pub(super) fn statement(error: sqlx::Error) -> Self {
        if let Some(code) = sqlstate(&error) {
            return if BLAMES_ROW.iter().any(|class| code.starts_with(class)) {
                Self::Constraint(error)
            } else if PASSES.iter().any(|start| code.starts_with(start)) {
                Self::Unavailable(error)
            } else {
                Self::Engine(error)
            };
        }
        match &error {
            // A value that its column cannot hold.
            sqlx::Error::Encode(_) => Self::Constraint(error),
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut => {
                Self::Unavailable(error)
            }
            _ => {
                // SQLite tells a violation of a constraint, of a trigger or of a STRICT column type by its
                // primary code; the extended code in the upper bytes says which.
                let code = error.as_database_error().and_then(|e| e.code()?.parse::<u32>().ok());
                let constraint = code.is_some_and(|code| REFUSES_ROW.contains(&(code & 0xff)));
                if constraint { Self::Constraint(error) } else { Self::Engine(error) }
            }
        }
    }

    /// What a failed COMMIT on a server means. Told so while the transaction was still checked, it did not
    /// happen; with anything else the answer may have been lost behind it.
    pub(super) fn commit(error: sqlx::Error) -> Self {
        let refused = sqlstate(&error).is_some_and(|code| code.starts_with("23") || code.starts_with("40"));
        if refused { Self::statement(error) } else { Self::Commit(error) }
    }
}

fn sqlstate(error: &sqlx::Error) -> Option<&str> {
    Some(error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.code())
}

//! What can go wrong between us and the engine.

/// A database error. Never means "no such row".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A constraint of the schema was violated; the transaction did nothing.
    #[error("the database refused a row")]
    Constraint(#[source] sqlx::Error),
    /// The commit was sent but its outcome is unknown; look the command up before trying again.
    #[error("the outcome of a commit is unknown")]
    Commit(#[source] sqlx::Error),
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
    #[error("{path} is not an artifactstore database")]
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
    /// Anything else the engine reports: I/O, full disk, closed connection.
    #[error("the database failed")]
    Engine(#[from] sqlx::Error),
}

/// `SQLITE_TOOBIG`, `SQLITE_CONSTRAINT`, `SQLITE_MISMATCH`: the row is at fault, not the engine.
const REFUSES_ROW: [u32; 3] = [18, 19, 20];

impl Error {
    pub(super) fn statement(error: sqlx::Error) -> Self {
        // SQLite tells a violation of a constraint, of a trigger or of a STRICT column type by its primary
        // code; the extended code in the upper bytes says which.
        let code = error.as_database_error().and_then(|e| e.code()?.parse::<u32>().ok());
        let constraint = code.is_some_and(|code| REFUSES_ROW.contains(&(code & 0xff)));
        if constraint { Self::Constraint(error) } else { Self::Engine(error) }
    }
}

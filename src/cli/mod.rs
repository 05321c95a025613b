//! The commands. Thin: parse, open, call the library, print.
//!
//! Exit codes: 0 fine, 1 the command ran and found problems, 2 it could not run.

mod check;
mod open;
mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Flags, Settings};
use crate::telemetry;

/// Every setting there is; flags win.
const ENVIRONMENT: &str = "Environment:
  ARTIFACTSTORE_DATA                the data directory, like --data
  ARTIFACTSTORE_LISTEN              where to listen, like serve --listen
  ARTIFACTSTORE_ALLOW_SPARSE        true or false, like serve --allow-sparse
  ARTIFACTSTORE_DATABASE_URL        sqlite:///absolute/path/registry.db, when not in the data directory
  ARTIFACTSTORE_STORAGE_LOCAL_ROOT  where the stored bytes are, when not in the data directory
  ARTIFACTSTORE_LOG_LEVEL           error, warn, info, debug, trace, or tracing directives";

/// An OCI registry that keeps evidence.
#[derive(Debug, Parser)]
#[command(name = "artifactstore", version, propagate_version = true, arg_required_else_help = true, after_help = ENVIRONMENT)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the registry.
    ///
    /// Prints `listening on http://ADDRESS` when it is ready. SIGTERM or Ctrl-C lets requests under way end
    /// and exits; a second signal stops at once.
    Serve {
        #[command(flatten)]
        data: Data,
        /// Where to listen; port 0 picks a free port [default: 127.0.0.1:5000]
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<SocketAddr>,
        /// Listen on an address other machines reach although nobody has to log in.
        #[arg(long)]
        insecure_listen: bool,
        /// Accept image manifests that name blobs their repository does not hold.
        #[arg(long)]
        allow_sparse: bool,
    },
    /// Print the version.
    Version {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check the database and the storage of a data directory; works beside a running server.
    Health {
        #[command(flatten)]
        data: Data,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Create or update the database schema; `serve` does so too.
    Migrate {
        #[command(flatten)]
        data: Data,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Rebuild every view from the event log; the server must be stopped.
    Replay {
        #[command(flatten)]
        data: Data,
        /// Change nothing: rebuild into a scratch database, compare with the live views and exit with 1 when
        /// they differ. Works beside a running server.
        #[arg(long)]
        check: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read every stored object and compare its digest; exits with 1 when anything is wrong.
    ///
    /// Works beside a running server.
    Verify {
        #[command(flatten)]
        data: Data,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Data {
    /// The data directory [default: ./data]
    #[arg(long = "data", value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// What went wrong, in one sentence, and what to do about it.
#[derive(Debug)]
struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let reason = cause.to_string();
            if !text.ends_with(&reason) {
                text = format!("{text}: {reason}");
            }
            source = cause.source();
        }
        Self(text)
    }
}

/// Whether a command that ran found everything in order.
type Outcome = Result<bool, Failure>;

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(arguments.command.run()));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(Failure(reason)) => {
            eprintln!("artifactstore: {reason}");
            ExitCode::from(2)
        }
    }
}

impl Command {
    async fn run(self) -> Outcome {
        match self {
            Self::Serve { data, listen, insecure_listen, allow_sparse } => {
                let flags = Flags { data: data.directory, listen, allow_sparse };
                serve::serve(&settings(flags)?, insecure_listen).await
            }
            Self::Version { json } => check::version(json),
            Self::Health { data, json } => check::health(&data.settings()?, json).await,
            Self::Migrate { data, json } => check::migrate(&data.settings()?, json).await,
            Self::Replay { data, check: true, json } => check::replay_check(&data.settings()?, json).await,
            Self::Replay { data, check: false, json } => check::replay(&data.settings()?, json).await,
            Self::Verify { data, json } => check::verify(&data.settings()?, json).await,
        }
    }
}

impl Data {
    fn settings(self) -> Result<Settings, Failure> {
        settings(Flags { data: self.directory, ..Flags::default() })
    }
}

fn settings(flags: Flags) -> Result<Settings, Failure> {
    let mut environment = Vec::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => environment.push((name, value)),
            // Repaired, a path would lead somewhere else.
            (Ok(name), Err(_)) if name.starts_with(config::PREFIX) => {
                return Err(Failure(format!("{name} is not UTF-8")));
            }
            _ => {}
        }
    }
    let settings = Settings::load(flags, environment.into_iter())?;
    let invalid = |reason| Failure(format!("ARTIFACTSTORE_LOG_LEVEL: {reason}; try info or debug"));
    telemetry::start(&settings.log_level).map_err(invalid)?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}

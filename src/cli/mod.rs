//! The commands. Thin: parse, open, call the library, print.
//!
//! Exit codes: 0 fine, 1 the command ran and found problems, 2 it could not run; 130 and 143 a signal stopped it. With
//! `--json` standard output is one JSON document, or nothing when the command could not run: why is on standard error,
//! with and without it.

mod audit;
mod certificates;
mod check;
mod clock;
mod completions;
mod configuration;
mod copy;
mod dispose;
mod disposition;
mod events;
mod gc;
mod ingest;
mod interrupt;
mod keys;
mod man;
mod open;
mod output;
mod package;
mod pull;
mod push;
mod replay;
mod retention;
mod scrub;
mod serve;
mod stat;
mod upkeep;
mod user;
mod webhooks;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::{self, Config, Flags, Settings};
use crate::oci::{Digest, RepositoryName};
use crate::registry::{self, Origin};
use crate::telemetry::{self, with_causes};

pub(crate) use open::{Parts, directory as open_directory};

/// The settings most installations need; flags win.
const ENVIRONMENT: &str = "Environment:
  ARTIFACTSTORE_CONFIG              a configuration file, like --config
  ARTIFACTSTORE_DATA                the data directory, like --data
  ARTIFACTSTORE_LISTEN              where to listen, like serve --listen
  ARTIFACTSTORE_DATABASE_URL        postgres://user:password@host/database or sqlite:///absolute/path/registry.db
  ARTIFACTSTORE_STORAGE_BACKEND     local or s3
  ARTIFACTSTORE_STORAGE_LOCAL_ROOT  where the stored bytes are, when not in the data directory
  ARTIFACTSTORE_STORAGE_S3_BUCKET   the bucket; likewise _ENDPOINT, _REGION, _PATH_STYLE, _ACCESS_KEY_ID, …
  ARTIFACTSTORE_LOG_LEVEL           error, warn, info, debug, trace, or tracing directives
  ARTIFACTSTORE_SERVER              the registry `package`, `ingest` and `events` talk to, https://host[:port]
  ARTIFACTSTORE_ALLOW_SPARSE        true or false, like serve --allow-sparse
All settings, as a commented file: artifactstore config example";

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
        common: Common,
        /// Where to listen; port 0 picks a free port [default: 127.0.0.1:5000]
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<String>,
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
    /// Check the database and the storage; works beside a running server.
    Health {
        #[command(flatten)]
        common: Common,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Create or update the database schema; `serve` does so too.
    Migrate {
        #[command(flatten)]
        common: Common,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Rebuild every view from the event log; with SQLite the server must be stopped.
    ///
    /// Exits with 1 when the log is damaged, or holds what this program does not know: then nothing is changed.
    Replay {
        #[command(flatten)]
        common: Common,
        /// Change nothing: rebuild into a scratch database, compare with the live views and exit with 1 when
        /// they differ. Works beside a running server.
        #[arg(long)]
        check: bool,
        /// Begin with the newest snapshot that can be used, and fold only the events after it.
        #[arg(long)]
        from_snapshot: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write the views to the storage, so that an emptied database begins there and not at event 1.
    ///
    /// A server does so by itself, every `snapshots.every` events. The newest two are kept. With SQLite or a storage
    /// folder the server must be stopped.
    Snapshot {
        #[command(flatten)]
        common: Common,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read every stored object and compare its digest; exits with 1 when anything is wrong.
    ///
    /// Works beside a running server.
    Verify {
        #[command(flatten)]
        common: Common,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Copy a registry to another database and storage: the same log, byte for byte, and the same objects.
    ///
    /// Can be interrupted and run again; what is there is not sent twice. While the original is in use the copy
    /// stays closed (exit code 1): run it once more when the original was stopped. At the end both logs are
    /// compared, the views by their digest, and every object of the copy is read back.
    Copy {
        #[command(flatten)]
        sides: copy::Sides,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Collect garbage: delete what nothing names any more, after its grace.
    ///
    /// A server does so by itself. With SQLite or a storage folder the server must be stopped; ask a running one over
    /// HTTP. Exits with 1 when the run failed.
    Gc {
        #[command(flatten)]
        common: Common,
        /// Change nothing: say what is garbage, by reason. Works beside a running server.
        #[arg(long)]
        dry_run: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Dispose by schedule, as a server does that is set to: of what its class lets leave by now.
    ///
    /// One step further with each thing: propose, or execute once approvals and cooling-off are complete. Only with
    /// `retention.scheduled_disposal = true`. With SQLite the server must be stopped.
    Dispose {
        #[command(flatten)]
        common: Common,
        /// Change nothing: say what is due, and what would be done with it. Works beside a running server.
        #[arg(long)]
        dry_run: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Verify stored bytes, and record what is damaged.
    ///
    /// Goes on with the cycle that is under way, or begins one; `scrub.rate` and `scrub.pass` say how fast and how
    /// far. What is damaged is not served any more until it is repaired: from another copy, or when it is pushed again.
    /// Nothing is deleted. A server does so by itself; with SQLite or a storage folder it must be stopped, ask a
    /// running one over HTTP. Exits with 1 when anything is damaged or could not be read.
    Scrub {
        #[command(flatten)]
        common: Common,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Register a producer's run directory as one package.
    ///
    /// A layout says how the directory is recognised, what is taken as metadata and what its files are; the one
    /// of guide-board is built in. Exits with 1 and names every file and pointer when the directory is not as its
    /// layout says.
    Ingest(ingest::Ingest),
    /// Push, pull and verify evidence packages, and look at them: a client of any OCI registry.
    #[command(subcommand, arg_required_else_help = true)]
    Package(package::Package),
    /// Follow the event log: a client of an artifactstore registry, or of a data directory of this machine.
    #[command(subcommand, arg_required_else_help = true)]
    Events(events::Events),
    /// Look at retentions and make them longer: a client of an artifactstore registry.
    #[command(subcommand)]
    Retention(retention::Retention),
    /// Place, release and list holds: a client of an artifactstore registry.
    #[command(subcommand)]
    Hold(retention::Hold),
    /// Propose, approve and execute dispositions, and print deletion certificates.
    ///
    /// A client of an artifactstore registry; or, with --data or --config, on a registry of this machine as its user.
    #[command(subcommand, arg_required_else_help = true)]
    Disposition(disposition::Disposition),
    /// The compliance clock, by which retentions are judged: show it, or say that the system's clock is right.
    #[command(subcommand, arg_required_else_help = true)]
    Clock(clock::Clock),
    /// Show who did what, when, why and from where, and what was refused.
    ///
    /// Of a data directory, also beside a running server; with --server of that one. The oldest entry first, up to the
    /// newest event of now.
    Audit(audit::Audit),
    /// Set up, change and look at webhooks: a client of an artifactstore registry.
    #[command(subcommand, arg_required_else_help = true)]
    Webhooks(webhooks::Webhooks),
    /// Show why something stays: what names it, what holds it, under which classes and until when.
    Explain(retention::Explain),
    /// Store one file without a server and print its digest.
    ///
    /// Content that is there already is stored once. Beside a server only with PostgreSQL and S3.
    Push {
        /// The file, or - for the input
        path: PathBuf,
        #[command(flatten)]
        local: Local,
    },
    /// Write the content with a digest to a file, without a server; exits with 1 when it is not there or damaged.
    ///
    /// The content is compared with the digest on the way; the file appears when it is whole. Works beside a running
    /// server.
    Pull {
        /// The digest, of any algorithm: blake3:… as `push` prints it, sha256:…
        digest: Digest,
        /// The file, or - for the output
        #[arg(long, short, value_name = "PATH")]
        output: PathBuf,
        #[command(flatten)]
        local: Local,
    },
    /// Show the digests and the size of content, without a server; exits with 1 when it is not there.
    ///
    /// Works beside a running server.
    Stat {
        /// The digest, of any algorithm
        digest: Digest,
        #[command(flatten)]
        local: Local,
    },
    /// Print a script that completes commands and flags in a shell.
    Completions {
        /// The shell
        shell: completions::Shell,
    },
    /// Print the manual page.
    Man {
        /// Write it and one page per command to this folder instead
        #[arg(long, short, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Look at storage.
    #[command(subcommand, arg_required_else_help = true)]
    Storage(Storage),
    /// Exchange the keys that sign URLs.
    #[command(subcommand, arg_required_else_help = true)]
    Keys(Keys),
    /// Look at the settings: check them, show what holds, print an example.
    #[command(subcommand, arg_required_else_help = true)]
    Config(Configuration),
}

#[derive(Debug, Subcommand)]
enum Storage {
    /// Try what the registry needs of the storage, on the real thing; exits with 1 when something is missing.
    ///
    /// Works beside a running server. Its own objects are removed again.
    Probe {
        #[command(flatten)]
        common: Common,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Sign URLs of keyed objects with a new key from now on.
    ///
    /// URLs that were given out work until they end, at most seven days. With
    /// SQLite the server must be stopped.
    Rotate {
        #[command(flatten)]
        common: Common,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Configuration {
    /// Say what is wrong with the settings, without starting anything; exits with 2 when something is.
    Check {
        #[command(flatten)]
        common: Common,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show every setting that holds and where it comes from, without passwords and keys.
    Show {
        #[command(flatten)]
        common: Common,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a configuration file with every setting, its meaning and its default.
    Example,
}

/// Flags of every command that needs settings.
#[derive(Debug, clap::Args)]
struct Common {
    /// A configuration file; there is none unless it is named
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory [default: ./data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// What is logged: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// Flags of the commands on content without a server.
#[derive(Debug, clap::Args)]
struct Local {
    #[command(flatten)]
    common: Common,
    /// The repository that holds it
    #[arg(long, value_name = "NAME", default_value = registry::LOCAL)]
    repository: RepositoryName,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What went wrong, in one sentence, and what to do about it.
#[derive(Debug)]
struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(with_causes(&error))
    }
}

/// Whether a command that ran found everything in order.
type Outcome = Result<bool, Failure>;

/// How long work on threads may go on when the command has ended.
const LEAVE: Duration = Duration::from_secs(2);

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::from).and_then(
            |runtime| {
                let is_server = matches!(arguments.command, Command::Serve { .. });
                let work = Box::pin(arguments.command.run());
                // What a server is asked to do comes from elsewhere.
                let outcome = runtime.block_on(async {
                    if is_server { work.await } else { Box::pin(Origin::cli().scope(work)).await }
                });
                // What still runs on a thread may run for ever.
                runtime.shutdown_timeout(LEAVE);
                outcome
            },
        );
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(Failure(reason)) => {
            output::complain(&reason);
            ExitCode::from(2)
        }
    }
}

impl Command {
    async fn run(self) -> Outcome {
        match self {
            Self::Serve { common, listen, insecure_listen, allow_sparse } => {
                let mut flags = common.flags();
                flags.values.extend(listen.map(|address| ("listen", address)));
                flags.values.extend(allow_sparse.then(|| ("allow_sparse", "true".to_owned())));
                serve::serve(&start(flags)?, insecure_listen).await
            }
            Self::Version { json } => check::version(json),
            Self::Health { common, json } => check::health(&common.start()?, json).await,
            Self::Migrate { common, json } => check::migrate(&common.start()?, json).await,
            Self::Replay { common, check: true, from_snapshot, json } => {
                replay::replay_check(&common.start()?, from_snapshot, json).await
            }
            Self::Replay { common, check: false, from_snapshot, json } => {
                replay::replay(&common.start()?, from_snapshot, json).await
            }
            Self::Snapshot { common, json } => replay::snapshot(&common.start()?, json).await,
            Self::Verify { common, json } => check::verify(&common.start()?, json).await,
            Self::Copy { sides, json } => {
                let (from, to) = sides.load(environment()?.into_iter())?;
                telemetry::start(&to.log).map_err(Failure)?;
                copy::copy(&sides, &from, &to, json).await
            }
            Self::Gc { common, dry_run: true, json } => gc::plan(&common.start()?, json).await,
            Self::Gc { common, dry_run: false, json } => gc::collect(&common.start()?, json).await,
            Self::Dispose { common, dry_run: true, json } => dispose::plan(&common.start()?, json).await,
            Self::Dispose { common, dry_run: false, json } => dispose::dispose(&common.start()?, json).await,
            Self::Scrub { common, json } => scrub::scrub(&common.start()?, json).await,
            Self::Ingest(ingest) => interrupt::until_stopped(ingest.run(), package::GOES_ON).await,
            Self::Package(package) => {
                let advice = package.advice();
                interrupt::until_stopped(package.run(), advice).await
            }
            Self::Events(events) => events.run().await,
            Self::Retention(retention) => retention.run().await,
            Self::Hold(hold) => hold.run().await,
            Self::Disposition(disposition) => disposition.run().await,
            Self::Clock(clock) => clock.run().await,
            Self::Audit(audit) => audit.run().await,
            Self::Webhooks(webhooks) => webhooks.run().await,
            Self::Explain(explain) => explain.run().await,
            Self::Push { path, local: Local { common, repository, json } } => {
                push::push(&common.start()?, &path, repository, json).await
            }
            Self::Pull { digest, output, local: Local { common, repository, json } } => {
                pull::pull(&common.start()?, &digest, &output, &repository, json).await
            }
            Self::Stat { digest, local: Local { common, repository, json } } => {
                stat::stat(&common.start()?, &digest, &repository, json).await
            }
            Self::Completions { shell } => completions::completions(Arguments::command(), shell),
            Self::Man { output } => man::man(Arguments::command(), output.as_deref()),
            Self::Storage(Storage::Probe { common, json }) => check::probe(&common.start()?, json).await,
            Self::Keys(Keys::Rotate { common, json }) => keys::rotate(&common.start()?, json).await,
            Self::Config(Configuration::Check { common, json }) => {
                configuration::check(&load(common.flags())?, json)
            }
            Self::Config(Configuration::Show { common, json }) => {
                configuration::show(&load(common.flags())?, json)
            }
            Self::Config(Configuration::Example) => configuration::example(),
        }
    }
}

impl Common {
    fn flags(self) -> Flags {
        let data = self.data.map(|directory| ("data", directory));
        let level = self.log_level.map(|level| ("log_level", level));
        Flags { file: self.config, values: data.into_iter().chain(level).collect() }
    }

    fn start(self) -> Result<Settings, Failure> {
        start(self.flags())
    }
}

/// The settings, with logging started.
fn start(flags: Flags) -> Result<Settings, Failure> {
    let settings = load(flags)?.settings;
    telemetry::start(&settings.log).map_err(Failure)?;
    Ok(settings)
}

fn load(flags: Flags) -> Result<Config, Failure> {
    Ok(Config::load(flags, environment()?.into_iter())?)
}

fn environment() -> Result<Vec<(String, String)>, Failure> {
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
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use crate::config;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }

    #[test]
    fn every_flag_of_a_setting_exists() {
        let command = super::Arguments::command();
        let serve = command.find_subcommand("serve").unwrap();
        let flags: Vec<_> = serve.get_arguments().filter_map(|flag| flag.get_long()).collect();
        for (key, flag) in config::FLAGS {
            assert!(flags.contains(&flag.trim_start_matches("--")), "{flag}");
            assert!(config::declared().iter().any(|setting| setting.key == key), "{key}");
        }
    }
}

//! `artifactstore package …`: what producers of evidence do, over HTTP with any registry.
//!
//! Never opens a registry of this machine; that is for the other commands.

mod arguments;
mod download;
mod drafts;
pub(super) mod meter;
mod reading;
mod transfer;

use std::path::{Path, PathBuf};

use clap::Subcommand;

pub(super) use meter::{Meter, count, size};
pub(super) use transfer::{remark_foreign, show_pushed};

use super::{Failure, Outcome, output};
use crate::client::place::PlaceError;
use crate::client::{Client, Credentials, Place};
use crate::config::SERVER_VARIABLE;
use crate::package::{PackageId, PackagePath};

/// What is said when a transfer is stopped.
pub(super) const GOES_ON: &str = "run the same command again, it goes on where it was";

const SERVER_HELP: &str = "The registry, https://host[:port] [default: the host of the reference, else \
    ARTIFACTSTORE_SERVER, else http://127.0.0.1:5000]";

/// What can be done with packages.
#[derive(Debug, Subcommand)]
pub(super) enum Package {
    /// Pack a directory and send it: one immutable package, one id.
    ///
    /// Can be interrupted and run again; what the server has is not sent twice. The same files with the same
    /// metadata give the same digests, whoever packs them.
    Push(transfer::Push),
    /// Bring a package back, every file compared with both its digests.
    ///
    /// Files that are there already and right are kept, so an interrupted pull goes on when it is run again.
    Pull(transfer::Pull),
    /// Compare a pulled directory with its own manifest, without any server; exits with 1 when anything differs.
    Verify(transfer::Verify),
    /// Open a draft: a package that is filled file by file.
    Create(drafts::Create),
    /// Put a file into a draft, or another one in its place.
    Ingest(drafts::Ingest),
    /// Take a file out of a draft.
    Drop(drafts::Drop),
    /// Make a draft an immutable package.
    Finalize(drafts::Finalize),
    /// Give a draft up.
    Abort(drafts::Abort),
    /// Show a package.
    Show(reading::Show),
    /// List the packages of a repository.
    List(reading::List),
    /// List the files of a package.
    Files(reading::Files),
    /// Write one file of a package or a draft to a file, compared with both its digests; or a range of its bytes.
    Download(download::Download),
    /// Show what happened to a package.
    Events(reading::Events),
    /// Print the manifest of a finalized package, as canonical JSON or the canonical CBOR.
    Manifest(reading::Manifest),
}

/// Which registry to talk to, and how to answer.
#[derive(Debug, clap::Args)]
pub(super) struct Remote {
    #[arg(long, value_name = "URL", help = SERVER_HELP)]
    server: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Package {
    /// What to do when it was stopped on the way.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Push(_) | Self::Pull(_) => GOES_ON,
            Self::Create(_) => "there may be a draft that nobody fills; it expires by itself",
            Self::Ingest(_) | Self::Drop(_) | Self::Finalize(_) | Self::Abort(_) => {
                "nobody knows whether it was done; `package show` and `package files` tell"
            }
            _ => "nothing was changed",
        }
    }

    pub(super) async fn run(self) -> Outcome {
        match self {
            Self::Push(push) => push.run().await,
            Self::Pull(pull) => pull.run().await,
            Self::Verify(verify) => verify.run().await,
            Self::Create(create) => create.run().await,
            Self::Ingest(ingest) => ingest.run().await,
            Self::Drop(drop) => drop.run().await,
            Self::Finalize(finalize) => finalize.run().await,
            Self::Abort(abort) => abort.run().await,
            Self::Show(show) => show.run().await,
            Self::List(list) => list.run().await,
            Self::Files(files) => files.run().await,
            Self::Download(download) => download.run().await,
            Self::Events(events) => events.run().await,
            Self::Manifest(manifest) => manifest.run().await,
        }
    }
}

impl Remote {
    /// The place a text names, with the server that holds for this command.
    pub(super) fn place(&self, text: &str) -> Result<Place, PlaceError> {
        let fallback = std::env::var(SERVER_VARIABLE).ok().filter(|server| !server.is_empty());
        Place::parse(text, self.server.as_deref(), fallback.as_deref())
    }

    /// Whether a server was named for this command.
    pub(super) fn is_named(&self) -> bool {
        self.server.is_some()
    }

    /// A client of the server an id is looked up on.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        // Any name without a host leads to the server.
        connect(&self.place("packages")?)
    }
}

pub(super) fn connect(place: &Place) -> Result<Client, Failure> {
    Ok(Client::new(place.server.clone(), Credentials::from_environment())?)
}

fn id(text: &str) -> Result<PackageId, Failure> {
    text.parse().map_err(|error| Failure(format!("{text:?} names no package: {error}")))
}

/// The path of a file in the package: what was said, else its own name.
fn path_of(said: Option<&str>, file: &Path) -> Result<PackagePath, Failure> {
    let name = said.or_else(|| file.file_name()?.to_str());
    let name = name.ok_or_else(|| Failure(format!("{} has no name to keep; give --path", file.display())))?;
    Ok(name.parse()?)
}

/// Bytes that go to a file, or to standard output.
pub(super) fn write(bytes: &[u8], output: Option<&PathBuf>) -> Result<(), Failure> {
    match output {
        Some(file) => std::fs::write(file, bytes)
            .map_err(|error| Failure(format!("{} cannot be written: {error}", file.display()))),
        None => output::write(bytes),
    }
}

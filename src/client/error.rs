//! What can go wrong between a directory and a registry.

use std::io;
use std::path::PathBuf;

use super::place::PlaceError;
use super::shown_path;
use crate::oci::Digest;
use crate::package::mapping::Mismatch;
use crate::package::{Invalid, ObjectError, PackageId, PackagePath, PathError};

/// One clear sentence each, with what to do about it where that is not plain. None shows a password or a token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text names no server or repository.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The file system refused.
    #[error("{} cannot be {action}", shown_path(path))]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as in "cannot be read".
        action: &'static str,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A directory holds something that is no regular file.
    #[error(
        "{} is {what}, and a package holds regular files only; remove it, or leave such entries out with --skip-special",
        shown_path(path)
    )]
    Special {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A name cannot be a path in a package.
    #[error("{} cannot be in a package; rename it", shown_path(path))]
    Name {
        /// The file.
        path: PathBuf,
        /// Which rule.
        #[source]
        source: PathError,
    },
    /// A file has the name of the folder where a pull keeps its own.
    #[error("{} is {what}, and this name is kept for the folder a pull makes; rename it", shown_path(path))]
    Own {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A name is not UTF-8.
    #[error("{} cannot be in a package, its name is not UTF-8; rename it", shown_path(path))]
    NotUnicode {
        /// The file.
        path: PathBuf,
    },
    /// A file is no longer what it was when its digests were computed.
    #[error(
        "{} changed while it was being read; run the command again when nobody writes to it",
        shown_path(path)
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The package does not come out as the digest it was to have.
    #[error("the files make the package {found}, not {expected}; push to a tag, or leave the digest out")]
    OtherDigest {
        /// What was asked for.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// What was to be packed makes no package.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Metadata is not what a manifest can say.
    #[error("metadata cannot be encoded")]
    Metadata(#[from] ObjectError),
    /// A package in a registry is not what its manifest says.
    #[error("{what} is not a whole package")]
    NotWhole {
        /// Its reference.
        what: String,
        /// What is wrong with it.
        #[source]
        source: Mismatch,
    },
    /// A reference leads to something else.
    #[error("{what} is not a package but {found}; pull it with an OCI client")]
    NotAPackage {
        /// The reference.
        what: String,
        /// What it is.
        found: String,
    },
    /// A server sent bytes that are not what was asked for.
    #[error("what {server} sent for {what} is not {expected}: {found}")]
    Damaged {
        /// The server.
        server: String,
        /// The file or document.
        what: String,
        /// What it should be.
        expected: Digest,
        /// What it was.
        found: String,
    },
    /// A file to be written is there already, with other content.
    #[error(
        "{} exists with other content{}; pull into another directory, or replace with --force",
        shown_path(path),
        if *others == 0 { String::new() } else { format!(" (and {others} more)") }
    )]
    Exists {
        /// The first such file.
        path: PathBuf,
        /// How many more.
        others: usize,
    },
    /// A name of the package is taken by something that is no file.
    #[error(
        "{} is {what} where the package has a file; remove it, or pull into another directory",
        shown_path(path)
    )]
    InTheWay {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A pull cannot take the directory for itself.
    #[error(
        "{} is {what}, and a pull keeps an empty file of this name there meanwhile; remove it",
        shown_path(path)
    )]
    NoLock {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A folder on the way to a file is a link, or something else that leads out of the directory.
    #[error("{} is not a folder but {what}; nothing is written through it", shown_path(path))]
    NotAFolder {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Another process pulls into the same directory.
    #[error("another pull is writing into {}; wait for it, or pull into another directory", shown_path(path))]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// There is no content manifest to compare with.
    #[error(
        "{} has no .artifactstore/package.cbor to compare with; `package pull` leaves one",
        shown_path(path)
    )]
    NoManifest {
        /// The directory.
        path: PathBuf,
    },
    /// The server could not be reached, or went silent.
    #[error("{server} cannot be reached; is it running, and is --server right?")]
    Unreachable {
        /// The server.
        server: String,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The same of another server that this one sends its clients to.
    #[error("{host}, to which {server} sends for this, cannot be reached from here")]
    ElsewhereUnreachable {
        /// Where it sends.
        host: String,
        /// The server.
        server: String,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server is somebody nobody trusted vouches for.
    #[error(
        "the certificate of {server} is not trusted; SSL_CERT_FILE names certificates of authorities of your own"
    )]
    Certificate {
        /// The server.
        server: String,
        /// The reason.
        #[source]
        source: rustls::Error,
    },
    /// A connection cannot be encrypted.
    #[error("{server} cannot be talked to encrypted; write http:// for a server without encryption")]
    Encryption {
        /// The server.
        server: String,
        /// The reason.
        #[source]
        source: rustls::Error,
    },
    /// Certificates were named and cannot be read.
    #[error("SSL_CERT_FILE names {}, which cannot be read", shown_path(path))]
    Roots {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// Nothing moved for too long.
    #[error("{server} sent and took nothing for {seconds} s; run the command again, it goes on where it was")]
    Idle {
        /// The server.
        server: String,
        /// How long.
        seconds: u64,
    },
    /// No trusted certificates were found on this machine.
    #[error("no trusted certificates were found; install the system's CA certificates or set SSL_CERT_FILE")]
    NoRoots(#[source] io::Error),
    /// The server wants somebody to log in.
    #[error("{server} refused the credentials{}; log in with `docker login {host}`", note(reason))]
    Unauthorized {
        /// The server.
        server: String,
        /// Its host and port, as docker's configuration names it.
        host: String,
        /// What it said; may be empty.
        reason: String,
    },
    /// Credentials are configured and cannot be read.
    #[error("the credentials for {host} cannot be read: {reason}")]
    Credentials {
        /// Whose.
        host: String,
        /// What went wrong, without any secret.
        reason: String,
    },
    /// The server refused.
    #[error("{server} refused {what}: {status}{}", note(message))]
    Refused {
        /// The server.
        server: String,
        /// The request, without its query.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The first error code of its answer, e.g. `DIGEST_INVALID`; may be empty.
        code: String,
        /// What it said; may be empty.
        message: String,
        /// Whether the request was sent before and the answer did not arrive, or was to try again.
        is_repeated: bool,
    },
    /// A package has no such file.
    #[error("package {package} has no file {path}")]
    NoFile {
        /// The package.
        package: PackageId,
        /// What was asked for.
        path: PackagePath,
    },
    /// The registry has no such retention class.
    #[error("{server} has no retention class {class:?}; it has {}", known.join(", "))]
    UnknownClass {
        /// The server.
        server: String,
        /// What was asked for.
        class: String,
        /// What there is, from the shortest to the longest.
        known: Vec<String>,
    },
    /// An archive that was pushed as a package is not what it was.
    #[error("archive {layer} cannot be unpacked")]
    Archive {
        /// The layer.
        layer: Digest,
        /// What is wrong with it.
        #[source]
        source: crate::package::archive::Error,
    },
    /// The server answered something that is not in the protocol.
    #[error("{server} answered {what} with something else than the protocol says: {reason}")]
    Protocol {
        /// The server.
        server: String,
        /// The request, without its query.
        what: String,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    /// A file system error.
    pub(super) fn file(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, action, source }
    }

    /// Whether the server says that there is no such thing, or does not know the request.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 405, .. })
    }

    /// Whether it may come from a registry without the extension: they say so in many ways, 401, 500 and 501 among
    /// them.
    pub(super) fn is_no_extension(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unauthorized { .. } | Self::Protocol { .. })
    }

    /// Whether an earlier attempt, of whose answer nobody knows, may have done what this one was refused.
    pub(super) fn may_be_done(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 409, is_repeated: true, .. })
    }
}

fn note(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

//! What can be wrong with files of keys and certificates. None of it ever holds a byte of a file that has a key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why files do not make a server.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read, is no regular file, or is far too large.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// A private key that everybody may read or replace.
    #[error(
        "{} has a private key and is open to everybody (mode {mode:04o}); take that away with chmod o-rwx, or with \
         defaultMode: 0440 where it is a secret of Kubernetes",
        path.display()
    )]
    OpenToAll {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A block that cannot be used.
    #[error("{}:{line}: {reason}", path.display())]
    Block {
        /// Of which file.
        path: PathBuf,
        /// Where it begins, from 1.
        line: usize,
        /// Why not.
        reason: BlockError,
    },
    /// A file has nothing of what it is for.
    #[error("{} has no {what} in PEM form (-----BEGIN ...-----)", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// The key is that of another certificate, or that of the server is not the first of its chain.
    #[error(
        "the key in {} does not belong to the first certificate in {}, which has to be that of the server",
        key.display(), chain.display()
    )]
    KeyMismatch {
        /// Where the chain is.
        chain: PathBuf,
        /// Where the key is.
        key: PathBuf,
    },
}

/// Why a block of a PEM file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// `BEGIN` without an `END` of the same label.
    #[error("the block that begins here does not end")]
    Unfinished,
    /// Something that does not belong into this file.
    #[error("a block {label:?} is of no use here")]
    Label {
        /// What it is called, shortened.
        label: String,
    },
    /// What is between its lines is no base64.
    #[error("what the block holds is no base64")]
    Encoding,
    /// A key with a password.
    #[error("the key is encrypted; write it without a password: openssl pkey -in KEY -out PLAIN")]
    Encrypted,
    /// A key beside the first one: which is meant, nobody says.
    #[error("this is another private key; there has to be one")]
    AnotherKey,
    /// A key that cannot be used.
    #[error("the private key is damaged, or of a kind that is not supported (RSA, ECDSA and Ed25519 are)")]
    Key,
    /// No certificate that can be used.
    #[error("this is no X.509 certificate that can be used")]
    Certificate,
    /// A certificate that may not sign others.
    #[error("this is no certificate of an authority: its basic constraints do not say CA:TRUE")]
    Authority,
    /// No list of revoked certificates that can be used.
    #[error("this is no list of revoked certificates that can be used")]
    RevocationList,
}

/// What is not right, though a server starts with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Of which file.
    pub path: PathBuf,
    /// Where it begins, from 1.
    pub line: usize,
    /// What.
    pub(super) concern: Concern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Concern {
    NotYetValid { from: String },
    Expired { until: String },
    StaleRevocations { until: String },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.path.display(), self.line)?;
        match &self.concern {
            Concern::NotYetValid { from } => write!(f, "the certificate is not valid before {from}"),
            Concern::Expired { until } => write!(f, "the certificate expired at {until}"),
            Concern::StaleRevocations { until } => write!(
                f,
                "the list of revoked certificates was good until {until}; clients of its authority are refused"
            ),
        }
    }
}

impl Error {
    pub(super) fn block(path: &Path, line: usize, reason: BlockError) -> Self {
        Self::Block { path: path.into(), line, reason }
    }
}

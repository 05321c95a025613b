//! Encryption, and client certificates: what rustls needs, made of files, and made anew when the files change.
//!
//! TLS 1.2 and 1.3 with the suites and groups that rustls takes for safe; nothing of that can be set. HTTP/2 and
//! HTTP/1.1 are offered by ALPN (RFC 7301). Early data is never taken: who records it could send it again.
//!
//! The listener asks [`Reloading::current`] for every connection it accepts. Somebody else calls [`Reloading::changed`]
//! from time to time, or [`Reloading::reload`] when told to. Both read files and belong on a thread that may wait.
//! What a client's certificate says about who it is, [`IdentitySource`] reads.
//!
//! | file | what |
//! |---|---|
//! | `snapshot` | the bytes of all files, read once and compared with those before |
//! | `pem` | blocks of a PEM file, by line |
//! | `certificate` | X.509 certificates and lists of revoked ones, as far as rustls does not tell |
//! | `server_key` | the chain of the server and its key |
//! | `trust` | which clients are believed |
//! | `load` | all of it together |
//! | `accept` | a connection's handshake |
//! | `settings` | which files, by name |
//!
//! Certificates are verified by rustls and webpki alone. What those do not tell (until when, for whom by e-mail or
//! common name) is read with x509-cert: DER without copies of the rules by hand, five small crates, one of which was
//! here before. x509-parser would be more than twice as many, with integers of any length among them.

mod accept;
mod certificate;
mod error;
mod identity;
mod load;
mod pem;
mod reloading;
mod server_key;
mod settings;
mod snapshot;
mod trust;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub(super) use accept::accept;
pub use error::{BlockError, Error, Warning};
pub use identity::{IdentityError, IdentitySource, IdentitySourceError, TrustDomain};
pub use reloading::Reloading;

/// Which files say what a server shows and whom it believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The certificate of the server and those between it and its authority, PEM, that of the server first.
    pub chain: PathBuf,
    /// The one private key that belongs to it, PEM, not encrypted. May be the same file.
    ///
    /// No file with a private key may be open to everybody (a mode with any of `o+rwx`). A group may have it, as in
    /// `ssl-cert` of Debian or `fsGroup` of Kubernetes.
    pub key: PathBuf,
    /// Whether clients show certificates too.
    pub clients: Clients,
}

/// Whether clients show certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// They are not asked for one.
    Off,
    /// They may. One that is not good is refused, and not taken for none.
    Optional(Trust),
    /// They must.
    Required(Trust),
}

/// Whose certificates of clients are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Certificates of authorities, PEM. Those of the system mean nothing here.
    pub authorities: PathBuf,
    /// Lists of revoked certificates (RFC 5280 section 5), PEM. When there are any, every authority between a client
    /// and the ones above must have one that is still current: a certificate about which nothing is known is refused.
    pub revocations: Vec<PathBuf>,
}

impl Clients {
    fn trust(&self) -> Option<&Trust> {
        match self {
            Self::Off => None,
            Self::Optional(trust) | Self::Required(trust) => Some(trust),
        }
    }
}

//! Whom to trust, and what it looks like when that is nobody.

use std::error::Error as StdError;
use std::path::PathBuf;

use super::Error;

/// Refuses certificates that were named and cannot be read: those of the system would not do instead.
pub(super) fn check_roots() -> Result<(), Error> {
    let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from)
    else {
        return Ok(());
    };
    let refused = |source| Error::Roots { path: path.clone(), source };
    if std::fs::metadata(&path).map_err(refused)?.is_dir() {
        return Err(refused(std::io::ErrorKind::IsADirectory.into()));
    }
    std::fs::File::open(&path).map(drop).map_err(refused)
}

/// For connections that are not encrypted.
pub(super) fn trusting_nobody() -> rustls::ClientConfig {
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// What to say when a connection failed because of its encryption: trying again would lead nowhere.
pub(super) fn refusal(server: String, error: &hyper_util::client::legacy::Error) -> Option<Error> {
    let source = cause(error)?;
    match source {
        rustls::Error::InvalidCertificate(_) => Some(Error::Certificate { server, source }),
        // Later ones may be those of a line that breaks.
        _ if error.is_connect() => Some(Error::Encryption { server, source }),
        _ => None,
    }
}

fn cause(error: &(dyn StdError + 'static)) -> Option<rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls.clone());
        }
        // What an I/O error holds is not its source.
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = held.map_or_else(|| error.source(), |held| Some(held));
    }
    None
}

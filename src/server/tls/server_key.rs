//! What the server shows of itself.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error as Refusal, InconsistentKeys};

use super::pem::{CERTIFICATE, KEYS, blocks, encrypted};
use super::snapshot::File;
use super::{BlockError, Error, Warning, certificate};
use crate::clock::Micros;

/// A chain and the key that belongs to its first certificate. A certificate that is not valid now is shown to clients
/// all the same, which say so better than a server that does not start.
pub(super) fn read(
    chain: &File,
    key: &File,
    provider: &CryptoProvider,
    now: Micros,
    warnings: &mut Vec<Warning>,
) -> Result<CertifiedKey, Error> {
    let mut certificates = Vec::new();
    for block in blocks(chain, &[CERTIFICATE])? {
        let certificate: CertificateDer<'static> = block.decode()?;
        warnings.extend(certificate::check_validity(&block, &certificate, now)?);
        certificates.push(certificate);
    }
    if certificates.is_empty() {
        return Err(Error::Missing { path: chain.path.clone(), what: "certificate" });
    }
    let certified = CertifiedKey::new(certificates, private_key(key, provider)?);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(Refusal::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(Error::KeyMismatch { chain: chain.path.clone(), key: key.path.clone() })
        }
        Err(_) => {
            let first = blocks(chain, &[CERTIFICATE])?[0];
            Err(first.error(BlockError::Certificate))
        }
    }
}

fn private_key(file: &File, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, Error> {
    let keys = blocks(file, KEYS)?;
    if let Some(block) = encrypted(file)? {
        return Err(block.error(BlockError::Encrypted));
    }
    match keys[..] {
        [] => Err(Error::Missing { path: file.path.clone(), what: "private key" }),
        [block] => {
            let key: PrivateKeyDer<'static> = block.decode()?;
            provider.key_provider.load_private_key(key).map_err(|_| block.error(BlockError::Key))
        }
        [_, second, ..] => Err(second.error(BlockError::AnotherKey)),
    }
}

//! Which certificates of clients are believed.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::pem::{CERTIFICATE, REVOCATION_LIST, blocks};
use super::snapshot::{File, Snapshot};
use super::{BlockError, Clients, Error, Trust, Warning, certificate};
use crate::clock::Micros;

/// What verifies the certificates of clients; `None` when they are not asked for one.
///
/// A revoked certificate anywhere in the chain is refused, also one whose state nobody knows, and so is one whose list
/// is no longer current: whoever keeps the next list away would otherwise keep a stolen key alive.
pub(super) fn read(
    clients: &Clients,
    files: &Snapshot,
    provider: &Arc<CryptoProvider>,
    now: Micros,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Error> {
    let Some(Trust { authorities, revocations }) = clients.trust() else { return Ok(None) };
    let roots = Arc::new(authorities_in(files.file(authorities)?)?);
    let verifier = || WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider));

    let mut lists: Vec<CertificateRevocationListDer<'static>> = Vec::new();
    for path in revocations {
        let file = files.file(path)?;
        let blocks = blocks(file, &[REVOCATION_LIST])?;
        if blocks.is_empty() {
            return Err(Error::Missing { path: path.clone(), what: "list of revoked certificates" });
        }
        for block in blocks {
            let list: CertificateRevocationListDer<'static> = block.decode()?;
            warnings.extend(certificate::check_current(&block, &list, now)?);
            // One by one: of all together rustls does not say which.
            let alone = verifier().with_crls([list.clone()]).build();
            alone.map_err(|_| block.error(BlockError::RevocationList))?;
            lists.push(list);
        }
    }

    let mut builder = verifier().with_crls(lists).enforce_revocation_expiration();
    if matches!(clients, Clients::Optional(_)) {
        builder = builder.allow_unauthenticated();
    }
    Ok(Some(builder.build().expect("there are authorities, and every list was read before")))
}

fn authorities_in(file: &File) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for block in blocks(file, &[CERTIFICATE])? {
        let authority: CertificateDer<'static> = block.decode()?;
        certificate::check_authority(&block, &authority)?;
        roots.add(authority).map_err(|_| block.error(BlockError::Certificate))?;
    }
    if roots.is_empty() {
        return Err(Error::Missing { path: file.path.clone(), what: "certificate" });
    }
    Ok(roots)
}

//! What rustls does not tell about certificates.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::BasicConstraints;

use super::error::Concern;
use super::pem::Block;
use super::{BlockError, Error, Warning};
use crate::clock::Micros;

/// Reads a certificate.
pub(super) fn parse(der: &CertificateDer<'_>) -> Option<Certificate> {
    Certificate::from_der(der).ok()
}

/// What is to be said about when a certificate is valid (RFC 5280 section 4.1.2.5, both ends included).
pub(super) fn check_validity(
    block: &Block<'_>,
    der: &CertificateDer<'_>,
    now: Micros,
) -> Result<Option<Warning>, Error> {
    let certificate = parse(der).ok_or_else(|| block.error(BlockError::Certificate))?;
    let validity = certificate.tbs_certificate().validity();
    let concern = if seconds(now) < validity.not_before.to_unix_duration() {
        Concern::NotYetValid { from: validity.not_before.to_string() }
    } else if seconds(now) > validity.not_after.to_unix_duration() {
        Concern::Expired { until: validity.not_after.to_string() }
    } else {
        return Ok(None);
    };
    Ok(Some(warning(block, concern)))
}

/// Refuses a certificate that may not sign others (RFC 5280 section 4.2.1.9): listed as an authority by mistake, its
/// key could make clients of any name.
pub(super) fn check_authority(block: &Block<'_>, der: &CertificateDer<'_>) -> Result<(), Error> {
    let certificate = parse(der).ok_or_else(|| block.error(BlockError::Certificate))?;
    match certificate.tbs_certificate().get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) if constraints.ca => Ok(()),
        Ok(_) => Err(block.error(BlockError::Authority)),
        Err(_) => Err(block.error(BlockError::Certificate)),
    }
}

/// What is to be said about whether a list of revoked certificates is still current (RFC 5280 section 5.1.2.5).
pub(super) fn check_current(
    block: &Block<'_>,
    der: &CertificateRevocationListDer<'_>,
    now: Micros,
) -> Result<Option<Warning>, Error> {
    let list: CertificateList =
        CertificateList::from_der(der).map_err(|_| block.error(BlockError::RevocationList))?;
    let stale = list.tbs_cert_list.next_update.filter(|next| seconds(now) >= next.to_unix_duration());
    Ok(stale.map(|next| warning(block, Concern::StaleRevocations { until: next.to_string() })))
}

fn warning(block: &Block<'_>, concern: Concern) -> Warning {
    Warning { path: block.file().path.clone(), line: block.line, concern }
}

/// Certificates know whole seconds.
fn seconds(now: Micros) -> Duration {
    Duration::from_secs(Duration::from_micros(now.max(0).unsigned_abs()).as_secs())
}

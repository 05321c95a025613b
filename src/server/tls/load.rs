//! All files together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::UnixTime;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::TimeProvider;

use super::snapshot::Snapshot;
use super::{Clients, Error, Options, Warning, server_key, trust};
use crate::clock::Clock;

/// HTTP/2 first (RFC 9113 section 3.2), RFC 7301 section 6 for the names.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Every file that is read.
pub(super) fn paths(options: &Options) -> impl Iterator<Item = &Path> {
    let trust = options.clients.trust();
    let authorities = trust.map(|trust| trust.authorities.as_path());
    let revocations = trust.into_iter().flat_map(|trust| trust.revocations.iter().map(AsRef::as_ref));
    [options.chain.as_path(), options.key.as_path()].into_iter().chain(authorities).chain(revocations)
}

/// What rustls needs, when all files are right.
pub(super) fn load(
    options: &Options,
    files: &Snapshot,
    clock: &Clock,
) -> Result<(ServerConfig, Vec<Warning>), Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let (chain, key) = (files.file(&options.chain)?, files.file(&options.key)?);
    let (now, mut warnings) = (clock.now(), Vec::new());
    let certified = server_key::read(chain, key, &provider, now, &mut warnings)?;
    let verifier = trust::read(&options.clients, files, &provider, now, &mut warnings)?;

    let builder = ServerConfig::builder_with_details(provider, Arc::new(ByClock(clock.clone())))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has suites for TLS 1.2 and 1.3");
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    if options.clients != Clients::Off {
        // A session that is taken up again shows no certificate: one that expired meanwhile would still be good.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok((config, warnings))
}

/// The time of the process, for rustls.
#[derive(Debug)]
pub(super) struct ByClock(pub(super) Clock);

impl TimeProvider for ByClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = Duration::from_micros(self.0.now().max(0).unsigned_abs());
        Some(UnixTime::since_unix_epoch(since))
    }
}

use std::sync::Arc;

use rcgen::{ExtendedKeyUsagePurpose, SerialNumber, date_time_ymd};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, Error as Tls, ServerConfig, SupportedProtocolVersion};

use super::site::{Authority, Issued, Site};
use super::wire::{Refused, client, connect};
use crate::clock::SECOND;
use crate::server::tls::Clients;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Why the server does not want it; `None` when it does. The same for both versions of TLS.
fn refusal(site: &Site, server: &Arc<ServerConfig>, shows: Option<&Issued>) -> Option<Tls> {
    let [old, new] = VERSIONS.map(|version| {
        let config = client(&site.authority, &site.clock, &[version], shows);
        match connect(Arc::clone(server), config) {
            Ok(mut connection) => {
                connection.talk();
                assert_eq!(connection.server.peer_certificates(), shows.map(|it| &it.chain[..]));
                None
            }
            Err(Refused::ByServer(reason)) => Some(reason),
            Err(Refused::ByClient(reason)) => panic!("the server was refused: {reason}"),
        }
    });
    assert_eq!(old, new);
    new
}

/// Certificates that are not to be believed, and why.
fn bad(site: &Site) -> Vec<(&'static str, Issued)> {
    let same_name = Authority::new("root");
    let between = |from: i32, until: i32| {
        site.authority.issue(|it| {
            (it.not_before, it.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        })
    };
    let for_servers = |it: &mut rcgen::CertificateParams| {
        it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    vec![
        ("UnknownIssuer", Authority::new("another").issue(|_| {})),
        ("BadSignature", same_name.issue(|_| {})),
        ("ExpiredContext", between(2020, 2025)),
        ("NotValidYetContext", between(2027, 2030)),
        ("InvalidPurposeContext", site.authority.issue(for_servers)),
        ("Revoked", site.authority.issue(|it| it.serial_number = Some(SerialNumber::from(13)))),
    ]
}

#[test]
fn who_must_show_a_certificate_shows_a_good_one() {
    let site = Site::new();
    site.write("crl.pem", &site.authority.revoke(&[12, 13], 2030));
    let (reloading, warnings) = site.open(Clients::Required(site.trust(&["crl.pem"]))).unwrap();
    assert_eq!(warnings, []);
    let server = reloading.current();
    let good = site.authority.issue(|it| it.serial_number = Some(SerialNumber::from(14)));
    assert_eq!(refusal(&site, &server, Some(&good)), None);
    assert_eq!(refusal(&site, &server, None), Some(Tls::NoCertificatesPresented));
    for (expected, shows) in bad(&site) {
        let reason = refusal(&site, &server, Some(&shows));
        let Some(Tls::InvalidCertificate(reason)) = reason else { panic!("{expected}: {reason:?}") };
        assert!(format!("{reason:?}").starts_with(expected), "{expected}: {reason:?}");
    }
}

#[test]
fn who_may_show_a_certificate_shows_none_or_a_good_one() {
    let site = Site::new();
    site.write("crl.pem", &site.authority.revoke(&[12, 13], 2030));
    let server = site.open(Clients::Optional(site.trust(&["crl.pem"]))).unwrap().0.current();
    assert_eq!(refusal(&site, &server, None), None);
    assert_eq!(refusal(&site, &server, Some(&site.authority.issue(|_| {}))), None);
    for (expected, shows) in bad(&site) {
        assert!(refusal(&site, &server, Some(&shows)).is_some(), "{expected}");
    }
}

#[test]
fn nobody_is_asked_for_a_certificate_that_means_nothing() {
    let site = Site::new();
    let server = site.open(Clients::Off).unwrap().0.current();
    let shows = site.authority.issue(|_| {});
    let config = client(&site.authority, &site.clock, &VERSIONS, Some(&shows));
    assert_eq!(connect(server, config).unwrap().server.peer_certificates(), None);
}

#[test]
fn a_certificate_is_good_until_it_expires_and_no_longer() {
    let site = Site::new();
    let server = site.open(Clients::Required(site.trust(&[]))).unwrap().0.current();
    let shows = site.authority.issue(|it| it.not_after = date_time_ymd(2026, 1, 2));
    site.clock.advance(24 * 3600 * SECOND);
    assert_eq!(refusal(&site, &server, Some(&shows)), None);
    site.clock.advance(SECOND);
    assert!(refusal(&site, &server, Some(&shows)).is_some());
}

#[test]
fn a_certificate_of_an_authority_below_is_good_when_the_client_shows_that_too() {
    let site = Site::new();
    let server = site.open(Clients::Required(site.trust(&[]))).unwrap().0.current();
    let below = site.authority.below("below");
    let mut shows = below.issue(|_| {});
    assert!(refusal(&site, &server, Some(&shows)).is_some());
    shows.chain.push(below.der.clone());
    assert_eq!(refusal(&site, &server, Some(&shows)), None);
}

#[test]
fn whether_a_certificate_is_revoked_is_known_or_it_is_refused() {
    let site = Site::new();
    site.write("crl.pem", &site.authority.revoke(&[], 2030));
    let clients = Clients::Required(site.trust(&["crl.pem"]));
    let server = site.open(clients.clone()).unwrap().0.current();
    let below = site.authority.below("below");
    let mut shows = below.issue(|_| {});
    shows.chain.push(below.der.clone());
    let unknown = Some(Tls::InvalidCertificate(CertificateError::UnknownRevocationStatus));
    assert_eq!(refusal(&site, &server, Some(&shows)), unknown);
    // Both lists in one file.
    site.write("crl.pem", &[site.authority.revoke(&[], 2030), below.revoke(&[], 2030)].concat());
    let server = site.open(clients).unwrap().0.current();
    assert_eq!(refusal(&site, &server, Some(&shows)), None);
}

#[test]
fn a_list_that_is_no_longer_current_is_told_of_and_keeps_its_clients_out() {
    let site = Site::new();
    site.write("crl.pem", &site.authority.revoke(&[], 2026));
    let (reloading, warnings) = site.open(Clients::Required(site.trust(&["crl.pem"]))).unwrap();
    let shown: Vec<_> = warnings.iter().map(|it| site.shown(it)).collect();
    let expected = "crl.pem:1: the list of revoked certificates was good until 2026-01-01T00:00:00Z; clients of its \
                    authority are refused";
    assert_eq!(shown, [expected]);
    let issued = site.authority.issue(|_| {});
    let reason = refusal(&site, &reloading.current(), Some(&issued));
    let Some(Tls::InvalidCertificate(CertificateError::ExpiredRevocationListContext { .. })) = reason else {
        panic!("{reason:?}")
    };
    site.clock.advance(-SECOND);
    assert_eq!(refusal(&site, &reloading.current(), Some(&issued)), None);
}

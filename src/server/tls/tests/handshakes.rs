use std::sync::Arc;

use rcgen::date_time_ymd;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ALL_VERSIONS, AlertDescription, CertificateError, Error as Tls, HandshakeKind, ProtocolVersion,
    ServerConnection,
};

use super::site::Site;
use super::wire::{Refused, client, connect};
use crate::server::tls::Clients;

#[test]
fn both_versions_of_http_are_offered_and_the_newer_one_is_chosen() {
    let site = Site::new();
    let server = site.open(Clients::Off).unwrap().0.current();
    for (asks, expected) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["spdy/3", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let mut config = client(&site.authority, &site.clock, ALL_VERSIONS, None);
        config.alpn_protocols = asks.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut connection = connect(Arc::clone(&server), config).unwrap();
        assert_eq!(connection.server.alpn_protocol(), expected.map(str::as_bytes), "{asks:?}");
        connection.talk();
    }
    let mut config = client(&site.authority, &site.clock, ALL_VERSIONS, None);
    config.alpn_protocols = vec![b"spdy/3".to_vec()];
    let refused = connect(server, config).err().unwrap();
    assert!(matches!(refused, Refused::ByServer(Tls::NoApplicationProtocol)), "{refused:?}");
}

#[test]
fn tls_1_2_and_1_3_are_spoken() {
    let site = Site::new();
    let server = site.open(Clients::Off).unwrap().0.current();
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let config = client(&site.authority, &site.clock, &[version], None);
        let mut connection = connect(Arc::clone(&server), config).unwrap();
        assert_eq!(connection.server.protocol_version(), Some(expected));
        connection.talk();
    }
}

/// A `ClientHello` as a client sends it that knows nothing of TLS 1.3: RFC 5246 section 7.4.1.2. With the groups and
/// signatures that the server would choose.
fn hello(version: [u8; 2], suite: [u8; 2]) -> Vec<u8> {
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let points = [0, 11, 0, 2, 1, 0];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let extensions = [&groups[..], &points, &signatures].concat();
    let extensions = [&u16::try_from(extensions.len()).unwrap().to_be_bytes()[..], &extensions].concat();
    let body = [&version[..], &[7; 32], &[0], &[0, 2], &suite, &[1, 0], &extensions].concat();
    let length = u16::try_from(body.len()).unwrap();
    let handshake = [&[1, 0][..], &length.to_be_bytes(), &body].concat();
    [&[22, 3, 1][..], &(length + 4).to_be_bytes(), &handshake].concat()
}

#[test]
fn older_versions_and_weak_suites_are_refused() {
    let site = Site::new();
    let server = site.open(Clients::Off).unwrap().0.current();
    let alert = |version, suite| {
        let mut connection = ServerConnection::new(Arc::clone(&server)).unwrap();
        connection.read_tls(&mut &hello(version, suite)[..]).unwrap();
        let refused = connection.process_new_packets().is_err();
        let mut answer = Vec::new();
        connection.write_tls(&mut answer).unwrap();
        refused.then(|| {
            assert_eq!((answer[0], answer.len()), (21, 7), "{answer:?}");
            AlertDescription::from(answer[6])
        })
    };
    // ECDHE_ECDSA with AES-128-GCM, with AES-128-CBC, and without encryption.
    let (good, old, none) = ([0xc0, 0x2b], [0xc0, 0x09], [0xc0, 0x06]);
    assert_eq!(alert([3, 3], good), None, "the same with TLS 1.2 is answered");
    assert_eq!(alert([3, 2], good), Some(AlertDescription::ProtocolVersion));
    assert_eq!(alert([3, 1], old), Some(AlertDescription::ProtocolVersion));
    assert_eq!(alert([3, 0], old), Some(AlertDescription::ProtocolVersion));
    assert_eq!(alert([3, 3], old), Some(AlertDescription::HandshakeFailure));
    assert_eq!(alert([3, 3], none), Some(AlertDescription::HandshakeFailure));
}

#[test]
fn a_server_starts_with_a_certificate_that_is_not_valid_now_and_says_so() {
    let site = Site::new();
    for (from, until, warning) in [
        (2020, 2025, "chain.pem:1: the certificate expired at 2025-01-01T00:00:00Z"),
        (2027, 2030, "chain.pem:1: the certificate is not valid before 2027-01-01T00:00:00Z"),
    ] {
        site.serve(&site.authority.issue(|it| {
            (it.not_before, it.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        }));
        let (reloading, warnings) = site.open(Clients::Off).unwrap();
        assert_eq!(warnings.iter().map(|it| site.shown(it)).collect::<Vec<_>>(), [warning]);
        let config = client(&site.authority, &site.clock, ALL_VERSIONS, None);
        let refused = connect(reloading.current(), config).err().unwrap();
        let Refused::ByClient(Tls::InvalidCertificate(reason)) = refused else { panic!("{refused:?}") };
        assert!(
            matches!(
                reason,
                CertificateError::ExpiredContext { .. } | CertificateError::NotValidYetContext { .. }
            ),
            "{reason:?}"
        );
    }
}

#[test]
fn sessions_are_taken_up_again_unless_clients_show_certificates() {
    let site = Site::new();
    let known = site.authority.issue(|_| {});
    let trust = || site.trust(&[]);
    for version in [&TLS12, &TLS13] {
        for (clients, expected) in [
            (Clients::Off, HandshakeKind::Resumed),
            (Clients::Optional(trust()), HandshakeKind::Full),
            (Clients::Required(trust()), HandshakeKind::Full),
        ] {
            let server = site.open(clients).unwrap().0.current();
            let config = Arc::new(client(&site.authority, &site.clock, &[version], Some(&known)));
            connect(Arc::clone(&server), Arc::clone(&config)).unwrap().talk();
            let again = connect(server, config).unwrap();
            assert_eq!(again.server.handshake_kind(), Some(expected), "{version:?}");
        }
    }
}

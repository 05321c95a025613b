use std::fs;

use rustls::ALL_VERSIONS;

use super::site::{Issued, Site, mode};
use super::wire::{Connection, client, connect};
use crate::server::tls::{Clients, Error, Reloading};

fn connected(site: &Site, reloading: &Reloading) -> Connection {
    connect(reloading.current(), client(&site.authority, &site.clock, ALL_VERSIONS, None)).unwrap()
}

fn shows(connection: &Connection, issued: &Issued) -> bool {
    connection.client.peer_certificates() == Some(&issued.chain)
}

#[test]
fn a_new_certificate_is_for_new_connections_and_those_that_are_open_go_on() {
    let site = Site::new();
    let (old, new) = (site.authority.issue(|_| {}), site.authority.issue(|_| {}));
    site.serve(&old);
    let reloading = site.open(Clients::Off).unwrap().0;
    let mut open = connected(&site, &reloading);
    site.serve(&new);
    assert!(shows(&connected(&site, &reloading), &old), "nothing changes by itself");
    assert!(reloading.changed());
    assert_eq!(reloading.reload().unwrap(), []);
    assert!(!reloading.changed());
    assert!(shows(&connected(&site, &reloading), &new));
    open.talk();
    assert!(shows(&open, &old));
}

#[test]
fn files_that_are_wrong_change_nothing_and_are_told_of_once() {
    let site = Site::new();
    let (old, new) = (site.authority.issue(|_| {}), site.authority.issue(|_| {}));
    site.serve(&old);
    let reloading = site.open(Clients::Off).unwrap().0;
    // Half of an exchange: the key follows.
    site.write("chain.pem", &new.pem);
    assert!(reloading.changed());
    let error = reloading.reload().unwrap_err();
    assert!(matches!(error, Error::KeyMismatch { .. }), "{error}");
    assert!(!reloading.changed());
    assert!(shows(&connected(&site, &reloading), &old));
    fs::remove_file(site.path("key.pem")).unwrap();
    assert!(reloading.changed());
    assert!(matches!(reloading.reload(), Err(Error::Read { .. })));
    assert!(!reloading.changed());
    assert!(shows(&connected(&site, &reloading), &old));
    site.write("key.pem", &new.key);
    assert!(reloading.changed());
    reloading.reload().unwrap();
    assert!(shows(&connected(&site, &reloading), &new));
}

#[test]
fn a_file_that_is_written_again_as_it_was_has_not_changed() {
    let site = Site::new();
    let reloading = site.open(Clients::Off).unwrap().0;
    let chain = fs::read_to_string(site.path("chain.pem")).unwrap();
    fs::remove_file(site.path("chain.pem")).unwrap();
    site.write("chain.pem", &chain);
    assert!(!reloading.changed());
}

#[test]
fn a_key_that_was_open_to_all_is_read_once_it_is_not() {
    let site = Site::new();
    let reloading = site.open(Clients::Off).unwrap().0;
    mode(&site.path("key.pem"), 0o644);
    assert!(reloading.changed());
    assert!(matches!(reloading.reload(), Err(Error::OpenToAll { mode: 0o644, .. })));
    mode(&site.path("key.pem"), 0o640);
    assert!(reloading.changed());
    reloading.reload().unwrap();
}

#[test]
fn a_certificate_that_is_revoked_later_is_refused_after_a_reload() {
    let site = Site::new();
    site.write("crl.pem", &site.authority.revoke(&[], 2030));
    let reloading = site.open(Clients::Required(site.trust(&["crl.pem"]))).unwrap().0;
    let stolen = site.authority.issue(|it| it.serial_number = Some(rcgen::SerialNumber::from(13)));
    let enters = || {
        connect(reloading.current(), client(&site.authority, &site.clock, ALL_VERSIONS, Some(&stolen)))
            .is_ok()
    };
    assert!(enters());
    site.write("crl.pem", &site.authority.revoke(&[13], 2030));
    assert!(reloading.changed());
    reloading.reload().unwrap();
    assert!(!enters());
    site.write("crl.pem", "");
    assert!(reloading.changed());
    assert!(matches!(reloading.reload(), Err(Error::Missing { .. })));
    assert!(!enters());
}

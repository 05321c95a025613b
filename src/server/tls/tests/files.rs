use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::site::{Issued, Site, mode};
use crate::server::tls::{Clients, Error, Options, Reloading};

/// What is wrong with a chain.
fn chain(site: &Site, text: &str) -> String {
    site.write("chain.pem", text);
    site.refusal(Clients::Off)
}

/// What is wrong with a key.
fn key(site: &Site, text: &str) -> String {
    site.write("key.pem", text);
    site.refusal(Clients::Off)
}

/// A block with other contents.
fn block(label: &str, contents: &str) -> String {
    format!("-----BEGIN {label}-----\n{contents}\n-----END {label}-----\n")
}

fn served(site: &Site) -> Issued {
    let issued = site.authority.issue(|_| {});
    site.serve(&issued);
    issued
}

#[test]
fn a_chain_that_cannot_be_used_is_named_with_its_line() {
    let site = Site::new();
    let Issued { pem, .. } = served(&site);
    assert_eq!(pem.lines().next(), Some("-----BEGIN CERTIFICATE-----"));
    let second = pem.lines().count() + 1;
    for (text, expected) in [
        (String::new(), "chain.pem has no certificate in PEM form (-----BEGIN ...-----)".to_owned()),
        (block("CERTIFICATE", "!!!!"), "chain.pem:1: what the block holds is no base64".to_owned()),
        (
            format!("{pem}{}", block("CERTIFICATE", "AAAA")),
            format!("chain.pem:{second}: this is no X.509 certificate that can be used"),
        ),
        (
            format!("{pem}-----BEGIN CERTIFICATE-----\nAAAA\n"),
            format!("chain.pem:{second}: the block that begins here does not end"),
        ),
        (
            format!("-----BEGIN CERTIFICATE-----\n{pem}"),
            "chain.pem:1: the block that begins here does not end".to_owned(),
        ),
        (
            "-----BEGIN CERTIFICATE-----\n-----END X509 CRL-----\n".to_owned(),
            "chain.pem:1: the block that begins here does not end".to_owned(),
        ),
        (
            format!("\n{}", block("TRUSTED CERTIFICATE", "AAAA")),
            "chain.pem:2: a block \"TRUSTED CERTIFICATE\" is of no use here".to_owned(),
        ),
    ] {
        assert_eq!(chain(&site, &text), expected);
    }
    site.write("chain.pem", &format!("Subject: CN=é\r\n{}", pem.replace('\n', "\r\n")));
    assert!(site.open(Clients::Off).is_ok(), "text around a block, and its line ends, do not matter");
}

#[test]
fn a_key_that_cannot_be_used_is_named_with_its_line() {
    let site = Site::new();
    let Issued { pem, key: good, .. } = served(&site);
    let encrypted = "the key is encrypted; write it without a password: openssl pkey -in KEY -out PLAIN";
    let header = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA";
    let damaged =
        "the private key is damaged, or of a kind that is not supported (RSA, ECDSA and Ed25519 are)";
    for (text, expected) in [
        (pem, "key.pem has no private key in PEM form (-----BEGIN ...-----)".to_owned()),
        (block("ENCRYPTED PRIVATE KEY", "AAAA"), format!("key.pem:1: {encrypted}")),
        (format!("\n{}", block("RSA PRIVATE KEY", header)), format!("key.pem:2: {encrypted}")),
        (format!("{good}{}", block("ENCRYPTED PRIVATE KEY", "AAAA")), format!("key.pem:6: {encrypted}")),
        (format!("{good}\n{good}"), "key.pem:7: this is another private key; there has to be one".to_owned()),
        (block("PRIVATE KEY", "AAAA"), format!("key.pem:1: {damaged}")),
        (block("EC PRIVATE KEY", "AAAA"), format!("key.pem:1: {damaged}")),
        (
            block("OPENSSH PRIVATE KEY", "AAAA"),
            "key.pem:1: a block \"OPENSSH PRIVATE KEY\" is of no use here".to_owned(),
        ),
    ] {
        assert_eq!(key(&site, &text), expected);
    }
    assert_eq!(good.lines().count(), 5);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let site = Site::new();
    let (one, other) = (site.authority.issue(|_| {}), site.authority.issue(|_| {}));
    let expected = "the key in key.pem does not belong to the first certificate in chain.pem, which has to be that \
                    of the server";
    site.serve(&one);
    assert_eq!(key(&site, &other.key), expected);
    site.serve(&one);
    assert_eq!(chain(&site, &format!("{}{}", site.authority.pem, one.pem)), expected);
    site.write("chain.pem", &format!("{}{}", one.pem, site.authority.pem));
    assert!(site.open(Clients::Off).is_ok());
}

#[test]
fn a_key_is_not_open_to_everybody() {
    let site = Site::new();
    let issued = served(&site);
    for open in [0o644, 0o604, 0o602, 0o601, 0o777] {
        mode(&site.path("key.pem"), open);
        let expected = format!("key.pem has a private key and is open to everybody (mode {open:04o});");
        assert!(site.refusal(Clients::Off).starts_with(&expected), "{expected}");
    }
    for closed in [0o400, 0o600, 0o440, 0o640] {
        mode(&site.path("key.pem"), closed);
        assert!(site.open(Clients::Off).is_ok(), "{closed:o}");
    }
    mode(&site.path("chain.pem"), 0o644);
    assert!(site.open(Clients::Off).is_ok(), "certificates are for everybody");
    site.write("chain.pem", &format!("{}{}", issued.pem, issued.key));
    mode(&site.path("chain.pem"), 0o644);
    assert!(site.refusal(Clients::Off).starts_with("chain.pem has a private key"));
}

#[test]
fn the_chain_and_the_key_may_be_one_file() {
    let site = Site::new();
    let issued = site.authority.issue(|_| {});
    let both = site.write("both.pem", &format!("{}{}", issued.key, issued.pem));
    let options = Options { chain: both.clone(), key: both, clients: Clients::Off };
    assert!(Reloading::open(options, site.clock.clock()).is_ok());
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let site = Site::new();
    let read = |path: &Path| {
        let options = Options { chain: path.to_owned(), ..site.options(Clients::Off) };
        let Err(Error::Read { source, .. }) = Reloading::open(options, site.clock.clock()) else { panic!() };
        source.to_string()
    };
    assert_eq!(read(&site.path(".")), "it is no regular file");
    assert_eq!(read(Path::new("/dev/zero")), "it is no regular file");
    assert!(read(&site.path("absent")).contains("No such file"));
    let large = fs::File::create(site.path("large")).unwrap();
    large.set_len(65 << 20).unwrap();
    assert_eq!(read(&site.path("large")), "it has more than 64 MiB");
}

#[test]
fn only_authorities_and_their_lists_say_whom_to_believe() {
    let site = Site::new();
    let refusal = |revocations: &[&str]| site.refusal(Clients::Required(site.trust(revocations)));
    let lines = site.authority.pem.lines().count();
    let leaf = site.authority.issue(|_| {}).pem;
    let absent = "in PEM form (-----BEGIN ...-----)";

    site.write("ca.pem", &format!("{}{leaf}", site.authority.pem));
    let expected = "this is no certificate of an authority: its basic constraints do not say CA:TRUE";
    assert_eq!(refusal(&[]), format!("ca.pem:{}: {expected}", lines + 1));
    site.write("ca.pem", "");
    assert_eq!(refusal(&[]), format!("ca.pem has no certificate {absent}"));
    site.write("ca.pem", &site.authority.pem);

    site.write("crl.pem", &site.authority.revoke(&[], 2030));
    site.write("broken.pem", &block("X509 CRL", "AAAA"));
    let expected = "broken.pem:1: this is no list of revoked certificates that can be used";
    assert_eq!(refusal(&["crl.pem", "broken.pem"]), expected);
    site.write("broken.pem", &site.authority.pem);
    let expected = format!("broken.pem has no list of revoked certificates {absent}");
    assert_eq!(refusal(&["crl.pem", "broken.pem"]), expected);
}

#[test]
fn no_error_tells_anything_of_a_key() {
    let site = Site::new();
    let Issued { key: good, .. } = served(&site);
    let body: Vec<&str> = good.lines().filter(|line| !line.starts_with('-')).collect();
    let broken = good.replace("-----END", "!\n-----END");
    for text in [good.replace("-----END", ""), broken, format!("{good}{good}"), good.replace(" PRIVATE", "")]
    {
        site.write("key.pem", &text);
        let Err(error) = site.open(Clients::Off) else { panic!("{text}") };
        let shown = format!("{error} {error:?}");
        assert!(!body.iter().any(|line| shown.contains(line)), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_file_is_read_by_panic(
        text in "((-----(BEGIN|END) (CERTIFICATE|PRIVATE KEY|X509 CRL)-----|[A-Za-z0-9+/=]{0,8}|é)(\n|\r\n|)){0,12}",
    ) {
        let site = Site::new();
        for name in ["chain.pem", "key.pem", "ca.pem"] {
            let before = fs::read_to_string(site.path(name)).unwrap();
            site.write(name, &text);
            prop_assert!(site.open(Clients::Required(site.trust(&[]))).is_err());
            site.write(name, &before);
        }
        site.write("crl.pem", &text);
        prop_assert!(site.open(Clients::Required(site.trust(&["crl.pem"]))).is_err());
    }
}

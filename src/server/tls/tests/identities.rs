use proptest::prelude::*;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, IsCa, KeyUsagePurpose, SanType};
use rustls::pki_types::CertificateDer;

use super::site::Authority;
use crate::server::tls::{IdentityError, IdentitySource};

fn source(text: &str) -> IdentitySource {
    text.parse().unwrap()
}

/// The names of a certificate: `dns:`, `email:`, `uri:` and `cn:`.
fn named(names: &[&str]) -> impl FnOnce(&mut CertificateParams) {
    let mut alternative = Vec::new();
    let mut subject = DistinguishedName::new();
    for name in names {
        match name.split_once(':').unwrap() {
            ("dns", name) => alternative.push(SanType::DnsName(name.try_into().unwrap())),
            ("email", name) => alternative.push(SanType::Rfc822Name(name.try_into().unwrap())),
            ("uri", name) => alternative.push(SanType::URI(name.try_into().unwrap())),
            ("cn", name) => subject.push(DnType::CommonName, name),
            _ => panic!("{name}"),
        }
    }
    move |params| (params.subject_alt_names, params.distinguished_name) = (alternative, subject)
}

/// Whom a certificate with these names names.
fn name_of(kind: &str, names: &[&str]) -> Result<String, IdentityError> {
    let issued = Authority::new("root").issue(named(names));
    source(kind).name_of(&issued.chain[0]).map(|name| name.to_string())
}

const SPIFFE: &str = "spiffe://example.org";

#[test]
fn the_one_name_of_the_chosen_kind_counts_and_no_other() {
    let everything =
        ["dns:CI.Example.org", "email:ada@Example.org", "uri:spiffe://example.org/ns/ci", "cn:ada"];
    for (kind, expected) in [
        ("dns", "ci.example.org"),
        ("email", "ada@example.org"),
        (SPIFFE, "example.org/ns/ci"),
        ("common-name", "ada"),
    ] {
        assert_eq!(name_of(kind, &everything).as_deref(), Ok(expected), "{kind}");
    }
}

#[test]
fn nothing_takes_the_place_of_a_name_that_is_absent() {
    for (kind, shown, others) in [
        ("dns", "domain name", ["email:a@b", "uri:spiffe://example.org/a", "cn:a.example"]),
        ("email", "e-mail address", ["dns:a.example", "uri:spiffe://example.org/a", "cn:a@b"]),
        (SPIFFE, "URI", ["dns:a.example", "email:a@b", "cn:spiffe://example.org/a"]),
        ("common-name", "common name", ["dns:a.example", "email:a@b", "uri:spiffe://example.org/a"]),
    ] {
        assert_eq!(name_of(kind, &others), Err(IdentityError::Absent { kind: shown }));
        assert_eq!(name_of(kind, &[]), Err(IdentityError::Absent { kind: shown }));
    }
}

#[test]
fn of_several_names_none_is_chosen() {
    for (kind, shown, names) in [
        ("dns", "domain name", ["dns:a.example", "dns:b.example"]),
        ("email", "e-mail address", ["email:a@b", "email:a@b"]),
        (SPIFFE, "URI", ["uri:spiffe://example.org/a", "uri:https://example.org/"]),
    ] {
        assert_eq!(name_of(kind, &names), Err(IdentityError::Several { kind: shown }));
    }
}

#[test]
fn two_common_names_are_nobody_in_whatever_part_of_the_subject() {
    // rcgen writes an attribute once: the second is named by the number of its type.
    let issued = Authority::new("root").issue(|it| {
        it.distinguished_name = DistinguishedName::new();
        it.distinguished_name.push(DnType::CommonName, "ada");
        it.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "root");
    });
    let expected = Err(IdentityError::Several { kind: "common name" });
    assert_eq!(source("common-name").name_of(&issued.chain[0]), expected);
}

#[test]
fn a_common_name_is_read_in_every_encoding_of_text_and_nothing_is_left_out() {
    let with = |value: DnValue| {
        let issued = Authority::new("root").issue(|it| {
            it.distinguished_name = DistinguishedName::new();
            it.distinguished_name.push(DnType::CommonName, value);
        });
        source("common-name").name_of(&issued.chain[0])
    };
    for value in [
        DnValue::Utf8String("ada".to_owned()),
        DnValue::PrintableString("ada".try_into().unwrap()),
        DnValue::BmpString("ada".try_into().unwrap()),
    ] {
        assert_eq!(with(value.clone()).unwrap().as_str(), "ada", "{value:?}");
    }
    for text in ["ada\0.evil", "Ada", "ada lovelace", "ada ", "аda", ""] {
        assert!(matches!(with(text.into()), Err(IdentityError::Name(_))), "{text:?}");
    }
}

#[test]
fn a_name_that_could_mean_several_is_none() {
    for (kind, name) in [
        ("dns", "dns:*.example.org"),
        ("dns", "dns:example.org."),
        ("email", "email:Ada@example.org"),
        (SPIFFE, "uri:spiffe://example.org/CI"),
    ] {
        let refused = name_of(kind, &[name]);
        assert!(matches!(refused, Err(IdentityError::Name(_))), "{name}: {refused:?}");
    }
    for address in ["email:ada", "email:@example.org", "email:ada@", "email:a@b@example.org"] {
        let refused = name_of("email", &[address]);
        assert!(matches!(refused, Err(IdentityError::Email { .. })), "{address}: {refused:?}");
    }
}

#[test]
fn a_spiffe_id_is_of_the_trust_domain_and_has_a_plain_path() {
    for uri in [
        "uri:https://example.org/a",
        "uri:SPIFFE://example.org/a",
        "uri:spiffe://example.com/a",
        "uri:spiffe://example.org.evil/a",
        "uri:spiffe://Example.org/a",
        "uri:spiffe://example.org:443/a",
        "uri:spiffe://me@example.org/a",
        "uri:spiffe://example.org",
        "uri:spiffe://example.org/",
        "uri:spiffe://example.org//a",
        "uri:spiffe://example.org/a/",
        "uri:spiffe://example.org/a/../b",
        "uri:spiffe://example.org/./a",
        "uri:spiffe://example.org/a?b",
        "uri:spiffe://example.org/a#b",
        "uri:spiffe://example.org/a%62",
        "uri:spiffe://example.org/a@b",
        "uri:spiffe://example.org/a+b",
        "uri:spiffe:///a",
    ] {
        let refused = name_of(SPIFFE, &[uri]);
        assert!(matches!(refused, Err(IdentityError::Spiffe { .. })), "{uri}: {refused:?}");
    }
}

#[test]
fn a_spiffe_id_of_an_authority_is_nobody() {
    let uri = ["uri:spiffe://example.org/ca"];
    for adapt in [
        (|it: &mut CertificateParams| it.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained))
            as fn(&mut _),
        |it| it.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign],
        |it| it.key_usages = vec![KeyUsagePurpose::KeyCertSign],
    ] {
        let issued = Authority::new("root").issue(|it| {
            named(&uri)(it);
            adapt(it);
        });
        let refused = source(SPIFFE).name_of(&issued.chain[0]);
        assert!(matches!(refused, Err(IdentityError::Spiffe { .. })), "{refused:?}");
    }
}

#[test]
fn the_same_extension_twice_is_refused() {
    let issued = Authority::new("root").issue(|it| {
        named(&["dns:a.example"])(it);
        // Subject alternative names: a sequence with the domain name `b`.
        let second = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![0x30, 3, 0x82, 1, b'b']);
        it.custom_extensions = vec![second];
    });
    assert_eq!(source("dns").name_of(&issued.chain[0]), Err(IdentityError::Certificate));
}

#[test]
fn where_identities_come_from_is_written_in_one_way() {
    for text in
        ["", "DNS", "cn", "spiffe", "spiffe://", "spiffe://a/b", "spiffe://A", "spiffe://a:1", "spiffe://a b"]
    {
        assert!(text.parse::<IdentitySource>().is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_certificate_is_read_by_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), cuts in any::<bool>()
    ) {
        let names = ["dns:a.example", "email:a@b", "uri:spiffe://example.org/a", "cn:a"];
        let mut der = Authority::new("root").issue(named(&names)).chain[0].to_vec();
        let at = at.index(der.len());
        der[at] = byte;
        if cuts {
            der.truncate(cut.index(der.len()));
        }
        for kind in ["dns", "email", SPIFFE, "common-name"] {
            let _ = source(kind).name_of(&CertificateDer::from(&der[..]));
        }
    }

    #[test]
    fn a_name_is_what_its_certificate_says_letter_by_letter(path in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}") {
        let id = format!("uri:spiffe://example.org/{path}");
        prop_assert_eq!(name_of(SPIFFE, &[&id]), Ok(format!("example.org/{path}")));
    }
}

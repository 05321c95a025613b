//! Tokens of workloads.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature as sign;
use aws_lc_rs::signature::KeyPair as _;
use proptest::prelude::*;

use super::*;
use crate::auth::Principal;

/// Somebody who vouches for workloads, with a key of each kind.
struct Platform {
    rsa: sign::RsaKeyPair,
    p256: sign::EcdsaKeyPair,
    p384: sign::EcdsaKeyPair,
    ed25519: sign::Ed25519KeyPair,
}

static PLATFORM: LazyLock<Platform> = LazyLock::new(|| Platform {
    rsa: sign::RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
    p256: sign::EcdsaKeyPair::generate(&sign::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    p384: sign::EcdsaKeyPair::generate(&sign::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
    ed25519: sign::Ed25519KeyPair::generate().unwrap(),
});

const GITHUB: &str = r#"
    alias = "github"
    issuer = "https://token.actions.githubusercontent.com"
    audience = "reg.example"
    require = { repository_owner = "Octo", ref = ["refs/heads/main", "refs/tags/v*"] }
    name = "repository"
    groups = "teams"
"#;

const CLUSTER: &str = r#"
    alias = "k8s"
    issuer = "https://cluster.example"
    audience = "reg.example"
    algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
    require = { sub = ["system:serviceaccount:ci:*"] }
    name = "/kubernetes.io/serviceaccount/name"
    max_lifetime = "2h"
"#;

fn issuer(text: &str) -> ExternalIssuer {
    toml::from_str(text).unwrap()
}

fn rsa() -> Value {
    let key = PLATFORM.rsa.public_key();
    let text = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
    let n = text(key.modulus().big_endian_without_leading_zero());
    json!({ "kty": "RSA", "kid": "rsa", "n": n, "e": text(key.exponent().big_endian_without_leading_zero()) })
}

fn ec(key: &sign::EcdsaKeyPair, kid: &str, crv: &str) -> Value {
    let (x, y) = key.public_key().as_ref()[1..].split_at(key.public_key().as_ref().len() / 2);
    json!({ "kty": "EC", "kid": kid, "crv": crv, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
}

fn set(keys: &[Value]) -> Jwks {
    Jwks::parse(&json!({ "keys": keys }).to_string()).unwrap()
}

fn all() -> Vec<Value> {
    let x = URL_SAFE_NO_PAD.encode(PLATFORM.ed25519.public_key());
    let ed25519 = json!({ "kty": "OKP", "kid": "ed25519", "crv": "Ed25519", "x": x });
    vec![rsa(), ec(&PLATFORM.p256, "p256", "P-256"), ec(&PLATFORM.p384, "p384", "P-384"), ed25519]
}

fn signature(algorithm: &str, message: &[u8]) -> Vec<u8> {
    let rsa = |padding: &'static dyn sign::RsaEncoding| {
        let mut signature = vec![0; PLATFORM.rsa.public_modulus_len()];
        PLATFORM.rsa.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    };
    let ec = |key: &sign::EcdsaKeyPair| key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
    match algorithm {
        "RS256" => rsa(&sign::RSA_PKCS1_SHA256),
        "RS384" => rsa(&sign::RSA_PKCS1_SHA384),
        "RS512" => rsa(&sign::RSA_PKCS1_SHA512),
        "PS256" => rsa(&sign::RSA_PSS_SHA256),
        "PS384" => rsa(&sign::RSA_PSS_SHA384),
        "PS512" => rsa(&sign::RSA_PSS_SHA512),
        "ES256" => ec(&PLATFORM.p256),
        "ES384" => ec(&PLATFORM.p384),
        "EdDSA" => PLATFORM.ed25519.sign(message).as_ref().to_vec(),
        _ => Vec::new(),
    }
}

/// A token signed by an algorithm, whatever its header says.
fn token(algorithm: &str, header: &Value, claims: &Value) -> Secret {
    let message = format!("{}.{}", encoded(&header.to_string()), encoded(&claims.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(signature(algorithm, message.as_bytes()));
    format!("{message}.{signature}").into()
}

/// As GitHub writes it, with the thumbprint of a certificate, which chooses no key.
fn header() -> Value {
    json!({ "typ": "JWT", "alg": "RS256", "x5t": "thumbprint", "kid": "rsa" })
}

fn workflow() -> Value {
    json!({
        "iss": "https://token.actions.githubusercontent.com", "aud": "reg.example",
        "sub": "repo:Octo/Hello:ref:refs/heads/main", "jti": SENTINEL, "iat": NOW, "nbf": NOW - 600, "exp": NOW + 300,
        "repository": "Octo/Hello", "repository_owner": "Octo", "ref": "refs/heads/main", "run_attempt": "1",
        "teams": ["QA", "dev"],
    })
}

fn service_account() -> Value {
    json!({
        "iss": "https://cluster.example", "aud": ["other", "reg.example"],
        "sub": "system:serviceaccount:ci:builder", "iat": NOW, "exp": NOW + 3600,
        "kubernetes.io": { "namespace": "ci", "serviceaccount": { "name": "builder", "uid": SENTINEL } },
    })
}

fn github(header: &Value, claims: &Value) -> Result<Subject, TokenError> {
    issuer(GITHUB).verify(&token("RS256", header, claims), &set(&all()), NOW * SECOND)
}

fn groups_of(subject: &Subject) -> Vec<&str> {
    match subject.principal() {
        Principal::Robot { groups, .. } => groups.iter().map(crate::auth::Name::as_str).collect(),
        other => panic!("{other} is no robot"),
    }
}

#[test]
fn a_workload_is_a_robot_in_the_namespace_of_its_issuer_and_stays_so_in_our_tokens() {
    let subject = github(&header(), &workflow()).unwrap();
    assert_eq!(subject.principal().to_string(), "robot:github/+4fcto/+48ello");
    assert_eq!(groups_of(&subject), ["github/+51+41", "github/dev"]);
    assert_eq!(subject.issuer().unwrap().as_str(), "github");
    let home = Home::new();
    let ours = home.issuer.access(&subject, &[], NOW * SECOND).unwrap();
    assert_eq!(home.access(&ours.token).unwrap().subject, subject);
    let found = issuer(GITHUB).name_of("Octo/Hello").unwrap();
    assert!(issuer(GITHUB).owns(&found) && !issuer(CLUSTER).owns(&found));
}

#[test]
fn every_asymmetric_algorithm_is_verified_by_the_key_of_its_kind_and_by_no_other() {
    let (cluster, keys) = (issuer(CLUSTER), set(&all()));
    let kinds = [
        ("rsa", &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        ("p256", &["ES256"]),
        ("p384", &["ES384"]),
        ("ed25519", &["EdDSA"]),
    ];
    let algorithms: Vec<&str> = kinds.iter().flat_map(|(_, fitting)| *fitting).copied().collect();
    for (kid, fitting) in kinds {
        for named in &algorithms {
            let header = json!({ "alg": named, "kid": kid });
            let verified = cluster.verify(&token(named, &header, &service_account()), &keys, NOW * SECOND);
            if fitting.contains(named) {
                assert_eq!(verified.unwrap().principal().to_string(), "robot:k8s/builder");
                // The same signature under another name of the same kind of key.
                let other = fitting.iter().find(|it| *it != named).unwrap_or(named);
                let confused =
                    cluster.verify(&token(other, &header, &service_account()), &keys, NOW * SECOND);
                assert_eq!(confused.is_err(), other != named, "{named} {other}");
            } else {
                assert_eq!(verified, Err(TokenError::Algorithm), "{kid} {named}");
            }
        }
    }
}

#[test]
fn a_header_that_could_choose_its_own_key_or_algorithm_is_refused() {
    let mut cases: Vec<(&str, Option<Value>, TokenError)> = vec![
        ("alg", None, TokenError::Algorithm),
        ("alg", Some(json!("PS256")), TokenError::Algorithm),
        ("alg", Some(json!("ES256")), TokenError::Algorithm),
        ("kid", Some(json!("other")), TokenError::UnknownKey),
        ("kid", Some(json!(5)), TokenError::UnknownKey),
        ("kid", Some(json!("ed25519")), TokenError::Algorithm),
        ("typ", Some(json!("logout+jwt")), TokenError::Type),
        ("typ", Some(json!("artifactstore-access+jwt")), TokenError::Type),
        ("typ", Some(json!(5)), TokenError::Type),
    ];
    for name in ["none", "None", "nOnE", "HS256", "HS384", "HS512", "rs256", "RS1"] {
        cases.push(("alg", Some(json!(name)), TokenError::Algorithm));
    }
    for name in ["jwk", "jku", "x5u", "x5c", "crit", "zip", "b64"] {
        cases.push((name, Some(json!(SENTINEL)), TokenError::Header { name }));
        cases.push((name, Some(rsa()), TokenError::Header { name }));
    }
    for (name, value, expected) in cases {
        let header = with(&header(), name, value);
        let refused = github(&header, &workflow()).unwrap_err();
        assert_eq!(refused, expected, "{header}");
        assert_silent(&refused);
    }
    assert!(github(&with(&header(), "typ", None), &workflow()).is_ok());
    assert!(github(&with(&header(), "typ", json!("jwt")), &workflow()).is_ok());
}

#[test]
fn the_published_key_is_no_shared_secret() {
    let der = PLATFORM.rsa.public_key().as_ref();
    let (jwk, n) = (rsa().to_string(), rsa()["n"].as_str().unwrap().to_owned());
    for secret in [der, jwk.as_bytes(), n.as_bytes(), &URL_SAFE_NO_PAD.decode(&n).unwrap()] {
        let key = EncodingKey::from_secret(secret);
        for (named, expected) in [("HS256", TokenError::Algorithm), ("RS256", TokenError::Signature)] {
            let header = with(&header(), "alg", json!(named)).to_string();
            let token = signed(&header, &workflow().to_string(), &key, Algorithm::HS256);
            assert_eq!(issuer(GITHUB).verify(&token, &set(&all()), NOW * SECOND), Err(expected));
        }
    }
}

#[test]
fn a_key_is_for_the_algorithm_it_names_and_a_token_without_its_name_needs_the_only_one() {
    let verify = |keys: &[Value], algorithm: &str, header: &Value| {
        let mut claims = workflow();
        claims["iss"] = json!("https://cluster.example");
        claims["sub"] = json!("system:serviceaccount:ci:builder");
        claims["kubernetes.io"] = service_account()["kubernetes.io"].clone();
        issuer(CLUSTER).verify(&token(algorithm, header, &claims), &set(keys), NOW * SECOND).map(drop)
    };
    let only = |algorithm: &str| with(&rsa(), "alg", json!(algorithm));
    let (named, nameless) = (header(), with(&header(), "kid", None));
    assert_eq!(verify(&[only("RS256")], "RS256", &named), Ok(()));
    assert_eq!(verify(&[only("PS256")], "RS256", &named), Err(TokenError::Algorithm));
    assert_eq!(verify(&[rsa()], "RS256", &nameless), Ok(()));
    assert_eq!(verify(&all(), "RS256", &nameless), Ok(()));
    assert_eq!(
        verify(&[rsa(), with(&rsa(), "kid", json!("new"))], "RS256", &nameless),
        Err(TokenError::NoKey)
    );
    assert_eq!(verify(&[rsa(), rsa()], "RS256", &named), Err(TokenError::AmbiguousKey));
    assert_eq!(verify(&[with(&rsa(), "kid", None)], "RS256", &named), Err(TokenError::UnknownKey));
    let other = with(&rsa(), "n", json!(URL_SAFE_NO_PAD.encode([0xaf; 256])));
    assert_eq!(verify(&[other], "RS256", &named), Err(TokenError::Signature));
}

#[test]
fn claims_that_prove_too_little_are_refused() {
    let malformed = |claim| TokenError::Malformed { claim };
    let requirement = |claim: &str| TokenError::Requirement { claim: claim.into() };
    let unnamed = |claim: &str, reason| TokenError::Name { claim: claim.into(), reason };
    let no_text = "it is not there, or no text";
    let many: Vec<String> = (0..65).map(|n| format!("g{n}")).collect();
    let day = 24 * 60 * 60;
    let mut cases: Vec<(&str, Option<Value>, TokenError)> = vec![
        ("iss", Some(json!("https://token.actions.githubusercontent.com/")), TokenError::Issuer),
        ("aud", Some(json!("https://github.com/Octo")), TokenError::Audience),
        ("aud", Some(json!(["other"])), TokenError::Audience),
        ("aud", Some(json!(["reg.example", 5])), malformed("aud")),
        ("exp", Some(json!(NOW)), TokenError::Order),
        ("exp", Some(json!(NOW + day + 1)), TokenError::Lifetime { longest: 86_400 }),
        ("iat", Some(json!(NOW + 61)), TokenError::Future),
        ("iat", Some(json!(NOW - day)), TokenError::Lifetime { longest: 86_400 }),
        ("nbf", Some(json!(NOW + 61)), TokenError::NotYetValid),
        ("nbf", Some(json!(NOW + 300)), TokenError::Order),
        ("nbf", Some(json!("now")), malformed("nbf")),
        ("repository_owner", None, requirement("repository_owner")),
        ("repository_owner", Some(json!("octo")), requirement("repository_owner")),
        ("repository_owner", Some(json!(["Octo"])), requirement("repository_owner")),
        ("ref", Some(json!("refs/heads/main/x")), requirement("ref")),
        ("ref", Some(json!("refs/heads/mainly")), requirement("ref")),
        ("ref", Some(json!("refs/tags/v1/../../heads/x")), requirement("ref")),
        ("repository", None, unnamed("repository", no_text)),
        ("repository", Some(json!(5)), unnamed("repository", no_text)),
        ("repository", Some(json!("")), unnamed("repository", "it is empty")),
        (
            "repository",
            Some(json!("a".repeat(122))),
            unnamed("repository", "it is too long for a name of 128 bytes"),
        ),
        ("teams", Some(json!([["QA"]])), unnamed("teams", no_text)),
        ("teams", Some(json!(5)), unnamed("teams", no_text)),
        ("teams", Some(json!(null)), unnamed("teams", no_text)),
        ("teams", Some(json!(["qa", ""])), unnamed("teams", "it is empty")),
        ("teams", Some(json!(many)), unnamed("teams", "it has more than 64 groups")),
    ];
    for claim in ["iss", "aud", "sub", "iat", "exp"] {
        cases.push((claim, None, TokenError::Missing { claim }));
        cases.push((claim, Some(json!(null)), malformed(claim)));
    }
    for claim in ["iat", "exp"] {
        for value in [json!(2e9), json!("2000000000"), json!(-1), json!(u64::MAX)] {
            cases.push((claim, Some(value), malformed(claim)));
        }
    }
    for (claim, value, expected) in cases {
        let claims = with(&workflow(), claim, value);
        let refused = github(&header(), &claims).unwrap_err();
        assert_eq!(refused, expected, "{claims}");
        assert_silent(&refused);
    }
    let expired =
        with(&with(&with(&workflow(), "iat", json!(NOW - 900)), "nbf", None), "exp", json!(NOW - 60));
    assert_eq!(github(&header(), &expired), Err(TokenError::Expired));
    for (teams, groups) in [(None, &[][..]), (Some(json!([])), &[]), (Some(json!("qa")), &["github/qa"])] {
        assert_eq!(groups_of(&github(&header(), &with(&workflow(), "teams", teams)).unwrap()), groups);
    }
    let tag = with(&workflow(), "ref", json!("refs/tags/v1"));
    assert!(github(&header(), &tag).is_ok());
}

#[test]
fn no_workload_is_somebody_this_registry_knows() {
    for name in ["ada", "user:ada", "../ada", "/ada", "robot:ci"] {
        let subject = github(&header(), &with(&workflow(), "repository", json!(name))).unwrap();
        let shown = subject.principal().to_string();
        assert!(shown.starts_with("robot:github/"), "{shown}");
        assert_ne!(Subject::read(&shown), Some(subject));
    }
}

#[test]
fn whose_keys_to_take_is_what_the_token_claims_and_a_token_of_ours_is_nobodys() {
    let issuers = ExternalIssuers::new(vec![issuer(GITHUB), issuer(CLUSTER)]).unwrap();
    let claimed = |token: &Secret| issuers.claimed_by(token).map(|issuer| issuer.alias().to_string());
    assert_eq!(claimed(&token("", &header(), &workflow())), Ok("github".to_owned()));
    assert_eq!(claimed(&token("", &header(), &service_account())), Ok("k8s".to_owned()));
    let home = Home::new();
    let ours = home.signed(&home.header().to_string(), &claims().to_string());
    assert_eq!(claimed(&ours), Err(TokenError::Issuer));
    assert_eq!(claimed(&"a.b".into()), Err(TokenError::Form));
    let known = Jwks::parse(&home.keys.jwks()).unwrap();
    assert_eq!(issuer(CLUSTER).verify(&ours, &known, NOW * SECOND), Err(TokenError::Type));
    assert_eq!(home.access(&token("RS256", &header(), &workflow())), Err(TokenError::Header { name: "x5t" }));
}

#[test]
fn a_token_longer_than_a_header_is_not_looked_at() {
    let long = with(&workflow(), "more", json!("a".repeat(16 * 1024)));
    assert_eq!(github(&header(), &long), Err(TokenError::Length { longest: 16 * 1024 }));
}

proptest! {
    #[test]
    fn a_good_token_with_one_other_byte_is_refused(at in any::<prop::sample::Index>(), byte in 0_u8..128) {
        static GOOD: LazyLock<Secret> = LazyLock::new(|| token("RS256", &header(), &workflow()));
        static KEYS: LazyLock<Jwks> = LazyLock::new(|| set(&all()));
        let mut bytes = GOOD.expose().as_bytes().to_vec();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let text = String::from_utf8(bytes).unwrap();
        prop_assert!(issuer(GITHUB).verify(&text.as_str().into(), &KEYS, NOW * SECOND).is_err(), "{} {}", at, text);
    }

    #[test]
    fn no_text_is_a_token_and_none_panics(text in "(?s)[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_=-]{0,40}){0,4}.{0,3}") {
        static KEYS: LazyLock<Jwks> = LazyLock::new(|| set(&all()));
        prop_assert!(issuer(GITHUB).verify(&text.as_str().into(), &KEYS, NOW * SECOND).is_err());
    }
}

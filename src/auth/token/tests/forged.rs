//! Tokens that look like ours and are not, or say what none of ours says.

use super::*;

use TokenError::{
    Algorithm as WrongAlgorithm, Audience, Expired, Future, Header, Issuer as WrongIssuer, Lifetime,
    Malformed, Missing, NoKey, NotYetValid, Order, Signature, Type, UnknownClaim, UnknownHeader, UnknownKey,
};

#[test]
fn the_claims_that_the_others_are_made_of_are_good() {
    let home = Home::new();
    let token = home.signed(&home.header().to_string(), &claims().to_string());
    assert_eq!(&*home.access(&token).unwrap().id, SENTINEL);
    let several = with(&claims(), "aud", json!([SERVICE]));
    assert!(home.access(&home.signed(&home.header().to_string(), &several.to_string())).is_ok());
}

#[test]
fn a_header_that_we_do_not_write_is_refused_whoever_signed() {
    let home = Home::new();
    let own = home.keys.jwks();
    let mut cases: Vec<(&str, Option<Value>, TokenError)> = vec![
        ("alg", None, WrongAlgorithm),
        ("alg", Some(json!(5)), WrongAlgorithm),
        ("alg", Some(json!(["EdDSA"])), WrongAlgorithm),
        ("typ", None, Type),
        ("typ", Some(json!(null)), Type),
        ("typ", Some(json!("JWT")), Type),
        ("typ", Some(json!("Artifactstore-access+jwt")), Type),
        ("typ", Some(json!("artifactstore-refresh+jwt")), Type),
        ("kid", None, NoKey),
        ("kid", Some(json!(5)), UnknownKey),
        ("kid", Some(json!("")), UnknownKey),
        ("kid", Some(json!("../../etc/passwd")), UnknownKey),
        ("cty", Some(json!("JWT")), UnknownHeader),
        ("x5t#S256", Some(json!(SENTINEL)), UnknownHeader),
    ];
    for algorithm in
        ["none", "None", "nOnE", "NONE", "HS256", "HS512", "RS256", "ES256", "eddsa", "EdDSA ", ""]
    {
        cases.push(("alg", Some(json!(algorithm)), WrongAlgorithm));
    }
    for name in ["jwk", "jku", "x5u", "x5c", "x5t", "crit", "zip", "b64"] {
        for value in [json!(null), json!(SENTINEL), json!([SENTINEL]), serde_json::from_str(&own).unwrap()] {
            cases.push((name, Some(value), Header { name }));
        }
    }
    for (name, value, expected) in cases {
        let header = with(&home.header(), name, value).to_string();
        let refused = home.access(&home.signed(&header, &claims().to_string())).unwrap_err();
        assert_eq!(refused, expected, "{header}");
        assert_silent(&refused);
    }
}

#[test]
fn a_token_without_a_signature_is_none() {
    let home = Home::new();
    for algorithm in ["none", "None", "nOnE", "NONE"] {
        let header = with(&home.header(), "alg", json!(algorithm)).to_string();
        let token = format!("{}.{}.", encoded(&header), encoded(&claims().to_string()));
        assert_eq!(home.access(&token.into()), Err(WrongAlgorithm));
    }
    let token = format!("{}.{}.", encoded(&home.header().to_string()), encoded(&claims().to_string()));
    assert_eq!(home.access(&token.into()), Err(Signature));
}

/// The public key is no secret: with it as the secret of an HMAC anybody could sign.
#[test]
fn a_public_key_is_no_shared_secret() {
    let home = Home::new();
    let x = URL_SAFE_NO_PAD.decode(home.keys.signing().public().x()).unwrap();
    let spki = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", &x[..]].concat();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(&spki)
    );
    let set = home.keys.jwks();
    let jwk = serde_json::from_str::<Value>(&set).unwrap()["keys"][0].to_string();
    let text = home.keys.signing().public().x();
    for secret in [
        &x[..],
        &spki,
        pem.as_bytes(),
        pem.trim_end().as_bytes(),
        set.as_bytes(),
        jwk.as_bytes(),
        text.as_bytes(),
    ] {
        let key = EncodingKey::from_secret(secret);
        let claims = claims().to_string();
        let honest = with(&home.header(), "alg", json!("HS256")).to_string();
        assert_eq!(home.access(&signed(&honest, &claims, &key, Algorithm::HS256)), Err(WrongAlgorithm));
        let header = home.header().to_string();
        assert_eq!(home.access(&signed(&header, &claims, &key, Algorithm::HS256)), Err(Signature));
    }
}

#[test]
fn the_right_name_of_a_key_does_not_make_another_key_the_right_one() {
    let (home, thief) = (Home::new(), SigningKey::generate());
    let sign = |header: &Value| {
        signed(&header.to_string(), &claims().to_string(), thief.private(), Algorithm::EdDSA)
    };
    assert_eq!(home.access(&sign(&home.header())), Err(Signature));
    let own = with(&home.header(), "kid", json!(thief.public().id()));
    assert_eq!(home.access(&sign(&own)), Err(UnknownKey));
    // CVE-2025-24976: the key in the header was believed since it had a name that was.
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": thief.public().x(), "kid": home.header()["kid"] });
    assert_eq!(home.access(&sign(&with(&home.header(), "jwk", jwk))), Err(Header { name: "jwk" }));
}

#[test]
fn claims_that_we_do_not_write_are_refused_though_we_signed() {
    let home = Home::new();
    let malformed = |claim| Malformed { claim };
    let external = |external: Value| with(&with(&claims(), "sub", json!("robot:ci/a")), "external", external);
    let mut cases: Vec<(Value, TokenError)> = vec![
        (with(&claims(), "iss", json!("https://evil.example")), WrongIssuer),
        (with(&claims(), "iss", json!("https://reg.example/")), WrongIssuer),
        (with(&claims(), "aud", json!("other.example")), Audience),
        (with(&claims(), "aud", json!("reg.example#refresh")), Audience),
        (with(&claims(), "aud", json!([])), Audience),
        (with(&claims(), "aud", json!([SERVICE, "other.example"])), Audience),
        (with(&claims(), "aud", json!([SERVICE, SERVICE])), Audience),
        (with(&claims(), "aud", json!([SERVICE, 5])), malformed("aud")),
        (with(&claims(), "aud", json!({ "a": SERVICE })), malformed("aud")),
        (with(&claims(), "sub", json!("ada")), malformed("sub")),
        (with(&claims(), "sub", json!("user:Ada")), malformed("sub")),
        (with(&claims(), "sub", json!("group:qa")), malformed("sub")),
        (with(&claims(), "sub", json!("anyone")), malformed("sub")),
        (with(&claims(), "exp", json!(NOW)), Order),
        (with(&claims(), "exp", json!(NOW - 1)), Order),
        (with(&claims(), "nbf", json!(NOW + 900)), Order),
        (with(&claims(), "exp", json!(NOW + 3601)), Lifetime { longest: 3600 }),
        (with(&claims(), "exp", json!(253_402_300_799_i64)), Lifetime { longest: 3600 }),
        (with(&with(&claims(), "iat", json!(NOW + 61)), "nbf", json!(NOW)), Future),
        (with(&claims(), "nbf", json!(NOW + 61)), NotYetValid),
        (with(&with(&claims(), "iat", json!(NOW - 960)), "exp", json!(NOW - 60)), Order),
        (
            with(
                &with(&with(&claims(), "iat", json!(NOW - 960)), "nbf", json!(NOW - 960)),
                "exp",
                json!(NOW - 60),
            ),
            Expired,
        ),
        (with(&claims(), "access", json!("pull")), malformed("access")),
        (with(&claims(), "access", json!([{ "type": "repository", "name": "a" }])), malformed("access")),
        (with(&claims(), "admin", json!(true)), UnknownClaim),
        (with(&claims(), "groups", json!(["root"])), UnknownClaim),
        (with(&claims(), "external", json!({ "issuer": "user", "groups": [] })), malformed("external")),
        (external(json!(null)), malformed("external")),
        (external(json!({ "issuer": "ci" })), malformed("external")),
        (external(json!({ "issuer": "ci", "groups": [], "more": 1 })), malformed("external")),
        (external(json!({ "issuer": "c", "groups": [] })), malformed("external")),
        (external(json!({ "issuer": "ci", "groups": ["root"] })), malformed("external")),
        (external(json!({ "issuer": "ci", "groups": ["ci/Root"] })), malformed("external")),
    ];
    for claim in ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "access"] {
        cases.push((with(&claims(), claim, None), Missing { claim }));
        cases.push((with(&claims(), claim, json!(null)), malformed(claim)));
        cases.push((with(&claims(), claim, json!(true)), malformed(claim)));
    }
    for claim in ["iss", "sub", "jti"] {
        cases.push((with(&claims(), claim, json!("")), malformed(claim)));
        cases.push((with(&claims(), claim, json!(5)), malformed(claim)));
    }
    for claim in ["iat", "nbf", "exp"] {
        for value in [
            json!(2e9),
            json!(2.5e9),
            json!("2000000900"),
            json!(-1),
            json!(i64::MIN),
            json!(u64::MAX),
            json!([1]),
        ] {
            cases.push((with(&claims(), claim, value), malformed(claim)));
        }
        cases.push((with(&claims(), claim, json!(253_402_300_800_i64)), malformed(claim)));
    }
    for (claims, expected) in cases {
        let refused = home.access(&home.signed(&home.header().to_string(), &claims.to_string())).unwrap_err();
        assert_eq!(refused, expected, "{claims}");
        assert_silent(&refused);
    }
    let good = external(json!({ "issuer": "ci", "groups": ["ci/root"] }));
    assert!(home.access(&home.signed(&home.header().to_string(), &good.to_string())).is_ok());
}

/// With the type of the one and the audience of the other, each alone keeps them apart.
#[test]
fn a_refresh_token_is_no_access_token_by_type_alone_and_by_audience_alone() {
    let home = Home::new();
    let refresh_header = with(&home.header(), "typ", json!("artifactstore-refresh+jwt"));
    let refresh_claims = with(&with(&claims(), "aud", json!("reg.example#refresh")), "access", None);
    let token = |header: &Value, claims: &Value| home.signed(&header.to_string(), &claims.to_string());
    let refresh = |token: &Secret| home.verifier.refresh(token, NOW * SECOND);
    assert!(refresh(&token(&refresh_header, &refresh_claims)).is_ok());
    assert_eq!(home.access(&token(&refresh_header, &claims())), Err(Type));
    assert_eq!(home.access(&token(&home.header(), &refresh_claims)), Err(Audience));
    assert_eq!(refresh(&token(&home.header(), &refresh_claims)), Err(Type));
    assert_eq!(refresh(&token(&refresh_header, &claims())), Err(Audience));
    let granting = with(&refresh_claims, "access", json!([]));
    assert_eq!(refresh(&token(&refresh_header, &granting)), Err(UnknownClaim));
}

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::auth::token::jws::Unproven;

/// RFC 7515 appendix A.2, RS256.
const N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RSA_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

/// RFC 7515 appendix A.3, ES256.
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const EC_SIGNATURE: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

const CLAIMS: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn rsa() -> Value {
    json!({ "kty": "RSA", "n": N, "e": "AQAB" })
}

fn ec() -> Value {
    json!({ "kty": "EC", "crv": "P-256", "x": X, "y": Y })
}

fn parse(keys: &[Value]) -> Result<Jwks, JwksError> {
    Jwks::parse(&json!({ "keys": keys }).to_string())
}

#[test]
fn the_signatures_of_the_rfc_are_right_by_the_keys_of_the_rfc() {
    let keys = parse(&[rsa(), ec()]).unwrap();
    for (header, algorithm, signature) in [
        ("eyJhbGciOiJSUzI1NiJ9", Algorithm::RS256, RSA_SIGNATURE),
        ("eyJhbGciOiJFUzI1NiJ9", Algorithm::ES256, EC_SIGNATURE),
    ] {
        let key = keys.find(None, algorithm).unwrap();
        let verify = |claims: &str| {
            let token = format!("{header}.{claims}.{signature}").into();
            Unproven::read(&token, 8192)
                .unwrap()
                .verified(key, algorithm)
                .map(|claims| claims.text("iss").unwrap().to_owned())
        };
        assert_eq!(verify(CLAIMS), Ok("joe".to_owned()));
        assert_eq!(verify(&CLAIMS.replace("eyJ", "eyI")), Err(TokenError::Signature));
    }
}

#[test]
fn keys_for_something_else_are_passed_over() {
    let with = |name: &str, value: Value| {
        let mut key = rsa();
        key[name] = value;
        key
    };
    for other in [
        with("use", json!("enc")),
        with("key_ops", json!(["encrypt"])),
        with("alg", json!("RSA-OAEP")),
        with("alg", json!("HS256")),
        with("alg", json!("none")),
        with("kty", json!("rsa")),
        json!({ "kty": "oct", "k": "aHVudGVyMg", "alg": "HS256" }),
        json!({ "kty": "EC", "crv": "secp256k1", "x": X, "y": Y }),
        json!({ "kty": "OKP", "crv": "X25519", "x": X }),
        json!({ "kty": "LMS" }),
    ] {
        assert_eq!(parse(std::slice::from_ref(&other)).unwrap_err(), JwksError::Nothing, "{other}");
        assert_eq!(parse(&[other, ec()]).unwrap().0.len(), 1);
    }
    for good in [with("use", json!("sig")), with("key_ops", json!(["verify"])), with("x5c", json!(["MII"]))] {
        assert_eq!(parse(&[good]).unwrap().0.len(), 1);
    }
}

#[test]
fn a_broken_or_weak_key_is_refused_by_its_place() {
    let modulus = |bytes: &[u8]| json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(bytes), "e": "AQAB" });
    let malformed = JwksError::Malformed { at: 1 };
    let bits = |bits| JwksError::Bits { at: 1, bits };
    for (key, expected) in [
        (modulus(&[0xff; 128]), bits(1024)),
        (modulus(&[&[0x7f][..], &[0xff; 255]].concat()), bits(2047)),
        (modulus(&[&[0; 128][..], &[0xff; 128]].concat()), bits(1024)),
        (modulus(&[0xff; 1025]), bits(8200)),
        (modulus(&[]), malformed),
        (json!({ "kty": "RSA", "n": N, "e": "AA" }), malformed),
        (json!({ "kty": "RSA", "n": N }), malformed),
        (json!({ "kty": "RSA", "n": format!("{N}="), "e": "AQAB" }), malformed),
        (json!({ "kty": "EC", "crv": "P-384", "x": X, "y": Y }), malformed),
        (json!({ "kty": "EC", "crv": "P-256", "x": X }), malformed),
        (json!({ "kty": "OKP", "crv": "Ed25519", "x": "AQAB" }), malformed),
        (json!({ "kty": 5 }), malformed),
        (json!({}), malformed),
        (json!("RSA"), malformed),
    ] {
        assert_eq!(parse(&[ec(), key.clone()]).unwrap_err(), expected, "{key}");
    }
    let signed = modulus(&[&[0][..], &[0xff; 256]].concat());
    assert!(parse(&[signed]).is_ok(), "a zero in front, as signed numbers have it");
}

#[test]
fn what_is_no_document_of_keys_is_refused() {
    let many = vec![ec(); MOST + 1];
    assert_eq!(parse(&many).unwrap_err(), JwksError::TooMany);
    assert_eq!(parse(&many[1..]).unwrap().0.len(), MOST);
    assert_eq!(parse(&[]).unwrap_err(), JwksError::Nothing);
    let long = format!("{{\"keys\":[{}]}}{}", ec(), " ".repeat(LONGEST));
    assert_eq!(Jwks::parse(&long).unwrap_err(), JwksError::Length);
    let twice = format!("{{\"keys\":[],\"keys\":[{}]}}", ec());
    let nested = format!("{{\"keys\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    for text in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]} x", &twice, &nested] {
        assert_eq!(Jwks::parse(text).unwrap_err(), JwksError::Form, "{text:.40}");
    }
}

proptest! {
    #[test]
    fn no_text_is_a_document_by_panic(text in "(?s).{0,60}", x in "[A-Za-z0-9_=-]{0,50}", kind in 0..3_usize) {
        let _ = Jwks::parse(&text);
        let kty = ["RSA", "EC", "OKP"][kind];
        let crv = ["", "P-256", "Ed25519"][kind];
        let _ = parse(&[json!({ "kty": kty, "crv": crv, "x": x, "y": x, "n": x, "e": x })]);
    }
}

//! What is no token at all, or a good one with something done to it.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// One for all cases of a property.
static HOME: LazyLock<Home> = LazyLock::new(Home::new);

/// A good token, in its parts.
fn parts(home: &Home) -> [String; 3] {
    let token = home.signed(&home.header().to_string(), &claims().to_string());
    let parts: Vec<String> = token.expose().split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

#[test]
fn what_has_not_the_form_of_a_token_is_refused_before_anything_is_verified() {
    let home = Home::new();
    let [header, claims, signature] = parts(&home);
    let good = format!("{header}.{claims}.{signature}");
    assert!(home.access(&good.as_str().into()).is_ok());
    let long = TokenError::Length { longest: 8192 };
    for (token, expected) in [
        (String::new(), TokenError::Form),
        ("a".to_owned(), TokenError::Form),
        (format!("{header}.{claims}"), TokenError::Form),
        (format!("{good}.{signature}"), TokenError::Form),
        (format!("{good}."), TokenError::Form),
        (format!(".{good}"), TokenError::Form),
        ("..".to_owned(), TokenError::Json(Part::Header)),
        (format!(".{claims}.{signature}"), TokenError::Json(Part::Header)),
        (format!("{header}..{signature}"), TokenError::Signature),
        (format!("{header}.{claims}.{}", &signature[..84]), TokenError::Signature),
        (format!("{header}=.{claims}.{signature}"), TokenError::Base64(Part::Header)),
        (format!("{header}.{claims}.{signature}=="), TokenError::Base64(Part::Signature)),
        (format!("{header}.{claims}.{signature}AA"), TokenError::Signature),
        (format!(" {good}"), TokenError::Base64(Part::Header)),
        (format!("{good}\n"), TokenError::Base64(Part::Signature)),
        (format!("{header}.{claims}.{}/", &signature[1..]), TokenError::Base64(Part::Signature)),
        ("a".repeat(64 * 1024), long.clone()),
        (format!("{header}.{}.{signature}", "A".repeat(64 * 1024)), long.clone()),
        (format!("{good}{}", "A".repeat(8193 - good.len())), long),
    ] {
        assert_eq!(home.access(&token.as_str().into()), Err(expected), "{token:.80}");
    }
}

/// Two texts of one token would be two tokens to whoever counts them.
#[test]
fn the_bits_to_spare_of_the_last_character_are_zero() {
    let home = Home::new();
    let [header, claims, signature] = parts(&home);
    let (front, last) = signature.split_at(85);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    for other in (at + 1)..(at + 16) {
        let signature = format!("{front}{}", &alphabet[other..=other]);
        let refused = home.access(&format!("{header}.{claims}.{signature}").into());
        assert_eq!(refused, Err(TokenError::Base64(Part::Signature)));
    }
}

#[test]
fn what_is_not_one_json_object_with_each_key_once_is_refused_though_we_signed() {
    let home = Home::new();
    let (header, claims) = (home.header().to_string(), claims().to_string());
    let twice = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(2000), "]".repeat(2000));
    let wide = twice(&claims, &format!("\"a\":{}1{}", "{\"a\":".repeat(100), "}".repeat(100)));
    let infinite = claims.replace(&format!("\"exp\":{}", NOW + 900), "\"exp\":1e400");
    assert_ne!(infinite, claims);
    for (header, claims, expected) in [
        (&*twice(&header, "\"alg\":\"none\""), &*claims, TokenError::Twice(Part::Header)),
        (&twice(&header, "\"k\\u0069d\":\"x\""), &claims, TokenError::Twice(Part::Header)),
        ("[]", &claims, TokenError::Json(Part::Header)),
        ("1", &claims, TokenError::Json(Part::Header)),
        ("{} {}", &claims, TokenError::Json(Part::Header)),
        (&deep, &claims, TokenError::Json(Part::Header)),
        (&header, &twice(&claims, "\"sub\":\"user:root\""), TokenError::Twice(Part::Claims)),
        (&header, &twice(&claims, "\"x\":{\"a\":1,\"a\":2}"), TokenError::Twice(Part::Claims)),
        (&header, "[]", TokenError::Json(Part::Claims)),
        (&header, "", TokenError::Json(Part::Claims)),
        (&header, &deep, TokenError::Json(Part::Claims)),
        (&header, &wide, TokenError::UnknownClaim),
        (&header, &infinite, TokenError::Json(Part::Claims)),
        (&header, &claims.replace("user:ada", "user:\u{0}"), TokenError::Json(Part::Claims)),
    ] {
        let refused = home.access(&home.signed(header, claims)).unwrap_err();
        assert_eq!(refused, expected, "{header:.100} {claims:.100}");
        assert_silent(&refused);
    }
}

#[test]
fn bytes_that_are_no_text_are_no_claims() {
    let home = Home::new();
    let message =
        format!("{}.{}", encoded(&home.header().to_string()), URL_SAFE_NO_PAD.encode(b"{\"a\":\"\xff\"}"));
    let key = home.keys.signing().private();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, Algorithm::EdDSA).unwrap();
    let refused = home.access(&format!("{message}.{signature}").into());
    assert_eq!(refused, Err(TokenError::Json(Part::Claims)));
}

proptest! {
    #[test]
    fn a_good_token_with_one_other_byte_is_refused(at in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let home = &*HOME;
        let mut token = parts(home).join(".").into_bytes();
        let at = at.index(token.len());
        prop_assume!(token[at] != byte);
        token[at] = byte;
        let token = String::from_utf8(token).unwrap();
        prop_assert!(home.access(&token.as_str().into()).is_err(), "{} {}", at, token);
    }

    #[test]
    fn a_good_token_with_a_byte_less_or_more_is_refused(at in any::<prop::sample::Index>(), byte in "[A-Za-z0-9_.-]?") {
        let home = &*HOME;
        let mut token = parts(home).join(".");
        let at = at.index(token.len());
        if byte.is_empty() {
            token.remove(at);
        } else {
            token.insert_str(at, &byte);
        }
        prop_assert!(home.access(&token.as_str().into()).is_err(), "{} {}", at, token);
    }

    #[test]
    fn no_text_is_a_token_and_none_panics(text in "(?s)(\\PC{0,20}|[A-Za-z0-9_-]{0,40})(\\.[A-Za-z0-9_=-]{0,40}){0,4}.{0,3}") {
        let home = &*HOME;
        prop_assert!(home.access(&text.as_str().into()).is_err());
        prop_assert!(home.verifier.refresh(&text.as_str().into(), Micros::MIN).is_err());
    }

    #[test]
    fn no_json_that_we_sign_panics(header in json_text(), claims in json_text()) {
        let home = &*HOME;
        prop_assert!(home.access(&home.signed(&header, &claims)).is_err());
        let own = home.header().to_string();
        prop_assert!(home.access(&home.signed(&own, &claims)).is_err());
    }
}

/// Objects of the members that mean something, with any value.
fn json_text() -> impl Strategy<Value = String> {
    const NAMES: &[&str] =
        &["alg", "typ", "kid", "iss", "aud", "sub", "iat", "nbf", "exp", "jti", "access", "external"];
    const VALUES: &[&str] =
        &["1", "-1e400", "\"EdDSA\"", "null", "[]", "{}", "[{}]", "2000000000", "\"\\ud800\"", "{\"a\":"];
    let member = (prop::sample::select(NAMES), prop::sample::select(VALUES));
    prop::collection::vec(member, 0..8).prop_map(|members| {
        let members: Vec<String> =
            members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

use proptest::prelude::*;

use super::*;

/// A key that stays one: who has keys has them for years.
const KEPT: &str = "ars_0123456789abcdef_0123456789abcdefghjkmnpqrstvwxyz";

fn parse(text: &str) -> Result<ApiKey, ApiKeyError> {
    ApiKey::parse(&text.into())
}

/// A body with the checksum it ought to have.
fn with_checksum(body: &str) -> String {
    format!("{body}{}", base32::word(crc32(body.as_bytes())))
}

#[test]
fn the_checksum_is_the_one_of_iso_3309() {
    // The check value of the catalogue of CRC algorithms, CRC-32/ISO-HDLC.
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    assert_eq!(crc32(b""), 0);
}

#[test]
fn a_key_that_is_generated_is_accepted_and_known_by_its_digest() {
    let (key, other) = (ApiKey::generate(), ApiKey::generate());
    assert!(key != other && key.id() != other.id());
    let read = ApiKey::parse(key.as_secret()).unwrap();
    assert_eq!(read, key);
    let kept = KeyDigest::from_bytes(*key.digest().as_bytes());
    assert!(kept.is_of(&read) && !kept.is_of(&other));
    let text = key.as_secret().expose();
    assert!(text.len() == 60 && text.starts_with(&format!("ars_{}_", key.id())), "{text}");
    assert_eq!(key.id().as_str().parse(), Ok(key.id().clone()));
}

#[test]
fn keys_stay_what_they_are() {
    let text = with_checksum(KEPT);
    let key = parse(&text).unwrap();
    assert_eq!(key.id().to_string(), "0123456789abcdef");
    assert_eq!(text, format!("{KEPT}26wv0p1"));
    assert_eq!(key.digest().as_bytes()[..4], [25, 129, 79, 197]);
}

#[test]
fn every_single_character_that_is_another_is_found_before_anybody_is_asked() {
    let key = ApiKey::generate();
    let text = key.as_secret().expose();
    for at in ApiKey::PREFIX.len()..text.len() {
        for other in ('!'..='~').filter(|other| !text[at..].starts_with(*other)) {
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(parse(&changed), Err(ApiKeyError::Checksum), "{at} {other}");
        }
    }
}

#[test]
fn what_is_no_key_is_refused_with_the_reason() {
    let form = "a key has 60 characters, ars_ID_SECRET; was it copied as a whole?";
    let whole = with_checksum(KEPT);
    for (text, reason) in [
        ("", "a key begins with ars_"),
        ("hunter2", "a key begins with ars_"),
        (&whole.to_uppercase(), "a key begins with ars_"),
        (&format!(" {whole}"), "a key begins with ars_"),
        ("ars_", form),
        (&whole[..59], form),
        (&format!("{whole}0"), form),
        (&format!("{whole}\n"), form),
        (&format!("{}é", &whole[..58]), form),
        (&whole.replace("yz", "zy"), "the checksum of the key is wrong; was it copied as it is?"),
        // Who can compute the checksum cannot thereby make up another form.
        (&with_checksum(&KEPT.replace("abcdef_", "abcdel_")), form),
        (&with_checksum(&KEPT.replace("xyz", "xyZ")), form),
        (&with_checksum(&KEPT.replace("f_0", "_f0")), form),
        (&with_checksum(&KEPT.replace("f_0", "ff0")), form),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), reason, "{text:?}");
    }
    let reason = "the id of a key is 16 lower-case letters and digits, without i, l, o and u";
    for id in ["", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeF", "0123456789abcdei"] {
        assert_eq!(id.parse::<ApiKeyId>().unwrap_err().to_string(), reason, "{id}");
    }
}

#[test]
fn the_secret_of_a_key_is_never_printed() {
    let text = with_checksum(KEPT);
    let key = parse(&text).unwrap();
    let refused = parse(&text.replace("yz", "zy"));
    let shown = format!("{key:?} {:?} {refused:?}", key.digest());
    assert!(shown.contains("0123456789abcdef") && shown.contains("***"), "{shown}");
    assert!(!shown.contains("xy") && !shown.contains("zy"), "{shown}");
}

proptest! {
    #[test]
    fn no_text_is_a_key_by_panic(text in ".{0,70}", close in "ars_[0-9a-z_é]{50,57}") {
        let _ = parse(&text);
        prop_assert!(parse(&close).is_err());
    }

    #[test]
    fn a_part_of_a_key_is_none(length in 0..LENGTH) {
        let key = ApiKey::generate();
        prop_assert!(parse(&key.as_secret().expose()[..length]).is_err());
    }
}

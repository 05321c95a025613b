use proptest::prelude::*;

use super::*;

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn digest(text: &str) -> Result<Digest, DigestError> {
    text.parse()
}

#[test]
fn a_digest_gives_its_parts() {
    let digest = digest(EMPTY).unwrap();
    assert_eq!(digest.algorithm(), Algorithm::Sha256);
    assert_eq!(digest.hex(), &EMPTY[7..]);
    assert_eq!(digest.as_str(), EMPTY);
    assert_eq!(digest.to_string(), EMPTY);
    assert_eq!(digest.to_bytes()[..3], [0xe3, 0xb0, 0xc4]);
}

#[test]
fn text_outside_the_grammar_is_a_syntax_error() {
    let wrong =
        ["", "latest", ":", "sha256:", ":abc", "SHA256:abc", "sha256:a/b", "sha+:aa", "sha256:aa:bb", "ä:ö"];
    for text in wrong {
        assert!(matches!(digest(text), Err(DigestError::Syntax { .. })), "{text}");
    }
}

#[test]
fn a_well_formed_digest_in_another_algorithm_is_named_as_such() {
    let err = digest("multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8").unwrap_err();
    assert_eq!(err, DigestError::UnknownAlgorithm { algorithm: "multihash+base58".into() });
}

#[test]
fn a_digest_of_the_wrong_length_names_both_lengths() {
    let err = digest("sha256:baddigeststring").unwrap_err();
    assert_eq!(err, DigestError::Length { algorithm: Algorithm::Sha256, expected: 64, actual: 15 });
    assert!(digest(&EMPTY.replace("sha256", "sha512")).is_err());
}

#[test]
fn upper_case_hex_is_refused() {
    let upper = format!("sha256:{}", EMPTY[7..].to_uppercase());
    let err = digest(&upper).unwrap_err();
    assert_eq!(err, DigestError::NotLowerHex { algorithm: Algorithm::Sha256, character: 'E' });
}

#[test]
fn an_error_does_not_repeat_a_long_text() {
    assert!(digest(&"x".repeat(1 << 20)).unwrap_err().to_string().len() < 300);
}

#[test]
fn serde_refuses_what_parsing_refuses() {
    assert_eq!(serde_json::from_str::<Digest>(&format!("{EMPTY:?}")).unwrap(), digest(EMPTY).unwrap());
    assert!(serde_json::from_str::<Digest>("\"sha256:00\"").is_err());
    assert!(serde_json::from_str::<ContentAddress>("7").is_err());
}

#[test]
#[should_panic(expected = "sha512 output of the wrong length")]
fn bytes_of_the_wrong_length_are_a_bug_of_the_caller() {
    Digest::from_bytes(Algorithm::Sha512, &[0; 32]);
}

fn any_digest() -> impl Strategy<Value = (Algorithm, Vec<u8>)> {
    prop::sample::select(Algorithm::ALL.to_vec())
        .prop_flat_map(|a| (Just(a), prop::collection::vec(any::<u8>(), a.hex_len() / 2)))
}

proptest! {
    #[test]
    fn bytes_survive_the_round_trip_through_text((algorithm, bytes) in any_digest()) {
        let made = Digest::from_bytes(algorithm, &bytes);
        let read: Digest = made.as_str().parse().unwrap();
        prop_assert_eq!(&read, &made);
        prop_assert_eq!(read.to_bytes(), bytes);
        prop_assert_eq!(read.algorithm(), algorithm);
    }

    #[test]
    fn an_address_survives_the_round_trip_through_text_and_json((algorithm, bytes) in any_digest()) {
        let address = ContentAddress::from(Digest::from_bytes(algorithm, &bytes));
        prop_assert_eq!(&address.to_string().parse::<ContentAddress>().unwrap(), &address);
        let json = serde_json::to_string(&address).unwrap();
        prop_assert_eq!(&serde_json::from_str::<ContentAddress>(&json).unwrap(), &address);
        prop_assert_eq!(address.digest().as_str(), address.as_str());
    }

    #[test]
    fn digests_are_ordered_as_their_text((a, x) in any_digest(), (b, y) in any_digest()) {
        let (a, b) = (Digest::from_bytes(a, &x), Digest::from_bytes(b, &y));
        prop_assert_eq!(a.cmp(&b), a.as_str().cmp(b.as_str()));
    }

    #[test]
    fn parsing_never_panics_and_accepts_only_its_own_text(text in "\\PC{0,8}:?\\PC{0,140}") {
        if let Ok(digest) = text.parse::<Digest>() {
            prop_assert_eq!(digest.as_str(), text);
        }
    }
}

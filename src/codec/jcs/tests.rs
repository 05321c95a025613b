//! RFC 8785 examples, the projection both ways, and what is refused.

use proptest::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::super::cbor::tests::properties;
use super::super::cbor::{self, MAX_INTEGER, Reason};
use super::{Error, from_cbor, structure, to_cbor, to_string};

/// RFC 8785 Appendix B, without the two values that are errors.
const NUMBERS: &[(u64, &str)] = &[
    (0x0000_0000_0000_0000, "0"),
    (0x8000_0000_0000_0000, "0"),
    (0x0000_0000_0000_0001, "5e-324"),
    (0x8000_0000_0000_0001, "-5e-324"),
    (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
    (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
    (0x4340_0000_0000_0000, "9007199254740992"),
    (0xc340_0000_0000_0000, "-9007199254740992"),
    (0x4430_0000_0000_0000, "295147905179352830000"),
    (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
    (0x44b5_2d02_c7e1_4af6, "1e+23"),
    (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
    (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
    (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
    (0x444b_1ae4_d6e2_ef50, "1e+21"),
    (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
    (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
    (0x41b3_de43_5555_5553, "333333333.3333332"),
    (0x41b3_de43_5555_5554, "333333333.33333325"),
    (0x41b3_de43_5555_5555, "333333333.3333333"),
    (0x41b3_de43_5555_5556, "333333333.3333334"),
    (0x41b3_de43_5555_5557, "333333333.33333343"),
    (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
    (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
];

fn reason(json: &str) -> Option<Reason> {
    match to_cbor(json.as_bytes()).unwrap_err() {
        Error::Cbor(e) => e.reason(),
        Error::Json(_) | Error::Write(_) => None,
    }
}

#[test]
fn the_library_writes_the_numbers_of_appendix_b() {
    for (bits, expected) in NUMBERS {
        let written = serde_json_canonicalizer::to_string(&f64::from_bits(*bits)).unwrap();
        assert_eq!(&written, expected, "{bits:016x}");
    }
    for bits in [0x7fff_ffff_ffff_ffff, 0x7ff0_0000_0000_0000] {
        assert!(serde_json_canonicalizer::to_string(&f64::from_bits(bits)).is_err());
    }
}

#[test]
fn the_library_writes_the_example_of_section_3_2_2() {
    let input = r#"{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    let value: serde_json::Value = serde_json::from_str(input).unwrap();
    let expected = concat!(
        r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
        r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#,
    );
    assert_eq!(serde_json_canonicalizer::to_string(&value).unwrap(), expected);
}

#[test]
fn the_library_sorts_the_keys_of_section_3_2_3_by_utf16() {
    let input = r#"{
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\ud83d\ude00": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis"
    }"#;
    let value: serde_json::Value = serde_json::from_str(input).unwrap();
    let written = serde_json_canonicalizer::to_string(&value).unwrap();
    let expected = [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ];
    let at: Vec<usize> = expected.iter().map(|name| written.find(name).unwrap()).collect();
    assert!(at.is_sorted(), "{written}");
}

#[test]
fn the_two_spellings_order_keys_each_their_own_way() {
    let value = json!({"aa": 1, "b": 2, "Z": [true, null]});
    assert_eq!(to_string(&value).unwrap(), r#"{"Z":[true,null],"aa":1,"b":2}"#);
    let bytes = b"\xa3\x61Z\x82\xf5\xf6\x61b\x02\x62aa\x01";
    assert_eq!(cbor::to_vec(&value).unwrap(), bytes);
    assert_eq!(from_cbor(bytes).unwrap(), br#"{"Z":[true,null],"aa":1,"b":2}"#);
    assert_eq!(to_cbor(br#" { "b":2, "Z":[true,null], "\u0061a":1 } "#).unwrap(), bytes);
}

#[test]
fn the_largest_integers_are_written_digit_by_digit() {
    let max = i64::try_from(MAX_INTEGER).unwrap();
    assert_eq!(to_string(&[max, -max]).unwrap(), "[9007199254740991,-9007199254740991]");
}

/// The library alone rounds these: 9007199254740993 would become 9007199254740992.
#[test]
fn integers_that_json_would_round_are_refused() {
    for number in [MAX_INTEGER + 1, MAX_INTEGER + 2, u64::MAX] {
        let error = to_string(&number).unwrap_err();
        assert!(matches!(error, Error::Cbor(e) if e.reason() == Some(Reason::IntegerRange)));
        assert_eq!(reason(&number.to_string()), Some(Reason::IntegerRange));
    }
    assert_eq!(reason(&i64::MIN.to_string()), Some(Reason::IntegerRange));
}

#[test]
fn json_numbers_that_are_no_plain_integers_are_refused() {
    for json in ["1.0", "1.5", "1e2", "-0", "-0.0", "18446744073709551616"] {
        assert_eq!(reason(json), Some(Reason::Float), "{json}");
    }
    assert!(matches!(to_cbor(b"1E400"), Err(Error::Json(_))));
    assert!(to_string(&0.5).is_err());
    assert!(to_string(&f64::NAN).is_err());
}

#[test]
fn duplicate_keys_are_refused_also_when_spelled_differently() {
    assert_eq!(reason(r#"{"a":1,"a":1}"#), Some(Reason::KeyDuplicate));
    assert_eq!(reason(r#"[{"x":{"a":1,"\u0061":2}}]"#), Some(Reason::KeyDuplicate));
    let error = to_cbor(br#"[{"x":{"a":1,"b":0,"a":2}}]"#).unwrap_err();
    assert_eq!(error.to_string(), "no canonical CBOR for the value at \"/0/x/a\": duplicate map key");
}

#[test]
fn what_is_not_one_json_value_is_refused() {
    for json in ["", "1 1", "[1,]", "{\"a\":1}x", "nul", "\"\\ud800\"", "NaN", "\u{feff}1", "'a'", "01"] {
        assert!(matches!(to_cbor(json.as_bytes()), Err(Error::Json(_))), "{json}");
    }
    assert!(matches!(to_cbor(b"\"\xff\""), Err(Error::Json(_))));
}

#[test]
fn nesting_is_limited_and_never_overflows_the_stack() {
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    assert!(to_cbor(nested(32).as_bytes()).is_ok());
    assert_eq!(reason(&nested(33)), Some(Reason::Depth { limit: 32 }));
    assert!(matches!(to_cbor(nested(100_000).as_bytes()), Err(Error::Json(_))));
}

#[test]
fn json_with_too_many_items_is_refused_before_it_is_parsed() {
    let limit = cbor::Limits::DOCUMENT.items;
    // Not JSON at the end, so only a check in front of the parser reports the number of items.
    let flood = format!("[{}", "0,".repeat(2 * limit));
    assert_eq!(reason(&flood), Some(Reason::Items { limit }));

    assert_eq!(structure(br#"["\",,:[{\\",{"a":0}]"#), 4, "what is in text is no structure");
}

#[test]
fn bytes_outside_the_profile_have_no_projection() {
    assert!(matches!(from_cbor(b"\x18\x00"), Err(Error::Cbor(_))));
    assert!(matches!(from_cbor(b"\xa2\x61b\x00\x61a\x00"), Err(Error::Cbor(_))));
}

/// The library, given the type itself, would be told that JSON is human-readable and write the
/// address as text; the projection shows what the CBOR says.
#[test]
fn a_value_and_its_cbor_have_one_projection() {
    #[derive(Serialize)]
    struct Peer {
        address: std::net::Ipv4Addr,
    }
    let peer = Peer { address: [127, 0, 0, 1].into() };
    assert_eq!(to_string(&peer).unwrap(), r#"{"address":[127,0,0,1]}"#);
    assert_eq!(to_string(&peer).unwrap().into_bytes(), from_cbor(&cbor::to_vec(&peer).unwrap()).unwrap());
}

proptest! {
    #[test]
    fn cbor_survives_the_way_through_json(item in properties::item(64)) {
        let bytes = cbor::to_vec(&item).unwrap();
        let json = from_cbor(&bytes).unwrap();
        prop_assert_eq!(to_cbor(&json).unwrap(), bytes);
        // The library agrees that its output is canonical.
        let parsed: serde_json::Value = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(serde_json_canonicalizer::to_vec(&parsed).unwrap(), json);
    }

    #[test]
    fn any_text_is_read_without_panic(text in "[\\[\\]{}:,\"\\\\au0-9eE.+-]{0,40}") {
        if let Ok(bytes) = to_cbor(text.as_bytes()) {
            prop_assert_eq!(to_cbor(&from_cbor(&bytes).unwrap()).unwrap(), bytes);
        }
    }
}

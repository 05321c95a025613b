//! The examples of RFC 8949: Appendix A (encoded items), Appendix F (not well-formed bytes) and
//! §4.2.1 (order of keys).

use serde_json::Value as Json;

use super::super::{Reason, from_slice, to_vec};
use super::{fault, hex};

/// Rows of Appendix A in the profile, as JSON and as hexadecimal.
const ACCEPTED: &[(&str, &str)] = &[
    ("0", "00"),
    ("1", "01"),
    ("10", "0a"),
    ("23", "17"),
    ("24", "1818"),
    ("25", "1819"),
    ("100", "1864"),
    ("1000", "1903e8"),
    ("1000000", "1a000f4240"),
    ("1000000000000", "1b000000e8d4a51000"),
    ("-1", "20"),
    ("-10", "29"),
    ("-100", "3863"),
    ("-1000", "3903e7"),
    ("false", "f4"),
    ("true", "f5"),
    ("null", "f6"),
    (r#""""#, "60"),
    (r#""a""#, "6161"),
    (r#""IETF""#, "6449455446"),
    (r#""\"\\""#, "62225c"),
    (r#""\u00fc""#, "62c3bc"),
    (r#""\u6c34""#, "63e6b0b4"),
    (r#""\ud800\udd51""#, "64f0908591"),
    ("[]", "80"),
    ("[1,2,3]", "83010203"),
    ("[1,[2,3],[4,5]]", "8301820203820405"),
    (
        "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25]",
        "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
    ),
    ("{}", "a0"),
    (r#"{"a":1,"b":[2,3]}"#, "a26161016162820203"),
    (r#"["a",{"b":"c"}]"#, "826161a161626163"),
    (r#"{"a":"A","b":"B","c":"C","d":"D","e":"E"}"#, "a56161614161626142616361436164614461656145"),
];

/// The other rows of Appendix A, and where and why each leaves the profile.
const REFUSED: &[(&str, &str, usize, Reason)] = &[
    ("18446744073709551615", "1bffffffffffffffff", 0, Reason::IntegerRange),
    ("18446744073709551616", "c249010000000000000000", 0, Reason::Tag),
    ("-18446744073709551616", "3bffffffffffffffff", 0, Reason::IntegerRange),
    ("-18446744073709551617", "c349010000000000000000", 0, Reason::Tag),
    ("0.0", "f90000", 0, Reason::Float),
    ("-0.0", "f98000", 0, Reason::Float),
    ("1.0", "f93c00", 0, Reason::Float),
    ("1.1", "fb3ff199999999999a", 0, Reason::Float),
    ("1.5", "f93e00", 0, Reason::Float),
    ("65504.0", "f97bff", 0, Reason::Float),
    ("100000.0", "fa47c35000", 0, Reason::Float),
    ("3.4028234663852886e+38", "fa7f7fffff", 0, Reason::Float),
    ("1.0e+300", "fb7e37e43c8800759c", 0, Reason::Float),
    ("5.960464477539063e-8", "f90001", 0, Reason::Float),
    ("0.00006103515625", "f90400", 0, Reason::Float),
    ("-4.0", "f9c400", 0, Reason::Float),
    ("-4.1", "fbc010666666666666", 0, Reason::Float),
    ("Infinity", "f97c00", 0, Reason::Float),
    ("NaN", "f97e00", 0, Reason::Float),
    ("-Infinity", "f9fc00", 0, Reason::Float),
    ("Infinity", "fa7f800000", 0, Reason::Float),
    ("NaN", "fa7fc00000", 0, Reason::Float),
    ("-Infinity", "faff800000", 0, Reason::Float),
    ("Infinity", "fb7ff0000000000000", 0, Reason::Float),
    ("NaN", "fb7ff8000000000000", 0, Reason::Float),
    ("-Infinity", "fbfff0000000000000", 0, Reason::Float),
    ("undefined", "f7", 0, Reason::Simple),
    ("simple(16)", "f0", 0, Reason::Simple),
    ("simple(255)", "f8ff", 0, Reason::Simple),
    ("0(\"2013-03-21T20:04:00Z\")", "c074323031332d30332d32315432303a30343a30305a", 0, Reason::Tag),
    ("1(1363896240)", "c11a514b67b0", 0, Reason::Tag),
    ("1(1363896240.5)", "c1fb41d452d9ec200000", 0, Reason::Tag),
    ("23(h'01020304')", "d74401020304", 0, Reason::Tag),
    ("24(h'6449455446')", "d818456449455446", 0, Reason::Tag),
    ("32(\"http://www.example.com\")", "d82076687474703a2f2f7777772e6578616d706c652e636f6d", 0, Reason::Tag),
    ("h''", "40", 0, Reason::ByteString),
    ("h'01020304'", "4401020304", 0, Reason::ByteString),
    ("{1: 2, 3: 4}", "a201020304", 1, Reason::KeyNotText),
    ("(_ h'0102', h'030405')", "5f42010243030405ff", 0, Reason::ByteString),
    ("(_ \"strea\", \"ming\")", "7f657374726561646d696e67ff", 0, Reason::Indefinite),
    ("[_ ]", "9fff", 0, Reason::Indefinite),
    ("[_ 1, [2, 3], [_ 4, 5]]", "9f018202039f0405ffff", 0, Reason::Indefinite),
    ("[_ 1, [2, 3], [4, 5]]", "9f01820203820405ff", 0, Reason::Indefinite),
    ("[1, [2, 3], [_ 4, 5]]", "83018202039f0405ff", 5, Reason::Indefinite),
    ("[1, [_ 2, 3], [4, 5]]", "83019f0203ff820405", 2, Reason::Indefinite),
    (
        "[_ 1, 2, 3, ..., 25]",
        "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
        0,
        Reason::Indefinite,
    ),
    ("{_ \"a\": 1, \"b\": [_ 2, 3]}", "bf61610161629f0203ffff", 0, Reason::Indefinite),
    ("[\"a\", {_ \"b\": \"c\"}]", "826161bf61626163ff", 3, Reason::Indefinite),
    ("{_ \"Fun\": true, \"Amt\": -2}", "bf6346756ef563416d7421ff", 0, Reason::Indefinite),
];

/// Appendix F: examples of bytes that are not well-formed CBOR, subkinds 1 to 5.
const MALFORMED: &[&str] = &[
    // End of input in a head.
    "18, 19, 1a, 1b, 1901, 1a0102, 1b01020304050607, 38, 58, 78, 98, 9a01ff00, b8, d8, f8, f900, fa0000",
    "fb000000",
    // Definite-length strings with short data.
    "41, 61, 5affffffff00, 5bffffffffffffffff010203, 7affffffff00, 7b7fffffffffffffff010203",
    // Definite-length maps and arrays not closed with enough items.
    "81, 818181818181818181, 8200, a1, a20102, a100, a2000000",
    // Tag number not followed by tag content.
    "c0",
    // Indefinite-length strings, maps and arrays not closed by a break.
    "5f4100, 7f6100, 9f, 9f0102, bf, bf01020102, 819f, 9f8000, 9f9f9f9f9fffffffff, 9f819f819f9fffffff",
    // Reserved additional information values.
    "1c, 1d, 1e, 3c, 3d, 3e, 5c, 5d, 5e, 7c, 7d, 7e, 9c, 9d, 9e, bc, bd, be, dc, dd, de, fc, fd, fe",
    // Reserved two-byte encodings of simple values.
    "f800, f801, f818, f81f",
    // Indefinite-length string chunks not of the correct type, or not definite.
    "5f00ff, 5f21ff, 5f6100ff, 5f80ff, 5fa0ff, 5fc000ff, 5fe0ff, 7f4100ff, 5f5f4100ffff, 7f7f6100ffff",
    // Break where no item of indefinite length is open.
    "ff, 81ff, 8200ff, a1ff, a1ff00, a100ff, a20000ff, 9f81ff, 9f829f819f9fffffffff",
    // Break in an indefinite-length map after an odd number of items.
    "bf00ff, bf000000ff",
    // Major types 0, 1 and 6 with additional information 31.
    "1f, 3f, df",
];

#[test]
fn the_items_of_appendix_a_in_the_profile_are_read_and_written() {
    for (json, encoded) in ACCEPTED {
        let value: Json = serde_json::from_str(json).unwrap();
        let bytes = hex(encoded);
        assert_eq!(fault(&bytes), None, "{json}");
        assert_eq!(from_slice::<Json>(&bytes).unwrap(), value);
        assert_eq!(to_vec(&value).unwrap(), bytes, "{json}");
    }
}

#[test]
fn the_items_of_appendix_a_outside_the_profile_are_refused_with_place_and_reason() {
    for (diagnostic, encoded, offset, reason) in REFUSED {
        assert_eq!(fault(&hex(encoded)), Some((*offset, *reason)), "{diagnostic}");
    }
}

#[test]
fn all_81_rows_of_appendix_a_are_here() {
    assert_eq!(ACCEPTED.len() + REFUSED.len(), 81);
}

#[test]
fn the_malformed_bytes_of_appendix_f_are_refused() {
    for encoded in MALFORMED.iter().flat_map(|row| row.split(", ")) {
        assert!(fault(&hex(encoded)).is_some(), "{encoded}");
    }
}

/// §4.2.1 sorts 10, 100, -1, "z", "aa", [100], [-1], false; the text keys keep their order here,
/// joined by one long enough for a two-byte head.
#[test]
fn keys_are_sorted_by_their_encoding() {
    let long = "a".repeat(24);
    let map = std::collections::BTreeMap::from([("aa", 2), ("z", 1), ("", 0), (&long, 3)]);
    assert!(to_vec(&map).is_err(), "the empty key");

    let map = std::collections::BTreeMap::from([("aa", 2), ("z", 1), (&long, 3)]);
    let expected = hex(&format!("a3 617a01 62616102 7818{} 03", "61".repeat(24)));
    assert_eq!(to_vec(&map).unwrap(), expected);
}

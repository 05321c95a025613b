//! What the validator refuses, rule by rule, and exactly where each limit lies.

use super::super::{KEY_MAX, Limits, MAX_INTEGER, Reason, validate};
use super::{fault, hex};

fn text(len: usize) -> Vec<u8> {
    let mut bytes = vec![0x7a];
    bytes.extend(u32::try_from(len).unwrap().to_be_bytes());
    bytes.resize(bytes.len() + len, b'x');
    bytes
}

/// An array or map of one key, `depth` times inside itself.
fn nested(opener: &str, depth: usize) -> Vec<u8> {
    let mut bytes = hex(opener).repeat(depth);
    bytes.push(0);
    bytes
}

#[test]
fn heads_longer_than_needed_are_refused() {
    for encoded in [
        "1800",
        "1817",
        "190000",
        "1900ff",
        "1a00000000",
        "1a0000ffff",
        "1b0000000000000000",
        "1b00000000ffffffff",
        "3800",
        "3817",
        "3900ff",
        "3a0000ffff",
        "3b00000000ffffffff",
        "780161",
        "79000161",
        "9800",
        "990000",
        "9b0000000000000000",
        "b800",
        "bb0000000000000000",
    ] {
        assert_eq!(fault(&hex(encoded)), Some((0, Reason::NotShortest)), "{encoded}");
    }
    assert_eq!(fault(&hex("a1 780161 00")), Some((1, Reason::NotShortest)), "a key");
}

#[test]
fn the_smallest_number_of_every_head_is_accepted() {
    for encoded in ["1818", "190100", "1a00010000", "1b0000000100000000", "3818", "3b0000000100000000"] {
        assert_eq!(fault(&hex(encoded)), None, "{encoded}");
    }
}

#[test]
fn integers_end_at_two_to_the_53_minus_1() {
    let encode = |head: u8, argument: u64| [&[head][..], &argument.to_be_bytes()].concat();
    assert_eq!(fault(&encode(0x1b, MAX_INTEGER)), None);
    assert_eq!(fault(&encode(0x1b, MAX_INTEGER + 1)), Some((0, Reason::IntegerRange)));
    assert_eq!(fault(&encode(0x3b, MAX_INTEGER - 1)), None);
    assert_eq!(fault(&encode(0x3b, MAX_INTEGER)), Some((0, Reason::IntegerRange)));
}

#[test]
fn every_initial_byte_of_major_type_7_but_three_is_refused() {
    for initial in 0xe0..=0xff_u8 {
        // Enough behind it for every width.
        let bytes = [&[initial][..], &[0x20; 8]].concat();
        let expected = match initial {
            0xf4..=0xf6 => (1, Reason::Trailing),
            0xf9..=0xfb => (0, Reason::Float),
            0xfc..=0xfe => (0, Reason::Reserved),
            0xff => (0, Reason::Indefinite),
            _ => (0, Reason::Simple),
        };
        assert_eq!(fault(&bytes), Some(expected), "{initial:#x}");
    }
    assert_eq!(fault(&hex("f814")), Some((0, Reason::Simple)), "false in two bytes");
}

#[test]
fn claims_beyond_the_input_are_refused_at_once() {
    for head in ["7b", "9b", "bb"] {
        for claim in ["1000000000000000", "ffffffffffffffff", "0000000100000000", "8000000000000000"] {
            assert_eq!(fault(&hex(&format!("{head}{claim}"))), Some((0, Reason::Truncated)), "{head}{claim}");
        }
    }
    assert_eq!(fault(&hex("a1 7b1000000000000000")), Some((1, Reason::Truncated)), "a key");
    assert_eq!(fault(&hex("82 00 9b1000000000000000")), Some((2, Reason::Truncated)), "inside");
}

#[test]
fn every_proper_prefix_is_refused_as_truncated() {
    let bytes = hex("a3 6161 83 1903e8 f6 60 6162 63e6b0b4 627a7a a1 6163 1b000000e8d4a51000");
    assert_eq!(fault(&bytes), None);
    for len in 0..bytes.len() {
        let (_, reason) = fault(&bytes[..len]).unwrap();
        assert_eq!(reason, Reason::Truncated, "{len} bytes");
    }
}

#[test]
fn bytes_after_the_item_are_refused() {
    assert_eq!(fault(&hex("00 00")), Some((1, Reason::Trailing)));
    assert_eq!(fault(&hex("a0 ff")), Some((1, Reason::Trailing)));
    assert_eq!(fault(&hex("")), Some((0, Reason::Truncated)));
}

#[test]
fn keys_out_of_order_and_duplicates_are_refused() {
    assert_eq!(fault(&hex("a2 6162 00 6161 00")), Some((4, Reason::KeyOrder)));
    assert_eq!(fault(&hex("a2 626161 00 617a 00")), Some((5, Reason::KeyOrder)), "shorter first");
    assert_eq!(fault(&hex("a2 6161 01 6161 02")), Some((4, Reason::KeyDuplicate)));
    assert_eq!(fault(&hex("a1 6161 a2 6162 00 6161 00")), Some((7, Reason::KeyOrder)), "inside");
}

#[test]
fn keys_are_printable_ascii_text_of_limited_length() {
    assert_eq!(fault(&hex("a1 60 00")), Some((1, Reason::KeyLength)));
    assert_eq!(fault(&hex("a1 62610a 00")), Some((3, Reason::KeyNotPrintable)));
    assert_eq!(fault(&hex("a1 617f 00")), Some((2, Reason::KeyNotPrintable)));
    assert_eq!(fault(&hex("a1 62c3bc 00")), Some((2, Reason::KeyNotPrintable)));
    assert_eq!(fault(&hex("a1 6120 00")), None);
    assert_eq!(fault(&hex("a1 617e 00")), None);
    assert_eq!(fault(&hex("a1 4161 00")), Some((1, Reason::ByteString)));

    let key = |len: usize| hex(&format!("a1 79{len:04x}{}00", "61".repeat(len)));
    assert_eq!(fault(&key(KEY_MAX)), None);
    assert_eq!(fault(&key(KEY_MAX + 1)), Some((1, Reason::KeyLength)));
}

#[test]
fn text_that_is_not_utf8_is_refused_at_the_bad_byte() {
    for (encoded, offset) in [
        ("61 ff", 1),
        ("63 6161c3", 3),
        ("62 c080", 1),
        ("63 eda080", 1),
        ("64 f4908080", 1),
        ("82 00 63 61ff61", 4),
    ] {
        assert_eq!(fault(&hex(encoded)), Some((offset, Reason::Utf8)), "{encoded}");
    }
}

#[test]
fn nesting_ends_at_the_limit() {
    for opener in ["81", "a16161"] {
        assert_eq!(fault(&nested(opener, 32)), None);
        let offset = hex(opener).len() * 32;
        assert_eq!(fault(&nested(opener, 33)), Some((offset, Reason::Depth { limit: 32 })));
        assert_eq!(fault(&nested(opener, 200_000)), Some((offset, Reason::Depth { limit: 32 })));
    }
    let none = Limits { depth: 0, ..Limits::EVENT };
    assert!(validate(&[0x00], &none).is_ok());
    assert_eq!(validate(&[0x80], &none).unwrap_err().reason(), Some(Reason::Depth { limit: 0 }));
    let most = Limits { depth: u8::MAX, ..Limits::EVENT };
    assert!(validate(&nested("81", 255), &most).is_ok());
    assert!(validate(&nested("81", 256), &most).is_err());
}

#[test]
fn text_items_and_bytes_end_at_their_limits() {
    let limit = Limits::EVENT.text;
    assert_eq!(fault(&text(limit)), None);
    assert_eq!(fault(&text(limit + 1)), Some((0, Reason::Text { limit })));

    let limits = Limits { total: 4, items: 3, ..Limits::EVENT };
    assert!(validate(&hex("82 00 00"), &limits).is_ok());
    let error = validate(&hex("83 00 00 00"), &limits).unwrap_err();
    assert_eq!(error.to_string(), "not canonical CBOR at byte 3: more than 3 items");
    let error = validate(&hex("82 820000 00"), &limits).unwrap_err();
    assert_eq!(error.to_string(), "not canonical CBOR at byte 4: more than 4 bytes");
}

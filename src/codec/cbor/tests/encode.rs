//! What serde types become, and what comes back.

use std::collections::{BTreeMap, HashMap};

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use super::super::{Error, Limits, MAX_INTEGER, Reason, from_slice, from_slice_with_limits};
use super::super::{to_vec, to_vec_with_limits};
use super::{fault, hex};

/// A map that says its entries in the given order, repeated or not.
struct Entries(Vec<(&'static str, u64)>);

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // No length: ciborium alone would write an indefinite-length map.
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

fn refusal<T: Serialize + ?Sized>(value: &T) -> (String, Reason) {
    match to_vec(value).unwrap_err() {
        Error::Value { at, reason } => (at, reason),
        other => panic!("{other}"),
    }
}

#[test]
fn struct_fields_are_sorted_whatever_their_declaration_order() {
    #[derive(Serialize)]
    struct Declared {
        zeta: u8,
        alpha: u8,
        b: u8,
    }
    let bytes = to_vec(&Declared { zeta: 1, alpha: 2, b: 3 }).unwrap();
    assert_eq!(bytes, hex("a3 6162 03 647a657461 01 65616c706861 02"));
}

#[test]
fn a_shorter_key_comes_first_although_rust_orders_it_last() {
    let map = BTreeMap::from([("aa", 1), ("b", 2)]);
    assert_eq!(to_vec(&map).unwrap(), hex("a2 6162 02 626161 01"));
}

#[test]
fn equal_hash_maps_give_equal_bytes() {
    // Every HashMap has its own seed, hence its own order.
    let map = || (0..200).map(|n| (format!("key-{n}"), n)).collect::<HashMap<_, _>>();
    let bytes = to_vec(&map()).unwrap();
    assert!((0..8).all(|_| to_vec(&map()).unwrap() == bytes));
}

#[test]
fn flattened_structs_are_definite_and_sorted() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Open {
        z: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    let value = Open { z: 1, rest: BTreeMap::from([("a".into(), 2), ("bb".into(), 3)]) };
    let bytes = to_vec(&value).unwrap();
    assert_eq!(bytes, hex("a3 6161 02 617a 01 626262 03"));
    assert_eq!(from_slice::<Open>(&bytes).unwrap(), value);
}

#[test]
fn a_key_repeated_by_a_serializer_is_refused_and_not_merged() {
    assert_eq!(refusal(&Entries(vec![("a", 1), ("b", 2), ("a", 1)])), ("/a".into(), Reason::KeyDuplicate));
    assert_eq!(to_vec(&Entries(vec![("b", 1), ("a", 2)])).unwrap(), hex("a2 6161 02 6162 01"));
}

#[test]
fn values_outside_the_profile_are_refused_with_their_path() {
    #[derive(Serialize)]
    struct Outer<T> {
        list: Vec<BTreeMap<&'static str, T>>,
    }
    let outer = |value| Outer { list: vec![BTreeMap::new(), BTreeMap::from([("a/~b", value)])] };
    assert_eq!(refusal(&outer(1.0)), ("/list/1/a~1~0b".into(), Reason::Float));

    assert_eq!(refusal(&f64::NAN).1, Reason::Float);
    assert_eq!(refusal(&1.0_f32).1, Reason::Float);
    assert_eq!(refusal(&(MAX_INTEGER + 1)).1, Reason::IntegerRange);
    assert_eq!(refusal(&i64::MIN).1, Reason::IntegerRange);
    assert_eq!(refusal(&u64::MAX).1, Reason::IntegerRange);
    assert_eq!(refusal(&u128::MAX).1, Reason::IntegerRange);
    assert_eq!(refusal(&i128::MIN).1, Reason::IntegerRange);
    assert_eq!(refusal(&ciborium::Value::Bytes(vec![1])).1, Reason::ByteString);
    assert_eq!(refusal(&ciborium::tag::Required::<u8, 1>(2)).1, Reason::Tag);
    assert_eq!(refusal(&BTreeMap::from([(1, 2)])).1, Reason::KeyNotText);
    assert_eq!(refusal(&BTreeMap::from([("", 2)])).1, Reason::KeyLength);
    assert_eq!(refusal(&BTreeMap::from([("ü", 2)])).1, Reason::KeyNotPrintable);
    assert_eq!(refusal(&BTreeMap::from([("k".repeat(257), 2)])).1, Reason::KeyLength);
    assert_eq!(refusal(&"x".repeat(65_537)).1, Reason::Text { limit: 65_536 });
}

#[test]
fn integers_of_any_width_have_one_encoding() {
    let max = i64::try_from(MAX_INTEGER).unwrap();
    assert_eq!(to_vec(&max).unwrap(), hex("1b001fffffffffffff"));
    assert_eq!(to_vec(&-max).unwrap(), hex("3b001ffffffffffffe"));
    assert_eq!(to_vec(&5_u8).unwrap(), to_vec(&5_i128).unwrap());
    assert_eq!(from_slice::<i64>(&to_vec(&-max).unwrap()).unwrap(), -max);
}

#[test]
fn limits_hold_for_writing_too() {
    let limits = Limits { total: 8, items: 4, depth: 2, text: 4 };
    let reason = |value: &serde_json::Value| to_vec_with_limits(value, &limits).unwrap_err().reason();
    assert!(to_vec_with_limits(&serde_json::json!([[0], 0]), &limits).is_ok());
    assert_eq!(reason(&serde_json::json!([[[]]])), Some(Reason::Depth { limit: 2 }));
    assert_eq!(reason(&serde_json::json!([0, 0, 0, 0])), Some(Reason::Items { limit: 4 }));
    assert_eq!(reason(&serde_json::json!({"a": 0, "b": 0})), Some(Reason::Items { limit: 4 }));
    assert_eq!(reason(&serde_json::json!(["abcd", "abcd"])), Some(Reason::Total { limit: 8 }));
    assert_eq!(reason(&serde_json::json!("abcde")), Some(Reason::Text { limit: 4 }));
    assert!(from_slice_with_limits::<Vec<u8>>(&hex("84 00000000"), &limits).is_err());
}

#[test]
fn what_a_type_ignores_is_validated_all_the_same() {
    #[derive(Deserialize, Debug)]
    struct Known {
        a: u8,
    }
    assert_eq!(from_slice::<Known>(&hex("a2 6161 01 6162 80")).unwrap().a, 1);
    for (skipped, reason) in [
        ("9fff", Reason::Indefinite),
        ("1800", Reason::NotShortest),
        ("a2 6162 00 6161 00", Reason::KeyOrder),
        ("f93c00", Reason::Float),
    ] {
        let error = from_slice::<Known>(&hex(&format!("a2 6161 01 6162 {skipped}"))).unwrap_err();
        assert_eq!(error.reason(), Some(reason), "{skipped}");
    }
}

#[test]
fn canonical_bytes_of_another_type_are_told_apart_from_invalid_ones() {
    assert!(matches!(from_slice::<u8>(&hex("6161")), Err(Error::Deserialize(_))));
    assert!(matches!(from_slice::<u8>(&hex("190100")), Err(Error::Deserialize(_))));
    assert!(matches!(from_slice::<u8>(&hex("1801")), Err(Error::Bytes { .. })));
}

#[test]
fn what_a_type_says_of_bytes_it_does_not_take_was_told_as_to_a_debugger() {
    #[derive(Debug)]
    struct Picky;
    impl<'de> Deserialize<'de> for Picky {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("\"x\" is not for me"))
        }
    }
    let error = from_slice::<Picky>(&hex("01")).unwrap_err();
    assert_eq!(error.to_string(), "canonical CBOR of another type: \"x\" is not for me");
}

/// ciborium's streaming reader takes `[{"Bare": "Full"}, 9]` for `[Bare, Full(9)]`: it leaves the
/// content of the unit variant unread and then takes it for the next element.
#[test]
fn a_unit_variant_given_content_does_not_shift_what_follows() {
    #[derive(Deserialize, PartialEq, Debug)]
    enum Kind {
        Bare,
        Full(u8),
    }
    let bytes = hex("82 a1 6442617265 6446756c6c 09");
    assert_eq!(fault(&bytes), None);
    let slipped: Vec<Kind> = ciborium::from_reader(&bytes[..]).unwrap();
    assert_eq!(slipped, [Kind::Bare, Kind::Full(9)], "ciborium changed; the tree may be dispensable");
    assert!(matches!(from_slice::<Vec<Kind>>(&bytes), Err(Error::Deserialize(_))));
}

#[test]
fn enums_options_and_long_texts_come_back() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(tag = "type", rename_all = "lowercase")]
    enum Event {
        Put { name: String, size: Option<u64> },
        Nothing,
    }
    let put = Event::Put { name: "x".repeat(60_000), size: None };
    for event in [put, Event::Put { name: String::new(), size: Some(7) }, Event::Nothing] {
        let bytes = to_vec(&event).unwrap();
        assert_eq!(fault(&bytes), None);
        assert_eq!(from_slice::<Event>(&bytes).unwrap(), event);
    }
}

#[test]
fn a_value_of_another_type_is_refused_with_the_field_and_not_all_of_a_long_text() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[allow(dead_code)]
        size: u64,
    }
    let refusal =
        |value: serde_json::Value| from_slice::<Wanted>(&to_vec(&value).unwrap()).unwrap_err().to_string();
    assert!(refusal(serde_json::json!({})).contains("`size`"));
    let strange = refusal(serde_json::json!({ "size": 1, "sizes": 2 }));
    assert!(strange.contains("`sizes`") && strange.contains("another type"), "{strange}");
    let long = refusal(serde_json::json!({ "size": "é".repeat(30_000) }));
    assert!(long.contains("invalid type: string") && long.len() < 400, "{} bytes", long.len());
}

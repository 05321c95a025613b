//! Properties over random values and random bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::super::{Limits, MAX_INTEGER, from_slice, to_vec, validate};

/// Every value of the profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in super::super::super) enum Item {
    Null,
    Bool(bool),
    Integer(i64),
    Text(String),
    Array(Vec<Item>),
    Map(BTreeMap<String, Item>),
}

const MAX: i64 = MAX_INTEGER.cast_signed();

fn integer() -> impl Strategy<Value = i64> {
    // Around every change of head as well as anywhere.
    let edges = [0_i64, 24, 1 << 8, 1 << 16, 1 << 32, MAX];
    let near = (prop::sample::select(edges.to_vec()), -2..=2_i64, any::<bool>());
    let near = near.prop_map(|(edge, off, minus)| {
        let n = (edge + off).clamp(-MAX, MAX);
        if minus { -n } else { n }
    });
    prop_oneof![near, -MAX..=MAX, -30..30_i64]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-c]{0,3}", "[\\x00-\\x7f]{20,30}"]
}

fn key() -> impl Strategy<Value = String> {
    let long = (250..=256_usize).prop_map(|len| "k".repeat(len));
    prop_oneof!["[a-c]{1,3}", "[ -~]{1,30}", long]
}

/// Values of up to `size` items.
pub(in super::super::super) fn item(size: u32) -> impl Strategy<Value = Item> {
    let leaf = prop_oneof![
        Just(Item::Null),
        any::<bool>().prop_map(Item::Bool),
        integer().prop_map(Item::Integer),
        text().prop_map(Item::Text),
    ];
    leaf.prop_recursive(6, size, 16, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..30).prop_map(Item::Array),
            prop::collection::btree_map(key(), inner, 0..30).prop_map(Item::Map),
        ]
    })
}

/// Bytes that are often nearly valid: mostly heads the profile uses, and short texts.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => prop::sample::select(b"\x00\x17\x18\x20\x60\x61\x62\x78\x80\x81\x82\xa0\xa1\xa2\xf4\xf6ab".to_vec()),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..24)
}

/// The judgement of a second implementation: valid is what ciborium reads and the encoder writes
/// back as it was.
fn is_fixed_point(bytes: &[u8]) -> bool {
    let value: Result<ciborium::Value, _> = ciborium::from_reader(bytes);
    value.is_ok_and(|value| to_vec(&value).is_ok_and(|written| written == bytes))
}

/// Every change of one bit, and every deletion and insertion of one byte.
fn mutations(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let flips = (0..bytes.len() * 8).map(|bit| {
        let mut copy = bytes.to_vec();
        copy[bit / 8] ^= 1 << (bit % 8);
        copy
    });
    let deletions = (0..bytes.len()).map(|at| [&bytes[..at], &bytes[at + 1..]].concat());
    let insertions = (0..=bytes.len())
        .flat_map(move |at| (0..=u8::MAX).map(move |byte| [&bytes[..at], &[byte], &bytes[at..]].concat()));
    flips.chain(deletions).chain(insertions)
}

proptest! {
    #[test]
    fn values_are_written_as_dag_cbor_writes_them(item in item(64)) {
        prop_assert_eq!(to_vec(&item).unwrap(), serde_ipld_dagcbor::to_vec(&item).unwrap());
    }

    #[test]
    fn what_is_written_is_valid_and_comes_back(item in item(64)) {
        let bytes = to_vec(&item).unwrap();
        validate(&bytes, &Limits::EVENT).unwrap();
        let back: Item = from_slice(&bytes).unwrap();
        prop_assert_eq!(&back, &item);
        prop_assert_eq!(to_vec(&back).unwrap(), bytes);
    }

    #[test]
    fn any_bytes_are_judged_without_panic_and_as_the_second_implementation_does(
        bytes in prop_oneof![noise(), prop::collection::vec(any::<u8>(), 0..64)],
    ) {
        prop_assert_eq!(validate(&bytes, &Limits::DOCUMENT).is_ok(), is_fixed_point(&bytes));
    }
}

proptest! {
    // Each case tries some tens of thousands of mutations.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_changed_byte_is_noticed_or_says_something_else(item in item(6)) {
        let bytes = to_vec(&item).unwrap();
        prop_assume!(bytes.len() <= 200);
        for mutation in mutations(&bytes).filter(|mutation| *mutation != bytes) {
            let valid = validate(&mutation, &Limits::DOCUMENT).is_ok();
            prop_assert_eq!(valid, is_fixed_point(&mutation), "{:02x?}", mutation);
            if valid {
                let changed: Item = from_slice(&mutation).unwrap();
                prop_assert_ne!(&changed, &item, "{:02x?}", mutation);
            }
        }
    }
}

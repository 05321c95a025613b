//! Whatever is done to the golden documents, what is still read has one spelling.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::{CONTENT_CBOR, CONTENT_JSON, REGISTRY_CBOR, REGISTRY_JSON, is_valid};
use crate::codec::jcs;
use crate::package::{ContentManifest, Manifest};

/// The places of every value in a document, as JSON pointers; its keys need no escapes.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(entries) => {
            entries.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| places(value, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

/// Whether the reader took the bytes; it then writes the same.
fn is_read_as_it_is(cbor: &[u8]) -> bool {
    let content = ContentManifest::decode(cbor).map(|manifest| manifest.encode().unwrap());
    let registry = Manifest::decode(cbor).map(|manifest| manifest.encode().unwrap());
    let read = content.or(registry);
    if let Ok(bytes) = &read {
        assert_eq!(bytes, cbor);
    }
    read.is_ok()
}

proptest! {
    #[test]
    fn a_damaged_document_is_refused_or_has_one_spelling(registry: bool, at: Index, byte: u8, cut in any::<Option<Index>>()) {
        let mut bytes = if registry { REGISTRY_CBOR } else { CONTENT_CBOR }.to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        is_read_as_it_is(&bytes);
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(!is_read_as_it_is(&bytes));
        }
    }

    #[test]
    fn a_document_with_another_value_in_it_is_refused_or_has_one_spelling(
        registry: bool,
        at: Index,
        value in prop::sample::select(vec![json!(null), json!(0), json!(-1), json!(""), json!("a"), json!([]), json!({})]),
        is_removed: bool,
    ) {
        let mut document: Value = serde_json::from_slice(if registry { REGISTRY_JSON } else { CONTENT_JSON }).unwrap();
        let mut found = Vec::new();
        places(&document, "", &mut found);
        let place = at.get(&found);
        match place.rsplit_once('/') {
            Some((outer, key)) if is_removed => match document.pointer_mut(outer).unwrap() {
                Value::Object(entries) => drop(entries.remove(key)),
                Value::Array(items) => drop(items.remove(key.parse().unwrap())),
                _ => unreachable!("{place} is inside it"),
            },
            _ => *document.pointer_mut(place).unwrap() = value,
        }
        let is_read = is_read_as_it_is(&jcs::to_cbor(document.to_string().as_bytes()).unwrap());
        prop_assert!(!is_read || is_valid(&document), "read, and refused by the schema: {place} of {document}");
    }
}

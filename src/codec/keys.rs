//! Keys that stand twice in one JSON object.
//!
//! Readers disagree about which of the two counts, and `serde_json` merges them in silence.

use std::collections::HashSet;
use std::fmt;
use std::io::BufRead;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Any JSON in which no object has a key twice.
struct Once;

/// Refuses text that is not one JSON value, or that has a key twice in one object, at any depth. The error names the
/// key and its line. Keeps nothing but the keys of the objects it is in.
pub fn check_once(json: impl BufRead) -> Result<(), serde_json::Error> {
    serde_json::from_reader::<_, Once>(json).map(drop)
}

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_str<E>(self, _: &str) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Once, A::Error> {
        while items.next_element::<Once>()?.is_some() {}
        Ok(Once)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Once, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            entries.next_value::<Once>()?;
            if let Some(twice) = keys.replace(key) {
                return Err(A::Error::custom(format_args!("the key {twice:?} is there twice")));
            }
        }
        Ok(Once)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_twice_in_one_object_is_found_at_any_depth() {
        for (json, key) in [
            (r#"{"a":1,"a":1}"#, "\"a\""),
            (r#"{"a":[{"b":{"c":1,"d":0.5,"c":2}}]}"#, "\"c\""),
            (r#"{"a":1,"\u0061":2}"#, "\"a\""),
        ] {
            let refusal = check_once(json.as_bytes()).unwrap_err().to_string();
            assert!(refusal.contains(key) && refusal.contains("twice"), "{json}: {refusal}");
        }
        for json in [r#"{"a":{"a":[{"a":1},{"a":-1}]},"b":null,"c":1.5e3,"d":true}"#, "1", "[]"] {
            check_once(json.as_bytes()).unwrap();
        }
        for json in ["", "{", "{} {}"] {
            assert!(check_once(json.as_bytes()).is_err(), "{json}");
        }
    }
}

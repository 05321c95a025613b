//! The JSON documents of a run directory, and values in them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::PackagePath;
use super::{Kind, MAX_DOCUMENT, Place, Problem};
use crate::codec::keys::check_once;

/// Keys that are named when one is not found.
const SHOWN_KEYS: usize = 12;

/// The documents, parsed.
#[derive(Debug)]
pub(super) struct Documents<'a>(BTreeMap<&'a PackagePath, Value>);

impl<'a> Documents<'a> {
    /// Parses all of them; those that are no JSON, or nothing that could hold `places`, are reported and count as
    /// not there.
    pub(super) fn parse(
        documents: &'a BTreeMap<PackagePath, Vec<u8>>,
        places: &[&Place],
        problems: &mut Vec<Problem>,
    ) -> Documents<'a> {
        let mut parsed = BTreeMap::new();
        for (path, bytes) in documents {
            let holds = |place: &&&Place| place.document == *path && !place.pointer.is_empty();
            match parse(path, bytes) {
                // A value that need not be there is not in there either, and nobody would say so.
                Ok(value) if !value.is_object() && !value.is_array() => match places.iter().find(holds) {
                    Some(place) => {
                        let reason =
                            format!("is {}, and {} is looked for in it", type_of(&value), place.pointer);
                        problems.push(problem(path, "", reason));
                    }
                    None => drop(parsed.insert(path, value)),
                },
                Ok(value) => drop(parsed.insert(path, value)),
                Err(reason) => problems.push(problem(path, "", reason)),
            }
        }
        Documents(parsed)
    }

    /// The value at a place.
    pub(super) fn get(&self, place: &Place) -> Option<&Value> {
        self.0.get(&place.document)?.pointer(&place.pointer)
    }

    /// What to say when there is no value at a place: the nearest thing that is there.
    pub(super) fn missing(&self, place: &Place, what: &str) -> Problem {
        let Some(document) = self.0.get(&place.document) else {
            return problem(&place.document, "", format!("is not in the run directory; {what} is in it"));
        };
        let mut outer = place.pointer.as_str();
        while let Some((shorter, _)) = outer.rsplit_once('/') {
            outer = shorter;
            if let Some(found) = document.pointer(outer) {
                let at = if outer.is_empty() { "the document" } else { outer };
                let reason = format!("is not there, and {what} is taken from it; {at} {}", describe(found));
                return problem(&place.document, &place.pointer, reason);
            }
        }
        problem(&place.document, &place.pointer, format!("is not there, and {what} is taken from it"))
    }
}

fn parse(path: &PackagePath, bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err(format!("is larger than {MAX_DOCUMENT} bytes, too large to take metadata from"));
    }
    if !matches!(path.as_str().rsplit_once('.'), Some((_, "jsonl" | "ndjson"))) {
        if bytes.is_empty() {
            return Err("is empty, and has to be JSON".to_owned());
        }
        let not_json = |error| format!("is not JSON: {error}");
        check_once(bytes).map_err(not_json)?;
        return serde_json::from_slice(bytes).map_err(not_json);
    }
    let mut entries = Vec::new();
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            let entry = check_once(line).and_then(|()| serde_json::from_slice(line));
            entries.push(entry.map_err(|error| format!("is not JSON on line {}: {error}", at + 1))?);
        }
    }
    Ok(Value::Array(entries))
}

/// A problem with a value.
pub(super) fn problem(document: &PackagePath, pointer: &str, reason: String) -> Problem {
    Problem { document: Some(document.clone()), pointer: Some(pointer.to_owned()), reason }
}

/// What a value is, to somebody who looked for something else in it.
fn describe(value: &Value) -> String {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let keys: Vec<_> = map.keys().take(SHOWN_KEYS).map(String::as_str).collect();
            let more = if map.len() > SHOWN_KEYS { ", …" } else { "" };
            format!("has {}{more}", keys.join(", "))
        }
        Value::Array(entries) => format!("is a list of {}", entries.len()),
        other => format!("is {}", type_of(other)),
    }
}

/// The type of a value, with an article.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "an integer",
        Value::String(text) if text.is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(map) if map.is_empty() => "an empty object",
        Value::Object(_) => "an object",
    }
}

impl Kind {
    /// Whether a value is of this kind. A text that has to be there says something.
    pub(super) fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::List => value.is_array(),
        }
    }

    /// Its name, with an article.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "an integer",
            Self::Boolean => "a boolean",
            Self::Object => "an object",
            Self::List => "a list",
        }
    }
}

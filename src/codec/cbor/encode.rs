//! The writer: any serialisable value, checked and sorted, then written by ciborium.

use ciborium::Value;
use serde::Serialize;

use super::profile::check_key;
use super::{Error, Limits, MAX_INTEGER, Reason};

/// Encodes a value within [`Limits::DOCUMENT`]; see [`to_vec_with_limits`].
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    to_vec_with_limits(value, &Limits::DOCUMENT)
}

/// Encodes a value in the profile (RFC 8949 §4.2.1). The output passes [`validate`](super::validate)
/// under the same limits.
///
/// Equal values give equal bytes: fields and map entries are sorted whatever order the type hands
/// them out in. What the profile cannot say is refused and never rounded, and a key that a
/// hand-written `Serialize` repeats is refused and never merged.
pub fn to_vec_with_limits<T: Serialize + ?Sized>(value: &T, limits: &Limits) -> Result<Vec<u8>, Error> {
    let mut tree = Value::serialized(value).map_err(Error::Serialize)?;
    Writer { items: 0, limits }.item(&mut tree, 0)?;
    let mut bytes = Vec::new();
    ciborium::into_writer(&tree, &mut bytes).expect("a Vec takes every byte");
    if bytes.len() > limits.total {
        return Err(refusal(Reason::Total { limit: limits.total }));
    }
    Ok(bytes)
}

struct Writer<'a> {
    items: usize,
    limits: &'a Limits,
}

impl Writer<'_> {
    /// Checks one item with everything in it, and sorts the maps. `depth` counts the containers
    /// around it.
    fn item(&mut self, value: &mut Value, depth: u8) -> Result<(), Error> {
        self.count()?;
        match value {
            Value::Bool(_) | Value::Null => Ok(()),
            Value::Integer(number) if i128::from(*number).unsigned_abs() <= MAX_INTEGER.into() => Ok(()),
            // Tags 2 and 3 are how ciborium carries integers beyond 64 bits (RFC 8949 §3.4.3).
            Value::Integer(_) | Value::Tag(2 | 3, _) => Err(refusal(Reason::IntegerRange)),
            Value::Text(text) if text.len() <= self.limits.text => Ok(()),
            Value::Text(_) => Err(refusal(Reason::Text { limit: self.limits.text })),
            Value::Array(items) => self.array(items, depth),
            Value::Map(entries) => self.map(entries, depth),
            Value::Bytes(_) => Err(refusal(Reason::ByteString)),
            Value::Float(_) => Err(refusal(Reason::Float)),
            Value::Tag(..) => Err(refusal(Reason::Tag)),
            // ciborium reserves the right to add kinds; none could be in the profile.
            _ => Err(refusal(Reason::Simple)),
        }
    }

    fn array(&mut self, items: &mut [Value], depth: u8) -> Result<(), Error> {
        self.open(depth)?;
        for (index, item) in items.iter_mut().enumerate() {
            self.item(item, depth + 1).map_err(|e| within(&index.to_string(), e))?;
        }
        Ok(())
    }

    fn map(&mut self, entries: &mut [(Value, Value)], depth: u8) -> Result<(), Error> {
        self.open(depth)?;
        for (key, value) in &mut *entries {
            self.count()?;
            let Value::Text(key) = key else { return Err(refusal(Reason::KeyNotText)) };
            // Refused at the map and not at the key: a refused key has no place in a log line.
            check_key(key.as_bytes()).map_err(|(_, reason)| refusal(reason))?;
            self.item(value, depth + 1).map_err(|e| within(key, e))?;
        }
        entries.sort_by(|(a, _), (b, _)| sort_key(a).cmp(&sort_key(b)));
        match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(within(sort_key(&pair[0].0).1, refusal(Reason::KeyDuplicate))),
            None => Ok(()),
        }
    }

    fn open(&self, depth: u8) -> Result<(), Error> {
        if depth >= self.limits.depth {
            return Err(refusal(Reason::Depth { limit: self.limits.depth }));
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Error> {
        self.items += 1;
        if self.items > self.limits.items {
            return Err(refusal(Reason::Items { limit: self.limits.items }));
        }
        Ok(())
    }
}

/// Orders text as its encoding does: the head starts with the length, and longer heads are larger.
fn sort_key(key: &Value) -> (usize, &str) {
    let text = key.as_text().expect("keys were checked to be text");
    (text.len(), text)
}

fn refusal(reason: Reason) -> Error {
    Error::Value { at: String::new(), reason }
}

/// The same error, seen from one container further out.
fn within(step: &str, error: Error) -> Error {
    match error {
        Error::Value { at, reason } => {
            // RFC 6901 §3
            let step = step.replace('~', "~0").replace('/', "~1");
            Error::Value { at: format!("/{step}{at}"), reason }
        }
        other => other,
    }
}

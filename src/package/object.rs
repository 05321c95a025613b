//! Free-form JSON objects: what producers say of a package in their own words.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::codec::{cbor, jcs};

/// A JSON object that the canonical encodings can say: integers up to 2^53 - 1, no fractions, keys of printable
/// ASCII; at most 256 KiB as CBOR.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Object(Map<String, Value>);

/// Why some JSON is not such an object. The message names the place.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ObjectError(#[from] pub jcs::Error);

const LIMITS: cbor::Limits = cbor::Limits { total: 256 << 10, items: 16 << 10, ..cbor::Limits::EVENT };

impl Object {
    /// Reads JSON text; also refuses keys that stand there twice.
    pub fn from_json(json: &[u8]) -> Result<Self, ObjectError> {
        let bytes = jcs::to_cbor(json)?;
        Ok(Self(cbor::from_slice_with_limits(&bytes, &LIMITS).map_err(jcs::Error::from)?))
    }

    /// Takes an object that was read otherwise.
    pub fn new(map: Map<String, Value>) -> Result<Self, ObjectError> {
        cbor::to_vec_with_limits(&map, &LIMITS).map_err(jcs::Error::from)?;
        Ok(Self(map))
    }

    /// Its entries.
    pub fn entries(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its canonical JSON (RFC 8785).
    pub fn to_json(&self) -> String {
        jcs::to_string(&self.0).expect("it was checked")
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Map::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

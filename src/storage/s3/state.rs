//! What a suspended staged write needs to go on, in any process.

use serde::{Deserialize, Serialize};

use super::upload::Sent;
use crate::storage::MAX_STATE;

/// The state as JSON: compact, and readable when something went wrong.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Of this encoding.
    pub(super) v: u32,
    /// The staged write, so that no state is taken for another's.
    pub(super) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) upload: Option<Open>,
    /// Bytes after the parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) segments: Vec<Segment>,
    /// Segments that an older state names and this one does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) gone: Vec<String>,
    /// The size parts grow from: a change of the setting must not change an upload under way.
    pub(super) part_size: u64,
}

/// A multipart upload under way.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) name: String,
    pub(super) upload_id: String,
    pub(super) parts: Vec<Sent>,
}

/// An object of bytes too few for a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) size: u64,
}

impl State {
    /// The version this code writes and reads.
    pub(super) const VERSION: u32 = 1;

    /// Bytes the state stands for.
    pub(super) fn len(&self) -> u64 {
        let parts = self.upload.iter().flat_map(|upload| &upload.parts).map(|part| part.size);
        parts.chain(self.segments.iter().map(|segment| segment.size)).fold(0, u64::saturating_add)
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, String> {
        let bytes = serde_json::to_vec(self).map_err(|e| e.to_string())?;
        if bytes.len() > MAX_STATE {
            return Err(format!("the state has {} bytes, {MAX_STATE} are allowed", bytes.len()));
        }
        Ok(bytes)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let state =
            serde_json::from_slice::<Self>(bytes).map_err(|e| format!("the state is damaged: {e}"))?;
        if state.v != Self::VERSION {
            return Err(format!("the state has version {}, this program knows {}", state.v, Self::VERSION));
        }
        Ok(state)
    }
}

//! What another process needs to go on with an unfinished write.

use serde::{Deserialize, Serialize};

use crate::storage::{Error, MAX_STATE, StagingId};

/// Of this encoding; another one is not understood.
const VERSION: u8 = 1;

/// A write that was put aside. The bytes are the parts, in order, and then the segments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// The multipart upload, once there is a part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upload: Option<Upload>,
    /// Objects with the bytes after the last part, in order.
    pub(super) segments: Vec<Segment>,
    /// Objects that earlier states named and this one does not. Whoever goes on from this state removes them: that
    /// it can is proof that nobody goes on from an earlier one.
    pub(super) stale: Vec<String>,
}

/// A multipart upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) parts: Vec<Done>,
}

/// A part the server has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) etag: String,
    pub(super) len: u64,
}

/// Some bytes in an object of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) len: u64,
}

#[derive(Serialize, Deserialize)]
struct Versioned<S> {
    v: u8,
    s: S,
}

impl State {
    /// Bytes in all.
    pub(super) fn len(&self) -> u64 {
        self.upload.as_ref().map_or(0, Upload::len) + self.segments.iter().map(|s| s.len).sum::<u64>()
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let bytes =
            serde_json::to_vec(&Versioned { v: VERSION, s: self }).expect("plain data is always JSON");
        if bytes.len() <= MAX_STATE {
            return Ok(bytes);
        }
        let reason = format!("its state has {} bytes, at most {MAX_STATE} can be kept", bytes.len());
        Err(Error::io("put an upload aside", std::io::Error::other(reason)))
    }

    /// The state in `bytes`; none at all is that of a new write. What cannot be read is a write that is not there.
    pub(super) fn from_bytes(bytes: &[u8], id: &StagingId) -> Result<Self, Error> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice::<Versioned<Self>>(bytes) {
            Ok(Versioned { v: VERSION, s }) => Ok(s),
            _ => Err(Error::not_staged(id)),
        }
    }
}

impl Upload {
    pub(super) fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_as_it_was() {
        let part = Done { etag: "\"abc\"".to_owned(), len: 5 };
        let state = State {
            upload: Some(Upload {
                key: "multipart/x".to_owned(),
                id: "2~u".to_owned(),
                parts: vec![part; 2],
            }),
            segments: vec![Segment { name: "staging/x/1".to_owned(), len: 3 }],
            stale: vec!["staging/x/0".to_owned()],
        };
        let id = "x".parse().unwrap();
        assert_eq!(state.len(), 13);
        assert_eq!(State::from_bytes(&state.to_bytes().unwrap(), &id).unwrap(), state);
        assert_eq!(State::from_bytes(b"", &id).unwrap().len(), 0);
        for unknown in [&b"{}"[..], b"{\"v\":2,\"s\":{}}", b"\0"] {
            assert!(matches!(State::from_bytes(unknown, &id), Err(Error::NotFound { .. })));
        }
    }

    #[test]
    fn the_most_parts_there_can_be_fit() {
        let part = Done { etag: format!("\"{}\"", "a".repeat(32)), len: 5 << 30 };
        let upload = Upload { key: "k".repeat(512), id: "i".repeat(200), parts: vec![part; 10_000] };
        let state = State { upload: Some(upload), ..State::default() };
        assert!(state.to_bytes().unwrap().len() < MAX_STATE);
    }
}

//! Events as JSON, as every consumer that reads text gets them.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::json;

use super::Record;
use crate::codec::jcs;
use crate::events::fact::LIMITS;
use crate::retention::rfc3339;

/// What stands before the payload, which is the last field. In a text it would have its quotes escaped.
const PAYLOAD: &[u8] = b",\"payload\":";

/// An event as `{actor, leaf_hash, recorded_at, repository?, sequence, subject, type, payload}`. A payload may have 16
/// MiB, so this takes a thread of its own; [`Record::shown`] keeps what came out.
///
/// The payload goes in as text: that of a large package would be a large tree.
pub fn json(record: &Record) -> Result<Bytes, jcs::Error> {
    let mut shape = json!({
        "sequence": record.sequence,
        "type": record.type_name,
        "recorded_at": rfc3339(record.recorded_at),
        "actor": record.actor,
        "subject": record.subject,
        "leaf_hash": leaf_hash(record),
    });
    if let Some(repository) = &record.repository {
        shape["repository"] = (**repository).into();
    }
    let payload = jcs::from_cbor_with_limits(&record.payload, &LIMITS)?;
    let mut text = shape.to_string().into_bytes();
    text.pop();
    text.reserve_exact(PAYLOAD.len() + payload.len() + 1);
    text.extend_from_slice(PAYLOAD);
    text.extend_from_slice(&payload);
    text.push(b'}');
    Ok(text.into())
}

/// The payload in what [`json`] made.
pub(super) fn payload(shown: &[u8]) -> &[u8] {
    let at = shown.windows(PAYLOAD.len()).position(|window| window == PAYLOAD);
    let from = at.expect("every event has a payload") + PAYLOAD.len();
    &shown[from..shown.len() - 1]
}

/// `sha256:` and the hexadecimal digits.
pub fn leaf_hash(record: &Record) -> String {
    record.leaf_hash.iter().fold(String::from("sha256:"), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

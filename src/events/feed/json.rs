//! Events as JSON, as every consumer that reads text gets them.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::json;

use super::Record;
use crate::codec::jcs;
use crate::events::fact::LIMITS;
use crate::retention::rfc3339;

/// An event as `{payload, actor, leaf_hash, recorded_at, repository?, sequence, subject, type}`. A payload may have 16
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
    let shape = shape.to_string();
    let mut body = Vec::with_capacity(payload.len() + shape.len() + 16);
    body.extend_from_slice(b"{\"payload\":");
    body.extend_from_slice(&payload);
    body.push(b',');
    body.extend_from_slice(&shape.as_bytes()[1..]);
    Ok(body.into())
}

/// `sha256:` and the hexadecimal digits.
pub fn leaf_hash(record: &Record) -> String {
    record.leaf_hash.iter().fold(String::from("sha256:"), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

//! How an event looks as JSON.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use crate::codec::jcs;
use crate::registry::Record;
use crate::retention::rfc3339;
use crate::server::error::Error;

/// Payloads up to this size are projected where they are asked for, in bytes.
pub(super) const SMALL: usize = 64 * 1024;

/// What stands before the payload, which is the last field. In a text it would have its quotes escaped.
const PAYLOAD: &[u8] = b",\"payload\":";

/// `{sequence, type, recorded_at, actor, repository?, subject, leaf_hash, payload}` of an event. Made once for all who
/// are shown it.
pub(super) async fn shown(record: &Arc<Record>) -> Result<Bytes, Error> {
    if record.payload.len() <= SMALL || is_shown(record) {
        return record.shown(render).map_err(unprojected);
    }
    let record = Arc::clone(record);
    blocking(move || record.shown(render)).await
}

/// Whether it was made already.
pub(super) fn is_shown(record: &Record) -> bool {
    record.shown(|_| Err(())).is_ok()
}

/// The payload in what is shown.
pub(super) fn payload(shown: &[u8]) -> &[u8] {
    let at = shown.windows(PAYLOAD.len()).position(|window| window == PAYLOAD);
    let from = at.expect("every event has a payload") + PAYLOAD.len();
    &shown[from..shown.len() - 1]
}

/// The payload goes in as text: that of a large package would be a large tree.
fn render(record: &Record) -> Result<Bytes, jcs::Error> {
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
    let payload = jcs::from_cbor(&record.payload)?;
    let mut text = shape.to_string().into_bytes();
    text.pop();
    text.reserve_exact(PAYLOAD.len() + payload.len() + 1);
    text.extend_from_slice(PAYLOAD);
    text.extend_from_slice(&payload);
    text.push(b'}');
    Ok(text.into())
}

/// `sha256:` and the leaf hash.
pub(super) fn leaf_hash(record: &Record) -> String {
    record.leaf_hash.iter().fold("sha256:".to_owned(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The canonical JSON of stored canonical CBOR. Up to 16 MiB of it, hence on a thread of its own.
pub(in crate::server::extension) async fn projected(cbor: Vec<u8>) -> Result<Vec<u8>, Error> {
    blocking(move || jcs::from_cbor(&cbor)).await
}

async fn blocking<T: Send + 'static>(
    project: impl FnOnce() -> Result<T, jcs::Error> + Send + 'static,
) -> Result<T, Error> {
    let projected = tokio::task::spawn_blocking(project).await;
    projected.map_err(|error| Error::Panicked(error.to_string()))?.map_err(unprojected)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn unprojected(error: jcs::Error) -> Error {
    Error::Panicked(format!("stored CBOR has no projection: {error}"))
}

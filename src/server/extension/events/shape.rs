//! How an event looks as JSON.

use std::sync::Arc;

use bytes::Bytes;

use crate::codec::jcs;
use crate::registry::{Record, event_json};
use crate::server::error::Error;

/// Payloads up to this size are projected where they are asked for, in bytes.
pub(super) const SMALL: usize = 64 * 1024;

/// The JSON of an event, made once for all who are shown it.
pub(super) async fn shown(record: &Arc<Record>) -> Result<Bytes, Error> {
    if record.payload.len() <= SMALL || is_shown(record) {
        return record.shown(event_json).map_err(unprojected);
    }
    let record = Arc::clone(record);
    blocking(move || record.shown(event_json)).await
}

/// Whether it was made already.
pub(super) fn is_shown(record: &Record) -> bool {
    record.shown(|_| Err(())).is_ok()
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

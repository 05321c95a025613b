//! Stored bytes as a response: whole, one range, or several (RFC 9110 sections 14 and 15.3.7).

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use http::header::CONTENT_RANGE;

use super::super::body::{OutStream, StreamError};
use super::super::error::Error;
use super::super::respond::{self, Answer, Headers as _};
use crate::oci::RangeRequest;
use crate::registry::{Blob, ByteRange, ByteStream, Registry};

/// Separates the parts of a multi-range answer. Letters and digits only: some clients parse no more.
const BOUNDARY: &str = "artifactstore0byteranges0boundary";

pub(super) async fn answer(
    registry: &Registry,
    blob: Blob,
    media_type: &str,
    range: RangeRequest,
) -> Result<Answer, Error> {
    match range {
        RangeRequest::Whole => {
            let object = registry.open_blob(&blob, None).await?;
            Ok(respond::stream(StatusCode::OK, media_type, outgoing(object.body), blob.size))
        }
        RangeRequest::Single { start, end_exclusive: end } => {
            let object = registry.open_blob(&blob, Some(ByteRange { start, end })).await?;
            let body = outgoing(object.body);
            Ok(respond::stream(StatusCode::PARTIAL_CONTENT, media_type, body, end - start)
                .with(CONTENT_RANGE, &format!("bytes {start}-{}/{}", end - 1, blob.size)))
        }
        RangeRequest::Multi(ranges) => Ok(multipart(registry, blob, media_type, &ranges)),
        RangeRequest::Unsatisfiable => Err(Error::Unsatisfiable { size: blob.size }),
    }
}

fn multipart(registry: &Registry, blob: Blob, media_type: &str, ranges: &[(u64, u64)]) -> Answer {
    let size = blob.size;
    let header = |(start, end): (u64, u64)| {
        format!(
            "\r\n--{BOUNDARY}\r\nContent-Type: {media_type}\r\nContent-Range: bytes {start}-{}/{size}\r\n\r\n",
            end - 1
        )
    };
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    let parts: u64 = ranges.iter().map(|&(start, end)| header((start, end)).len() as u64 + end - start).sum();
    let length = parts + end.len() as u64;
    let headers: Vec<_> = ranges.iter().map(|&range| (header(range), range)).collect();
    let registry = registry.clone();
    let parts = stream::iter(headers).then(move |(header, (start, end))| {
        let (registry, blob) = (registry.clone(), blob.clone());
        async move {
            let object = registry.open_blob(&blob, Some(ByteRange { start, end })).await.map_err(fail)?;
            let header = stream::once(async move { Ok(Bytes::from(header)) });
            Ok::<_, StreamError>(header.chain(outgoing(object.body)))
        }
    });
    let body = parts.try_flatten().chain(stream::once(async move { Ok(Bytes::from(end)) }));
    let content_type = format!("multipart/byteranges; boundary={BOUNDARY}");
    respond::stream(StatusCode::PARTIAL_CONTENT, &content_type, Box::pin(body), length)
}

/// A stored body on its way out. When it fails the connection is cut: the client sees a short body, never
/// a complete wrong one.
fn outgoing(body: ByteStream) -> OutStream {
    Box::pin(body.map_err(fail))
}

fn fail(error: impl std::error::Error + Send + Sync + 'static) -> StreamError {
    tracing::error!(error = &error as &dyn std::error::Error, "A download broke off");
    Box::new(error)
}

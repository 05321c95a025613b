//! What unfinished writes left in the bucket: multipart uploads and segments.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_s3::types::MultipartUpload;
use futures_util::stream::{self, StreamExt as _};

use super::bucket::{Bucket, LISTED, micros};
use super::failure::Failure;
use super::multipart;
use crate::storage::{Deletion, Error, Leftover, StagingId};

/// Requests at once.
const AT_ONCE: usize = 8;

/// Pages of parts looked at to learn when an upload was last written; a page has a thousand.
const PART_PAGES: usize = 10;

/// Removes what is left of a staged write. Objects that were completed are none of its business.
pub(super) async fn remove(bucket: &Arc<Bucket>, id: &StagingId) -> Result<Deletion, Error> {
    let aborted = abort_all(bucket, &bucket.names.uploads(Some(id))).await?;
    let mut segments = Vec::new();
    let prefix = bucket.names.segments(Some(id));
    let listed = bucket.for_each_name(&prefix, |listed| {
        segments.push(listed.name);
        true
    });
    listed.await.map_err(|failure| bucket.failed_at("list", &prefix, failure))?;
    let was_there = aborted || !segments.is_empty();
    remove_all(bucket, segments).await?;
    Ok(if was_there { Deletion::Deleted } else { Deletion::Missing })
}

/// Ends every multipart upload whose name starts with `prefix`. Whether there was any.
pub(super) async fn abort_all(bucket: &Bucket, prefix: &str) -> Result<bool, Error> {
    let mut aborted = false;
    for upload in uploads(bucket, prefix, usize::MAX).await? {
        if let (Some(name), Some(id)) = (&upload.key, &upload.upload_id) {
            aborted |= multipart::abort(bucket, name, id).await?;
        }
    }
    Ok(aborted)
}

/// Removes objects by name, whatever happens to one of them; the first error counts.
pub(super) async fn remove_all(bucket: &Arc<Bucket>, names: Vec<String>) -> Result<(), Error> {
    let removals = stream::iter(names).map(|name| async move {
        // In a bucket with versions a marker would stay: the version is asked for and named.
        let removed = bucket.delete(&name, None).await;
        removed.map(drop).map_err(|failure| bucket.failed_at("remove", &name, failure))
    });
    let results: Vec<_> = removals.buffer_unordered(AT_ONCE).collect().await;
    results.into_iter().collect()
}

/// The same when nobody waits for it: what stays is found by a sweep.
pub(super) fn remove_in_background(bucket: &Arc<Bucket>, names: Vec<String>) {
    if names.is_empty() {
        return;
    }
    let bucket = Arc::clone(bucket);
    tokio::spawn(async move {
        if let Err(error) = remove_all(&bucket, names).await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "Segments of an upload stay for the next sweep");
        }
    });
}

/// Every staged write there is a trace of.
pub(super) async fn list(bucket: &Bucket, limit: usize) -> Result<Vec<Leftover>, Error> {
    let mut found = BTreeMap::<StagingId, Leftover>::new();
    let mut add = |id: StagingId, size: u64, touched_at: i64| {
        if found.len() >= limit && !found.contains_key(&id) {
            return false;
        }
        let leftover = found.entry(id.clone()).or_insert(Leftover { id, size: 0, touched_at });
        leftover.size += size;
        leftover.touched_at = leftover.touched_at.max(touched_at);
        true
    };
    for upload in uploads(bucket, &bucket.names.uploads(None), limit).await? {
        let id = upload.key.as_deref().and_then(|name| bucket.names.id_of_upload(name));
        if let Some(id) = id {
            let (size, touched_at) = parts(bucket, &upload).await?;
            add(id, size, touched_at);
        }
    }
    let prefix = bucket.names.segments(None);
    let listed = bucket.for_each_name(&prefix, |listed| match bucket.names.id_of_segment(&listed.name) {
        Some(id) => add(id, listed.size, listed.touched_at),
        None => true,
    });
    listed.await.map_err(|failure| bucket.failed_at("list", &prefix, failure))?;
    Ok(found.into_values().collect())
}

/// Bytes of the parts of an upload, and when it was begun or the last of them came.
async fn parts(bucket: &Bucket, upload: &MultipartUpload) -> Result<(u64, i64), Error> {
    let mut touched_at = upload.initiated.as_ref().map_or(0, micros);
    let (Some(name), Some(id)) = (&upload.key, &upload.upload_id) else { return Ok((0, touched_at)) };
    let (mut size, mut after) = (0, None::<String>);
    for _ in 0..PART_PAGES {
        let request = bucket.client.list_parts().bucket(&bucket.options.bucket).key(name).upload_id(id);
        let page = match request.set_part_number_marker(after.clone()).send().await.map_err(Failure::from) {
            Ok(page) => page,
            Err(failure) if failure.is_no_upload() || failure.is_missing() => break,
            Err(failure) => return Err(bucket.failed_at("list the parts of", name, failure)),
        };
        for part in page.parts() {
            size += part.size.unwrap_or(0).cast_unsigned();
            touched_at = touched_at.max(part.last_modified.as_ref().map_or(0, micros));
        }
        let next = page.next_part_number_marker;
        if page.is_truncated != Some(true) || next.is_none() || next == after {
            break;
        }
        after = next;
    }
    Ok((size, touched_at))
}

/// Multipart uploads that are not completed and whose names start with `prefix`; about `limit` of them at most.
async fn uploads(bucket: &Bucket, prefix: &str, limit: usize) -> Result<Vec<MultipartUpload>, Error> {
    let mut found = Vec::new();
    let mut after = (None::<String>, None::<String>);
    while found.len() < limit {
        let request = bucket
            .client
            .list_multipart_uploads()
            .bucket(&bucket.options.bucket)
            .prefix(prefix)
            .max_uploads(LISTED)
            .set_key_marker(after.0.clone())
            .set_upload_id_marker(after.1.clone());
        let page = request.send().await.map_err(|error| bucket.failed_at("list", prefix, error.into()))?;
        let next = (page.next_key_marker, page.next_upload_id_marker);
        found.extend(page.uploads.unwrap_or_default());
        // A page that names no place to go on from would be asked for for ever.
        if page.is_truncated != Some(true) || next.0.as_deref().is_none_or(str::is_empty) || next == after {
            break;
        }
        after = next;
    }
    found.retain(|upload| upload.key.as_deref().is_some_and(|name| name.starts_with(prefix)));
    Ok(found)
}

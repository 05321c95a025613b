//! What a bucket can do, found out by doing it.

use std::sync::Arc;

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::bucket::Bucket;
use super::failure::Failure;
use crate::storage::{Capability, Deletion, Error};

/// The smallest part every server accepts that is not the last.
const PART: usize = 5 * 1024 * 1024;

/// Tries everything. An error only when the bucket cannot be used at all; it says what to do about that.
pub(super) async fn probe(bucket: &Arc<Bucket>) -> Result<Vec<Capability>, Error> {
    let name = bucket.names.probe();
    let put = bucket.put(&name, Bytes::from_static(b"artifactstore probe")).await;
    if let Err(failure) = put {
        return Err(unusable(bucket, failure));
    }
    let mut found = vec![yes("put")];
    found.push(needed("get", get(bucket, &name, None, b"artifactstore probe").await));
    found.push(needed("range", get(bucket, &name, Some("bytes=2-4"), b"tif").await));
    found.push(needed("list after write", listed(bucket, &name).await));
    found.push(needed("delete", deleted(bucket, &name).await));
    found.push(needed("multipart", multipart(bucket).await));
    found.push(needed("abort", aborted(bucket).await));
    found.push(optional("conditional put", conditional(bucket).await));
    found.push(versioning(bucket).await);
    found.push(object_lock(bucket).await);
    Ok(found)
}

fn yes(name: &'static str) -> Capability {
    Capability { name, supported: true, needed: true, detail: None }
}

fn needed(name: &'static str, tried: Result<(), String>) -> Capability {
    Capability { name, supported: tried.is_ok(), needed: true, detail: tried.err() }
}

fn optional(name: &'static str, tried: Result<(), String>) -> Capability {
    Capability { needed: false, ..needed(name, tried) }
}

fn text(failure: impl Into<Failure>) -> String {
    failure.into().to_string()
}

/// Why nothing works, and what to do.
fn unusable(bucket: &Bucket, failure: Failure) -> Error {
    let options = &bucket.options;
    let place = options.endpoint.as_deref().unwrap_or("AWS");
    let hint = match failure.code() {
        "NoSuchBucket" => {
            format!(
                "there is no bucket {} at {place}; create it, or correct storage.s3.bucket",
                options.bucket
            )
        }
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken" => format!(
            "{place} does not accept the credentials ({}); check storage.s3.access_key_id and \
             storage.s3.secret_access_key, or what the AWS credential chain finds",
            failure.code()
        ),
        "AccessDenied" | "Forbidden" => format!(
            "the credentials may not write to bucket {} at {place}; grant them its objects, or use others",
            options.bucket
        ),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            format!(
                "bucket {} is not in region {}; correct storage.s3.region or storage.s3.endpoint",
                options.bucket, options.region
            )
        }
        "" if failure.is_unanswered() => {
            format!("{place} cannot be reached ({failure}); check storage.s3.endpoint and the network")
        }
        _ => format!("bucket {} at {place} cannot be used: {failure}", options.bucket),
    };
    Error::Unusable(hint)
}

async fn get(bucket: &Bucket, name: &str, range: Option<&str>, expected: &[u8]) -> Result<(), String> {
    let request = bucket.client.get_object().bucket(&bucket.options.bucket).key(name);
    let answer = request.set_range(range.map(str::to_owned)).send().await.map_err(text)?;
    let bytes = answer.body.collect().await.map_err(|error| error.to_string())?.into_bytes();
    if bytes == expected { Ok(()) } else { Err(format!("{} other bytes came back", bytes.len())) }
}

async fn listed(bucket: &Bucket, name: &str) -> Result<(), String> {
    let (page, _) = bucket.names_after(name, None, 2).await.map_err(text)?;
    let is_there = page.iter().any(|listed| listed.name == name);
    if is_there { Ok(()) } else { Err("an object that was just stored is not in the listing".to_owned()) }
}

async fn deleted(bucket: &Bucket, name: &str) -> Result<(), String> {
    match bucket.delete(name, None).await.map_err(text)? {
        Deletion::Deleted => {}
        Deletion::Missing => return Err("the object was gone before".to_owned()),
    }
    match bucket.head(name, None).await.map_err(text)? {
        None => Ok(()),
        Some(_) => Err("the object is still there".to_owned()),
    }
}

async fn begin(bucket: &Bucket, name: &str) -> Result<String, String> {
    let begun = bucket.client.create_multipart_upload().bucket(&bucket.options.bucket).key(name).send().await;
    begun.map_err(text)?.upload_id.ok_or_else(|| "no upload id".to_owned())
}

async fn part(
    bucket: &Bucket,
    name: &str,
    id: &str,
    number: i32,
    body: Bytes,
) -> Result<CompletedPart, String> {
    let request = bucket.client.upload_part().bucket(&bucket.options.bucket).key(name).upload_id(id);
    let sent = request.part_number(number).body(body.into()).send().await.map_err(text)?;
    let etag = sent.e_tag.ok_or_else(|| "a part has no ETag".to_owned())?;
    Ok(CompletedPart::builder().part_number(number).e_tag(etag).build())
}

/// Two parts, put together and looked at.
async fn multipart(bucket: &Bucket) -> Result<(), String> {
    let name = bucket.names.probe();
    let id = begin(bucket, &name).await?;
    let tried = async {
        let parts = vec![
            part(bucket, &name, &id, 1, Bytes::from(vec![b'a'; PART])).await?,
            part(bucket, &name, &id, 2, Bytes::from_static(b"b")).await?,
        ];
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = bucket.client.complete_multipart_upload().bucket(&bucket.options.bucket).key(&name);
        request.upload_id(&id).multipart_upload(parts).send().await.map_err(text)?;
        let found = bucket.head(&name, None).await.map_err(text)?;
        match found {
            Some(found) if found.size == PART as u64 + 1 => Ok(()),
            Some(found) => Err(format!("{} bytes instead of {}", found.size, PART + 1)),
            None => Err("the completed object is not there".to_owned()),
        }
    };
    let tried = tried.await;
    let cleaned = match &tried {
        Ok(()) => bucket.delete(&name, None).await.map(drop).map_err(text),
        Err(_) => super::multipart::abort(bucket, &name, &id).await.map(drop).map_err(|e| e.to_string()),
    };
    tried.and(cleaned)
}

async fn aborted(bucket: &Bucket) -> Result<(), String> {
    let name = bucket.names.probe();
    let id = begin(bucket, &name).await?;
    part(bucket, &name, &id, 1, Bytes::from_static(b"x")).await?;
    super::multipart::abort(bucket, &name, &id).await.map_err(|error| error.to_string())?;
    match super::multipart::abort(bucket, &name, &id).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a second write under a name is refused when that is asked for.
async fn conditional(bucket: &Bucket) -> Result<(), String> {
    let name = bucket.names.probe();
    bucket.put(&name, Bytes::from_static(b"first")).await.map_err(text)?;
    let request = bucket.client.put_object().bucket(&bucket.options.bucket).key(&name);
    let second = request.if_none_match("*").body(Bytes::from_static(b"second").into()).send().await;
    let refused = match second.map_err(Failure::from) {
        Err(failure) if failure.is_replaced() => Ok(()),
        Err(failure) => Err(failure.to_string()),
        Ok(_) => Err("the server ignores If-None-Match".to_owned()),
    };
    // In a bucket with versions there may be two.
    while let Deletion::Deleted = bucket.delete(&name, None).await.map_err(text)? {}
    refused
}

async fn versioning(bucket: &Bucket) -> Capability {
    let (supported, detail) = match bucket.is_versioned().await {
        Ok(true) => (true, "the bucket keeps versions; deletes name them".to_owned()),
        Ok(false) => (false, "not enabled for this bucket".to_owned()),
        Err(failure) => (false, failure.to_string()),
    };
    Capability { name: "versioning", supported, needed: false, detail: Some(detail) }
}

async fn object_lock(bucket: &Bucket) -> Capability {
    let asked = bucket.client.get_object_lock_configuration().bucket(&bucket.options.bucket).send().await;
    let (supported, detail) = match asked.map_err(Failure::from) {
        Ok(answer) => match answer.object_lock_configuration.and_then(|lock| lock.object_lock_enabled) {
            Some(_) => (true, "enabled for this bucket".to_owned()),
            None => (false, "not enabled for this bucket".to_owned()),
        },
        Err(failure) if failure.code() == "ObjectLockConfigurationNotFoundError" => {
            (false, "not enabled for this bucket".to_owned())
        }
        Err(failure) => (false, failure.to_string()),
    };
    Capability { name: "object lock", supported, needed: false, detail: Some(detail) }
}

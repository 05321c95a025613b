//! Requests about single objects, by name: the part of the bucket's language that everything else is said in.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::Object;

use super::Options;
use super::fault::{Fault, Kind};
use super::part::{Memory, Part};

/// A bucket, with the prefix that belongs to every name in it.
///
/// Names here are relative to the prefix: keys, and what lies beside them (`staging/…`, `.registry`).
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) client: Client,
    /// Signs URLs for clients, where these reach the server under another name.
    pub(super) outside: Client,
    pub(super) options: Options,
    pub(super) memory: Memory,
}

/// An object as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) size: u64,
    pub(super) version: Option<String>,
    pub(super) etag: String,
}

/// One page of names, and where the next one starts.
pub(super) struct Names {
    pub(super) objects: Vec<Object>,
    pub(super) more: bool,
}

impl Bucket {
    pub(super) fn name(&self) -> &str {
        &self.options.bucket
    }

    /// The full name of an object.
    pub(super) fn full(&self, name: &str) -> String {
        format!("{}{name}", self.options.prefix)
    }

    /// The relative name of an object that a listing named.
    pub(super) fn relative<'a>(&self, full: &'a str) -> Option<&'a str> {
        full.strip_prefix(self.options.prefix.as_str())
    }

    /// `s3://bucket/prefix+name`.
    pub(super) fn uri(&self, name: &str) -> String {
        format!("s3://{}/{}", self.name(), self.full(name))
    }

    /// Writes an object. Returns its version.
    pub(super) async fn put(&self, name: &str, body: &Part) -> Result<Option<String>, Fault> {
        let written = self
            .client
            .put_object()
            .bucket(self.name())
            .key(self.full(name))
            .content_length(signed(body.len()))
            .set_checksum_sha256(self.checksum(body).await?)
            .body(ByteStream::new(body.body()))
            .send()
            .await?;
        Ok(written.version_id)
    }

    /// Opens an object; `range` is the value of the header.
    pub(super) async fn get(
        &self,
        name: &str,
        range: Option<String>,
        etag: Option<&str>,
    ) -> Result<GetObjectOutput, Fault> {
        let request = self.client.get_object().bucket(self.name()).key(self.full(name));
        let request = request.set_range(range).set_if_match(etag.map(str::to_owned));
        Ok(request.send().await?)
    }

    /// Looks at an object; `None` when it is not there.
    pub(super) async fn head(&self, name: &str) -> Result<Option<Found>, Fault> {
        let looked = self.client.head_object().bucket(self.name()).key(self.full(name)).send().await;
        match looked.map_err(Fault::from) {
            Ok(head) => Ok(Some(Found {
                size: head.content_length.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
                version: head.version_id,
                etag: head.e_tag.unwrap_or_default(),
            })),
            // The answer to a HEAD has no body to tell a missing object from a missing bucket.
            Err(fault) if fault.kind == Kind::Absent => self.exists().await.map(|()| None),
            Err(fault) => Err(fault),
        }
    }

    /// Fails when the bucket is missing or not ours to see.
    pub(super) async fn exists(&self) -> Result<(), Fault> {
        match self.client.head_bucket().bucket(self.name()).send().await.map_err(Fault::from) {
            Ok(_) => Ok(()),
            Err(mut fault) if fault.kind == Kind::Absent => {
                fault.kind = Kind::Refused;
                Err(fault)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Removes one version of an object, or what is there where there are no versions.
    pub(super) async fn delete(&self, name: &str, version: Option<&str>) -> Result<(), Fault> {
        let request = self.client.delete_object().bucket(self.name()).key(self.full(name));
        match request.set_version_id(version.map(str::to_owned)).send().await.map_err(Fault::from) {
            Err(fault) if fault.kind != Kind::Absent => Err(fault),
            _ => Ok(()),
        }
    }

    /// Removes an object for good, also from a versioned bucket. Returns whether there was one.
    pub(super) async fn remove(&self, name: &str) -> Result<bool, Fault> {
        /// A put whose answer got lost is repeated and makes one version more.
        const VERSIONS: usize = 32;
        for removed in 0..VERSIONS {
            match self.head(name).await? {
                None => return Ok(removed > 0),
                Some(found) => {
                    self.delete(name, found.version.as_deref()).await?;
                    if found.version.is_none() {
                        return Ok(true);
                    }
                }
            }
        }
        Err(Fault::odd(format!("{name} is still there after {VERSIONS} versions of it were removed")))
    }

    /// Removes the named version for good. Returns whether it was there.
    pub(super) async fn remove_version(&self, name: &str, version: &str) -> Result<bool, Fault> {
        let request = self.client.head_object().bucket(self.name()).key(self.full(name)).version_id(version);
        match request.send().await.map_err(Fault::from) {
            Ok(_) => self.delete(name, Some(version)).await.map(|()| true),
            // Some servers take the id of a version made elsewhere for nonsense rather than for one that is not there.
            Err(fault) if fault.kind == Kind::Absent || fault.status == Some(400) => {
                self.exists().await.map(|()| false)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Names that start with `prefix`, after `after`, in order of their bytes.
    pub(super) async fn names(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Names, Fault> {
        let request = self.client.list_objects_v2().bucket(self.name()).prefix(self.full(prefix));
        let request = request.set_start_after(after.map(|after| self.full(after)));
        let page = request.max_keys(i32::try_from(limit.clamp(1, 1000)).unwrap_or(1000)).send().await?;
        let more = page.is_truncated.unwrap_or(false);
        Ok(Names { objects: page.contents.unwrap_or_default(), more })
    }
}

/// A length as the SDK wants it.
pub(super) fn signed(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

//! Single requests on the bucket, with the answers of a backend.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream as Body;
use aws_sdk_s3::types::BucketVersioningStatus;
use bytes::Bytes;

use super::client::{self, patient};
use super::failure::Failure;
use super::keys::Names;
use super::{Options, spool::Spool};
use crate::storage::{Deletion, Error, Receipt};

/// How many names one page of a listing has at most; the protocol's own limit.
pub(super) const LISTED: i32 = 1000;

/// A bucket and what is needed to talk to it.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) client: Client,
    /// The client that signs URLs for clients of ours, when they are sent to the bucket.
    pub(super) public: Option<(Client, Duration)>,
    pub(super) options: Options,
    pub(super) names: Names,
    pub(super) spool: Spool,
}

/// What HEAD tells.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) size: u64,
    pub(super) etag: Option<String>,
    pub(super) version: Option<String>,
}

impl Bucket {
    pub(super) async fn open(options: &Options) -> Arc<Self> {
        let client = client::connect(options).await;
        let public = options.redirect.as_ref().map(|redirect| {
            let client = match &redirect.endpoint {
                Some(endpoint) => client::public(&client, endpoint),
                None => client.clone(),
            };
            (client, redirect.ttl)
        });
        Arc::new(Self {
            client,
            public,
            names: Names::below(&options.prefix),
            spool: Spool::new(options.spool.clone(), options.part_memory),
            options: options.clone(),
        })
    }

    pub(super) fn uri(&self, key: &str) -> String {
        self.uri_of(&self.names.of(key))
    }

    pub(super) fn uri_of(&self, name: &str) -> String {
        format!("s3://{}/{name}", self.options.bucket)
    }

    pub(super) fn receipt(&self, key: &crate::storage::Key, size: u64, version: Option<String>) -> Receipt {
        let uri = self.uri(key.as_str());
        Receipt { backend: self.options.id.clone(), key: key.clone(), size, uri, version }
    }

    /// Stores a small object. The same bytes under the same name may be sent several times.
    pub(super) async fn put(&self, name: &str, body: Bytes) -> Result<Option<String>, Failure> {
        let size = body.len() as u64;
        let sent = self
            .client
            .put_object()
            .bucket(&self.options.bucket)
            .key(name)
            .content_length(size.cast_signed())
            .body(Body::from(body))
            .customize()
            .config_override(patient(self.options.idle_timeout, size, Duration::ZERO))
            .send()
            .await?;
        Ok(version(sent.version_id))
    }

    /// Removes what is under a name: the given version, or the newest one where the bucket keeps several.
    pub(super) async fn delete(&self, name: &str, given: Option<&str>) -> Result<Deletion, Failure> {
        // The server says "gone" to everything; looking first tells whether it was there, and its version.
        let Some(found) = self.head(name, given).await? else {
            return Ok(Deletion::Missing);
        };
        self.remove(name, given.or(found.version.as_deref())).await?;
        Ok(Deletion::Deleted)
    }

    /// The same without looking: for names that were given out once and have one version.
    pub(super) async fn remove(&self, name: &str, version: Option<&str>) -> Result<(), Failure> {
        let request = self.client.delete_object().bucket(&self.options.bucket).key(name);
        request.set_version_id(version.map(str::to_owned)).send().await?;
        Ok(())
    }

    /// What is under a name, or the given version of it; `None` when there is nothing.
    pub(super) async fn head(&self, name: &str, given: Option<&str>) -> Result<Option<Found>, Failure> {
        let request = self.client.head_object().bucket(&self.options.bucket).key(name);
        match request.set_version_id(given.map(str::to_owned)).send().await {
            Ok(found) => Ok(Some(Found {
                size: found.content_length.unwrap_or(0).cast_unsigned(),
                etag: found.e_tag,
                version: version(found.version_id),
            })),
            Err(error) => match Failure::from(error) {
                failure if failure.is_missing() || failure.code() == "NoSuchVersion" => Ok(None),
                failure => Err(failure),
            },
        }
    }

    /// Names below a prefix with size and age, one page after `after`; whether there are more.
    pub(super) async fn names_after(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: i32,
    ) -> Result<(Vec<Listed>, bool), Failure> {
        let request =
            self.client.list_objects_v2().bucket(&self.options.bucket).prefix(prefix).max_keys(limit);
        let page = request.set_start_after(after.map(str::to_owned)).send().await?;
        let more = page.is_truncated.unwrap_or(false);
        let listed = page.contents.unwrap_or_default().into_iter().filter_map(|object| {
            Some(Listed {
                name: object.key?,
                size: object.size.unwrap_or(0).cast_unsigned(),
                touched_at: object.last_modified.map_or(0, |at| micros(&at)),
            })
        });
        Ok((listed.collect(), more))
    }

    /// Every name below a prefix, page by page, until `each` says that it has enough.
    pub(super) async fn for_each_name(
        &self,
        prefix: &str,
        mut each: impl FnMut(Listed) -> bool,
    ) -> Result<(), Failure> {
        let mut after = None::<String>;
        loop {
            let (page, more) = self.names_after(prefix, after.as_deref(), LISTED).await?;
            let last = page.last().map(|listed| listed.name.clone());
            for listed in page {
                if !each(listed) {
                    return Ok(());
                }
            }
            // A page that says there is more and shows nothing would be asked for for ever.
            if !more || last.is_none() || last == after {
                return Ok(());
            }
            after = last;
        }
    }

    /// Whether the bucket keeps versions.
    pub(super) async fn is_versioned(&self) -> Result<bool, Failure> {
        let answer = self.client.get_bucket_versioning().bucket(&self.options.bucket).send().await?;
        Ok(answer.status == Some(BucketVersioningStatus::Enabled))
    }

    /// `failure` as an error of the backend, while it was busy with a key.
    pub(super) fn failed(&self, verb: &str, key: &str, failure: Failure) -> Error {
        self.failed_at(verb, &self.names.of(key), failure)
    }

    /// The same for a name.
    pub(super) fn failed_at(&self, verb: &str, name: &str, failure: Failure) -> Error {
        failure.during(format!("{verb} {}", self.uri_of(name)))
    }
}

/// A line of a listing.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) size: u64,
    /// Microseconds since the epoch.
    pub(super) touched_at: i64,
}

/// A version that can be named: servers without versions say nothing or `null`.
pub(super) fn version(id: Option<String>) -> Option<String> {
    id.filter(|id| !id.is_empty() && id != "null")
}

pub(super) fn micros(at: &aws_sdk_s3::primitives::DateTime) -> i64 {
    at.secs().saturating_mul(1_000_000).saturating_add(i64::from(at.subsec_nanos()) / 1000)
}

//! Objects in a bucket: AWS S3, Ceph RGW and what speaks their language (CAS-9).
//!
//! **Durability.** A request that stores is acknowledged when the server acknowledged it. Keys are unique, so a
//! request may be sent again; when the answer to a completion is lost, the object itself tells whether it was
//! carried out. Conditional writes are not relied on: servers differ.
//!
//! **Nothing is copied.** A small object is stored in one request under the key it is given. A larger one is sent in
//! parts to a key of its own, which the receipt tells. Unfinished writes can be continued by any process from the
//! state that [`Staged::suspend`](super::Staged::suspend) returns.
//!
//! **Memory.** Parts of all writes share a budget; beyond it they wait in files. Nobody waits for memory.
//!
//! **Errors.** The SDK repeats what may be repeated, with growing random pauses. What still fails because the server
//! is overloaded or away is [`Error::Unavailable`]. A transfer may take as long as it needs as long as bytes move.

mod bucket;
mod client;
mod failure;
mod keys;
mod leftovers;
mod multipart;
mod options;
mod owner;
mod probe;
mod read;
mod settings;
mod spool;
mod staged;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::presigning::PresigningConfig;
use bytes::Bytes;

pub use self::options::{Checksums, Credentials, Options, Redirect};
pub use self::settings::{BUCKET, ENDPOINT, REGION};

use self::bucket::{Bucket, LISTED};
use super::{
    Backend, BackendId, ByteRange, ByteStream, Capability, Deletion, Error, Health, Key, Leftover, Metadata,
    Object, Page, Receipt, Staged, StagingId,
};

/// The longest that a URL given out works.
const MAX_TTL: Duration = Duration::from_mins(5);

/// A bucket as a [`Backend`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct S3 {
    bucket: Arc<Bucket>,
    capabilities: Arc<[Capability]>,
}

impl S3 {
    /// Opens a bucket that exists and tries what it can do. [`Error::Unusable`] says in one sentence what is
    /// wrong and what to do: credentials, address, a missing bucket, a capability that is needed.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let bucket = Bucket::open(options).await;
        let capabilities = probe::probe(&bucket).await?;
        if let Some(lacking) = capabilities.iter().find(|can| can.needed && !can.supported) {
            let detail = lacking.detail.as_deref().unwrap_or_default();
            return Err(Error::Unusable(format!(
                "bucket {} cannot be used: {} does not work there ({detail}); `artifactstore storage probe` shows \
                 everything it can do",
                options.bucket, lacking.name
            )));
        }
        Ok(Self { bucket, capabilities: capabilities.into() })
    }

    /// The same without trying anything, for reading and for looking at what it can do.
    pub async fn open_untried(options: &Options) -> Self {
        Self { bucket: Bucket::open(options).await, capabilities: Arc::new([]) }
    }
}

#[async_trait]
impl Backend for S3 {
    fn id(&self) -> &BackendId {
        &self.bucket.options.id
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<Receipt, Error> {
        let size = body.len() as u64;
        let put = self.bucket.put(&self.bucket.names.of(key.as_str()), body).await;
        let version = put.map_err(|failure| self.bucket.failed("store", key.as_str(), failure))?;
        Ok(self.bucket.receipt(key, size, version))
    }

    async fn put_stream(&self, key: &Key, size: u64, body: ByteStream) -> Result<Receipt, Error> {
        staged::store(&self.bucket, key, size, body).await
    }

    async fn get(&self, key: &Key, range: Option<ByteRange>) -> Result<Object, Error> {
        read::open(&self.bucket, key, range).await
    }

    async fn head(&self, key: &Key) -> Result<Metadata, Error> {
        match self.bucket.head(&self.bucket.names.of(key.as_str()), None).await {
            Ok(Some(found)) => Ok(Metadata { key: key.clone(), size: found.size }),
            Ok(None) => Err(Error::not_found(key)),
            Err(failure) => Err(self.bucket.failed("look at", key.as_str(), failure)),
        }
    }

    async fn delete(&self, key: &Key, version: Option<&str>) -> Result<Deletion, Error> {
        let deleted = self.bucket.delete(&self.bucket.names.of(key.as_str()), version).await;
        deleted.map_err(|failure| self.bucket.failed("delete", key.as_str(), failure))
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Page, Error> {
        let limit = limit.max(1);
        let (names, prefix) = (&self.bucket.names, self.bucket.names.of(prefix));
        let mut after = after.map(|key| names.of(key.as_str()));
        let mut objects = Vec::new();
        loop {
            // One more than asked for tells whether there is more.
            let wanted = i32::try_from(limit + 1 - objects.len()).unwrap_or(LISTED).min(LISTED);
            let page = self.bucket.names_after(&prefix, after.as_deref(), wanted).await;
            let (page, more) = page.map_err(|failure| self.bucket.failed_at("list", &prefix, failure))?;
            let last = page.last().map(|listed| listed.name.clone());
            let keys = page
                .into_iter()
                .filter_map(|listed| Some(Metadata { key: names.key(&listed.name)?, size: listed.size }));
            objects.extend(keys);
            if !more || last.is_none() || last == after || objects.len() > limit {
                break;
            }
            after = last;
        }
        let more = objects.len() > limit;
        objects.truncate(limit);
        let next = if more { objects.last().map(|last| last.key.clone()) } else { None };
        Ok(Page { objects, next })
    }

    async fn health(&self) -> Health {
        let name = self.bucket.names.probe();
        let tried = async {
            let version = self.bucket.put(&name, Bytes::from_static(b"probe")).await?;
            let found = self.bucket.head(&name, None).await?;
            self.bucket.remove(&name, version.as_deref()).await?;
            Ok::<_, failure::Failure>(found)
        };
        let problem = match tried.await {
            Ok(Some(_)) => None,
            Ok(None) => Some("an object that was just stored is not there".to_owned()),
            Err(failure) => Some(failure.to_string()),
        };
        let capabilities = self.capabilities.to_vec();
        Health { writable: problem.is_none(), problem, capacity: None, capabilities }
    }

    async fn probe(&self) -> Result<Vec<Capability>, Error> {
        probe::probe(&self.bucket).await
    }

    async fn owner(&self) -> Result<Option<String>, Error> {
        owner::read(&self.bucket).await
    }

    async fn claim(&self, log_id: &str) -> Result<(), Error> {
        owner::claim(&self.bucket, log_id).await
    }

    fn uri(&self, key: &Key) -> String {
        self.bucket.uri(key.as_str())
    }

    async fn presign(&self, key: &Key, ttl: Duration) -> Result<Option<String>, Error> {
        let Some((client, longest)) = &self.bucket.public else { return Ok(None) };
        let failed = |reason: String| {
            Error::io(format!("sign a URL for {}", self.uri(key)), std::io::Error::other(reason))
        };
        let ttl = ttl.min(*longest).min(MAX_TTL);
        let config = PresigningConfig::expires_in(ttl).map_err(|error| failed(error.to_string()))?;
        let request = client.get_object().bucket(&self.bucket.options.bucket);
        let request = request.key(self.bucket.names.of(key.as_str()));
        let signed = request.presigned(config).await;
        let signed = signed.map_err(|error| failed(failure::Failure::from(error).to_string()))?;
        Ok(Some(signed.uri().to_owned()))
    }

    fn rereads_staged(&self) -> bool {
        false
    }

    async fn stage(&self, id: &StagingId) -> Result<Box<dyn Staged>, Error> {
        Ok(Box::new(staged::begin(&self.bucket, id)))
    }

    async fn resume(&self, id: &StagingId, length: u64, state: &[u8]) -> Result<Box<dyn Staged>, Error> {
        Ok(Box::new(staged::resume(&self.bucket, id, length, state).await?))
    }

    async fn unstage(&self, id: &StagingId) -> Result<Deletion, Error> {
        leftovers::remove(&self.bucket, id).await
    }

    async fn leftovers(&self, limit: usize) -> Result<Vec<Leftover>, Error> {
        leftovers::list(&self.bucket, limit).await
    }
}

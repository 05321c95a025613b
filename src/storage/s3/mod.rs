//! Objects in a bucket: AWS S3, Ceph RGW and what speaks their language (CAS-9).
//!
//! ```text
//! <prefix>blake3/ab/cd/<hex>.<incarnation>          an object; what follows the prefix is its key
//! <prefix>multipart/<hex of staging id>.<ulid>      one that came in parts, or is about to
//! <prefix>staging/<staging id>/<offset>.<ulid>      bytes put aside, see `staged`
//! <prefix>.registry                                 whose objects these are, and which place this is
//! <prefix>.registry.place                           left by who added the place to a marker of the first release
//! ```
//!
//! **Written once.** S3 replaces objects without a word, so callers' unique keys are what protects them, and no
//! write here ever answers [`Error::Exists`]. For the same reason a write whose answer got lost is simply repeated.
//!
//! **Failures.** Every request is tried [`Options::attempts`] times, after random pauses that double; an allowance
//! that all requests share keeps retries from adding to the load of a server that is down. With
//! [`Retries::Adaptive`] a server that throttles also slows down the requests that were not refused, until it lets
//! more through again. Then whatever a later attempt might cure is
//! [`Error::Unavailable`]; only an answer that says so is [`Error::NotFound`].
//!
//! **Memory.** Parts on their way share [`Options::part_memory`] and go to files beyond it, see `part`.

mod bucket;
mod client;
mod fault;
mod idle;
mod leftovers;
mod list;
mod options;
mod owner;
mod part;
mod presign;
mod probe;
mod read;
mod settings;
mod staged;
mod state;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod upload;
mod verify;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use self::bucket::Bucket;
use self::part::{Memory, Part};
use self::verify::Sum;
use super::{
    Backend, BackendId, ByteRange, ByteStream, Capability, Deletion, Error, Health, Key, Leftover, Metadata,
    Object, Owner, Page, PlaceId, Receipt, Staged, StagingId,
};

pub use self::options::{Checksums, Credentials, Options, Redirect, Retries};
pub use self::settings::{BUCKET, ENDPOINT, REGION};

/// Where uploads in parts are; the beginning of their keys.
const MULTIPART: &str = "multipart/";

/// Where bytes are put aside.
const STAGING: &str = "staging/";

/// The least and the most the protocol allows for a part.
const PART_SIZES: std::ops::RangeInclusive<u64> = 5 << 20..=5 << 30;

/// How often the write of an object is tried that the server says is in another one's way (409).
const RACES: u32 = 5;

/// How long the second time waits; every other one that much longer.
const AFTER_RACE: Duration = Duration::from_millis(20);

/// A bucket as a [`Backend`]. Cheap to clone; clones share connections and memory.
#[derive(Clone, Debug)]
pub struct S3 {
    bucket: Arc<Bucket>,
    capabilities: Arc<Mutex<Vec<Capability>>>,
}

impl S3 {
    /// Opens a bucket that exists and tries what it can do. [`Error::Unusable`] says in one sentence what is wrong
    /// and what to do: settings, credentials, address, a missing bucket, a capability that is needed.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let s3 = Self::open_untried(options).await?;
        let capabilities = s3.probe().await?;
        match capabilities.iter().find(|capability| capability.needed && !capability.supported) {
            None => Ok(s3),
            Some(lacking) => Err(Error::Unusable(format!(
                "bucket {:?} cannot be used: {} does not work there ({}); use another server or bucket, \
                 `artifactstore storage probe` shows everything it can do",
                options.bucket,
                lacking.name,
                lacking.detail.as_deref().unwrap_or_default()
            ))),
        }
    }

    /// The same without asking the server anything, for reading and for looking at what it can do.
    /// [`Error::Unusable`] when the settings alone tell that it cannot be used.
    pub async fn open_untried(options: &Options) -> Result<Self, Error> {
        check(options).map_err(Error::Unusable)?;
        let client = client::connect(options, options.endpoint.as_deref()).await?;
        let outside = match options.redirect.as_ref().and_then(|redirect| redirect.endpoint.as_deref()) {
            Some(endpoint) => client::connect(options, Some(endpoint)).await?,
            None => client.clone(),
        };
        let memory = Memory::new(options.part_memory, &options.spool);
        let bucket = Arc::new(Bucket { client, outside, options: options.clone(), memory });
        Ok(Self { bucket, capabilities: Arc::default() })
    }

    fn capabilities(&self) -> Vec<Capability> {
        self.capabilities.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn check(options: &Options) -> Result<(), String> {
    let prefix = &options.prefix;
    let inside = prefix.strip_suffix('/');
    let is_path = inside.is_some_and(|inside| {
        inside.split('/').all(|part| !matches!(part, "" | "." | "..") && part.bytes().all(is_plain))
    });
    if options.bucket.is_empty() {
        return Err("no bucket is named; set storage.s3.bucket".into());
    }
    if !prefix.is_empty() && (!is_path || prefix.len() > 256) {
        return Err(format!(
            "the prefix {prefix:?} is no path that ends in a slash; check storage.s3.prefix"
        ));
    }
    if !PART_SIZES.contains(&options.part_size) {
        return Err(format!(
            "parts can not have {} bytes; set storage.s3.part_size to 5 MiB or more",
            options.part_size
        ));
    }
    if !options.spool.is_dir() {
        return Err(format!("there is no folder {}; check storage.s3.spool", options.spool.display()));
    }
    Ok(())
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

impl Bucket {
    fn receipt(&self, key: &Key, size: u64, version: Option<String>) -> Receipt {
        let (backend, uri) = (self.options.id.clone(), self.uri(key.as_str()));
        Receipt { backend, key: key.clone(), size, uri, version }
    }

    /// Writes an object in one request.
    async fn store(self: &Arc<Self>, key: &Key, body: &Part) -> Result<Receipt, Error> {
        let action = || format!("write {key}");
        let mut attempts = 1;
        let version = loop {
            match self.put(key.as_str(), body).await {
                // Nobody else writes this key: the server was in its own way, as one over a file system is where another
                // object of a folder goes.
                Err(fault) if fault.is_raced() && attempts < RACES => {
                    tokio::time::sleep(AFTER_RACE * attempts).await;
                    attempts += 1;
                }
                put => break put.map_err(|fault| fault.during(action()))?,
            }
        };
        if self.options.verify_writes {
            let sum = Sum::of(body).await.map_err(|fault| fault.during(action()))?;
            let parts = if body.len() == 0 { vec![] } else { vec![(body.len(), sum)] };
            let verified = self.compare(key.as_str(), &parts).await;
            self.kept_if(key, verified).await?;
        }
        Ok(self.receipt(key, body.len(), version))
    }

    /// Passes on whether an object is what was sent, and removes one that is not: an error leaves nothing.
    async fn kept_if(&self, key: &Key, verified: Result<(), Error>) -> Result<(), Error> {
        if verified.is_err()
            && let Err(fault) = self.remove(key.as_str()).await
        {
            tracing::warn!(%key, error = fault.text(), "Left an object behind that could not be verified");
        }
        verified
    }
}

#[async_trait]
impl Backend for S3 {
    fn id(&self) -> &BackendId {
        &self.bucket.options.id
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<Receipt, Error> {
        self.bucket.store(key, &Part::of(body)).await
    }

    async fn put_stream(&self, key: &Key, size: u64, body: ByteStream) -> Result<Receipt, Error> {
        self.bucket.store_stream(key, size, body).await
    }

    async fn get(&self, key: &Key, range: Option<ByteRange>) -> Result<Object, Error> {
        self.bucket.open(key, range).await
    }

    async fn head(&self, key: &Key) -> Result<Metadata, Error> {
        match self.bucket.head(key.as_str()).await {
            Ok(Some(found)) => Ok(Metadata { key: key.clone(), size: found.size }),
            Ok(None) => Err(Error::not_found(key)),
            Err(fault) => Err(fault.during(format!("look at {key}"))),
        }
    }

    async fn delete(&self, key: &Key, version: Option<&str>) -> Result<Deletion, Error> {
        let removed = match version {
            None => self.bucket.remove(key.as_str()).await,
            Some(version) => self.bucket.remove_version(key.as_str(), version).await,
        };
        let was_there = removed.map_err(|fault| fault.during(format!("delete {key}")))?;
        Ok(if was_there { Deletion::Deleted } else { Deletion::Missing })
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Page, Error> {
        self.bucket.list(prefix, after, limit).await
    }

    async fn health(&self) -> Health {
        let problem = self.bucket.find_problem().await.err();
        let capabilities = self.capabilities();
        Health { writable: problem.is_none(), problem, capacity: None, capabilities }
    }

    async fn probe(&self) -> Result<Vec<Capability>, Error> {
        let found = self.bucket.probe().await?;
        self.capabilities.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&found);
        Ok(found)
    }

    async fn owner(&self) -> Result<Option<Owner>, Error> {
        self.bucket.owner().await
    }

    async fn claim(&self, log_id: &str) -> Result<PlaceId, Error> {
        self.bucket.claim(log_id).await
    }

    fn uri(&self, key: &Key) -> String {
        self.bucket.uri(key.as_str())
    }

    async fn presign(&self, key: &Key, ttl: Duration) -> Result<Option<String>, Error> {
        self.bucket.presign(key, ttl).await
    }

    fn longest_url(&self) -> Option<Duration> {
        self.bucket.longest_url()
    }

    async fn stage(&self, id: &StagingId) -> Result<Box<dyn Staged>, Error> {
        Ok(Box::new(staged::create(&self.bucket, id)))
    }

    async fn resume(&self, id: &StagingId, length: u64, state: &[u8]) -> Result<Box<dyn Staged>, Error> {
        Ok(Box::new(staged::resume(&self.bucket, id, length, state).await?))
    }

    fn rereads_staged(&self) -> bool {
        false
    }

    async fn unstage(&self, id: &StagingId) -> Result<Deletion, Error> {
        self.bucket.unstage(id).await.map_err(|fault| fault.during(format!("remove staged write {id}")))
    }

    async fn leftovers(&self, limit: usize) -> Result<Vec<Leftover>, Error> {
        self.bucket.leftovers(limit).await.map_err(|fault| fault.during("list staged writes"))
    }
}

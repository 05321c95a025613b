//! Which bucket, and how it is used.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;
use crate::storage::BackendId;

/// What can be set about a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The name this backend has in receipts and events.
    pub id: BackendId,
    /// The bucket; it must exist.
    pub bucket: String,
    /// Put before every key; empty, or a path that ends in `/`.
    pub prefix: String,
    /// The server, as a URL; AWS's own for the region when not set.
    pub endpoint: Option<String>,
    /// The region requests are signed for.
    pub region: String,
    /// Whether the bucket stands in the path of a request instead of in its host name.
    pub path_style: bool,
    /// Who we are. Without them the usual chain is asked: environment, profile, web identity, container, instance.
    pub credentials: Option<Credentials>,
    /// Which checksums travel with requests.
    pub checksums: Checksums,
    /// Bytes per part of a multipart upload, 5 MiB to 5 GiB. Smaller objects travel in one request.
    pub part_size: u64,
    /// Parts of one upload on their way at once.
    pub parts_in_flight: usize,
    /// Memory for parts of all uploads together, bytes; parts beyond wait in files in `spool`.
    pub part_memory: u64,
    /// A folder for parts that have no room in memory.
    pub spool: PathBuf,
    /// When requests are tried again.
    pub retries: Retries,
    /// How often a request is tried in all before the client is told to come back later.
    pub attempts: u32,
    /// A request that moves no byte for this long has failed. There is no limit on how long it takes in all.
    pub idle_timeout: Duration,
    /// Whether every object is read back and compared with what was sent before it is acknowledged.
    pub verify_writes: bool,
    /// Whether clients are sent to the bucket for the bytes of a blob.
    pub redirect: Option<Redirect>,
}

/// An access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Names the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// What temporary credentials need besides.
    pub session_token: Option<Secret>,
}

/// Checksums of requests. Our own digests are what counts; these only guard the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksums {
    /// Only where the protocol demands one: what old Ceph RGW and MinIO-likes accept.
    #[default]
    WhenRequired,
    /// Wherever the protocol supports one.
    Full,
}

/// When a request that failed for the moment is tried again. The pauses are random and double either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retries {
    /// The SDK's adaptive mode: besides, the rate of all requests follows what the server lets through.
    #[default]
    Adaptive,
    /// The SDK's standard mode: a throttled request slows down no other one.
    Standard,
}

/// Sending clients to the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// How long such a URL works; at most five minutes.
    pub ttl: Duration,
    /// The server as clients reach it, when that is not `endpoint`.
    pub endpoint: Option<String>,
}

impl Options {
    /// The defaults for a bucket.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            id: "s3".parse().expect("a literal id"),
            bucket: bucket.into(),
            prefix: String::new(),
            endpoint: None,
            region: "us-east-1".to_owned(),
            path_style: false,
            credentials: None,
            checksums: Checksums::default(),
            part_size: 8 * 1024 * 1024,
            parts_in_flight: 3,
            part_memory: 64 * 1024 * 1024,
            spool: std::env::temp_dir(),
            retries: Retries::default(),
            attempts: 5,
            idle_timeout: Duration::from_secs(30),
            verify_writes: false,
            redirect: None,
        }
    }
}

//! URLs for clients.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;

use super::bucket::Bucket;
use super::fault::Fault;
use crate::storage::{Error, Key};

/// The longest a URL works, whatever is asked for.
const LONGEST: Duration = Duration::from_mins(5);

impl Bucket {
    /// See [`Backend::presign`](crate::storage::Backend::presign). Works offline.
    pub(super) async fn presign(&self, key: &Key, ttl: Duration) -> Result<Option<String>, Error> {
        let Some(redirect) = &self.options.redirect else { return Ok(None) };
        let signed = self.presigned(key.as_str(), ttl.min(redirect.ttl)).await;
        signed.map(Some).map_err(|fault| fault.during(format!("sign a URL for {key}")))
    }

    /// See [`Backend::longest_url`](crate::storage::Backend::longest_url).
    pub(super) fn longest_url(&self) -> Option<Duration> {
        self.options.redirect.as_ref().map(|redirect| redirect.ttl.min(LONGEST))
    }

    pub(super) async fn presigned(&self, name: &str, ttl: Duration) -> Result<String, Fault> {
        let ttl = ttl.clamp(Duration::from_secs(1), LONGEST);
        let until = PresigningConfig::expires_in(ttl).map_err(|e| Fault::odd(e.to_string()))?;
        let request = self.outside.get_object().bucket(self.name()).key(self.full(name));
        Ok(request.presigned(until).await?.uri().to_owned())
    }
}

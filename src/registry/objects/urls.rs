//! URLs under which an object can be read for a time, by whoever has them.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{KeyedObject, KeyedStore};
use crate::clock::{Micros, SECOND};
use crate::oci::RepositoryName;
use crate::package::PackagePath;
use crate::registry::signing::keys::{Keys, LONGEST, rotate_signing_key};
use crate::registry::signing::{Grant, Signature};
use crate::registry::{Blob, Error, Registry};

/// What may stand in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A URL that works for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectUrl {
    /// The URL of the storage, or the path and query of one the registry's HTTP server answers.
    pub url: String,
    /// When it ends.
    pub expires_at: Micros,
}

/// Where the HTTP server has an object.
pub fn object_path(repository: &RepositoryName, key: &PackagePath) -> String {
    format!("/v2/{repository}/_artifactstore/objects/{}", utf8_percent_encode(key.as_str(), PLAIN))
}

impl KeyedStore {
    /// A URL under which anyone can read what the key names now, for a time of whole seconds: at least one, at most
    /// seven days.
    ///
    /// It is the storage's own where the storage gives out URLs that work as long, otherwise one that the registry
    /// signs and answers itself. One of the registry ends before its time when the key gets other content.
    pub async fn get_url(&self, key: &PackagePath, expires_in: Duration) -> Result<ObjectUrl, Error> {
        let seconds = expires_in.as_secs();
        if seconds == 0 || expires_in > LONGEST {
            return Err(Error::UrlTime { longest: LONGEST });
        }
        let (object, blob) = self.open(key).await?;
        let inner = &self.registry.inner;
        let now = inner.clock.now();
        let expires = now / SECOND + seconds.cast_signed();
        let expires_at = expires.saturating_mul(SECOND);
        if let Some(url) = inner.data.url_for(&blob.location, Duration::from_secs(seconds)).await? {
            return Ok(ObjectUrl { url, expires_at });
        }
        let grant = Grant { repository: &self.repository, key, content: &object.content };
        let Signature { expires, key_id, proof } =
            Keys::new(&inner.db).signing(now).await?.sign(&grant, expires);
        let path = object_path(&self.repository, key);
        Ok(ObjectUrl { url: format!("{path}?expires={expires}&kid={key_id}&signature={proof}"), expires_at })
    }
}

impl Registry {
    /// What a key names, for whoever has a URL of it. Of a URL that does not prove anything one learns nothing, not
    /// even whether there is such a key.
    pub async fn signed_object(
        &self,
        repository: &RepositoryName,
        key: &PackagePath,
        signature: &Signature,
    ) -> Result<(KeyedObject, Blob), Error> {
        let now = self.inner.clock.now();
        let signing = Keys::new(&self.inner.db).of(signature, now).await?.ok_or(Error::UrlRefused)?;
        let (object, blob) = match self.find_object(repository, key).await {
            Err(Error::KeyUnknown(_)) => return Err(Error::UrlRefused),
            found => found?,
        };
        if !signing.verifies(&Grant { repository, key, content: &object.content }, signature) {
            return Err(Error::UrlRefused);
        }
        if now >= signature.expires_at() {
            return Err(Error::UrlExpired { at: signature.expires_at() });
        }
        Ok((object, blob))
    }

    /// How long a URL that was found to be good goes on to work.
    pub fn time_left(&self, signature: &Signature) -> Duration {
        let left = signature.expires_at().saturating_sub(self.inner.clock.now());
        Duration::from_micros(u64::try_from(left).unwrap_or_default())
    }

    /// Exchanges the key that signs URLs and returns the id of the new one. URLs that were given out work until they
    /// end.
    pub async fn rotate_signing_key(&self) -> Result<String, Error> {
        rotate_signing_key(&self.inner.db, &self.inner.clock).await
    }
}

//! Manifests over the distribution API.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use http::{Method, StatusCode};

use super::blobs::CONTENT_DIGEST;
use super::http::Call;
use super::payload::Payload;
use super::{Client, Error};
use crate::hash;
use crate::oci::{Algorithm, Digest, Manifest, Reference, RepositoryName, media};

/// Bytes of a manifest at most, as registries have it.
const MAX_MANIFEST: usize = 4 << 20;

/// Bytes of a blob that is read into memory: a content manifest.
const MAX_DOCUMENT: usize = crate::package::LIMITS.total;

/// A manifest and what it is known by.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) manifest: Manifest,
    pub(super) digest: Digest,
}

impl Client {
    /// Stores a manifest; the answer's headers. That the server has it says its digest in the answer, or else the
    /// manifest that it gives back.
    pub(super) async fn put_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<HeaderMap, Error> {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(_) => hash::digest(Algorithm::Sha256, &bytes),
        };
        let call = Call::new(Method::PUT, target, repository.as_str())
            .header(CONTENT_TYPE, media_type)
            .payload(Payload::Bytes(Bytes::from(bytes)))
            .last();
        let headers = match self.expect(&call, &[StatusCode::CREATED]).await {
            Ok(answer) => answer.headers().clone(),
            // It took too long to say; it may be done all the same.
            Err(error @ Error::Idle { .. }) => match self.gives(repository, reference, &digest).await {
                Ok(true) => return Ok(HeaderMap::new()),
                _ => return Err(error),
            },
            Err(error) => return Err(error),
        };
        let stated = headers.get(CONTENT_DIGEST).and_then(|value| value.to_str().ok());
        if stated != Some(digest.as_str()) && !self.gives(repository, reference, &digest).await? {
            let reason = format!("it says it stored {digest}, and does not give it back");
            return Err(self.protocol(&call.what(), reason));
        }
        Ok(headers)
    }

    /// Whether a reference leads to this manifest.
    async fn gives(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let accept = [media::OCI_IMAGE_MANIFEST, media::OCI_IMAGE_INDEX].join(", ");
        let call = Call::new(Method::GET, target, repository.as_str()).header(ACCEPT, accept);
        let answer = self.expect(&call, &[StatusCode::OK, StatusCode::NOT_FOUND]).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        let bytes = self.body(&call.what(), answer, MAX_MANIFEST).await?;
        Ok(hash::digest(digest.algorithm(), &bytes) == *digest)
    }

    /// Fetches a manifest. One asked for by digest is what the digest says.
    pub(super) async fn get_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Found, Error> {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let accept = [
            media::OCI_IMAGE_MANIFEST,
            media::OCI_IMAGE_INDEX,
            media::DOCKER_MANIFEST,
            media::DOCKER_MANIFEST_LIST,
        ];
        let call = Call::new(Method::GET, target, repository.as_str()).header(ACCEPT, accept.join(", "));
        let answer = self.expect(&call, &[StatusCode::OK]).await?;
        let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_owned);
        let bytes = self.body(&call.what(), answer, MAX_MANIFEST).await?;
        let digest = match reference {
            Reference::Digest(digest) => {
                self.check(&call.what(), digest, &bytes)?;
                digest.clone()
            }
            Reference::Tag(_) => hash::digest(Algorithm::Sha256, &bytes),
        };
        let manifest = Manifest::parse(&bytes, content_type.as_deref());
        let manifest = manifest.map_err(|error| self.protocol(&call.what(), error.to_string()))?;
        Ok(Found { manifest, digest })
    }

    /// Fetches a small blob and checks it.
    pub(super) async fn get_document(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Bytes, Error> {
        let answer = self.get_blob(repository, digest, 0).await?;
        let what = format!("blob {digest}");
        let bytes = self.body(&what, answer, MAX_DOCUMENT).await?;
        self.check(&what, digest, &bytes)?;
        Ok(bytes)
    }

    fn check(&self, what: &str, expected: &Digest, bytes: &[u8]) -> Result<(), Error> {
        let found = hash::digest(expected.algorithm(), bytes);
        if found == *expected {
            return Ok(());
        }
        let (server, found) = (self.server().to_string(), found.to_string());
        Err(Error::Damaged { server, what: what.to_owned(), expected: expected.clone(), found })
    }
}

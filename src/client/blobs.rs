//! Blobs over the distribution API.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, RANGE};
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;

use super::http::Call;
use super::payload::{FilePart, Payload};
use super::{Client, Error, retry};
use crate::oci::media::OCTET_STREAM;
use crate::oci::{Digest, RepositoryName};

/// Larger files are sent in a session, which goes on after a broken connection.
const ONE_REQUEST: u64 = 8 << 20;

/// The registry shall send bytes itself, even where its storage could; one connection less to set up and to trust.
pub(super) const NO_REDIRECT: HeaderName = HeaderName::from_static("x-artifactstore-redirect");

/// What a server says it gives or has taken.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

impl Client {
    /// Whether the repository holds a blob of this size. A server that says yes to everything is not believed: the
    /// answer has the blob's digest or its size, and no other ones.
    pub(super) async fn has_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
    ) -> Result<bool, Error> {
        let target = format!("/v2/{repository}/blobs/{digest}");
        let call = Call::new(Method::HEAD, target, repository.as_str()).header(NO_REDIRECT, "never");
        let answer = self.expect(&call, &[StatusCode::OK, StatusCode::NOT_FOUND]).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        let header = |name: &HeaderName| answer.headers().get(name)?.to_str().ok();
        let its_digest = header(&CONTENT_DIGEST).map(|stated| stated == digest.as_str());
        let its_size = header(&CONTENT_LENGTH).map(|stated| stated.parse() == Ok(size));
        let stated = [its_digest, its_size];
        Ok(!stated.contains(&Some(false)) && stated.contains(&Some(true)))
    }

    /// The bytes of a blob from `start` on.
    pub(super) async fn get_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        start: u64,
    ) -> Result<Response<Incoming>, Error> {
        let target = format!("/v2/{repository}/blobs/{digest}");
        let mut call = Call::new(Method::GET, target, repository.as_str()).header(NO_REDIRECT, "never");
        if start > 0 {
            call = call.header(RANGE, format!("bytes={start}-"));
        }
        self.expect(&call, &[StatusCode::OK, StatusCode::PARTIAL_CONTENT]).await
    }

    /// Sends a blob. When the server finds other content than the digest says, the file changed.
    pub(super) async fn push_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        payload: Payload,
    ) -> Result<(), Error> {
        let path = payload.path().map(ToOwned::to_owned);
        let sent = match payload {
            Payload::File(part) if part.size > ONE_REQUEST => {
                self.push_in_session(repository, digest, part).await
            }
            payload => self.push_at_once(repository, digest, payload).await,
        };
        match (sent, path) {
            (Err(Error::Refused { code, .. }), Some(path)) if code == "DIGEST_INVALID" => {
                Err(Error::Changed { path })
            }
            (sent, _) => sent,
        }
    }

    /// One POST with everything; a registry that does not do that opens a session instead, and gets a PUT.
    async fn push_at_once(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        payload: Payload,
    ) -> Result<(), Error> {
        if self.wants_sessions() {
            let location = self.begin(repository).await?;
            return self.finish(repository, digest, &location, payload).await;
        }
        let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let post = Call::new(Method::POST, target, repository.as_str())
            .header(CONTENT_TYPE, OCTET_STREAM)
            .payload(payload.clone())
            .repeatable();
        let answer = self.expect(&post, &[StatusCode::CREATED, StatusCode::ACCEPTED]).await?;
        if answer.status() == StatusCode::CREATED {
            return Ok(());
        }
        // The next ones are not sent for nothing.
        self.use_sessions();
        let location = self.location(&post, answer.headers())?;
        self.finish(repository, digest, &location, payload).await
    }

    async fn push_in_session(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        part: FilePart,
    ) -> Result<(), Error> {
        let mut location = self.begin(repository).await?;
        let (mut at, mut failures) = (0, 0);
        while at < part.size {
            let payload = Payload::File(FilePart { start: at, ..part.clone() });
            let patch = Call::new(Method::PATCH, location.as_str(), repository.as_str())
                .header(CONTENT_TYPE, OCTET_STREAM)
                .header(CONTENT_RANGE, format!("{at}-{}", part.size - 1))
                .payload(payload.clone())
                .once();
            let trouble = match self.send(&patch).await {
                Ok(answer) if answer.status() == StatusCode::ACCEPTED => {
                    location = self.location(&patch, answer.headers())?;
                    break;
                }
                Ok(answer) => self.refusal(&patch, answer).await,
                Err(error) => error,
            };
            if !is_broken(&trouble) || failures == retry::ATTEMPTS {
                return Err(trouble);
            }
            payload.check_unchanged().await?;
            failures += 1;
            tokio::time::sleep(retry::pause(failures, None)).await;
            match self.received(repository, &location).await? {
                Some(received) if received > part.size => return Err(trouble),
                Some(received) => {
                    // What arrived counts: a slow line may break more often than the limit.
                    failures = if received > at { 0 } else { failures };
                    at = received;
                }
                None => {
                    location = self.begin(repository).await?;
                    at = 0;
                }
            }
        }
        self.complete(repository, digest, &location, Payload::empty(), part.size).await
    }

    async fn begin(&self, repository: &RepositoryName) -> Result<String, Error> {
        let target = format!("/v2/{repository}/blobs/uploads/");
        // A session nobody goes on with expires.
        let post = Call::new(Method::POST, target, repository.as_str()).repeatable();
        let answer = self.expect(&post, &[StatusCode::ACCEPTED]).await?;
        self.location(&post, answer.headers())
    }

    /// How much of an upload the server has; `None` when it forgot the session.
    async fn received(&self, repository: &RepositoryName, location: &str) -> Result<Option<u64>, Error> {
        let call = Call::new(Method::GET, location, repository.as_str());
        let answer = self.expect(&call, &[StatusCode::NO_CONTENT, StatusCode::NOT_FOUND]).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let range = answer.headers().get(RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let end =
            range.trim_start_matches("bytes=").strip_prefix("0-").and_then(|end| end.parse::<i64>().ok());
        match end.and_then(|end| u64::try_from(end + 1).ok()) {
            Some(received) => Ok(Some(received)),
            None => Err(self.protocol(&call.what(), format!("{range:?} is not the range of an upload"))),
        }
    }

    /// Ends a session with everything in it.
    async fn finish(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        location: &str,
        payload: Payload,
    ) -> Result<(), Error> {
        let size = payload.len();
        self.complete(repository, digest, location, payload, size).await
    }

    /// Ends a session with the last part of a blob of this size.
    async fn complete(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        location: &str,
        payload: Payload,
        size: u64,
    ) -> Result<(), Error> {
        let separator = if location.contains('?') { '&' } else { '?' };
        let target = format!("{location}{separator}digest={digest}");
        let put = Call::new(Method::PUT, target, repository.as_str())
            .header(CONTENT_TYPE, OCTET_STREAM)
            .payload(payload)
            .last();
        match self.expect(&put, &[StatusCode::CREATED, StatusCode::NO_CONTENT]).await {
            Ok(_) => Ok(()),
            // The answer to a first attempt may have been lost, and the session has ended with it.
            Err(error) if error.is_unknown() && self.has_blob(repository, digest, size).await? => Ok(()),
            // It took too long to say; it may be done all the same.
            Err(error @ Error::Idle { .. }) => match self.has_blob(repository, digest, size).await {
                Ok(true) => Ok(()),
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }
}

/// Whether asking how far the upload is may help.
fn is_broken(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } | Error::ElsewhereUnreachable { .. } | Error::Idle { .. } => true,
        // Another attempt's bytes may still be on their way in: 416, or 409 from some.
        Error::Refused { status, .. } => matches!(status, 404 | 409 | 416 | 429 | 500..=599),
        _ => false,
    }
}

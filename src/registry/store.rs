//! Content by its digest alone: what is underneath everything else (CAS-1).

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::task::spawn_blocking;

use super::blobs::location;
use super::uploads::run;
use super::{Actor, Body, Error, Registry};
use crate::dataplane::{self, DataPlane, Location};
use crate::db::Db;
use crate::events::Damage;
use crate::hash::Hasher;
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::views::{contents, links};

/// The repository whose content has no other: what the commands and [`Store::local`] use.
pub const LOCAL: &str = "local";

/// Bytes that are compared with their digest on the way: the stream ends with an error unless they have it. What
/// came before that error must not be used.
pub type Verified = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// The content of one repository, put and got by digest. Cheap to clone.
///
/// [`crate::blocking::Store`] is the same for callers without a runtime.
#[derive(Clone, Debug)]
pub struct Store {
    registry: Registry,
    repository: RepositoryName,
    actor: Actor,
}

/// What is known of some content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The digest asked for.
    pub digest: Digest,
    /// Its BLAKE3 digest.
    pub content_address: Digest,
    /// Its SHA-256 digest.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    damage: Option<Damage>,
    location: Location,
}

impl Store {
    /// The content of a repository, which need not exist; `actor` is who the log says puts it there.
    pub fn new(registry: Registry, repository: RepositoryName, actor: Actor) -> Self {
        Self { registry, repository, actor }
    }

    /// The content of the repository [`LOCAL`].
    pub fn local(registry: Registry) -> Self {
        Self::new(registry, LOCAL.parse().expect("a literal name"), Actor::system())
    }

    /// The registry that holds it.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Stores what `body` brings and gives its content address. On return it is durable and the log names it; content
    /// that is there already is kept as it is. On an error nothing of it is kept.
    pub async fn put(&self, body: Body) -> Result<Digest, Error> {
        let Self { registry, repository, actor } = self.clone();
        // In a task of its own: a caller that goes away must not leave bytes that nobody removes.
        run(async move {
            let sealed = registry.receive_whole(None, body).await?;
            let content = sealed.digests.content().clone();
            registry.link(&repository, actor, &content, sealed).await?;
            Ok(content)
        })
        .await
    }

    /// The bytes with this digest, of any algorithm that was recorded for them.
    pub async fn get(&self, digest: &Digest) -> Result<Verified, Error> {
        self.stat(digest).await?.read(&self.registry.inner.data).await
    }

    /// What is known of the content with this digest; its bytes are not looked at.
    pub async fn stat(&self, digest: &Digest) -> Result<Stat, Error> {
        Stat::find(&self.registry.inner.db, &self.repository, digest).await
    }
}

impl Stat {
    /// Looks without a registry: beside a running one, or where nothing may be written.
    pub async fn find(db: &Db, repository: &RepositoryName, digest: &Digest) -> Result<Self, Error> {
        let unknown = || Error::BlobUnknown(digest.clone());
        let blob = links::find(db, repository, digest).await?.ok_or_else(unknown)?;
        let content_address = blob.content.clone();
        let digests = contents::digests_of(db, &content_address).await?;
        let sha256 = digests.into_iter().find(|digest| digest.algorithm() == Algorithm::Sha256);
        let sha256 = sha256.ok_or_else(unknown)?;
        let (size, damage) = (blob.size, blob.damage);
        let (digest, location) = (digest.clone(), location(blob));
        Ok(Self { digest, content_address, sha256, size, damage, location })
    }

    /// Its bytes, compared with the digest that was asked for.
    pub async fn read(&self, data: &DataPlane) -> Result<Verified, Error> {
        if let Some(damage) = self.damage {
            return Err(Error::BlobDamaged { digest: self.digest.clone(), damage });
        }
        let object = data.open(&self.location, None).await?;
        let start = Some((object.body, Hasher::new(self.digest.algorithm())));
        let claimed = self.digest.clone();
        let verified = stream::try_unfold(start, move |state| {
            let claimed = claimed.clone();
            async move {
                let Some((mut body, mut hasher)) = state else { return Ok(None) };
                let Some(bytes) = body.next().await else {
                    let actual = hasher.finish();
                    if actual == claimed {
                        return Ok(None);
                    }
                    return Err(Error::Data(dataplane::Error::DigestMismatch { claimed, actual }));
                };
                let bytes = bytes.map_err(dataplane::Error::from)?;
                let piece = bytes.clone();
                let hasher = spawn_blocking(move || {
                    hasher.update(&piece);
                    hasher
                });
                let hasher = hasher.await.map_err(|_| Error::Stopping)?;
                Ok(Some((bytes, Some((body, hasher)))))
            }
        });
        Ok(Box::pin(verified))
    }
}

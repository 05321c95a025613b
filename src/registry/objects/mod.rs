//! Keyed objects, for applications that think in keys.
//!
//! A key names content and can come to name other content; what it named before stays in the log as `previous`. The
//! bytes go the way of every blob: received in one pass, durable first, then one command that links the blob and makes
//! the key name it. While a key names a blob, the blob cannot be deleted from the repository. What no key, manifest or
//! package names any more is left to a collection.

mod commands;
mod condition;
mod key;
mod list;
mod urls;

pub use condition::{Condition, Contents};
pub use key::{Prefix, build_key, normalise_key};
pub use list::{List, Listing, MAX_LISTED};
pub use urls::{ObjectUrl, object_path};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::commands::LinkBlob;
use super::uploads::run;
use super::{Actor, Blob, Body, ByteRange, ByteStream, Error, Registry};
use crate::clock::Micros;
use crate::events::Fact;
use crate::oci::media::is_media_type;
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::package::PackagePath;
use crate::views::{self, blobs, objects};
use commands::{DeleteObject, New, StoreObject};

/// What a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedObject {
    /// The key.
    pub storage_key: PackagePath,
    /// The backend that has the bytes.
    pub storage_backend: String,
    /// Where it has them: `file://{absolute path}`, `s3://{bucket}/{key}`. For people who look into the backend; what
    /// is there is never changed, and not to be changed.
    pub storage_uri: String,
    /// BLAKE3 of the bytes.
    pub content: Digest,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub mime_type: String,
    /// When the key came to name it.
    pub created_at: Micros,
}

/// What is said of bytes that a key is to name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewObject {
    /// What it is; guessed from the key if nobody says.
    pub mime_type: Option<String>,
    /// What its client says it hashes to, in any algorithm.
    pub claimed: Option<Digest>,
    /// What the key must name for it to happen; [`Error::KeyDiffers`] otherwise.
    pub condition: Condition,
}

/// The keys of one repository. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyedStore {
    registry: Registry,
    repository: RepositoryName,
    actor: Actor,
}

impl Registry {
    /// The keys of a repository, for somebody whose name stands at what is changed through it.
    pub fn keyed_store(&self, repository: &RepositoryName, actor: Actor) -> KeyedStore {
        KeyedStore { registry: self.clone(), repository: repository.clone(), actor }
    }

    async fn find_object(
        &self,
        repository: &RepositoryName,
        key: &PackagePath,
    ) -> Result<(KeyedObject, Blob), Error> {
        let found = objects::find(&self.inner.db, repository, key).await?;
        let (object, blob) = found.ok_or_else(|| Error::KeyUnknown(key.clone()))?;
        let described = self.describe_object(object, &blob)?;
        let blob = Blob::new(described.sha256.clone(), blob)?;
        Ok((described, blob))
    }

    fn describe_object(&self, object: objects::Object, blob: &blobs::Blob) -> Result<KeyedObject, Error> {
        let location = super::blobs::location(blob.clone());
        Ok(KeyedObject {
            storage_key: object.key,
            storage_uri: self.inner.data.uri(&location)?,
            storage_backend: location.backend,
            content: object.content,
            sha256: object.sha256,
            size: object.size,
            mime_type: object.media_type,
            created_at: object.created_at,
        })
    }
}

impl KeyedStore {
    /// Makes a key name the bytes of a stream, whatever it named before, and returns what it named then. When it
    /// returns the bytes are durable and the log says so. On any error the key names what it named.
    ///
    /// The same bytes again change nothing, unless somebody says that they are of another type. Of two at once the
    /// later one wins, and the log has both.
    pub async fn put(&self, key: &PackagePath, new: NewObject, body: Body) -> Result<KeyedObject, Error> {
        if let Some(text) = new.mime_type.as_ref().filter(|text| !is_media_type(text)) {
            return Err(Error::MediaTypeInvalid(text.clone()));
        }
        self.check_condition(key, &new.condition).await?;
        let (store, key) = (self.clone(), key.clone());
        // In a task of its own: a client that goes away must not leave bytes that nobody removes.
        run(async move { store.receive(key, new, body).await }).await
    }

    async fn receive(&self, key: PackagePath, new: NewObject, body: Body) -> Result<KeyedObject, Error> {
        let sealed = self.registry.receive_whole(new.claimed.as_ref(), body).await?;
        let content = sealed.digests.content().clone();
        let sha256 = sealed.digests.get(Algorithm::Sha256).expect("every digester runs SHA-256").clone();
        let digest = new.claimed.unwrap_or_else(|| sha256.clone());
        let condition = new.condition;
        let new = New { content, sha256, size: sealed.size, media_type: new.mime_type };
        let command = |stored, lost| StoreObject {
            link: LinkBlob {
                repository: self.repository.clone(),
                content: new.content.clone(),
                digest: digest.clone(),
                stored,
                lost,
                from: None,
                stale_before: self.registry.stale_before(),
            },
            key: key.clone(),
            new: new.clone(),
            condition: condition.clone(),
        };
        let committed = self.registry.place(self.actor.clone(), sealed, command).await?;
        let stored = committed.events.into_iter().find_map(|event| match event.fact {
            Fact::ObjectStored(fact) => Some((fact, event.recorded_at)),
            _ => None,
        });
        let Some((fact, created_at)) = stored else {
            return self.get_metadata(&key).await;
        };
        // Not what the key names now: another put may have been quicker than this line.
        let blob = views::blobs::find(&self.registry.inner.db, &fact.content).await?;
        let blob = blob.ok_or_else(|| Error::BlobUnknown(fact.sha256.clone()))?;
        let object = objects::Object {
            key,
            content: fact.content,
            sha256: fact.sha256,
            size: fact.size,
            media_type: fact.media_type,
            created_at,
        };
        self.describe(object, &blob)
    }

    /// What a key names, in memory, if it has at most `limit` bytes; [`Error::BlobTooLarge`] otherwise.
    pub async fn get(&self, key: &PackagePath, limit: u64) -> Result<Bytes, Error> {
        let (object, blob) = self.open(key).await?;
        if object.size > limit {
            return Err(Error::BlobTooLarge { limit });
        }
        let mut body = self.registry.open_blob(&blob, None).await?.body;
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.next().await {
            bytes.extend_from_slice(&frame.map_err(|error| Error::Data(error.into()))?);
        }
        Ok(bytes.freeze())
    }

    /// What a key names, as a stream of the whole or of a range. A range that goes beyond the end is cut there;
    /// [`Error::RangeInvalid`] when none of it is in the object.
    pub async fn get_stream(
        &self,
        key: &PackagePath,
        range: Option<ByteRange>,
    ) -> Result<(KeyedObject, ByteStream), Error> {
        let (object, blob) = self.open(key).await?;
        let size = object.size;
        let range = range.map(|range| ByteRange { end: range.end.min(size), ..range });
        if range.is_some_and(|range| range.start >= range.end) {
            return Err(Error::RangeInvalid { size });
        }
        let body = self.registry.open_blob(&blob, range).await?.body;
        Ok((object, body))
    }

    /// What a key names, and its bytes for [`Registry::open_blob`], by SHA-256.
    pub async fn open(&self, key: &PackagePath) -> Result<(KeyedObject, Blob), Error> {
        self.registry.find_object(&self.repository, key).await
    }

    /// Makes a key name nothing. Whether it named something.
    pub async fn delete(&self, key: &PackagePath) -> Result<bool, Error> {
        self.delete_if(key, Condition::default()).await
    }

    /// The same if the key names what it must; [`Error::KeyDiffers`] otherwise.
    pub async fn delete_if(&self, key: &PackagePath, condition: Condition) -> Result<bool, Error> {
        let command = DeleteObject { repository: self.repository.clone(), key: key.clone(), condition };
        match self.registry.submit(self.actor.clone(), command).await {
            Ok(_) => Ok(true),
            Err(Error::KeyUnknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a key names something.
    pub async fn exists(&self, key: &PackagePath) -> Result<bool, Error> {
        Ok(objects::find(&self.registry.inner.db, &self.repository, key).await?.is_some())
    }

    /// What is known of what a key names.
    pub async fn get_metadata(&self, key: &PackagePath) -> Result<KeyedObject, Error> {
        Ok(self.open(key).await?.0)
    }

    /// Refuses before the body what would be refused after it. What changes in between the command decides.
    async fn check_condition(&self, key: &PackagePath, condition: &Condition) -> Result<(), Error> {
        if condition.is_empty() {
            return Ok(());
        }
        let found = objects::find(&self.registry.inner.db, &self.repository, key).await?;
        let now = found.map(|(object, _)| object.sha256);
        if condition.allows(now.as_ref()) { Ok(()) } else { Err(Error::KeyDiffers { key: key.clone(), now }) }
    }

    fn describe(&self, object: objects::Object, blob: &blobs::Blob) -> Result<KeyedObject, Error> {
        self.registry.describe_object(object, blob)
    }
}

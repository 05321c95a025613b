//! Copying stored objects from one data plane to another, under the keys they have.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;

use super::{DataPlane, Error, Location, parse_key};
use crate::hash::Hasher;
use crate::oci::Digest;
use crate::storage::{self, ByteStream, Owner, PlaceId};

impl DataPlane {
    /// The id of the backend that new objects go to.
    pub fn id(&self) -> &str {
        self.default.id().as_str()
    }

    /// Binds that backend to a log: no other registry may use it. Returns which place it is. Idempotent.
    pub async fn claim(&self, log_id: &str) -> Result<PlaceId, Error> {
        Ok(self.default.claim(log_id).await?)
    }

    /// The log whose objects that backend holds, and which place it is; `None` when it is new.
    pub async fn owner(&self) -> Result<Option<Owner>, Error> {
        Ok(self.default.owner().await?)
    }

    /// Copies the object at `location` from another data plane to the same key here. `false` when it is there
    /// already, at its size. What was read is compared with `content`; on a mismatch nothing stays here, whatever
    /// version of the key it is: all of them are of this copy.
    pub async fn copy_from(
        &self,
        from: &DataPlane,
        location: &Location,
        content: &Digest,
    ) -> Result<bool, Error> {
        let (backend, key) = (self.backend(&location.backend)?, parse_key(location)?);
        match backend.head(&key).await {
            Ok(found) if found.size == location.size => return Ok(false),
            // An earlier run was cut off in a way the backend let show.
            Ok(_) => drop(backend.delete(&key, None).await?),
            Err(storage::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let object = from.open(location, None).await?;
        let hasher = Arc::new(Mutex::new(Hasher::new(content.algorithm())));
        backend.put_stream(&key, object.size, hashed(object.body, &hasher)).await?;
        let actual = hasher.lock().unwrap_or_else(PoisonError::into_inner).clone().finish();
        if actual == *content {
            return Ok(true);
        }
        backend.delete(&key, None).await?;
        Err(Error::DigestMismatch { claimed: content.clone(), actual })
    }
}

/// The same stream, hashed on its way.
fn hashed(body: ByteStream, hasher: &Arc<Mutex<Hasher>>) -> ByteStream {
    let hasher = Arc::clone(hasher);
    Box::pin(body.map(move |frame: Result<bytes::Bytes, storage::Error>| {
        if let Ok(bytes) = &frame {
            hasher.lock().unwrap_or_else(PoisonError::into_inner).update(bytes);
        }
        frame
    }))
}

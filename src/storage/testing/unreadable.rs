//! A backend like a bucket: what is being written cannot be read back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::Clock;
use crate::storage::{
    Backend, BackendId, ByteRange, ByteStream, Capability, Deletion, Error, Health, Key, Leftover, Memory,
    Metadata, Object, Owner, Page, PlaceId, Receipt, Staged, StagingId,
};

/// Objects in memory, with the ways of a versioned bucket, for the tests of everything above a backend:
///
/// - A staged write keeps what was suspended and nothing else, at each length with the state of that suspend.
/// - Reading it back completes it; only [`Staged::publish`] and [`Staged::discard`] may follow.
/// - A staged write is published under a key of the backend's own making, as one object however often it is
///   completed.
/// - Every object has a version. A delete that names none hides the object and frees nothing.
/// - URLs are given out when it was told to.
/// - It can be away: then everything is [`Error::Unavailable`].
#[derive(Clone, Debug)]
pub struct Unreadable {
    objects: Memory,
    clock: Clock,
    presigns: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    staged: BTreeMap<StagingId, Suspended>,
    versions: BTreeMap<Key, String>,
    hidden: usize,
    is_away: bool,
}

/// What survives of a staged write.
#[derive(Debug)]
struct Suspended {
    /// By the state that was returned for them.
    at: BTreeMap<Vec<u8>, Vec<u8>>,
    key: Key,
    touched_at: i64,
}

impl Unreadable {
    /// An empty backend by the name `memory`, taking its times from `clock`.
    pub fn new(clock: Clock) -> Self {
        let objects = Memory::with_clock(clock.clone());
        Self { objects, clock, presigns: false, state: Arc::default() }
    }

    /// The same, giving out URLs.
    #[must_use]
    pub fn presigning(self) -> Self {
        Self { presigns: true, ..self }
    }

    /// Objects that were deleted without their version and take space for ever.
    pub fn hidden(&self) -> usize {
        self.lock().hidden
    }

    /// Makes it go away or come back.
    pub fn set_away(&self, is_away: bool) {
        self.lock().is_away = is_away;
    }

    /// The state, if it is there.
    fn reach(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.lock();
        if state.is_away {
            let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
            return Err(Error::unavailable("reach the bucket", source));
        }
        Ok(state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, id: &StagingId, key: &Key, bytes: Vec<u8>) -> Box<dyn Staged> {
        let kept = bytes.len() as u64;
        let (backend, id, key) = (self.clone(), id.clone(), key.clone());
        Box::new(StagedUnreadable { backend, id, key, bytes, kept, completed: None })
    }
}

#[async_trait]
impl Backend for Unreadable {
    fn id(&self) -> &BackendId {
        self.objects.id()
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<Receipt, Error> {
        drop(self.reach()?);
        let receipt = self.objects.put(key, body).await?;
        let version = format!("v-{}", ulid::Ulid::generate());
        self.lock().versions.insert(key.clone(), version.clone());
        Ok(Receipt { version: Some(version), ..receipt })
    }

    async fn put_stream(&self, key: &Key, size: u64, body: ByteStream) -> Result<Receipt, Error> {
        let bytes = super::collect(body).await?;
        if bytes.len() as u64 != size {
            return Err(Error::length(key, size, bytes.len() as u64));
        }
        self.put(key, bytes.into()).await
    }

    async fn get(&self, key: &Key, range: Option<ByteRange>) -> Result<Object, Error> {
        drop(self.reach()?);
        self.objects.get(key, range).await
    }

    async fn head(&self, key: &Key) -> Result<Metadata, Error> {
        drop(self.reach()?);
        self.objects.head(key).await
    }

    async fn delete(&self, key: &Key, version: Option<&str>) -> Result<Deletion, Error> {
        {
            let mut state = self.reach()?;
            match (state.versions.get(key), version) {
                (None, _) => return Ok(Deletion::Missing),
                (Some(there), Some(named)) if there != named => return Ok(Deletion::Missing),
                (Some(_), Some(_)) => {}
                (Some(_), None) => state.hidden += 1,
            }
            state.versions.remove(key);
        }
        self.objects.delete(key, None).await
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Page, Error> {
        drop(self.reach()?);
        self.objects.list(prefix, after, limit).await
    }

    async fn health(&self) -> Health {
        self.objects.health().await
    }

    async fn probe(&self) -> Result<Vec<Capability>, Error> {
        self.objects.probe().await
    }

    async fn owner(&self) -> Result<Option<Owner>, Error> {
        self.objects.owner().await
    }

    async fn claim(&self, log_id: &str) -> Result<PlaceId, Error> {
        self.objects.claim(log_id).await
    }

    fn uri(&self, key: &Key) -> String {
        self.objects.uri(key)
    }

    async fn presign(&self, key: &Key, ttl: Duration) -> Result<Option<String>, Error> {
        let url = || format!("https://bucket.example/{key}?expires={}&signature=s", ttl.as_secs());
        Ok(self.presigns.then(url))
    }

    fn longest_url(&self) -> Option<Duration> {
        self.presigns.then_some(Duration::from_mins(5))
    }

    async fn stage(&self, id: &StagingId) -> Result<Box<dyn Staged>, Error> {
        let mut state = self.reach()?;
        if state.staged.contains_key(id) {
            return Err(Error::staged_already(id));
        }
        let name = format!("multipart/{id}.{}", ulid::Ulid::generate()).to_lowercase();
        let key: Key = name.parse().expect("ids and ULIDs make keys");
        let (at, touched_at) = (BTreeMap::new(), self.clock.now());
        state.staged.insert(id.clone(), Suspended { at, key: key.clone(), touched_at });
        Ok(self.open(id, &key, Vec::new()))
    }

    async fn resume(&self, id: &StagingId, length: u64, state: &[u8]) -> Result<Box<dyn Staged>, Error> {
        let found = self.reach()?;
        let suspended = found.staged.get(id).ok_or_else(|| Error::not_staged(id))?;
        if length == 0 {
            return Ok(self.open(id, &suspended.key, Vec::new()));
        }
        let bytes = suspended.at.get(state).cloned().unwrap_or_default();
        let actual = bytes.len() as u64;
        if actual != length {
            return Err(Error::Short { id: id.as_str().into(), expected: length, actual });
        }
        Ok(self.open(id, &suspended.key, bytes))
    }

    fn rereads_staged(&self) -> bool {
        false
    }

    async fn unstage(&self, id: &StagingId) -> Result<Deletion, Error> {
        // An object that the staged write became is none any more.
        let removed = self.reach()?.staged.remove(id);
        Ok(if removed.is_some() { Deletion::Deleted } else { Deletion::Missing })
    }

    async fn leftovers(&self, limit: usize) -> Result<Vec<Leftover>, Error> {
        let leftover = |(id, suspended): (&StagingId, &Suspended)| Leftover {
            id: id.clone(),
            size: suspended.at.values().map(|bytes| bytes.len() as u64).max().unwrap_or_default(),
            touched_at: suspended.touched_at,
        };
        Ok(self.reach()?.staged.iter().take(limit).map(leftover).collect())
    }
}

struct StagedUnreadable {
    backend: Unreadable,
    id: StagingId,
    key: Key,
    bytes: Vec<u8>,
    kept: u64,
    completed: Option<Receipt>,
}

impl StagedUnreadable {
    async fn complete(&mut self) -> Result<Receipt, Error> {
        if let Some(receipt) = &self.completed {
            return Ok(receipt.clone());
        }
        let (was_staged, version) = {
            let mut state = self.backend.reach()?;
            (state.staged.remove(&self.id).is_some(), state.versions.get(&self.key).cloned())
        };
        let receipt = match version {
            // Somebody else has completed it: that answer is repeated.
            Some(version) => {
                let size = self.backend.head(&self.key).await?.size;
                let (backend, key) = (self.backend.id().clone(), self.key.clone());
                Receipt { backend, uri: self.backend.uri(&key), key, size, version: Some(version) }
            }
            None if was_staged => self.backend.put(&self.key, std::mem::take(&mut self.bytes).into()).await?,
            None => return Err(Error::not_staged(&self.id)),
        };
        self.completed = Some(receipt.clone());
        Ok(receipt)
    }
}

#[async_trait]
impl Staged for StagedUnreadable {
    fn len(&self) -> u64 {
        self.completed.as_ref().map_or(self.bytes.len() as u64, |receipt| receipt.size)
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn kept(&self) -> u64 {
        self.kept
    }

    async fn append(&mut self, chunk: Vec<Bytes>) -> Result<(), Error> {
        if self.completed.is_some() {
            return Err(Error::io(
                "append to a staged write that was read",
                std::io::Error::other("complete"),
            ));
        }
        let now = self.backend.clock.now();
        let mut state = self.backend.reach()?;
        state.staged.get_mut(&self.id).ok_or_else(|| Error::not_staged(&self.id))?.touched_at = now;
        self.bytes.extend(chunk.iter().flatten());
        Ok(())
    }

    async fn read(&mut self) -> Result<ByteStream, Error> {
        let receipt = self.complete().await?;
        Ok(self.backend.get(&receipt.key, None).await?.body)
    }

    async fn suspend(mut self: Box<Self>) -> Result<Vec<u8>, Error> {
        let token = ulid::Ulid::generate().to_string().into_bytes();
        let bytes = std::mem::take(&mut self.bytes);
        let mut state = self.backend.reach()?;
        let suspended = state.staged.get_mut(&self.id).ok_or_else(|| Error::not_staged(&self.id))?;
        suspended.at.insert(token.clone(), bytes);
        Ok(token)
    }

    async fn publish(mut self: Box<Self>, _: &Key) -> Result<Receipt, Error> {
        self.complete().await
    }

    async fn discard(mut self: Box<Self>) -> Result<(), Error> {
        self.backend.unstage(&self.id).await?;
        if let Some(receipt) = self.completed.take() {
            self.backend.delete(&receipt.key, receipt.version.as_deref()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testing::{Traits, contract_of};

    #[tokio::test]
    async fn it_keeps_the_contract_of_a_bucket() {
        let traits = Traits { writes_once: false, keeps_staged: false };
        contract_of(traits, async || Arc::new(Unreadable::new(Clock::system())) as Arc<dyn Backend>).await;
    }
}

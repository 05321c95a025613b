//! Objects in memory: for tests, and to try the registry without a folder.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;

use super::{
    Backend, BackendId, ByteRange, ByteStream, Capability, Deletion, Error, Health, Key, Leftover, MAX_FRAME,
    Metadata, Object, Owner, Page, PlaceId, Receipt, Staged, StagingId, put_staged,
};
use crate::clock::Clock;

/// A [`Backend`] that forgets everything when its last clone is dropped; "durable" means until then.
#[derive(Clone, Debug)]
pub struct Memory {
    id: BackendId,
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Key, Bytes>,
    staged: BTreeMap<StagingId, StagedBytes>,
    owner: Option<Owner>,
}

#[derive(Debug)]
struct StagedBytes {
    bytes: Vec<u8>,
    touched_at: i64,
}

impl Memory {
    /// An empty backend by the name `memory`.
    pub fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    /// The same, taking the time of [`Leftover::touched_at`] from `clock`.
    pub fn with_clock(clock: Clock) -> Self {
        Self { id: "memory".parse().expect("a literal id"), clock, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receipt(&self, key: &Key, size: usize) -> Receipt {
        Receipt {
            backend: self.id.clone(),
            key: key.clone(),
            size: size as u64,
            uri: self.uri(key),
            version: None,
        }
    }

    fn open(&self, id: &StagingId, len: u64) -> Box<dyn Staged> {
        Box::new(StagedMemory { memory: self.clone(), id: id.clone(), len })
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Backend for Memory {
    fn id(&self) -> &BackendId {
        &self.id
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<Receipt, Error> {
        let size = body.len();
        match self.lock().objects.entry(key.clone()) {
            Entry::Occupied(_) => Err(Error::exists(key)),
            Entry::Vacant(free) => {
                free.insert(body);
                Ok(self.receipt(key, size))
            }
        }
    }

    async fn put_stream(&self, key: &Key, size: u64, body: ByteStream) -> Result<Receipt, Error> {
        put_staged(self, key, size, body).await
    }

    async fn get(&self, key: &Key, range: Option<ByteRange>) -> Result<Object, Error> {
        let whole = self.lock().objects.get(key).cloned().ok_or_else(|| Error::not_found(key))?;
        let size = whole.len() as u64;
        let asked = match range {
            None => whole,
            Some(ByteRange { start, end }) if start < end && end <= size => {
                whole.slice(in_memory(start)..in_memory(end))
            }
            Some(ByteRange { start, end }) => return Err(Error::Range { start, end, size }),
        };
        Ok(Object { size, body: frames(asked) })
    }

    async fn head(&self, key: &Key) -> Result<Metadata, Error> {
        match self.lock().objects.get(key) {
            Some(bytes) => Ok(Metadata { key: key.clone(), size: bytes.len() as u64 }),
            None => Err(Error::not_found(key)),
        }
    }

    async fn delete(&self, key: &Key, _: Option<&str>) -> Result<Deletion, Error> {
        Ok(deletion(self.lock().objects.remove(key).is_some()))
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Page, Error> {
        let limit = limit.max(1);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.lock();
        let mut objects = state
            .objects
            .range::<Key, _>((from, Bound::Unbounded))
            .filter(|(key, _)| key.as_str().starts_with(prefix))
            .map(|(key, bytes)| Metadata { key: key.clone(), size: bytes.len() as u64 })
            .take(limit.saturating_add(1))
            .collect::<Vec<_>>();
        let more = objects.len() > limit;
        objects.truncate(limit);
        let next = if more { objects.last().map(|last| last.key.clone()) } else { None };
        Ok(Page { objects, next })
    }

    async fn health(&self) -> Health {
        Health { writable: true, problem: None, capacity: None, capabilities: Vec::new() }
    }

    async fn probe(&self) -> Result<Vec<Capability>, Error> {
        let can = |name| Capability { name, supported: true, needed: true, detail: None };
        Ok(["put", "get", "range", "delete", "stage"].map(can).to_vec())
    }

    async fn owner(&self) -> Result<Option<Owner>, Error> {
        Ok(self.lock().owner.clone())
    }

    async fn claim(&self, log_id: &str) -> Result<PlaceId, Error> {
        let mut state = self.lock();
        if let Some(owner) = Owner::to_write(state.owner.as_ref(), log_id, "the memory")? {
            state.owner = Some(owner);
        }
        let place = state.owner.as_ref().and_then(|owner| owner.place.clone());
        Ok(place.expect("what is not to be written has a place"))
    }

    fn uri(&self, key: &Key) -> String {
        format!("memory:{key}")
    }

    async fn presign(&self, _: &Key, _: Duration) -> Result<Option<String>, Error> {
        Ok(None)
    }

    fn rereads_staged(&self) -> bool {
        true
    }

    async fn stage(&self, id: &StagingId) -> Result<Box<dyn Staged>, Error> {
        let touched_at = self.clock.now();
        match self.lock().staged.entry(id.clone()) {
            Entry::Occupied(_) => return Err(Error::staged_already(id)),
            Entry::Vacant(free) => free.insert(StagedBytes { bytes: Vec::new(), touched_at }),
        };
        Ok(self.open(id, 0))
    }

    async fn resume(&self, id: &StagingId, length: u64, _: &[u8]) -> Result<Box<dyn Staged>, Error> {
        let mut state = self.lock();
        let staged = state.staged.get_mut(id).ok_or_else(|| Error::not_staged(id))?;
        let actual = staged.bytes.len() as u64;
        if actual < length {
            return Err(Error::Short { id: id.as_str().into(), expected: length, actual });
        }
        staged.bytes.truncate(in_memory(length));
        Ok(self.open(id, length))
    }

    async fn unstage(&self, id: &StagingId) -> Result<Deletion, Error> {
        Ok(deletion(self.lock().staged.remove(id).is_some()))
    }

    async fn leftovers(&self, limit: usize) -> Result<Vec<Leftover>, Error> {
        let leftover = |(id, staged): (&StagingId, &StagedBytes)| Leftover {
            id: id.clone(),
            size: staged.bytes.len() as u64,
            touched_at: staged.touched_at,
        };
        Ok(self.lock().staged.iter().take(limit).map(leftover).collect())
    }
}

struct StagedMemory {
    memory: Memory,
    id: StagingId,
    len: u64,
}

#[async_trait]
impl Staged for StagedMemory {
    fn len(&self) -> u64 {
        self.len
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    async fn append(&mut self, chunk: Vec<Bytes>) -> Result<(), Error> {
        let touched_at = self.memory.clock.now();
        let mut state = self.memory.lock();
        let staged = state.staged.get_mut(&self.id).ok_or_else(|| Error::not_staged(&self.id))?;
        for buffer in &chunk {
            staged.bytes.extend_from_slice(buffer);
        }
        staged.touched_at = touched_at;
        self.len = staged.bytes.len() as u64;
        Ok(())
    }

    async fn read(&mut self) -> Result<ByteStream, Error> {
        let state = self.memory.lock();
        let staged = state.staged.get(&self.id).ok_or_else(|| Error::not_staged(&self.id))?;
        Ok(frames(Bytes::copy_from_slice(&staged.bytes)))
    }

    fn kept(&self) -> u64 {
        self.len
    }

    async fn suspend(self: Box<Self>) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }

    async fn publish(self: Box<Self>, key: &Key) -> Result<Receipt, Error> {
        let mut state = self.memory.lock();
        if state.objects.contains_key(key) {
            return Err(Error::exists(key));
        }
        let staged = state.staged.remove(&self.id).ok_or_else(|| Error::not_staged(&self.id))?;
        let receipt = self.memory.receipt(key, staged.bytes.len());
        state.objects.insert(key.clone(), staged.bytes.into());
        Ok(receipt)
    }

    async fn discard(self: Box<Self>) -> Result<(), Error> {
        self.memory.lock().staged.remove(&self.id);
        Ok(())
    }
}

fn frames(mut left: Bytes) -> ByteStream {
    Box::pin(stream::iter(std::iter::from_fn(move || {
        (!left.is_empty()).then(|| Ok(left.split_to(left.len().min(MAX_FRAME))))
    })))
}

fn deletion(was_there: bool) -> Deletion {
    if was_there { Deletion::Deleted } else { Deletion::Missing }
}

/// A position within bytes that are in memory.
fn in_memory(position: u64) -> usize {
    usize::try_from(position).expect("checked against the length of a slice")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;
    use crate::storage::testing::{Faulty, contract};

    #[tokio::test]
    async fn keeps_the_contract() {
        contract(async || Arc::new(Memory::new()) as Arc<dyn Backend>).await;
    }

    #[tokio::test]
    async fn keeps_the_contract_behind_the_fault_wrapper() {
        contract(async || Arc::new(Faulty::new(Arc::new(Memory::new()))) as Arc<dyn Backend>).await;
    }

    #[tokio::test]
    async fn a_leftover_tells_when_it_was_last_written() {
        let time = ManualClock::at(5);
        let memory = Memory::with_clock(time.clock());
        let id = "upload".parse().unwrap();
        let mut staged = memory.stage(&id).await.unwrap();
        time.advance(2);
        staged.append(vec![Bytes::from_static(b"abc")]).await.unwrap();
        let leftovers = memory.leftovers(10).await.unwrap();
        assert_eq!(leftovers, [Leftover { id, size: 3, touched_at: 7 }]);
    }
}

//! A backend that fails when it is told to.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::faults::{Cause, Ending, Fault, Faults, Op};
use crate::storage::{
    Backend, BackendId, ByteRange, ByteStream, Capability, Deletion, Error, Health, Key, Leftover, Metadata,
    Object, Owner, Page, PlaceId, Receipt, Staged, StagingId,
};

/// A [`Backend`] that passes everything on to another one, except for the faults armed in its
/// [`Faults`]. Without any it keeps the contract of the backend it wraps.
#[derive(Clone, Debug)]
pub struct Faulty {
    inner: Arc<dyn Backend>,
    faults: Faults,
}

impl Faulty {
    /// Wraps `inner`; nothing is armed yet.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, faults: Faults::default() }
    }

    /// The plan of what goes wrong; a clone that stays connected.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

/// What is left of a fault once its call has been let through.
#[derive(Default)]
struct After {
    lost: Option<Cause>,
    shorten: Option<(u64, Ending)>,
}

impl Faults {
    /// Counts the call, and fails or delays it if that is the plan.
    async fn before(&self, op: Op) -> Result<After, Error> {
        match self.next(op) {
            None => Ok(After::default()),
            Some(Fault::Fail(cause)) => Err(cause.error(op)),
            Some(Fault::LoseResponse(cause)) => Ok(After { lost: Some(cause), shorten: None }),
            Some(Fault::Shorten { keep, ending }) => Ok(After { lost: None, shorten: Some((keep, ending)) }),
            Some(Fault::Wait(hold)) => {
                hold.wait().await;
                Ok(After::default())
            }
        }
    }
}

impl After {
    fn answer<T>(&self, op: Op, result: Result<T, Error>) -> Result<T, Error> {
        match self.lost {
            Some(cause) => Err(cause.error(op)),
            None => result,
        }
    }

    fn body(&self, op: Op, body: ByteStream) -> ByteStream {
        match self.shorten {
            Some((keep, ending)) => shortened(op, body, keep, ending),
            None => body,
        }
    }
}

/// The first `keep` bytes of `body`, and then its premature end.
fn shortened(op: Op, body: ByteStream, keep: u64, ending: Ending) -> ByteStream {
    let head = stream::unfold((body, keep), |(mut body, left)| async move {
        if left == 0 {
            return None;
        }
        let frame = body.next().await?;
        let kept = frame.map(|mut frame| {
            frame.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            frame
        });
        let left = left - kept.as_ref().map_or(left, |frame| frame.len() as u64);
        Some((kept, (body, left)))
    });
    let end = match ending {
        Ending::Error(cause) => Some(Err(cause.error(op))),
        Ending::Silent => None,
    };
    Box::pin(head.chain(stream::iter(end)))
}

#[async_trait]
impl Backend for Faulty {
    fn id(&self) -> &BackendId {
        self.inner.id()
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<Receipt, Error> {
        let after = self.faults.before(Op::Put).await?;
        after.answer(Op::Put, self.inner.put(key, body).await)
    }

    async fn put_stream(&self, key: &Key, size: u64, body: ByteStream) -> Result<Receipt, Error> {
        let after = self.faults.before(Op::Put).await?;
        after.answer(Op::Put, self.inner.put_stream(key, size, body).await)
    }

    async fn get(&self, key: &Key, range: Option<ByteRange>) -> Result<Object, Error> {
        let after = self.faults.before(Op::Get).await?;
        let object = after.answer(Op::Get, self.inner.get(key, range).await)?;
        Ok(Object { size: object.size, body: after.body(Op::Get, object.body) })
    }

    async fn head(&self, key: &Key) -> Result<Metadata, Error> {
        let after = self.faults.before(Op::Head).await?;
        after.answer(Op::Head, self.inner.head(key).await)
    }

    async fn delete(&self, key: &Key, version: Option<&str>) -> Result<Deletion, Error> {
        let after = self.faults.before(Op::Delete).await?;
        after.answer(Op::Delete, self.inner.delete(key, version).await)
    }

    async fn list(&self, prefix: &str, after_key: Option<&Key>, limit: usize) -> Result<Page, Error> {
        let after = self.faults.before(Op::List).await?;
        after.answer(Op::List, self.inner.list(prefix, after_key, limit).await)
    }

    async fn health(&self) -> Health {
        let asked = async {
            let after = self.faults.before(Op::Health).await?;
            after.answer(Op::Health, Ok(self.inner.health().await))
        };
        match asked.await {
            Ok(health) => health,
            Err(e) => Health {
                writable: false,
                problem: Some(e.to_string()),
                capacity: None,
                capabilities: Vec::new(),
            },
        }
    }

    async fn probe(&self) -> Result<Vec<Capability>, Error> {
        self.inner.probe().await
    }

    async fn owner(&self) -> Result<Option<Owner>, Error> {
        self.inner.owner().await
    }

    async fn claim(&self, log_id: &str) -> Result<PlaceId, Error> {
        self.inner.claim(log_id).await
    }

    fn uri(&self, key: &Key) -> String {
        self.inner.uri(key)
    }

    async fn presign(&self, key: &Key, ttl: Duration) -> Result<Option<String>, Error> {
        self.inner.presign(key, ttl).await
    }

    fn longest_url(&self) -> Option<Duration> {
        self.inner.longest_url()
    }

    fn rereads_staged(&self) -> bool {
        self.inner.rereads_staged()
    }

    async fn stage(&self, id: &StagingId) -> Result<Box<dyn Staged>, Error> {
        let after = self.faults.before(Op::Stage).await?;
        let inner = after.answer(Op::Stage, self.inner.stage(id).await)?;
        Ok(Box::new(FaultyStaged { inner, faults: self.faults() }))
    }

    async fn resume(&self, id: &StagingId, length: u64, state: &[u8]) -> Result<Box<dyn Staged>, Error> {
        let after = self.faults.before(Op::Resume).await?;
        let inner = after.answer(Op::Resume, self.inner.resume(id, length, state).await)?;
        Ok(Box::new(FaultyStaged { inner, faults: self.faults() }))
    }

    async fn unstage(&self, id: &StagingId) -> Result<Deletion, Error> {
        let after = self.faults.before(Op::Unstage).await?;
        after.answer(Op::Unstage, self.inner.unstage(id).await)
    }

    async fn leftovers(&self, limit: usize) -> Result<Vec<Leftover>, Error> {
        let after = self.faults.before(Op::Leftovers).await?;
        after.answer(Op::Leftovers, self.inner.leftovers(limit).await)
    }
}

struct FaultyStaged {
    inner: Box<dyn Staged>,
    faults: Faults,
}

#[async_trait]
impl Staged for FaultyStaged {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    async fn append(&mut self, chunk: Vec<Bytes>) -> Result<(), Error> {
        let after = self.faults.before(Op::Append).await?;
        after.answer(Op::Append, self.inner.append(chunk).await)
    }

    async fn read(&mut self) -> Result<ByteStream, Error> {
        let after = self.faults.before(Op::ReadStaged).await?;
        let body = after.answer(Op::ReadStaged, self.inner.read().await)?;
        Ok(after.body(Op::ReadStaged, body))
    }

    fn kept(&self) -> u64 {
        self.inner.kept()
    }

    async fn suspend(self: Box<Self>) -> Result<Vec<u8>, Error> {
        let after = self.faults.before(Op::Suspend).await?;
        after.answer(Op::Suspend, self.inner.suspend().await)
    }

    async fn publish(self: Box<Self>, key: &Key) -> Result<Receipt, Error> {
        let after = self.faults.before(Op::Publish).await?;
        after.answer(Op::Publish, self.inner.publish(key).await)
    }

    async fn discard(self: Box<Self>) -> Result<(), Error> {
        let after = self.faults.before(Op::Discard).await?;
        after.answer(Op::Discard, self.inner.discard().await)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::super::{collect, key, pattern, staging};
    use super::*;
    use crate::storage::Memory;

    fn faulty() -> (Faulty, Faults) {
        let backend = Faulty::new(Arc::new(Memory::new()));
        let faults = backend.faults();
        (backend, faults)
    }

    fn kind(result: Result<impl Sized, Error>) -> ErrorKind {
        match result.err() {
            Some(Error::Io { source, .. }) => source.kind(),
            other => panic!("no I/O error: {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_nth_call_fails_and_the_next_works() {
        let (backend, faults) = faulty();
        faults.arm(Op::Put, 2, Fault::Fail(Cause::NoSpace));
        backend.put(&key("a"), Bytes::new()).await.unwrap();
        assert_eq!(kind(backend.put(&key("b"), Bytes::new()).await), ErrorKind::StorageFull);
        assert!(backend.head(&key("b")).await.is_err());
        backend.put(&key("b"), Bytes::new()).await.unwrap();
        assert_eq!(faults.calls(Op::Put), 3);
    }

    #[tokio::test]
    async fn a_lost_response_was_carried_out() {
        let (backend, faults) = faulty();
        let mut staged = backend.stage(&staging("s")).await.unwrap();
        staged.append(vec![Bytes::from_static(b"x")]).await.unwrap();
        faults.lose_response(Op::Publish, Cause::Kind(ErrorKind::TimedOut));
        assert_eq!(kind(staged.publish(&key("a")).await), ErrorKind::TimedOut);
        assert_eq!(backend.head(&key("a")).await.unwrap().size, 1);
    }

    #[tokio::test]
    async fn a_body_can_be_cut_with_an_error_and_silently() {
        let (backend, faults) = faulty();
        let body = pattern(600_000);
        backend.put(&key("a"), body.clone()).await.unwrap();
        faults.arm(Op::Get, 1, Fault::Shorten { keep: 300_000, ending: Ending::Silent });
        let object = backend.get(&key("a"), None).await.unwrap();
        assert_eq!(object.size, 600_000);
        assert_eq!(collect(object.body).await.unwrap(), body[..300_000]);
        faults.arm(Op::Get, 1, Fault::Shorten { keep: 10, ending: Ending::Error(Cause::Broken) });
        let object = backend.get(&key("a"), None).await.unwrap();
        assert_eq!(kind(collect(object.body).await), Cause::Broken.to_io().kind());
    }

    #[tokio::test]
    async fn a_held_call_waits_for_its_release() {
        let (backend, faults) = faulty();
        let hold = faults.hold(Op::Put);
        let caller = backend.clone();
        let put = tokio::spawn(async move { caller.put(&key("a"), Bytes::new()).await });
        hold.reached().await;
        assert!(matches!(backend.head(&key("a")).await, Err(Error::NotFound { .. })));
        hold.release();
        put.await.unwrap().unwrap();
        backend.head(&key("a")).await.unwrap();
    }

    #[tokio::test]
    async fn a_read_only_volume_shows_in_health() {
        let (backend, faults) = faulty();
        faults.fail(Op::Health, Cause::ReadOnly);
        assert!(!backend.health().await.writable);
        faults.fail(Op::Health, Cause::ReadOnly);
        faults.disarm();
        assert!(backend.health().await.writable);
    }
}

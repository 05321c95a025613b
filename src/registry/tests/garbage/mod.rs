//! Garbage: what leaves, what stays, and what is left when a run is ended somewhere.

mod crashes;
mod histories;
mod leaving;
mod orphans;
mod snapshots;
mod staying;
mod work;

use super::*;
use crate::clock::Clock;
use crate::db::testing::{On, Place, on_both};
use crate::events;
use crate::registry::collection::Tally;
use crate::storage::{Key, Metadata};

const HOUR: Micros = 3600 * SECOND;
const DAY: Micros = 24 * HOUR;

/// A registry over an engine and storage in memory, at today's time: keys tell the real one.
struct Shop {
    place: Place,
    clock: ManualClock,
    backend: Faulty,
    faults: Faults,
    options: Options,
    db: Db,
    registry: Registry,
}

impl Shop {
    async fn new(on: On) -> Self {
        Self::with(on, CollectionOptions { rate: 1_000_000, ..CollectionOptions::default() }).await
    }

    /// Without any grace: what is garbage at one moment is collected at the next.
    async fn hasty(on: On) -> Self {
        let gc = CollectionOptions { grace: Duration::ZERO, quarantine: Duration::ZERO, ..Self::fast() };
        Self::with(on, gc).await
    }

    fn fast() -> CollectionOptions {
        CollectionOptions { rate: 1_000_000, ..CollectionOptions::default() }
    }

    async fn with(on: On, gc: CollectionOptions) -> Self {
        let clock = ManualClock::at(Clock::system().now());
        let backend = Faulty::new(Arc::new(Memory::with_clock(clock.clock())));
        Self::over(on, clock, backend, Options { gc, ..Options::default() }).await
    }

    async fn over(on: On, clock: ManualClock, backend: Faulty, options: Options) -> Self {
        let place = Place::new(on).await;
        let (db, registry) = Self::open(&place, &clock, &backend, &options).await;
        Self { place, clock, faults: backend.faults(), backend, options, db, registry }
    }

    /// As the only process, whatever the engine: leases of the one before are void.
    async fn open(place: &Place, clock: &ManualClock, backend: &Faulty, options: &Options) -> (Db, Registry) {
        let db = place.open(Access::Create).await;
        let data = DataPlane::new(Arc::new(backend.clone()));
        let registry =
            Registry::open_as(db.clone(), data, clock.clock(), options.clone(), false).await.unwrap();
        (db, registry)
    }

    async fn restart(&mut self) {
        self.db.close().await;
        (self.db, self.registry) = Self::open(&self.place, &self.clock, &self.backend, &self.options).await;
    }

    async fn push(&self, repository: &str, text: &str) -> Digest {
        self.try_push(repository, text).await.unwrap()
    }

    async fn try_push(&self, repository: &str, text: &str) -> Result<Digest, Error> {
        let bytes = Bytes::from(text.to_owned());
        let digest = sha256(&bytes);
        let repository = name(repository);
        self.registry.push_blob(&repository, Actor::anonymous(), &digest, whole(&bytes)).await?;
        Ok(digest)
    }

    async fn put(&self, repository: &str, manifest: &Bytes) -> Result<Digest, Error> {
        let reference = Reference::Digest(sha256(manifest));
        let (actor, bytes) = (Actor::anonymous(), manifest.clone());
        let repository = name(repository);
        let pushed = self.registry.push_manifest(&repository, actor, &reference, vec![], None, bytes).await?;
        Ok(pushed.digest)
    }

    async fn remove(&self, repository: &str, manifest: Digest) {
        let reference = Reference::Digest(manifest);
        self.registry.delete_manifest(&name(repository), Actor::anonymous(), &reference).await.unwrap();
    }

    async fn pull(&self, repository: &str, digest: &Digest) -> Result<Vec<u8>, Error> {
        let blob = self.registry.blob(&name(repository), digest).await?;
        let object = self.registry.open_blob(&blob, None).await?;
        Ok(collect(object.body).await.unwrap())
    }

    async fn has(&self, repository: &str, digest: &Digest) -> bool {
        self.pull(repository, digest).await.is_ok()
    }

    async fn run(&self) -> CollectionRun {
        self.registry.collect().await.unwrap().expect("nobody else is at it")
    }

    /// Time goes by, and a run.
    async fn after(&self, time: Micros) -> CollectionRun {
        self.clock.advance(time);
        self.run().await
    }

    async fn plan(&self) -> CollectionPlan {
        self.registry.collection_plan().await.unwrap()
    }

    async fn objects(&self) -> Vec<Metadata> {
        self.backend.list("", None, 100_000).await.unwrap().objects
    }

    async fn state_of(&self, digest: &Digest) -> Option<views::blobs::State> {
        let content = views::contents::find(&self.db, digest).await.unwrap()?;
        Some(views::blobs::of_any_state(&self.db, &content).await.unwrap()?.state)
    }

    /// Puts an object into the storage that no event names, made so long ago.
    async fn orphan(&self, age: Micros) -> Key {
        let at = (self.clock.clock().now() - age) / 1000;
        let incarnation = ulid::Ulid::from_parts(at.unsigned_abs(), u128::from(at.unsigned_abs()));
        let key = format!("blake3/ab/cd/abcd.{}", incarnation.to_string().to_lowercase()).parse().unwrap();
        self.backend.put(&key, Bytes::from_static(b"orphan")).await.unwrap();
        key
    }

    /// The views are what the log says, and everything a view says is there is there.
    async fn check(&self) {
        let scratch = TempDir::new().unwrap();
        let checked = replay_check(&self.db, scratch.path()).await.unwrap();
        let Check::Compared { replayed, live } = checked else { panic!("{checked:?}") };
        assert_eq!(replayed.state.differences(&live), [""; 0]);
        let data = DataPlane::new(Arc::new(self.backend.clone()));
        let verified = verify(&self.db, &data, |_| ()).await.unwrap();
        assert_eq!(verified.faults, []);
    }
}

fn counts(run: &CollectionRun) -> (u64, u64, u64, u64) {
    let done = &run.done;
    (done.released, done.condemned, done.purged, done.orphans)
}

fn config_only(config: &Digest) -> Bytes {
    image(config, &[])
}

/// Polls a future so many times and drops it: it ends there, as a process that was killed. Its result if it was quicker.
async fn killed_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        if let std::task::Poll::Ready(done) = futures_util::poll!(&mut future) {
            return Some(done);
        }
        // What it waits for goes on meanwhile, in other tasks and threads.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
    None
}

//! The scrub: what it finds, what readers get meanwhile, what repairs it, and how far it goes.

mod finding;
mod passes;
mod pushing;
mod readers;
mod repairing;
mod serving;
mod verified;

use super::*;
use crate::clock::{Clock, Micros};
use crate::db::testing::{On, Place, on_both};
use crate::storage::Key;
use crate::storage::s3;
use crate::storage::testing::{Ending, Fault, Hold};

const HOUR: Micros = 3600 * SECOND;
const DAY: Micros = 24 * HOUR;

/// A registry over an engine and some storage, at today's time: keys tell the real one.
struct Vault {
    place: Place,
    clock: ManualClock,
    backend: Faulty,
    faults: Faults,
    options: Options,
    db: Db,
    registry: Registry,
    /// Where the storage is, if it is a folder.
    _dir: Option<TempDir>,
}

/// What can be wrong with a stored object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Flipped,
    Truncated,
    Longer,
    Gone,
}

impl Vault {
    async fn new(on: On) -> Self {
        Self::with(on, |_| ()).await
    }

    async fn with(on: On, set: impl FnOnce(&mut Options)) -> Self {
        let clock = ManualClock::at(Clock::system().now());
        let backend = Arc::new(Memory::with_clock(clock.clock()));
        Self::over(on, clock, backend, None, set).await
    }

    async fn on_disk() -> Self {
        let dir = TempDir::new().unwrap();
        let backend = Arc::new(Local::open(&dir.path().join("objects")).unwrap());
        Self::over(On::Sqlite, ManualClock::at(Clock::system().now()), backend, Some(dir), |_| ()).await
    }

    async fn in_a_bucket() -> Self {
        let backend = Arc::new(s3::tests::Server::versity().open().await);
        Self::over(On::Sqlite, ManualClock::at(Clock::system().now()), backend, None, |_| ()).await
    }

    async fn over(
        on: On,
        clock: ManualClock,
        backend: Arc<dyn Backend>,
        dir: Option<TempDir>,
        set: impl FnOnce(&mut Options),
    ) -> Self {
        let backend = Faulty::new(backend);
        let mut options = Options::default();
        options.scrub.rate = 1 << 40;
        options.gc.rate = 1_000_000;
        set(&mut options);
        let place = Place::new(on).await;
        let (db, registry) = Self::open(&place, &clock, &backend, &options).await;
        registry.bind().await.unwrap();
        Self { place, clock, faults: backend.faults(), backend, options, db, registry, _dir: dir }
    }

    /// As the only process, whatever the engine: leases of the one before are void.
    async fn open(place: &Place, clock: &ManualClock, backend: &Faulty, options: &Options) -> (Db, Registry) {
        let db = place.open(Access::Create).await;
        let data = DataPlane::new(Arc::new(backend.clone()));
        let registry = Registry::open_as(db.clone(), data, clock.clock(), options.clone(), false).await;
        (db, registry.unwrap())
    }

    async fn restart(&mut self) {
        self.db.close().await;
        (self.db, self.registry) = Self::open(&self.place, &self.clock, &self.backend, &self.options).await;
    }

    async fn push(&self, repository: &str, bytes: &Bytes) -> Digest {
        let digest = sha256(bytes);
        let repository = name(repository);
        self.registry.push_blob(&repository, Actor::anonymous(), &digest, whole(bytes)).await.unwrap();
        digest
    }

    async fn pull(&self, repository: &str, digest: &Digest) -> Result<Vec<u8>, Error> {
        let blob = self.registry.blob(&name(repository), digest).await?;
        let object = self.registry.open_blob(&blob, None).await?;
        Ok(collect(object.body).await.unwrap())
    }

    async fn scrub(&self) -> ScrubRun {
        self.registry.scrub().await.unwrap().expect("nobody else is at it")
    }

    /// A cycle that comes to its end.
    async fn cycle(&self) -> crate::events::ScrubCompleted {
        let run = self.scrub().await;
        assert_eq!((run.status, &run.failure), (ScrubStatus::Completed, &None));
        run.done
    }

    /// The key of the copy of some content.
    async fn key_of(&self, bytes: &[u8]) -> Key {
        let content = hash::digest(Algorithm::Blake3, bytes);
        let blob = views::blobs::of_any_state(&self.db, &content).await.unwrap().unwrap();
        blob.key.parse().unwrap()
    }

    /// Puts other bytes under a key, behind the registry's back.
    async fn write(&self, key: &Key, bytes: Bytes) {
        self.backend.delete(key, None).await.unwrap();
        self.backend.put(key, bytes).await.unwrap();
    }

    async fn damage(&self, bytes: &Bytes, wrong: Wrong) -> Key {
        let key = self.key_of(bytes).await;
        let mut other = bytes.to_vec();
        match wrong {
            Wrong::Flipped => other[bytes.len() / 2] ^= 0x10,
            Wrong::Truncated => other.truncate(bytes.len() - 1),
            Wrong::Longer => other.push(0),
            Wrong::Gone => {
                self.backend.delete(&key, None).await.unwrap();
                return key;
            }
        }
        self.write(&key, other.into()).await;
        key
    }

    async fn keys(&self) -> Vec<Key> {
        let objects = self.backend.list("", None, 1000).await.unwrap().objects;
        objects.into_iter().map(|object| object.key).collect()
    }

    /// The types of the events after one.
    async fn events_after(&self, sequence: i64) -> Vec<&'static str> {
        let events = self.registry.inner.log.after(sequence, 1000).await.unwrap();
        events.iter().map(|event| event.fact.type_name()).collect()
    }

    /// The views are what the log says, and everything a view says is there is there.
    async fn check(&self) {
        let scratch = TempDir::new().unwrap();
        let checked = replay_check(&self.db, scratch.path()).await.unwrap();
        let Check::Compared { replayed, live } = checked else { panic!("{checked:?}") };
        assert_eq!(replayed.state.differences(&live), [""; 0]);
        let data = DataPlane::new(Arc::new(self.backend.clone()));
        assert_eq!(verify(&self.db, &data, |_| ()).await.unwrap().faults, []);
    }
}

/// Bytes of their own.
fn bytes(seed: u8) -> Bytes {
    let bytes: Vec<u8> = pattern(1000).iter().map(|byte| byte ^ seed).collect();
    bytes.into()
}

//! The registry as a library (LOG-6): everything here runs without HTTP.

mod audit;
mod blobs;
mod engines;
mod everything;
mod garbage;
mod golden;
mod histories;
mod manifests;
mod objects;
mod packages;
mod packages_histories;
mod packages_pushed;
mod packages_untrue;
mod places;
mod referrers;
mod replicas;
mod retention;
mod scrub;
mod sweep;
mod uploads;
mod webhooks;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::commands::Record;
use super::*;
use crate::clock::ManualClock;
use crate::db::{self, Access, Url};
use crate::hash;
use crate::oci::{Algorithm, Digest, Reference, RepositoryName, Tag, media};
use crate::storage::testing::{Cause, Faults, Faulty, Op, Unreadable, collect, pattern};
use crate::storage::{Backend, Local, Memory};

/// More than one piece of the data plane.
const LARGE: usize = 1_200_001;

struct Fixture {
    dir: TempDir,
    clock: ManualClock,
    backend: Faulty,
    faults: Faults,
    options: Options,
    db: Db,
    registry: Registry,
}

impl Fixture {
    /// Over storage in memory, whose times follow the clock too.
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = ManualClock::at(1_000_000 * SECOND);
        let backend = Arc::new(Memory::with_clock(clock.clock()));
        Self::over(dir, clock, backend, options).await
    }

    async fn on_disk() -> Self {
        let dir = TempDir::new().unwrap();
        let backend = Arc::new(Local::open(&dir.path().join("objects")).unwrap());
        Self::over(dir, ManualClock::at(1_000_000 * SECOND), backend, Options::default()).await
    }

    /// Over storage that cannot be read back while it is being written.
    async fn in_a_bucket() -> Self {
        let clock = ManualClock::at(1_000_000 * SECOND);
        let backend = Arc::new(Unreadable::new(clock.clock()));
        Self::over(TempDir::new().unwrap(), clock, backend, Options::default()).await
    }

    async fn over(dir: TempDir, clock: ManualClock, backend: Arc<dyn Backend>, options: Options) -> Self {
        let backend = Faulty::new(backend);
        let (db, registry) = open(&dir, &backend, &clock, &options).await;
        Self { faults: backend.faults(), dir, clock, backend, options, db, registry }
    }

    /// Ends the process, as far as that can be done within one, and starts it again.
    async fn restart(&mut self) {
        self.db.close().await;
        (self.db, self.registry) = open(&self.dir, &self.backend, &self.clock, &self.options).await;
    }

    async fn push(&self, repository: &str, bytes: &Bytes) -> Digest {
        let digest = sha256(bytes);
        self.push_as(repository, &digest, bytes).await.unwrap();
        digest
    }

    async fn push_as(&self, repository: &str, digest: &Digest, bytes: &Bytes) -> Result<PushedBlob, Error> {
        self.registry.push_blob(&name(repository), Actor::anonymous(), digest, whole(bytes)).await
    }

    async fn pull(&self, repository: &str, digest: &Digest) -> Result<Vec<u8>, Error> {
        let blob = self.registry.blob(&name(repository), digest).await?;
        let object = self.registry.open_blob(&blob, None).await?;
        Ok(collect(object.body).await.unwrap())
    }

    async fn delete(&self, repository: &str, digest: &Digest) -> Result<(), Error> {
        self.registry.delete_blob(&name(repository), Actor::anonymous(), digest).await
    }

    /// An image with a config and layers of its own, under a reference.
    async fn push_image(&self, repository: &str, reference: &str, seed: &str) -> Digest {
        let config = self.push(repository, &Bytes::from(format!("config {seed}"))).await;
        let layer = self.push(repository, &Bytes::from(format!("layer {seed}"))).await;
        self.put(repository, reference, &image(&config, &[layer])).await.unwrap().digest
    }

    async fn put(&self, repository: &str, reference: &str, bytes: &Bytes) -> Result<PushedManifest, Error> {
        let reference = reference.parse().unwrap();
        let (actor, bytes) = (Actor::anonymous(), bytes.clone());
        self.registry.push_manifest(&name(repository), actor, &reference, vec![], None, bytes).await
    }

    async fn get(&self, repository: &str, reference: &str) -> Result<Manifest, Error> {
        self.registry.manifest(&name(repository), &reference.parse().unwrap()).await
    }

    async fn remove(&self, repository: &str, reference: &str) -> Result<(), Error> {
        let reference: Reference = reference.parse().unwrap();
        self.registry.delete_manifest(&name(repository), Actor::anonymous(), &reference).await
    }

    async fn objects(&self) -> usize {
        self.backend.list("", None, 1000).await.unwrap().objects.len()
    }

    async fn leftovers(&self) -> usize {
        self.backend.leftovers(1000).await.unwrap().len()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        self.db.query(sql, vec![]).await.unwrap()[0].integer(0)
    }

    /// The log has no gap, and the views are what it says.
    async fn check(&self) {
        let scratch = TempDir::new().unwrap();
        let checked = replay_check(&self.db, scratch.path()).await.unwrap();
        let Check::Compared { replayed, live } = checked else { panic!("{checked:?}") };
        assert_eq!(replayed.state.differences(&live), [""; 0]);
        assert_eq!(replayed.state, live);
        assert_eq!(replayed.events, self.registry.last_sequence());
    }
}

async fn open(dir: &TempDir, backend: &Faulty, clock: &ManualClock, options: &Options) -> (Db, Registry) {
    let place = db::Options::new(Url::Sqlite(dir.path().join("registry.db")));
    let db = Db::open(&place, Access::Create).await.unwrap();
    let data = DataPlane::new(Arc::new(backend.clone()));
    let registry = Registry::open(db.clone(), data, clock.clock(), options.clone()).await.unwrap();
    (db, registry)
}

/// Begins a collection and kills it where it is for the first time about to do something to the storage.
async fn killed_at(op: Op, faults: &Faults, registry: &Registry) {
    let hold = faults.hold(op);
    let registry = registry.clone();
    let run = tokio::spawn(async move { registry.collect().await });
    hold.reached().await;
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn sha256(bytes: &[u8]) -> Digest {
    hash::digest(Algorithm::Sha256, bytes)
}

fn sha512(bytes: &[u8]) -> Digest {
    hash::digest(Algorithm::Sha512, bytes)
}

fn whole(bytes: &Bytes) -> Body {
    let frames: Vec<_> = bytes.chunks(16 * 1024 - 1).map(|frame| Ok(bytes.slice_ref(frame))).collect();
    Box::pin(stream::iter(frames))
}

fn empty() -> Body {
    Box::pin(stream::empty())
}

fn broken_after(bytes: &Bytes) -> Body {
    Box::pin(whole(bytes).chain(stream::iter([Err(ClientError("reset".to_owned()))])))
}

/// Feeds a body; it ends when this is dropped.
struct Feed(mpsc::UnboundedSender<Result<Bytes, ClientError>>);

impl Feed {
    fn send(&self, bytes: Bytes) {
        self.0.send(Ok(bytes)).unwrap();
    }

    fn break_off(self) {
        self.0.send(Err(ClientError("gone".to_owned()))).unwrap();
    }
}

fn fed() -> (Feed, Body) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    (Feed(sender), Box::pin(stream::poll_fn(move |context| receiver.poll_recv(context))))
}

fn descriptor(media_type: &str, digest: &Digest) -> serde_json::Value {
    serde_json::json!({"mediaType": media_type, "digest": digest, "size": 1})
}

fn image(config: &Digest, layers: &[Digest]) -> Bytes {
    let layers: Vec<_> = layers.iter().map(|layer| descriptor(media::OCI_LAYER_TAR, layer)).collect();
    json(&serde_json::json!({
        "schemaVersion": 2, "mediaType": media::OCI_IMAGE_MANIFEST,
        "config": descriptor(media::OCI_IMAGE_CONFIG, config), "layers": layers,
    }))
}

fn index_of(children: &[Digest]) -> Bytes {
    let children: Vec<_> =
        children.iter().map(|child| descriptor(media::OCI_IMAGE_MANIFEST, child)).collect();
    json(&serde_json::json!({"schemaVersion": 2, "mediaType": media::OCI_IMAGE_INDEX, "manifests": children}))
}

fn json(value: &serde_json::Value) -> Bytes {
    serde_json::to_vec(value).unwrap().into()
}

#[tokio::test]
async fn every_statement_on_operational_tables_prepares() {
    let fixture = Fixture::new().await;
    let tables = [
        sessions::STATEMENTS,
        signing::keys::STATEMENTS,
        maintenance::STATEMENTS,
        collection::orphans::STATEMENTS,
        crate::registry::webhooks::table::STATEMENTS,
    ];
    let origins = origins::statements();
    for sql in tables.into_iter().flatten().chain(&origins) {
        fixture.db.prepare_operational(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}

#[tokio::test]
async fn a_registry_is_healthy_until_its_storage_is_not() {
    let fixture = Fixture::new().await;
    assert!(fixture.registry.is_alive());
    assert!(fixture.registry.health().await.is_ready());
    fixture.faults.fail(Op::Health, Cause::ReadOnly);
    let health = fixture.registry.health().await;
    assert!(!health.is_ready());
    let broken: Vec<_> = health.components.iter().filter(|c| c.problem.is_some()).collect();
    assert_eq!(broken.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["storage:memory"]);
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let mut fixture = Fixture::on_disk().await;
    let digest = fixture.push_image("a/b", "v1", "x").await;
    let before = fixture.registry.last_sequence();
    fixture.restart().await;
    assert_eq!(fixture.registry.last_sequence(), before);
    assert_eq!(fixture.get("a/b", "v1").await.unwrap().digest, digest);
    fixture.push_image("a/b", "v2", "y").await;
    fixture.check().await;
}

#[tokio::test]
async fn verify_names_what_is_damaged() {
    let fixture = Fixture::new().await;
    fixture.push_image("a", "v1", "x").await;
    let data = DataPlane::new(Arc::new(fixture.backend.clone()));
    let verified = verify(&fixture.db, &data, |_| ()).await.unwrap();
    assert_eq!((verified.blobs, verified.manifests, verified.faults.len()), (2, 1, 0));
    let gone = fixture.backend.list("", None, 1).await.unwrap().objects.remove(0).key;
    fixture.backend.delete(&gone, None).await.unwrap();
    let mut tx = fixture.db.write().await.unwrap();
    tx.execute("UPDATE manifest_contents SET bytes = x'7b7d'", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    let verified = verify(&fixture.db, &data, |_| ()).await.unwrap();
    assert_eq!(verified.faults.len(), 2);
    assert!(
        verified.faults[0].reason.contains(gone.as_str()) && verified.faults[0].reason.ends_with("missing")
    );
    let mut tx = fixture.db.write().await.unwrap();
    tx.execute("DELETE FROM manifest_contents", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    let verified = verify(&fixture.db, &data, |_| ()).await.unwrap();
    assert!(verified.faults[1].content.starts_with("a@blake3:"), "{:?}", verified.faults);
}

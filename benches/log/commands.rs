//! Real commands of a registry, a millisecond away from the server: a blob stored and linked, a manifest pushed
//! and its tag moved.

use std::sync::Arc;
use std::time::{Duration, Instant};

use artifactstore::clock::Clock;
use artifactstore::dataplane::DataPlane;
use artifactstore::db::testing::Database;
use artifactstore::db::{Access, Db, Options as DbOptions};
use artifactstore::hash;
use artifactstore::oci::{Algorithm, Digest, Reference};
use artifactstore::registry::{Actor, Options, Registry};
use artifactstore::storage::Memory;
use bytes::Bytes;
use futures_util::stream;

use super::{Measured, Outcome, ROUNDS, compare};

/// Added to every round trip.
const DISTANCE: Duration = Duration::from_millis(1);

/// Clients that push at the same time; as many as a batch can hold.
const CLIENTS: u32 = 256;

/// Artifacts of each client in a round; each is a blob, a manifest and a tag.
const EACH: u32 = 4;

/// Artifacts pushed by one client alone in a round.
const ALONE: u32 = 30;

/// Commands per artifact: the blob is one, manifest and tag are another.
const COMMANDS: u32 = 2;

pub(super) async fn run() -> Outcome<()> {
    let database = Database::new().await;
    let proxy = database.proxy(DISTANCE);
    let options = DbOptions { readers: 32, ..database.options_through(&proxy) };
    let db = Db::open(&options, Access::Create).await?;
    let data = DataPlane::new(Arc::new(Memory::new()));
    let registry = Registry::open(db.clone(), data, Clock::system(), Options::default()).await?;
    println!("  a round trip takes {:.2} ms", round_trip(&db).await?.as_secs_f64() * 1000.0);
    let (mut many, mut one) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let before = db.statements();
        let all = together(&registry, u32::try_from(round)?).await?;
        let statements = db.statements() - before;
        let before = db.statements();
        let alone = push_all(registry.clone(), format!("alone-{round}"), ALONE).await?;
        println!(
            "  round {round}: {:.0} and {:.0} commands/s; {:.2} and {:.2} statements a command",
            all.per_second(),
            alone.per_second(),
            f64::from(u32::try_from(statements)?) / f64::from(all.count),
            f64::from(u32::try_from(db.statements() - before)?) / f64::from(alone.count),
        );
        if round > 0 {
            many.push(all);
            one.push(alone);
        }
    }
    compare("256 clients against one", &many, &one, "10, or 2000/s");
    batches(&registry, &db).await
}

/// Counts the statements of batches of growing size.
async fn batches(registry: &Registry, db: &Db) -> Outcome<()> {
    for size in [1, 16, 100, 256] {
        let (before, first) = (db.statements(), registry.last_sequence());
        let pushes = (0..size).map(|n| push_blob(registry, format!("batch-{size}-{n}")));
        for pushed in tokio::task::unconstrained(futures_util::future::join_all(pushes)).await {
            pushed?;
        }
        let (statements, events) = (db.statements() - before, registry.last_sequence() - first);
        println!("  {size} blobs at once: {events} events, {statements} statements in all their batches");
    }
    Ok(())
}

async fn round_trip(db: &Db) -> Outcome<Duration> {
    let mut tx = db.write().await?;
    let start = Instant::now();
    for _ in 0..100 {
        tx.query("SELECT 1", Vec::new()).await?;
    }
    Ok(start.elapsed() / 100)
}

async fn together(registry: &Registry, round: u32) -> Outcome<Measured> {
    let start = Instant::now();
    let clients = (0..CLIENTS).map(|who| push_all(registry.clone(), format!("{round}-{who}"), EACH));
    for client in clients.map(tokio::spawn).collect::<Vec<_>>() {
        client.await??;
    }
    Ok(Measured { count: CLIENTS * EACH * COMMANDS, taken: start.elapsed() })
}

async fn push_all(registry: Registry, seed: String, artifacts: u32) -> Outcome<Measured> {
    let start = Instant::now();
    for n in 0..artifacts {
        let config = push_blob(&registry, format!("{seed}-{n}")).await?;
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 1},
            "layers": [],
        });
        let tag: Reference = format!("t-{seed}").parse()?;
        let bytes = Bytes::from(serde_json::to_vec(&manifest)?);
        registry.push_manifest(&"bench/log".parse()?, Actor::anonymous(), &tag, vec![], None, bytes).await?;
    }
    Ok(Measured { count: artifacts * COMMANDS, taken: start.elapsed() })
}

async fn push_blob(registry: &Registry, seed: String) -> Outcome<Digest> {
    let bytes = Bytes::from(seed);
    let digest = hash::digest(Algorithm::Sha256, &bytes);
    let body = Box::pin(stream::iter([Ok(bytes)]));
    registry.push_blob(&"bench/log".parse()?, Actor::anonymous(), &digest, body).await?;
    Ok(digest)
}

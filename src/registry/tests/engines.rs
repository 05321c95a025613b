//! The registry over a server instead of a file.

use super::*;
use crate::db::testing::{On, Place};
use crate::events;

/// A registry on an engine, with the log id given, so that its state can be compared with that of another.
pub(super) async fn registry_on(on: On, clock: &ManualClock) -> (Registry, Db, Place) {
    let place = Place::new(on).await;
    let db = place.open(Access::Create).await;
    let mut tx = db.write().await.unwrap();
    tx.execute("INSERT INTO log_head VALUES (1, 'the same log', 1, 1, 0, 0)", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    let data = DataPlane::new(Arc::new(Memory::with_clock(clock.clock())));
    let registry = Registry::open(db.clone(), data, clock.clock(), Options::default()).await.unwrap();
    (registry, db, place)
}

async fn push_blob(registry: &Registry, repository: &str, bytes: &Bytes) -> Digest {
    let digest = sha256(bytes);
    registry.push_blob(&name(repository), Actor::anonymous(), &digest, whole(bytes)).await.unwrap();
    digest
}

async fn state(db: &Db) -> StateDigest {
    events::digest(&mut db.snapshot().await.unwrap(), &views::projections()).await.unwrap()
}

#[tokio::test]
async fn the_same_history_leads_to_the_same_state_on_both_engines() {
    let clock = ManualClock::at(1_000_000 * SECOND);
    let (embedded, files, _directory) = registry_on(On::Sqlite, &clock).await;
    let (shared, server, _database) = registry_on(On::Postgres, &clock).await;
    for n in 0..20 {
        clock.advance(SECOND);
        for registry in [&embedded, &shared] {
            // Names that a locale would order otherwise than bytes do.
            let repository = ["a/b", "a-b", "a_b/c", "a0/b"][n % 4];
            let config = push_blob(registry, repository, &Bytes::from(format!("config {n}"))).await;
            let layer = push_blob(registry, repository, &Bytes::from(format!("layer {}", n % 5))).await;
            let tag = ["Z", "a", "_x", "v1.0"][n / 4 % 4];
            let manifest = image(&config, &[layer]);
            let actor = Actor::anonymous();
            let pushed = registry
                .push_manifest(&name(repository), actor, &tag.parse().unwrap(), vec![], None, manifest)
                .await
                .unwrap();
            if n % 6 == 5 {
                let reference = Reference::Digest(pushed.digest);
                registry.delete_manifest(&name(repository), Actor::anonymous(), &reference).await.unwrap();
                registry.delete_blob(&name(repository), Actor::anonymous(), &config).await.unwrap();
            }
        }
    }
    let (embedded, shared) = (state(&files).await, state(&server).await);
    assert!(embedded.sequence > 60, "{embedded:?}");
    // Every object has a key of its own, whatever its bytes.
    assert_eq!(embedded.differences(&shared), ["blobs"]);
    let blobs = "SELECT content, size, state, backend, sequence FROM blobs ORDER BY content";
    assert_eq!(files.query(blobs, vec![]).await.unwrap(), server.query(blobs, vec![]).await.unwrap());
}

#[tokio::test]
async fn a_text_that_a_server_cannot_store_is_refused_and_nothing_worse() {
    let clock = ManualClock::at(1_000_000 * SECOND);
    let (registry, _db, _database) = registry_on(On::Postgres, &clock).await;
    let config = push_blob(&registry, "a", &Bytes::from_static(b"x")).await;
    let manifest = json(&serde_json::json!({
        "schemaVersion": 2, "mediaType": media::OCI_IMAGE_MANIFEST, "artifactType": "a/b\0c",
        "config": descriptor(media::OCI_IMAGE_CONFIG, &config), "layers": [],
        "subject": descriptor(media::OCI_IMAGE_MANIFEST, &config),
        "annotations": {"note": "nul \0 inside"},
    }));
    let (repository, tag) = (name("a"), "v1".parse().unwrap());
    let outcome = registry.push_manifest(&repository, Actor::anonymous(), &tag, vec![], None, manifest).await;
    assert!(matches!(outcome, Err(Error::ManifestInvalid(_))), "{outcome:?}");
    push_blob(&registry, "a", &Bytes::from_static(b"y")).await;
}

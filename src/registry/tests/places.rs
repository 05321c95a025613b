//! Which storage belongs to which log, and copies that must not be written onto their original.

use super::*;
use crate::db::testing::{On, Place, on_both};
use crate::events::places;
use crate::storage::Key;

on_both![
    replicas_with_two_places_were_both_ready,
    a_registry_whose_storage_was_emptied_went_on,
    a_registry_of_the_release_before_places_finds_its_own,
    a_copy_onto_its_original_is_refused_before_anything_is_written,
    a_copy_into_storage_of_another_left_an_unfinished_log,
    a_copy_took_over_what_was_wrong_with_the_views_by_way_of_a_snapshot,
];

async fn registry(db: &Db, memory: &Memory) -> Registry {
    let data = DataPlane::new(Arc::new(memory.clone()));
    Registry::open(db.clone(), data, Clock::system(), Options::default()).await.unwrap()
}

async fn fill(registry: &Registry) -> Digest {
    let bytes = Bytes::from_static(b"evidence");
    let digest = sha256(&bytes);
    registry.push_blob(&name("a"), Actor::anonymous(), &digest, whole(&bytes)).await.unwrap();
    digest
}

fn refused(outcome: Result<(), Error>, words: &[&str]) {
    let Err(Error::WrongPlace(error)) = outcome else { panic!("{outcome:?}") };
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
}

async fn known(db: &Db) -> String {
    places::known(db).await.unwrap().expect("it was bound").place
}

async fn replicas_with_two_places_were_both_ready(on: On) {
    let place = Place::new(on).await;
    let db = place.open(Access::Create).await;
    let (right, wrong) = (Memory::new(), Memory::new());
    let first = registry(&db, &right).await;
    first.bind().await.unwrap();
    let bound = known(&db).await;
    // Also before anything was stored, and again.
    for _ in 0..2 {
        refused(registry(&db, &wrong).await.bind().await, &[&bound, "a new one", "storage.s3.prefix"]);
    }
    assert_eq!(wrong.owner().await.unwrap(), None, "a place that is refused is not claimed");
    // One that the release before had claimed for the same log, or that lost the race of two first claims.
    let claimed = wrong.claim(&first.log_id()).await.unwrap();
    refused(registry(&db, &wrong).await.bind().await, &[&bound, claimed.as_str()]);
    registry(&db, &right).await.bind().await.unwrap();
    assert_eq!(known(&db).await, bound);
}

async fn a_registry_whose_storage_was_emptied_went_on(on: On) {
    let place = Place::new(on).await;
    let db = place.open(Access::Create).await;
    let memory = Memory::new();
    let first = registry(&db, &memory).await;
    first.bind().await.unwrap();
    fill(&first).await;
    refused(registry(&db, &Memory::new()).await.bind().await, &["no marker", &known(&db).await]);
    registry(&db, &memory).await.bind().await.unwrap();
}

async fn a_registry_of_the_release_before_places_finds_its_own(on: On) {
    let place = Place::new(on).await;
    let db = place.open(Access::Create).await;
    let (right, mistyped, new) = (Memory::new(), Memory::new(), Memory::new());
    let first = registry(&db, &right).await;
    // It claimed, and the database remembers nothing of that.
    right.claim(&first.log_id()).await.unwrap();
    fill(&first).await;
    mistyped.claim(&first.log_id()).await.unwrap();
    refused(registry(&db, &mistyped).await.bind().await, &["another storage"]);
    refused(registry(&db, &new).await.bind().await, &["another storage", "a new one"]);
    assert_eq!(places::known(&db).await.unwrap(), None);
    registry(&db, &right).await.bind().await.unwrap();
    refused(registry(&db, &mistyped).await.bind().await, &[&known(&db).await]);
}

/// A registry with an object, and the database of a copy to be made.
async fn original(on: On) -> (Memory, Db, Db, Digest, (Place, Place)) {
    let (here, there) = (Place::new(on).await, Place::new(on).await);
    let (db, target) = (here.open(Access::Create).await, there.open(Access::Create).await);
    let memory = Memory::new();
    let registry = registry(&db, &memory).await;
    registry.bind().await.unwrap();
    let digest = fill(&registry).await;
    (memory, db, target, digest, (here, there))
}

async fn a_copy_onto_its_original_is_refused_before_anything_is_written(on: On) {
    let (memory, db, target, digest, _places) = original(on).await;
    let (from, to) = (DataPlane::new(Arc::new(memory.clone())), DataPlane::new(Arc::new(memory.clone())));
    let onto_itself = Side { db: &target, data: &to };
    let outcome = copy(Side { db: &db, data: &from }, onto_itself, true, |_| {}).await;
    assert!(
        matches!(&outcome, Err(Error::SamePlace(place)) if place.as_str() == known(&db).await),
        "{outcome:?}"
    );
    assert!(!has_log(&target).await.unwrap());
    assert_eq!(places::known(&target).await.unwrap(), None);
    let registry = registry(&db, &memory).await;
    registry.open_blob(&registry.blob(&name("a"), &digest).await.unwrap(), None).await.unwrap();
    // The database of the original with storage that is not the original's.
    let elsewhere = DataPlane::new(Arc::new(Memory::new()));
    let outcome = copy(Side { db: &db, data: &from }, Side { db: &db, data: &elsewhere }, true, |_| {}).await;
    refused(outcome.map(drop), &[&known(&db).await]);
    assert_eq!(elsewhere.owner().await.unwrap(), None);
}

async fn a_copy_into_storage_of_another_left_an_unfinished_log(on: On) {
    let (memory, db, target, _, _places) = original(on).await;
    let from = DataPlane::new(Arc::new(memory));
    let foreign = DataPlane::new(Arc::new(Memory::new()));
    foreign.claim("another").await.unwrap();
    let outcome =
        copy(Side { db: &db, data: &from }, Side { db: &target, data: &foreign }, true, |_| {}).await;
    assert!(matches!(outcome, Err(Error::Data(_))), "{outcome:?}");
    assert!(!has_log(&target).await.unwrap());
    let right = Memory::new();
    let to = DataPlane::new(Arc::new(right.clone()));
    let done =
        copy(Side { db: &db, data: &from }, Side { db: &target, data: &to }, true, |_| {}).await.unwrap();
    assert!(matches!(done, CopyOutcome::Whole { .. }), "{done:?}");
    assert_ne!(known(&target).await, known(&db).await, "each side has its own place");
    registry(&target, &right).await.bind().await.unwrap();
    refused(registry(&target, &Memory::new()).await.bind().await, &[&known(&target).await]);
}

async fn a_copy_took_over_what_was_wrong_with_the_views_by_way_of_a_snapshot(on: On) {
    let (memory, db, target, _, _places) = original(on).await;
    let mut tx = db.write().await.unwrap();
    tx.execute("DELETE FROM blob_links", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    registry(&db, &memory).await.snapshot().await.unwrap().expect("nobody else is at it");
    let (from, to) = (DataPlane::new(Arc::new(memory)), DataPlane::new(Arc::new(Memory::new())));
    let outcome = copy(Side { db: &db, data: &from }, Side { db: &target, data: &to }, true, |_| {}).await;
    assert!(
        matches!(&outcome, Err(Error::CopyDiffers(tables)) if tables.contains("blob_links")),
        "{outcome:?}"
    );
    assert!(matches!(Head::newest(&target).await, Ok(head) if !head.is_whole()), "it stays closed");
}

#[tokio::test]
async fn what_is_damaged_in_a_copy_in_a_versioned_bucket_was_never_removed() {
    let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let database = |dir: &TempDir| db::Options::new(Url::Sqlite(dir.path().join("registry.db")));
    let db = Db::open(&database(&dirs[0]), Access::Create).await.unwrap();
    let target = Db::open(&database(&dirs[1]), Access::Create).await.unwrap();
    let clock = Clock::system();
    let (original, bucket) = (Unreadable::new(clock.clone()), Unreadable::new(clock.clone()));
    let (from, to) = (DataPlane::new(Arc::new(original)), DataPlane::new(Arc::new(bucket.clone())));
    let registry = Registry::open(db.clone(), from.clone(), clock, Options::default()).await.unwrap();
    registry.bind().await.unwrap();
    let digest = fill(&registry).await;
    let copy =
        |is_at_rest| copy(Side { db: &db, data: &from }, Side { db: &target, data: &to }, is_at_rest, |_| {});
    assert!(matches!(copy(false).await.unwrap(), CopyOutcome::Closed(_)));
    let key: Key = bucket.list("", None, 10).await.unwrap().objects[0].key.clone();
    bucket.delete(&key, None).await.unwrap();
    bucket.put(&key, Bytes::from_static(b"evidenc3")).await.unwrap();
    let damaged = copy(true).await.unwrap();
    let CopyOutcome::Damaged { is_open: false, verification, .. } = &damaged else { panic!("{damaged:?}") };
    assert_eq!(verification.faults.len(), 1, "{damaged:?}");
    let CopyOutcome::Whole { copied, .. } = copy(true).await.unwrap() else { panic!("it is sent again") };
    assert_eq!(copied.sent, 1);
    let copied =
        Registry::open(target.clone(), to.clone(), Clock::system(), Options::default()).await.unwrap();
    copied.bind().await.unwrap();
    let blob = copied.blob(&name("a"), &digest).await.unwrap();
    assert_eq!(collect(copied.open_blob(&blob, None).await.unwrap().body).await.unwrap(), b"evidence");
}

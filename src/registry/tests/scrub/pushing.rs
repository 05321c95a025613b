//! What a push does when the copy there is may not be what it says.

use super::*;
use crate::package::mapping::names;

on_both![
    a_push_was_acknowledged_over_a_copy_with_other_bytes,
    a_copy_that_cannot_be_read_was_kept_by_every_push,
    a_push_of_a_large_blob_was_acknowledged_over_a_copy_that_cannot_be_read,
    what_is_known_to_be_unreadable_was_relied_on,
    a_manifest_that_names_a_damaged_blob_was_accepted,
];

async fn a_push_was_acknowledged_over_a_copy_with_other_bytes(on: On) {
    let vault = Vault::new(on).await;
    for content in [bytes(1), pattern(LARGE)] {
        let digest = vault.push("a", &content).await;
        let key = vault.damage(&content, Wrong::Flipped).await;
        let before = vault.registry.last_sequence();
        vault.push("a", &content).await;
        assert_eq!(vault.events_after(before).await, ["v1.blob.corrupted", "v1.blob.repaired"]);
        assert_eq!(vault.pull("a", &digest).await.unwrap(), content);
        let found = views::damages::among(&vault.db, &[key.as_str()]).await.unwrap();
        assert_eq!((found[0].trouble, found[0].state), (Trouble::Corrupt, DamageState::Replaced));
        // What is whole stays.
        let (before, keys) = (vault.registry.last_sequence(), vault.keys().await);
        vault.push("a", &content).await;
        assert_eq!((vault.registry.last_sequence(), vault.keys().await), (before, keys));
    }
    vault.check().await;
}

async fn a_copy_that_cannot_be_read_was_kept_by_every_push(on: On) {
    let vault = Vault::new(on).await;
    let content = bytes(1);
    let digest = vault.push("a", &content).await;
    // When the push looks, and when it looks again.
    vault.faults.arm(Op::Get, 1, Fault::Fail(Cause::Broken));
    vault.faults.arm(Op::Get, 2, Fault::Fail(Cause::Broken));
    let before = vault.registry.last_sequence();
    let old = vault.key_of(&content).await;
    vault.push("a", &content).await;
    assert_eq!(vault.events_after(before).await, ["v1.blob.unreadable", "v1.blob.repaired"]);
    assert_ne!(vault.key_of(&content).await, old);
    assert_eq!(vault.pull("a", &digest).await.unwrap(), content);
    vault.check().await;
}

async fn a_push_of_a_large_blob_was_acknowledged_over_a_copy_that_cannot_be_read(on: On) {
    let vault = Vault::new(on).await;
    let content = pattern((16 << 20) + 1);
    vault.push("a", &content).await;
    let old = vault.key_of(&content).await;
    vault.push("a", &content).await;
    assert_eq!(vault.key_of(&content).await, old, "what can be read stays");
    vault.faults.arm(Op::Get, 1, Fault::Fail(Cause::Broken));
    vault.faults.arm(Op::Get, 2, Fault::Fail(Cause::Broken));
    let before = vault.registry.last_sequence();
    vault.push("a", &content).await;
    assert_eq!(vault.events_after(before).await, ["v1.blob.unreadable", "v1.blob.repaired"]);
    vault.damage(&content, Wrong::Truncated).await;
    vault.push("a", &content).await;
    assert_eq!(vault.events_after(before + 2).await, ["v1.blob.repaired"]);
    vault.check().await;
}

#[tokio::test]
async fn a_push_over_storage_that_is_away_waits_for_it() {
    let clock = ManualClock::at(Clock::system().now());
    let bucket = Unreadable::new(clock.clock());
    let vault = Vault::over(On::Sqlite, clock, Arc::new(bucket.clone()), None, |_| ()).await;
    let content = bytes(1);
    let digest = vault.push("a", &content).await;
    bucket.set_away(true);
    let (actor, body) = (Actor::anonymous(), whole(&content));
    let refused = vault.registry.push_blob(&name("a"), actor, &digest, body).await.unwrap_err();
    assert!(refused.is_temporary(), "{refused:?}");
    bucket.set_away(false);
    let before = vault.registry.last_sequence();
    vault.push("a", &content).await;
    assert_eq!(vault.registry.last_sequence(), before);
}

async fn what_is_known_to_be_unreadable_was_relied_on(on: On) {
    let vault = Vault::new(on).await;
    let content = bytes(1);
    let digest = vault.push("a", &content).await;
    let registry = &vault.registry;
    registry.blob_to_rely_on(&name("a"), Actor::anonymous(), &digest).await.unwrap();
    vault.faults.fail(Op::Get, Cause::Broken);
    assert_eq!(vault.cycle().await.unreadable, 1);
    let asked = registry.blob_to_rely_on(&name("a"), Actor::anonymous(), &digest).await;
    assert!(matches!(asked, Err(Error::BlobUnknown(_))), "{asked:?}");
    let mounted = registry.mount_blob(&name("b"), Actor::anonymous(), &digest, None).await;
    assert_eq!(mounted.unwrap(), None);
    let before = registry.last_sequence();
    vault.push("a", &content).await;
    assert_eq!(vault.events_after(before).await, ["v1.blob.repaired"]);
    registry.blob_to_rely_on(&name("a"), Actor::anonymous(), &digest).await.unwrap();
    assert!(registry.mount_blob(&name("b"), Actor::anonymous(), &digest, None).await.unwrap().is_some());
    vault.check().await;
}

async fn a_manifest_that_names_a_damaged_blob_was_accepted(on: On) {
    let mut vault = Vault::new(on).await;
    let (config, layer) = (bytes(1), bytes(2));
    let (config_digest, layer_digest) = (vault.push("a", &config).await, vault.push("a", &layer).await);
    let manifest = image(&config_digest, std::slice::from_ref(&layer_digest));
    let put = async |vault: &Vault, tag: &str| {
        let (actor, reference) = (Actor::anonymous(), tag.parse().unwrap());
        let bytes = manifest.clone();
        vault.registry.push_manifest(&name("a"), actor, &reference, vec![], None, bytes).await
    };
    put(&vault, "v1").await.unwrap();
    vault.damage(&layer, Wrong::Flipped).await;
    vault.cycle().await;
    for _ in 0..2 {
        let refused = put(&vault, "v2").await.unwrap_err();
        assert!(
            matches!(&refused, Error::ReferencesUnknown(it) if *it == [layer_digest.clone()]),
            "{refused:?}"
        );
        // Also by a process that has not seen it happen.
        vault.restart().await;
    }
    // And what comes as a package, or is finalized as one.
    vault.push("a", &Bytes::from_static(names::EMPTY_CONFIG)).await;
    let (a, new) = (name("a"), NewPackage::default());
    let id = vault.registry.create_package(&a, Actor::anonymous(), new).await.unwrap().id;
    let file = |path: &str| NewFile {
        path: path.parse().unwrap(),
        media_type: None,
        role: None,
        claimed: None,
        replace: false,
    };
    let other = bytes(3);
    let actor = Actor::anonymous();
    vault.registry.ingest_file(&name("a"), actor.clone(), &id, file("x"), whole(&other)).await.unwrap();
    vault.damage(&other, Wrong::Gone).await;
    vault.cycle().await;
    let finalize = Finalize { tag: None, retention_class: None, metadata: None };
    let refused = vault.registry.finalize_package(&name("a"), actor.clone(), &id, finalize.clone()).await;
    assert!(matches!(refused, Err(Error::ReferencesUnknown(_))), "{refused:?}");
    vault.push("a", &layer).await;
    vault.push("a", &other).await;
    put(&vault, "v2").await.unwrap();
    vault.registry.finalize_package(&name("a"), actor, &id, finalize).await.unwrap();
    vault.check().await;
}

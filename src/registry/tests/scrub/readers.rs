//! What is damaged is served on no way, and every way of pushing repairs it.

use super::*;
use crate::package::PackageId;
use crate::registry::scrub::testing::finding;

on_both![
    a_file_of_a_package_a_key_and_a_url_are_refused,
    who_asks_before_a_push_is_told_that_the_blob_is_not_there,
    a_finding_about_a_copy_that_was_replaced_meanwhile_is_none,
    a_push_that_found_a_copy_whole_brings_its_own_when_it_is_not,
];

async fn draft_with(vault: &Vault, content: &Bytes) -> PackageId {
    let registry = &vault.registry;
    let new = NewPackage::default();
    let id = registry.create_package(&name("a"), Actor::anonymous(), new).await.unwrap().id;
    ingest(vault, &id, content).await;
    id
}

async fn ingest(vault: &Vault, id: &PackageId, content: &Bytes) {
    let file = NewFile {
        path: "file.txt".parse().unwrap(),
        media_type: None,
        role: None,
        claimed: None,
        replace: true,
    };
    vault.registry.ingest_file(&name("a"), Actor::anonymous(), id, file, whole(content)).await.unwrap();
}

async fn a_file_of_a_package_a_key_and_a_url_are_refused(on: On) {
    let vault = Vault::new(on).await;
    let registry = &vault.registry;
    let content = bytes(1);
    let id = draft_with(&vault, &content).await;
    let path = "file.txt".parse().unwrap();
    let (store, key) = (registry.keyed_store(&name("a"), Actor::anonymous()), "key.txt".parse().unwrap());
    store.put(&key, NewObject::default(), whole(&content)).await.unwrap();
    let url = store.get_url(&key, Duration::from_mins(1)).await.unwrap();
    // On record already, and known to the cache.
    let blob = registry.blob(&name("a"), &sha256(&content)).await.unwrap();
    registry.open_blob(&blob, None).await.unwrap();
    vault.damage(&content, Wrong::Flipped).await;
    vault.cycle().await;
    let is_refused = |error: &Error| {
        assert!(error.is_damage());
        assert!(matches!(error, Error::BlobDamaged { .. }), "{error:?}");
    };
    is_refused(&registry.blob(&name("a"), &sha256(&content)).await.unwrap_err());
    is_refused(&registry.package_file(&id, &path).await.unwrap_err());
    is_refused(&store.open(&key).await.unwrap_err());
    is_refused(&store.get(&key, 10_000).await.unwrap_err());
    is_refused(&store.get_url(&key, Duration::from_mins(1)).await.unwrap_err());
    let query = url.url.split_once('?').unwrap().1;
    let part = |name: &str| {
        let mut parts = query.split('&').filter_map(|part| part.split_once('='));
        parts.find(|(key, _)| *key == name).unwrap().1.to_owned()
    };
    let signature = Signature {
        expires: part("expires").parse().unwrap(),
        key_id: part("kid"),
        proof: part("signature"),
    };
    is_refused(&registry.signed_object(&name("a"), &key, &signature).await.unwrap_err());
    // Looking at what there is goes on.
    assert_eq!(registry.package_files(&id, "", 10).await.unwrap().len(), 1);
    assert!(store.exists(&key).await.unwrap());
    is_refused(
        &Stat::find(&vault.db, &name("a"), &sha256(&content))
            .await
            .unwrap()
            .read(&registry.inner.data)
            .await
            .err()
            .unwrap(),
    );

    // The same bytes under the same key change nothing but that they are there again.
    let before = registry.last_sequence();
    store.put(&key, NewObject::default(), whole(&content)).await.unwrap();
    assert_eq!(vault.events_after(before).await, ["v1.blob.repaired"]);
    assert_eq!(store.get(&key, 10_000).await.unwrap(), content);
    let (_, blob) = registry.package_file(&id, &path).await.unwrap();
    assert_eq!(collect(registry.open_blob(&blob, None).await.unwrap().body).await.unwrap(), content);

    // And by the way of a package.
    vault.damage(&content, Wrong::Gone).await;
    vault.cycle().await;
    is_refused(&registry.package_file(&id, &path).await.unwrap_err());
    ingest(&vault, &id, &content).await;
    assert_eq!(vault.pull("a", &sha256(&content)).await.unwrap(), content);
    vault.check().await;
}

async fn who_asks_before_a_push_is_told_that_the_blob_is_not_there(on: On) {
    let vault = Vault::new(on).await;
    let registry = &vault.registry;
    let content = bytes(1);
    let digest = vault.push("a", &content).await;
    let draft = draft_with(&vault, &bytes(2)).await;
    vault.damage(&content, Wrong::Truncated).await;
    vault.cycle().await;
    let asked = registry.blob_to_rely_on(&name("a"), Actor::anonymous(), &digest).await;
    assert!(matches!(asked, Err(Error::BlobUnknown(_))), "{asked:?}");
    for from in [None, Some(name("a"))] {
        let mounted = registry.mount_blob(&name("b"), Actor::anonymous(), &digest, from.as_ref()).await;
        assert_eq!(mounted.unwrap(), None);
    }
    let file = NewFile {
        path: "other.txt".parse().unwrap(),
        media_type: None,
        role: None,
        claimed: None,
        replace: false,
    };
    let ingested = registry.ingest_blob(&name("a"), Actor::anonymous(), &draft, file, &digest).await;
    assert!(matches!(ingested, Err(Error::BlobUnknown(_))), "{ingested:?}");
    // Pushed to another repository it is repaired for both.
    vault.push("b", &content).await;
    for repository in ["a", "b"] {
        assert_eq!(vault.pull(repository, &digest).await.unwrap(), content);
    }
    registry.blob_to_rely_on(&name("a"), Actor::anonymous(), &digest).await.unwrap();
    vault.check().await;
}

async fn a_finding_about_a_copy_that_was_replaced_meanwhile_is_none(on: On) {
    let vault = Vault::new(on).await;
    let content = bytes(1);
    let digest = vault.push("a", &content).await;
    let key = vault.damage(&content, Wrong::Gone).await;
    vault.push("a", &content).await;
    let before = vault.registry.last_sequence();
    let finding = finding(&hash::digest(Algorithm::Blake3, &content), key.as_str());
    assert_eq!(vault.registry.submit(Actor::system(), finding).await.unwrap().events, []);
    assert_eq!(vault.registry.last_sequence(), before);
    assert_eq!(vault.pull("a", &digest).await.unwrap(), content);
    // The push put the lost copy on record.
    let lost = views::damages::among(&vault.db, &[key.as_str()]).await.unwrap();
    assert_eq!((lost[0].trouble, lost[0].state), (Trouble::Lost, DamageState::Replaced));
    vault.check().await;
}

async fn a_push_that_found_a_copy_whole_brings_its_own_when_it_is_not(on: On) {
    let vault = Vault::new(on).await;
    let content = bytes(1);
    let digest = vault.push("a", &content).await;
    let key = vault.key_of(&content).await;
    let hold = vault.faults.hold(Op::Get);
    let push = tokio::spawn({
        let (registry, digest, content) = (vault.registry.clone(), digest.clone(), content.clone());
        async move { registry.push_blob(&name("a"), Actor::anonymous(), &digest, whole(&content)).await }
    });
    // It is about to see that there is a copy, and that it is whole: by then that is known to be otherwise.
    hold.reached().await;
    let finding = finding(&hash::digest(Algorithm::Blake3, &content), key.as_str());
    assert_eq!(vault.registry.submit(Actor::system(), finding).await.unwrap().events.len(), 1);
    hold.release();
    push.await.unwrap().unwrap();
    assert_eq!(vault.pull("a", &digest).await.unwrap(), content);
    vault.check().await;
}

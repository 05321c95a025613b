//! What no collection takes.

use super::*;
use crate::events::{HoldPlaced, ManifestDeleted};
use crate::package::Description;
use crate::registry::collection::commands::{Candidate, CondemnBlobs, IntendDeletes, ReleaseLinks};
use crate::registry::collection::rules::Naming;
use crate::retention::{HoldId, HoldKind};

on_both![
    what_a_manifest_a_package_or_a_key_names_stays,
    what_another_manifest_still_names_stays_and_is_a_candidate_no_more,
    a_blob_that_was_asked_for_stays_long_enough_to_be_named,
    a_blob_that_is_pushed_or_mounted_again_begins_its_grace_again,
    a_blob_that_only_a_sparse_manifest_mentions_stays,
    a_repository_under_hold_keeps_its_blobs,
    a_link_that_is_used_between_look_and_decision_stays,
    what_was_linked_again_is_neither_condemned_nor_deleted,
    what_is_retained_stays_until_it_was_disposed_of,
    the_content_manifest_of_a_package_stays_without_a_manifest,
];

async fn what_a_manifest_a_package_or_a_key_names_stays(on: On) {
    let shop = Shop::hasty(on).await;
    let registry = &shop.registry;
    let config = shop.push("a", "in a manifest").await;
    shop.put("a", &config_only(&config)).await.unwrap();
    let new = NewPackage::default();
    let draft = registry.create_package(&name("a"), Actor::anonymous(), new).await.unwrap();
    let file = NewFile {
        path: "file.txt".parse().unwrap(),
        media_type: None,
        role: None,
        claimed: None,
        replace: false,
    };
    let bytes = Bytes::from_static(b"in a draft");
    let stored =
        registry.ingest_file(&name("a"), Actor::anonymous(), &draft.id, file, whole(&bytes)).await.unwrap();
    let (store, key) = (registry.keyed_store(&name("a"), Actor::anonymous()), "key.txt".parse().unwrap());
    let keyed = Bytes::from_static(b"under a key");
    store.put(&key, NewObject::default(), whole(&keyed)).await.unwrap();
    for _ in 0..4 {
        shop.after(1).await;
    }
    for digest in [&config, &stored.sha256, &sha256(&keyed)] {
        assert!(shop.has("a", digest).await);
    }
    registry.abort_package(&name("a"), Actor::anonymous(), &draft.id).await.unwrap();
    assert!(store.delete(&key).await.unwrap());
    for _ in 0..4 {
        shop.after(1).await;
    }
    assert!(shop.has("a", &config).await);
    assert_eq!(shop.objects().await.len(), 1);
    shop.check().await;
}

async fn what_another_manifest_still_names_stays_and_is_a_candidate_no_more(on: On) {
    let shop = Shop::hasty(on).await;
    let config = shop.push("a", "shared config").await;
    let layer = shop.push("a", "layer").await;
    shop.put("a", &config_only(&config)).await.unwrap();
    let second = shop.put("a", &image(&config, std::slice::from_ref(&layer))).await.unwrap();
    shop.remove("a", second).await;
    assert_eq!(counts(&shop.after(1).await), (1, 0, 0, 0));
    assert!(shop.has("a", &config).await && !shop.has("a", &layer).await);
    let candidates = views::links::unused(&shop.db, Micros::MAX, None, 10).await.unwrap();
    assert_eq!(candidates, []);
}

async fn a_blob_that_was_asked_for_stays_long_enough_to_be_named(on: On) {
    let shop = Shop::new(on).await;
    let blob = shop.push("a", "asked for").await;
    let repository = name("a");
    let ask = || shop.registry.blob_to_rely_on(&repository, Actor::anonymous(), &blob);
    shop.clock.advance(DAY / 2);
    let before = shop.registry.last_sequence();
    ask().await.unwrap();
    assert_eq!(shop.registry.last_sequence(), before, "there is time enough");
    shop.clock.advance(DAY / 2);
    ask().await.unwrap();
    ask().await.unwrap();
    assert_eq!(shop.registry.last_sequence(), before + 1, "once");
    assert_eq!(counts(&shop.after(DAY).await), (0, 0, 0, 0));
    shop.put("a", &config_only(&blob)).await.unwrap();
    assert_eq!(counts(&shop.after(DAY).await), (0, 0, 0, 0));
    let before = shop.registry.last_sequence();
    ask().await.unwrap();
    assert_eq!(shop.registry.last_sequence(), before, "what is named needs nothing");
}

async fn a_blob_that_is_pushed_or_mounted_again_begins_its_grace_again(on: On) {
    let shop = Shop::new(on).await;
    let pushed = shop.push("a", "pushed").await;
    let mounted = shop.push("a", "mounted").await;
    let forgotten = shop.push("a", "forgotten").await;
    shop.push("b", "mounted").await;
    shop.put("b", &config_only(&mounted)).await.unwrap();
    shop.clock.advance(DAY);
    shop.push("a", "pushed").await;
    let again = shop.registry.mount_blob(&name("a"), Actor::anonymous(), &mounted, Some(&name("b"))).await;
    assert!(again.unwrap().is_some());
    assert_eq!(counts(&shop.after(1).await), (1, 0, 0, 0));
    assert!(shop.has("a", &pushed).await && shop.has("a", &mounted).await);
    assert!(!shop.has("a", &forgotten).await);
}

async fn a_blob_that_only_a_sparse_manifest_mentions_stays(on: On) {
    let gc = CollectionOptions { grace: Duration::ZERO, quarantine: Duration::ZERO, ..Shop::fast() };
    let options = Options { gc, allow_sparse: true, ..Options::default() };
    let clock = ManualClock::at(Clock::system().now());
    let backend = Faulty::new(Arc::new(Memory::with_clock(clock.clock())));
    let shop = Shop::over(on, clock, backend, options).await;
    let blob = sha256(b"late");
    let manifest = shop.put("a", &config_only(&blob)).await.unwrap();
    shop.push("a", "late").await;
    for _ in 0..4 {
        shop.after(1).await;
    }
    assert!(shop.has("a", &blob).await);
    shop.remove("a", manifest).await;
    for _ in 0..4 {
        shop.after(1).await;
    }
    assert_eq!(shop.objects().await, [], "the manifest that went said nothing of it");
}

async fn a_repository_under_hold_keeps_its_blobs(on: On) {
    let shop = Shop::hasty(on).await;
    let placed = HoldPlaced {
        hold: HoldId::generate(),
        repository: name("a"),
        target: None,
        kind: HoldKind::Legal,
        matter: "case 1".to_owned(),
        reason: "asked to".to_owned(),
    };
    shop.registry.submit(Actor::anonymous(), Record(placed.into())).await.unwrap();
    let held = shop.push("a", "held").await;
    let free = shop.push("b", "free").await;
    shop.clock.advance(1);
    assert_eq!(shop.plan().await.links, 1);
    for _ in 0..4 {
        shop.after(1).await;
    }
    assert!(shop.has("a", &held).await && !shop.has("b", &free).await);
    assert_eq!(shop.objects().await.len(), 1);
}

async fn a_link_that_is_used_between_look_and_decision_stays(on: On) {
    let shop = Shop::hasty(on).await;
    let blob = shop.push("a", "used just now").await;
    shop.clock.advance(1);
    let seen = views::links::unused(&shop.db, Micros::MAX, None, 10).await.unwrap();
    shop.put("a", &config_only(&blob)).await.unwrap();
    let unnamed = |seen: views::links::Candidate| Candidate { link: seen.link, naming: Naming::Nothing };
    let candidates = seen.into_iter().map(unnamed).collect();
    let command = ReleaseLinks { run: "gc_late".to_owned(), candidates };
    let committed = shop.registry.submit(Actor::system(), command).await.unwrap();
    assert_eq!(committed.events, []);
    assert!(shop.has("a", &blob).await);
}

async fn what_was_linked_again_is_neither_condemned_nor_deleted(on: On) {
    let shop = Shop::hasty(on).await;
    let blob = shop.push("a", "linked again").await;
    let contents = vec![hash::digest(Algorithm::Blake3, b"linked again")];
    let before = Micros::MAX;
    let condemn = || CondemnBlobs { run: "gc_late".to_owned(), contents: contents.clone(), before };
    let intend = || IntendDeletes { run: "gc_late".to_owned(), contents: contents.clone(), before };
    // Found unlinked, and linked when it is decided.
    let submit = async || {
        let condemned = shop.registry.submit(Actor::system(), condemn()).await.unwrap().events.len();
        (condemned, shop.registry.submit(Actor::system(), intend()).await.unwrap().events.len())
    };
    assert_eq!(submit().await, (0, 0));
    shop.registry.delete_blob(&name("a"), Actor::anonymous(), &blob).await.unwrap();
    shop.registry.submit(Actor::system(), condemn()).await.unwrap();
    shop.push("b", "linked again").await;
    assert_eq!(submit().await, (0, 0));
    assert!(shop.has("b", &blob).await);
}

async fn what_is_retained_stays_until_it_was_disposed_of(on: On) {
    let shop = Shop::hasty(on).await;
    let (registry, a) = (&shop.registry, name("a"));
    let description = Description { retention_class: Some("transient".to_owned()), ..Description::default() };
    let new = NewPackage { description, ..NewPackage::default() };
    let id = registry.create_package(&a, Actor::anonymous(), new).await.unwrap().id;
    let file = NewFile {
        path: "file.txt".parse().unwrap(),
        media_type: None,
        role: None,
        claimed: None,
        replace: false,
    };
    let bytes = Bytes::from_static(b"evidence");
    registry.ingest_file(&a, Actor::anonymous(), &id, file, whole(&bytes)).await.unwrap();
    registry.finalize_package(&a, Actor::anonymous(), &id, Finalize::default()).await.unwrap();
    let stored = shop.objects().await.len();
    // While it is retained, and when that is over.
    for time in [1, 1, 1, 1, 8 * DAY, 1, 1, 1] {
        assert_eq!(counts(&shop.after(time).await).2, 0);
        assert_eq!(shop.pull("a", &sha256(&bytes)).await.unwrap(), bytes);
    }
    assert_eq!(shop.objects().await.len(), stored);
    let item = id.as_str().parse().unwrap();
    let (one, other) = (Actor::user("one"), Actor::user("other"));
    let disposition = registry.propose_disposition(&a, one, &item, "it is over").await.unwrap();
    registry.execute_disposition(&a, other, &disposition.id, None).await.unwrap();
    for _ in 0..4 {
        shop.after(1).await;
    }
    assert_eq!(shop.objects().await, []);
    assert!(matches!(shop.pull("a", &sha256(&bytes)).await, Err(Error::BlobUnknown(_))));
    shop.check().await;
}

async fn the_content_manifest_of_a_package_stays_without_a_manifest(on: On) {
    let shop = Shop::hasty(on).await;
    let (registry, a) = (&shop.registry, name("a"));
    let id = registry.create_package(&a, Actor::anonymous(), NewPackage::default()).await.unwrap().id;
    let file = NewFile {
        path: "file.txt".parse().unwrap(),
        media_type: None,
        role: None,
        claimed: None,
        replace: false,
    };
    let bytes = Bytes::from_static(b"evidence");
    registry.ingest_file(&a, Actor::anonymous(), &id, file, whole(&bytes)).await.unwrap();
    let package = registry.finalize_package(&a, Actor::anonymous(), &id, Finalize::default()).await.unwrap();
    let (reference, table) = (package.reference.unwrap(), package.content_manifest.unwrap());
    // As a release before did, which let it go.
    let gone = ManifestDeleted {
        repository: a.clone(),
        content: views::contents::find(&shop.db, &reference).await.unwrap().unwrap(),
        digest: reference.clone(),
        tags: Vec::new(),
    };
    registry.submit(Actor::anonymous(), Record(gone.into())).await.unwrap();
    assert!(registry.manifest(&a, &Reference::Digest(reference)).await.is_err());
    for _ in 0..4 {
        assert_eq!(counts(&shop.after(1).await).0, 0);
        assert!(shop.has("a", &table).await);
    }
    // Also when nothing was found that names it, and the command looks for itself.
    shop.clock.advance(1);
    let links = views::links::unused(&shop.db, shop.clock.clock().now(), None, 10).await.unwrap();
    let link = links.into_iter().map(|it| it.link).find(|it| it.content == table).unwrap();
    let candidates = vec![Candidate { link, naming: Naming::Nothing }];
    let release = ReleaseLinks { run: "gc_of_nobody".to_owned(), candidates };
    registry.submit(Actor::system(), release).await.unwrap();
    assert!(shop.has("a", &table).await);
    shop.check().await;
}

//! Other copies of the same content, and what becomes of the damaged one.

use super::*;

on_both![
    another_copy_in_the_storage_takes_the_place_of_a_damaged_one,
    a_copy_that_is_no_better_is_left_alone,
    a_repair_that_could_not_be_written_ended_the_pass,
    a_copy_that_cannot_be_read_was_never_repaired,
    a_damaged_copy_is_kept_aside_as_long_as_its_content_is,
    what_was_kept_aside_was_not_in_the_record_of_the_purge,
    damage_of_a_copy_that_was_being_deleted_stayed_open_for_ever,
];

/// A key of one more copy of some content.
fn another_key(content: &[u8]) -> Key {
    let digest = hash::digest(Algorithm::Blake3, content);
    let hex = digest.hex();
    let incarnation = ulid::Ulid::generate().to_string().to_lowercase();
    format!("blake3/{}/{}/{hex}.{incarnation}", &hex[..2], &hex[2..4]).parse().unwrap()
}

async fn another_copy_in_the_storage_takes_the_place_of_a_damaged_one(on: On) {
    let vault = Vault::new(on).await;
    for (content, wrong) in
        [(bytes(1), Wrong::Flipped), (bytes(2), Wrong::Gone), (pattern(LARGE), Wrong::Flipped)]
    {
        let digest = vault.push("a", &content).await;
        vault.backend.put(&another_key(&content), content.clone()).await.unwrap();
        let key = vault.damage(&content, wrong).await;
        let before = vault.registry.last_sequence();
        let done = vault.cycle().await;
        assert_eq!((done.damaged, done.repaired), (1, 1));
        let events = ["v1.blob.corrupted", "v1.blob.repaired", "v1.scrub.completed"];
        assert_eq!(vault.events_after(before).await, events);
        assert_eq!(vault.pull("a", &digest).await.unwrap(), content);
        let found = vault.registry.scrub_findings(&done.run, "", 10).await.unwrap();
        assert_eq!((found[0].key.as_str(), found[0].state), (key.as_str(), DamageState::Replaced));
        let now = vault.key_of(&content).await;
        assert_eq!(found[0].replaced_by.as_deref(), Some(now.as_str()));
    }
    assert_eq!(vault.cycle().await.damaged, 0);
    vault.check().await;
}

async fn a_copy_that_is_no_better_is_left_alone(on: On) {
    let vault = Vault::new(on).await;
    let content = bytes(1);
    vault.push("a", &content).await;
    vault.backend.put(&another_key(&content), bytes(2)).await.unwrap();
    vault.backend.put(&another_key(&content), pattern(10)).await.unwrap();
    vault.damage(&content, Wrong::Flipped).await;
    let stored = vault.keys().await;
    let done = vault.cycle().await;
    assert_eq!((done.damaged, done.repaired), (1, 0));
    assert_eq!(vault.keys().await, stored);
    assert_eq!(vault.backend.leftovers(10).await.unwrap(), []);
    // An object of nobody that cannot be read is none to repair from, and does not keep the rest from being read.
    vault.backend.put(&another_key(&content), content.clone()).await.unwrap();
    vault.faults.arm(Op::Get, 3, Fault::Fail(Cause::Broken));
    vault.faults.arm(Op::Get, 4, Fault::Fail(Cause::Broken));
    let done = vault.cycle().await;
    assert_eq!((done.damaged, done.repaired), (1, 0));
    assert_eq!(vault.cycle().await.repaired, 1);
    vault.check().await;
}

async fn a_repair_that_could_not_be_written_ended_the_pass(on: On) {
    let vault = Vault::new(on).await;
    let contents = [bytes(1), bytes(2), pattern(LARGE), bytes(3)];
    for content in &contents {
        vault.push("a", content).await;
        vault.backend.put(&another_key(content), content.clone()).await.unwrap();
        vault.damage(content, Wrong::Flipped).await;
    }
    // Small ones are put in one go, the large one is staged; and the storage cannot say what copies there are.
    vault.faults.arm(Op::Put, 1, Fault::Fail(Cause::NoSpace));
    vault.faults.arm(Op::Put, 2, Fault::Fail(Cause::Kind(std::io::ErrorKind::TimedOut)));
    vault.faults.arm(Op::Stage, 1, Fault::Fail(Cause::ReadOnly));
    let done = vault.cycle().await;
    assert_eq!((done.blobs, done.damaged, done.repaired), (4, 4, 1));
    vault.faults.fail(Op::List, Cause::Broken);
    let done = vault.cycle().await;
    assert_eq!((done.blobs, done.damaged, done.repaired), (4, 3, 2));
    assert_eq!(vault.cycle().await.repaired, 1);
    assert_eq!(vault.cycle().await.damaged, 0);
    vault.check().await;
}

async fn a_copy_that_cannot_be_read_was_never_repaired(on: On) {
    let vault = Vault::new(on).await;
    let content = bytes(1);
    let digest = vault.push("a", &content).await;
    vault.backend.put(&another_key(&content), content.clone()).await.unwrap();
    vault.faults.fail(Op::Get, Cause::Broken);
    let before = vault.registry.last_sequence();
    let done = vault.cycle().await;
    assert_eq!((done.unreadable, done.repaired), (1, 1));
    let events = ["v1.blob.unreadable", "v1.blob.repaired", "v1.scrub.completed"];
    assert_eq!(vault.events_after(before).await, events);
    assert_eq!(vault.pull("a", &digest).await.unwrap(), content);
    assert_eq!(vault.registry.scrub_state().await.unwrap().troubles, TroubleCounts::default());
    vault.check().await;
}

async fn a_damaged_copy_is_kept_aside_as_long_as_its_content_is(on: On) {
    let vault = Vault::with(on, |options| {
        options.gc.grace = Duration::ZERO;
        options.gc.quarantine = Duration::ZERO;
        options.gc.orphan_grace = Duration::from_hours(1);
    })
    .await;
    let content = bytes(1);
    let digest = vault.push("a", &content).await;
    let manifest = image(&digest, &[]);
    let reference = Reference::Digest(sha256(&manifest));
    let (actor, a) = (Actor::anonymous(), name("a"));
    vault.registry.push_manifest(&a, actor.clone(), &reference, vec![], None, manifest).await.unwrap();
    let damaged = vault.damage(&content, Wrong::Flipped).await;
    vault.cycle().await;
    vault.push("a", &content).await;
    for _ in 0..5 {
        vault.clock.advance(DAY);
        vault.registry.collect().await.unwrap().unwrap();
        assert!(vault.keys().await.contains(&damaged));
    }
    assert_eq!(vault.pull("a", &digest).await.unwrap(), content);
    // When nothing needs the content any more nothing keeps what is left of it.
    vault.registry.delete_manifest(&a, actor, &reference).await.unwrap();
    for _ in 0..8 {
        vault.clock.advance(DAY);
        vault.registry.collect().await.unwrap().unwrap();
    }
    assert_eq!(vault.keys().await, []);
    let row = views::damages::among(&vault.db, &[damaged.as_str()]).await.unwrap();
    assert_eq!(row[0].state, DamageState::Released);
    vault.check().await;
}

/// Pushed, damaged, found so and pushed again: the damaged copy is kept aside.
async fn aside(vault: &Vault, content: &Bytes) -> Key {
    vault.push("a", content).await;
    let damaged = vault.damage(content, Wrong::Flipped).await;
    vault.cycle().await;
    vault.push("a", content).await;
    damaged
}

fn hasty(options: &mut Options) {
    options.gc.grace = Duration::ZERO;
    options.gc.quarantine = Duration::ZERO;
}

async fn what_was_kept_aside_was_not_in_the_record_of_the_purge(on: On) {
    let mut vault = Vault::with(on, hasty).await;
    let content = bytes(1);
    let damaged = aside(&vault, &content).await;
    let current = vault.key_of(&content).await;
    for _ in 0..2 {
        vault.clock.advance(1);
        let plan = vault.registry.collection_plan().await.unwrap();
        assert_eq!((plan.reclaimable().objects, plan.reclaimable().bytes), (2, 2000), "{plan:?}");
        vault.registry.collect().await.unwrap().unwrap();
    }
    // The copy aside cannot be deleted: then the content is not gone.
    vault.clock.advance(1);
    vault.faults.fail(Op::Delete, Cause::Broken);
    let run = vault.registry.collect().await.unwrap().unwrap();
    assert_eq!((run.status, run.done.purged), (RunStatus::Failed, 0));
    assert_eq!(vault.keys().await.len(), 2);
    vault.restart().await;
    vault.clock.advance(1);
    let before = vault.registry.last_sequence();
    let run = vault.registry.collect().await.unwrap().unwrap();
    assert_eq!((run.status, run.done.purged, run.done.purged_bytes), (RunStatus::Completed, 2, 2000));
    assert_eq!(vault.keys().await, []);
    let events = vault.registry.events(before, 10).await.unwrap();
    let Fact::BlobsPurged(purged) = &events[0].fact else { panic!("{events:?}") };
    let keys =
        |copies: &[crate::events::Copy]| copies.iter().map(|copy| copy.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&purged.copies), [current.to_string()]);
    assert_eq!(keys(&purged.aside), [damaged.to_string()]);
    let row = views::damages::among(&vault.db, &[damaged.as_str()]).await.unwrap();
    assert_eq!(row[0].state, DamageState::Released);
    vault.check().await;
}

async fn damage_of_a_copy_that_was_being_deleted_stayed_open_for_ever(on: On) {
    let mut vault = Vault::with(on, |options| {
        hasty(options);
        options.gc.orphan_grace = Duration::ZERO;
    })
    .await;
    let content = bytes(1);
    let digest = vault.push("a", &content).await;
    let old = vault.damage(&content, Wrong::Truncated).await;
    vault.cycle().await;
    for _ in 0..2 {
        vault.clock.advance(1);
        vault.registry.collect().await.unwrap().unwrap();
    }
    // Killed between the intent and the deed; then the content is pushed again.
    vault.clock.advance(1);
    killed_at(Op::Delete, &vault.faults, &vault.registry).await;
    vault.restart().await;
    assert_eq!(vault.push("a", &content).await, digest);
    let manifest = image(&digest, &[]);
    let reference = Reference::Digest(sha256(&manifest));
    let (actor, a) = (Actor::anonymous(), name("a"));
    vault.registry.push_manifest(&a, actor, &reference, vec![], None, manifest).await.unwrap();
    assert_eq!(vault.registry.damaged("", 10).await.unwrap(), []);
    assert_eq!(vault.cycle().await.damaged, 0);
    for _ in 0..3 {
        vault.clock.advance(DAY);
        vault.registry.collect().await.unwrap().unwrap();
    }
    assert!(!vault.keys().await.contains(&old), "nothing keeps it any more");
    assert_eq!(vault.pull("a", &digest).await.unwrap(), content);
    vault.check().await;
}

//! What is damage, and what is not.

use super::*;
use crate::events::{Fact, HoldPlaced};
use crate::retention::{HoldId, HoldKind};

on_both![
    every_kind_of_damage_is_found_named_refused_and_repaired_on_both_engines,
    a_manifest_with_other_bytes_is_found_refused_and_repaired,
    what_cannot_be_read_is_no_damage_and_is_served,
    a_copy_that_is_whole_again_is_served_again,
];

/// The whole story over any storage.
async fn every_kind_of_damage_is_found_named_refused_and_repaired(vault: Vault) {
    let hold = HoldPlaced {
        hold: HoldId::generate(),
        repository: name("a"),
        target: None,
        kind: HoldKind::Legal,
        matter: "case 1".to_owned(),
        reason: "asked to".to_owned(),
    };
    vault.registry.submit(Actor::anonymous(), Record(hold.into())).await.unwrap();
    let whole_one = bytes(0);
    vault.push("a", &whole_one).await;
    let mut damaged = Vec::new();
    for (seed, wrong) in (1..).zip([Wrong::Flipped, Wrong::Truncated, Wrong::Longer, Wrong::Gone]) {
        let content = bytes(seed);
        vault.push("a", &content).await;
        damaged.push((content, Some(wrong)));
    }
    for seed in [11, 12] {
        vault.push("a", &bytes(seed)).await;
        damaged.push((bytes(seed), None));
    }
    let before = vault.registry.last_sequence();
    assert_eq!(vault.cycle().await.damaged, 0);
    assert_eq!(vault.events_after(before).await, ["v1.scrub.completed"]);

    let mut keys = Vec::new();
    for (content, wrong) in &damaged {
        match wrong {
            Some(wrong) => keys.push(vault.damage(content, *wrong).await),
            None => keys.push(vault.key_of(content).await),
        }
    }
    // Two whole objects, each under the name of the other.
    vault.write(&keys[4], bytes(12)).await;
    vault.write(&keys[5], bytes(11)).await;
    let stored = vault.keys().await;
    let before = vault.registry.last_sequence();
    let done = vault.cycle().await;
    assert_eq!((done.blobs, done.damaged, done.unreadable, done.repaired), (7, 6, 0, 0));

    let events = vault.registry.inner.log.after(before, 100).await.unwrap();
    let named: Vec<(String, &str, String)> = events
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::BlobCorrupted(fact) => Some((fact.key.clone(), fact.damage.as_str(), fact.run.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(named.len(), 6, "{events:?}");
    for ((content, wrong), key) in damaged.iter().zip(&keys) {
        let damage = if *wrong == Some(Wrong::Gone) { "missing" } else { "corrupt" };
        assert!(named.contains(&(key.to_string(), damage, done.run.clone())), "{wrong:?}: {named:?}");
        let digest = sha256(content);
        assert!(matches!(vault.pull("a", &digest).await, Err(Error::BlobDamaged { .. })), "{wrong:?}");
    }
    assert_eq!(vault.pull("a", &sha256(&whole_one)).await.unwrap(), whole_one);
    let troubles = vault.registry.scrub_state().await.unwrap().troubles;
    assert_eq!(troubles, TroubleCounts { corrupt: 5, missing: 1, unreadable: 0 });
    assert_eq!(vault.registry.scrub_findings(&done.run, "", 100).await.unwrap().len(), 6);
    assert_eq!(vault.keys().await, stored, "nothing was deleted");

    // Once more, and it is no news.
    let before = vault.registry.last_sequence();
    assert_eq!(vault.cycle().await.damaged, 6);
    assert_eq!(vault.events_after(before).await, ["v1.scrub.completed"]);

    for (content, wrong) in &damaged {
        let before = vault.registry.last_sequence();
        let digest = vault.push("a", content).await;
        assert_eq!(vault.events_after(before).await, ["v1.blob.repaired"], "{wrong:?}");
        assert_eq!(vault.pull("a", &digest).await.unwrap(), *content, "{wrong:?}");
    }
    assert_eq!(vault.registry.scrub_state().await.unwrap().troubles, TroubleCounts::default());
    let done = vault.cycle().await;
    assert_eq!((done.damaged, done.blobs), (0, 7));
    let after = vault.keys().await;
    assert!(stored.iter().all(|key| after.contains(key)), "what was damaged is kept aside");
    vault.check().await;
}

async fn every_kind_of_damage_is_found_named_refused_and_repaired_on_both_engines(on: On) {
    every_kind_of_damage_is_found_named_refused_and_repaired(Vault::new(on).await).await;
}

#[tokio::test]
async fn every_kind_of_damage_is_found_named_refused_and_repaired_on_disk() {
    every_kind_of_damage_is_found_named_refused_and_repaired(Vault::on_disk().await).await;
}

#[tokio::test]
async fn every_kind_of_damage_is_found_named_refused_and_repaired_in_a_bucket() {
    every_kind_of_damage_is_found_named_refused_and_repaired(Vault::in_a_bucket().await).await;
}

async fn a_manifest_with_other_bytes_is_found_refused_and_repaired(on: On) {
    for sql in ["UPDATE manifest_contents SET bytes = CAST('{}' AS", "DELETE FROM manifest_contents"] {
        let mut vault = Vault::new(on).await;
        let config = vault.push("a", &bytes(1)).await;
        let manifest = image(&config, &[]);
        let reference = Reference::Digest(sha256(&manifest));
        let put = async |vault: &Vault| {
            let (actor, bytes) = (Actor::anonymous(), manifest.clone());
            vault.registry.push_manifest(&name("a"), actor, &reference, vec![], None, bytes).await.unwrap();
        };
        put(&vault).await;
        let sql = match (sql.ends_with("AS"), on) {
            (true, On::Sqlite) => "UPDATE manifest_contents SET bytes = CAST('{}' AS BLOB)",
            (true, On::Postgres) => "UPDATE manifest_contents SET bytes = CAST('{}' AS BYTEA)",
            (false, _) => sql,
        };
        let mut tx = vault.db.write().await.unwrap();
        tx.execute(sql, vec![]).await.unwrap();
        tx.commit().await.unwrap();
        // What is in memory is what was pushed.
        vault.restart().await;
        let got = vault.registry.manifest(&name("a"), &reference).await;
        assert!(matches!(got, Err(Error::ManifestLost(_))), "{got:?}");
        let done = vault.cycle().await;
        assert_eq!((done.blobs, done.damaged), (1, 1));
        let found = vault.registry.damaged("", 10).await.unwrap();
        assert_eq!(found[0].backend, DATABASE);
        let before = vault.registry.last_sequence();
        put(&vault).await;
        assert_eq!(vault.events_after(before).await, ["v1.blob.recovered"]);
        assert_eq!(vault.registry.manifest(&name("a"), &reference).await.unwrap().bytes, manifest);
        assert_eq!(vault.registry.damaged("", 10).await.unwrap(), []);
        assert_eq!(vault.cycle().await.damaged, 0);
        vault.check().await;
    }
}

async fn what_cannot_be_read_is_no_damage_and_is_served(on: On) {
    let vault = Vault::new(on).await;
    let digest = vault.push("a", &bytes(1)).await;
    vault.faults.fail(Op::Get, Cause::Broken);
    let before = vault.registry.last_sequence();
    let done = vault.cycle().await;
    assert_eq!((done.damaged, done.unreadable), (0, 1));
    assert_eq!(vault.events_after(before).await, ["v1.blob.unreadable", "v1.scrub.completed"]);
    assert_eq!(vault.pull("a", &digest).await.unwrap(), bytes(1));
    let troubles = vault.registry.scrub_state().await.unwrap().troubles;
    assert_eq!(troubles, TroubleCounts { corrupt: 0, missing: 0, unreadable: 1 });
    let before = vault.registry.last_sequence();
    assert_eq!(vault.cycle().await.recovered, 1);
    assert_eq!(vault.events_after(before).await, ["v1.blob.recovered", "v1.scrub.completed"]);
    // A body that breaks off in the middle, and one that was read wrongly once.
    vault.faults.arm(Op::Get, 1, broken_off(Cause::Broken));
    assert_eq!(vault.cycle().await.unreadable, 1);
    assert_eq!(vault.cycle().await.recovered, 1);
    let silent = Ending::Silent;
    vault.faults.arm(Op::Get, 1, Fault::Shorten { keep: 10, ending: silent });
    let done = vault.cycle().await;
    assert_eq!((done.damaged, done.unreadable), (0, 1));
    vault.check().await;
}

fn broken_off(cause: Cause) -> Fault {
    Fault::Shorten { keep: 10, ending: Ending::Error(cause) }
}

async fn a_copy_that_is_whole_again_is_served_again(on: On) {
    let vault = Vault::new(on).await;
    let digest = vault.push("a", &bytes(1)).await;
    let key = vault.damage(&bytes(1), Wrong::Gone).await;
    assert_eq!(vault.cycle().await.damaged, 1);
    // It comes back with other bytes, and then, out of a backup, with its own.
    vault.write(&key, bytes(2)).await;
    let before = vault.registry.last_sequence();
    assert_eq!(vault.cycle().await.damaged, 1);
    assert_eq!(vault.events_after(before).await, ["v1.blob.corrupted", "v1.scrub.completed"]);
    assert!(vault.pull("a", &digest).await.is_err());
    vault.write(&key, bytes(1)).await;
    let before = vault.registry.last_sequence();
    let done = vault.cycle().await;
    assert_eq!((done.damaged, done.recovered), (0, 1));
    assert_eq!(vault.events_after(before).await, ["v1.blob.recovered", "v1.scrub.completed"]);
    assert_eq!(vault.pull("a", &digest).await.unwrap(), bytes(1));
    vault.check().await;
}

#[tokio::test]
async fn in_another_storage_everything_seemed_to_be_missing() {
    let vault = Vault::new(On::Sqlite).await;
    let digest = vault.push("a", &bytes(1)).await;
    let elsewhere = DataPlane::new(Arc::new(Memory::with_clock(vault.clock.clock())));
    let (options, clock) = (vault.options.clone(), vault.clock.clock());
    let registry = Registry::open_as(vault.db.clone(), elsewhere, clock, options, false).await.unwrap();
    let before = registry.last_sequence();
    let run = registry.scrub().await.unwrap().unwrap();
    assert_eq!((run.status, run.done.damaged), (ScrubStatus::Paused, 0));
    assert!(run.failure.unwrap().contains("the storage that is set is"));
    assert_eq!(registry.last_sequence(), before);
    assert_eq!(vault.pull("a", &digest).await.unwrap(), bytes(1));
    assert_eq!(vault.cycle().await.damaged, 0);
}

#[tokio::test]
async fn a_storage_that_is_away_ends_a_pass_and_is_no_finding() {
    let clock = ManualClock::at(Clock::system().now());
    let bucket = Unreadable::new(clock.clock());
    let vault = Vault::over(On::Sqlite, clock, Arc::new(bucket.clone()), None, |_| ()).await;
    vault.push("a", &bytes(1)).await;
    bucket.set_away(true);
    let run = vault.scrub().await;
    assert_eq!(run.status, ScrubStatus::Paused);
    assert!(run.failure.unwrap().contains("not available"));
    assert!(vault.registry.scrub_state().await.unwrap().current.unwrap().failure.is_some());
    bucket.set_away(false);
    let done = vault.cycle().await;
    assert_eq!((&done.run, done.blobs, done.damaged, done.unreadable), (&run.done.run, 1, 0, 0));
}

#[tokio::test]
async fn a_storage_of_which_nothing_can_be_read_ends_a_pass() {
    let vault = Vault::new(On::Sqlite).await;
    for seed in 0..102 {
        vault.push("a", &bytes(seed)).await;
    }
    for nth in 1..=101 {
        vault.faults.arm(Op::Get, nth, Fault::Fail(Cause::Broken));
    }
    let run = vault.scrub().await;
    assert_eq!((run.status, run.done.unreadable, run.done.blobs), (ScrubStatus::Paused, 100, 100));
    assert!(run.failure.unwrap().contains("100 objects in a row"));
    let done = vault.cycle().await;
    assert_eq!((done.blobs, done.unreadable), (102, 100));
}

//! The way out of a blob.

use super::*;
use crate::views::blobs::State;

on_both![
    a_blob_that_nothing_names_leaves_step_by_step,
    a_push_at_any_step_saves_the_blob,
    a_push_while_the_object_is_deleted_stores_its_own,
    a_blob_of_two_repositories_stays_while_one_has_it,
    a_plan_says_what_runs_do_and_changes_nothing,
    many_blobs_leave_in_batches,
    a_run_and_what_it_did_can_be_asked_for,
    a_blob_whose_copy_was_lost_in_quarantine_is_repaired_by_a_push,
];

async fn a_blob_that_nothing_names_leaves_step_by_step(on: On) {
    let shop = Shop::new(on).await;
    let blob = shop.push("a", "garbage").await;
    assert_eq!(counts(&shop.after(DAY).await), (0, 0, 0, 0));
    assert!(shop.has("a", &blob).await);
    assert_eq!(counts(&shop.after(1).await), (1, 0, 0, 0));
    assert!(matches!(shop.pull("a", &blob).await, Err(Error::BlobUnknown(_))));
    assert_eq!(counts(&shop.after(DAY).await), (0, 0, 0, 0));
    assert_eq!(counts(&shop.after(1).await), (0, 1, 0, 0));
    assert_eq!(shop.state_of(&blob).await, Some(State::Condemned));
    assert_eq!(counts(&shop.after(HOUR).await), (0, 0, 0, 0));
    assert_eq!(shop.objects().await.len(), 1);
    let run = shop.after(1).await;
    assert_eq!((counts(&run), run.done.purged_bytes), ((0, 0, 1, 0), 7));
    assert_eq!(shop.state_of(&blob).await, Some(State::Purged));
    assert_eq!(shop.objects().await, []);
    assert_eq!(shop.plan().await, CollectionPlan::default());
    shop.check().await;
}

async fn a_push_at_any_step_saves_the_blob(on: On) {
    let shop = Shop::new(on).await;
    let manifest = config_only(&sha256(b"wanted"));
    for steps in 0..=3 {
        let repository = format!("r{steps}");
        let blob = shop.push(&repository, "wanted").await;
        for time in [DAY, DAY, HOUR].into_iter().take(steps) {
            shop.after(time + 1).await;
        }
        let state = [State::Live, State::Live, State::Condemned, State::Purged][steps];
        assert_eq!(shop.state_of(&blob).await, Some(state));
        shop.push(&repository, "wanted").await;
        assert_eq!(shop.state_of(&blob).await, Some(State::Live));
        let manifest = shop.put(&repository, &manifest).await.unwrap();
        for _ in 0..4 {
            shop.after(DAY + 1).await;
        }
        assert_eq!(shop.pull(&repository, &blob).await.unwrap(), b"wanted");
        assert_eq!(shop.objects().await.len(), 1, "one copy");
        shop.check().await;
        shop.remove(&repository, manifest).await;
        for _ in 0..4 {
            shop.after(DAY + 1).await;
        }
        assert_eq!(shop.objects().await, []);
    }
}

async fn a_push_while_the_object_is_deleted_stores_its_own(on: On) {
    let shop = Shop::new(on).await;
    let blob = shop.push("a", "wanted").await;
    shop.after(DAY + 1).await;
    shop.after(DAY + 1).await;
    shop.clock.advance(HOUR + 1);
    let old = shop.objects().await.remove(0).key;
    let hold = shop.faults.hold(Op::Delete);
    let registry = shop.registry.clone();
    let run = tokio::spawn(async move { registry.collect().await });
    hold.reached().await;
    assert_eq!(shop.state_of(&blob).await, Some(State::Deleting));
    shop.push("a", "wanted").await;
    hold.release();
    let run = run.await.unwrap().unwrap().unwrap();
    assert_eq!(counts(&run), (0, 0, 1, 0));
    assert_eq!(shop.pull("a", &blob).await.unwrap(), b"wanted");
    assert_eq!(shop.state_of(&blob).await, Some(State::Live), "another copy was purged");
    let left = shop.objects().await;
    assert_eq!(left.len(), 1);
    assert_ne!(left[0].key, old);
    shop.check().await;
}

async fn a_blob_of_two_repositories_stays_while_one_has_it(on: On) {
    let shop = Shop::hasty(on).await;
    let blob = shop.push("a", "shared").await;
    let mounted = shop.registry.mount_blob(&name("b"), Actor::anonymous(), &blob, Some(&name("a"))).await;
    assert!(mounted.unwrap().is_some());
    shop.put("b", &config_only(&blob)).await.unwrap();
    for _ in 0..4 {
        shop.after(1).await;
    }
    assert!(!shop.has("a", &blob).await);
    assert_eq!(shop.pull("b", &blob).await.unwrap(), b"shared");
    shop.check().await;
}

async fn a_plan_says_what_runs_do_and_changes_nothing(on: On) {
    let shop = Shop::new(on).await;
    let of = |objects, bytes| Tally { objects, bytes };
    shop.push("a", "twice").await;
    shop.push("b", "twice").await;
    shop.push("a", "once").await;
    let used = shop.push("a", "used").await;
    shop.put("a", &config_only(&used)).await.unwrap();
    shop.push("b", "used").await;
    assert_eq!(shop.plan().await, CollectionPlan::default(), "nothing is due");
    shop.clock.advance(DAY + 1);
    shop.push("c", "young").await;
    shop.push("c", "once").await;
    let state = || async {
        let mut tx = shop.db.snapshot().await.unwrap();
        events::digest(&mut tx, &views::projections()).await.unwrap()
    };
    let before = state().await;
    let plan = shop.plan().await;
    assert_eq!(plan, CollectionPlan { links: 4, unused: of(1, 5), ..CollectionPlan::default() });
    assert_eq!(counts(&shop.run().await), (plan.links, 0, 0, 0));
    assert_ne!(state().await, before);
    let before = state().await;
    assert_eq!(shop.plan().await, CollectionPlan { waiting: of(1, 5), ..CollectionPlan::default() });
    shop.clock.advance(DAY + 1);
    // By now nothing named the newer ones for a day either.
    let plan = shop.plan().await;
    let expected =
        CollectionPlan { links: 2, unused: of(2, 9), unlinked: of(1, 5), ..CollectionPlan::default() };
    assert_eq!((plan, plan.reclaimable()), (expected, of(3, 14)));
    assert_eq!(state().await, before);
    assert_eq!(counts(&shop.run().await), (2, 1, 0, 0));
    shop.clock.advance(HOUR + 1);
    let plan = shop.plan().await;
    assert_eq!((plan.condemned, plan.waiting), (of(1, 5), of(2, 9)));
    shop.faults.fail(Op::Delete, Cause::Broken);
    assert_eq!(counts(&shop.run().await), (0, 0, 0, 0));
    assert_eq!(shop.plan().await.deleting, of(1, 5));
    assert_eq!(counts(&shop.run().await), (0, 0, 1, 0));
    shop.check().await;
}

async fn many_blobs_leave_in_batches(on: On) {
    let shop = Shop::hasty(on).await;
    let count = 1201;
    for n in 0..count {
        shop.push(["a", "b", "c"][n % 3], &format!("blob {n}")).await;
    }
    let mut done = (0, 0, 0);
    for _ in 0..3 {
        let run = shop.after(1).await;
        done = (done.0 + run.done.released, done.1 + run.done.condemned, done.2 + run.done.purged);
    }
    assert_eq!(done, (1201, 1201, 1201));
    assert_eq!(shop.objects().await, []);
    shop.check().await;
}

async fn a_run_and_what_it_did_can_be_asked_for(on: On) {
    let shop = Shop::hasty(on).await;
    shop.push("a", "garbage").await;
    let first = shop.after(1).await;
    let second = shop.after(1).await;
    let registry = &shop.registry;
    assert_eq!(registry.gc_runs(None, 10).await.unwrap(), [second.clone(), first.clone()]);
    assert_eq!(registry.gc_runs(Some(&second.done.run), 10).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(registry.gc_run(&first.done.run).await.unwrap(), first);
    let types = |events: Vec<Event>| events.iter().map(|event| event.fact.type_name()).collect::<Vec<_>>();
    let events = registry.gc_run_events(&first.done.run, 0, 10).await.unwrap();
    let payloads = events.iter().map(|event| event.payload().len()).sum();
    assert_eq!(registry.gc_run_events_size(&first.done.run, 0, 10).await.unwrap(), (events.len(), payloads));
    assert_eq!(types(events), ["v1.blob.released"]);
    let events = registry.gc_run_events(&second.done.run, 0, 10).await.unwrap();
    assert_eq!(types(events), ["v1.blob.condemned"]);
    for unknown in ["gc_01arz3ndektsv4rrffq69g5fav", "gc_", "garbage", ""] {
        let found = registry.gc_run(unknown).await;
        assert!(matches!(found, Err(Error::RunUnknown(_))), "{found:?}");
    }
}

async fn a_blob_whose_copy_was_lost_in_quarantine_is_repaired_by_a_push(on: On) {
    let shop = Shop::new(on).await;
    let blob = shop.push("a", "wanted").await;
    shop.after(DAY + 1).await;
    shop.after(DAY + 1).await;
    assert_eq!(shop.state_of(&blob).await, Some(State::Condemned));
    let key = shop.objects().await.remove(0).key;
    shop.backend.delete(&key, None).await.unwrap();
    shop.push("a", "wanted").await;
    assert_eq!(shop.state_of(&blob).await, Some(State::Live));
    assert_eq!(shop.pull("a", &blob).await.unwrap(), b"wanted");
    shop.check().await;
}

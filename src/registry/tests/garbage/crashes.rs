//! Runs that end somewhere.

use super::*;
use crate::views::blobs::State;

on_both![
    a_run_that_was_killed_anywhere_is_gone_on_with,
    a_run_whose_answers_got_lost_repeats_nothing_twice,
    a_storage_that_fails_ends_the_run_and_is_said,
    one_object_that_cannot_be_deleted_does_not_keep_the_others,
    one_replica_collects_at_a_time,
    a_run_that_did_nothing_yet_was_in_no_list,
    a_killed_run_is_known_as_interrupted,
    a_clock_that_was_ahead_for_a_moment_stopped_every_run,
    what_was_intended_before_the_clock_froze_was_deleted_all_the_same,
    a_storage_that_is_not_ours_made_everything_purged,
    a_run_that_is_not_due_or_finds_nothing_leaves_no_trace,
];

async fn a_run_that_was_killed_anywhere_is_gone_on_with(on: On) {
    let mut shop = Shop::hasty(on).await;
    let kept = shop.push("a", "kept").await;
    shop.put("a", &config_only(&kept)).await.unwrap();
    let step = if on == On::Sqlite { 2 } else { 15 };
    let mut garbage = 0;
    for polls in (0..60).step_by(step) {
        garbage += 3;
        for n in 0..3 {
            shop.push("a", &format!("garbage {polls} {n}")).await;
        }
        for _ in 0..3 {
            shop.clock.advance(1);
            let registry = shop.registry.clone();
            killed_after(polls, registry.collect()).await;
            drop(registry);
            shop.restart().await;
            assert!(shop.has("a", &kept).await);
        }
    }
    for _ in 0..4 {
        shop.after(1).await;
    }
    assert_eq!(shop.objects().await.len(), 1);
    let purged = shop.db.query("SELECT COUNT(*) FROM blobs WHERE state = 'purged'", vec![]).await.unwrap();
    assert_eq!(purged[0].integer(0), garbage);
    assert_eq!(purged_in_events(&shop).await, garbage, "each once");
    shop.check().await;
}

async fn purged_in_events(shop: &Shop) -> i64 {
    let (mut after, mut told) = (0, 0);
    loop {
        let events = shop.registry.events(after, 1000).await.unwrap();
        let Some(last) = events.last() else { return told };
        after = last.sequence;
        for event in events {
            if let Fact::BlobsPurged(fact) = event.fact {
                told += i64::try_from(fact.copies.len()).unwrap();
            }
        }
    }
}

async fn a_run_whose_answers_got_lost_repeats_nothing_twice(on: On) {
    let shop = Shop::hasty(on).await;
    let blob = shop.push("a", "garbage").await;
    shop.after(1).await;
    shop.after(1).await;
    shop.faults.lose_response(Op::Delete, Cause::Kind(std::io::ErrorKind::TimedOut));
    let run = shop.after(1).await;
    assert_eq!((counts(&run), run.status), ((0, 0, 0, 0), RunStatus::Failed));
    assert_eq!(shop.state_of(&blob).await, Some(State::Deleting));
    assert_eq!(shop.objects().await, []);
    assert_eq!(counts(&shop.after(1).await), (0, 0, 1, 0));
    assert_eq!(purged_in_events(&shop).await, 1);
    shop.check().await;
}

async fn a_storage_that_fails_ends_the_run_and_is_said(on: On) {
    let shop = Shop::hasty(on).await;
    shop.push("a", "garbage").await;
    shop.faults.fail(Op::List, Cause::Broken);
    let run = shop.after(1).await;
    assert_eq!((counts(&run), run.status), ((1, 0, 0, 0), RunStatus::Failed));
    let failure = run.done.failure.clone().unwrap();
    assert!(failure.starts_with("stored bytes cannot be used: "), "{failure}");
    assert_eq!(shop.registry.gc_run(&run.done.run).await.unwrap(), run);
    assert_eq!(shop.after(1).await.status, RunStatus::Completed);
}

async fn one_object_that_cannot_be_deleted_does_not_keep_the_others(on: On) {
    let shop = Shop::hasty(on).await;
    for n in 0..20 {
        shop.push("a", &format!("garbage {n}")).await;
    }
    shop.after(1).await;
    shop.after(1).await;
    shop.faults.fail(Op::Delete, Cause::Broken);
    let run = shop.after(1).await;
    assert_eq!(counts(&run), (0, 0, 19, 0));
    assert!(run.done.failure.unwrap().starts_with("1 objects could not be deleted: "));
    assert_eq!(counts(&shop.after(1).await), (0, 0, 1, 0));
    assert_eq!(shop.objects().await, []);
}

async fn one_replica_collects_at_a_time(on: On) {
    let shop = Shop::hasty(on).await;
    shop.push("a", "garbage").await;
    let hold = shop.faults.hold(Op::List);
    let registry = shop.registry.clone();
    let first = tokio::spawn(async move { registry.collect().await });
    hold.reached().await;
    assert_eq!(shop.registry.collect().await.unwrap(), None);
    assert_eq!(shop.registry.collect_if_due().await.unwrap(), None);
    let told = shop.registry.collect_in_background(Actor::anonymous(), Duration::from_mins(1)).await;
    assert!(matches!(told, Err(Error::CollectionRunning)), "{told:?}");
    // The first stands still for so long that it counts as dead.
    shop.clock.advance(maintenance::LEASE + 1);
    let second = shop.registry.collect().await.unwrap();
    assert!(second.is_some());
    hold.release();
    let first = first.await.unwrap().unwrap().unwrap();
    assert_eq!(first.status, RunStatus::Completed);
    shop.check().await;
}

async fn a_run_that_did_nothing_yet_was_in_no_list(on: On) {
    let shop = Shop::hasty(on).await;
    let hold = shop.faults.hold(Op::List);
    let registry = shop.registry.clone();
    let run = tokio::spawn(async move { registry.collect().await });
    hold.reached().await;
    let listed = shop.registry.gc_runs(None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|run| run.status).collect::<Vec<_>>(), [RunStatus::Running]);
    assert_eq!(shop.registry.gc_run(&listed[0].done.run).await.unwrap(), listed[0]);
    hold.release();
    let run = run.await.unwrap().unwrap().unwrap();
    assert_eq!(run.done.run, listed[0].done.run);
    assert_eq!(
        shop.registry.gc_runs(None, 10).await.unwrap(),
        [run],
        "and it says when it ended as the record does"
    );
}

async fn a_killed_run_is_known_as_interrupted(on: On) {
    let mut shop = Shop::hasty(on).await;
    shop.push("a", "garbage").await;
    shop.clock.advance(1);
    let hold = shop.faults.hold(Op::List);
    let registry = shop.registry.clone();
    let run = tokio::spawn(async move { registry.collect().await });
    hold.reached().await;
    let events = shop.registry.events(0, 100).await.unwrap();
    let id = events.iter().find_map(|event| match &event.fact {
        Fact::BlobsReleased(fact) => Some(fact.run.clone()),
        _ => None,
    });
    let id = id.unwrap();
    assert_eq!(shop.registry.gc_run(&id).await.unwrap().status, RunStatus::Running);
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    shop.restart().await;
    let run = shop.registry.gc_run(&id).await.unwrap();
    assert_eq!((run.status, run.finished_at), (RunStatus::Interrupted, None));
    assert_eq!((run.done.released, run.done.condemned), (1, 0));
    assert_eq!(shop.registry.gc_run_events(&id, 0, 10).await.unwrap().len(), 1);
    assert_eq!(shop.registry.gc_runs(None, 10).await.unwrap(), [run]);
    shop.check().await;
}

async fn a_clock_that_was_ahead_for_a_moment_stopped_every_run(on: On) {
    let shop = Shop::new(on).await;
    shop.clock.jump(365 * DAY);
    assert!(shop.registry.collect_if_due().await.unwrap().is_some());
    assert!(shop.registry.scrub_if_due().await.unwrap().is_some());
    shop.clock.jump(-365 * DAY);
    assert!(shop.registry.collect_if_due().await.unwrap().is_some());
    assert!(shop.registry.scrub_if_due().await.unwrap().is_some());
    assert!(shop.registry.collect_if_due().await.unwrap().is_none(), "one was just now");
    // The same of a lease whose holder died in that time.
    shop.clock.jump(365 * DAY);
    killed_at(Op::List, &shop.faults, &shop.registry).await;
    assert!(shop.registry.collect().await.unwrap().is_none(), "it may still be at it");
    shop.clock.jump(-365 * DAY);
    assert!(shop.registry.collect().await.unwrap().is_some());
}

async fn what_was_intended_before_the_clock_froze_was_deleted_all_the_same(on: On) {
    let mut shop = Shop::hasty(on).await;
    // The clock begins with the first retention.
    let config = shop.push("kept", "{}").await;
    let mut manifest: serde_json::Value = serde_json::from_slice(&config_only(&config)).unwrap();
    manifest["annotations"] = serde_json::json!({ "dev.artifactstore.retention.class": "transient" });
    shop.put("kept", &manifest.to_string().into()).await.unwrap();
    shop.push("a", "garbage").await;
    shop.after(1).await;
    shop.after(1).await;
    shop.clock.advance(1);
    killed_at(Op::Delete, &shop.faults, &shop.registry).await;
    shop.restart().await;
    shop.clock.jump(300 * DAY);
    let objects = shop.objects().await.len();
    assert_eq!(shop.run().await.done.purged, 0);
    assert_eq!(shop.objects().await.len(), objects);
    shop.registry.resynchronise_clock(Actor::user("ada"), "it was looked at").await.unwrap();
    assert_eq!(shop.run().await.done.purged, 1);
    shop.check().await;
}

async fn a_storage_that_is_not_ours_made_everything_purged(on: On) {
    let mut shop = Shop::hasty(on).await;
    shop.registry.bind().await.unwrap();
    let blob = shop.push("a", "garbage").await;
    shop.after(1).await;
    shop.after(1).await;
    // The bucket of another name, or a folder that is not mounted.
    let other = Faulty::new(Arc::new(Memory::with_clock(shop.clock.clock())));
    shop.db.close().await;
    (shop.db, shop.registry) = Shop::open(&shop.place, &shop.clock, &other, &shop.options).await;
    let run = shop.after(1).await;
    assert_eq!((run.status, run.done.purged), (RunStatus::Failed, 0), "{run:?}");
    assert_eq!(shop.state_of(&blob).await, Some(State::Deleting));
}

async fn a_run_that_is_not_due_or_finds_nothing_leaves_no_trace(on: On) {
    let shop = Shop::new(on).await;
    let due = async || shop.registry.collect_if_due().await.unwrap();
    assert!(due().await.is_some(), "none was before");
    assert!(due().await.is_none());
    shop.clock.advance(HOUR);
    let idle = due().await.unwrap();
    assert_eq!(shop.registry.last_sequence(), 0);
    assert_eq!(shop.registry.gc_runs(None, 10).await.unwrap(), []);
    assert!(matches!(shop.registry.gc_run(&idle.done.run).await, Err(Error::RunUnknown(_))));
    shop.push("a", "garbage").await;
    shop.clock.advance(DAY + 1);
    assert_eq!(counts(&due().await.unwrap()), (1, 0, 0, 0));
    assert_eq!(shop.registry.gc_runs(None, 10).await.unwrap().len(), 1);
}

//! How far a pass goes, and where the next one goes on.

use super::*;

on_both![
    a_pass_ends_at_its_budget_and_the_next_one_goes_on,
    a_pass_is_due_by_the_clock_and_a_cycle_by_its_own,
    a_killed_pass_goes_on_from_where_it_was_noted,
    one_pass_at_a_time,
];

fn counts(run: &ScrubRun) -> (ScrubStatus, u64, u64) {
    (run.status, run.done.blobs, run.done.bytes)
}

async fn a_pass_ends_at_its_budget_and_the_next_one_goes_on(on: On) {
    let mut vault = Vault::with(on, |options| options.scrub.pass = 2500).await;
    for seed in 0..5 {
        vault.push("a", &bytes(seed)).await;
    }
    let before = vault.registry.last_sequence();
    let first = vault.scrub().await;
    assert_eq!(counts(&first), (ScrubStatus::Paused, 3, 3000));
    assert_eq!(vault.registry.scrub_run(&first.done.run).await.unwrap(), first);
    assert_eq!(vault.registry.last_sequence(), before, "a cycle is recorded at its end");
    vault.restart().await;
    let second = vault.scrub().await;
    assert_eq!(counts(&second), (ScrubStatus::Completed, 5, 5000));
    assert_eq!((&second.done.run, second.done.started_at), (&first.done.run, first.done.started_at));
    assert_eq!(vault.events_after(before).await, ["v1.scrub.completed"]);
    assert_eq!(vault.registry.scrub_run(&first.done.run).await.unwrap(), second);
    let state = vault.registry.scrub_state().await.unwrap();
    assert_eq!((state.current, state.last), (None, Some(second.clone())));
    assert_eq!(vault.registry.scrub_runs(None, 10).await.unwrap(), [second]);
    for unknown in ["scrub_01arz3ndektsv4rrffq69g5fav", "scrub_", "gc_01arz3ndektsv4rrffq69g5fav", ""] {
        assert!(matches!(vault.registry.scrub_run(unknown).await, Err(Error::ScrubUnknown(_))), "{unknown}");
    }
    vault.check().await;
}

async fn a_pass_is_due_by_the_clock_and_a_cycle_by_its_own(on: On) {
    let vault = Vault::with(on, |options| options.scrub.pass = 1000).await;
    let due = async || vault.registry.scrub_if_due().await.unwrap().map(|run| counts(&run));
    let sequence = vault.registry.last_sequence();
    assert_eq!(due().await, Some((ScrubStatus::Completed, 0, 0)));
    assert_eq!(vault.registry.last_sequence(), sequence, "where nothing is stored there is nothing to say");
    vault.push("a", &bytes(1)).await;
    vault.push("a", &bytes(2)).await;
    assert_eq!(due().await, None);
    vault.clock.advance(HOUR);
    assert_eq!(due().await, Some((ScrubStatus::Paused, 1, 1000)));
    assert_eq!(due().await, None);
    vault.clock.advance(HOUR);
    assert_eq!(due().await, Some((ScrubStatus::Completed, 2, 2000)));
    for _ in 0..3 {
        vault.clock.advance(DAY);
        assert_eq!(due().await, None);
    }
    vault.clock.advance(27 * DAY);
    assert_eq!(due().await, Some((ScrubStatus::Paused, 1, 1000)));
}

async fn a_killed_pass_goes_on_from_where_it_was_noted(on: On) {
    let mut vault = Vault::new(on).await;
    for seed in 0..70 {
        vault.push("a", &bytes(seed)).await;
    }
    // The last of those that are noted together, and one that is not.
    for (at, killed) in [(67, 64), (3, 64)] {
        let hold = Hold::new();
        vault.faults.arm(Op::Get, at, Fault::Wait(hold.clone()));
        let registry = vault.registry.clone();
        let pass = tokio::spawn(async move { registry.scrub().await });
        hold.reached().await;
        pass.abort();
        assert!(pass.await.unwrap_err().is_cancelled());
        vault.restart().await;
        let current = vault.registry.scrub_state().await.unwrap().current.unwrap();
        assert_eq!(counts(&current), (ScrubStatus::Paused, killed, killed * 1000));
    }
    let read = vault.faults.calls(Op::Get);
    let run = vault.scrub().await;
    assert_eq!(counts(&run), (ScrubStatus::Completed, 70, 70_000));
    assert_eq!(vault.faults.calls(Op::Get) - read, 6);
    vault.check().await;
}

async fn one_pass_at_a_time(on: On) {
    let vault = Vault::new(on).await;
    vault.push("a", &bytes(1)).await;
    let hold = vault.faults.hold(Op::Get);
    let registry = vault.registry.clone();
    let pass = tokio::spawn(async move { registry.scrub().await });
    hold.reached().await;
    assert_eq!(vault.registry.scrub().await.unwrap(), None);
    assert_eq!(vault.registry.scrub_if_due().await.unwrap(), None);
    let refused = vault.registry.scrub_in_background(Actor::anonymous(), Duration::from_secs(9)).await;
    assert!(matches!(refused, Err(Error::ScrubRunning)), "{refused:?}");
    let current = vault.registry.scrub_state().await.unwrap().current.unwrap();
    assert_eq!(current.status, ScrubStatus::Running);
    // It stands still for so long that another replica takes over.
    vault.clock.advance(HOUR);
    let other = vault.scrub().await;
    assert_eq!(other.status, ScrubStatus::Completed);
    assert_eq!(other.done.run, current.done.run);
    hold.release();
    let taken = pass.await.unwrap();
    assert!(matches!(taken, Err(Error::ScrubTaken)), "{taken:?}");
    assert_eq!(vault.registry.scrub_runs(None, 10).await.unwrap().len(), 1);
    assert_eq!(vault.registry.scrub_state().await.unwrap().current, None);
    vault.check().await;
}

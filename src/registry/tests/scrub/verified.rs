//! When content was verified last.

use super::*;

on_both![a_cycle_verifies_what_was_there_when_it_began, what_is_in_doubt_was_verified_before_that];

async fn a_cycle_verifies_what_was_there_when_it_began(on: On) {
    let vault = Vault::with(on, |options| options.scrub.pass = 1000).await;
    let contents: Vec<Digest> = (0..3).map(|seed| sha256(&bytes(seed))).collect();
    for seed in 0..2 {
        vault.push("a", &bytes(seed)).await;
    }
    let run_of = async |digest: &Digest| vault.registry.verified(digest).await.unwrap().map(|it| it.run);
    let first = vault.scrub().await.done.run;
    assert_eq!(run_of(&contents[0]).await, None, "the cycle has not ended");
    vault.push("a", &bytes(2)).await;
    while vault.scrub().await.status != ScrubStatus::Completed {}
    for old in &contents[..2] {
        assert_eq!(run_of(old).await.as_ref(), Some(&first));
    }
    let verified = vault.registry.verified(&contents[0]).await.unwrap().unwrap();
    assert!(verified.started_at <= verified.finished_at);
    assert_eq!(run_of(&contents[2]).await, None, "stored since the cycle began");
    assert_eq!(run_of(&sha256(b"of nobody")).await, None);
    while vault.scrub().await.status != ScrubStatus::Completed {}
    assert!(run_of(&contents[2]).await.is_some_and(|run| run > first));
}

async fn what_is_in_doubt_was_verified_before_that(on: On) {
    let vault = Vault::new(on).await;
    let digest = vault.push("a", &bytes(1)).await;
    let run_of = async || vault.registry.verified(&digest).await.unwrap().map(|it| it.run);
    let mut runs = Vec::new();
    for is_readable in [true, false, false, true] {
        vault.clock.advance(SECOND);
        if !is_readable {
            vault.faults.fail(Op::Get, Cause::Broken);
        }
        runs.push(vault.cycle().await.run);
        let expected = if is_readable { runs.last() } else { runs.first() };
        assert_eq!(run_of().await.as_ref(), expected);
    }
    // Repaired, it waits for the next cycle; damaged, it keeps the last one.
    vault.damage(&bytes(1), Wrong::Flipped).await;
    vault.clock.advance(SECOND);
    vault.cycle().await;
    assert_eq!(run_of().await.as_ref(), runs.last());
    vault.push("a", &bytes(1)).await;
    assert_eq!(run_of().await, None);
    vault.clock.advance(SECOND);
    let last = vault.cycle().await.run;
    assert_eq!(run_of().await, Some(last));
}

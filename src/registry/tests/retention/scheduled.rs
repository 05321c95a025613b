//! Disposal by schedule: the same steps, taken by the registry.

use super::*;
use crate::retention::{Class, Classes, Mode, Policy, Start};

on_both![
    what_needs_nobody_leaves_by_itself,
    a_class_with_approvals_waits_for_them,
    a_hold_placed_between_eligibility_and_execution_wins,
    what_people_began_or_rejected_is_left_to_them,
    nothing_is_disposed_of_while_the_clock_is_frozen,
    a_run_is_bounded_and_the_next_one_goes_on,
    it_is_off_unless_it_is_switched_on,
];

impl Bench {
    /// With a class that cools off and needs no approval.
    async fn scheduling(on: On) -> Self {
        let class = Class {
            name: "quick".to_owned(),
            mode: Mode::Governance,
            period: Some("P7D".parse().unwrap()),
            start: Start::Finalized,
            auto_dispose_after: Some("P1D".parse().unwrap()),
            approvals: 0,
            cooling_off: 24 * 60 * 60,
        };
        let classes = Classes::default().with(vec![class], "quick").unwrap();
        let retention = Policy::new(classes, Vec::new()).unwrap();
        let disposal = DisposalOptions { enabled: true, ..DisposalOptions::default() };
        Self::with(on, Options { disposal, retention, ..Options::default() }).await
    }

    async fn go_on(&self) -> DisposalRun {
        self.registry.dispose_by_schedule().await.unwrap().unwrap()
    }

    /// What a run would do, as words.
    async fn foretold(&self) -> Vec<String> {
        let plan = self.registry.disposal_plan(100).await.unwrap();
        let word = |it: Scheduled| match it.step {
            ScheduledStep::Propose => "propose".to_owned(),
            ScheduledStep::Execute(_) => "execute".to_owned(),
            ScheduledStep::Wait(why) => why,
        };
        plan.into_iter().map(word).collect()
    }

    async fn only_disposition(&self, status: DispositionStatus) -> Disposition {
        let found = self.registry.dispositions(&name("a"), Some(status), "", 10).await.unwrap();
        let [only] = found.as_slice() else { panic!("{status:?}: {found:?}") };
        only.clone()
    }
}

const NOTHING: DisposalRun = DisposalRun { looked: 0, proposed: 0, executed: 0 };

async fn what_needs_nobody_leaves_by_itself(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("transient", b"one", "v1").await;
    bench.package("summary-evidence", b"two", "v2").await;
    bench.clock.advance(8 * DAY - SECOND);
    assert_eq!(bench.go_on().await, NOTHING, "over for a day less a second");
    bench.clock.advance(SECOND);
    let before = bench.state().await;
    assert_eq!(bench.foretold().await, ["propose"]);
    assert_eq!(bench.state().await, before, "a dry run changes nothing");
    assert_eq!(bench.go_on().await, DisposalRun { looked: 1, proposed: 1, executed: 1 });
    assert_eq!(bench.registry.package(&id).await.unwrap().status, Status::Deleted);
    let disposition = bench.only_disposition(DispositionStatus::Executed).await;
    assert_eq!(
        (disposition.proposed_by.as_str(), disposition.end.unwrap().by.as_str()),
        ("system", "system")
    );
    let reference = bench.registry.package(&id).await.unwrap().reference.unwrap();
    let gone = bench.registry.manifest(&name("a"), &Reference::Digest(reference)).await;
    assert!(matches!(gone, Err(Error::Disposed { .. })), "{gone:?}");
    // A class that does not say so stays, however long it is over.
    bench.clock.advance(4000 * DAY);
    assert_eq!(bench.go_on().await, NOTHING);
    bench.check().await;
}

async fn a_class_with_approvals_waits_for_them(on: On) {
    let bench = Bench::new(on).await;
    bench.package("raw-evidence", b"one", "v1").await;
    bench.clock.advance(187 * DAY);
    assert_eq!(bench.go_on().await, DisposalRun { looked: 1, proposed: 1, executed: 0 });
    let proposed = bench.only_disposition(DispositionStatus::Proposed).await;
    assert_eq!(bench.go_on().await, DisposalRun { looked: 1, ..NOTHING });
    assert_eq!(bench.foretold().await, [format!("{} needs 1 more approvals", proposed.id)]);
    bench.registry.approve_disposition(&name("a"), Actor::user("bob"), &proposed.id, None).await.unwrap();
    assert_eq!(bench.go_on().await.executed, 0, "it cools off");
    bench.clock.advance(DAY);
    assert_eq!(bench.foretold().await, ["execute"]);
    assert_eq!(bench.go_on().await, DisposalRun { looked: 1, proposed: 0, executed: 1 });
    bench.check().await;
}

async fn a_hold_placed_between_eligibility_and_execution_wins(on: On) {
    let bench = Bench::scheduling(on).await;
    let id = bench.package("quick", b"one", "v1").await;
    bench.clock.advance(8 * DAY);
    assert_eq!(bench.go_on().await.proposed, 1);
    let hold = bench.hold(legal(Some("v1"))).await.unwrap();
    bench.clock.advance(2 * DAY);
    assert_eq!(bench.go_on().await, DisposalRun { looked: 1, ..NOTHING });
    assert!(bench.foretold().await[0].contains(hold.as_str()), "{:?}", bench.foretold().await);
    bench.only_disposition(DispositionStatus::Voided).await;
    bench.release(&hold).await.unwrap();
    // It all begins again, with its cooling-off.
    assert_eq!(bench.go_on().await, DisposalRun { looked: 1, proposed: 1, executed: 0 });
    bench.clock.advance(DAY);
    // A hold on all that is there voids nothing at once, and stops it all the same.
    let whole = bench.hold(legal(None)).await.unwrap();
    assert_eq!(bench.go_on().await.executed, 0);
    bench.release(&whole).await.unwrap();
    assert_eq!(bench.registry.package(&id).await.unwrap().status, Status::Finalized);
    bench.extend("v1", Extension::Until(BEGIN + 20 * DAY)).await.unwrap();
    assert_eq!(bench.go_on().await, NOTHING, "it is not due any more");
    bench.clock.advance(11 * DAY);
    assert_eq!(bench.go_on().await.proposed, 1);
    bench.clock.advance(DAY);
    assert_eq!(bench.go_on().await.executed, 1);
    assert!(bench.denials().await.is_empty(), "the registry does not try what it knows to be refused");
    bench.check().await;
}

async fn what_people_began_or_rejected_is_left_to_them(on: On) {
    let bench = Bench::scheduling(on).await;
    bench.package("quick", b"one", "v1").await;
    bench.package("quick", b"two", "v2").await;
    bench.clock.advance(8 * DAY);
    let (repository, item, ann) = (name("a"), item("v1"), Actor::user("ann"));
    bench.registry.propose_disposition(&repository, ann.clone(), &item, "it is over").await.unwrap();
    assert_eq!(bench.go_on().await.proposed, 1);
    let all = bench.registry.dispositions(&repository, None, "", 10).await.unwrap();
    let ours = all.iter().find(|it| it.proposed_by == "system").unwrap();
    bench.registry.reject_disposition(&repository, ann, &ours.id, "we need it").await.unwrap();
    bench.clock.advance(10 * DAY);
    assert_eq!(bench.go_on().await, DisposalRun { looked: 2, ..NOTHING });
    let foretold = bench.foretold().await;
    assert!(foretold.iter().any(|why| why.contains("was proposed by somebody")), "{foretold:?}");
    assert!(foretold.iter().any(|why| why.contains("was rejected")), "{foretold:?}");
    // Another retention is another question.
    bench.extend("v2", Extension::Until(BEGIN + 20 * DAY)).await.unwrap();
    bench.clock.advance(10 * DAY);
    assert_eq!(bench.go_on().await.proposed, 1);
    bench.check().await;
}

async fn nothing_is_disposed_of_while_the_clock_is_frozen(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    bench.clock.advance(9 * DAY);
    bench.clock.jump(30 * DAY);
    assert!(bench.foretold().await[0].contains("clock resync"));
    assert_eq!(bench.go_on().await, NOTHING);
    bench.registry.resynchronise_clock(Actor::user("ann"), "it is right").await.unwrap();
    assert_eq!(bench.go_on().await.executed, 1);
    bench.check().await;
}

async fn a_run_is_bounded_and_the_next_one_goes_on(on: On) {
    let bench = Bench::new(on).await;
    for (file, tag) in [(&b"1"[..], "v1"), (b"2", "v2"), (b"3", "v3")] {
        bench.package("raw-evidence", file, tag).await;
        bench.clock.advance(SECOND);
    }
    bench.clock.advance(187 * DAY);
    // They stay in the list, waiting for approvals, and the third is reached all the same.
    for (looked, proposed) in [(2, 2), (1, 1), (2, 0)] {
        let run = bench.registry.dispose_at_most(2).await.unwrap().unwrap();
        assert_eq!(run, DisposalRun { looked, proposed, executed: 0 });
    }
    bench.check().await;
}

async fn it_is_off_unless_it_is_switched_on(on: On) {
    let off = Bench::new(on).await;
    off.package("transient", b"one", "v1").await;
    off.clock.advance(30 * DAY);
    assert_eq!(off.registry.dispose_if_due().await.unwrap(), None);
    let bench = Bench::scheduling(on).await;
    bench.package("transient", b"one", "v1").await;
    bench.clock.advance(30 * DAY);
    assert_eq!(bench.registry.dispose_if_due().await.unwrap().unwrap().executed, 1);
    assert_eq!(bench.registry.dispose_if_due().await.unwrap(), None, "another replica did so just now");
    bench.clock.advance(3600 * SECOND);
    assert_eq!(bench.registry.dispose_if_due().await.unwrap(), Some(NOTHING));
}

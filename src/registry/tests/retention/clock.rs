//! The compliance clock: set ahead it ends nothing, set back it shortens nothing.

use super::*;

on_both![
    the_clock_begins_with_the_first_retention,
    a_clock_set_ahead_ends_no_retention,
    a_clock_set_ahead_a_little_is_caught_up_with_slowly,
    a_clock_that_was_confirmed_and_then_set_right_ended_retentions,
    a_clock_set_back_delays_and_shortens_nothing,
    starting_again_and_again_gains_nothing,
    a_long_stop_costs_one_confirmation,
    what_was_disposed_of_is_not_deleted_while_time_is_in_doubt,
    replicas_keep_one_clock,
    a_step_that_was_judged_before_the_freeze_is_refused_after_it,
    what_needed_no_cooling_off_waited_for_the_clock_to_catch_up,
    a_collection_took_blobs_away_while_time_was_in_doubt_and_its_dry_run_promised_more,
];

const HOUR: Micros = 3600 * SECOND;

impl Bench {
    async fn give_up(&self, text: &str) -> Result<DispositionId, Error> {
        let (repository, item) = (name("a"), item(text));
        let proposed =
            self.registry.propose_disposition(&repository, Actor::user("ann"), &item, "it is over");
        Ok(proposed.await?.id)
    }

    async fn carry_out(&self, id: &DispositionId) -> Result<Disposition, Error> {
        self.registry.execute_disposition(&name("a"), Actor::user("ann"), id, None).await
    }

    /// Another process over the same database, which does not end the claims of this one.
    async fn replica(&self, clock: &ManualClock) -> Registry {
        let db = self.place.open(Access::Create).await;
        let data = DataPlane::new(Arc::new(self.backend.clone()));
        Registry::open_as(db, data, clock.clock(), Options::default(), true).await.unwrap()
    }

    /// Ends the process, whatever was measured since the last tick, and starts it again.
    async fn start_again(&mut self) {
        self.reopen(Options::default()).await;
    }

    async fn reading(&self) -> ClockReading {
        self.registry.compliance_clock().await.unwrap()
    }

    async fn resync(&self) -> ClockReading {
        self.registry.resynchronise_clock(Actor::user("ann"), "looked at it").await.unwrap()
    }

    async fn ticks(&self) -> usize {
        let events = self.registry.events(0, 10_000).await.unwrap();
        events.iter().filter(|event| matches!(event.fact, Fact::ClockTicked(_))).count()
    }
}

fn is_frozen<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::ClockFrozen { .. }))
}

async fn the_clock_begins_with_the_first_retention(on: On) {
    let bench = Bench::new(on).await;
    bench.publish(&bench.image(b"plain").await, &["plain"]).await.unwrap();
    assert_eq!(bench.registry.tick().await.unwrap().tick, None, "there is nothing to judge");
    let early = bench.registry.resynchronise_clock(Actor::anonymous(), "why not").await;
    assert!(matches!(early, Err(Error::ClockNotBegun)), "{early:?}");
    bench.package("transient", b"one", "v1").await;
    bench.package("transient", b"two", "v2").await;
    assert_eq!(bench.ticks().await, 1);
    let events = bench.registry.events(0, 10_000).await.unwrap();
    let at = events.iter().position(|event| matches!(event.fact, Fact::ClockTicked(_))).unwrap();
    let resolved = events.iter().position(|event| matches!(event.fact, Fact::RetentionResolved(_))).unwrap();
    assert!(resolved < at && events[at].command == events[resolved].command, "in the same command");
    for (minutes, ticks) in [(59, 1), (1, 2), (59, 2), (1, 3)] {
        bench.clock.advance(minutes * 60 * SECOND);
        bench.registry.tick_if_due().await.unwrap();
        assert_eq!(bench.ticks().await, ticks);
    }
    bench.registry.tick().await.unwrap();
    assert_eq!(bench.ticks().await, 4, "when serving begins and ends");
    let reading = bench.reading().await;
    assert_eq!((reading.wall, reading.lag(), reading.is_frozen), (bench.clock.clock().now(), 0, false));
    bench.check().await;
}

async fn a_clock_set_ahead_ends_no_retention(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    bench.clock.jump(8 * DAY);
    assert!(bench.registry.retentions_over(&name("a"), None, 10).await.unwrap().0.is_empty());
    assert!(is_frozen(&bench.give_up("v1").await));
    assert_eq!(bench.ticks().await, 2, "it is on record at once");
    let health = bench.registry.health().await;
    assert!(health.is_ready(), "clients are served as before");
    let part = health.components.iter().find(|part| part.name == "clock").unwrap();
    assert!(part.capabilities["state"].starts_with("frozen: "), "{part:?}");
    // Setting it back does not make it right.
    bench.clock.jump(-8 * DAY);
    bench.clock.advance(8 * DAY);
    assert!(is_frozen(&bench.give_up("v1").await));
    let reading = bench.reading().await;
    assert_eq!((reading.is_frozen, reading.lag()), (true, 0));
    let blank = bench.registry.resynchronise_clock(Actor::user("ann"), " ").await;
    assert!(matches!(blank, Err(Error::TextInvalid { field: "reason", .. })), "{blank:?}");
    assert!(!bench.resync().await.is_frozen);
    let events = bench.registry.events(0, 10_000).await.unwrap();
    let last = events.last().unwrap();
    let Fact::ClockResynchronised(fact) = &last.fact else { panic!("{last:?}") };
    assert_eq!((fact.compliance, fact.reason.as_str()), (bench.clock.clock().now(), "looked at it"));
    assert_eq!(last.actor.as_str(), "os:ann");
    let id = bench.give_up("v1").await.unwrap();
    assert_eq!(bench.carry_out(&id).await.unwrap().status, DispositionStatus::Executed);
    bench.check().await;
}

async fn a_clock_set_ahead_a_little_is_caught_up_with_slowly(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    bench.clock.jump(20 * HOUR);
    // Every hour one tick, as beside a server.
    for _ in 0..(6 * 24 + 5) {
        bench.clock.advance(HOUR);
        bench.registry.tick_if_due().await.unwrap();
    }
    let early = bench.give_up("v1").await;
    assert!(
        matches!(early, Err(Error::Protected(_))),
        "the system's clock shows 7 days and an hour: {early:?}"
    );
    let reading = bench.reading().await;
    assert!(!reading.is_frozen);
    let gained = 20 * HOUR - reading.lag();
    assert!((31 * 60 * SECOND..32 * 60 * SECOND).contains(&gained), "5 minutes a day: {gained}");
    bench.clock.advance(19 * HOUR);
    bench.give_up("v1").await.unwrap();
    bench.check().await;
}

async fn a_clock_set_back_delays_and_shortens_nothing(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    let first = bench.explain("v1").await.unwrap().retention.unwrap().retained;
    bench.clock.advance(-30 * DAY);
    bench.package("transient", b"two", "v2").await;
    let second = bench.explain("v2").await.unwrap().retention.unwrap().retained;
    assert!(second.from >= first.from && second.until >= first.until, "{second:?}");
    bench.clock.advance(8 * DAY);
    bench.registry.tick().await.unwrap();
    let reading = bench.reading().await;
    assert_eq!((reading.compliance, reading.is_frozen), (first.from.unwrap(), false));
    let early = bench.give_up("v1").await;
    assert!(matches!(early, Err(Error::Protected(_))), "{early:?}");
    // A confirmation does not take the time back either.
    assert_eq!(bench.resync().await.compliance, first.from.unwrap());
    bench.clock.advance(30 * DAY);
    bench.give_up("v1").await.unwrap();
    bench.check().await;
}

/// Found by a random history: compliance time does not go back, and what was confirmed by mistake ended retentions
/// after the clock was set right.
async fn a_clock_that_was_confirmed_and_then_set_right_ended_retentions(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    bench.clock.jump(300 * DAY);
    assert!(is_frozen(&bench.give_up("v1").await));
    assert!(!bench.resync().await.is_frozen);
    bench.clock.jump(-300 * DAY);
    bench.registry.tick().await.unwrap();
    let reading = bench.reading().await;
    assert_eq!((reading.compliance - reading.wall, reading.is_frozen), (300 * DAY, false));
    let early = bench.give_up("v1").await;
    assert!(matches!(early, Err(Error::Protected(_))), "{early:?}");
    assert!(bench.registry.disposal_plan(10).await.unwrap().is_empty());
    bench.clock.advance(8 * DAY);
    bench.give_up("v1").await.unwrap();
    bench.check().await;
}

async fn starting_again_and_again_gains_nothing(on: On) {
    let mut bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    let begun = bench.reading().await.compliance;
    for _ in 0..10 {
        bench.clock.jump(20 * HOUR);
        bench.start_again().await;
        bench.registry.tick().await.unwrap();
        bench.clock.advance(60 * SECOND);
        bench.registry.tick().await.unwrap();
    }
    let gained = bench.reading().await.compliance - begun;
    // The first stop is no freeze yet, and in that minute a little is caught up.
    let (minutes, caught_up) = (10 * 60 * SECOND, 60 * SECOND / 288);
    assert!((minutes..=minutes + caught_up).contains(&gained), "{gained}");
    assert!(is_frozen(&bench.give_up("v1").await));
    bench.check().await;
}

async fn a_long_stop_costs_one_confirmation(on: On) {
    let mut bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    bench.clock.advance(6 * DAY);
    bench.registry.tick().await.unwrap();
    bench.clock.advance(30 * DAY);
    bench.start_again().await;
    // Nobody knows whether a month went by. Everything but leaving goes on, from the time there is.
    assert!(bench.registry.tick().await.unwrap().is_frozen);
    bench.package("transient", b"two", "v2").await;
    let begun = bench.explain("v2").await.unwrap().retention.unwrap().retained.from;
    assert_eq!(begun, Some(bench.clock.clock().now()));
    assert!(is_frozen(&bench.give_up("v1").await));
    bench.resync().await;
    bench.give_up("v1").await.unwrap();
    let early = bench.give_up("v2").await;
    assert!(matches!(early, Err(Error::Protected(_))), "{early:?}");
    bench.check().await;
}

async fn what_was_disposed_of_is_not_deleted_while_time_is_in_doubt(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    bench.clock.advance(8 * DAY);
    let id = bench.give_up("v1").await.unwrap();
    bench.carry_out(&id).await.unwrap();
    for _ in 0..2 {
        bench.clock.advance(2 * DAY);
        bench.registry.collect().await.unwrap().unwrap();
    }
    bench.clock.jump(30 * DAY);
    let run = bench.registry.collect().await.unwrap().unwrap();
    assert_eq!(run.done.purged, 0);
    assert!(run.done.failure.as_ref().is_some_and(|why| why.contains("clock resync")), "{run:?}");
    bench.resync().await;
    let run = bench.registry.collect().await.unwrap().unwrap();
    assert!(run.done.purged > 0 && run.done.failure.is_none(), "{run:?}");
    bench.check().await;
}

async fn replicas_keep_one_clock(on: On) {
    let bench = Bench::new(on).await;
    let other = ManualClock::at(BEGIN);
    let replica = bench.replica(&other).await;
    bench.package("transient", b"one", "v1").await;
    replica.compliance_clock().await.unwrap();
    for clock in [&bench.clock, &other] {
        clock.advance(HOUR);
    }
    replica.tick_if_due().await.unwrap();
    bench.registry.tick_if_due().await.unwrap();
    assert_eq!(bench.ticks().await, 2, "one tick is enough");
    // A tick of a replica that is behind takes nothing back.
    bench.clock.advance(8 * DAY);
    let ahead = bench.registry.tick().await.unwrap().compliance;
    assert_eq!(replica.tick().await.unwrap().compliance, ahead);
    assert_eq!(bench.reading().await.compliance, ahead);
    let id = bench.give_up("v1").await.unwrap();
    // One clock that was set is enough to freeze them all, and moves none.
    other.jump(60 * DAY);
    let frozen = replica.tick().await.unwrap();
    assert!(frozen.is_frozen && frozen.compliance == ahead, "{frozen:?}");
    assert!(is_frozen(&bench.carry_out(&id).await));
    other.jump(-52 * DAY);
    let resynchronised = replica.resynchronise_clock(Actor::user("bob"), "it is right again").await.unwrap();
    assert!(!resynchronised.is_frozen);
    assert!(!bench.reading().await.is_frozen);
    bench.carry_out(&id).await.unwrap();
    bench.check().await;
}

/// A replica that has not heard of the freeze yet.
async fn a_step_that_was_judged_before_the_freeze_is_refused_after_it(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    bench.clock.advance(8 * DAY);
    bench.registry.tick().await.unwrap();
    let other = ManualClock::at(BEGIN + 80 * DAY);
    assert!(bench.replica(&other).await.tick().await.unwrap().is_frozen);
    let id = bench.give_up("v1").await;
    assert!(is_frozen(&id), "{id:?}");
    assert!(bench.registry.dispositions(&name("a"), None, "", 10).await.unwrap().is_empty());
    bench.check().await;
}

async fn what_needed_no_cooling_off_waited_for_the_clock_to_catch_up(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    bench.clock.advance(9 * DAY);
    // As after a short stop: what is recorded now is ahead of compliance time.
    bench.clock.jump(HOUR);
    let id = bench.give_up("v1").await.unwrap();
    bench.carry_out(&id).await.unwrap();
    bench.check().await;
}

async fn a_collection_took_blobs_away_while_time_was_in_doubt_and_its_dry_run_promised_more(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    let blob = bench.upload(b"named by nothing").await;
    assert!(!bench.registry.collection_plan().await.unwrap().is_frozen);
    bench.clock.jump(400 * DAY);
    assert!(bench.registry.collection_plan().await.unwrap().is_frozen);
    let run = bench.registry.collect().await.unwrap().unwrap();
    assert_eq!((run.status, run.done.released), (RunStatus::Failed, 0));
    assert!(run.done.failure.unwrap().contains("clock"));
    bench.registry.blob(&name("a"), &blob).await.unwrap();
    let propose = bench.give_up("v1").await;
    assert!(is_frozen(&propose), "{propose:?}");
    assert_eq!(bench.denials().await, [("disposition.propose".to_owned(), "v1".to_owned(), 1)]);
    bench.resync().await;
    assert!(!bench.registry.collection_plan().await.unwrap().is_frozen);
    let run = bench.registry.collect().await.unwrap().unwrap();
    assert_eq!((run.status, run.done.released), (RunStatus::Completed, 1));
    bench.check().await;
}

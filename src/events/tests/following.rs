//! Following the log: from memory and from the database alike.

use super::replaying::unprotected;
use super::*;
use crate::events::feed::{Filter, Record, SCANNED};

on_both![
    a_page_is_the_same_from_memory_and_from_the_database,
    who_follows_the_end_costs_no_statement,
    a_page_ends_after_so_many_events_and_after_so_many_bytes,
    what_does_not_fit_is_looked_at_a_part_at_a_time,
    an_event_that_is_not_in_the_log_any_more_is_not_passed_over,
    a_stored_event_that_was_altered_is_never_handed_on,
];

const PACKAGE: &str = "pkg_01arz3ndektsv4rrffq69g5fav";

fn in_repository(repository: &str, n: i64) -> Fact {
    let Fact::TagMoved(moved) = moved("t", n) else { unreachable!() };
    TagMoved { repository: repository.parse().unwrap(), ..moved }.into()
}

fn removed(n: i64) -> Fact {
    TagDeleted { repository: "r".parse().unwrap(), tag: "t".parse().unwrap(), digest: content(n) }.into()
}

fn failed() -> Fact {
    PackageFailed {
        repository: "r".parse().unwrap(),
        package: PACKAGE.parse().unwrap(),
        reason: PackageFailure::Aborted,
    }
    .into()
}

impl Fixture {
    async fn record(&self, facts: Vec<Fact>) {
        let all = facts.into_iter().map(|fact| decide(move |_| Ok(vec![fact.clone()])));
        for outcome in self.batch(all.collect()).await {
            outcome.unwrap();
        }
    }

    /// The same log as another process opens it, which has nothing in memory.
    async fn cold(&self) -> Log {
        let clock = self.clock.clock();
        Log::open(self.db.clone(), projections(1), clock, Arc::new(Told::default())).await.unwrap()
    }
}

fn types(text: &str) -> Filter {
    Filter { types: Filter::parse_types(text).unwrap(), ..Filter::default() }
}

fn numbers(records: &[Arc<Record>]) -> Vec<i64> {
    records.iter().map(|record| record.sequence).collect()
}

async fn a_page_is_the_same_from_memory_and_from_the_database(on: On) {
    let fixture = Fixture::new(on).await;
    let facts = (0..60).map(|n| match n % 6 {
        0 => in_repository("other", n),
        1 | 2 => removed(n),
        3 => failed(),
        _ => moved("t", n),
    });
    fixture.record(facts.collect()).await;
    let cold = fixture.cold().await;
    let everything = fixture.log.after(0, 100).await.unwrap();
    let filters = [
        Filter::default(),
        types("tag"),
        types("tag.deleted,package"),
        Filter { repository: Some("other".parse().unwrap()), ..Filter::default() },
        Filter { repository: Some("r".parse().unwrap()), ..types("tag.moved") },
        Filter { package: Some(PACKAGE.parse().unwrap()), ..Filter::default() },
        Filter { repository: Some("nothing".parse().unwrap()), ..Filter::default() },
    ];
    for filter in filters {
        for (after, limit) in [(0, 1000), (0, 1), (7, 3), (31, 5), (59, 2)] {
            let matching = everything.iter().filter(|event| event.sequence > after).map(Record::from);
            let expected: Vec<_> = matching.filter(|it| filter.matches(it)).map(|it| it.sequence).collect();
            for log in [&fixture.log, &cold] {
                let (mut seen, mut at) = (Vec::new(), after);
                loop {
                    let page = log.feed(at, &filter, limit).await.unwrap();
                    assert!(page.records.len() <= limit && page.scanned_to > at && page.head == 60);
                    seen.extend(numbers(&page.records));
                    at = page.scanned_to;
                    if page.is_last() {
                        break;
                    }
                }
                assert_eq!((at, &seen), (60, &expected), "{filter:?} after {after}");
            }
        }
        assert!(fixture.log.feed(60, &filter, 10).await.unwrap().records.is_empty());
    }
    let [warm, cold] =
        [&fixture.log, &cold].map(async |log| log.feed(0, &Filter::default(), 60).await.unwrap());
    let (warm, cold) = (warm.await, cold.await);
    for (record, event) in warm.records.iter().zip(&everything) {
        assert_eq!((&*record.header, &*record.payload), (event.header(), event.payload()));
        assert_eq!(&*record.type_name, event.fact.type_name());
    }
    assert_eq!(warm, cold);
}

async fn who_follows_the_end_costs_no_statement(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(50).await;
    let before = fixture.db.statements();
    for after in 0..=50 {
        let page = fixture.log.feed(after, &Filter::default(), 1000).await.unwrap();
        assert_eq!(numbers(&page.records), (after + 1..=50).collect::<Vec<_>>());
        fixture.log.feed(after, &types("package"), 1000).await.unwrap();
    }
    // The follower of a shared database looks by itself now and then.
    let own = fixture.db.statements() - before;
    assert!(own <= if on == On::Sqlite { 0 } else { 10 }, "{own} statements for 102 pages");
}

async fn a_page_ends_after_so_many_events_and_after_so_many_bytes(on: On) {
    let fixture = Fixture::new(on).await;
    let large = || {
        let text = |n: usize| (format!("k{n}"), "x".repeat(60_000).into());
        let metadata = crate::package::Object::new((0..4).map(text).collect()).unwrap();
        PackageCreated {
            repository: "r".parse().unwrap(),
            package: PACKAGE.parse().unwrap(),
            description: crate::package::Description { metadata, ..Default::default() },
            provenance: crate::package::Object::default(),
            expires_at: None,
        }
    };
    // Some 240 KB each, and 4 MiB a page.
    fixture.record((0..20).map(|_| large().into()).collect()).await;
    for log in [&fixture.log, &fixture.cold().await] {
        let page = log.feed(0, &Filter::default(), 1000).await.unwrap();
        assert_eq!((numbers(&page.records), page.scanned_to), ((1..=17).collect(), 17));
        assert!(!page.is_last());
        let page = log.feed(4, &types("package.created"), 2).await.unwrap();
        assert_eq!((numbers(&page.records), page.scanned_to), (vec![5, 6], 6));
    }
}

async fn what_does_not_fit_is_looked_at_a_part_at_a_time(on: On) {
    let fixture = Fixture::new(on).await;
    let many = i64::try_from(SCANNED).unwrap() + 10;
    for _ in 0..=many / 250 {
        fixture.record((0..250).map(|n| moved("t", n)).collect()).await;
    }
    fixture.record(vec![failed()]).await;
    let last = fixture.log.last();
    let page = fixture.cold().await.feed(0, &types("package"), 10).await.unwrap();
    assert_eq!((numbers(&page.records), page.scanned_to), (vec![], i64::try_from(SCANNED).unwrap()));
    assert!(!page.is_last() && page.head == last);
    // The oldest have left the memory, which never holds more than that.
    let page = fixture.log.feed(0, &types("package"), 10).await.unwrap();
    assert_eq!(page.scanned_to, i64::try_from(SCANNED).unwrap());
    let page = fixture.log.feed(page.scanned_to, &types("package"), 10).await.unwrap();
    assert_eq!((numbers(&page.records), page.scanned_to), (vec![last], last));
}

async fn an_event_that_is_not_in_the_log_any_more_is_not_passed_over(on: On) {
    let fixture = unprotected(on, 20).await;
    fixture.execute("DELETE FROM events WHERE sequence <= 5", vec![]).await;
    let cold = fixture.cold().await;
    for after in [0, 4] {
        let refused = cold.feed(after, &types("package"), 10).await.unwrap_err();
        assert!(matches!(refused, Error::Expired { horizon: 5 }), "{refused:?}");
    }
    assert_eq!(numbers(&cold.feed(5, &Filter::default(), 2).await.unwrap().records), [6, 7]);
}

async fn a_stored_event_that_was_altered_is_never_handed_on(on: On) {
    for alteration in ["actor = 'somebody'", "repository = 'other'", "repository = NULL", "subject = 'x'"] {
        let fixture = unprotected(on, 3).await;
        fixture.execute(&format!("UPDATE events SET {alteration} WHERE sequence = 2"), vec![]).await;
        let cold = fixture.cold().await;
        let before = cold.feed(0, &Filter::default(), 10).await.unwrap();
        assert_eq!((numbers(&before.records), before.scanned_to, before.is_last()), (vec![1], 1, false));
        let refused = cold.feed(1, &Filter::default(), 10).await.unwrap_err();
        assert!(matches!(refused, Error::Damaged { sequence: 2, .. }), "{alteration}: {refused:?}");
        assert_eq!(cold.feed(2, &Filter::default(), 10).await.unwrap().records.len(), 1);
    }
}

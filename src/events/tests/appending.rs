//! Group commit.

use super::*;
use crate::db;

on_both![
    a_rejected_command_leaves_nothing,
    a_command_with_nothing_to_say_succeeds_and_records_nothing,
    a_panicking_decision_fails_alone,
    a_panicking_fold_ended_the_appender,
    a_row_the_database_refuses_fails_its_command_alone,
    a_commit_the_engine_refuses_is_no_success_and_the_next_one_works,
    a_decision_may_look_at_rows_it_did_not_declare,
    a_decision_that_panics_over_a_row_it_forgot_to_declare_was_called_poisoned,
    later_commands_of_a_batch_see_what_earlier_ones_did,
    the_statements_of_a_batch_do_not_grow_with_its_size,
    a_batch_was_allowed_to_outweigh_its_limit,
    recorded_times_never_run_backwards,
    manifest_bytes_are_committed_with_the_events_that_name_them,
    a_command_whose_client_went_away_is_recorded_all_the_same,
    the_head_is_written_in_the_transaction_of_its_events,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_sequence_has_no_gaps() {
    the_sequence_has_no_gaps_under_concurrent_submitters_and_rejections(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shared_sequence_has_no_gaps() {
    the_sequence_has_no_gaps_under_concurrent_submitters_and_rejections(On::Postgres).await;
}

async fn the_sequence_has_no_gaps_under_concurrent_submitters_and_rejections(on: On) {
    let fixture = Arc::new(Fixture::new(on).await);
    let submitters = (0..64_i64).map(|who| {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move {
            let mut accepted = Vec::new();
            for n in 0..8 {
                let facts = vec![moved(&format!("t{who}"), n); usize::try_from((who + n) % 3).unwrap()];
                let rejects = (who * 7 + n * 13) % 5 == 0;
                let command = decide(move |_| if rejects { Err("no".into()) } else { Ok(facts.clone()) });
                match fixture.submit(command).await {
                    Ok(committed) => accepted.extend(committed.events.iter().map(|event| event.sequence)),
                    Err(Refusal::Rejected(_)) => assert!(rejects),
                    Err(Refusal::Failed(error)) => panic!("{error}"),
                }
            }
            accepted
        })
    });
    let mut accepted = Vec::new();
    for submitter in submitters.collect::<Vec<_>>() {
        accepted.extend(submitter.await.unwrap());
    }
    accepted.sort_unstable();
    assert_eq!(accepted, (1..=i64::try_from(accepted.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(fixture.sequences().await, accepted);
    assert_eq!(*fixture.told.0.lock().unwrap(), accepted);
    let head = Head::read(&fixture.db).await.unwrap();
    assert_eq!(head, *fixture.log.watch().borrow());
    assert_eq!(head.last(), *accepted.last().unwrap());
}

async fn a_rejected_command_leaves_nothing(on: On) {
    let fixture = Fixture::new(on).await;
    let before = Head::read(&fixture.db).await.unwrap();
    let refused = fixture.submit(decide(|_| Err("no".into()))).await.unwrap_err();
    assert!(matches!(refused, Refusal::Rejected(reason) if reason == "no"));
    assert_eq!(fixture.sequences().await, [0; 0]);
    assert_eq!(Head::read(&fixture.db).await.unwrap(), before);
}

async fn a_command_with_nothing_to_say_succeeds_and_records_nothing(on: On) {
    let fixture = Fixture::new(on).await;
    assert!(fixture.submit(decide(|_| Ok(vec![]))).await.unwrap().events.is_empty());
    assert_eq!(fixture.log.last(), 0);
}

async fn a_panicking_decision_fails_alone(on: On) {
    let fixture = Fixture::new(on).await;
    let outcomes = fixture.batch(vec![set("a", 1), decide(|_| panic!("oh no")), set("b", 2)]).await;
    let [Ok(_), Err(Refusal::Failed(error)), Ok(_)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(matches!(&**error, Error::Poisoned(reason) if reason == "oh no"));
    assert_eq!(fixture.sequences().await, [1, 2]);
}

async fn a_panicking_fold_ended_the_appender(on: On) {
    let fixture = Fixture::new(on).await;
    let outcomes = fixture.batch(vec![set("a", 1), set("unfoldable", 1), set("b", 2)]).await;
    let [Ok(_), Err(Refusal::Failed(error)), Ok(_)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(matches!(&**error, Error::Poisoned(_)), "{error}");
    assert!(fixture.log.is_open());
    assert_eq!(fixture.sequences().await, [1, 2]);
    assert_eq!(fixture.rows("SELECT tag FROM tags").await.len(), 2);
}

async fn a_row_the_database_refuses_fails_its_command_alone(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.refuse("poison", "BEFORE INSERT ON tags", "NEW.tag = 'poison'").await;
    let outcomes =
        fixture.batch(vec![set("a", 1), set("poison", 1), decide(|_| Err("no".into())), set("b", 2)]).await;
    let [Ok(a), Err(Refusal::Failed(error)), Err(Refusal::Rejected(_)), Ok(b)] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert!(matches!(&**error, Error::Db(db::Error::Constraint(_))), "{error:?}");
    assert_eq!((a.events[0].sequence, b.events[0].sequence), (1, 2));
    assert_eq!(fixture.sequences().await, [1, 2]);
    assert_eq!(*fixture.told.0.lock().unwrap(), [1, 2]);
}

async fn a_commit_the_engine_refuses_is_no_success_and_the_next_one_works(on: On) {
    let fixture = Fixture::new(on).await;
    // A deferred foreign key is checked by COMMIT itself.
    fixture.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)", vec![]).await;
    let child = "CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)";
    fixture.execute(child, vec![]).await;
    fixture
        .trigger("orphan", "AFTER INSERT ON tags", "NEW.tag = 'orphan'", "INSERT INTO child VALUES (1)")
        .await;
    let Err(Refusal::Failed(error)) = fixture.submit(set("orphan", 1)).await else { panic!("it is refused") };
    // A server says why; that is an answer.
    let is_told = matches!(&*error, Error::Db(db::Error::Constraint(_)));
    let is_unknown = matches!(&*error, Error::Db(db::Error::Commit(_)));
    assert_eq!((is_told, is_unknown), (on == On::Postgres, on == On::Sqlite), "{error:?}");
    assert_eq!(fixture.sequences().await, [0; 0]);
    assert_eq!(fixture.submit(set("a", 1)).await.unwrap().events[0].sequence, 1);
    assert_eq!(fixture.rows("SELECT tag FROM tags").await.len(), 1);
    assert_eq!(*fixture.told.0.lock().unwrap(), [1]);
}

async fn a_decision_may_look_at_rows_it_did_not_declare(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(3).await;
    let seen = decide(|rows| {
        let row = rows.get(&TAGS, &tag_key("t1")).ok_or("t1 is not there")?;
        // A second step that depends on the first.
        let at = content(row.integer(5) - 1);
        let named = rows.lookup(&TAGS, 0, &index(&at));
        Err(format!("{} {:?}", named.len(), rows.get(&TAGS, &tag_key("none"))))
    });
    let refused = fixture.submit(seen).await.unwrap_err();
    assert!(matches!(&refused, Refusal::Rejected(reason) if reason == "1 None"), "{refused:?}");
}

async fn a_decision_that_panics_over_a_row_it_forgot_to_declare_was_called_poisoned(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(1).await;
    let command = decide(|rows| {
        let row = rows.get(&TAGS, &tag_key("t0")).expect("it was pushed");
        Ok(vec![moved("copy", row.integer(5))])
    });
    assert_eq!(fixture.submit(command).await.unwrap().events.len(), 1);
}

async fn later_commands_of_a_batch_see_what_earlier_ones_did(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(1).await; // t0 -> 0
    let count = |n: i64| {
        decide(move |rows: &Rows| {
            let tags: Vec<_> = rows.lookup(&TAGS, 0, &index(&content(n))).iter().map(|r| r.text(1)).collect();
            Err(tags.join(","))
        })
    };
    let delete = decide(|_| {
        let (repository, digest) = ("r".parse().unwrap(), content(0));
        Ok(vec![ManifestDeleted { repository, content: content(0), digest, tags: vec![] }.into()])
    });
    let commands =
        vec![count(0), set("b", 0), count(0), set("t0", 1), count(0), count(1), delete, count(0), count(1)];
    let outcomes = fixture.batch(commands).await;
    let seen: Vec<_> = outcomes
        .into_iter()
        .filter_map(|outcome| match outcome {
            Err(Refusal::Rejected(tags)) => Some(tags),
            Ok(_) => None,
            Err(error) => panic!("{error:?}"),
        })
        .collect();
    assert_eq!(seen, ["t0", "b,t0", "b", "t0", "", "t0"]);
    let tags = fixture.rows("SELECT tag FROM tags").await;
    assert_eq!(tags.iter().map(|row| row.text(0)).collect::<Vec<_>>(), ["t0"]);
}

async fn the_statements_of_a_batch_do_not_grow_with_its_size(on: On) {
    let fixture = Fixture::new(on).await;
    let mut counts = Vec::new();
    for size in [1, 4, 16, 64, 256, 255] {
        let before = fixture.db.statements();
        fixture.moved(size).await;
        counts.push(fixture.db.statements() - before);
    }
    let [one, rest @ .., odd] = &counts[..] else { unreachable!() };
    assert!(*one <= 9, "{counts:?}"); // BEGIN, head, two loads, events, two views, head, COMMIT
    assert!(rest.iter().all(|count| count == one), "{counts:?}");
    if on == On::Postgres {
        assert_eq!(odd, one, "a round trip costs more than a row");
    }
    // 255 rows go out as 3 × 64, 3 × 16, 3 × 4 and 3 × 1, in two tables.
    assert!(*odd <= one + 2 * 11, "{counts:?}");
}

async fn a_batch_was_allowed_to_outweigh_its_limit(on: On) {
    let fixture = Fixture::new(on).await;
    let heavy = |n: i64| {
        let mut command = set(&format!("t{n}"), n);
        command.weight = 5 * 1024 * 1024;
        command
    };
    let mut heads = fixture.log.watch();
    let commits = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.last() != Some(&3) {
            heads.changed().await.unwrap();
            seen.push(heads.borrow_and_update().last());
        }
        seen
    });
    for outcome in fixture.batch((0..3).map(heavy).collect()).await {
        outcome.unwrap();
    }
    assert_eq!(commits.await.unwrap(), [1, 2, 3]);
}

async fn recorded_times_never_run_backwards(on: On) {
    let fixture = Fixture::new(on).await;
    for step in [0, 5, -3600, 1, 10_000] {
        fixture.clock.advance(step * SECOND);
        fixture.submit(set("t", step)).await.unwrap();
    }
    let times = fixture.rows("SELECT recorded_at FROM events ORDER BY sequence").await;
    let times: Vec<_> = times.iter().map(|row| row.integer(0) / SECOND).collect();
    assert_eq!(times, [1000, 1005, 1005, 1005, 7406]);
}

async fn manifest_bytes_are_committed_with_the_events_that_name_them(on: On) {
    let fixture = Fixture::new(on).await;
    let with_bytes = |tag: &'static str| {
        let contents = vec![(content(1), bytes::Bytes::from_static(b"{}"))];
        let decide = move |_: &Rows| Ok(Decision { facts: vec![moved(tag, 1)], contents: contents.clone() });
        Do { reads: vec![], weight: 2, decide: Box::new(decide) }
    };
    let outcomes = fixture.batch(vec![with_bytes("unfoldable")]).await;
    assert!(outcomes[0].is_err());
    assert!(fixture.rows("SELECT bytes FROM manifest_contents").await.is_empty());
    for outcome in fixture.batch(vec![with_bytes("a"), with_bytes("b")]).await {
        outcome.unwrap();
    }
    let rows = fixture.rows("SELECT bytes FROM manifest_contents").await;
    assert_eq!(rows.iter().map(|row| row.blob(0)).collect::<Vec<_>>(), [b"{}"]);
}

async fn a_command_whose_client_went_away_is_recorded_all_the_same(on: On) {
    let fixture = Fixture::new(on).await;
    let mut abandoned = Box::pin(fixture.submit(set("a", 1)));
    assert!(futures_util::poll!(&mut abandoned).is_pending());
    drop(abandoned);
    fixture.submit(set("b", 1)).await.unwrap();
    assert_eq!(fixture.sequences().await, [1, 2]);
}

async fn the_head_is_written_in_the_transaction_of_its_events(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(2).await;
    fixture.refuse("stuck", "BEFORE UPDATE ON log_head", "NEW.id = 1").await;
    assert!(fixture.submit(set("x", 1)).await.is_err());
    assert_eq!(fixture.sequences().await, [1, 2]);
    assert_eq!(fixture.rows("SELECT tag FROM tags").await.len(), 2);
    assert_eq!(Head::read(&fixture.db).await.unwrap().last(), 2);
}

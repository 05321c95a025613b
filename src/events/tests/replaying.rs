//! Rebuilding the views, and finding what is wrong with a log.

use super::*;

on_both![
    any_flipped_byte_of_an_event_is_found_and_the_event_named,
    any_changed_column_of_an_event_is_found,
    a_deleted_event_is_a_gap_that_is_named,
    a_truncated_tail_is_found,
    events_behind_the_head_are_found_and_the_views_stay,
    an_event_moved_to_another_place_is_found,
    an_unknown_event_type_stops_a_replay,
    rebuilding_twice_gives_the_live_state_both_times,
    a_check_names_exactly_the_view_that_was_altered,
    a_rebuild_that_ends_halfway_leaves_the_old_views,
    views_of_another_version_are_rebuilt_when_the_log_is_opened,
    views_that_are_lost_are_rebuilt_when_the_log_is_opened,
    of_several_that_are_opened_at_once_one_rebuilds_the_views,
    how_far_a_replay_is_is_told_after_every_page,
    a_log_goes_on_where_it_ended,
    a_database_without_a_log_says_so,
    the_state_digest_tells_neighbouring_states_apart,
];

/// Drops what protects the events, as somebody with the file in their hands would.
pub(super) async fn unprotected(on: On, events: i64) -> Fixture {
    let fixture = Fixture::new(on).await;
    fixture.moved(events).await;
    let table = if on == On::Postgres { " ON events" } else { "" };
    for trigger in ["events_are_not_changed", "events_are_not_deleted"] {
        fixture.execute(&format!("DROP TRIGGER {trigger}{table}"), vec![]).await;
    }
    fixture
}

async fn both(fixture: &Fixture) -> [Error; 2] {
    let scratch = TempDir::new().unwrap();
    let checked = check(&fixture.db, &projections(1), scratch.path()).await.unwrap_err();
    [rebuild(&fixture.db, &projections(1)).await.unwrap_err(), checked]
}

async fn any_flipped_byte_of_an_event_is_found_and_the_event_named(on: On) {
    let fixture = unprotected(on, 3).await;
    for column in ["header", "payload", "salt", "leaf_hash"] {
        let select: &str =
            Box::leak(format!("SELECT {column} FROM events WHERE sequence = 2").into_boxed_str());
        let update = format!("UPDATE events SET {column} = $1 WHERE sequence = 2");
        let original = fixture.rows(select).await[0].blob(0).to_vec();
        let step = (original.len() / 7).max(1);
        for at in (0..original.len()).step_by(step).chain([original.len() - 1]) {
            let mut bytes = original.clone();
            bytes[at] ^= 1 << (at % 8);
            fixture.execute(&update, vec![bytes.into()]).await;
            for error in both(&fixture).await {
                assert!(matches!(error, Error::Damaged { sequence: 2, .. }), "{column}[{at}]: {error:?}");
            }
        }
        fixture.execute(&update, vec![original.into()]).await;
    }
    rebuild(&fixture.db, &projections(1)).await.unwrap();
}

async fn any_changed_column_of_an_event_is_found(on: On) {
    let fixture = unprotected(on, 3).await;
    let before = fixture.state().await;
    for change in [
        "type = 'v1.tag.deleted'",
        "recorded_at = recorded_at + 1",
        "actor = 'somebody'",
        "repository = 'elsewhere'",
        "repository = NULL",
        "subject = 'sha256:0'",
        "command_id = 'another'",
        "payload = CAST('' AS BYTEA)",
        "leaf_hash = CAST('0' AS BYTEA)",
    ] {
        let mut tx = fixture.db.write().await.unwrap();
        tx.execute("CREATE TABLE kept AS SELECT * FROM events", vec![]).await.unwrap();
        tx.commit().await.unwrap();
        let change = if on == On::Sqlite { change.replace("BYTEA", "BLOB") } else { change.to_owned() };
        fixture.execute(&format!("UPDATE events SET {change} WHERE sequence = 3"), vec![]).await;
        for error in both(&fixture).await {
            assert!(matches!(error, Error::Damaged { sequence: 3, .. }), "{change}: {error:?}");
        }
        for sql in ["DELETE FROM events", "INSERT INTO events SELECT * FROM kept", "DROP TABLE kept"] {
            fixture.execute(sql, vec![]).await;
        }
    }
    assert_eq!(rebuild(&fixture.db, &projections(1)).await.unwrap().state, before);
}

async fn a_deleted_event_is_a_gap_that_is_named(on: On) {
    for (gone, follows) in [(1, 2), (2, 3)] {
        let fixture = unprotected(on, 3).await;
        fixture.execute(&format!("DELETE FROM events WHERE sequence = {gone}"), vec![]).await;
        for error in both(&fixture).await {
            assert!(
                matches!(error, Error::Gap { expected, found } if (expected, found) == (gone, follows)),
                "{error:?}"
            );
        }
    }
}

async fn a_truncated_tail_is_found(on: On) {
    let fixture = unprotected(on, 3).await;
    fixture.execute("DELETE FROM events WHERE sequence = 3", vec![]).await;
    for error in both(&fixture).await {
        assert!(matches!(error, Error::Head { head: 3, events: 2 }), "{error:?}");
    }
}

async fn events_behind_the_head_are_found_and_the_views_stay(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(3).await;
    fixture.execute("UPDATE log_head SET next_sequence = 3", vec![]).await;
    let before = fixture.state().await;
    for error in both(&fixture).await {
        assert!(matches!(error, Error::Head { head: 2, events: 3 }), "{error:?}");
    }
    let other = rebuild(&fixture.db, &projections(2)).await.unwrap_err();
    assert!(matches!(other, Error::Head { .. }), "{other:?}");
    assert_eq!(fixture.state().await, before);
}

async fn an_event_moved_to_another_place_is_found(on: On) {
    let fixture = unprotected(on, 2).await;
    fixture.execute("UPDATE events SET sequence = 3 - sequence + 10", vec![]).await;
    fixture.execute("UPDATE events SET sequence = sequence - 10", vec![]).await;
    for error in both(&fixture).await {
        assert!(matches!(error, Error::Damaged { sequence: 1, .. }), "{error:?}");
    }
}

async fn an_unknown_event_type_stops_a_replay(on: On) {
    let fixture = unprotected(on, 2).await;
    fixture.execute("UPDATE events SET type = 'v9.new.thing' WHERE sequence = 2", vec![]).await;
    for error in both(&fixture).await {
        let Error::Damaged { sequence: 2, source: EventError::Fact(FactError::UnknownType(name)) } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!(name, "v9.new.thing");
    }
}

async fn rebuilding_twice_gives_the_live_state_both_times(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(1500).await; // more than a page
    let deleted = |n| {
        let (repository, digest) = ("r".parse().unwrap(), content(n));
        Fact::from(ManifestDeleted { repository, content: content(n), digest, tags: vec![] })
    };
    let facts: Vec<_> = (100..1200).map(deleted).chain([moved("t5", 7)]).collect();
    fixture.submit(decide(move |_| Ok(facts.clone()))).await.unwrap();
    let live = fixture.state().await;
    for _ in 0..2 {
        let replayed = rebuild(&fixture.db, &projections(1)).await.unwrap();
        assert_eq!(replayed.events, 1500 + 1101);
        assert_eq!(replayed.state, live);
        assert_eq!(fixture.state().await, live);
    }
    let scratch = TempDir::new().unwrap();
    for _ in 0..2 {
        let (rebuilt, found) = check(&fixture.db, &projections(1), scratch.path()).await.unwrap();
        assert_eq!((rebuilt.state, found), (live.clone(), live.clone()));
    }
}

async fn a_check_names_exactly_the_view_that_was_altered(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(5).await;
    for (alter, table) in [
        ("UPDATE repositories SET created_at = created_at + 1", "repositories"),
        ("DELETE FROM tags WHERE tag = 't3'", "tags"),
        ("INSERT INTO tags VALUES ('x', 'x', 'x', 'x', 0, 0)", "tags"),
    ] {
        fixture.execute(alter, vec![]).await;
        let scratch = TempDir::new().unwrap();
        let (rebuilt, found) = check(&fixture.db, &projections(1), scratch.path()).await.unwrap();
        assert_eq!(rebuilt.state.differences(&found), [table], "{alter}");
        assert_ne!(rebuilt.state.digest, found.digest);
        assert_eq!(fixture.state().await, found, "a check changes nothing");
        rebuild(&fixture.db, &projections(1)).await.unwrap();
        assert_eq!(fixture.state().await, rebuilt.state);
    }
}

async fn a_rebuild_that_ends_halfway_leaves_the_old_views(on: On) {
    let fixture = unprotected(on, 1200).await;
    let before = fixture.state().await;
    fixture.execute("UPDATE events SET actor = 'x' WHERE sequence = 1100", vec![]).await;
    assert!(rebuild(&fixture.db, &projections(1)).await.is_err());
    assert_eq!(fixture.state().await, before);
    // And when it is simply dropped in the middle.
    let projections = projections(1);
    // Begun, the head read and compared with the last event, both views emptied.
    let written = fixture.db.statements() + 5;
    let mut dropped = Box::pin(rebuild(&fixture.db, &projections));
    while fixture.db.statements() < written {
        assert!(futures_util::poll!(&mut dropped).is_pending());
        tokio::task::yield_now().await;
    }
    drop(dropped);
    assert_eq!(fixture.state().await, before);
    fixture.submit(set("next", 1)).await.unwrap();
}

async fn views_of_another_version_are_rebuilt_when_the_log_is_opened(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(3).await;
    fixture.execute("DELETE FROM tags", vec![]).await;
    let open = async |version| {
        let observer = Arc::new(Told::default());
        Log::open(fixture.db.clone(), projections(version), fixture.clock.clock(), observer).await.unwrap()
    };
    open(1).await;
    assert!(fixture.rows("SELECT tag FROM tags").await.is_empty());
    let log = open(2).await;
    assert_eq!(fixture.rows("SELECT tag FROM tags").await.len(), 3);
    assert_eq!(Head::read(&fixture.db).await.unwrap(), *log.watch().borrow());
    assert_eq!(log.watch().borrow().views_version, 2);
}

/// Of a backup that has what a backup must have: the log, and not the views that its head tells of.
async fn views_that_are_lost_are_rebuilt_when_the_log_is_opened(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(20).await;
    let live = fixture.state().await;
    for table in ["tags", "repositories"] {
        fixture.execute(&format!("DELETE FROM {table}"), vec![]).await;
    }
    assert!(matches!(check_views(&fixture.db, &projections(1)).await, Err(Error::Unbuilt)));
    let opened = (0..3).map(|_| {
        let (db, clock) = (fixture.db.clone(), fixture.clock.clock());
        tokio::spawn(async move { Log::open(db, projections(1), clock, Arc::new(Told::default())).await })
    });
    for log in futures_util::future::join_all(opened.collect::<Vec<_>>()).await {
        assert_eq!(log.unwrap().unwrap().last(), 20);
    }
    assert_eq!(fixture.state().await, live);
    check_views(&fixture.db, &projections(1)).await.unwrap();
    let other = check_views(&fixture.db, &projections(2)).await;
    assert!(matches!(other, Err(Error::Superseded { known: 2, found: 1 })), "{other:?}");
}

/// Counts what it is asked to fold.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl Projection for Counted {
    fn tables(&self) -> Vec<&'static Table> {
        Vec::new()
    }

    fn reads(&self, _: &Event) -> Vec<Read> {
        Vec::new()
    }

    fn apply(&self, _: &Event, _: &Rows) -> Vec<Change> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Vec::new()
    }
}

async fn of_several_that_are_opened_at_once_one_rebuilds_the_views(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(20).await;
    let counted = Counted::default();
    let opened = (0..3).map(|_| {
        let projections =
            Projections::new(vec![Box::new(Tags), Box::new(counted.clone()), Box::new(Moves)], 2);
        let (db, clock) = (fixture.db.clone(), fixture.clock.clock());
        tokio::spawn(async move { Log::open(db, projections, clock, Arc::new(Told::default())).await })
    });
    for log in futures_util::future::join_all(opened.collect::<Vec<_>>()).await {
        assert_eq!(log.unwrap().unwrap().watch().borrow().views_version, 2);
    }
    // `Moves` looks at a row it has declared, and `Tags` at none: each event is folded once.
    assert_eq!(counted.0.load(Ordering::SeqCst), 20);
}

async fn how_far_a_replay_is_is_told_after_every_page(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(2500).await;
    let mut told = Vec::new();
    let progress = &mut |folded: Folded| told.push((folded.from, folded.events, folded.total));
    rebuild_with(&fixture.db, &projections(1), None, progress).await.unwrap();
    assert_eq!(told, [(0, 2000, 2500), (0, 2500, 2500)]);
}

async fn a_log_goes_on_where_it_ended(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(3).await;
    let id = Head::read(&fixture.db).await.unwrap().log_id;
    let observer = Arc::new(Told::default());
    let log = Log::open(fixture.db.clone(), projections(1), fixture.clock.clock(), observer).await.unwrap();
    assert_eq!(log.last(), 3);
    assert_eq!(log.submit(Actor::system(), set("x", 1)).await.unwrap().events[0].sequence, 4);
    assert_eq!(Head::read(&fixture.db).await.unwrap().log_id, id);
}

async fn a_database_without_a_log_says_so(on: On) {
    let place = Place::new(on).await;
    let db = place.open(Access::Create).await;
    assert!(matches!(Head::read(&db).await, Err(Error::Absent)));
    assert!(matches!(rebuild(&db, &projections(1)).await, Err(Error::Absent)));
}

async fn the_state_digest_tells_neighbouring_states_apart(on: On) {
    let fixture = Fixture::new(on).await;
    let mut seen = vec![fixture.state().await.digest];
    for sql in [
        "INSERT INTO repositories VALUES ('a', 1, 1)",
        "UPDATE repositories SET created_at = 2",
        "UPDATE repositories SET name = 'b'",
        "INSERT INTO tags VALUES ('b', '', 'a', '', 0, 0)",
        "UPDATE tags SET digest = '', content = 'a'",
    ] {
        fixture.execute(sql, vec![]).await;
        let digest = fixture.state().await.digest;
        assert!(!seen.contains(&digest), "{sql}");
        seen.push(digest);
    }
}

//! Several replicas over one server.

use std::time::Duration;

use super::*;
use crate::db::Options;
use crate::db::testing::{Cut, Database, Proxy};

/// One process among several, as far as one process can be several.
pub(super) struct Replica {
    db: Db,
    pub(super) log: Log,
    pub(super) told: Arc<Told>,
}

impl Replica {
    async fn start(options: &Options) -> Self {
        Self::of_version(options, 1).await.unwrap()
    }

    async fn of_version(options: &Options, version: i64) -> Result<Self, Error> {
        let db = Db::open(options, Access::Create).await.unwrap();
        let told = Arc::new(Told::default());
        let clock = ManualClock::at(1000 * SECOND).clock();
        let log = Log::open(db.clone(), projections(version), clock, Arc::clone(&told) as _).await?;
        Ok(Self { db, log, told })
    }

    pub(super) async fn submit(&self, command: Do) -> Result<Committed, Refusal<String>> {
        self.log.submit(Actor::anonymous(), command).await
    }

    pub(super) async fn moves(&self, tag: &str, n: i64) -> Sequence {
        self.submit(set(tag, n)).await.unwrap().events[0].sequence
    }

    /// Waits until it knows of an event without asking.
    async fn hears_of(&self, sequence: Sequence) {
        self.log.watch().wait_for(|head| head.last() >= sequence).await.unwrap();
    }

    async fn execute(&self, sql: &'static str) {
        let mut tx = self.db.write().await.unwrap();
        tx.execute(sql, vec![]).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn sequences(&self) -> Vec<Sequence> {
        let rows = self.db.query("SELECT sequence FROM events ORDER BY sequence", vec![]).await.unwrap();
        rows.iter().map(|row| row.integer(0)).collect()
    }
}

pub(super) async fn two() -> (Replica, Replica, Database) {
    let database = Database::new().await;
    let (a, b) = (Replica::start(&database.options()).await, Replica::start(&database.options()).await);
    (a, b, database)
}

/// A replica whose network can be cut, over a database that outlives it.
async fn behind_a_proxy() -> (Replica, Proxy, Database) {
    let database = Database::new().await;
    let proxy = database.proxy(Duration::ZERO);
    let options = Options { connect_timeout: Duration::from_secs(2), ..database.options_through(&proxy) };
    (Replica::start(&options).await, proxy, database)
}

fn failure<T>(outcome: Result<T, Refusal<String>>) -> Arc<Error> {
    match outcome {
        Err(Refusal::Failed(error)) => error,
        Err(Refusal::Rejected(reason)) => panic!("rejected: {reason}"),
        Ok(_) => panic!("it was accepted"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_make_one_gapless_log_and_both_observers_see_all_of_it_in_order() {
    let (a, b, _database) = two().await;
    let (a, b) = (Arc::new(a), Arc::new(b));
    let writers = (0..16_i64).map(|who| {
        let replica = Arc::clone(if who % 2 == 0 { &a } else { &b });
        tokio::spawn(async move {
            let mut recorded = Vec::new();
            for n in 0..10 {
                recorded.push(replica.moves(&format!("t{who}"), n).await);
            }
            recorded
        })
    });
    let mut recorded = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        recorded.extend(writer.await.unwrap());
    }
    recorded.sort_unstable();
    let all: Vec<_> = (1..=160).collect();
    assert_eq!(recorded, all);
    assert_eq!(a.sequences().await, all);
    for replica in [&a, &b] {
        replica.log.current().await.unwrap();
        assert_eq!(replica.told.sequences(), all);
        assert_eq!(replica.log.last(), 160);
    }
    assert_eq!(*a.log.watch().borrow(), *b.log.watch().borrow());
}

#[tokio::test]
async fn behind_the_barrier_a_replica_knows_every_acknowledged_write_of_another() {
    let (a, b, _database) = two().await;
    for n in 0..30 {
        let sequence = a.moves("t", n).await;
        b.log.current().await.unwrap();
        assert_eq!(b.told.sequences().last(), Some(&sequence));
        let sequence = b.moves("t", n).await;
        a.log.current().await.unwrap();
        assert_eq!(a.log.last(), sequence);
    }
}

#[tokio::test]
async fn many_who_wait_at_the_barrier_share_a_look() {
    let (a, b, _database) = two().await;
    a.moves("t", 1).await;
    let sql = "SELECT CAST(calls AS BIGINT) FROM (SELECT pg_stat_get_db_xact_commit(oid) AS calls \
               FROM pg_database WHERE datname = current_database()) s";
    let waits = (0..200).map(|_| b.log.current());
    for wait in futures_util::future::join_all(waits).await {
        wait.unwrap();
    }
    assert_eq!(b.told.sequences(), [1]);
    assert!(b.db.query(sql, vec![]).await.unwrap()[0].integer(0) < 150, "a query for each");
}

#[tokio::test]
async fn a_replica_may_answer_from_what_it_knew_a_moment_ago() {
    let database = Database::new().await;
    let proxy = database.proxy(Duration::ZERO);
    let lenient = Options { max_staleness: Duration::from_hours(1), ..database.options_through(&proxy) };
    let replica = Replica::start(&lenient).await;
    replica.log.current().await.unwrap();
    proxy.set_down(true);
    replica.log.current().await.unwrap();
}

#[tokio::test]
async fn a_place_that_another_replica_gave_out_was_beyond_the_end_where_answers_may_be_old() {
    let database = Database::new().await;
    let lenient = Options { max_staleness: Duration::from_hours(1), ..database.options() };
    let (a, b) = (Replica::start(&lenient).await, Replica::start(&lenient).await);
    b.log.current().await.unwrap();
    for n in 0..30 {
        let sequence = a.moves("t", n).await;
        assert_eq!(b.log.current_at(sequence).await.unwrap(), sequence);
    }
    // One that is beyond the end indeed.
    assert_eq!(b.log.current_at(1000).await.unwrap(), 30);
}

#[tokio::test]
async fn a_replica_hears_of_a_write_without_asking() {
    let (a, b, database) = two().await;
    let sequence = a.moves("t", 1).await;
    b.hears_of(sequence).await;
    assert_eq!(b.told.sequences(), [1]);
    // And again after every connection was lost, that of the doorbell included.
    database.disconnect_all().await;
    let sequence = a.moves("t", 2).await;
    b.hears_of(sequence).await;
    assert_eq!(b.told.sequences(), [1, 2]);
}

#[tokio::test]
async fn replicas_that_start_together_start_one_log() {
    let database = Database::new().await;
    let options = database.options();
    let all = futures_util::future::join_all((0..6).map(|_| Replica::start(&options))).await;
    let ids: std::collections::BTreeSet<_> =
        all.iter().map(|replica| replica.log.watch().borrow().log_id.clone()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    for (replica, n) in all.iter().zip(1..) {
        assert_eq!(replica.moves("t", n).await, n);
    }
}

#[tokio::test]
async fn a_log_that_went_back_stops_its_replicas() {
    for change in [
        "UPDATE log_head SET epoch = epoch + 1",
        "UPDATE log_head SET next_sequence = next_sequence - 1",
        "UPDATE log_head SET log_id = 'another'",
    ] {
        let (a, b, _database) = two().await;
        a.moves("t", 1).await;
        b.log.current().await.unwrap();
        assert_eq!(a.log.problem(), None);
        a.execute(change).await;
        let error = b.log.current().await.unwrap_err();
        assert!(matches!(&*error, Error::Forked(forked) if forked.known.last() == 1), "{change}: {error:?}");
        for replica in [&a, &b] {
            let error = failure(replica.submit(set("t", 2)).await);
            assert!(matches!(&*error, Error::Forked(_)), "{change}: {error:?}");
            assert!(replica.log.problem().unwrap().contains("went back"));
        }
        assert_eq!(a.sequences().await, [1]);
        // Also when the database is itself again: what was read meanwhile may be gone.
        a.execute("UPDATE log_head SET epoch = 1, next_sequence = 2").await;
        assert!(a.submit(set("t", 3)).await.is_err());
    }
}

/// The database itself refuses to change events.
const UNPROTECTED: &str = "ALTER TABLE events DISABLE TRIGGER USER";

/// Somebody restores a backup that lacks the last events, and a replica that started afterwards writes others.
async fn restore_without(replica: &Replica, dropped: i64, then: i64) {
    let id = replica.log.watch().borrow().log_id.clone();
    let last = replica.log.last() - dropped;
    let mut tx = replica.db.write().await.unwrap();
    tx.execute(UNPROTECTED, vec![]).await.unwrap();
    tx.execute("DELETE FROM events WHERE sequence > $1", vec![last.into()]).await.unwrap();
    tx.execute("UPDATE log_head SET next_sequence = $1", vec![(last + 1).into()]).await.unwrap();
    tx.commit().await.unwrap();
    let (db, clock) = (replica.db.clone(), ManualClock::at(2000 * SECOND).clock());
    let log = Log::open(db, projections(1), clock, Arc::new(Told::default())).await.unwrap();
    for n in 0..then {
        log.submit(Actor::anonymous(), set("other", n)).await.unwrap();
    }
    assert_eq!(log.watch().borrow().log_id, id);
}

#[tokio::test]
async fn a_log_that_went_back_and_grew_past_what_was_known_is_noticed() {
    // Also as many as were lost, and more than are read at once.
    for (lost, then) in [(1, 2), (2, 40), (2, 300), (3, 3)] {
        let (a, _, database) = two().await;
        for n in 0..5 {
            a.moves("t", n).await;
        }
        // Cut off, it does not see the log going back.
        let away = database.proxy(Duration::ZERO);
        let b = Replica::start(&database.options_through(&away)).await;
        b.log.current().await.unwrap();
        away.set_down(true);
        restore_without(&a, lost, then).await;
        away.set_down(false);
        let error = loop {
            match b.log.current().await {
                Err(error) if error.is_unavailable() => {}
                Err(error) => break error,
                Ok(()) => panic!("{lost} lost, {then} written: not noticed"),
            }
        };
        let Error::Forked(forked) = &*error else { panic!("{error:?}") };
        assert_eq!((forked.known.last(), forked.found.last()), (5, 5 - lost + then));
        assert!(b.told.sequences().is_empty(), "of the other log nothing is told");
        assert!(failure(b.submit(set("t", 9)).await).to_string().contains("went back"));
        assert!(b.log.problem().is_some());
    }
}

#[tokio::test]
async fn nothing_is_appended_to_a_log_that_went_back_and_grew() {
    let (a, _, database) = two().await;
    for n in 0..5 {
        a.moves("t", n).await;
    }
    let away = database.proxy(Duration::ZERO);
    let b = Replica::start(&database.options_through(&away)).await;
    away.set_down(true);
    restore_without(&a, 2, 40).await;
    // Waits for the database, and is there before the next look.
    let mut waiting = Box::pin(b.submit(set("t", 9)));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    away.set_down(false);
    let error = failure(waiting.await);
    assert!(matches!(&*error, Error::Forked(_)), "{error:?}");
    assert_eq!(a.sequences().await.len(), 43);
}

#[tokio::test]
async fn a_known_event_that_became_another_is_noticed() {
    let (a, b, _database) = two().await;
    a.moves("t", 1).await;
    b.log.current().await.unwrap();
    a.execute(UNPROTECTED).await;
    a.execute("UPDATE events SET leaf_hash = sha256(leaf_hash)").await;
    let told = b.told.sequences();
    a.moves("t", 2).await;
    let error = b.log.current().await.unwrap_err();
    assert!(error.to_string().contains("has another event 1"), "{error}");
    assert_eq!(b.told.sequences(), told);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_out() {
    for cut in [Cut::BeforeCommit, Cut::DuringCommit, Cut::AfterCommit] {
        let (replica, proxy, _database) = behind_a_proxy().await;
        replica.moves("first", 0).await;
        proxy.cut_next(cut);
        let batch = (0..3).map(|n| replica.submit(set(&format!("t{n}"), n)));
        let outcomes = tokio::task::unconstrained(futures_util::future::join_all(batch)).await;
        assert!(proxy.has_cut());
        let recorded: Vec<_> = outcomes.into_iter().map(|done| done.unwrap().events[0].sequence).collect();
        assert_eq!(recorded, [2, 3, 4], "{cut:?}");
        assert_eq!(replica.sequences().await, [1, 2, 3, 4], "{cut:?}");
        assert_eq!(replica.told.sequences(), [1, 2, 3, 4], "{cut:?}");
        assert_eq!(replica.moves("next", 1).await, 5);
    }
}

#[tokio::test]
async fn a_batch_whose_connection_is_killed_is_appended_again() {
    let (a, b, database) = two().await;
    a.moves("t", 0).await;
    let database = Arc::new(database);
    let is_killed = Arc::new(AtomicUsize::new(0));
    let (killing, kills) = (Arc::clone(&database), Arc::clone(&is_killed));
    let deadly = decide(move |_| {
        if kills.fetch_add(1, Ordering::SeqCst) == 0 {
            let database = Arc::clone(&killing);
            let kill = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(database.disconnect_all());
            };
            std::thread::spawn(kill).join().unwrap();
        }
        Ok(vec![moved("deadly", 1)])
    });
    assert_eq!(a.submit(deadly).await.unwrap().events[0].sequence, 2);
    assert_eq!(is_killed.load(Ordering::SeqCst), 2, "decided again on what is there now");
    assert_eq!(b.moves("t", 2).await, 3);
    a.log.current().await.unwrap();
    assert_eq!(a.told.sequences(), [1, 2, 3]);
    assert_eq!(a.sequences().await, [1, 2, 3]);
}

#[tokio::test]
async fn a_short_absence_of_the_server_is_waited_out_and_reads_say_that_it_is_away() {
    let (replica, proxy, _database) = behind_a_proxy().await;
    replica.moves("t", 0).await;
    proxy.set_down(true);
    let error = replica.log.current().await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    let mut waiting = Box::pin(replica.submit(set("t", 1)));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let error = replica.log.current().await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    proxy.set_down(false);
    assert_eq!(waiting.await.unwrap().events[0].sequence, 2);
    replica.log.current().await.unwrap();
    assert_eq!(replica.told.sequences(), [1, 2]);
}

#[tokio::test]
async fn a_newer_version_rebuilds_the_views_and_the_older_one_stops_writing() {
    let (old, _, database) = two().await;
    old.moves("t", 1).await;
    let forgot = old.told.forgot();
    let new = Replica::of_version(&database.options(), 2).await.unwrap();
    let error = failure(old.submit(set("t", 2)).await);
    assert!(matches!(&*error, Error::Superseded { known: 1, found: 2 }), "{error:?}");
    assert_eq!(new.moves("t", 3).await, 2);
    old.log.current().await.unwrap();
    assert!(old.told.forgot() > forgot, "what it remembers of the old views is void");
    assert!(old.log.problem().unwrap().contains("version 2"));
    assert_eq!(old.told.sequences(), [1, 2]);
    let Err(again) = Replica::of_version(&database.options(), 1).await else { panic!("it is refused") };
    assert!(matches!(again, Error::Superseded { .. }), "{again:?}");
    // Going back is said aloud.
    rebuild(&new.db, &projections(1)).await.unwrap();
    assert_eq!(Replica::start(&database.options()).await.moves("t", 4).await, 3);
}

#[tokio::test]
async fn a_rebuild_by_another_process_makes_a_replica_forget() {
    let (a, b, _database) = two().await;
    a.moves("t", 1).await;
    // Not before both listen: a message nobody hears makes nobody forget.
    while a.told.forgot() == 0 || b.told.forgot() == 0 {
        tokio::task::yield_now().await;
    }
    rebuild(&a.db, &projections(1)).await.unwrap();
    while a.told.forgot() < 2 || b.told.forgot() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn too_many_missed_events_are_not_read_one_by_one() {
    let (a, b, _database) = two().await;
    a.moves("t", 1).await;
    b.log.current().await.unwrap();
    let forgot = b.told.forgot();
    let copy = "INSERT INTO events SELECT sequence + n, type, recorded_at, actor, repository, subject, command_id, \
                header, payload, salt, leaf_hash FROM events, generate_series(1, 10001) n";
    a.execute(copy).await;
    a.execute("UPDATE log_head SET next_sequence = 10003").await;
    b.log.current().await.unwrap();
    assert_eq!((b.log.last(), b.told.sequences()), (10_002, vec![1]));
    assert!(b.told.forgot() > forgot);
}

#[tokio::test]
async fn an_event_of_a_newer_kind_is_passed_over_and_everything_forgotten() {
    let (a, b, _database) = two().await;
    a.moves("t", 1).await;
    b.log.current().await.unwrap();
    let forgot = b.told.forgot();
    let strange = "INSERT INTO events SELECT 2, 'v9.new.thing', recorded_at, actor, repository, subject, \
                   command_id, header, payload, salt, leaf_hash FROM events";
    a.execute(strange).await;
    a.execute("UPDATE log_head SET next_sequence = 3").await;
    b.log.current().await.unwrap();
    assert_eq!((b.log.last(), b.told.sequences()), (2, vec![1]));
    assert!(b.told.forgot() > forgot);
    assert_eq!(a.moves("t", 2).await, 3);
}

#[tokio::test]
async fn a_database_that_a_copy_has_not_finished_is_refused() {
    let (a, _, database) = two().await;
    a.execute("UPDATE log_head SET epoch = 0").await;
    let Err(error) = Replica::of_version(&database.options(), 1).await else { panic!("it is refused") };
    assert!(matches!(error, Error::Unfinished), "{error:?}");
}

#[tokio::test]
async fn the_same_history_leads_to_the_same_state_on_both_engines() {
    let embedded = Fixture::new(On::Sqlite).await;
    let id = Head::read(&embedded.db).await.unwrap().log_id;
    let place = Place::new(On::Postgres).await;
    let db = place.open(Access::Create).await;
    let mut tx = db.write().await.unwrap();
    tx.execute("INSERT INTO log_head VALUES (1, $1, 1, 1, 0, 0)", vec![id.into()]).await.unwrap();
    tx.commit().await.unwrap();
    let told = Arc::new(Told::default());
    let log = Log::open(db.clone(), projections(1), embedded.clock.clock(), told).await.unwrap();
    for n in 0..60 {
        embedded.clock.advance(SECOND);
        let is_delete = n % 7 == 6;
        let facts = move |_: &Rows| {
            let (repository, digest) = ("r".parse().unwrap(), content(n - 6));
            let deleted = ManifestDeleted { repository, content: content(n - 6), digest, tags: vec![] };
            Ok(if is_delete { vec![deleted.into()] } else { vec![moved(&format!("T{}-x", n % 11), n)] })
        };
        embedded.submit(decide(facts)).await.unwrap();
        log.submit(Actor::anonymous(), decide(facts)).await.unwrap();
    }
    let shared = digest(&mut db.snapshot().await.unwrap(), &projections(1)).await.unwrap();
    assert_eq!(embedded.state().await, shared);
    let scratch = TempDir::new().unwrap();
    let (replayed, live) = check(&db, &projections(1), scratch.path()).await.unwrap();
    assert_eq!((replayed.state, live), (shared.clone(), shared));
}

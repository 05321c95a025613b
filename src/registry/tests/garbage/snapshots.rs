//! Snapshots of the views: which are kept, and that what is kept stays.

use super::*;
use crate::registry::maintenance::Maintenance;
use crate::registry::{SnapshotOptions, replay_check_with};

on_both![
    the_newest_two_are_kept_and_what_comes_before_goes,
    a_snapshot_that_is_kept_is_no_orphan_and_one_that_is_not_is,
    an_emptied_database_begins_with_the_newest,
    one_is_written_when_so_many_events_were_recorded,
    one_replica_writes_at_a_time,
    a_snapshot_whose_storage_fails_leaves_nothing_on_record,
    a_snapshot_that_breaks_off_leaves_no_staged_bytes,
    a_snapshot_that_the_log_refuses_leaves_no_object,
];

impl Shop {
    async fn snapshot(&self) -> String {
        self.registry.snapshot().await.unwrap().expect("nobody else is at it").object.key
    }

    async fn kept(&self) -> Vec<String> {
        self.registry.snapshots().await.unwrap().into_iter().map(|snapshot| snapshot.object.key).collect()
    }

    async fn stored(&self) -> Vec<String> {
        let keys = self.objects().await.into_iter().map(|object| object.key.to_string());
        let mut keys: Vec<_> = keys.filter(|key| key.starts_with("snapshots/")).collect();
        // As they are listed: by when they were made, the newest first.
        keys.sort_by_key(|key| std::cmp::Reverse(key.rsplit_once('.').unwrap().1.to_owned()));
        keys
    }

    /// What the newest snapshot and the events after it lead to is what is there.
    async fn check_snapshot(&self) -> i64 {
        let scratch = TempDir::new().unwrap();
        let data = DataPlane::new(Arc::new(self.backend.clone()));
        let checked = replay_check_with(&self.db, scratch.path(), Some(&data), &mut |_| {}).await.unwrap();
        let Check::Compared { replayed, live } = checked else { panic!("{checked:?}") };
        assert_eq!(replayed.state, live);
        replayed.from
    }
}

async fn the_newest_two_are_kept_and_what_comes_before_goes(on: On) {
    let shop = Shop::new(on).await;
    let mut written = Vec::new();
    for n in 0..4 {
        shop.push("a", &format!("content {n}")).await;
        written.insert(0, shop.snapshot().await);
        written.truncate(2);
        assert_eq!((shop.kept().await, shop.stored().await), (written.clone(), written.clone()));
    }
    let newest = shop.registry.snapshots().await.unwrap().remove(0);
    assert_eq!(shop.check_snapshot().await, newest.sequence);
    shop.check().await;
    let data = DataPlane::new(Arc::new(shop.backend.clone()));
    let verified = verify(&shop.db, &data, |_| ()).await.unwrap();
    assert_eq!((verified.snapshots, verified.unusable), (2, vec![]));
}

async fn a_snapshot_that_is_kept_is_no_orphan_and_one_that_is_not_is(on: On) {
    let shop = Shop::new(on).await;
    shop.push("a", "content").await;
    let kept = shop.snapshot().await;
    // Of a process that ended before the event.
    let other = shop.orphan(0).await.to_string().replace("blake3/ab/cd/", "snapshots/");
    shop.backend.put(&other.parse().unwrap(), Bytes::from_static(b"half")).await.unwrap();
    for _ in 0..3 {
        shop.after(8 * DAY).await;
    }
    assert_eq!(shop.stored().await, std::slice::from_ref(&kept));
    assert_eq!(shop.kept().await, [kept]);
    shop.check_snapshot().await;
}

async fn an_emptied_database_begins_with_the_newest(on: On) {
    let mut shop = Shop::new(on).await;
    let digest = shop.push("a", "content").await;
    shop.snapshot().await;
    shop.push("a", "more").await;
    let projections = views::projections();
    let state =
        async |db: &Db| events::digest(&mut db.snapshot().await.unwrap(), &projections).await.unwrap();
    let live = state(&shop.db).await;
    let mut tx = shop.db.write().await.unwrap();
    for table in projections.tables() {
        tx.clear(table).await.unwrap();
    }
    tx.commit().await.unwrap();
    // As if the log alone had been restored: its head says that the views are of this version.
    shop.restart().await;
    assert_eq!(state(&shop.db).await, live);
    assert!(shop.has("a", &digest).await);
    assert!(shop.check_snapshot().await > 0);
    // And without its object from event 1.
    for key in shop.stored().await {
        shop.backend.delete(&key.parse().unwrap(), None).await.unwrap();
    }
    assert_eq!(shop.check_snapshot().await, 0);
    let data = DataPlane::new(Arc::new(shop.backend.clone()));
    let verified = verify(&shop.db, &data, |_| ()).await.unwrap();
    assert_eq!((verified.faults.len(), verified.unusable.len()), (0, 1));
}

async fn one_is_written_when_so_many_events_were_recorded(on: On) {
    let clock = ManualClock::at(Clock::system().now());
    let backend = Faulty::new(Arc::new(Memory::with_clock(clock.clock())));
    let options = Options { snapshots: SnapshotOptions { every: 10 }, ..Options::default() };
    let shop = Shop::over(on, clock, backend, options).await;
    let mut taken = Vec::new();
    for n in 0..20 {
        shop.push("a", &format!("content {n}")).await;
        let last = shop.registry.last_sequence();
        if let Some(snapshot) = shop.registry.snapshot_if_due().await.unwrap() {
            assert_eq!(snapshot.sequence, last);
            taken.push(last);
        }
    }
    assert!(taken.len() >= 3, "{taken:?}");
    assert!(taken.windows(2).all(|pair| (10..13).contains(&(pair[1] - pair[0]))), "{taken:?}");
    assert_eq!(shop.stored().await.len(), 2);
}

async fn one_replica_writes_at_a_time(on: On) {
    let shop = Shop::new(on).await;
    let (maintenance, now) = (Maintenance::new(&shop.db), shop.clock.clock().now());
    let lease = maintenance.claim("snapshot", "another", now).await.unwrap().expect("it is free");
    assert!(shop.registry.snapshot().await.unwrap().is_none());
    assert_eq!(shop.stored().await, [""; 0]);
    lease.release(now).await.unwrap();
    shop.snapshot().await;
}

async fn a_snapshot_whose_storage_fails_leaves_nothing_on_record(on: On) {
    let shop = Shop::new(on).await;
    shop.push("a", "content").await;
    let before = shop.registry.last_sequence();
    shop.faults.arm(
        Op::Put,
        1,
        crate::storage::testing::Fault::Fail(Cause::Kind(std::io::ErrorKind::TimedOut)),
    );
    shop.registry.snapshot().await.unwrap_err();
    shop.faults.disarm();
    assert_eq!((shop.registry.last_sequence(), shop.kept().await), (before, vec![]));
    // The lease was given back.
    shop.snapshot().await;
}

impl Shop {
    /// Makes the views larger than what is kept in memory before it is staged, however it is compressed.
    async fn grow(&self) {
        let noise = |row: i64| {
            let digest = |n: i64| sha256(&Bytes::from((row * 1000 + n).to_string())).hex().to_owned();
            (0..64).map(digest).collect::<String>()
        };
        let mut tx = self.db.write().await.unwrap();
        for row in 0..600 {
            let args = vec![format!("t{row}").into(), noise(row).into()];
            tx.execute("INSERT INTO tags VALUES ('a', $1, $2, '', 0, 0)", args).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
}

async fn a_snapshot_that_breaks_off_leaves_no_staged_bytes(on: On) {
    let shop = Shop::new(on).await;
    shop.push("a", "content").await;
    shop.grow().await;
    let gone = Cause::Kind(std::io::ErrorKind::TimedOut);
    for (op, nth, cause) in [
        (Op::Append, 1, Cause::NoSpace),
        (Op::Append, 2, gone),
        (Op::Publish, 1, Cause::Broken),
        (Op::Publish, 1, gone),
    ] {
        let before = shop.faults.calls(op);
        shop.faults.arm(op, nth, crate::storage::testing::Fault::Fail(cause));
        shop.registry.snapshot().await.unwrap_err();
        assert_eq!(shop.faults.calls(op), before + nth, "it came so far");
        assert_eq!(shop.backend.leftovers(10).await.unwrap(), [], "{op:?} {nth} {cause:?}");
    }
    assert_eq!((shop.stored().await, shop.kept().await), (vec![], vec![]));
    shop.snapshot().await;
}

async fn a_snapshot_that_the_log_refuses_leaves_no_object(on: On) {
    let shop = Shop::new(on).await;
    shop.push("a", "content").await;
    let refuse: &[&str] = match on {
        On::Sqlite => &["CREATE TRIGGER refused BEFORE INSERT ON events \
             WHEN NEW.type = 'v1.snapshot.created' BEGIN SELECT RAISE(ABORT, 'refused'); END"],
        On::Postgres => &[
            "CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation'; END $$",
            "CREATE TRIGGER refused BEFORE INSERT ON events FOR EACH ROW \
             WHEN (NEW.type = 'v1.snapshot.created') EXECUTE FUNCTION refused()",
        ],
    };
    let mut tx = shop.db.write().await.unwrap();
    for sql in refuse {
        tx.execute(sql, vec![]).await.unwrap();
    }
    tx.commit().await.unwrap();
    let refused = shop.registry.snapshot().await.unwrap_err();
    assert!(matches!(refused, Error::Log(_)), "{refused:?}");
    assert_eq!((shop.stored().await, shop.kept().await), (vec![], vec![]));
    let mut tx = shop.db.write().await.unwrap();
    let table = if on == On::Postgres { "DROP TRIGGER refused ON events" } else { "DROP TRIGGER refused" };
    tx.execute(table, vec![]).await.unwrap();
    tx.commit().await.unwrap();
    shop.snapshot().await;
}

//! The way to the database breaks, at any statement and above all around COMMIT.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::crowd::{Crowd, Habits};
use crate::plan::{Plan, shared_database};
use crate::postgres::Postgres;
use crate::proxy::{DatabaseFault, DatabaseFaults, Proxy};
use crate::seed;
use crate::support::{Answer, Content, IMAGE, Random, alone, eventually, image, push, sha256};
use crate::tail::Tail;

const SMALL: Content = Content { seed: 1, length: 1000 };

struct Lab {
    cluster: Cluster,
    proxy: Proxy<DatabaseFaults>,
}

impl Lab {
    fn start(replicas: usize, seed: u64) -> Self {
        let proxy = Proxy::start(shared_database().address, DatabaseFaults::new(seed));
        let cluster = Plan::new().database_through(proxy.address).start(replicas);
        Self { cluster, proxy }
    }

    fn put(&self, tag: &str, bytes: &[u8]) -> Answer {
        let path = format!("/v2/some/app/manifests/{tag}");
        self.cluster.client(0).send("PUT", &path, &[("content-type", IMAGE)], bytes).unwrap()
    }
}

#[test]
fn connections_cut_at_random_statements_lose_nothing_that_was_acknowledged() {
    let _alone = alone();
    let seed = seed();
    let lab = Lab::start(3, seed);
    let crowd = Crowd::new(&lab.cluster, seed);
    let tail = Tail::open(&lab.cluster.database.place.at(lab.proxy.address));
    let begun = Instant::now();
    crowd.push(Habits { clients: 16, steps: 12, large: 20 }, || {
        let faults = &lab.proxy.faults;
        faults.arm(DatabaseFault::AtAny, 4, u64::MAX);
        for fault in [DatabaseFault::BeforeCommit, DatabaseFault::AtCommit, DatabaseFault::AfterCommit] {
            faults.arm(fault, 30, u64::MAX);
        }
    });
    let struck = lab.proxy.faults.disarm();
    println!("{struck} connections were cut in {:.0?}: {}", begun.elapsed(), crowd.report());
    assert!(struck > 30, "{struck}");
    crowd.expect_patience();
    crowd.check();
    tail.expect(&lab.cluster.database.log());
    let events = lab.cluster.check();
    println!("{events} events");
}

/// An administrator, a failover, a firewall: all at once, those that wait for a notification among them.
#[test]
fn replicas_and_readers_survive_that_the_server_ends_every_connection() {
    let _alone = alone();
    let seed = seed();
    let mut random = Random::new(seed);
    let cluster = Plan::new().start(2);
    let crowd = Crowd::new(&cluster, seed);
    let tail = Tail::open(&cluster.database.place);
    crowd.push(Habits { clients: 8, steps: 1, large: 20 }, || {
        for _ in 0..8 {
            let target = crowd.acknowledged() + 1 + random.below(30);
            eventually("the clients to be served", || (crowd.acknowledged() >= target).then_some(()));
            cluster.database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
        }
    });
    println!("{}", crowd.report());
    crowd.expect_patience();
    crowd.check();
    tail.expect(&cluster.database.log());
    cluster.check();
}

/// The replica asks the log itself whether its command is in it, and its client gets one answer.
#[test]
fn a_command_whose_commit_has_no_answer_is_recorded_once_or_not_at_all() {
    let _alone = alone();
    let lab = Lab::start(1, seed());
    push(&mut lab.cluster.client(0), "some/app", SMALL).unwrap().expect(201);
    let count = || lab.cluster.database.log().len();
    let faults = [DatabaseFault::BeforeCommit, DatabaseFault::AtCommit, DatabaseFault::AfterCommit];
    for (number, fault) in faults.into_iter().cycle().take(12).enumerate() {
        let bytes = image(&SMALL.digest(), SMALL.length, &format!("{fault:?} {number}"));
        let tag = format!("t{number}");
        let before = count();
        lab.proxy.faults.arm(fault, 1000, 1);
        let answer = lab.put(&tag, &bytes);
        assert_eq!(lab.proxy.faults.disarm(), 1, "{fault:?} struck");
        let shown = lab.cluster.client(0).get(&format!("/v2/some/app/manifests/{tag}")).unwrap();
        match answer.status {
            201 => assert_eq!(shown.expect(200).body, bytes, "{fault:?}"),
            503 => assert!(answer.header("retry-after").is_some(), "{fault:?}: {answer:?}"),
            _ => panic!("{fault:?}: {answer:?}"),
        }
        // Pushed and tagged: two events, however often it was tried.
        lab.put(&tag, &bytes).expect(201);
        assert_eq!(count(), before + 2, "{fault:?}");
    }
    lab.cluster.check();
}

#[test]
fn every_commit_of_an_upload_may_be_cut_and_its_client_ends_with_its_blob() {
    let _alone = alone();
    let seed = seed();
    let lab = Lab::start(2, seed);
    let crowd = Crowd::new(&lab.cluster, seed);
    crowd.push(Habits { clients: 6, steps: 3, large: 400 }, || {
        lab.proxy.faults.arm(DatabaseFault::AfterCommit, 200, u64::MAX);
        lab.proxy.faults.arm(DatabaseFault::AtAny, 5, u64::MAX);
    });
    println!("{} connections were cut: {}", lab.proxy.faults.disarm(), crowd.report());
    crowd.expect_patience();
    crowd.check();
    lab.cluster.check_sweep();
    lab.cluster.check();
}

#[test]
fn a_database_that_is_away_for_a_while_is_told_to_clients_and_comes_back_by_itself() {
    let _alone = alone();
    let postgres = Postgres::start();
    let cluster = Plan::new().database(postgres.admin()).set("DATABASE_CONNECT_TIMEOUT", "2s").start(2);
    push(&mut cluster.client(0), "some/app", SMALL).unwrap().expect(201);
    let blob = format!("/v2/some/app/blobs/{}", SMALL.digest());
    postgres.stop();
    for replica in 0..2 {
        let begun = Instant::now();
        let answers = [
            push(&mut cluster.client(replica), "some/app", Content { seed: 2, ..SMALL }).unwrap(),
            cluster.client(replica).get(&blob).unwrap(),
            cluster.client(replica).send("POST", "/v2/some/app/blobs/uploads/", &[], b"").unwrap(),
        ];
        for answer in answers {
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            cluster.keeps_secrets(&String::from_utf8_lossy(&answer.body));
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        let ready = cluster.client(replica).get("/readyz").unwrap().expect(503);
        cluster.keeps_secrets(&String::from_utf8_lossy(&ready.body));
        cluster.client(replica).get("/livez").unwrap().expect(200);
    }
    postgres.again();
    for replica in 0..2 {
        eventually("the replica to be ready again", || {
            let answer = cluster.client(replica).get("/readyz").unwrap();
            (answer.status == 200).then_some(())
        });
        cluster.client(replica).get(&blob).unwrap().expect(200);
        push(&mut cluster.client(replica), "some/app", Content { seed: 3, ..SMALL }).unwrap().expect(201);
    }
    cluster.check();
}

/// Somebody restored an older copy under the running replicas: they must not number events anew.
#[test]
fn a_log_that_went_back_is_noticed_and_not_written_to() {
    let _alone = alone();
    let cluster = Plan::new().start(2);
    let bytes = image(&SMALL.digest(), SMALL.length, "");
    for replica in 0..2 {
        push(&mut cluster.client(replica), "some/app", SMALL).unwrap().expect(201);
        let path = format!("/v2/some/app/manifests/{}", sha256(&bytes));
        cluster.client(replica).send("PUT", &path, &[("content-type", IMAGE)], &bytes).unwrap().expect(201);
    }
    cluster.database.execute("UPDATE log_head SET epoch = epoch + 1");
    for replica in 0..2 {
        let refused = push(&mut cluster.client(replica), "some/app", Content { seed: 9, ..SMALL }).unwrap();
        assert!((500..600).contains(&refused.status), "{refused:?}");
        let ready = cluster.client(replica).get("/readyz").unwrap();
        assert_eq!(ready.status, 503, "{ready:?}");
    }
    // A replica that starts now knows only the log as it is.
    for replica in 0..2 {
        cluster.kill(replica);
        cluster.start_again(replica);
        push(&mut cluster.client(replica), "some/app", Content { seed: 9, ..SMALL }).unwrap().expect(201);
    }
    cluster.check();
}

/// What a replica answers does not depend on how far the database is, only when.
#[test]
fn a_longer_way_to_the_database_changes_no_answer() {
    let _alone = alone();
    let seed = seed();
    let lab = Lab::start(2, seed);
    lab.proxy.faults.set_delay(Duration::from_millis(1));
    let crowd = Crowd::new(&lab.cluster, seed);
    crowd.push(Habits { clients: 16, steps: 4, large: 0 }, || {});
    println!("{}", crowd.report());
    crowd.expect_patience();
    crowd.check();
    lab.cluster.check();
}

//! Replicas are killed and the database crashes while many clients push.

use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::{Crowd, Habits};
use crate::plan::Plan;
use crate::postgres::{Postgres, Restart};
use crate::seed;
use crate::support::{Random, alone, eventually, setting};
use crate::tail::Tail;

const REPLICAS: usize = 3;

/// A lock that is waited for in vain, and a little more.
const HELD_UP: Duration = Duration::from_secs(15);

#[test]
fn nothing_acknowledged_is_lost_in_a_few_kills() {
    storm(Habits { clients: 16, steps: 3, large: 20 }, setting("REPLICAS_KILLS", 3).min(3));
}

#[test]
#[ignore = "minutes; run with --include-ignored"]
fn nothing_acknowledged_is_lost_in_a_storm() {
    storm(Habits { clients: 64, steps: 6, large: 30 }, setting("REPLICAS_KILLS", 12));
}

fn storm(habits: Habits, kills: u64) {
    let _alone = alone();
    let seed = seed();
    let mut random = Random::new(seed);
    let postgres = Postgres::start();
    let cluster = Plan::new().database(postgres.admin()).start(REPLICAS);
    let crowd = Crowd::new(&cluster, seed);
    let tails: Vec<_> = (0..REPLICAS).map(|_| Tail::open(&cluster.database.place)).collect();
    let begun = Instant::now();
    crowd.push(habits, || {
        for kill in 1..=kills {
            // A random number of acknowledgements and then a random moment: in the middle of whatever comes next.
            let target = crowd.acknowledged() + random.below(4 * habits.clients);
            eventually("the clients to be served", || (crowd.acknowledged() >= target).then_some(()));
            thread::sleep(Duration::from_micros(random.below(300_000)));
            let victim = usize::try_from(random.below(REPLICAS as u64)).unwrap();
            cluster.kill(victim);
            // In the middle and at the end, so that the crowd meets both with other replicas up and starting.
            if kill == kills.div_ceil(2) {
                postgres.restart(Restart::Immediate);
            } else if kill == kills {
                postgres.restart(Restart::Fast);
            }
            cluster.start_again(victim);
        }
    });
    println!("{kills} kills and 2 restarts of the database in {:.0?}: {}", begun.elapsed(), crowd.report());
    crowd.expect_patience();
    crowd.check();
    println!("every push is there after {:.0?}", begun.elapsed());
    let log = cluster.database.log();
    for tail in tails {
        tail.expect(&log);
    }
    cluster.check_sweep();
    cluster.check();
    println!("{} events, the same for {REPLICAS} readers; checked after {:.0?}", log.len(), begun.elapsed());
}

/// Whatever it holds, a lock of the log among it, the others get on.
#[test]
fn a_replica_that_stands_still_holds_nobody_up() {
    let _alone = alone();
    let seed = seed();
    let mut random = Random::new(seed);
    let cluster = Plan::new().start(REPLICAS);
    let crowd = Crowd::new(&cluster, seed);
    let mut slowest = Duration::ZERO;
    crowd.push(Habits { clients: 16, steps: 1, large: 20 }, || {
        for _ in 0..5 {
            let target = crowd.acknowledged() + random.below(30);
            eventually("the clients to be served", || (crowd.acknowledged() >= target).then_some(()));
            thread::sleep(Duration::from_micros(random.below(50_000)));
            let victim = usize::try_from(random.below(REPLICAS as u64)).unwrap();
            cluster.pause(victim);
            let (begun, target) = (Instant::now(), crowd.acknowledged() + 20);
            eventually("the other replicas to get on", || (crowd.acknowledged() >= target).then_some(()));
            slowest = slowest.max(begun.elapsed());
            cluster.go_on(victim);
        }
    });
    println!("the others got on after {slowest:.1?} at most: {}", crowd.report());
    assert!(slowest < HELD_UP, "{slowest:?}");
    crowd.expect_patience();
    crowd.check();
    cluster.check();
}

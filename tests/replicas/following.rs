//! Those who follow the log of several replicas, one after the other, while the replicas are killed.

use std::thread;
use std::time::Duration;

use crate::followers::{followed, head};
use crate::plan::Plan;
use crate::seed;
use crate::support::{Random, alone, eventually, setting};

const REPLICAS: usize = 3;

#[test]
fn every_consumer_sees_every_event_once_and_in_order_whichever_replica_it_asks() {
    followed_over_kills(setting("REPLICAS_KILLS", 3).min(3));
}

#[test]
#[ignore = "minutes; run with --include-ignored"]
fn every_consumer_sees_every_event_once_and_in_order_over_many_kills() {
    followed_over_kills(setting("REPLICAS_KILLS", 20));
}

fn followed_over_kills(kills: u64) {
    let _alone = alone();
    let seed = seed();
    let cluster = Plan::new().start(REPLICAS);
    let any = |random: &mut Random| cluster.address(usize::try_from(random.below(REPLICAS as u64)).unwrap());
    followed(seed, kills, any, || {
        let mut random = Random::new(seed);
        for kill in 0..kills {
            let victim = usize::try_from(random.below(REPLICAS as u64)).unwrap();
            let target = head(&mut cluster.client(victim)) + 30 + random.below(60);
            eventually("events", || (head(&mut cluster.client(victim)) >= target).then_some(()));
            thread::sleep(Duration::from_micros(random.below(100_000)));
            if kill % 4 == 3 {
                cluster.stop(victim);
            } else {
                cluster.kill(victim);
            }
            cluster.start_again(victim);
        }
    });
    cluster.check();
}

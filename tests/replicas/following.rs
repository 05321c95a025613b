//! Those who follow the log of several replicas, one after the other, while the replicas are killed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::followers::{FRAMINGS, Follower, head, write};
use crate::plan::Plan;
use crate::seed;
use crate::support::{Content, Random, alone, eventually, push, setting};

const REPLICAS: usize = 3;
const WRITERS: u64 = 8;
const FOLLOWERS: u64 = 10;

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
    let (ends, last) = (AtomicBool::new(false), AtomicU64::new(0));
    let (acknowledged, followers) = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (ends, any) = (&ends, &any);
                scope.spawn(move || write(number, seed ^ (number + 1), ends, any))
            })
            .collect();
        let followers: Vec<_> = (0..FOLLOWERS)
            .map(|number| {
                let framing = FRAMINGS[usize::try_from(number).unwrap() % FRAMINGS.len()];
                let (last, any) = (&last, &any);
                scope.spawn(move || {
                    let mut follower = Follower::new(framing, seed ^ (100 + number));
                    follower.run(last, any);
                    follower
                })
            })
            .collect();
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
        ends.store(true, Ordering::SeqCst);
        let acknowledged: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        last.store(head(&mut cluster.client(0)), Ordering::SeqCst);
        push(&mut cluster.client(0), "last", Content { seed, length: 64 }).unwrap().expect(201);
        (acknowledged, followers.into_iter().map(|follower| follower.join().unwrap()).collect::<Vec<_>>())
    });
    let last = usize::try_from(last.load(Ordering::SeqCst)).unwrap();
    let cuts: u64 = followers.iter().map(|follower| follower.cuts).sum();
    println!("{last} events over {kills} kills, {acknowledged} pushes acknowledged, {cuts} connections cut");
    assert!(last as u64 >= acknowledged && acknowledged > kills && cuts > FOLLOWERS);
    for follower in &followers {
        assert_eq!(follower.seen[..last], followers[0].seen[..last]);
    }
    cluster.check();
}

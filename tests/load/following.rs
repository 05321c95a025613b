//! Those who follow the log: however they are cut off, and however slow they are.

use std::net::SocketAddr;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::followers::{Body, FRAMINGS, Follower, head, write};
use crate::support::{Client, Content, Random, Server, alone, expect_fine, folder, push, setting};

const WRITERS: u64 = 8;

/// Two of each framing.
const FOLLOWERS: u64 = 10;

#[test]
fn every_consumer_sees_every_event_once_and_in_order_over_kills() {
    followed_over_kills(setting("LOAD_KILLS", 3).min(3));
}

#[test]
#[ignore = "minutes; run with --include-ignored"]
fn every_consumer_sees_every_event_once_and_in_order_over_many_kills() {
    followed_over_kills(setting("LOAD_KILLS", 20));
}

fn followed_over_kills(kills: u64) {
    let _alone = alone();
    let folder = folder();
    let data = folder.path().join("data");
    let seed = setting("LOAD_SEED", u64::from(std::process::id()));
    println!("seed {seed}");
    let mut server = Server::start(&data);
    let address = RwLock::new(server.address);
    let current = |_: &mut Random| -> SocketAddr { *address.read().unwrap() };
    let (ends, last) = (AtomicBool::new(false), AtomicU64::new(0));
    let (server, acknowledged, followers) = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (ends, current) = (&ends, &current);
                scope.spawn(move || write(number, seed ^ (number + 1), ends, current))
            })
            .collect();
        let followers: Vec<_> = (0..FOLLOWERS)
            .map(|number| {
                let framing = FRAMINGS[usize::try_from(number).unwrap() % FRAMINGS.len()];
                let (last, current) = (&last, &current);
                scope.spawn(move || {
                    let mut follower = Follower::new(framing, seed ^ (100 + number));
                    follower.run(last, current);
                    follower
                })
            })
            .collect();
        let mut random = Random::new(seed);
        for kill in 0..kills {
            let target = head(&mut server.client()) + 50 + random.below(100);
            crate::support::eventually("events", || (head(&mut server.client()) >= target).then_some(()));
            // Mostly killed, and now and then told to stop.
            if kill % 4 == 3 {
                server.stop();
            } else {
                server.kill();
            }
            server = Server::start(&data);
            *address.write().unwrap() = server.address;
        }
        ends.store(true, Ordering::SeqCst);
        let acknowledged: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        // One more after the last that counts wakes those who wait.
        last.store(head(&mut server.client()), Ordering::SeqCst);
        push(&mut server.client(), "last", Content { seed, length: 64 }).unwrap().expect(201);
        let followers = followers.into_iter().map(|follower| follower.join().unwrap());
        (server, acknowledged, followers.collect::<Vec<_>>())
    });
    let last = usize::try_from(last.load(Ordering::SeqCst)).unwrap();
    let cuts: u64 = followers.iter().map(|follower| follower.cuts).sum();
    println!("{last} events over {kills} kills, {acknowledged} pushes acknowledged, {cuts} connections cut");
    assert!(last as u64 >= acknowledged && acknowledged > kills && cuts > FOLLOWERS);
    for follower in &followers {
        assert_eq!(follower.seen[..last], followers[0].seen[..last]);
    }
    server.stop();
    expect_fine(&data, &["replay", "--check"]);
}

#[test]
fn a_consumer_that_stops_reading_and_returns_loses_nothing_and_stops_nobody() {
    stalled(Duration::from_secs(3));
}

#[test]
#[ignore = "minutes; run with --include-ignored"]
fn a_consumer_that_stops_reading_for_a_minute_and_returns_loses_nothing_and_stops_nobody() {
    stalled(Duration::from_mins(1));
}

fn stalled(pause: Duration) {
    // Packages whose events are too much for any buffer on the way.
    const EACH: usize = 200_000;
    const AT_LEAST: u64 = 100;
    let _alone = alone();
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let path = "/v2/_artifactstore/events?since=0";
    let mut stream = Body::open(server.address, path, "application/x-ndjson", None, u64::MAX).unwrap();
    assert!(stream.line().unwrap().unwrap().contains("bookmark"));
    let metadata: serde_json::Map<_, _> =
        (0..4).map(|n| (format!("k{n}"), "x".repeat(EACH / 4).into())).collect();
    let package = serde_json::json!({ "metadata": metadata }).to_string();
    let (ends, is_over) = (AtomicBool::new(false), std::time::Instant::now() + pause);
    let created = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut client, mut created) = (server.client(), 0);
            while !ends.load(Ordering::SeqCst) || created < AT_LEAST {
                create(&mut client, &package);
                created += 1;
            }
            created
        });
        thread::sleep(is_over.saturating_duration_since(std::time::Instant::now()));
        ends.store(true, Ordering::SeqCst);
        writer.join().unwrap()
    });
    let last = head(&mut server.client());
    // What was on its way is still good; where the server gave the connection up, a new one goes on behind it.
    let mut at = 0;
    while at < last {
        if let Ok(Some(line)) = stream.line() {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if let Some(sequence) = line["sequence"].as_u64() {
                assert_eq!(sequence, at + 1);
                at = sequence;
            }
        } else {
            println!("the connection was given up behind event {at} of {last}");
            let path = format!("/v2/_artifactstore/events?since={at}");
            stream = Body::open(server.address, &path, "application/x-ndjson", None, u64::MAX).unwrap();
        }
    }
    println!("{created} packages while nobody read, peak memory {:.0} MiB", server.peak_memory());
    assert!(server.peak_memory() < 256.0, "{:.0} MiB", server.peak_memory());
    server.stop();
}

fn create(client: &mut Client, package: &str) {
    let headers = [("content-type", "application/json")];
    let path = "/v2/slow/_artifactstore/packages";
    client.send("POST", path, &headers, package.as_bytes()).unwrap().expect(201);
}

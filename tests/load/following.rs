//! Those who follow the log: however they are cut off, and however slow they are.

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::followers::{Body, followed, head};
use crate::support::{Client, Random, Server, alone, eventually, expect_fine, folder, setting};

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
    let current = |_: &mut Random| *address.read().unwrap();
    let server = followed(seed, kills, current, || {
        let mut random = Random::new(seed);
        for kill in 0..kills {
            let target = head(&mut server.client()) + 50 + random.below(100);
            eventually("events", || (head(&mut server.client()) >= target).then_some(()));
            // Mostly killed, and now and then told to stop.
            if kill % 4 == 3 {
                server.stop();
            } else {
                server.kill();
            }
            server = Server::start(&data);
            *address.write().unwrap() = server.address;
        }
        server
    });
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

//! Collection beside everything else, without any grace: only the protocol is between a push and its loss.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use artifactstore::db::{self, Access, Db};

use crate::churn::{HASTY, LONG, WORKERS, Worker, collect, end, work};
use crate::support::{
    Content, IMAGE, Server, alone, expect_fine, folder, image, objects, push, setting, sha256,
};

/// How often the process is killed.
const KILLS: u64 = 3;

/// Blobs or links that one event of a collection is about, at most.
const BATCH: u64 = 64;

fn start(data: &Path) -> Server {
    Server::start_with(data, |command| {
        command.envs(HASTY.map(|(name, value)| (format!("ARTIFACTSTORE_{name}"), value)))
    })
}

#[test]
fn what_was_acknowledged_stays_while_everything_else_is_collected() {
    let _alone = alone();
    let folder = folder();
    let data = folder.path().join("data");
    let server = start(&data);
    let seconds = setting("LOAD_GC_SECONDS", 8);
    let mut workers: Vec<Worker> = (0..WORKERS).map(|number| Worker::new(server.client(), number)).collect();
    let alone = work(Vec::new(), &mut workers, seconds.div_ceil(4));
    let beside = work(vec![server.client()], &mut workers, seconds);
    assert!(beside.runs > 2 && beside.pushes > 0, "{beside:?}");
    let ratio = beside.slow.as_secs_f64() / alone.slow.as_secs_f64();
    println!("p99 of a push beside collections: {ratio:.2} times");
    end(&mut server.client(), &mut workers);
    assert_eq!(objects(&data.join("storage")), [""; 0], "nothing names anything any more");
    server.stop();
    expect_fine(&data, &["verify"]);
    expect_fine(&data, &["replay", "--check"]);
}

#[test]
fn some_garbage_is_collected_over_kills() {
    killed_while_collecting(600);
}

#[test]
#[ignore = "minutes; run with --include-ignored"]
fn much_garbage_is_collected_over_kills_in_128_mib() {
    killed_while_collecting(setting("LOAD_GARBAGE", 10_000));
}

fn killed_while_collecting(count: u64) {
    let _alone = alone();
    let folder = folder();
    let data = folder.path().join("data");
    let mut server = start(&data);
    thread::scope(|scope| {
        for from in 0..4 {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.client();
                for seed in (0..count).filter(|seed| seed % 4 == from) {
                    push(&mut client, "heap", Content { seed, length: 64 }).unwrap().expect(201);
                }
            });
        }
    });
    let kept = Content { seed: count, length: 100 };
    push(&mut server.client(), "heap", kept).unwrap().expect(201);
    let manifest = image(&kept.digest(), kept.length, "kept");
    let path = format!("/v2/heap/manifests/{}", sha256(&manifest));
    server.client().send("PUT", &path, &[("content-type", IMAGE)], &manifest).unwrap().expect(201);
    let storage = data.join("storage");
    let mut peak = 0_f64;
    for left in (1..=KILLS).rev().map(|quarter| usize::try_from(count * quarter / (KILLS + 1)).unwrap()) {
        thread::scope(|scope| {
            scope.spawn(|| {
                // The server is killed under it.
                let mut client = server.client();
                let _ = client.send("POST", "/v2/_artifactstore/gc", &[], b"");
            });
            let patience = Instant::now() + LONG;
            while objects(&storage).len() > left {
                assert!(Instant::now() < patience, "more than {left} objects stay");
                // A walk of the storage takes its time.
                thread::sleep(Duration::from_millis(5 + count / 100));
            }
            peak = peak.max(server.peak_memory());
            let killed = Command::new("kill").args(["-KILL", &server.pid().to_string()]).status().unwrap();
            assert!(killed.success());
        });
        server.kill();
        server = start(&data);
    }
    let begun = Instant::now();
    let run = collect(&mut server.client()).unwrap();
    collect(&mut server.client());
    println!("{count} blobs: {} in the last run, {:?}", run["purged"], begun.elapsed());
    assert_eq!(objects(&storage).len(), 1);
    let blob = format!("/v2/heap/blobs/{}", kept.digest());
    assert_eq!(server.client().get(&blob).unwrap().expect(200).body, kept.bytes());
    let again = Instant::now();
    let idle = collect(&mut server.client()).unwrap();
    println!("a run without garbage: {:?}", again.elapsed());
    assert_eq!((&idle["released"], &idle["purged"]), (&0.into(), &0.into()));
    peak = peak.max(server.peak_memory());
    println!("peak memory {peak:.0} MiB");
    assert!(peak < 128.0, "{peak} MiB");
    server.stop();
    // Each blob is in one event of each of the four stages, however often the process ended; a kill begins a batch.
    let (events, purged) = told(&data);
    println!("{events} events of collections about blobs");
    assert!(events <= 4 * (count.div_ceil(BATCH) + 2 * KILLS + 2), "{events} events for {count} blobs");
    assert_eq!(purged, count, "nothing else, and nothing is left between");
    expect_fine(&data, &["verify"]);
    expect_fine(&data, &["replay", "--check"]);
}

/// Events of collections that are about blobs, and blobs whose copies are gone.
fn told(data: &Path) -> (u64, u64) {
    const EVENTS: &str = "SELECT COUNT(*) FROM events WHERE type IN \
        ('v1.blob.released', 'v1.blob.condemned', 'v1.blob.delete_intended', 'v1.blob.purged')";
    const PURGED: &str = "SELECT COUNT(*) FROM blobs WHERE state = 'purged'";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let place = db::Options::new(db::Url::Sqlite(data.join("registry.db")));
        let db = Db::open(&place, Access::Read).await.unwrap();
        let mut counts = [0; 2];
        for (sql, count) in [EVENTS, PURGED].into_iter().zip(&mut counts) {
            *count = db.query(sql, Vec::new()).await.unwrap()[0].integer(0).unsigned_abs();
        }
        db.close().await;
        (counts[0], counts[1])
    })
}

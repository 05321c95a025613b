//! Collection beside everything else, without any grace: only the protocol is between a push and its loss.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Answer, Client, Content, IMAGE, Random, Server, alone, expect_fine, folder, image, objects, push,
    setting, sha256,
};

/// Contents that are pushed, forgotten and pushed again.
const CONTENTS: u64 = 60;

const WORKERS: u64 = 4;

/// No run takes this long, however much there is.
const LONG: Duration = Duration::from_mins(15);

fn hasty(command: &mut Command) -> &mut Command {
    command
        .env("ARTIFACTSTORE_GC_ENABLED", "false")
        .env("ARTIFACTSTORE_GC_GRACE", "0s")
        .env("ARTIFACTSTORE_GC_QUARANTINE", "0s")
        .env("ARTIFACTSTORE_GC_RATE", "1000000")
}

fn start(data: &Path) -> Server {
    Server::start_with(data, hasty)
}

/// One run, from its request to its end.
fn collect(client: &mut Client) -> serde_json::Value {
    let answer = client.send("POST", "/v2/_artifactstore/gc", &[], b"").unwrap();
    let run = json(&answer);
    assert!(answer.status == 200 || answer.status == 202, "{run}");
    let path = format!("/v2/_artifactstore/gc/runs/{}", run["run"].as_str().unwrap());
    let patience = Instant::now() + LONG;
    let ended = loop {
        let run = json(&client.get(&path).unwrap().expect(200));
        if run["status"] != "running" {
            break run;
        }
        assert!(Instant::now() < patience, "{run} does not end");
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!((&ended["status"], &ended["failure"]), (&"completed".into(), &serde_json::Value::Null));
    ended
}

fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn content(number: u64) -> Content {
    Content { seed: number, length: 2000 + number }
}

/// A client that pushes, mounts and deletes. What it was told is there has to be there.
struct Worker {
    client: Client,
    number: u64,
    random: Random,
    /// The manifests that were acknowledged, with the content they name.
    acknowledged: BTreeMap<String, Content>,
    pushes: Vec<Duration>,
}

/// Shared by all workers: one gives up what another one names.
const REPOSITORIES: [&str; 2] = ["shared/a", "shared/b"];

impl Worker {
    fn new(server: &Server, number: u64) -> Self {
        let (client, random) = (server.client(), Random::new(number));
        Self { client, number, random, acknowledged: BTreeMap::new(), pushes: Vec::new() }
    }

    fn step(&mut self) {
        let repository = REPOSITORIES[usize::from(self.random.below(2) == 1)];
        match self.random.below(5) {
            0 | 1 if self.acknowledged.len() > 2 => self.delete(),
            2 if !self.acknowledged.is_empty() => self.look(),
            _ => self.push_image(repository),
        }
    }

    /// As clients do: asks, mounts or pushes, and begins again when the registry knows the blob no more.
    fn push_image(&mut self, repository: &str) {
        let content = content(self.random.below(CONTENTS));
        let note = format!("{} {}", self.number, self.random.next());
        let bytes = image(&content.digest(), content.length, &note);
        let path = format!("/v2/{repository}/manifests/{}", sha256(&bytes));
        loop {
            let blob = format!("/v2/{repository}/blobs/{}", content.digest());
            if self.client.head(&blob).unwrap().status == 404 {
                let mount = format!("/v2/{repository}/blobs/uploads/?mount={}", content.digest());
                let is_mounted = self.random.below(3) == 0
                    && self.client.send("POST", &mount, &[], b"").unwrap().status == 201;
                if !is_mounted {
                    let begun = Instant::now();
                    push(&mut self.client, repository, content).unwrap().expect(201);
                    self.pushes.push(begun.elapsed());
                }
            }
            let put = self.client.send("PUT", &path, &[("content-type", IMAGE)], &bytes).unwrap();
            match put.status {
                201 => {
                    self.acknowledged.insert(path, content);
                    break;
                }
                // Collected between the push and now.
                400 => assert!(String::from_utf8_lossy(&put.body).contains("MANIFEST_BLOB_UNKNOWN")),
                _ => drop(put.expect(201)),
            }
        }
    }

    fn look(&mut self) {
        let at = usize::try_from(self.random.below(self.acknowledged.len() as u64)).unwrap();
        let (path, content) = self.acknowledged.iter().nth(at).map(|(path, it)| (path.clone(), *it)).unwrap();
        self.expect_there(&path, content);
    }

    fn expect_there(&mut self, path: &str, content: Content) {
        self.client.get(path).unwrap().expect(200);
        let (repository, _) = path.split_once("/manifests/").unwrap();
        let blob = self.client.get(&format!("{repository}/blobs/{}", content.digest())).unwrap().expect(200);
        assert!(blob.body == content.bytes(), "{path} names other bytes");
    }

    fn delete(&mut self) {
        let (path, _) = self.acknowledged.pop_first().unwrap();
        self.client.send("DELETE", &path, &[], b"").unwrap().expect(202);
    }
}

/// The workers at full speed for some time, a collector beside them or not. The time that 99 of 100 pushes take at
/// most.
fn work(server: &Server, workers: &mut [Worker], seconds: u64, is_collected: bool) -> Duration {
    let is_over = AtomicBool::new(false);
    let runs = thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let (mut client, mut runs) = (server.client(), 0);
            while is_collected && !is_over.load(Ordering::Relaxed) {
                collect(&mut client);
                runs += 1;
            }
            runs
        });
        let until = Instant::now() + Duration::from_secs(seconds);
        let busy: Vec<_> = workers
            .iter_mut()
            .map(|worker| {
                scope.spawn(move || {
                    worker.pushes.clear();
                    while Instant::now() < until {
                        worker.step();
                    }
                })
            })
            .collect();
        let outcomes: Vec<_> = busy.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        for outcome in outcomes {
            outcome.unwrap();
        }
        collector.join().unwrap()
    });
    assert!(!is_collected || runs > 2, "{runs} runs");
    let mut pushes: Vec<Duration> = workers.iter().flat_map(|worker| worker.pushes.clone()).collect();
    pushes.sort();
    let slow = pushes.get(pushes.len() * 99 / 100).copied().unwrap_or_default();
    println!("{} pushes, {runs} collections, p99 of a push {slow:?}", pushes.len());
    slow
}

#[test]
fn what_was_acknowledged_stays_while_everything_else_is_collected() {
    let _alone = alone();
    let folder = folder();
    let data = folder.path().join("data");
    let server = start(&data);
    let seconds = setting("LOAD_GC_SECONDS", 8);
    let mut workers: Vec<Worker> = (0..WORKERS).map(|number| Worker::new(&server, number)).collect();
    let alone = work(&server, &mut workers, seconds.div_ceil(4), false);
    let beside = work(&server, &mut workers, seconds, true);
    println!("p99 of a push beside collections: {:.2} times", beside.as_secs_f64() / alone.as_secs_f64());
    for worker in &mut workers {
        for (path, content) in worker.acknowledged.clone() {
            worker.expect_there(&path, content);
        }
        while !worker.acknowledged.is_empty() {
            worker.delete();
        }
    }
    let mut client = server.client();
    for _ in 0..3 {
        collect(&mut client);
    }
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
fn a_hundred_thousand_blobs_are_collected_over_kills_in_128_mib() {
    killed_while_collecting(setting("LOAD_GARBAGE", 100_000));
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
    for left in [3, 2, 1].map(|quarter| usize::try_from(count * quarter / 4).unwrap()) {
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
    let run = collect(&mut server.client());
    collect(&mut server.client());
    println!("{count} blobs: {} in the last run, {:?}", run["purged"], begun.elapsed());
    assert_eq!(objects(&storage).len(), 1);
    let blob = format!("/v2/heap/blobs/{}", kept.digest());
    assert_eq!(server.client().get(&blob).unwrap().expect(200).body, kept.bytes());
    let again = Instant::now();
    let idle = collect(&mut server.client());
    println!("a run without garbage: {:?}", again.elapsed());
    assert_eq!((&idle["released"], &idle["purged"]), (&0.into(), &0.into()));
    peak = peak.max(server.peak_memory());
    println!("peak memory {peak:.0} MiB");
    assert!(peak < 128.0, "{peak} MiB");
    server.stop();
    expect_fine(&data, &["verify"]);
    expect_fine(&data, &["replay", "--check"]);
}

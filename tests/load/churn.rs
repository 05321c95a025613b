//! Clients that push, mount and delete at full speed while garbage is collected without any grace.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Answer, Client, Content, IMAGE, Random, image, push, sha256};

/// Contents that are pushed, forgotten and pushed again.
const CONTENTS: u64 = 60;

pub(crate) const WORKERS: u64 = 4;

/// No run takes this long, however much there is.
pub(crate) const LONG: Duration = Duration::from_mins(15);

/// Without any grace, and only when asked.
pub(crate) const HASTY: [(&str, &str); 4] =
    [("GC_ENABLED", "false"), ("GC_GRACE", "0s"), ("GC_QUARANTINE", "0s"), ("GC_RATE", "1000000")];

/// One run, from its request to its end. `None` while another replica is at it.
pub(crate) fn collect(client: &mut Client) -> Option<serde_json::Value> {
    let answer = client.send("POST", "/v2/_artifactstore/gc", &[], b"").unwrap();
    let run = json(&answer);
    if answer.status == 409 {
        return None;
    }
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
    Some(ended)
}

fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn content(number: u64) -> Content {
    Content { seed: number, length: 2000 + number }
}

/// A client that pushes, mounts and deletes. What it was told is there has to be there.
pub(crate) struct Worker {
    client: Client,
    number: u64,
    random: Random,
    /// The manifests that were acknowledged, with the content they name.
    pub(crate) acknowledged: BTreeMap<String, Content>,
    pushes: Vec<Duration>,
}

/// Shared by all workers: one gives up what another one names.
const REPOSITORIES: [&str; 2] = ["shared/a", "shared/b"];

impl Worker {
    pub(crate) fn new(client: Client, number: u64) -> Self {
        let random = Random::new(number);
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

    pub(crate) fn expect_there(&mut self, path: &str, content: Content) {
        self.client.get(path).unwrap().expect(200);
        let (repository, _) = path.split_once("/manifests/").unwrap();
        let blob = self.client.get(&format!("{repository}/blobs/{}", content.digest())).unwrap().expect(200);
        assert!(blob.body == content.bytes(), "{path} names other bytes");
    }

    pub(crate) fn delete(&mut self) {
        let (path, _) = self.acknowledged.pop_first().unwrap();
        self.client.send("DELETE", &path, &[], b"").unwrap().expect(202);
    }
}

/// What came of some time at full speed.
#[derive(Debug)]
pub(crate) struct Worked {
    pub(crate) pushes: usize,
    pub(crate) runs: usize,
    /// What 99 of 100 pushes take at most.
    pub(crate) slow: Duration,
}

/// The workers at full speed for some time, collectors beside them or none.
pub(crate) fn work(collectors: Vec<Client>, workers: &mut [Worker], seconds: u64) -> Worked {
    let is_over = AtomicBool::new(false);
    let collect_on = |mut client: Client| {
        let mut runs = 0;
        while !is_over.load(Ordering::Relaxed) {
            runs += usize::from(collect(&mut client).is_some());
        }
        runs
    };
    let collect_on = &collect_on;
    let runs = thread::scope(|scope| {
        let collectors: Vec<_> =
            collectors.into_iter().map(|client| scope.spawn(move || collect_on(client))).collect();
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
        collectors.into_iter().map(|collector| collector.join().unwrap()).sum()
    });
    let mut pushes: Vec<Duration> = workers.iter().flat_map(|worker| worker.pushes.clone()).collect();
    pushes.sort();
    let slow = pushes.get(pushes.len() * 99 / 100).copied().unwrap_or_default();
    println!("{} pushes, {runs} collections, p99 of a push {slow:?}", pushes.len());
    Worked { pushes: pushes.len(), runs, slow }
}

/// Everything that was acknowledged is there with its bytes; then it is given up, and nothing stays.
pub(crate) fn end(collector: &mut Client, workers: &mut [Worker]) {
    for worker in workers {
        for (path, content) in worker.acknowledged.clone() {
            worker.expect_there(&path, content);
        }
        while !worker.acknowledged.is_empty() {
            worker.delete();
        }
    }
    for _ in 0..3 {
        assert!(collect(collector).is_some(), "nobody else is at it");
    }
}

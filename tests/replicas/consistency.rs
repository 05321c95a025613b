//! What one replica has acknowledged every other one shows at once.

use std::thread;

use crate::cluster::Cluster;
use crate::plan::Plan;
use crate::seed;
use crate::support::{Client, Content, IMAGE, Random, alone, image, push, setting, sha256};

const REPLICAS: usize = 3;

/// Writers, each with a repository of its own.
const WRITERS: u64 = 4;

#[test]
fn a_write_through_one_replica_is_seen_through_every_other_one_at_once() {
    let _alone = alone();
    let seed = seed();
    let cluster = Plan::new().start(REPLICAS);
    let rounds = setting("REPLICAS_ROUNDS", 300);
    thread::scope(|scope| {
        for number in 0..WRITERS {
            let writer = Writer::new(&cluster, seed, number);
            scope.spawn(move || writer.run(rounds));
        }
    });
    cluster.check();
}

struct Writer {
    clients: Vec<Client>,
    random: Random,
    repository: String,
    /// What the tag can point at.
    images: Vec<Vec<u8>>,
    digests: Vec<String>,
}

impl Writer {
    fn new(cluster: &Cluster, seed: u64, number: u64) -> Self {
        let mut clients: Vec<_> = (0..REPLICAS).map(|number| cluster.client(number)).collect();
        let repository = format!("writer/{number}");
        let blob = Content { seed: number, length: 1000 };
        push(&mut clients[0], &repository, blob).unwrap().expect(201);
        let images: Vec<_> =
            (0..4).map(|number| image(&blob.digest(), blob.length, &number.to_string())).collect();
        let digests = images.iter().map(|image| sha256(image)).collect();
        Self { clients, random: Random::new(seed ^ number), repository, images, digests }
    }

    fn run(mut self, rounds: u64) {
        for round in 0..rounds {
            let which = usize::try_from(self.random.below(self.images.len() as u64)).unwrap();
            let (tag, digest) = (self.path("latest"), self.path(&self.digests[which]));
            let bytes = self.images[which].clone();
            self.through_one("PUT", &tag, &bytes, 201);
            self.every_other(&tag, |status, body| status == 200 && body == bytes, round);
            self.every_other(&digest, |status, body| status == 200 && body == bytes, round);
            // Seen a moment ago, so every replica has it in its cache.
            match self.random.below(3) {
                0 => {
                    self.through_one("DELETE", &tag, b"", 202);
                    self.every_other(&tag, |status, _| status == 404, round);
                    self.every_other(&digest, |status, _| status == 200, round);
                }
                1 => {
                    self.through_one("DELETE", &digest, b"", 202);
                    self.every_other(&digest, |status, _| status == 404, round);
                    self.every_other(&tag, |status, _| status == 404, round);
                }
                _ => {}
            }
        }
    }

    fn path(&self, reference: &str) -> String {
        format!("/v2/{}/manifests/{reference}", self.repository)
    }

    fn through_one(&mut self, method: &str, path: &str, body: &[u8], status: u16) {
        let one = usize::try_from(self.random.below(REPLICAS as u64)).unwrap();
        self.clients[one].send(method, path, &[("content-type", IMAGE)], body).unwrap().expect(status);
    }

    /// In an order of chance: the first one asked has had the least time.
    fn every_other(&mut self, path: &str, fits: impl Fn(u16, &[u8]) -> bool, round: u64) {
        let first = usize::try_from(self.random.below(REPLICAS as u64)).unwrap();
        for number in (0..REPLICAS).map(|number| (first + number) % REPLICAS) {
            let answer = self.clients[number].get(path).unwrap();
            assert!(
                fits(answer.status, &answer.body),
                "round {round}, replica {number}: {path} says {answer:?}"
            );
        }
    }
}

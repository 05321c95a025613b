//! Clients that push through whatever replica they meet, try again as real ones do, and remember what they were told.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::ledger::{Kept, Ledger};
use crate::support::{Answer, Client, Content, IMAGE, Random, image, sha256};

/// A client that got no definite answer for this long gives up, which fails the test: something is stuck.
const GIVE_UP: Duration = Duration::from_mins(2);

/// More pushes than this take too long to pull from every replica.
const MANY: usize = 1000;

/// Larger than a part, so that it travels in several.
const LARGE: u64 = 9 * 1024 * 1024;

/// Everything the clients of a test share.
pub(crate) struct Crowd<'a> {
    cluster: &'a Cluster,
    seed: u64,
    ledger: Mutex<Ledger>,
    acknowledged: AtomicU64,
    /// What was answered instead of what was asked for, and how often.
    trouble: Mutex<BTreeMap<String, u64>>,
    /// The push that took longest.
    slowest: Mutex<(Duration, String)>,
    ends: AtomicBool,
}

/// How a crowd behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    pub(crate) clients: u64,
    /// Things each pushes at least; it goes on until the crowd is told to end.
    pub(crate) steps: u64,
    /// Of a thousand pushes so many are large.
    pub(crate) large: u64,
}

impl<'a> Crowd<'a> {
    pub(crate) fn new(cluster: &'a Cluster, seed: u64) -> Self {
        Self {
            cluster,
            seed,
            ledger: Mutex::default(),
            acknowledged: AtomicU64::new(0),
            trouble: Mutex::default(),
            slowest: Mutex::default(),
            ends: AtomicBool::new(false),
        }
    }

    /// Lets clients push while `meanwhile` runs, and until each has done its steps.
    pub(crate) fn push<T>(&self, habits: Habits, meanwhile: impl FnOnce() -> T) -> T {
        self.ends.store(false, Ordering::SeqCst);
        thread::scope(|scope| {
            let clients: Vec<_> = (0..habits.clients)
                .map(|number| {
                    let random = Random::new(self.seed ^ (number + 1).wrapping_mul(0x9e37_79b9_97f4_a7c5));
                    let mut pusher = Pusher { crowd: self, random, number, connection: None };
                    scope.spawn(move || pusher.run(habits))
                })
                .collect();
            let _end = Ends(&self.ends);
            let result = meanwhile();
            self.ends.store(true, Ordering::SeqCst);
            for client in clients {
                client.join().expect("no client was answered wrongly");
            }
            result
        })
    }

    /// Things acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// What went wrong on the way, for people.
    pub(crate) fn report(&self) -> String {
        let trouble = guard(&self.trouble);
        let trouble: Vec<_> = trouble.iter().map(|(what, count)| format!("{count} x {what}")).collect();
        let trouble = if trouble.is_empty() { "no trouble".to_owned() } else { trouble.join(", ") };
        let (time, what) = guard(&self.slowest).clone();
        format!("{} acknowledged, met {trouble}; the slowest took {time:.1?}: {what}", self.acknowledged())
    }

    /// Nobody was told that the registry failed, only that it cannot for the moment.
    pub(crate) fn expect_patience(&self) {
        let trouble = guard(&self.trouble);
        let is_failure = |what: &&String| what.parse().is_ok_and(|status: u16| status != 503);
        let failures: Vec<_> = trouble.keys().filter(is_failure).collect();
        let log = |number| self.cluster.log(number);
        let logs: String = (0..self.cluster.size()).map(log).collect();
        let errors: Vec<_> = logs.lines().filter(|line| line.contains(" ERROR ")).collect();
        assert!(failures.is_empty(), "{failures:?} were answered:\n{}", errors.join("\n"));
    }

    /// Every acknowledged push can be pulled with its bytes from every replica. Of very many blobs each comes from one
    /// replica in turn, and the others must know it.
    pub(crate) fn check(&self) {
        let ledger = guard(&self.ledger);
        let is_large = ledger.kept.len() > MANY;
        thread::scope(|scope| {
            for number in 0..self.cluster.size() {
                let (mut client, ledger) = (self.cluster.client(number), &ledger);
                scope.spawn(move || {
                    for (place, kept) in ledger.kept.iter().enumerate() {
                        if is_large && kept.is_blob() && place % self.cluster.size() != number {
                            client.head(&kept.path()).unwrap().expect(200);
                            continue;
                        }
                        let answer = client.get(&kept.path()).unwrap();
                        assert!(
                            answer.status == 200 && answer.body == kept.bytes(),
                            "replica {number} says {} to {kept:?}",
                            answer.status
                        );
                    }
                    for ((repository, name), tag) in &ledger.tags {
                        tag.check(&client.get(&format!("/v2/{repository}/manifests/{name}")).unwrap());
                    }
                });
            }
        });
    }
}

/// Ends a crowd also when whoever leads it panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One client. It writes its own repository and one that all write.
struct Pusher<'a> {
    crowd: &'a Crowd<'a>,
    random: Random,
    number: u64,
    connection: Option<(usize, Client)>,
}

impl Pusher<'_> {
    fn run(&mut self, habits: Habits) {
        for step in 0.. {
            if step >= habits.steps && self.crowd.ends.load(Ordering::SeqCst) {
                return;
            }
            let own = self.random.below(4) > 0;
            let repository = if own { format!("client/{}", self.number) } else { "all/of-us".to_owned() };
            let is_large = self.random.below(1000) < habits.large;
            let content = if is_large {
                Content { seed: self.random.next(), length: LARGE + self.random.below(1 << 20) }
            } else if self.random.below(8) == 0 {
                // The same few for everybody.
                Content { seed: self.crowd.seed + self.random.below(8), length: 50_000 }
            } else {
                Content { seed: self.random.next(), length: self.random.below(4096) }
            };
            let in_chunks = is_large || self.random.below(4) == 0;
            let begun = Instant::now();
            let digest = if in_chunks {
                self.in_chunks(&repository, content)
            } else {
                self.at_once(&repository, content)
            };
            self.took(begun.elapsed(), || {
                format!("{} bytes{}", content.length, [" at once", " in chunks"][usize::from(in_chunks)])
            });
            self.keep(Kept::Blob { repository: repository.clone(), content, digest: digest.clone() });
            if self.random.below(2) == 0 {
                self.manifest(&repository, content, &digest, step);
            }
            self.look_back();
        }
    }

    fn at_once(&mut self, repository: &str, content: Content) -> String {
        let digest = content.digest();
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.ask("POST", &path, &[], &content.bytes(), &[201]);
        digest
    }

    /// Pushes chunk by chunk, goes on where the upload stands after every trouble, and starts over when it is gone.
    fn in_chunks(&mut self, repository: &str, content: Content) -> String {
        let (bytes, digest) = (content.bytes(), content.digest());
        let deadline = Instant::now() + GIVE_UP;
        loop {
            assert!(Instant::now() < deadline, "an upload of {} bytes never ends", bytes.len());
            let begun = self.ask("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"", &[202]);
            if self.go_on(&begun.location(), &bytes, &digest, deadline) {
                return digest;
            }
            // Closed and noted, though nobody was told?
            let path = format!("/v2/{repository}/blobs/{digest}");
            if self.ask("HEAD", &path, &[], b"", &[200, 404]).status == 200 {
                return digest;
            }
        }
    }

    /// `false` when the session is gone.
    fn go_on(&mut self, location: &str, bytes: &[u8], digest: &str, deadline: Instant) -> bool {
        let mut at = 0;
        while Instant::now() < deadline {
            let answer = if at < bytes.len() {
                let size = 1 + usize::try_from(self.random.below(bytes.len() as u64)).unwrap();
                let end = bytes.len().min(at + size);
                let range = format!("{at}-{}", end - 1);
                let sent = self.attempt("PATCH", location, &[("content-range", &range)], &bytes[at..end]);
                if sent.as_ref().is_some_and(|answer| answer.status == 202) {
                    at = end;
                    continue;
                }
                sent
            } else {
                self.attempt("PUT", &format!("{location}?digest={digest}"), &[], b"")
            };
            match answer.map(|answer| (answer.status, answer)) {
                Some((201, _)) => return true,
                Some((404, _)) => return false,
                // Another request of ours still writes, or did more than we know.
                Some((416, _)) | None => {}
                Some((status, answer)) => {
                    panic!("a chunk is answered with {status}: {}", String::from_utf8_lossy(&answer.body))
                }
            }
            self.pause();
            let status = self.ask("GET", location, &[], b"", &[204, 404]);
            if status.status == 404 {
                return false;
            }
            let range = status.header("range").expect("an upload says where it stands").to_owned();
            let last: i64 = range.split_once('-').unwrap().1.parse().unwrap();
            at = usize::try_from(last + 1).unwrap();
            assert!(at <= bytes.len(), "{at} bytes of {} were received", bytes.len());
        }
        panic!("an upload of {} bytes is stuck at {at}", bytes.len());
    }

    /// Tags a new manifest, by tag or by digest with two tags.
    fn manifest(&mut self, repository: &str, content: Content, blob: &str, step: u64) {
        let bytes = image(blob, content.length, &format!("{}-{step}", self.number));
        let digest = sha256(&bytes);
        let tag = |which: u64| format!("t{}-{which}", self.number);
        let tags = if step.is_multiple_of(2) { vec![tag(0)] } else { vec![tag(1), tag(2)] };
        let key = |tag: &String| (repository.to_owned(), tag.clone());
        for tag in &tags {
            guard(&self.crowd.ledger).tags.entry(key(tag)).or_default().sent.push(digest.clone());
        }
        let path = match tags.as_slice() {
            [tag] => format!("/v2/{repository}/manifests/{tag}"),
            tags => format!("/v2/{repository}/manifests/{digest}?tag={}&tag={}", tags[0], tags[1]),
        };
        self.ask("PUT", &path, &[("content-type", IMAGE)], &bytes, &[201]);
        for tag in &tags {
            let mut ledger = guard(&self.crowd.ledger);
            let tag = ledger.tags.get_mut(&key(tag)).unwrap();
            tag.floor = Some(tag.sent.len() - 1);
        }
        self.keep(Kept::Manifest { repository: repository.to_owned(), digest, bytes: Arc::new(bytes) });
        let shown =
            self.ask("GET", &format!("/v2/{repository}/manifests/{}", tags[0]), &[], b"", &[200, 404]);
        guard(&self.crowd.ledger).tags[&key(&tags[0])].check(&shown);
    }

    fn keep(&self, kept: Kept) {
        guard(&self.crowd.ledger).kept.push(kept);
        self.crowd.acknowledged.fetch_add(1, Ordering::SeqCst);
    }

    /// Something that anybody was told is stored is there at once, wherever it is asked for.
    fn look_back(&mut self) {
        let kept = {
            let ledger = guard(&self.crowd.ledger);
            let recent = 1 + self.random.below(20.min(ledger.kept.len() as u64));
            ledger.kept[ledger.kept.len() - usize::try_from(recent).unwrap()].clone()
        };
        let answer = self.ask("GET", &kept.path(), &[], b"", &[200]);
        assert!(answer.body == kept.bytes(), "other bytes than those of {kept:?}");
    }

    /// Asks until the answer is one of `expected`. Any other that is definite fails the test.
    fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        expected: &[u16],
    ) -> Answer {
        let deadline = Instant::now() + GIVE_UP;
        while Instant::now() < deadline {
            if let Some(answer) = self.attempt(method, path, headers, body) {
                let text = String::from_utf8_lossy(&answer.body);
                assert!(expected.contains(&answer.status), "{method} {path} says {}: {text}", answer.status);
                return answer;
            }
            self.pause();
        }
        panic!("{method} {path} has no definite answer for {GIVE_UP:?}: {}", self.crowd.report());
    }

    /// Asks a replica chosen at random. `None` when it is worth asking again: the connection broke, or the registry
    /// says that it cannot for the moment.
    fn attempt(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
        match self.once(method, path, headers, body) {
            Ok(answer) if answer.status < 500 => return Some(answer),
            Ok(answer) => {
                let again = answer.header("retry-after").is_some();
                assert!(answer.status != 503 || again, "a 503 without Retry-After: {answer:?}");
                self.note(format!("{}", answer.status));
            }
            Err(error) => {
                self.connection = None;
                self.note(format!("{:?}", error.kind()));
            }
        }
        None
    }

    fn once(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let number = self.crowd.cluster.choose(&mut self.random);
        if self.connection.as_ref().is_none_or(|(connected, _)| *connected != number) {
            self.connection = Some((number, Client::connect(self.crowd.cluster.address(number))?));
        }
        let (_, client) = self.connection.as_mut().expect("just made");
        client.send(method, path, headers, body)
    }

    fn took(&self, time: Duration, what: impl FnOnce() -> String) {
        let mut slowest = guard(&self.crowd.slowest);
        if time > slowest.0 {
            *slowest = (time, what());
        }
    }

    fn note(&self, what: String) {
        *guard(&self.crowd.trouble).entry(what).or_default() += 1;
    }

    /// What a client does before it tries again.
    fn pause(&mut self) {
        thread::sleep(Duration::from_millis(20 + self.random.below(180)));
    }
}

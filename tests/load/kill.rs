//! Killed at any moment, the server comes back with everything it ever acknowledged.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use artifactstore::db::{Access, Db, Options as DbOptions, Url};

use crate::support::{
    Client, Content, IMAGE, Random, Server, alone, eventually, expect_fine, folder, image, push, setting,
    sha256, staged,
};

const CLIENTS: u64 = 6;

/// How many acknowledged things of earlier rounds are looked at in each round.
const SAMPLE: usize = 24;

/// The log and the stored bytes are checked whole every so many rounds.
const WHOLE: u64 = 10;

#[test]
fn nothing_acknowledged_is_lost_in_a_few_kills() {
    kills(setting("LOAD_KILLS", 8).min(8));
}

#[test]
#[ignore = "minutes; run with --include-ignored"]
fn nothing_acknowledged_is_lost_in_many_kills() {
    kills(setting("LOAD_KILLS", 30));
}

/// What was acknowledged.
#[derive(Clone, Debug)]
enum Kept {
    Blob { repository: String, content: Content, digest: String },
    Manifest { repository: String, digest: String, bytes: Arc<Vec<u8>> },
}

/// An upload that was under way when the server died.
struct Unfinished {
    repository: String,
    location: String,
    content: Content,
    /// Bytes whose 202 arrived.
    acknowledged: u64,
}

/// The values a tag was sent, in order; each tag has one writer.
#[derive(Default)]
struct Tag {
    sent: Vec<String>,
    /// The tag shows this one or a later one.
    floor: Option<usize>,
}

/// Everything the clients know.
#[derive(Default)]
struct Ledger {
    kept: Vec<Kept>,
    tags: HashMap<(String, String), Tag>,
    unfinished: Vec<Unfinished>,
}

type Shared = Arc<(Mutex<Ledger>, AtomicU64)>;

fn kills(rounds: u64) {
    let _alone = alone();
    let seed = setting("LOAD_SEED", u64::from(std::process::id()));
    println!("seed {seed}: set LOAD_SEED to choose the same moments again");
    let folder = folder();
    let data = folder.path().join("data");
    let mut random = Random::new(seed);
    let shared = Shared::default();
    let mut checked = 0;
    let (mut busy, mut resumed, begun) = (Duration::ZERO, 0, Instant::now());
    let mut server = Server::start(&data);
    for round in 1..=rounds {
        let started = Instant::now();
        storm(&mut server, &shared, seed, round, &mut random);
        busy += started.elapsed();
        if round.is_multiple_of(WHOLE) {
            // On the files as the kill left them.
            check_whole(&data);
        }
        server = Server::start(&data);
        let mut ledger = shared.0.lock().unwrap();
        resumed += finish_the_unfinished(&mut server.client(), &mut ledger);
        let fresh = checked..ledger.kept.len();
        let sample = (0..SAMPLE.min(checked)).map(|_| usize::try_from(random.below(checked as u64)).unwrap());
        check(&server, &ledger, fresh.clone().chain(sample.collect::<Vec<_>>()));
        check_tags(&mut server.client(), &mut ledger);
        checked = fresh.end;
        check_staging(&data);
    }
    let mut ledger = shared.0.lock().unwrap();
    check(&server, &ledger, 0..ledger.kept.len());
    check_tags(&mut server.client(), &mut ledger);
    let log = server.log();
    server.stop();
    let events = check_whole(&data);
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    println!(
        "{rounds} kills in {:.0?} ({:.0?} under load): {} acknowledged, {} tags, {resumed} uploads resumed, {events} events",
        begun.elapsed(),
        busy,
        ledger.kept.len(),
        ledger.tags.len(),
    );
}

/// Clients push until the server is killed under them.
fn storm(server: &mut Server, shared: &Shared, seed: u64, round: u64, random: &mut Random) {
    let before = shared.1.load(Ordering::SeqCst);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (shared, address) = (Arc::clone(shared), server.address);
            let random = Random::new(seed ^ (round * CLIENTS + number).wrapping_mul(0x9e37_79b9));
            std::thread::spawn(move || {
                let client = Client::connect(address)?;
                Pusher { client, shared, random, number, round, seed }.run()
            })
        })
        .collect();
    // A random number of acknowledgements and then a random moment: in the middle of whatever comes next.
    let target = before + random.below(120);
    let moment = Duration::from_micros(random.below(60_000));
    eventually("the clients to be served", || (shared.1.load(Ordering::SeqCst) >= target).then_some(()));
    std::thread::sleep(moment);
    server.kill();
    for client in clients {
        let ended: io::Result<()> = client.join().expect("no client was answered wrongly");
        ended.expect_err("clients only end with their connection");
    }
}

/// One client. It writes its own repository and one that all write.
struct Pusher {
    client: Client,
    shared: Shared,
    random: Random,
    number: u64,
    round: u64,
    seed: u64,
}

impl Pusher {
    fn run(mut self) -> io::Result<()> {
        for step in 0.. {
            let repository = if self.random.below(4) == 0 {
                "all/of-us".to_owned()
            } else {
                format!("client/{}", self.number)
            };
            let small = Content { seed: self.random.next(), length: self.random.below(4096) };
            let large = Content { seed: self.random.next(), length: 200_000 + self.random.below(1 << 20) };
            // The same few contents for every client of a round.
            let common = Content {
                seed: (self.seed ^ self.round) + self.random.below(6),
                length: 300_000 + self.round,
            };
            let (content, digest) = match self.random.below(10) {
                0..5 => self.at_once(&repository, small)?,
                5 => self.at_once(&repository, large)?,
                6 | 7 => self.at_once(&repository, common)?,
                8 => self.in_chunks(&repository, large)?,
                _ => self.in_chunks(&repository, common)?,
            };
            if self.random.below(2) == 0 {
                self.manifest(&repository, content, &digest, step)?;
            }
        }
        unreachable!("the server dies first")
    }

    fn at_once(&mut self, repository: &str, content: Content) -> io::Result<(Content, String)> {
        push(&mut self.client, repository, content)?.expect(201);
        Ok(self.keep_blob(repository, content))
    }

    fn in_chunks(&mut self, repository: &str, content: Content) -> io::Result<(Content, String)> {
        let begun =
            self.client.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"")?.expect(202);
        let mut location = begun.location();
        let bytes = content.bytes();
        let chunk = bytes.len() / 3 + 1;
        let unfinished = Unfinished {
            repository: repository.to_owned(),
            location: location.clone(),
            content,
            acknowledged: 0,
        };
        self.shared.0.lock().unwrap().unfinished.push(unfinished);
        for (number, part) in bytes.chunks(chunk).enumerate() {
            let start = number * chunk;
            let range = format!("{start}-{}", start + part.len() - 1);
            let answer =
                self.client.send("PATCH", &location, &[("content-range", &range)], part)?.expect(202);
            let before = std::mem::replace(&mut location, answer.location());
            self.with_unfinished(&before, |unfinished| {
                unfinished.location.clone_from(&location);
                unfinished.acknowledged = (start + part.len()) as u64;
            });
        }
        let digest = sha256(&bytes);
        self.client.send("PUT", &format!("{location}?digest={digest}"), &[], b"")?.expect(201);
        self.shared.0.lock().unwrap().unfinished.retain(|unfinished| unfinished.location != location);
        Ok(self.keep_blob(repository, content))
    }

    fn with_unfinished(&self, location: &str, change: impl FnOnce(&mut Unfinished)) {
        let mut ledger = self.shared.0.lock().unwrap();
        change(ledger.unfinished.iter_mut().find(|unfinished| unfinished.location == location).unwrap());
    }

    /// Tags a new manifest, by tag or by digest with two tags.
    fn manifest(&mut self, repository: &str, content: Content, blob: &str, step: u64) -> io::Result<()> {
        let bytes = image(blob, content.length, &format!("{}-{}-{step}", self.number, self.round));
        let digest = sha256(&bytes);
        let tag = |which: u64| format!("t{}-{which}", self.number);
        let tags = if step.is_multiple_of(2) { vec![tag(0)] } else { vec![tag(1), tag(2)] };
        let key = |tag: &str| (repository.to_owned(), tag.to_owned());
        for tag in &tags {
            let mut ledger = self.shared.0.lock().unwrap();
            ledger.tags.entry(key(tag)).or_default().sent.push(digest.clone());
        }
        let path = match tags.as_slice() {
            [tag] => format!("/v2/{repository}/manifests/{tag}"),
            tags => format!("/v2/{repository}/manifests/{digest}?tag={}&tag={}", tags[0], tags[1]),
        };
        self.client.send("PUT", &path, &[("content-type", IMAGE)], &bytes)?.expect(201);
        let mut ledger = self.shared.0.lock().unwrap();
        for tag in &tags {
            let tag = ledger.tags.get_mut(&key(tag)).unwrap();
            tag.floor = Some(tag.sent.len() - 1);
        }
        ledger.kept.push(Kept::Manifest {
            repository: repository.to_owned(),
            digest,
            bytes: Arc::new(bytes),
        });
        self.shared.1.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn keep_blob(&self, repository: &str, content: Content) -> (Content, String) {
        let digest = content.digest();
        let kept = Kept::Blob { repository: repository.to_owned(), content, digest: digest.clone() };
        self.shared.0.lock().unwrap().kept.push(kept);
        self.shared.1.fetch_add(1, Ordering::SeqCst);
        (content, digest)
    }
}

/// Every upload that was under way goes on where it stood, at or after the last 202.
fn finish_the_unfinished(client: &mut Client, ledger: &mut Ledger) -> usize {
    let unfinished = std::mem::take(&mut ledger.unfinished);
    let count = unfinished.len();
    for Unfinished { repository, location, content, acknowledged } in unfinished {
        let (bytes, digest) = (content.bytes(), content.digest());
        let status = client.get(&location).unwrap();
        if status.status == 404 {
            // Its PUT was on the way: the session may be a blob already, though nobody was told.
            assert_eq!(acknowledged, content.length, "an upload that stood at {acknowledged} bytes is gone");
            client.head(&format!("/v2/{repository}/blobs/{digest}")).unwrap().expect(200);
        } else {
            let range = status.expect(204).header("range").unwrap().to_owned();
            let end: i64 = range.split_once('-').unwrap().1.parse().unwrap();
            let received = u64::try_from(end + 1).unwrap();
            assert!(received >= acknowledged, "{acknowledged} bytes were acknowledged, {received} are left");
            let rest = &bytes[usize::try_from(received).unwrap()..];
            let last = format!("{received}-{}", content.length - 1);
            let headers: &[_] = if rest.is_empty() { &[] } else { &[("content-range", last.as_str())] };
            let put = client.send("PUT", &format!("{location}?digest={digest}"), headers, rest).unwrap();
            if put.status == 404 {
                // The PUT was on the way here too: its bytes had left the session and were not an event yet.
                assert_eq!(acknowledged, content.length, "the bytes of an upload are gone");
                push(client, &repository, content).unwrap().expect(201);
            } else {
                put.expect(201);
            }
        }
        ledger.kept.push(Kept::Blob { repository, content, digest });
    }
    count
}

/// Pulls what was acknowledged and compares every byte.
fn check(server: &Server, ledger: &Ledger, which: impl Iterator<Item = usize>) {
    let mut client = server.client();
    for kept in which.map(|index| &ledger.kept[index]) {
        let (path, expected) = match kept {
            Kept::Blob { repository, content, digest } => {
                (format!("/v2/{repository}/blobs/{digest}"), content.bytes())
            }
            Kept::Manifest { repository, digest, bytes } => {
                (format!("/v2/{repository}/manifests/{digest}"), bytes.to_vec())
            }
        };
        let answer = client.get(&path).unwrap();
        assert!(answer.status == 200 && answer.body == expected, "{path} says {}: {kept:?}", answer.status);
    }
}

/// Every tag shows its last acknowledged value or one that was sent later.
fn check_tags(client: &mut Client, ledger: &mut Ledger) {
    for ((repository, name), tag) in &mut ledger.tags {
        let answer = client.get(&format!("/v2/{repository}/manifests/{name}")).unwrap();
        if answer.status == 404 {
            assert_eq!(tag.floor, None, "{repository}:{name} was acknowledged and is gone");
            continue;
        }
        let shown = answer.expect(200).header("docker-content-digest").unwrap().to_owned();
        let place = tag.sent.iter().rposition(|sent| *sent == shown).expect("a tag shows what was sent");
        assert!(
            Some(place) >= tag.floor,
            "{repository}:{name} fell back to value {place} of {:?}",
            tag.floor
        );
        tag.floor = Some(place);
    }
}

/// The bytes have their digests, and the views are what the gapless log leads to. Returns its length.
fn check_whole(data: &Path) -> u64 {
    expect_fine(data, &["verify"]);
    let report = expect_fine(data, &["replay", "--check", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    report["events"].as_u64().unwrap()
}

/// Whatever is staged belongs to a session that has not expired; the rest was swept at the start.
fn check_staging(data: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sessions = || {
        runtime.block_on(async {
            let db =
                Db::open(&DbOptions::new(Url::Sqlite(data.join("registry.db"))), Access::Read).await.unwrap();
            let sql = "SELECT id FROM uploads WHERE expires_at > CAST(unixepoch() AS INTEGER) * 1000000";
            let rows = db.operational().query(sql, Vec::new()).await.unwrap();
            db.close().await;
            rows.iter().map(|row| row.text(0).to_owned()).collect::<HashSet<_>>()
        })
    };
    let mut litter = Vec::new();
    let clean = || {
        let known = sessions();
        litter = staged(&data.join("storage"));
        litter.retain(|name| !known.contains(name));
        litter.is_empty().then_some(())
    };
    eventually("the sweep of what nobody will ever finish", clean);
}

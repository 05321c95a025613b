//! Replay on `SQLite`: events folded in a second, against inserting the rows they lead to and nothing else, and the
//! memory it takes for a short log and one ten times as long.

use std::path::Path;
use std::process::Command as Process;
use std::sync::Arc;
use std::time::Instant;

use artifactstore::clock::Clock;
use artifactstore::db::{Access, Db, Options, Row, Url};
use artifactstore::events::{
    Actor, BlobLinked, BlobStored, Command, Decision, Fact, Log, ManifestPushed, Read, Reference, Role, Rows,
    TagMoved, digest, rebuild,
};
use artifactstore::hash;
use artifactstore::oci::{Algorithm, RepositoryName};
use artifactstore::views;

use super::append::Nobody;
use super::{Measured, Outcome, ROUNDS, compare};

/// The argument that makes this process the one that is measured.
pub(super) const ALONE: &str = "replay-alone";

/// Events of the logs, about. The first does not fill the cache that SQLite has, the others do.
const LENGTHS: [u32; 3] = [20_000, 100_000, 200_000];

/// Events of one artifact: two blobs stored and linked, a manifest, a tag.
const EACH: u32 = 6;

/// Artifacts recorded by one command.
const AT_ONCE: u32 = 200;

const REPOSITORIES: u32 = 50;

/// Pushes of so many artifacts after one.
struct Pushes(u32);

impl Command for Pushes {
    type Rejection = std::convert::Infallible;

    fn reads(&self) -> Vec<Read> {
        Vec::new()
    }

    fn decide(&self, _: &Rows) -> Result<Decision, Self::Rejection> {
        let facts = (self.0..self.0 + AT_ONCE).flat_map(pushed).collect();
        Ok(Decision { facts, contents: Vec::new() })
    }
}

fn pushed(n: u32) -> Vec<Fact> {
    let repository: RepositoryName =
        format!("bench/team-{}/images", n % REPOSITORIES).parse().expect("it is a name");
    let of = |what: &str, algorithm| hash::digest(algorithm, format!("{what} {n}").as_bytes());
    let both = |what: &str| vec![of(what, Algorithm::Sha256), of(what, Algorithm::Blake3)];
    let mut facts: Vec<Fact> = Vec::new();
    for what in ["config", "layer"] {
        let (content, digest) = (of(what, Algorithm::Blake3), of(what, Algorithm::Sha256));
        let key = format!(
            "blake3/{}/{}/{}.01arz3ndektsv4rrffq69g5fav",
            &content.hex()[..2],
            &content.hex()[2..4],
            content.hex()
        );
        let (digests, backend) = (both(what), "local".to_owned());
        facts.push(
            BlobStored { content: content.clone(), digests, size: 4096, backend, key, version: None }.into(),
        );
        let repository = repository.clone();
        facts.push(BlobLinked { repository, content, digest, mounted_from: None }.into());
    }
    let (content, digest) = (of("manifest", Algorithm::Blake3), of("manifest", Algorithm::Sha256));
    let reference =
        |role, what: &str| -> Reference { Reference { role, target: of(what, Algorithm::Sha256) } };
    facts.push(
        ManifestPushed {
            repository: repository.clone(),
            content: content.clone(),
            digests: both("manifest"),
            digest: digest.clone(),
            media_type: artifactstore::oci::media::OCI_IMAGE_MANIFEST.to_owned(),
            size: 500,
            references: vec![reference(Role::Config, "config"), reference(Role::Layer, "layer")],
            subject: None,
        }
        .into(),
    );
    let tag = format!("v{n}").parse().expect("it is a tag");
    facts.push(TagMoved { repository, tag, digest, content, previous: None }.into());
    facts
}

/// Makes a log with that many events, about, and says how many.
async fn make(path: &Path, events: u32) -> Outcome<i64> {
    let db = Db::open(&Options::new(Url::Sqlite(path.to_owned())), Access::Create).await?;
    let log = Log::open(db.clone(), views::projections(), Clock::system(), Arc::new(Nobody)).await?;
    for n in (0..events / EACH).step_by(AT_ONCE as usize) {
        log.submit(Actor::system(), Pushes(n)).await.map_err(|refusal| format!("{refusal:?}"))?;
    }
    let last = log.last();
    drop(log);
    db.close().await;
    Ok(last)
}

pub(super) async fn run() -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let mut longest = (0, directory.path().to_owned());
    for length in LENGTHS {
        let path = directory.path().join(format!("{length}.db"));
        let events = make(&path, length).await?;
        // A process of its own: of this one the peak is known already.
        let alone = Process::new(std::env::current_exe()?).arg(ALONE).arg(&path).output()?;
        if !alone.status.success() {
            return Err(String::from_utf8_lossy(&alone.stderr).into());
        }
        println!("  {events} events: peak memory {}", String::from_utf8_lossy(&alone.stdout).trim());
        longest = (events, path);
    }
    let (events, path) = longest;
    let count = u32::try_from(events)?;
    let db = Db::open(&Options::new(Url::Sqlite(path)), Access::Create).await?;
    let projections = views::projections();
    let expected = digest(&mut db.snapshot().await?, &projections).await?;
    let (mut replays, mut inserts) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let start = Instant::now();
        let replayed = rebuild(&db, &projections).await?;
        let replay = Measured { count, taken: start.elapsed() };
        if replayed.state != expected {
            return Err("the replay led to another state".into());
        }
        let insert = Measured { count, taken: insert(&db, directory.path()).await? };
        if round > 0 {
            replays.push(replay);
            inserts.push(insert);
        }
    }
    compare("events replayed against rows inserted", &replays, &inserts, "100000/s");
    db.close().await;
    Ok(())
}

/// How long it takes to insert the rows of all views, in key order, and nothing else.
async fn insert(db: &Db, directory: &Path) -> Outcome<std::time::Duration> {
    let place = tempfile::tempdir_in(directory)?;
    let url = Url::Sqlite(place.path().join("plain.db"));
    let plain = Db::open(&Options::new(url), Access::Create).await?;
    let (mut from, mut tx) = (db.snapshot().await?, plain.write().await?);
    let mut taken = std::time::Duration::ZERO;
    for table in views::projections().tables() {
        let mut after = None;
        loop {
            let rows: Vec<Row> = from.page(table, after.as_ref(), 1024).await?;
            let Some(last) = rows.last() else { break };
            after = Some(table.key_of(last));
            let start = Instant::now();
            tx.insert(table, &rows).await?;
            taken += start.elapsed();
        }
    }
    let start = Instant::now();
    tx.commit().await?;
    taken += start.elapsed();
    plain.close().await;
    Ok(taken)
}

/// Replays the log of a file and prints the most memory this process had.
pub(super) async fn alone(path: &Path) -> Outcome<()> {
    let db = Db::open(&Options::new(Url::Sqlite(path.to_owned())), Access::Create).await?;
    let before = peak()?;
    rebuild(&db, &views::projections()).await?;
    println!("{} KiB, {} KiB before", peak()?, before);
    db.close().await;
    Ok(())
}

fn peak() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}

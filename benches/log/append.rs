//! Bare events: 64 writers through the log, one event each at a time, against transactions of one event.

use std::sync::Arc;
use std::time::Instant;

use artifactstore::clock::Clock;
use artifactstore::db::testing::Database;
use artifactstore::db::{Access, Db, Value};
use artifactstore::events::{
    Actor, Command, Decision, Event, Fact, Log, Observer, Projections, Read, Rows, TagMoved,
};
use artifactstore::hash;
use artifactstore::oci::Algorithm;

use super::{Measured, Outcome, ROUNDS, compare};

const WRITERS: u32 = 64;

/// Events of each writer in a round.
const EACH: u32 = 100;

/// Transactions of one event in a round.
const ALONE: u32 = 300;

struct Move(u32);

impl Command for Move {
    type Rejection = std::convert::Infallible;

    fn reads(&self) -> Vec<Read> {
        Vec::new()
    }

    fn decide(&self, _: &Rows) -> Result<Decision, Self::Rejection> {
        let digest = hash::digest(Algorithm::Sha256, &self.0.to_be_bytes());
        let fact: Fact = TagMoved {
            repository: "bench/log".parse().expect("it is a name"),
            tag: "latest".parse().expect("it is a tag"),
            digest: digest.clone(),
            content: digest,
            previous: None,
        }
        .into();
        Ok(Decision { facts: vec![fact], contents: Vec::new() })
    }
}

/// Nobody remembers anything.
pub(super) struct Nobody;

impl Observer for Nobody {
    fn committed(&self, _: &[Event]) {}

    fn lost_track(&self) {}
}

pub(super) async fn run() -> Outcome<()> {
    let (ours, theirs) = (Database::new().await, Database::new().await);
    let db = Db::open(&ours.options(), Access::Create).await?;
    let log =
        Log::open(db.clone(), Projections::new(Vec::new(), 1), Clock::system(), Arc::new(Nobody)).await?;
    let plain = Db::open(&theirs.options(), Access::Create).await?;
    Log::open(plain.clone(), Projections::new(Vec::new(), 1), Clock::system(), Arc::new(Nobody)).await?;
    let mut rounds = [Vec::new(), Vec::new(), Vec::new()];
    let mut sequence = 0;
    for round in 0..=ROUNDS {
        let all = [many(&log).await?, alone(&log).await?, by_hand(&plain, &mut sequence).await?];
        if round > 0 {
            for (rounds, measured) in rounds.iter_mut().zip(all) {
                rounds.push(measured);
            }
        }
    }
    compare("64 writers against one event per transaction", &rounds[0], &rounds[2], "20");
    compare("64 writers against one writer through the log", &rounds[0], &rounds[1], "-");
    Ok(())
}

async fn many(log: &Log) -> Outcome<Measured> {
    let start = Instant::now();
    let writers = (0..WRITERS).map(|_| {
        let log = log.clone();
        tokio::spawn(async move {
            for n in 0..EACH {
                log.submit(Actor::system(), Move(n)).await.map_err(|refusal| format!("{refusal:?}"))?;
            }
            Ok::<_, String>(())
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    Ok(Measured { count: WRITERS * EACH, taken: start.elapsed() })
}

async fn alone(log: &Log) -> Outcome<Measured> {
    let start = Instant::now();
    for n in 0..ALONE {
        log.submit(Actor::system(), Move(n)).await.map_err(|refusal| format!("{refusal:?}"))?;
    }
    Ok(Measured { count: ALONE, taken: start.elapsed() })
}

/// The least that a transaction with one event can be: lock, insert, move the head, commit.
async fn by_hand(db: &Db, sequence: &mut i64) -> Outcome<Measured> {
    const INSERT: &str = "INSERT INTO events VALUES ($1, 'v1.tag.moved', 0, 'system', 'bench/log', 'latest', $2, \
                          $3, $4, $5, $6)";
    let start = Instant::now();
    for _ in 0..ALONE {
        *sequence += 1;
        let mut tx = db.write().await?;
        let blob = |len: usize| Value::from(vec![7_u8; len]);
        let id = format!("{:026}", *sequence);
        tx.execute(INSERT, vec![(*sequence).into(), id.into(), blob(330), blob(230), blob(32), blob(32)])
            .await?;
        tx.execute("UPDATE log_head SET next_sequence = $1", vec![(*sequence + 1).into()]).await?;
        tx.commit().await?;
    }
    Ok(Measured { count: ALONE, taken: start.elapsed() })
}

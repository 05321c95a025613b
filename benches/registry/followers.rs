//! Pushing while a thousand consumers follow the log and wait for something that does not happen.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::Outcome;
use super::client::Client;
use super::content::unique;
use super::garbage::{from_all, push_all};
use super::measure::{Report, take_turns};
use super::peers::Peer;

const FOLLOWERS: usize = 1000;

/// Extra memory they may take, MiB.
const MEMORY: f64 = 64.0;

/// How long an event may take to all of them, in seconds.
const REACH: f64 = 1.0;

/// What they wait for.
const EVENTS: &str = "/v2/_artifactstore/events?types=schema";

/// The slowest hundredth of pushes with idle consumers, against the same without; what they take of memory, and how long
/// an event takes to the last of them.
pub(super) fn thousand(report: &mut Report) -> Outcome<()> {
    let ours = Peer::ours()?;
    let address = ours.address();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (mut memory, mut reach) = (Vec::new(), Vec::new());
    let seconds = take_turns(&mut [
        Box::new(|_| slowest_hundredth(address)),
        Box::new(|_| {
            let before = ours.resident("VmRSS:")?;
            let mut followers = runtime.block_on(connect(address))?;
            memory.push(ours.resident("VmRSS:")? - before);
            let slowest = slowest_hundredth(address)?;
            reach.push(tell(address, &runtime, &mut followers)?);
            Ok(slowest)
        }),
    ])?;
    report.compare_latency("follow-1000 p99", "nobody", Some(1.2), &seconds[1], &seconds[0]);
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    report.bound("follow-1000 memory", "MiB", most(&memory), MEMORY);
    report.bound("follow-1000 event to all", "s", most(&reach), REACH);
    report.note_memory("follow-1000", &ours)
}

fn slowest_hundredth(address: SocketAddr) -> Outcome<f64> {
    let pushed = from_all(|pusher| push_all(address, pusher))?;
    let mut taken: Vec<f64> = pushed.into_iter().flatten().collect();
    taken.sort_by(f64::total_cmp);
    Ok(taken[taken.len() * 99 / 100])
}

/// Connects all of them, and waits until each was answered. Each task ends with the moment its event came.
async fn connect(address: SocketAddr) -> Outcome<JoinSet<Outcome<Instant>>> {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut followers = JoinSet::new();
    for _ in 0..FOLLOWERS {
        let tell = tell.clone();
        followers.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            let head =
                format!("GET {EVENTS} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            let (mut read, mut buffer) = (Vec::new(), [0; 2048]);
            loop {
                match stream.read(&mut buffer).await? {
                    0 => return Err("a stream ended".into()),
                    count => read.extend_from_slice(&buffer[..count]),
                }
                if contains(&read, b"bookmark") {
                    let _ = tell.send(());
                }
                if contains(&read, b"schema.registered") {
                    return Ok(Instant::now());
                }
                let keep = read.len().saturating_sub(32);
                read.drain(..keep);
            }
        });
    }
    for _ in 0..FOLLOWERS {
        tokio::time::timeout(Duration::from_secs(30), told.recv())
            .await
            .map_err(|_| "a follower was not answered")?;
    }
    Ok(followers)
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// Has happen what they wait for. How many seconds until the last of them knows.
fn tell(address: SocketAddr, runtime: &Runtime, followers: &mut JoinSet<Outcome<Instant>>) -> Outcome<f64> {
    let mut client = Client::connect(address)?;
    let path = format!("/v2/_artifactstore/schemas/s{}", unique());
    client.call("PUT", &path, "application/json", &[b"{}"], 201)?;
    let acknowledged = Instant::now();
    runtime.block_on(async {
        let mut latest = acknowledged;
        while let Some(came) = followers.join_next().await {
            latest = latest.max(came??);
        }
        Ok((latest - acknowledged).as_secs_f64())
    })
}

//! Pulling blobs, against nginx sending the very same files with sendfile.

use std::fs::hard_link;
use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use super::client::{Client, push_blob};
use super::content::{GIB, MIB, digest, random};
use super::measure::{Comparison, Report, take_turns};
use super::peers::Peer;
use super::{Failure, Outcome};

const OBJECTS: usize = 64;

/// Objects each of as many clients pulls in a round, over one connection.
const EACH: usize = 16;

/// One client and 1 GiB.
pub(super) fn one_gibibyte(report: &mut Report) -> Outcome<()> {
    let (ours, nginx) = (Peer::ours()?, Peer::nginx()?);
    let path = {
        let content = random(GIB);
        store(&ours, &nginx, &content)?
    };
    let mut clients = [Client::connect(ours.address())?, Client::connect(nginx.address())?];
    let [our_client, their_client] = &mut clients;
    let pull = |client: &mut Client| {
        let start = Instant::now();
        client.call("GET", &path, "", &[], 200)?;
        Ok(start.elapsed().as_secs_f64())
    };
    let seconds = take_turns(&mut [Box::new(|_| pull(our_client)), Box::new(|_| pull(their_client))])?;
    let comparison =
        Comparison { name: "pull-1g", baseline: "nginx", unit: "MiB/s", work: GIB / MIB, aim: Some(0.8) };
    report.compare(&comparison, &seconds[0], &seconds[1]);
    report.note_memory("pull-1g", &ours)?;
    report.note_memory("pull-1g", &nginx)
}

/// 64 clients at once, each pulling objects of 1 MiB.
pub(super) fn many_mebibytes(report: &mut Report) -> Outcome<()> {
    let (ours, nginx) = (Peer::ours()?, Peer::nginx()?);
    let paths: Vec<String> =
        (0..OBJECTS).map(|_| store(&ours, &nginx, &random(MIB))).collect::<Outcome<_>>()?;
    let seconds = take_turns(&mut [
        Box::new(|_| pull_all(ours.address(), &paths)),
        Box::new(|_| pull_all(nginx.address(), &paths)),
    ])?;
    let comparison = Comparison {
        name: "pull-1m-64",
        baseline: "nginx",
        unit: "objects/s",
        work: OBJECTS * EACH,
        aim: Some(0.8),
    };
    report.compare(&comparison, &seconds[0], &seconds[1]);
    report.note_memory("pull-1m-64", &ours)?;
    report.note_memory("pull-1m-64", &nginx)
}

/// Pushes a blob to us and lets nginx serve the file it became, under the same path.
fn store(ours: &Peer, nginx: &Peer, content: &[u8]) -> Outcome<String> {
    let digest = digest(&[content]);
    push_blob(&mut Client::connect(ours.address())?, "bench/pull", &digest, &[content])?;
    let folder = "v2/bench/pull/blobs";
    std::fs::create_dir_all(nginx.files().join(folder))?;
    hard_link(ours.stored(content.len())?, nginx.files().join(folder).join(&digest))?;
    Ok(format!("/{folder}/{digest}"))
}

fn pull_all(address: SocketAddr, paths: &[String]) -> Outcome<f64> {
    let clients = paths.iter().map(|_| Client::connect(address)).collect::<Outcome<Vec<_>>>()?;
    let start = Instant::now();
    thread::scope(|scope| {
        let pullers: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(first, mut client)| {
                scope.spawn(move || {
                    let (before, after) = paths.split_at(first);
                    for path in after.iter().chain(before).take(EACH) {
                        client.call("GET", path, "", &[], 200)?;
                    }
                    Ok::<(), Failure>(())
                })
            })
            .collect();
        pullers.into_iter().try_for_each(|puller| puller.join().map_err(|_| "a puller panicked")?)
    })?;
    Ok(start.elapsed().as_secs_f64())
}

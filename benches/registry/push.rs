//! Pushing: one large blob, and many small artifacts at once.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use super::client::{Client, push_blob};
use super::content::{GIB, MIB, digest, random, unique};
use super::measure::{Comparison, Report, Turn, take_turns};
use super::peers::Peer;
use super::{Failure, Outcome};

const PUSHERS: usize = 16;

/// Artifacts each pusher pushes in a round.
const EACH: usize = 16;

/// A durable push of 1 GiB against hashing the same bytes on one thread, and against writing and syncing them.
pub(super) fn one_gibibyte(report: &mut Report) -> Outcome<()> {
    let ours = Peer::ours()?;
    let scratch = tempfile::tempdir()?;
    let content = random(GIB);
    let prefixes: Vec<[u8; 8]> = std::iter::repeat_with(|| unique().to_le_bytes()).take(64).collect();
    let parts = |round: usize| [prefixes[round].as_slice(), &content[8..]];
    let mut client = Client::connect(ours.address())?;
    // Both sides need the digest, but only one of them is timed for it.
    let mut digests = vec![String::new(); prefixes.len()];
    let digests = std::cell::RefCell::new(&mut digests);
    let mut turns: [Turn<'_>; 3] = [
        Box::new(|round| {
            let start = Instant::now();
            let digest = digest(&parts(round));
            let seconds = start.elapsed().as_secs_f64();
            digests.borrow_mut()[round] = digest;
            Ok(seconds)
        }),
        Box::new(|round| {
            let start = Instant::now();
            push_blob(&mut client, "bench/large", &digests.borrow()[round], &parts(round))?;
            Ok(start.elapsed().as_secs_f64())
        }),
        Box::new(|round| {
            let start = Instant::now();
            // A new file every time, like ours: memory that the last round freed is cheaper than new memory.
            let mut file = File::create(scratch.path().join(format!("plain-{round}")))?;
            for part in parts(round) {
                part.chunks(MIB).try_for_each(|piece| file.write_all(piece))?;
            }
            file.sync_all()?;
            Ok(start.elapsed().as_secs_f64())
        }),
    ];
    let seconds = take_turns(&mut turns)?;
    let compare =
        |baseline, aim| Comparison { name: "push-1g", baseline, unit: "MiB/s", work: GIB / MIB, aim };
    report.compare(&compare("sha256", Some(0.85)), &seconds[1], &seconds[0]);
    report.compare(&compare("write+fsync", None), &seconds[1], &seconds[2]);
    report.note_memory("push-1g", &ours)
}

/// Sixteen clients that push small artifacts, against the same on distribution.
pub(super) fn small_artifacts(report: &mut Report) -> Outcome<()> {
    let (ours, theirs) = (Peer::ours()?, Peer::distribution()?);
    let never_syncs = Peer::distribution_in_memory()?;
    let seconds = take_turns(&mut [
        Box::new(|round| push_from_all(ours.address(), round)),
        Box::new(|round| push_from_all(theirs.address(), round)),
        Box::new(|round| push_from_all(never_syncs.address(), round)),
    ])?;
    let compare = |baseline, aim| Comparison {
        name: "push-small-16",
        baseline,
        unit: "artifacts/s",
        work: PUSHERS * EACH,
        aim,
    };
    report.compare(&compare("distribution", Some(2.0)), &seconds[0], &seconds[1]);
    report.compare(&compare("distribution on tmpfs", None), &seconds[0], &seconds[2]);
    report.note_memory("push-small-16", &ours)?;
    report.note_memory("push-small-16", &theirs)
}

fn push_from_all(address: SocketAddr, round: usize) -> Outcome<f64> {
    let artifacts: Vec<Vec<Artifact>> =
        (0..PUSHERS).map(|_| (0..EACH).map(|_| artifact()).collect()).collect();
    let start = Instant::now();
    thread::scope(|scope| {
        let pushers: Vec<_> = artifacts
            .iter()
            .enumerate()
            .map(|(pusher, artifacts)| {
                scope.spawn(move || {
                    let mut client = Client::connect(address)?;
                    let repository = format!("bench/small-{pusher}");
                    for (number, artifact) in artifacts.iter().enumerate() {
                        push_artifact(&mut client, &repository, &format!("r{round}-{number}"), artifact)?;
                    }
                    Ok::<(), Failure>(())
                })
            })
            .collect();
        pushers.into_iter().try_for_each(|pusher| pusher.join().map_err(|_| "a pusher panicked")?)
    })?;
    Ok(start.elapsed().as_secs_f64())
}

/// Contents with their digests: layer and config, manifest.
pub(super) struct Artifact {
    pub(super) blobs: [(String, Vec<u8>); 2],
    pub(super) manifest: (String, Vec<u8>),
}

/// One that nobody has.
pub(super) fn artifact() -> Artifact {
    let with_digest = |bytes: Vec<u8>| (digest(&[&bytes]), bytes);
    let config = with_digest(format!(r#"{{"run":{}}}"#, unique()).into_bytes());
    let layer = with_digest(random(4096));
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[{{"mediaType":"application/octet-stream","digest":"{}","size":4096,"annotations":{{"org.opencontainers.image.title":"results.bin"}}}}]}}"#,
        config.0,
        config.1.len(),
        layer.0,
    );
    Artifact { blobs: [layer, config], manifest: with_digest(manifest.into_bytes()) }
}

/// The requests `oras push` makes: look, then send what is missing, the manifest last and by tag.
pub(super) fn push_artifact(
    client: &mut Client,
    repository: &str,
    tag: &str,
    artifact: &Artifact,
) -> Outcome<()> {
    for (digest, bytes) in &artifact.blobs {
        client.call("HEAD", &format!("/v2/{repository}/blobs/{digest}"), "", &[], 404)?;
        push_blob(client, repository, digest, &[bytes])?;
    }
    let (digest, bytes) = &artifact.manifest;
    client.call("HEAD", &format!("/v2/{repository}/manifests/{digest}"), "", &[], 404)?;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    client.call("PUT", &format!("/v2/{repository}/manifests/{tag}"), media_type, &[bytes], 201).map(drop)
}

//! Memory is bounded by what is under way, never by what is stored, also when nothing may wait on a disk.

use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use artifactstore::hash::Hasher;
use artifactstore::oci::Algorithm;

use crate::place::Place;
use crate::plan::{Plan, shared_storage};
use crate::support::{Client, Content, alone, setting};

const MIB: u64 = 1024 * 1024;

#[test]
fn a_large_blob_goes_through_little_memory() {
    large_blob(shared_storage(), 300);
}

/// Through the service that keeps objects on a disk: the other one has them in memory.
#[test]
#[ignore = "minutes; run with --include-ignored"]
fn a_blob_of_4_gib_goes_through_less_than_192_mib() {
    large_blob(Place::of_variable("ARTIFACTSTORE_TEST_S3_VERSITY"), setting("REPLICAS_BLOB_MIB", 4096));
}

#[test]
fn some_uploads_at_once_go_through_little_memory() {
    many_uploads(24, 9);
}

#[test]
#[ignore = "minutes; run with --include-ignored"]
fn uploads_of_16_mib_at_once_go_through_less_than_384_mib() {
    many_uploads(64, 16);
}

fn large_blob(storage: Place, mib: u64) {
    let _alone = alone();
    let cluster = Plan::new().storage(storage).start(1);
    let idle = cluster.peak_memory(0);
    let content = Content { seed: 1, length: mib * MIB };
    let mut client = cluster.client(0);
    let start = Instant::now();
    let digest = stream(&mut client, "large", content).unwrap();
    let (pushed, push_peak) = (start.elapsed(), cluster.peak_memory(0));
    let start = Instant::now();
    compare(&mut client, &format!("/v2/large/blobs/{digest}"), content);
    let (pulled, peak) = (start.elapsed(), cluster.peak_memory(0));
    println!("{mib} MiB: pushed in {pushed:.1?}, pulled in {pulled:.1?}");
    println!(
        "peak memory: {idle:.0} MiB idle, {push_peak:.0} MiB after the push, {peak:.0} MiB after the pull"
    );
    assert!(peak < 192.0, "{peak:.0} MiB");
    cluster.stop(0);
}

fn many_uploads(count: u64, mib: u64) {
    let _alone = alone();
    let cluster = Plan::new().start(1);
    let together = Barrier::new(usize::try_from(count).unwrap());
    let start = Instant::now();
    thread::scope(|scope| {
        for number in 0..count {
            let (cluster, together) = (&cluster, &together);
            scope.spawn(move || {
                let mut client = cluster.client(0);
                let content = Content { seed: number, length: mib * MIB };
                together.wait();
                stream(&mut client, &format!("many/{number}"), content).unwrap();
            });
        }
    });
    let (took, peak) = (start.elapsed(), cluster.peak_memory(0));
    println!("{count} uploads of {mib} MiB at once: {took:.1?}, peak memory {peak:.0} MiB");
    assert!(peak <= 384.0, "{peak:.0} MiB");
    cluster.stop(0);
}

/// Streams an upload in one PATCH, hashing on the way, and closes it. Returns the digest.
fn stream(client: &mut Client, repository: &str, content: Content) -> io::Result<String> {
    // Many clients on few cores wait for each other.
    client.patience(Duration::from_mins(5))?;
    let begun = client.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"")?.expect(202);
    let (mut pieces, mut hasher) = (content.pieces(), Hasher::new(Algorithm::Sha256));
    client.begin("PATCH", &begun.location(), &[], content.length)?;
    while let Some(piece) = pieces.next() {
        hasher.update(piece);
        client.write(piece)?;
    }
    let location = client.end()?.expect(202).location();
    let digest = hasher.finish().to_string();
    client.send("PUT", &format!("{location}?digest={digest}"), &[], b"")?.expect(201);
    Ok(digest)
}

/// Pulls a blob and compares every byte with what was pushed.
fn compare(client: &mut Client, path: &str, content: Content) {
    let (mut pieces, mut length) = (content.pieces(), 0);
    let status = client.pull(path, |got| {
        assert!(pieces.go_on_with(got), "other bytes come somewhere behind byte {length}");
        length += got.len() as u64;
    });
    assert_eq!((status.unwrap(), length), (200, content.length));
}

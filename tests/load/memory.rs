//! Memory is bounded by what is under way, never by what is stored.

use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use artifactstore::hash::Hasher;
use artifactstore::oci::Algorithm;

use crate::support::{Client, Content, Server, alone, folder, setting};

const MIB: u64 = 1024 * 1024;

#[test]
fn a_large_blob_goes_through_little_memory() {
    large_blob(256);
}

#[test]
#[ignore = "minutes; run with --include-ignored"]
fn a_blob_of_4_gib_goes_through_less_than_128_mib() {
    large_blob(setting("LOAD_BLOB_MIB", 4096));
}

#[test]
fn some_uploads_at_once_go_through_little_memory() {
    many_uploads(64, 4);
}

#[test]
#[ignore = "minutes; run with --include-ignored"]
fn uploads_of_64_mib_at_once_go_through_less_than_256_mib() {
    many_uploads(setting("LOAD_UPLOADS", 64), 64);
}

/// Every chunk of a chunked body is a frame of its own, however small.
#[test]
fn a_body_in_tiny_chunks_goes_through_little_memory() {
    let _alone = alone();
    let folder = folder();
    let server = Server::start(&folder.path().join("data"));
    // A little more than the server gathers at a time; a debug build takes seconds for it.
    let content = Content { seed: 1, length: MIB / 2 + 10_000 };
    let chunked: Vec<u8> = content.bytes().iter().flat_map(|&byte| [b'1', 13, 10, byte, 13, 10]).collect();
    thread::scope(|scope| {
        for number in 0..2 {
            let (server, chunked) = (&server, &chunked);
            scope.spawn(move || {
                let mut client = server.client();
                let path = format!("/v2/tiny/{number}/blobs/uploads/?digest={}", content.digest());
                client.begin_chunked("POST", &path).unwrap();
                client.write(chunked).unwrap();
                client.write(b"0\r\n\r\n").unwrap();
                client.end().unwrap().expect(201);
            });
        }
    });
    let peak = server.peak_memory();
    println!("2 bodies in chunks of one byte: peak memory {peak:.0} MiB");
    assert!(peak < 64.0, "{peak:.0} MiB");
    server.stop();
}

fn large_blob(mib: u64) {
    let _alone = alone();
    let folder = folder();
    let server = Server::start(&folder.path().join("data"));
    let idle = server.peak_memory();
    let content = Content { seed: 1, length: mib * MIB };
    let mut client = server.client();
    let start = Instant::now();
    let digest = stream(&mut client, "large", content).unwrap();
    let (pushed, push_peak) = (start.elapsed(), server.peak_memory());
    let start = Instant::now();
    compare(&mut client, &format!("/v2/large/blobs/{digest}"), content);
    let (pulled, peak) = (start.elapsed(), server.peak_memory());
    println!("{mib} MiB: pushed in {pushed:.1?}, pulled in {pulled:.1?}");
    println!(
        "peak memory: {idle:.0} MiB idle, {push_peak:.0} MiB after the push, {peak:.0} MiB after the pull"
    );
    assert!(peak < 128.0, "{peak:.0} MiB");
    server.stop();
}

fn many_uploads(count: u64, mib: u64) {
    let _alone = alone();
    let folder = folder();
    let server = Server::start(&folder.path().join("data"));
    let together = Barrier::new(usize::try_from(count).unwrap());
    let start = Instant::now();
    thread::scope(|scope| {
        for number in 0..count {
            let (server, together) = (&server, &together);
            scope.spawn(move || {
                let mut client = server.client();
                let content = Content { seed: number, length: mib * MIB };
                together.wait();
                stream(&mut client, &format!("many/{number}"), content).unwrap();
            });
        }
    });
    let (took, peak) = (start.elapsed(), server.peak_memory());
    println!("{count} uploads of {mib} MiB at once: {took:.1?}, peak memory {peak:.0} MiB");
    assert!(peak < 256.0, "{peak:.0} MiB");
    server.stop();
}

/// Streams an upload in one PATCH, hashing on the way, and closes it. Returns the digest.
fn stream(client: &mut Client, repository: &str, content: Content) -> io::Result<String> {
    // Hundreds of clients on few cores wait for each other.
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

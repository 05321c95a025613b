//! An upload belongs to no replica: it begins on one, goes on on the next, and ends on a third.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, PREFIX};
use crate::plan::Plan;
use crate::support::{Answer, Client, Content, PIECE, alone, eventually, push};

/// How long a session may be held for a replica that is gone, seen from outside: a lease and a moment.
const HELD: Duration = Duration::from_secs(30);

const MIB: u64 = 1024 * 1024;

/// The storage's part size, and the smallest one that S3 takes.
const PART: u64 = 8 * MIB;
const LEAST: u64 = 5 * MIB;

fn begin(cluster: &Cluster, replica: usize) -> String {
    let answer = cluster.client(replica).send("POST", "/v2/some/app/blobs/uploads/", &[], b"").unwrap();
    answer.expect(202).location()
}

/// Where an upload stands.
fn stands(client: &mut Client, location: &str) -> u64 {
    let answer = client.get(location).unwrap().expect(204);
    let last: i64 = answer.header("range").unwrap().split_once('-').unwrap().1.parse().unwrap();
    u64::try_from(last + 1).unwrap()
}

/// Sends some of a content as the chunk that begins at `at`.
fn patch(cluster: &Cluster, replica: usize, location: &str, at: u64, bytes: &[u8]) -> Answer {
    let range = format!("{at}-{}", at + bytes.len() as u64 - 1);
    cluster.client(replica).send("PATCH", location, &[("content-range", &range)], bytes).unwrap()
}

fn close(cluster: &Cluster, replica: usize, location: &str, content: Content) -> Answer {
    let path = format!("{location}?digest={}", content.digest());
    cluster.client(replica).send("PUT", &path, &[], b"").unwrap()
}

#[track_caller]
fn everybody_has(cluster: &Cluster, content: Content) {
    for replica in 0..cluster.size() {
        let (mut pieces, mut length) = (content.pieces(), 0);
        let path = format!("/v2/some/app/blobs/{}", content.digest());
        let status = cluster.client(replica).pull(&path, |bytes| {
            assert!(pieces.go_on_with(bytes), "replica {replica} has other bytes behind byte {length}");
            length += bytes.len() as u64;
        });
        assert_eq!((status.unwrap(), length), (200, content.length), "replica {replica}");
    }
}

/// Nothing is begun in the bucket that nobody will end.
fn nothing_is_left(cluster: &Cluster) {
    let mut left = Vec::new();
    eventually("nothing to be left of ended uploads", || {
        left = cluster.bucket.objects(&format!("{PREFIX}staging/"));
        left.extend(cluster.bucket.multiparts().into_iter().map(|(key, _)| key));
        left.is_empty().then_some(())
    });
}

fn at(bytes: &[u8], from: u64, to: u64) -> &[u8] {
    &bytes[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()]
}

#[test]
fn an_upload_goes_on_elsewhere_when_its_replica_is_killed_in_the_middle_of_a_chunk() {
    let _alone = alone();
    let cluster = Plan::new().start(3);
    let uploads = [(1, 9 * MIB), (2, LEAST), (3, 100), (4, 0)].map(|(seed, first)| {
        let content = Content { seed, length: 30 * MIB + 17 };
        let (bytes, location) = (content.bytes(), begin(&cluster, 0));
        if first > 0 {
            patch(&cluster, 0, &location, 0, at(&bytes, 0, first)).expect(202);
        }
        // Half of a chunk reaches A and then A is no more.
        let mut client = cluster.client(0);
        let range = format!("{first}-{}", first + 20 * MIB - 1);
        client.begin("PATCH", &location, &[("content-range", &range)], 20 * MIB).unwrap();
        client.write(at(&bytes, first, first + 12 * MIB)).unwrap();
        (content, bytes, location, first, client)
    });
    cluster.kill(0);
    let killed = Instant::now();
    thread::scope(|scope| {
        for (content, bytes, location, first, _client) in &uploads {
            let cluster = &cluster;
            scope.spawn(move || {
                let received = go_on_at(cluster, location, *first, bytes);
                assert!(received <= first + 12 * MIB, "{received} bytes were never sent");
                println!("killed behind {first} bytes: goes on at {received} after {:.1?}", killed.elapsed());
                assert!(killed.elapsed() < HELD, "the session was held for a dead replica");
                let next = received + 10 * MIB;
                assert_eq!(stands(&mut cluster.client(2), location), next);
                patch(cluster, 2, location, next, at(bytes, next, content.length)).expect(202);
                close(cluster, 2, location, *content).expect(201);
            });
        }
    });
    cluster.start_again(0);
    for (content, ..) in uploads {
        everybody_has(&cluster, content);
    }
    cluster.check_sweep();
    cluster.check();
}

/// Sends 10 MiB through B from where the upload stands, as soon as that is allowed. Returns where it stood.
fn go_on_at(cluster: &Cluster, location: &str, acknowledged: u64, bytes: &[u8]) -> u64 {
    let mut client = cluster.client(1);
    let begun = Instant::now();
    loop {
        let received = stands(&mut client, location);
        assert!(received >= acknowledged, "{acknowledged} bytes were acknowledged, {received} are left");
        let answer = patch(cluster, 1, location, received, at(bytes, received, received + 10 * MIB));
        if answer.status == 202 {
            return received;
        }
        assert_eq!(answer.status, 416, "{answer:?}");
        assert!(begun.elapsed() < 2 * HELD, "the session is stuck");
    }
}

#[test]
fn every_chunk_of_an_upload_may_go_through_another_replica_whatever_its_size() {
    let _alone = alone();
    let cluster = Plan::new().start(3);
    let rows: [&[u64]; 7] = [
        &[1, LEAST - 1, LEAST + 1, PART, 20 * MIB, 1],
        &[1, 1, 1],
        &[PART, PART, PART],
        &[PART - 1, 1, PART, 1],
        &[PART + 1, PART + 1, PART - 2, 3],
        &[17 * MIB],
        &[100, PIECE as u64, LEAST, 2 * PART, 3 * PART + 5],
    ];
    for (sizes, seed) in rows.into_iter().zip(10..) {
        let content = Content { seed, length: sizes.iter().sum() };
        let (bytes, location) = (content.bytes(), begin(&cluster, 0));
        let mut received = 0;
        for (number, size) in sizes.iter().enumerate() {
            let chunk = at(&bytes, received, received + size);
            patch(&cluster, number % 3, &location, received, chunk).expect(202);
            received += size;
            assert_eq!(stands(&mut cluster.client((number + 2) % 3), &location), received, "{sizes:?}");
        }
        close(&cluster, sizes.len() % 3, &location, content).expect(201);
        everybody_has(&cluster, content);
    }
    nothing_is_left(&cluster);
    cluster.check();
}

/// Suspended by its host, say: it comes back and does not know that its time is over.
#[test]
fn a_replica_that_stood_still_longer_than_its_lease_spoils_nothing_when_it_goes_on() {
    let _alone = alone();
    let cluster = Plan::new().start(3);
    let mut uploads = [50, 51].map(|seed| {
        let content = Content { seed, length: 30 * MIB };
        let (bytes, location) = (content.bytes(), begin(&cluster, 0));
        let mut client = cluster.client(0);
        let range = format!("0-{}", 20 * MIB - 1);
        client.begin("PATCH", &location, &[("content-range", &range)], 20 * MIB).unwrap();
        client.write(at(&bytes, 0, 9 * MIB)).unwrap();
        (content, bytes, location, client)
    });
    cluster.pause(0);
    let paused = Instant::now();
    for (content, bytes, location, _) in &uploads {
        let received = go_on_at(&cluster, location, 0, bytes) + 10 * MIB;
        println!("stood still: went on to {received} after {:.1?}", paused.elapsed());
        patch(&cluster, 1, location, received, at(bytes, received, content.length)).expect(202);
    }
    assert!(paused.elapsed() < HELD, "the sessions were held for a replica that stands still");
    // One upload is closed before the late bytes come, and the other one behind them.
    close(&cluster, 2, &uploads[0].2, uploads[0].0).expect(201);
    cluster.go_on(0);
    for (.., client) in &mut uploads {
        // What it gets to store now belongs to nobody.
        let answer = client.write(&vec![0; usize::try_from(11 * MIB).unwrap()]).and_then(|()| client.end());
        assert!(answer.as_ref().is_ok_and(|answer| matches!(answer.status, 404 | 416)), "{answer:?}");
    }
    let closed = close(&cluster, 2, &uploads[1].2, uploads[1].0);
    if closed.status != 201 {
        // Both wrote to one place and the storage noticed: the client starts over.
        assert!(matches!(closed.status, 404 | 500..600), "{closed:?}");
        push(&mut cluster.client(2), "some/app", uploads[1].0).unwrap().expect(201);
    }
    for (content, ..) in uploads {
        everybody_has(&cluster, content);
    }
    cluster.check_sweep();
    cluster.check();
}

/// A client that does not trust the first answer asks again, and not always the same replica.
#[test]
fn a_close_through_two_replicas_at_once_closes_once_and_both_may_be_told() {
    let _alone = alone();
    let cluster = Plan::new().start(3);
    let mut stored = 0;
    for (length, seed) in [(1000, 20), (PART + 3, 21), (0, 22), (2 * PART, 23)] {
        let content = Content { seed, length };
        let location = begin(&cluster, 2);
        if length > 0 {
            patch(&cluster, 2, &location, 0, &content.bytes()).expect(202);
        }
        let answers = thread::scope(|scope| {
            let ask = |replica| {
                let (cluster, location) = (&cluster, &location);
                scope.spawn(move || close(cluster, replica, location, content))
            };
            [ask(0), ask(1)].map(|asked| asked.join().unwrap())
        });
        assert!(answers.iter().any(|answer| answer.status == 201), "{answers:?}");
        // The other one met an upload that somebody else was closing.
        assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 416)), "{answers:?}");
        close(&cluster, 2, &location, content).expect(201);
        everybody_has(&cluster, content);
        stored += 1;
        let counted = cluster.database.number("SELECT COUNT(*) FROM events WHERE type = 'v1.blob.stored'");
        assert_eq!(counted, stored);
    }
    nothing_is_left(&cluster);
    cluster.check();
}

/// A crash of the database costs it the newest moments of sessions: one may name bytes that became a blob since.
#[test]
fn a_session_that_fell_back_behind_its_bytes_is_told_so_or_gets_its_answer_again() {
    let _alone = alone();
    let cluster = Plan::new().start(2);
    let fall_back = || {
        cluster.database.execute("DELETE FROM uploads; INSERT INTO uploads SELECT * FROM before");
    };
    for (length, seed) in [(1000, 60), (PART + 1000, 61)] {
        let content = Content { seed, length };
        let (bytes, location) = (content.bytes(), begin(&cluster, 0));
        patch(&cluster, 0, &location, 0, at(&bytes, 0, length - 400)).expect(202);
        cluster.database.execute("DROP TABLE IF EXISTS before; CREATE TABLE before AS SELECT * FROM uploads");
        patch(&cluster, 0, &location, length - 400, at(&bytes, length - 400, length)).expect(202);
        close(&cluster, 0, &location, content).expect(201);

        fall_back();
        let put = format!("{location}?digest={}", content.digest());
        let rest = at(&bytes, length - 400, length);
        cluster.client(1).send("PUT", &put, &[], rest).unwrap().expect(201);
        fall_back();
        let other = format!("{location}?digest={}", Content { seed: 62, length }.digest());
        cluster.client(1).send("PUT", &other, &[], rest).unwrap().expect(404);
        fall_back();
        // Bytes that are put aside again need those before them only when there are enough for a part.
        let answer = patch(&cluster, 1, &location, length - 400, &vec![7; usize::try_from(PART).unwrap()]);
        assert_eq!(answer.status, 404, "{answer:?}");
        for replica in 0..2 {
            cluster.client(replica).get(&location).unwrap().expect(404);
        }
        everybody_has(&cluster, content);
    }
    cluster.check_sweep();
    cluster.check();
}

#[test]
fn an_upload_is_cancelled_through_any_replica() {
    let _alone = alone();
    let cluster = Plan::new().start(3);
    for (length, seed) in [(0, 30), (1000, 31), (LEAST + 1, 32), (2 * PART + 1, 33)] {
        let content = Content { seed, length };
        let location = begin(&cluster, 0);
        if length > 0 {
            patch(&cluster, 0, &location, 0, &content.bytes()).expect(202);
        }
        cluster.client(1).send("DELETE", &location, &[], b"").unwrap().expect(204);
        for replica in 0..3 {
            cluster.client(replica).get(&location).unwrap().expect(404);
        }
        patch(&cluster, 0, &location, length, b"more").expect(404);
        close(&cluster, 2, &location, content).expect(404);
        nothing_is_left(&cluster);
    }
    cluster.check();
}

#[test]
fn chunks_sent_through_two_replicas_at_once_never_mix() {
    let _alone = alone();
    let cluster = Plan::new().start(3);
    for seed in 40..46 {
        let content = Content { seed, length: 3 * PART };
        let bytes = content.bytes();
        let location = begin(&cluster, 0);
        let (mut received, mut refused) = (0, 0);
        while received < content.length {
            let end = content.length.min(received + LEAST + 77);
            let chunk = at(&bytes, received, end);
            let answers = thread::scope(|scope| {
                let send = |replica| {
                    let (cluster, location) = (&cluster, &location);
                    scope.spawn(move || patch(cluster, replica, location, received, chunk).status)
                };
                [send(0), send(1), send(2)].map(|sent| sent.join().unwrap())
            });
            assert_eq!(answers.iter().filter(|status| **status == 202).count(), 1, "{answers:?}");
            refused += answers.iter().filter(|status| **status == 416).count();
            received = stands(&mut cluster.client(1), &location);
            assert_eq!(received, end);
        }
        assert!(refused > 0);
        close(&cluster, 1, &location, content).expect(201);
        everybody_has(&cluster, content);
    }
    nothing_is_left(&cluster);
    cluster.check();
}

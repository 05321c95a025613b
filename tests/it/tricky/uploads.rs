//! Cases 11 to 35: pushing blobs.

use std::sync::Barrier;

use super::{Bench, Case};
use crate::support::{Request, noise, sha256, sha512, until};

pub(super) const CASES: &[Case] = &[
    (11, "an upload begins at a relative location in its repository", begins_relative),
    (12, "behind a TLS proxy that says nothing the location is still usable", usable_behind_a_proxy),
    (13, "a chunked PATCH without a range is appended", chunked_patch),
    (14, "an empty PATCH leaves the offset at 0", empty_patch),
    (15, "the range of a PATCH answer is that of the whole upload", range_of_the_whole),
    (16, "a chunk that starts too far on is 416 and nothing is kept", chunk_too_far_on),
    (17, "a last chunk by PUT with a wrong start is 416 and the session lives", last_chunk_out_of_order),
    (18, "a chunk shorter than its range is 400 SIZE_INVALID and nothing is kept", chunk_too_short),
    (19, "a malformed content range is refused", malformed_content_range),
    (20, "a fresh session has no byte", fresh_session),
    (21, "an unknown session is 404 BLOB_UPLOAD_UNKNOWN", unknown_session),
    (22, "a session is unknown in another repository", session_of_another_repository),
    (23, "a PATCH that breaks off is kept as far as it came", broken_patch),
    (24, "of two PATCHes at once one is appended and one is refused", two_patches_at_once),
    (25, "a wrong digest is refused and the bytes are not there", wrong_digest),
    (26, "a PUT may close with sha512 without a hint", sha512_without_a_hint),
    (27, "an unknown digest algorithm is 400", unknown_algorithm),
    (28, "a single POST pushes a blob", single_post),
    (29, "an empty blob may be pushed chunked", empty_blob),
    (30, "a repeated PUT succeeds again", repeated_put),
    (31, "a cancelled session is gone", cancelled),
    (32, "a mount that cannot be done becomes an upload", mount_missing),
    (35, "a mounted blob outlives its source", mounted_blob_outlives_its_source),
];

fn begins_relative(bench: &Bench) {
    let repo = bench.repo();
    for target in ["blobs/uploads/", "blobs/uploads"] {
        let begun = repo.client.post(repo.path(target)).expect(202).with("range", "0-0");
        assert!(begun.location().starts_with(&repo.path("blobs/uploads/")), "{begun}");
        assert!(begun.location().ends_with(begun.required("docker-upload-uuid")), "{begun}");
    }
}

fn usable_behind_a_proxy(bench: &Bench) {
    let repo = bench.repo();
    let begin = Request::post(repo.path("blobs/uploads/")).header("Host", "registry.example:443");
    let location = repo.client.send(&begin).expect(202).location();
    assert!(location.starts_with("/v2/"), "{location}");
    let put = Request::put(format!("{location}?digest={}", sha256(b"proxied")))
        .header("Host", "registry.example:443")
        .header("X-Forwarded-For", "192.0.2.1")
        .body("proxied");
    assert!(repo.client.send(&put).expect(201).location().starts_with("/v2/"));
}

fn chunked_patch(bench: &Bench) {
    let repo = bench.repo();
    let location = repo.begin();
    let bytes = noise(13, 100_000);
    let patched = repo.client.send(&Request::patch(&location).chunked(bytes.clone())).expect(202);
    let location = patched.with("range", "0-99999").location();
    repo.close(&location, &sha256(&bytes)).expect(201);
    assert_eq!(repo.client.get(repo.blob(&sha256(&bytes))).expect(200).body, bytes);
}

fn empty_patch(bench: &Bench) {
    let repo = bench.repo();
    let location = repo.begin();
    repo.client.send(&Request::patch(&location).body("")).expect(202).with("range", "0-0");
    repo.client.send(&Request::patch(&location).chunked("")).expect(202).with("range", "0-0");
    let next = Request::patch(&location).header("Content-Range", "0-2").body("abc");
    repo.client.send(&next).expect(202).with("range", "0-2");
}

fn range_of_the_whole(bench: &Bench) {
    let repo = bench.repo();
    let location = repo.begin();
    for (chunk, range) in [("01234", "0-4"), ("56789", "0-9")] {
        repo.client.send(&Request::patch(&location).body(chunk)).expect(202).with("range", range);
    }
    repo.close(&location, &sha256(b"0123456789")).expect(201);
}

fn chunk_too_far_on(bench: &Bench) {
    let repo = bench.repo();
    let location = repo.begin();
    let chunk = Request::patch(&location).header("Content-Range", "5-9").body("56789");
    let refused = repo.client.send(&chunk).refused(416, "BLOB_UPLOAD_INVALID");
    let refused = refused.with("location", &location).with("range", "0--1");
    assert!(refused.json()["errors"][0]["message"].as_str().unwrap().contains("0 bytes"), "{refused}");
    repo.client.get(&location).expect(204).with("range", "0--1");
}

fn last_chunk_out_of_order(bench: &Bench) {
    let repo = bench.repo();
    let location = repo.begin();
    repo.client.send(&Request::patch(&location).header("Content-Range", "0-4").body("01234")).expect(202);
    let close = format!("{location}?digest={}", sha256(b"0123456789"));
    let wrong = Request::put(&close).header("Content-Range", "7-11").body("56789");
    let refused = repo.client.send(&wrong).refused(416, "BLOB_UPLOAD_INVALID");
    refused.with("location", &location).with("range", "0-4");
    repo.client.get(&location).expect(204).with("range", "0-4").with("location", &location);
    let right = Request::put(&close).header("Content-Range", "5-9").body("56789");
    repo.client.send(&right).expect(201);
}

fn chunk_too_short(bench: &Bench) {
    let repo = bench.repo();
    let location = repo.begin();
    let short = Request::patch(&location).header("Content-Range", "0-99").body(noise(18, 50));
    repo.client.send(&short).refused(400, "SIZE_INVALID");
    repo.client.get(&location).expect(204).with("range", "0--1");
    let long = Request::patch(&location).header("Content-Range", "0-9").chunked(noise(18, 50));
    repo.client.send(&long).refused(400, "SIZE_INVALID");
    repo.client.get(&location).expect(204).with("range", "0--1");
}

fn malformed_content_range(bench: &Bench) {
    let repo = bench.repo();
    let location = repo.begin();
    repo.client.send(&Request::patch(&location).body("ab")).expect(202);
    for range in ["-5", "abc", "", "5", "9-2", "2-", "99999999999999999999-99999999999999999999", "2-3, 4-5"]
    {
        let chunk = Request::patch(&location).header("Content-Range", range).body("cd");
        let refused = repo.client.send(&chunk).refused(416, "BLOB_UPLOAD_INVALID");
        refused.with("location", &location).with("range", "0-1");
        let last = Request::put(format!("{location}?digest={}", sha256(b"abcd")));
        repo.client.send(&last.header("Content-Range", range).body("cd")).refused(416, "BLOB_UPLOAD_INVALID");
    }
    repo.client.get(&location).expect(204).with("range", "0-1");
}

fn fresh_session(bench: &Bench) {
    let repo = bench.repo();
    let location = repo.begin();
    repo.client.get(&location).expect(204).with("range", "0--1").with("location", &location);
}

fn unknown_session(bench: &Bench) {
    let repo = bench.repo();
    for id in ["0123456789abcdef0123456789abcdef01234567", "6f1f4b0e-7c3c-4d6e-8f4d-0a54d6a4a1e0", "x"] {
        let location = repo.path(format!("blobs/uploads/{id}"));
        let close = format!("{location}?digest={}", sha256(b""));
        for request in [
            Request::get(&location),
            Request::patch(&location).body("x"),
            Request::patch(&location).header("Content-Range", "0-0").body("x"),
            Request::put(&close),
            Request::delete(&location),
        ] {
            repo.client.send(&request).refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
}

fn session_of_another_repository(bench: &Bench) {
    let (ours, theirs) = (bench.named("a"), bench.named("b"));
    let location = ours.begin();
    let elsewhere = location.replace(&ours.name, &theirs.name);
    assert_ne!(location, elsewhere);
    for request in [
        Request::get(&elsewhere),
        Request::patch(&elsewhere).body("x"),
        Request::put(format!("{elsewhere}?digest={}", sha256(b""))),
        Request::delete(&elsewhere),
    ] {
        ours.client.send(&request).refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    ours.client.send(&Request::patch(&location).body("x")).expect(202).with("range", "0-0");
}

fn broken_patch(bench: &Bench) {
    let repo = bench.repo();
    let location = repo.begin();
    let bytes = noise(23, 300_000);
    let mut connection = repo.client.connect();
    let head = Request::patch(&location).header("Content-Length", "300000").head_bytes();
    connection.write(head).unwrap();
    connection.write(&bytes[..123_456]).unwrap();
    drop(connection);
    // The server has what was sent once it noticed that no more will come.
    until("the offset is what arrived", || {
        (repo.client.get(&location).expect(204).required("range") == "0-123455").then_some(())
    });
    let rest = Request::patch(&location).header("Content-Range", "123456-299999");
    repo.client.send(&rest.body(&bytes[123_456..])).expect(202).with("range", "0-299999");
    repo.close(&location, &sha256(&bytes)).expect(201);
    assert_eq!(repo.client.get(repo.blob(&sha256(&bytes))).expect(200).body, bytes);
}

fn two_patches_at_once(bench: &Bench) {
    let repo = bench.repo();
    for with_range in [true, false] {
        let location = repo.begin();
        let chunks = [noise(24, 400_000), noise(42, 400_000)];
        let barrier = Barrier::new(2);
        let patch = |bytes: &Vec<u8>| {
            let mut request = Request::patch(&location).header("Content-Length", "400000");
            if with_range {
                request = request.header("Content-Range", "0-399999");
            }
            let mut connection = repo.client.connect();
            connection.write(request.head_bytes()).unwrap();
            connection.write(&bytes[..200_000]).unwrap();
            barrier.wait();
            // Both are under way now. The one that is refused may have its connection closed.
            let _ = connection.write(&bytes[200_000..]);
            connection.receive("PATCH").unwrap()
        };
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(|| patch(&chunks[0]));
            let second = patch(&chunks[1]);
            (first.join().unwrap(), second)
        });
        let kept = match (first.status, second.status) {
            (202, 416) => &chunks[0],
            (416, 202) => &chunks[1],
            _ => panic!("{first} and {second}"),
        };
        repo.client.get(&location).expect(204).with("range", "0-399999");
        repo.close(&location, &sha256(kept)).expect(201);
        assert_eq!(&repo.client.get(repo.blob(&sha256(kept))).expect(200).body, kept);
    }
}

fn wrong_digest(bench: &Bench) {
    let repo = bench.repo();
    let (claimed, real) = (sha256(b"what it should be"), sha256(b"what it is"));
    for algorithm in ["", "?digest-algorithm=sha512"] {
        let begun = repo.client.post(repo.path(format!("blobs/uploads/{algorithm}"))).expect(202);
        let location = begun.location();
        repo.client.send(&Request::patch(&location).body("what it is")).expect(202);
        let refused = repo.close(&location, &claimed).refused(400, "DIGEST_INVALID");
        assert!(refused.body.windows(real.len()).any(|part| part == real.as_bytes()), "{refused}");
    }
    let single = Request::post(repo.path(format!("blobs/uploads/?digest={claimed}"))).body("what it is");
    repo.client.send(&single).refused(400, "DIGEST_INVALID");
    for digest in [claimed, real] {
        repo.client.get(repo.blob(&digest)).refused(404, "BLOB_UNKNOWN");
    }
}

fn sha512_without_a_hint(bench: &Bench) {
    let repo = bench.repo();
    let (bytes, location) = (noise(26, 70_000), repo.begin());
    repo.client.send(&Request::patch(&location).body(&bytes[..])).expect(202);
    let digest = sha512(&bytes);
    let closed = repo.close(&location, &digest).expect(201).with("docker-content-digest", &digest);
    let pulled = repo.client.get(closed.location()).expect(200).with("docker-content-digest", &digest);
    assert_eq!(pulled.body, bytes);
    repo.client.head(repo.blob(&sha256(&bytes))).expect(200);
}

fn unknown_algorithm(bench: &Bench) {
    let repo = bench.repo();
    for query in
        ["digest-algorithm=md5", "digest-algorithm=SHA256", "digest=md5:d41d8cd98f00b204e9800998ecf8427e"]
    {
        repo.client.post(repo.path(format!("blobs/uploads/?{query}"))).refused(400, "DIGEST_INVALID");
    }
}

fn single_post(bench: &Bench) {
    let repo = bench.repo();
    let bytes = noise(28, 5000);
    let target = repo.path(format!("blobs/uploads/?digest={}", sha256(&bytes)));
    for request in [Request::post(&target).body(&bytes[..]), Request::post(&target).chunked(&bytes[..])] {
        let posted = repo.client.send(&request).expect(201).with("docker-content-digest", &sha256(&bytes));
        assert_eq!(repo.client.get(posted.location()).expect(200).body, bytes);
    }
}

fn empty_blob(bench: &Bench) {
    let repo = bench.repo();
    let digest = sha256(b"");
    let put = Request::put(format!("{}?digest={digest}", repo.begin())).chunked("");
    let pushed = repo.client.send(&put).expect(201);
    assert!(repo.client.get(pushed.location()).expect(200).with("content-length", "0").body.is_empty());
    repo.client.head(repo.blob(&digest)).expect(200).with("content-length", "0");
}

fn repeated_put(bench: &Bench) {
    let repo = bench.repo();
    let (digest, location) = (sha256(b"once"), repo.begin());
    let put = Request::put(format!("{location}?digest={digest}")).body("once");
    let first = repo.client.send(&put).expect(201);
    let second = repo.client.send(&put).expect(201);
    assert_eq!(first.location(), second.location());
    repo.close(&location, &digest).expect(201);
    repo.close(&location, &sha256(b"twice")).refused(404, "BLOB_UPLOAD_UNKNOWN");
}

fn cancelled(bench: &Bench) {
    let repo = bench.repo();
    let location = repo.begin();
    repo.client.send(&Request::patch(&location).body("abc")).expect(202);
    repo.client.delete(&location).expect(204);
    repo.client.get(&location).refused(404, "BLOB_UPLOAD_UNKNOWN");
    repo.client.delete(&location).refused(404, "BLOB_UPLOAD_UNKNOWN");
    repo.close(&location, &sha256(b"abc")).refused(404, "BLOB_UPLOAD_UNKNOWN");
}

fn mount_missing(bench: &Bench) {
    let repo = bench.repo();
    let digest = sha256(b"not there yet");
    for from in ["&from=tricky/never/pushed", ""] {
        let mount = repo.path(format!("blobs/uploads/?mount={digest}{from}"));
        let location = repo.client.post(mount).expect(202).location();
        let put = Request::put(format!("{location}?digest={digest}")).body("not there yet");
        repo.client.send(&put).expect(201);
        repo.client.delete(repo.blob(&digest)).expect(202);
    }
}

fn mounted_blob_outlives_its_source(bench: &Bench) {
    let (source, target) = (bench.named("a"), bench.named("b"));
    let digest = source.push_blob(b"mounted");
    let mount = target.path(format!("blobs/uploads/?from={}&mount={digest}", source.name));
    let mounted = target.client.post(mount).expect(201).with("docker-content-digest", &digest);
    assert_eq!(mounted.location(), target.blob(&digest));
    source.client.delete(source.blob(&digest)).expect(202);
    source.client.head(source.blob(&digest)).expect(404);
    target.client.head(target.blob(&digest)).expect(200);
    assert_eq!(target.client.get(target.blob(&digest)).expect(200).body, b"mounted");
}

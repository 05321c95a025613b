//! Cases 36 to 42: reading.

use super::{Bench, Case};
use crate::support::{MANIFEST, Request, noise};

pub(super) const CASES: &[Case] = &[
    (36, "HEAD says length, digest and type, and nothing follows", head),
    (37, "a range outside the blob is 416 with its size", range_outside),
    (38, "a range of another unit is the whole", unknown_unit),
    (39, "several ranges are a multipart answer", several_ranges),
    (40, "a blob is never encoded", never_encoded),
    (41, "a known manifest is 304", known_manifest),
    (42, "Accept does not filter", accept_does_not_filter),
];

fn head(bench: &Bench) {
    let repo = bench.repo();
    let (digest, bytes) = repo.push_artifact("v1");
    let blob = repo.push_blob(b"0123456789");
    for (target, digest, length, media_type) in [
        (repo.manifest("v1"), &digest, bytes.len(), MANIFEST),
        (repo.manifest(&digest), &digest, bytes.len(), MANIFEST),
        (repo.blob(&blob), &blob, 10, "application/octet-stream"),
    ] {
        // On one connection: a body after the HEAD would be taken for the next answer.
        let mut connection = repo.client.connect();
        for _ in 0..2 {
            let answer = connection.exchange(&Request::head(&target)).unwrap().expect(200);
            let answer = answer.with("docker-content-digest", digest).with("content-type", media_type);
            answer.with("content-length", &length.to_string());
        }
        assert_eq!(connection.exchange(&Request::get(&target)).unwrap().expect(200).body.len(), length);
    }
}

fn range_outside(bench: &Bench) {
    let repo = bench.repo();
    let blob = repo.blob(&repo.push_blob(&noise(37, 2048)));
    for range in ["bytes=500-0", "bytes=5000-", "bytes=5000-10000", "bytes=2048-2048", "bytes=-0"] {
        let answer = repo.client.send(&Request::get(&blob).header("Range", range));
        answer.refused(416, "SIZE_INVALID").with("content-range", "bytes */2048");
    }
}

fn unknown_unit(bench: &Bench) {
    let repo = bench.repo();
    let bytes = noise(38, 2048);
    let blob = repo.blob(&repo.push_blob(&bytes));
    for range in ["chunks=1-2", "bytes 1-2", "bytes=a-b", "garbage"] {
        let answer = repo.client.send(&Request::get(&blob).header("Range", range)).expect(200);
        assert_eq!(answer.without("content-range").body, bytes, "{range}");
    }
}

fn several_ranges(bench: &Bench) {
    let repo = bench.repo();
    let blob = repo.blob(&repo.push_blob(b"0123456789"));
    let answer = repo.client.send(&Request::get(&blob).header("Range", "bytes=0-1,5-9")).expect(206);
    let answer = answer.without("content-range");
    let media_type = answer.required("content-type");
    let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").expect("several parts");
    assert!(boundary.bytes().all(|b| b.is_ascii_alphanumeric()), "{boundary}");
    let part = |range: &str, bytes: &str| {
        let head = "Content-Type: application/octet-stream\r\nContent-Range: bytes";
        format!("\r\n--{boundary}\r\n{head} {range}/10\r\n\r\n{bytes}")
    };
    let expected = format!("{}{}\r\n--{boundary}--\r\n", part("0-1", "01"), part("5-9", "56789"));
    assert_eq!(String::from_utf8_lossy(&answer.body), expected);
}

fn never_encoded(bench: &Bench) {
    let repo = bench.repo();
    let bytes = vec![b'a'; 100_000];
    let blob = repo.blob(&repo.push_blob(&bytes));
    let get = Request::get(&blob).header("Accept-Encoding", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5");
    let answer = repo.client.send(&get).expect(200).without("content-encoding");
    assert_eq!(answer.with("content-length", "100000").body, bytes);
}

fn known_manifest(bench: &Bench) {
    let repo = bench.repo();
    let (digest, _) = repo.push_artifact("v1");
    for target in [repo.manifest("v1"), repo.manifest(&digest)] {
        let get = Request::get(&target).header("If-None-Match", format!("\"{digest}\""));
        repo.client.send(&get).expect(304).with("etag", &format!("\"{digest}\""));
        let other = Request::get(&target).header("If-None-Match", "\"sha256:0\"");
        repo.client.send(&other).expect(200);
    }
}

fn accept_does_not_filter(bench: &Bench) {
    let repo = bench.repo();
    let (_, bytes) = repo.push_artifact("v1");
    let schema2 = "application/vnd.docker.distribution.manifest.v2+json";
    for accept in [None, Some("*/*"), Some(schema2), Some("text/html")] {
        let mut get = Request::get(repo.manifest("v1"));
        if let Some(accept) = accept {
            get = get.header("Accept", accept);
        }
        assert_eq!(repo.client.send(&get).expect(200).with("content-type", MANIFEST).body, bytes);
    }
}

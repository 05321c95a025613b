//! Parts of a blob, byte for byte.

use crate::support::{Repo, Request, Response, Server, noise, sha256};

/// The parts of a multipart answer: their ranges and bytes.
fn parts(answer: &Response, size: usize) -> Vec<(usize, usize, Vec<u8>)> {
    let boundary = answer.required("content-type").strip_prefix("multipart/byteranges; boundary=").unwrap();
    let (delimiter, mut rest) = (format!("\r\n--{boundary}"), &answer.body[..]);
    let mut parts = Vec::new();
    loop {
        rest = rest.strip_prefix(delimiter.as_bytes()).expect("a delimiter");
        if rest == b"--\r\n" {
            return parts;
        }
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").expect("the end of a head");
        let head = std::str::from_utf8(&rest[..end]).unwrap();
        let range = head.split("Content-Range: bytes ").nth(1).unwrap();
        let (range, total) = range.split_once('/').unwrap();
        assert_eq!(total, size.to_string());
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let body = &rest[end + 4..];
        parts.push((first, last, body[..=last - first].to_vec()));
        rest = &body[last - first + 1..];
    }
}

#[test]
fn single_ranges() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    // Larger than any buffer on the way.
    let bytes = noise(1, 3_000_000);
    let blob = repo.blob(&repo.push_blob(&bytes));
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, 2_999_999),
        ("bytes=500-1499", 500, 1499),
        ("bytes=-1", 2_999_999, 2_999_999),
        ("bytes=-5000000", 0, 2_999_999),
        ("bytes=2999999-", 2_999_999, 2_999_999),
        ("bytes=1048575-1048577", 1_048_575, 1_048_577),
        ("bytes=262143-2097153", 262_143, 2_097_153),
        ("bytes=2000000-99999999999999999999", 2_000_000, 2_999_999),
        ("Bytes = 7-9", 7, 9),
        ("bytes=5-6,6-9", 5, 9),
        ("bytes=5-6,9000000-", 5, 6),
    ] {
        let answer = repo.client.send(&Request::get(&blob).header("Range", range)).expect(206);
        let answer = answer.with("content-range", &format!("bytes {first}-{last}/3000000"));
        assert!(answer.body == bytes[first..=last], "{range}");
        // A range on HEAD means nothing.
        let head = repo.client.send(&Request::head(&blob).header("Range", range)).expect(200);
        head.with("content-length", "3000000").without("content-range");
    }
}

#[test]
fn several_ranges() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let bytes = noise(2, 1_000_000);
    let blob = repo.blob(&repo.push_blob(&bytes));
    for (range, expected) in [
        ("bytes=0-9,20-29", vec![(0, 9), (20, 29)]),
        ("bytes=-10,0-0", vec![(999_990, 999_999), (0, 0)]),
        ("bytes=0-499999,600000-999999", vec![(0, 499_999), (600_000, 999_999)]),
        ("bytes=900000-,5-6,5000000-,1-2", vec![(900_000, 999_999), (5, 6), (1, 2)]),
    ] {
        let answer = repo.client.send(&Request::get(&blob).header("Range", range)).expect(206);
        let found = parts(&answer.without("content-range"), bytes.len());
        assert_eq!(
            found.iter().map(|&(first, last, _)| (first, last)).collect::<Vec<_>>(),
            expected,
            "{range}"
        );
        assert!(found.iter().all(|(first, last, part)| part[..] == bytes[*first..=*last]), "{range}");
    }
    let many: Vec<String> = (0..100).map(|n| format!("{}-{}", n * 10, n * 10 + 1)).collect();
    let request = Request::get(&blob).header("Range", format!("bytes={}", many.join(",")));
    assert_eq!(repo.client.send(&request).expect(200).body.len(), bytes.len());
}

#[test]
fn an_empty_blob_has_no_range_but_is_no_error() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let blob = repo.blob(&repo.push_blob(b""));
    assert_eq!(blob, repo.blob(&sha256(b"")));
    for range in ["bytes=0-", "bytes=0-99", "bytes=-5"] {
        let answer = repo.client.send(&Request::get(&blob).header("Range", range)).expect(200);
        answer.with("content-length", "0").without("content-range");
    }
}

#[test]
fn a_client_that_goes_away_in_the_middle_harms_nobody() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let bytes = noise(3, 8_000_000);
    let blob = repo.blob(&repo.push_blob(&bytes));
    for _ in 0..8 {
        let mut connection = repo.client.connect();
        connection.write(Request::get(&blob).head_bytes()).unwrap();
        connection.write(Request::get(&blob).head_bytes()).unwrap();
    }
    assert!(repo.client.get(&blob).expect(200).body == bytes);
}

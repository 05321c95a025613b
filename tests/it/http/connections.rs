//! What happens on connections: reuse, pipelining, and clients that take their time.

use std::io::Write as _;
use std::time::Instant;

use crate::support::{Connection, H2, MANIFEST, PATIENCE, Repo, Request, Server, noise, sha256};

#[test]
fn one_connection_carries_300_requests() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let (digest, manifest) = repo.push_artifact("v1");
    let bytes = noise(1, 20_000);
    let blob = repo.blob(&repo.push_blob(&bytes));
    let mut connection = repo.client.connect();
    for n in 0..100 {
        let answer = connection.exchange(&Request::get(repo.manifest("v1"))).unwrap().expect(200);
        assert_eq!(answer.body, manifest);
        connection.exchange(&Request::head(&blob)).unwrap().expect(200);
        // Bodies in both directions, and refusals with a body that is not read, stay in step.
        let refused = Request::put(repo.manifest(".bad")).body(noise(n, 3000));
        connection.exchange(&refused).unwrap().expect(400);
    }
    connection.exchange(&Request::get(repo.manifest(&digest))).unwrap().expect(200);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let blobs: Vec<(String, Vec<u8>)> = (0..10)
        .map(|n| {
            let bytes = noise(n, 1000 * (usize::try_from(n).unwrap() + 1));
            (repo.blob(&repo.push_blob(&bytes)), bytes)
        })
        .collect();
    let mut connection = repo.client.connect();
    let mut sender = connection.sender();
    let all: Vec<u8> = (0..300).flat_map(|n| Request::get(&blobs[n % 10].0).head_bytes()).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.write_all(&all).unwrap());
        for n in 0..300 {
            let answer = connection.receive("GET").unwrap().expect(200);
            assert!(answer.body == blobs[n % 10].1, "answer {n}");
        }
    });
}

#[test]
fn slow_and_flooding_clients_do_not_hold_up_others() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v1");
    // 200 that say nothing, stop in the middle of a head, or in the middle of a body.
    let mut held = Vec::new();
    for n in 0..200 {
        let mut connection = repo.client.connect();
        let begun = match n % 4 {
            0 => String::new(),
            1 => "GET /v2/ HTTP/1.1\r\nHost: a\r\nX-".to_owned(),
            2 => "PRI * HTTP/2.0\r\n".to_owned(),
            _ => {
                format!("PUT {} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{{", repo.manifest("slow"))
            }
        };
        connection.write(begun).unwrap();
        held.push(connection);
    }
    let start = Instant::now();
    for n in 0..20 {
        repo.push_artifact(&format!("v{n}"));
    }
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    drop(held);
    repo.client.get("/readyz").expect(200);
}

#[test]
fn heads_have_limits() {
    let server = Server::start();
    let client = server.client();
    let flood: String = (0..150).map(|n| format!("X-{n}: y\r\n")).collect();
    let mut connection = client.connect();
    connection.write(format!("GET /v2/ HTTP/1.1\r\nHost: a\r\n{flood}\r\n")).unwrap();
    connection.receive("GET").unwrap().expect(431);
    // A head that never ends is cut off, not collected.
    let mut connection = client.connect();
    let line = format!("X-Long: {}\r\n", "y".repeat(60_000));
    connection.write("GET /v2/ HTTP/1.1\r\nHost: a\r\n").unwrap();
    let refused = (0..200).find_map(|_| connection.write(&line).err());
    let answer = connection.receive("GET");
    assert!(refused.is_some() || answer.is_ok_and(|answer| answer.status == 431));
    let long = format!("/v2/a/tags/list?last={}", "x".repeat(70_000));
    let mut connection = client.connect();
    connection.write(format!("GET {long} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
    assert!(matches!(connection.receive("GET").unwrap().status, 414 | 431));
    for garbage in
        ["\r\n\r\n\0\0", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"]
    {
        let mut connection = client.connect();
        connection.write(garbage).unwrap();
        connection.finish_sending();
        let answered = connection.rest().unwrap();
        assert!(answered.is_empty() || answered.starts_with(b"HTTP/1.1 4"), "{garbage:?}");
    }
    client.get("/v2/").expect(200);
}

#[test]
fn two_framings_at_once_are_refused() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    for framing in [
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: -1",
        "Content-Length: 3x",
        "Transfer-Encoding: chunked, identity",
    ] {
        let mut connection = repo.client.connect();
        let head =
            format!("POST {} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\nabcd", repo.path("blobs/uploads/"));
        connection.write(head).unwrap();
        let answer = connection.receive("POST").unwrap();
        assert_eq!(answer.status, 400, "{framing}: {answer}");
    }
}

#[test]
fn a_body_is_asked_for_only_when_it_is_wanted() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let expecting = |request: Request, length: &str| {
        let mut connection = Connection::open(server.address()).unwrap();
        let head = request.header("Content-Length", length).header("Expect", "100-continue").head_bytes();
        connection.write(head).unwrap();
        connection
    };
    for (request, status) in [
        (Request::put(repo.manifest("v1")).header("Content-Type", MANIFEST), 413),
        (Request::put(repo.manifest(".v1")), 400),
        (Request::patch(repo.path("blobs/uploads/0123456789abcdef0123456789abcdef01234567")), 404),
        (Request::post(repo.path("blobs/uploads/?digest=md5:0")), 400),
    ] {
        let mut connection = expecting(request.clone(), "1000000000");
        assert_eq!(connection.receive_interim().unwrap(), status, "{request}");
    }
    let target = repo.path(format!("blobs/uploads/?digest={}", sha256(b"wanted")));
    let mut connection = expecting(Request::post(target), "6");
    assert_eq!(connection.receive_interim().unwrap(), 100);
    connection.write("wanted").unwrap();
    connection.receive("POST").unwrap().expect(201);
}

#[test]
fn http2_speaks_the_whole_api() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a/b");
    let (digest, manifest) = repo.push_artifact("v1");
    let h2 = H2::connect(server.address());
    let get = |target: String| h2.send(&Request::get(target));
    assert_eq!(get(repo.manifest("v1")).expect(200).with("docker-content-digest", &digest).body, manifest);
    get(repo.path("tags/list")).expect(200);
    get(repo.path(format!("referrers/{digest}"))).expect(200);
    get(repo.manifest("v2")).refused(404, "MANIFEST_UNKNOWN");
    let bytes = noise(9, 2_000_000);
    let target = repo.path(format!("blobs/uploads/?digest={}", sha256(&bytes)));
    h2.send(&Request::post(target).body(&bytes[..])).expect(201);
    let part = Request::get(repo.blob(&sha256(&bytes))).header("Range", "bytes=1000000-1000009");
    assert_eq!(h2.send(&part).expect(206).body, bytes[1_000_000..1_000_010]);
    let known = Request::get(repo.manifest("v1")).header("If-None-Match", format!("\"{digest}\""));
    h2.send(&known).expect(304);
    h2.send(&Request::delete(repo.manifest("v1"))).expect(202);
    // Every answer above came over one connection; a refusal of an unread body does not end it.
    let gone = repo.path("blobs/uploads/0123456789abcdef0123456789abcdef01234567");
    for _ in 0..5 {
        h2.send(&Request::patch(&gone).body(noise(1, 500_000))).refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    get("/v2/".to_owned()).expect(200);
}

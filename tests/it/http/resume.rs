//! Uploads that go on: after a dropped connection, after the server was killed.

use crate::support::{Repo, Request, Server, noise, sha256, sha512, until};

/// The offset an upload stands at.
fn offset(repo: &Repo, location: &str) -> usize {
    let range = repo.client.get(location).expect(204).required("range").to_owned();
    let end: i64 = range.strip_prefix("0-").unwrap().parse().unwrap();
    usize::try_from(end + 1).unwrap()
}

/// Sends part of a chunk of the rest and drops the connection.
fn broken_chunk(repo: &Repo, location: &str, bytes: &[u8], from: usize, part: usize, chunked: bool) {
    let mut connection = repo.client.connect();
    let range = format!("{from}-{}", bytes.len() - 1);
    let request = Request::patch(location).header("Content-Range", range);
    let sent = &bytes[from..from + part];
    if chunked {
        let head = request.header("Transfer-Encoding", "chunked").head_bytes();
        connection.write(head).unwrap();
        connection.write(format!("{part:x}\r\n")).unwrap();
        connection.write(sent).unwrap();
        connection.write("\r\n").unwrap();
    } else {
        let head = request.header("Content-Length", (bytes.len() - from).to_string()).head_bytes();
        connection.write(head).unwrap();
        connection.write(sent).unwrap();
    }
}

#[test]
fn an_upload_goes_on_after_every_dropped_connection() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let bytes = noise(1, 2_000_000);
    let location = repo.begin();
    let mut at = 0;
    for (n, part) in [1, 99_999, 262_144, 500_000, 7].into_iter().enumerate() {
        broken_chunk(&repo, &location, &bytes, at, part, n % 2 == 1);
        // All that was sent arrives; the server notices when the connection ends.
        at += part;
        until("the offset is what was sent", || (offset(&repo, &location) == at).then_some(()));
    }
    let rest = Request::patch(&location).header("Content-Range", format!("{at}-1999999"));
    repo.client.send(&rest.body(&bytes[at..])).expect(202).with("range", "0-1999999");
    repo.close(&location, &sha512(&bytes)).expect(201);
    assert!(repo.client.get(repo.blob(&sha256(&bytes))).expect(200).body == bytes);
}

#[test]
fn an_upload_goes_on_after_the_server_was_killed() {
    let mut server = Server::start();
    let bytes = noise(2, 3_000_000);
    let location = Repo::new(&server.client(), "a/b").begin();
    let mut at = 0;
    for (n, part) in [700_000, 300_001, 1].into_iter().enumerate() {
        let repo = Repo::new(&server.client(), "a/b");
        // What was acknowledged must survive; what was under way may.
        let range = format!("{at}-{}", at + part - 1);
        let chunk = Request::patch(&location).header("Content-Range", range);
        repo.client.send(&chunk.body(&bytes[at..at + part])).expect(202);
        at += part;
        if n == 1 {
            broken_chunk(&repo, &location, &bytes, at, 400_000, false);
        }
        server = server.restart();
        let repo = Repo::new(&server.client(), "a/b");
        let found = offset(&repo, &location);
        assert!(found >= at && found <= at + 400_000, "{found} of at least {at}");
        at = found;
    }
    let repo = Repo::new(&server.client(), "a/b");
    let rest = Request::put(format!("{location}?digest={}", sha256(&bytes)));
    let rest = rest.header("Content-Range", format!("{at}-2999999")).body(&bytes[at..]);
    repo.client.send(&rest).expect(201);
    assert!(repo.client.get(repo.blob(&sha256(&bytes))).expect(200).body == bytes);
    server.stop();
    server.run(&["verify"]).expect(0);
}

#[test]
fn everything_acknowledged_is_there_after_a_kill() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let artifacts: Vec<_> = (0..5).map(|n| repo.push_artifact(&format!("v{n}"))).collect();
    repo.client.delete(repo.manifest("v4")).expect(202);
    let server = server.restart();
    let repo = Repo::new(&server.client(), "a");
    assert_eq!(repo.tags(), ["v0", "v1", "v2", "v3"]);
    for (n, (digest, bytes)) in artifacts.iter().enumerate() {
        assert_eq!(&repo.client.get(repo.manifest(digest)).expect(200).body, bytes);
        let layer = sha256(format!("content of v{n}").as_bytes());
        repo.client.get(repo.blob(&layer)).expect(200);
    }
}

#[test]
fn a_repeated_close_is_answered_alike_after_a_restart() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let (location, digest) = (repo.begin(), sha256(b"closed"));
    repo.client.send(&Request::put(format!("{location}?digest={digest}")).body("closed")).expect(201);
    let server = server.restart();
    let repo = Repo::new(&server.client(), "a");
    repo.close(&location, &digest).expect(201).with("docker-content-digest", &digest);
}

#[test]
fn a_broken_single_post_leaves_nothing() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let bytes = noise(4, 100_000);
    let target = repo.path(format!("blobs/uploads/?digest={}", sha256(&bytes)));
    let mut connection = repo.client.connect();
    connection.write(Request::post(&target).header("Content-Length", "100000").head_bytes()).unwrap();
    connection.write(&bytes[..60_000]).unwrap();
    drop(connection);
    repo.client.head(repo.blob(&sha256(&bytes))).expect(404);
    repo.client.send(&Request::post(&target).body(&bytes[..])).expect(201);
}

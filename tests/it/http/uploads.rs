//! Uploads beyond the tricky cases.

use crate::support::{Repo, Request, Server, blake3, noise, sha256, sha512};

#[test]
fn chunks_close_with_any_digest() {
    let server = Server::start();
    let client = server.client();
    for (n, (hint, digest)) in [
        ("", sha512 as fn(&[u8]) -> String),
        ("?digest-algorithm=sha512", sha512),
        ("?digest-algorithm=blake3", blake3),
        ("", blake3),
        // A hint is no promise.
        ("?digest-algorithm=sha512", sha256),
    ]
    .into_iter()
    .enumerate()
    {
        let repo = Repo::new(&client, format!("closing/{n}"));
        let bytes = noise(n as u64, 500_000);
        let location = client.post(repo.path(format!("blobs/uploads/{hint}"))).expect(202).location();
        for start in (0..400_000).step_by(100_000) {
            let range = format!("{start}-{}", start + 99_999);
            let chunk = Request::patch(&location).header("Content-Range", range);
            let answer = client.send(&chunk.chunked(&bytes[start..start + 100_000])).expect(202);
            answer.with("range", &format!("0-{}", start + 99_999)).with("location", &location);
        }
        let digest = digest(&bytes);
        let last =
            Request::put(format!("{location}?digest={digest}")).header("Content-Range", "400000-499999");
        let closed = client.send(&last.body(&bytes[400_000..])).expect(201);
        assert_eq!(closed.with("docker-content-digest", &digest).location(), repo.blob(&digest));
        for name in [digest, sha256(&bytes), blake3(&bytes)] {
            let pulled = client.get(repo.blob(&name)).expect(200).with("docker-content-digest", &name);
            assert!(pulled.body == bytes);
        }
    }
}

#[test]
fn the_digest_may_be_escaped_and_stand_among_other_parameters() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let digest = sha256(b"escaped").replace(':', "%3A");
    for query in [format!("digest={digest}&state=x%2By"), format!("state=&digest={digest}&ns=a.b")] {
        let put = Request::put(format!("{}?{query}", repo.begin())).body("escaped");
        repo.client.send(&put).expect(201).with("location", &repo.blob(&sha256(b"escaped")));
    }
}

#[test]
fn a_missing_digest_keeps_the_session() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let location = repo.begin();
    repo.client.send(&Request::patch(&location).body("kept")).expect(202);
    repo.client.send(&Request::put(&location)).refused(400, "DIGEST_INVALID");
    repo.client.get(&location).expect(204).with("range", "0-3");
    repo.close(&location, &sha256(b"kept")).expect(201);
}

#[test]
fn a_cancel_ends_an_upload_whose_client_is_gone() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    for _ in 0..20 {
        let location = repo.begin();
        let mut connection = repo.client.connect();
        let head = Request::patch(&location).header("Content-Length", "100000").head_bytes();
        connection.write(head).unwrap();
        connection.write(noise(1, 50_000)).unwrap();
        drop(connection);
        repo.client.delete(&location).expect(204);
        repo.client.get(&location).refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

#[test]
fn a_cancel_beside_a_running_upload_is_answered_as_the_specification_has_it() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let location = repo.begin();
    let mut running = repo.client.connect();
    let head = Request::patch(&location).header("Content-Length", "10").header("Expect", "100-continue");
    running.write(head.head_bytes()).unwrap();
    assert_eq!(running.receive_interim().unwrap(), 100);
    let answer = repo.client.delete(&location);
    assert!(matches!(answer.status, 204 | 400 | 404), "{answer}");
    running.write("0123456789").unwrap();
    let patched = running.receive("PATCH").unwrap();
    if answer.status == 204 {
        assert_eq!(patched.status, 404, "{patched}");
    } else {
        patched.expect(202);
        repo.client.delete(&location).expect(204);
    }
    repo.client.get(&location).refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn a_blob_is_found_wherever_it_is_when_a_mount_does_not_say_from() {
    let server = Server::start();
    let client = server.client();
    let (source, target) = (Repo::new(&client, "source"), Repo::new(&client, "target"));
    let digest = source.push_blob(b"found");
    let mount = target.path(format!("blobs/uploads/?mount={digest}"));
    client.post(&mount).expect(201).with("location", &target.blob(&digest));
    client.post(&mount).expect(201);
    assert_eq!(client.get(target.blob(&digest)).expect(200).body, b"found");
    // A source that does not hold it does not help, although another does.
    let from = Repo::new(&client, "third").path(format!("blobs/uploads/?mount={digest}&from=empty/one"));
    client.post(from).expect(202);
    // In no repository any more: not found, though the bytes are still stored.
    for repo in [&source, &target] {
        client.delete(repo.blob(&digest)).expect(202);
    }
    client.post(&mount).expect(202);
}

#[test]
fn the_same_content_pushed_by_many_at_once_is_one_blob_for_each() {
    let server = Server::start();
    let client = server.client();
    let bytes = noise(5, 300_000);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (client, bytes) = (&client, &bytes);
            scope.spawn(move || {
                let repo = Repo::new(client, format!("many/{}", n % 4));
                let digest = repo.push_blob(bytes);
                assert!(repo.client.get(repo.blob(&digest)).expect(200).body == *bytes);
            });
        }
    });
}

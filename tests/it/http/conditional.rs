//! Conditional requests (RFC 9110 section 13).

use crate::support::{Repo, Request, Server, noise};

#[test]
fn what_the_client_has_is_not_sent_again() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let (digest, _) = repo.push_artifact("v1");
    let blob = repo.push_blob(&noise(1, 5000));
    for (target, digest) in
        [(repo.blob(&blob), &blob), (repo.manifest("v1"), &digest), (repo.manifest(&digest), &digest)]
    {
        for known in [
            format!("\"{digest}\""),
            digest.clone(),
            format!("W/\"{digest}\""),
            format!("\"sha256:0\", \"{digest}\""),
            "*".to_owned(),
        ] {
            for method in ["GET", "HEAD"] {
                let request = Request::new(method, &target).header("If-None-Match", &known);
                // On one connection: a body would be taken for the next answer.
                let mut connection = repo.client.connect();
                let answer = connection.exchange(&request).unwrap().expect(304);
                let answer =
                    answer.with("etag", &format!("\"{digest}\"")).with("docker-content-digest", digest);
                answer.required("cache-control");
                connection.exchange(&Request::get("/v2/")).unwrap().expect(200);
            }
        }
        let stale = Request::get(&target).header("If-None-Match", format!("\"{digest}0\""));
        assert!(!repo.client.send(&stale).expect(200).body.is_empty());
        let missing = Request::get(repo.manifest("v9")).header("If-None-Match", "*");
        repo.client.send(&missing).expect(404);
    }
}

#[test]
fn a_range_counts_only_for_the_content_the_client_began_with() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let bytes = noise(2, 5000);
    let blob = repo.push_blob(&bytes);
    for (if_range, status) in [
        (format!("\"{blob}\""), 206),
        (format!("W/\"{blob}\""), 200),
        (blob.clone(), 200),
        ("\"sha256:0\"".to_owned(), 200),
        ("Sat, 21 Nov 2026 03:00:00 GMT".to_owned(), 200),
    ] {
        let request =
            Request::get(repo.blob(&blob)).header("Range", "bytes=1000-").header("If-Range", &if_range);
        let answer = repo.client.send(&request).expect(status);
        let expected = if status == 206 { &bytes[1000..] } else { &bytes[..] };
        assert_eq!(answer.body, expected, "{if_range}");
        // A range outside is no error when it does not count.
        let request =
            Request::get(repo.blob(&blob)).header("Range", "bytes=9000-").header("If-Range", &if_range);
        repo.client.send(&request).expect(if status == 206 { 416 } else { 200 });
    }
    // The condition comes first.
    let request = Request::get(repo.blob(&blob)).header("Range", "bytes=9000-");
    repo.client.send(&request.header("If-None-Match", format!("\"{blob}\""))).expect(304);
}

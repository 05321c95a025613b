//! The headers of every route.

use serde_json::{Value, json};

use crate::support::{
    INDEX, MANIFEST, Repo, Request, Response, Server, descriptor, empty_config, image, noise, sha256, sha512,
};

/// What every answer has.
#[track_caller]
fn common(answer: Response) -> Response {
    let answer = answer.with("docker-distribution-api-version", "registry/2.0");
    let answer = answer.with("x-content-type-options", "nosniff").without("transfer-encoding");
    if !matches!(answer.status, 204 | 304) {
        answer.required("content-length");
    }
    answer.required("date");
    answer
}

#[track_caller]
fn pullable(repo: &Repo, answer: &Response, bytes: &[u8]) {
    let location = answer.location();
    assert!(location.starts_with(&repo.path("")), "{answer}");
    assert_eq!(repo.client.get(&location).expect(200).body, bytes);
}

#[test]
fn pushing() {
    let server = Server::start();
    let client = server.client();
    let (repo, other) = (Repo::new(&client, "a/b"), Repo::new(&client, "other"));
    let bytes = noise(1, 10_000);
    let digest = sha256(&bytes);

    // end-4a, end-4c
    for query in ["", "?digest-algorithm=sha512"] {
        let begun = common(client.post(repo.path(format!("blobs/uploads/{query}")))).expect(202);
        let begun = begun.with("range", "0-0").with("content-length", "0").without("content-type");
        assert!(begun.location().starts_with("/v2/a/b/blobs/uploads/"), "{begun}");
        assert!(!begun.location().contains(['?', '%']), "{begun}");
    }
    // end-5, end-13, end-6, end-14
    let location = repo.begin();
    let patched = common(client.send(&Request::patch(&location).body(&bytes[..4000]))).expect(202);
    let patched = patched.with("range", "0-3999").with("location", &location);
    patched.required("docker-upload-uuid");
    let status = common(client.get(&location)).expect(204).with("range", "0-3999");
    status.with("location", &location).required("docker-upload-uuid");
    let put = Request::put(format!("{location}?digest={digest}")).body(&bytes[4000..]);
    let closed = common(client.send(&put)).expect(201).with("docker-content-digest", &digest);
    pullable(&repo, &closed, &bytes);
    let location = repo.begin();
    common(client.delete(&location)).expect(204).without("content-length");
    // end-4b
    let single =
        Request::post(other.path(format!("blobs/uploads/?digest={}", sha512(&bytes)))).body(&bytes[..]);
    let pushed = common(client.send(&single)).expect(201).with("docker-content-digest", &sha512(&bytes));
    pullable(&other, &pushed, &bytes);
    // end-11
    let third = Repo::new(&client, "third");
    for (query, digest) in [("&from=other", sha512(&bytes)), ("", digest.clone())] {
        let mounted =
            common(client.post(third.path(format!("blobs/uploads/?mount={digest}{query}")))).expect(201);
        pullable(&third, &mounted.with("docker-content-digest", &digest), &bytes);
    }
    let unmounted = client.post(third.path(format!("blobs/uploads/?mount={}", sha256(b"no")))).expect(202);
    common(unmounted.with("range", "0-0")).required("docker-upload-uuid");

    // end-7a, end-7b
    repo.push_empty_config();
    let subject = sha256(b"subject");
    let manifest = image(&[empty_config()], json!({ "subject": descriptor(MANIFEST, &subject, 7) }));
    let pushed = common(repo.put_manifest("v1", MANIFEST, &manifest)).expect(201);
    let pushed = pushed.with("docker-content-digest", &sha256(&manifest)).with("oci-subject", &subject);
    pullable(&repo, &pushed.without("oci-tag"), &manifest);
    let digest = sha512(&manifest);
    let put =
        Request::put(format!("{}?tag=x&tag=y", repo.manifest(&digest))).header("Content-Type", MANIFEST);
    let pushed =
        common(client.send(&put.body(&manifest[..]))).expect(201).with("docker-content-digest", &digest);
    assert_eq!(pushed.all("oci-tag").collect::<Vec<_>>(), ["x", "y"]);
    pullable(&repo, &pushed.with("oci-subject", &subject), &manifest);
    let plain = repo.put_manifest("plain", MANIFEST, &image(&[], Value::Null)).expect(201);
    plain.without("oci-subject").without("oci-tag").without("warning");

    // end-9, end-10
    common(client.delete(repo.manifest("v1"))).expect(202);
    common(client.delete(repo.manifest(&digest))).expect(202);
    common(client.delete(repo.blob(&sha256(&bytes)))).expect(202);
}

#[test]
fn pulling() {
    let server = Server::start();
    let client = server.client();
    let repo = Repo::new(&client, "a/b");
    let (digest, manifest) = repo.push_artifact("v1");
    let bytes = noise(2, 10_000);
    let blob = repo.push_blob(&bytes);
    let immutable = "private, max-age=31536000, immutable";
    for (target, digest, bytes, media_type, cache) in [
        (repo.blob(&blob), &blob, &bytes, "application/octet-stream", immutable),
        (repo.blob(&sha512(&bytes)), &sha512(&bytes), &bytes, "application/octet-stream", immutable),
        (repo.manifest(&digest), &digest, &manifest, MANIFEST, immutable),
        (repo.manifest("v1"), &digest, &manifest, MANIFEST, "private, no-cache"),
    ] {
        if digest.starts_with("sha512") {
            client.head(&target).expect(404);
            let again = format!("{}?digest={digest}", repo.begin());
            client.send(&Request::put(again).body(&bytes[..])).expect(201);
        }
        let (get, head) = (client.get(&target), client.head(&target));
        assert_eq!(&get.body, bytes);
        for answer in [get, head] {
            let answer = common(answer).expect(200).with("docker-content-digest", digest);
            let answer = answer.with("content-length", &bytes.len().to_string());
            let answer = answer.with("etag", &format!("\"{digest}\"")).with("cache-control", cache);
            let answer = answer.with("content-type", media_type);
            if target.contains("/blobs/") {
                answer.with("accept-ranges", "bytes");
            }
        }
    }
    for target in ["/v2/", "/v2"] {
        let base = common(client.get(target)).expect(200).with("content-type", "application/json");
        assert_eq!(base.json(), json!({}));
        common(client.head(target)).expect(200).with("content-length", "2");
    }
    let tags = common(client.get(repo.path("tags/list"))).expect(200);
    tags.with("content-type", "application/json").without("link");
    let referrers = common(client.get(repo.path(format!("referrers/{digest}")))).expect(200);
    referrers.with("content-type", INDEX).without("link").without("oci-filters-applied");
    common(client.get("/v2/_catalog")).expect(200).with("content-type", "application/json");
    // Errors have the same frame, and HEAD has no body whatever happens.
    common(client.get(repo.manifest("v9"))).expect(404);
    common(client.get("/nowhere")).expect(404);
    let head = common(client.head(repo.blob(&sha256(b"no")))).expect(404);
    assert!(head.body.is_empty());
}

#[test]
fn extensions_are_discovered_at_both_levels() {
    let server = Server::start();
    let client = server.client();
    for target in ["/v2/_oci/ext/discover", "/v2/a/b/_oci/ext/discover"] {
        let found = common(client.get(target)).expect(200).json();
        for extension in found["extensions"].as_array().unwrap() {
            let name = extension["name"].as_str().unwrap();
            assert!(name.starts_with('_') && extension["url"].is_string(), "{extension}");
            let endpoints = extension["endpoints"].as_array().unwrap();
            assert!(
                endpoints.iter().all(|endpoint| endpoint.as_str().unwrap().starts_with('_')),
                "{extension}"
            );
        }
    }
}

//! Cases 75 to 82: names, unknown things, and what happens below the API.

use serde_json::Value;

use super::{Bench, Case};
use crate::support::{H2, MANIFEST, Repo, Request, descriptor, image, noise, sha256};

pub(super) const CASES: &[Case] = &[
    (75, "names may contain the words of the paths", names_like_paths),
    (76, "a malformed name is refused and never another repository", malformed_names),
    (77, "ns is ignored everywhere", namespace_parameter),
    (79, "an unknown extension is 404 with an error body", unknown_extension),
    (80, "warnings stay below 4 KiB", warnings),
    (81, "an early refusal can be read by a client that keeps sending", early_refusal),
    (82, "HTTP/2 without lengths", http2),
];

fn names_like_paths(bench: &Bench) {
    for name in ["a/blobs/b", "a/manifests/uploads", "blobs/uploads", "tags/list", "x/referrers/y", "v2"] {
        let repo = bench.named(name);
        let (digest, bytes) = repo.push_artifact("v1");
        assert_eq!(repo.client.get(repo.manifest(&digest)).expect(200).body, bytes);
        assert_eq!(repo.tags(), ["v1"]);
        let location = repo.begin();
        repo.client.send(&Request::patch(&location).body(name)).expect(202);
        repo.close(&location, &sha256(name.as_bytes())).expect(201);
        assert_eq!(repo.client.get(repo.blob(&sha256(name.as_bytes()))).expect(200).body, name.as_bytes());
        assert!(repo.referrers(&digest).is_empty());
    }
}

fn malformed_names(bench: &Bench) {
    let bytes = image(&[], Value::Null);
    let long = "a".repeat(300);
    for name in ["A/b", "a..b", "a/../b", "a//b", "-a", "a%2F..%2Fb", "%2e%2e/b", "a%00", "a%20b", "é", &long]
    {
        let repo = Repo::new(&bench.client, name);
        for request in [
            Request::get(repo.manifest("v1")),
            Request::put(repo.manifest("v1")).header("Content-Type", MANIFEST).body(&bytes[..]),
            Request::post(repo.path("blobs/uploads/")),
            Request::get(repo.path("tags/list")),
        ] {
            let answer = bench.client.send(&request);
            assert!(matches!(answer.status, 400 | 404), "{request}: {answer}");
            assert_eq!(answer.codes(), ["NAME_INVALID"], "{request}: {answer}");
        }
    }
    let names = bench.client.get("/v2/_catalog").expect(200).json();
    assert!(!names.to_string().contains("\"b\""), "{names}");
}

fn namespace_parameter(bench: &Bench) {
    let repo = bench.repo();
    let (digest, _) = repo.push_artifact("v1");
    let begun = repo.client.post(repo.path("blobs/uploads/?ns=docker.io")).expect(202);
    repo.client.send(&Request::patch(format!("{}?ns=docker.io", begun.location())).body("x")).expect(202);
    let close = format!("{}?ns=docker.io&digest={}", begun.location(), sha256(b"x"));
    repo.client.send(&Request::put(close)).expect(201);
    for target in [
        "/v2/".to_owned(),
        repo.manifest("v1"),
        repo.blob(&sha256(b"x")),
        repo.path("tags/list"),
        repo.path(format!("referrers/{digest}")),
    ] {
        repo.client.get(format!("{target}?ns=docker.io")).expect(200);
    }
    repo.client.delete(format!("{}?ns=docker.io", repo.manifest("v1"))).expect(202);
}

fn unknown_extension(bench: &Bench) {
    for target in ["/v2/_unknown/x/y", "/v2/a/b/_unknown/x/y", "/v2/_unknown", "/v2/a/_oci/ext/other"] {
        let refused = bench.client.get(target).refused(404, "UNSUPPORTED");
        refused.with("content-type", "application/json");
    }
}

fn warnings(bench: &Bench) {
    let repo = Repo::new(&bench.sparse, "tricky/80");
    repo.push_empty_config();
    let layers: Vec<Value> =
        (0..60).map(|n: u32| descriptor("application/octet-stream", &sha256(&n.to_be_bytes()), 4)).collect();
    let pushed = repo.put_manifest("v1", MANIFEST, &image(&layers, Value::Null)).expect(201);
    let warnings: Vec<&str> = pushed.all("warning").collect();
    assert!(warnings.iter().map(|warning| warning.len()).sum::<usize>() <= 4096, "{pushed}");
    assert!(warnings.len() >= 20, "{pushed}");
    for warning in warnings {
        let text = warning.strip_prefix("299 - \"").and_then(|rest| rest.strip_suffix('"'));
        assert!(text.is_some_and(|text| !text.contains('"')), "{warning}");
    }
}

/// Sends 48 MiB of a refused body, all of it, before it looks for the answer.
fn early_refusal(bench: &Bench) {
    const PIECE: usize = 1024 * 1024;
    const PIECES: usize = 48;
    let repo = bench.repo();
    let gone = repo.path("blobs/uploads/0123456789abcdef0123456789abcdef01234567");
    let begun = repo.begin();
    let piece = noise(81, PIECE);
    for (request, status) in [
        (Request::put(repo.manifest("v1")), 413),
        (Request::patch(&gone), 404),
        (Request::put(format!("{gone}?digest={}", sha256(b""))), 404),
        (Request::patch(&begun).header("Content-Range", "7-50331654"), 416),
        (Request::put(repo.path("nothing/here")), 404),
    ] {
        for chunked in [false, true] {
            let request = match chunked {
                true => request.clone().header("Transfer-Encoding", "chunked"),
                false => request.clone().header("Content-Length", (PIECE * PIECES).to_string()),
            };
            let mut connection = bench.client.connect();
            connection.write(request.head_bytes()).unwrap();
            for n in 0..PIECES {
                let sent = if chunked {
                    let head = format!("{PIECE:x}\r\n");
                    connection
                        .write(head)
                        .and_then(|()| connection.write(&piece))
                        .and_then(|()| connection.write("\r\n"))
                } else {
                    connection.write(&piece)
                };
                sent.unwrap_or_else(|error| panic!("{request}: {error} after {n} MiB"));
            }
            if chunked {
                connection.write("0\r\n\r\n").unwrap();
            }
            let answer = connection.receive(&request.method);
            let answer = answer.unwrap_or_else(|error| panic!("{request}: {error}"));
            assert_eq!(answer.status, status, "{request}: {answer}");
        }
    }
}

fn http2(bench: &Bench) {
    let (repo, h2) = (bench.repo(), H2::connect(bench.client.address));
    let bytes = noise(82, 3_000_000);
    let begun = h2.send(&Request::post(repo.path("blobs/uploads/"))).expect(202);
    let patched = h2.send(&Request::patch(begun.location()).chunked(&bytes[..])).expect(202);
    let patched = patched.with("range", "0-2999999");
    h2.send(&Request::put(format!("{}?digest={}", patched.location(), sha256(&bytes)))).expect(201);
    let blob = repo.blob(&sha256(&bytes));
    h2.send(&Request::head(&blob)).expect(200).with("content-length", "3000000");
    assert_eq!(h2.send(&Request::get(&blob)).expect(200).body, bytes);
    let (_, manifest) = repo.push_artifact("v1");
    let head = h2.send(&Request::head(repo.manifest("v1"))).expect(200);
    head.with("content-length", &manifest.len().to_string());
    let too_large = Request::put(repo.manifest("v1")).chunked(vec![b' '; 5 * 1024 * 1024]);
    h2.send(&too_large).refused(413, "MANIFEST_INVALID");
}

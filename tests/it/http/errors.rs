//! Every way to be wrong is a 4xx with a code of the specification and a message that names what was wrong.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use artifactstore::oci::ErrorCode;

use crate::support::{
    INDEX, MANIFEST, Repo, Request, Response, Server, descriptor, empty_config, image, index, sha256,
};

/// Checks a refusal: status, the one code, and a message with these words.
#[track_caller]
fn refused(answer: &Response, status: u16, code: &str, words: &[&str], request: &Request) {
    assert_eq!(answer.status, status, "{request}: {answer}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{request}: {answer}");
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["errors"], "{request}: {answer}");
    for error in body["errors"].as_array().unwrap() {
        let found = error["code"].as_str().unwrap();
        assert!(ErrorCode::ALL.iter().any(|known| known.as_str() == found), "{request}: {answer}");
        assert_eq!(found, code, "{request}: {answer}");
    }
    let message = body["errors"][0]["message"].as_str().unwrap();
    for word in words {
        assert!(message.contains(word), "{request}: {message:?} does not say {word:?}");
    }
}

#[test]
fn every_malformed_request_is_told_what_is_wrong() {
    let server = Server::start();
    let client = server.client();
    let repo = Repo::new(&client, "a/b");
    repo.push_artifact("v1");
    let upload = repo.begin();
    let digest = sha256(b"{}");
    let upper = digest.to_uppercase().replace("SHA256", "sha256");
    let long = "t".repeat(129);
    let get = |path: &str| Request::get(path);
    let cases = [
        // Paths and methods
        (get("/"), 404, "UNSUPPORTED", "nothing at this path"),
        (get("/v1/"), 404, "UNSUPPORTED", "nothing"),
        (get("/v2/a/b"), 404, "UNSUPPORTED", "nothing"),
        (get("/v2/a/b/blobs/"), 400, "DIGEST_INVALID", "\"\""),
        (get("/v2/blobs/uploads/x"), 400, "NAME_INVALID", "0 bytes"),
        (Request::post("/v2/"), 405, "UNSUPPORTED", "GET, HEAD"),
        (Request::new("PATCH", "/health"), 405, "UNSUPPORTED", "GET, HEAD"),
        (Request::put(repo.blob(&digest)), 405, "UNSUPPORTED", "GET, HEAD, DELETE"),
        (Request::post(repo.manifest("v1")), 405, "UNSUPPORTED", "GET, HEAD, PUT, DELETE"),
        (Request::delete(repo.path("tags/list")), 405, "UNSUPPORTED", "GET, HEAD"),
        (Request::new("OPTIONS", upload.clone()), 405, "UNSUPPORTED", "PATCH"),
        (Request::get(repo.path("blobs/uploads/")), 405, "UNSUPPORTED", "POST"),
        // Names
        (get("/v2/A/manifests/v1"), 400, "NAME_INVALID", "\"A\""),
        (get("/v2/a//b/tags/list"), 400, "NAME_INVALID", "\"\""),
        (get("/v2/a%2Fb/tags/list"), 400, "NAME_INVALID", "a/b"),
        (get("/v2/tags/list"), 400, "NAME_INVALID", "0 bytes"),
        (Request::post("/v2/a..b/blobs/uploads/"), 400, "NAME_INVALID", "a..b"),
        // Digests
        (get(&repo.blob("sha256:zz")), 400, "DIGEST_INVALID", "2 characters|64"),
        (get(&repo.blob(&upper)), 400, "DIGEST_INVALID", "lower-case"),
        (get(&repo.blob("md5:d41d8cd98f00b204e9800998ecf8427e")), 400, "DIGEST_INVALID", "md5|sha256"),
        (get(&repo.blob("sha256")), 400, "DIGEST_INVALID", "\"sha256\""),
        (Request::delete(repo.blob("x")), 400, "DIGEST_INVALID", "\"x\""),
        (get(&repo.manifest("sha256:")), 400, "DIGEST_INVALID", "sha256:"),
        (get(&repo.path("referrers/v1")), 400, "DIGEST_INVALID", "\"v1\""),
        (get(&repo.path(format!("referrers/{digest}?last=x"))), 400, "DIGEST_INVALID", "\"x\""),
        (Request::post(repo.path("blobs/uploads/?mount=x")), 400, "DIGEST_INVALID", "\"x\""),
        (Request::post(repo.path("blobs/uploads/?digest=")), 400, "DIGEST_INVALID", "\"\""),
        (Request::put(&upload), 400, "DIGEST_INVALID", "digest|missing"),
        (Request::put(format!("{upload}?digest=sha256:1")), 400, "DIGEST_INVALID", "1 characters"),
        // Tags
        (Request::put(repo.manifest(".v1")).body("{}"), 400, "MANIFEST_INVALID", "'.'|tag"),
        (Request::put(repo.manifest(&long)).body("{}"), 400, "MANIFEST_INVALID", "129 bytes|128"),
        (Request::delete(repo.manifest("-v1")), 400, "MANIFEST_INVALID", "'-'"),
        (get(&repo.manifest(".v1")), 404, "MANIFEST_UNKNOWN", "'.'"),
        (
            Request::put(format!("{}?tag=v%201", repo.manifest(&digest))).body("{}"),
            400,
            "MANIFEST_INVALID",
            "' '",
        ),
        (
            Request::put(format!("{}?tag=v2", repo.manifest("v1"))).body("{}"),
            400,
            "UNSUPPORTED",
            "tag|digest",
        ),
        // Lists
        (get(&repo.path("tags/list?n=-1")), 400, "UNSUPPORTED", "parameter n|\"-1\""),
        (get(&repo.path("tags/list?n=ten")), 400, "UNSUPPORTED", "parameter n|\"ten\""),
        (get("/v2/_catalog?n=0x10"), 400, "UNSUPPORTED", "parameter n|\"0x10\""),
        // Unknown things
        (get(&repo.blob(&sha256(b"no"))), 404, "BLOB_UNKNOWN", "sha256:"),
        (get(&repo.manifest("v9")), 404, "MANIFEST_UNKNOWN", "v9"),
        (get(&repo.manifest(&sha256(b"no"))), 404, "MANIFEST_UNKNOWN", "manifest"),
        (Request::delete(repo.manifest("v9")), 404, "MANIFEST_UNKNOWN", "v9"),
        (Request::delete(repo.manifest(&sha256(b"no"))), 404, "MANIFEST_UNKNOWN", "manifest"),
        (Request::delete(repo.blob(&sha256(b"no"))), 404, "BLOB_UNKNOWN", "blob"),
        (get("/v2/never/pushed/tags/list"), 404, "NAME_UNKNOWN", "never/pushed"),
        (get("/v2/never/pushed/manifests/v1"), 404, "MANIFEST_UNKNOWN", "v1"),
    ];
    for (request, status, code, words) in cases {
        let answer = client.send(&request);
        refused(&answer, status, code, &words.split('|').collect::<Vec<_>>(), &request);
        if status == 405 {
            let allowed = answer.required("allow");
            assert!(!allowed.contains(&request.method), "{request}: {answer}");
        }
    }
    // None of it did anything.
    assert_eq!(repo.tags(), ["v1"]);
    client.get(&upload).expect(204).with("range", "0--1");
}

#[test]
fn every_malformed_manifest_is_told_what_is_wrong() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_empty_config();
    let good: Value = serde_json::from_slice(&image(&[], Value::Null)).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut manifest = good.clone();
        match manifest.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => drop(manifest.as_object_mut().unwrap().insert(pointer[1..].to_owned(), value)),
        }
        manifest.to_string()
    };
    let without = |field: &str| {
        let mut manifest = good.clone();
        manifest.as_object_mut().unwrap().remove(field);
        manifest.to_string()
    };
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    for (media_type, body, words) in [
        (MANIFEST, String::new(), &["manifest"][..]),
        (MANIFEST, "{".to_owned(), &["manifest"]),
        (MANIFEST, "[]".to_owned(), &["manifest"]),
        (MANIFEST, format!("{good} trailing"), &["manifest"]),
        (MANIFEST, without("schemaVersion"), &["schemaVersion"]),
        (MANIFEST, with("/schemaVersion", json!(3)), &["schemaVersion", "3"]),
        (MANIFEST, with("/schemaVersion", json!("2")), &["schemaVersion"]),
        (MANIFEST, without("config"), &["config"]),
        (MANIFEST, without("layers"), &["layers"]),
        (MANIFEST, with("/layers", json!({})), &["layers"]),
        (
            MANIFEST,
            with("/layers", json!([{ "digest": sha256(b""), "size": 0 }])),
            &["layers[0]", "mediaType"],
        ),
        (MANIFEST, with("/config/digest", json!("sha256:1")), &["config.digest"]),
        (MANIFEST, with("/config/size", json!(-1)), &["config.size"]),
        (MANIFEST, with("/subject", json!({ "digest": "x" })), &["subject"]),
        (MANIFEST, with("/annotations", json!({ "a": 1 })), &["annotations"]),
        (MANIFEST, with("/mediaType", json!(INDEX)), &[MANIFEST, INDEX]),
        (docker, good.to_string(), &[docker, MANIFEST]),
        (MANIFEST, with("/manifests", json!([])), &["ambiguous"]),
        (INDEX, without("mediaType"), &[INDEX, "config"]),
        ("text/html", without("mediaType"), &["text/html"]),
        ("application/json", json!({ "schemaVersion": 2 }).to_string(), &["application/json"]),
    ] {
        let request = Request::put(repo.manifest("v1")).header("Content-Type", media_type).body(body.clone());
        let answer = repo.client.send(&request);
        refused(&answer, 400, "MANIFEST_INVALID", words, &request);
    }
    repo.client.get(repo.path("tags/list")).expect(200).with("content-type", "application/json");
    assert!(repo.tags().is_empty());
}

/// Up to 4 MiB a manifest may hold whatever it likes: no other limit of ours shows.
#[test]
fn a_rich_manifest_is_stored_and_described_in_full() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_empty_config();
    let subject = descriptor(MANIFEST, &sha256(b"subject"), 7);
    let long = json!({ "note": "x".repeat(200_000) });
    let many = json!((0..100_000).map(|n| (format!("k{n}"), "v")).collect::<BTreeMap<_, _>>());
    let key = json!({ "k".repeat(1000): "v" });
    for notes in [long, many, key] {
        let more = json!({ "subject": subject, "annotations": notes });
        let bytes = image(&[empty_config()], more);
        repo.put_manifest("v1", MANIFEST, &bytes).expect(201);
        assert_eq!(repo.client.get(repo.manifest("v1")).expect(200).body, bytes);
        let listed =
            repo.client.get(repo.path(format!("referrers/{}", sha256(b"subject")))).expect(200).json();
        let entries = listed["manifests"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["digest"] == sha256(&bytes)).unwrap();
        assert!(entry["annotations"] == notes, "{} bytes", bytes.len());
    }
    let child = |n: u32| descriptor(MANIFEST, &sha256(&n.to_be_bytes()), 4);
    let bytes = index(&(0..20_000).map(child).collect::<Vec<_>>(), Value::Null);
    repo.put_manifest("v1", INDEX, &bytes).expect(201);
    assert!(repo.client.get(repo.manifest("v1")).expect(200).body == bytes);
}

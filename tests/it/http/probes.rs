//! `/health`, `/livez`, `/readyz`, `/metrics` (API-3).

use std::fs;

use crate::support::{Client, Repo, Request, Server, is_production, sha256, until};

#[test]
fn a_server_that_works_says_so() {
    let server = Server::start();
    let client = server.client();
    for target in ["/health", "/readyz"] {
        let health = client.get(target).expect(200).with("content-type", "application/json").json();
        assert_eq!(health["status"], "ok");
        assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
        let components = health["components"].as_array().unwrap();
        let names: Vec<&str> = components.iter().map(|part| part["name"].as_str().unwrap()).collect();
        let storage = if is_production() { "storage:s3" } else { "storage:local" };
        assert_eq!(names, ["database", storage, "log"]);
        assert!(
            components.iter().all(|part| part["status"] == "ok" && part["problem"].is_null()),
            "{health}"
        );
        let capacity = &components[1]["capacity"];
        assert!(capacity["total"].as_u64() >= capacity["available"].as_u64(), "{health}");
        client.head(target).expect(200);
    }
    assert_eq!(client.get("/livez").expect(200).body, b"ok\n");
    let before = client.get("/health").json()["sequence"].as_i64().unwrap();
    Repo::new(&client, "a").push_artifact("v1");
    assert!(client.get("/health").json()["sequence"].as_i64().unwrap() > before);
}

#[test]
fn a_server_whose_storage_is_gone_is_alive_and_not_ready() {
    let server = Server::start();
    let client = server.client();
    let repo = Repo::new(&client, "a");
    let (digest, bytes) = repo.push_artifact("v1");
    let (storage, aside) = (server.data().join("storage"), server.data().join("aside"));
    fs::rename(&storage, &aside).unwrap();
    for target in ["/health", "/readyz"] {
        let health = client.get(target).expect(503).with("content-type", "application/json").json();
        assert_eq!(health["status"], "failing");
        let part = health["components"][1].clone();
        assert_eq!((&part["name"], &part["status"]), (&"storage:local".into(), &"failing".into()));
        let problem = part["problem"].as_str().unwrap();
        assert!(problem.contains(storage.to_str().unwrap()), "{problem}");
    }
    client.get("/livez").expect(200);
    // What needs no storage goes on.
    assert_eq!(client.get(repo.manifest(&digest)).expect(200).body, bytes);
    // What needs it fails without a word of the specification's codes, and says why in the log.
    let target = repo.path(format!("blobs/uploads/?digest={}", sha256(b"nowhere to go")));
    let failed = client.send(&Request::post(&target).body("nowhere to go"));
    if failed.status != 201 {
        assert!(matches!(failed.status, 500 | 503), "{failed}");
        let id = failed.json()["request_id"].as_str().unwrap().to_owned();
        until("the log names the request", || {
            server.log().lines().any(|line| line.contains(&id) && line.contains("ERROR")).then_some(())
        });
        client.head(repo.blob(&sha256(b"nowhere to go"))).expect(404);
    }
    fs::rename(&aside, &storage).unwrap();
    client.get("/readyz").expect(200);
    client.send(&Request::post(&target).body("nowhere to go")).expect(201);
}

/// One number of `/metrics`.
pub(super) fn metric(client: &Client, name: &str) -> Option<f64> {
    let text = String::from_utf8(client.get("/metrics").expect(200).body).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(value.parse().unwrap())
}

#[test]
fn metrics_are_what_a_scraper_reads() {
    let server = Server::start();
    let client = server.client();
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = client.get("/metrics").expect(200).with("content-type", media_type).body;
    let text = String::from_utf8(text).unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    // Of a cycle that never ended there is no time.
    assert_eq!(metric(&client, "artifactstore_scrub_cycle_begun_timestamp_seconds"), None);
    let before = metric(&client, "artifactstore_log_events").unwrap();
    Repo::new(&client, "a").push_artifact("v1");
    client.post("/v2/_artifactstore/scrub").expect(200);
    client.post("/v2/_artifactstore/gc").expect(200);
    assert!(metric(&client, "artifactstore_log_events").unwrap() > before);
    for name in ["scrub_cycle", "gc_run"] {
        let begun = metric(&client, &format!("artifactstore_{name}_begun_timestamp_seconds")).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - 600.0..=now).contains(&begun), "{name}: {begun} at {now}");
    }
    for name in ["gc_run_failed", "compliance_clock_frozen", "compliance_clock_behind_seconds"] {
        assert_eq!(metric(&client, &format!("artifactstore_{name}")), Some(0.0), "{name}");
    }
    client.head("/metrics").expect(200);
    client.post("/metrics").refused(405, "UNSUPPORTED");
}

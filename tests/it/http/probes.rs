//! `/health`, `/livez`, `/readyz` (API-3).

use std::fs;

use crate::support::{Repo, Request, Server, is_production, sha256, until};

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

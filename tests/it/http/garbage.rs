//! Collections of garbage over HTTP. Every answer is held against the `OpenAPI` document.

use serde_json::json;

use super::packages::shaped;
use crate::support::{Launch, Repo, Request, Server};

const GC: &str = "/v2/_artifactstore/gc";

fn hasty() -> Server {
    let launch = Launch::new().env("ARTIFACTSTORE_GC_ENABLED", "false");
    launch.env("ARTIFACTSTORE_GC_GRACE", "0s").env("ARTIFACTSTORE_GC_QUARANTINE", "0s").start()
}

fn dry_run() -> Request {
    Request::post(GC).body(r#"{"dry_run":true}"#)
}

#[test]
fn garbage_is_foretold_collected_and_accounted_for() {
    let server = hasty();
    let client = server.client();
    let repo = Repo::new(&client, "heap");
    repo.push_artifact("v1");
    let blob = repo.push_blob(b"garbage");
    let plan = shaped(&client.send(&dry_run()).expect(200), "CollectionPlan");
    assert_eq!(plan["reclaimable"], json!({ "objects": 1, "bytes": 7 }));
    client.get(repo.path(format!("blobs/{blob}"))).expect(200);
    let first = client.post(GC).expect(200);
    let run = shaped(&first, "Collection");
    assert_eq!((&run["status"], &run["released"]), (&json!("completed"), &json!(1)));
    client.get(repo.path(format!("blobs/{blob}"))).expect(404);
    let detail = shaped(&client.get(first.location()).expect(200), "CollectionEvents");
    assert_eq!(detail["events"][0]["type"], "v1.blob.released");
    assert_eq!(detail["events"][0]["repository"], "heap");
    let rest = format!("{}?since={}", first.location(), detail["next_since"]);
    assert_eq!(shaped(&client.get(rest).expect(200), "CollectionEvents")["events"], json!([]));
    let mut purged = run["purged"].as_u64().unwrap();
    for _ in 0..2 {
        purged += shaped(&client.post(GC).expect(200), "Collection")["purged"].as_u64().unwrap();
    }
    assert_eq!(purged, 1);
    let page = client.get(format!("{GC}/runs?n=2")).expect(200);
    let newest = shaped(&page, "Collections")["runs"].clone();
    assert_eq!(newest.as_array().unwrap().len(), 2);
    let oldest = client.get(page.next_page().unwrap()).expect(200);
    assert_eq!(shaped(&oldest, "Collections")["runs"][0]["run"], run["run"]);
    let plan = shaped(&client.send(&dry_run()).expect(200), "CollectionPlan");
    assert_eq!(plan["reclaimable"], json!({ "objects": 0, "bytes": 0 }));
    assert_eq!(repo.push_blob(b"garbage"), blob);
    client.get(repo.path(format!("blobs/{blob}"))).expect(200);
}

#[test]
fn what_is_no_request_for_a_collection_is_refused() {
    let server = hasty();
    let client = server.client();
    // It collected: what is ignored elsewhere is deleted by here.
    let misplaced = client.post(format!("{GC}?dry_run=true")).expect(400);
    assert!(misplaced.to_string().contains("belongs into the body"), "{misplaced}");
    for body in [r#"{"dry_run":"yes"}"#, r#"{"dryrun":true}"#, "[true]", "{"] {
        client.send(&Request::post(GC).body(body)).expect(400);
    }
    for run in ["gc_01arz3ndektsv4rrffq69g5fav", "gc_", "nothing", "%00"] {
        client.get(format!("{GC}/runs/{run}")).expect(404);
    }
    client.get(GC).expect(405);
    client.delete(format!("{GC}/runs")).expect(405);
    client.get(format!("{GC}/runs?n=x")).expect(400);
}

#[test]
fn whoever_asks_before_pushing_begins_the_grace_again() {
    let server = hasty();
    let client = server.client();
    let repo = Repo::new(&client, "heap");
    let blob = repo.push_blob(b"asked for");
    let events = || server.run(&["replay", "--check", "--json"]).expect(0).json()["events"].as_u64().unwrap();
    let before = events();
    client.get(repo.path(format!("blobs/{blob}"))).expect(200);
    assert_eq!(events(), before, "a download changes nothing");
    client.head(repo.path(format!("blobs/{blob}"))).expect(200);
    assert_eq!(events(), before + 1);
}

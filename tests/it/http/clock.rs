//! The compliance clock over HTTP. Every answer is held against the `OpenAPI` document.

use serde_json::{Value, json};

use super::packages::{Pack, shaped};
use crate::support::{Repo, Request, Response, Server};

const CLOCK: &str = "/v2/_artifactstore/clock";

fn resync(repo: &Repo, body: &Value) -> Response {
    repo.client.send(&Request::post(format!("{CLOCK}/resync")).body(body.to_string()))
}

#[test]
fn the_clock_begins_with_a_retention_and_is_confirmed_with_a_reason() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "team/results");
    let clock = || shaped(&repo.client.get(CLOCK).expect(200), "Clock");
    repo.push_artifact("v0");
    assert_eq!(clock()["last_tick"], Value::Null);
    resync(&repo, &json!({ "reason": "why not" })).refused(409, "DENIED");
    let pack = Pack::create(&repo, &json!({ "retention_class": "transient" }));
    pack.ingest("x", b"one");
    pack.finalize(&json!({ "tag": "v1" }));
    let begun = clock();
    assert_eq!((&begun["is_frozen"], &begun["alarm"]), (&json!(false), &Value::Null));
    for body in [json!({}), json!({ "reason": " " }), json!({ "reason": 7 }), json!({ "why": "it is right" })]
    {
        resync(&repo, &body).refused(400, "MANIFEST_INVALID");
    }
    let set = shaped(&resync(&repo, &json!({ "reason": "it is right" })).expect(200), "Clock");
    assert_eq!(set["is_frozen"], false);
    let sequence = |clock: &Value| clock["last_tick"]["sequence"].as_i64().unwrap();
    assert!(sequence(&set) > sequence(&begun));
    let health = repo.client.get("/readyz").expect(200).json();
    let part = health["components"].as_array().unwrap().iter().find(|part| part["name"] == "clock").unwrap();
    assert_eq!(part["capabilities"]["state"], "running");
    repo.client.get(format!("{CLOCK}/resync")).refused(405, "UNSUPPORTED").with("allow", "POST");
}

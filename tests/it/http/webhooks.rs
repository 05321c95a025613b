//! Webhooks over HTTP, sent by the real server. Every answer is held against the `OpenAPI` document.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::packages::shaped;
use crate::support::{
    Client, Launch, Received, Receiver, Repo, Request, Response, Server, is_production, until, until_within,
};

const WEBHOOKS: &str = "/v2/_artifactstore/webhooks";
const NONE: &str = "/v2/_artifactstore/webhooks/whk_01arz3ndektsv4rrffq69g5fav";

/// A server that may send to this machine.
fn allowing() -> Server {
    Launch::new().env("ARTIFACTSTORE_WEBHOOKS_ALLOW", "127.0.0.0/8").start()
}

fn post(client: &Client, target: &str, body: &Value) -> Response {
    client.send(&Request::post(target).body(body.to_string()))
}

fn create(client: &Client, body: &Value) -> Value {
    shaped(&post(client, WEBHOOKS, body).expect(201), "Webhook")
}

fn see(client: &Client, webhook: &Value) -> Value {
    shaped(&client.get(path(webhook)).expect(200), "Webhook")
}

fn path(webhook: &Value) -> String {
    format!("{WEBHOOKS}/{}", webhook["id"].as_str().unwrap())
}

/// Whether a delivery is signed with a secret.
fn is_signed(received: &Received, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let (id, timestamp) = (received.header("webhook-id"), received.header("webhook-timestamp"));
    let signed = [format!("{id}.{timestamp}.").as_bytes(), &received.body].concat();
    received.header("webhook-signature").split(' ').any(|signature| {
        let proof = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, &signed, &proof).is_ok()
    })
}

#[test]
fn every_event_arrives_in_order_and_signed() {
    let (server, receiver) = (allowing(), Receiver::start());
    let client = server.client();
    let repo = Repo::new(&client, "team/results");
    let webhook = create(&client, &json!({ "url": receiver.url("/hooks/secret-path?x=1") }));
    let secret = webhook["secret"].as_str().unwrap();
    for n in 0..10 {
        repo.push_artifact(&format!("v{n}"));
    }
    let events = client.get(format!("{WEBHOOKS}?n=1")).expect(200);
    let head = shaped(&events, "Webhooks")["webhooks"][0]["head"].as_i64().unwrap();
    let sequence = |received: &Received| received.json()["sequence"].as_i64().unwrap();
    let deliveries = until("all is delivered", || {
        let all = receiver.received();
        let last = all.iter().position(|it| sequence(it) == head)?;
        Some(all[..=last].to_vec())
    });
    let sequences: Vec<i64> = deliveries.iter().map(sequence).collect();
    let cursor = webhook["cursor"].as_i64().unwrap();
    assert_eq!(sequences, (cursor + 1..=head).collect::<Vec<_>>());
    for received in &deliveries {
        assert_eq!(received.line, "POST /hooks/secret-path?x=1 HTTP/1.1");
        assert!(is_signed(received, secret), "{received:?}");
        assert_eq!(received.header("content-type"), "application/json");
    }
    let seen = until("the cursor is written", || {
        Some(see(&client, &webhook)).filter(|seen| seen["cursor"].as_i64() >= Some(head))
    });
    assert_eq!((&seen["state"], &seen["last_status"]), (&json!("active"), &json!(204)));
    // What may be a secret is in no other answer and in no log.
    let listed = client.get(WEBHOOKS).expect(200).json().to_string();
    for text in [see(&client, &webhook).to_string(), listed, server.log()] {
        assert!(!text.contains(&secret[6..]) && !text.contains("secret-path"), "{text}");
    }
    if !is_production() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = server.data().join("registry-operational.db");
        for file in [file.clone(), file.with_extension("db-wal")] {
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
    }
}

#[test]
fn a_webhook_is_changed_suspended_resumed_and_removed() {
    let (server, receiver) = (allowing(), Receiver::start());
    let client = server.client();
    let repo = Repo::new(&client, "team/results");
    let filter = json!({ "types": ["tag"], "repository": "team/results" });
    let webhook = create(
        &client,
        &json!({ "url": receiver.url("/a"), "format": "cloudevents", "filter": filter, "since": 0 }),
    );
    assert_eq!(webhook["filter"]["types"], json!(["tag"]));
    let at = path(&webhook);
    repo.push_artifact("v1");
    until("the first arrives", || receiver.received().first().cloned());
    let suspended = shaped(&client.post(format!("{at}/suspend")).expect(200), "Webhook");
    assert_eq!(suspended["state"], "suspended");
    client.post(format!("{at}/retry")).refused(409, "DENIED");
    repo.push_artifact("v2");
    let change =
        Request::patch(&at).body(json!({ "url": receiver.url("/b"), "rotate_secret": true }).to_string());
    let changed = shaped(&client.send(&change).expect(200).with("cache-control", "no-store"), "Webhook");
    assert_eq!(changed["state"], "suspended");
    assert!(see(&client, &webhook)["previous_secret_ends_at"].is_string());
    shaped(&client.post(format!("{at}/resume")).expect(200), "Webhook");
    let second = until("the second arrives", || receiver.received().get(1).cloned());
    assert_eq!(second.line, "POST /b HTTP/1.1");
    assert_eq!(second.json()["type"], "dev.artifactstore.tag.moved.v1");
    for secret in [&changed["secret"], &webhook["secret"]] {
        assert!(is_signed(&second, secret.as_str().unwrap()));
    }
    post(&client, &format!("{at}/resume"), &json!({ "since": 0 })).expect(200);
    until("both arrive again", || (receiver.received().len() == 4).then_some(()));
    client.delete(&at).expect(204);
    client.get(&at).refused(404, "MANIFEST_UNKNOWN");
    client.delete(&at).refused(404, "MANIFEST_UNKNOWN");
    let filter = json!({ "types": ["tag"] });
    create(&client, &json!({ "url": receiver.url("/after"), "filter": filter }));
    for (at, tag) in ["v3", "v4"].into_iter().enumerate() {
        repo.push_artifact(tag);
        let after = |received: &Received| received.line.starts_with("POST /after ");
        until("another one is sent it", || {
            let all = receiver.received();
            (all.into_iter().filter(after).count() > at).then_some(())
        });
    }
    let all = receiver.received();
    assert_eq!(all.len(), 4 + 2, "none to the one that was removed: {all:?}");
}

#[test]
fn a_change_of_one_part_of_a_filter_dropped_the_others() {
    let (server, receiver) = (allowing(), Receiver::start());
    let client = server.client();
    let id = "pkg_01arz3ndektsv4rrffq69g5fav";
    let filter = json!({ "types": ["tag"], "repository": "team/results", "package": id });
    let webhook = create(&client, &json!({ "url": receiver.url("/"), "filter": filter }));
    let change = |filter: Value| {
        let request = Request::patch(path(&webhook)).body(json!({ "filter": filter }).to_string());
        shaped(&client.send(&request).expect(200), "Webhook")["filter"].clone()
    };
    let none = Value::Null;
    for (asked, [types, repository, package]) in [
        (json!({ "types": ["blob"] }), [json!(["blob"]), json!("team/results"), json!(id)]),
        (json!({ "repository": "other" }), [json!(["blob"]), json!("other"), json!(id)]),
        (json!({ "package": null }), [json!(["blob"]), json!("other"), none.clone()]),
        (json!({}), [json!(["blob"]), json!("other"), none.clone()]),
        (none.clone(), [json!(["blob"]), json!("other"), none.clone()]),
        (json!({ "types": null }), [json!([]), json!("other"), none.clone()]),
        (json!({ "types": ["tag"], "repository": null }), [json!(["tag"]), none.clone(), none.clone()]),
        (json!({ "types": [] }), [json!([]), none.clone(), none.clone()]),
    ] {
        let becomes = json!({ "types": types, "repository": repository, "package": package });
        assert_eq!(change(asked.clone()), becomes, "{asked}");
    }
    let unknown = Request::patch(path(&webhook)).body(json!({ "filter": { "tpyes": [] } }).to_string());
    client.send(&unknown).refused(400, "MANIFEST_INVALID");
}

#[test]
fn nothing_is_sent_inside_and_no_redirect_is_followed() {
    let (server, receiver) = (Server::start(), Receiver::start());
    let client = server.client();
    let port = receiver.address().port();
    for host in
        ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254", "0.0.0.0"]
    {
        let refused = post(&client, WEBHOOKS, &json!({ "url": format!("http://{host}:{port}/") }));
        let refused = refused.refused(400, "UNSUPPORTED").json();
        let reason = refused["errors"][0]["message"].as_str().unwrap();
        assert!(reason.contains("webhooks.allow does not name it"), "{reason}");
    }
    drop(server);
    let (server, elsewhere) = (allowing(), Receiver::start());
    let client = server.client();
    receiver
        .answer(&format!("307 Temporary Redirect\r\nretry-after: 600\r\nlocation: {}", elsewhere.url("/")));
    let webhook = create(&client, &json!({ "url": receiver.url("/") }));
    let failing = until("it fails", || Some(see(&client, &webhook)).filter(|seen| seen["attempts"] == 1));
    let error = failing["last_error"].as_str().unwrap();
    assert!(error.contains("307: redirects are not followed"), "{error}");
    assert_eq!((receiver.received().len(), elsewhere.received().len()), (1, 0));
    receiver.answer("204 No Content");
    shaped(&client.post(format!("{}/retry", path(&webhook))).expect(200), "Webhook");
    until("it is taken", || (see(&client, &webhook)["attempts"] == 0).then_some(()));
    let ids: Vec<String> = receiver.received().iter().map(|it| it.header("webhook-id").to_owned()).collect();
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn a_server_that_was_killed_goes_on_where_it_was() {
    let (server, receiver) = (allowing(), Receiver::start());
    receiver.answer("503 Service Unavailable\r\nretry-after: 30");
    let webhook = create(&server.client(), &json!({ "url": receiver.url("/") }));
    Repo::new(&server.client(), "a").push_artifact("v1");
    until("it was tried", || (see(&server.client(), &webhook)["attempts"] == 1).then_some(()));
    let server = server.restart();
    let client = server.client();
    Repo::new(&client, "a").push_artifact("v2");
    receiver.answer("204 No Content");
    let at = path(&webhook);
    // In a shared database the lease of one that was killed before it let go of it has to end first.
    let head = until_within(Duration::from_secs(90), "it is sent again", || {
        client.post(format!("{at}/retry"));
        let seen = see(&client, &webhook);
        (seen["cursor"] == seen["head"]).then(|| seen["head"].as_i64().unwrap())
    });
    let sent: Vec<i64> =
        receiver.received().iter().map(|it| it.json()["sequence"].as_i64().unwrap()).collect();
    // Each at least once and in order: only the one that was not taken may be there several times, one after the other.
    let mut distinct = sent.clone();
    distinct.dedup();
    let recorded: Vec<i64> = (webhook["cursor"].as_i64().unwrap() + 1..=head).collect();
    assert!(recorded.len() > 5, "both pushes are in it: {recorded:?}");
    assert_eq!(distinct, recorded, "{sent:?}");
}

#[test]
fn what_is_no_webhook_is_refused_with_the_reason() {
    let server = allowing();
    let client = server.client();
    for (body, word) in [
        (json!({}), "url"),
        (json!({ "url": "ftp://h/" }), "url: it begins neither"),
        (json!({ "url": "https://user:pw@h/" }), "url: it has a user"),
        (json!({ "url": "https://127.1/" }), "url: its host"),
        (json!({ "url": "https://h/", "secret": "hunter2-hunter2" }), "secret: it is not whsec_"),
        (json!({ "url": "https://h/", "format": "xml" }), "format: say one of json, cloudevents"),
        (json!({ "url": "https://h/", "filter": { "types": ["packge"] } }), "filter.types: \"packge\""),
        (json!({ "url": "https://h/", "filter": { "types": [""] } }), "filter.types"),
        (json!({ "url": "https://h/", "filter": { "types": ["tag,blob"] } }), "each pattern by itself"),
        (json!({ "url": "https://h/", "filter": { "repository": "A" } }), "filter.repository"),
        (json!({ "url": "https://h/", "filter": { "package": "x" } }), "filter.package"),
        (json!({ "url": "https://h/", "filter": { "tpyes": [] } }), "tpyes"),
        (json!({ "url": "https://h/", "since": -1 }), "since"),
        (json!({ "url": "https://h/", "since": "then" }), "since"),
        (json!({ "url": "https://h/", "state": "active" }), "state"),
    ] {
        let refused = post(&client, WEBHOOKS, &body).refused(400, "MANIFEST_INVALID").json();
        let reason = refused["errors"][0]["message"].as_str().unwrap();
        assert!(reason.contains(word) && !reason.contains("hunter2"), "{body}: {reason}");
    }
    let ahead = json!({ "url": "https://h/", "since": 1_000_000 });
    post(&client, WEBHOOKS, &ahead).refused(409, "CURSOR_AHEAD");
    for verb in ["retry", "suspend", "resume"] {
        client.post(format!("{NONE}/{verb}")).refused(404, "MANIFEST_UNKNOWN");
        client.get(format!("{NONE}/{verb}")).refused(405, "UNSUPPORTED").with("allow", "POST");
    }
    client.get(format!("{WEBHOOKS}/hold_x")).refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(client.get(WEBHOOKS).expect(200).json(), json!({ "webhooks": [] }));
}

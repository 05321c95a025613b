//! Retentions and holds over HTTP: what is refused, with which status and which reasons.

use serde_json::{Value, json};

use super::packages::{Pack, shaped};
use crate::support::{Launch, MANIFEST, Repo, Request, Response, Server, image};

/// A finalized package of this class, and the digest of its manifest.
pub(super) fn package(repo: &Repo, class: &str, file: &[u8], tag: &str) -> (Pack, String) {
    let pack = Pack::create(repo, &json!({ "retention_class": class }));
    pack.ingest("x", file);
    let reference = pack.finalize(&json!({ "tag": tag }))["reference"].as_str().unwrap().to_owned();
    (pack, reference)
}

#[track_caller]
pub(super) fn place(repo: &Repo, body: &Value) -> Response {
    repo.client.send(&Request::post(repo.path("_artifactstore/holds")).body(body.to_string()))
}

pub(super) fn legal(reference: Option<&str>) -> Value {
    let mut body = json!({ "kind": "legal", "matter": "case 7", "reason": "the court asked" });
    if let Some(reference) = reference {
        body["reference"] = reference.into();
    }
    body
}

pub(super) fn extend(repo: &Repo, body: &Value) -> Response {
    repo.client.send(&Request::post(repo.path("_artifactstore/retention/extend")).body(body.to_string()))
}

/// The reasons of a refusal that say what protects, whose link leads to the whole story.
#[track_caller]
pub(super) fn reasons(repo: &Repo, answer: Response, status: u16) -> Value {
    let answer = answer.refused(status, "DENIED");
    let detail = answer.json()["errors"][0]["detail"].clone();
    let link = detail["explain"].as_str().unwrap();
    let shape = if link.ends_with("/holds") { "Holds" } else { "Explanation" };
    shaped(&repo.client.get(link).expect(200), shape);
    detail["reasons"].clone()
}

/// An image that is there but for the tag it is pushed to.
fn other(repo: &Repo) -> Vec<u8> {
    repo.push_empty_config();
    let layer = repo.push_layer(b"other");
    image(&[layer], json!({}))
}

#[test]
fn what_is_held_is_not_deleted_and_not_replaced() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "team/results");
    let client = &repo.client;
    let (pack, reference) = package(&repo, "raw-evidence", b"one", "v1");
    let placed = place(&repo, &legal(Some("v1"))).expect(201);
    let hold = shaped(&placed, "Hold");
    assert_eq!(hold["scope"]["target"], pack.id);
    assert_eq!(shaped(&client.get(placed.location()).expect(200), "Hold"), hold);
    let expected = json!([{ "kind": "hold", "id": hold["id"], "hold_kind": "legal", "matter": "case 7", "by": pack.id }]);
    let blob = shaped(&pack.get("/files").expect(200), "Files")["files"][0]["sha256"].clone();
    for target in [repo.manifest("v1"), repo.manifest(&reference), repo.blob(blob.as_str().unwrap())] {
        let answer = client.delete(target);
        assert_eq!(answer.required("allow"), "GET, HEAD");
        assert_eq!(reasons(&repo, answer, 405)[0], expected[0]);
    }
    let other = other(&repo);
    let moved = repo.put_manifest("v1", MANIFEST, &other);
    assert_eq!(reasons(&repo, moved, 403)[0], expected[0]);
    let digest = crate::support::sha256(&other);
    let moved = repo.put_manifest(&format!("{digest}?tag=v1"), MANIFEST, &other);
    assert_eq!(reasons(&repo, moved, 403)[0], expected[0]);
    assert_eq!(repo.tags(), ["v1"]);
    client.get(repo.manifest(&digest)).refused(404, "MANIFEST_UNKNOWN");

    let release = format!("{}?reason=over", placed.location());
    assert_eq!(shaped(&client.delete(&release).expect(200), "Hold")["release_reason"], "over");
    client.delete(&release).refused(409, "DENIED");
    // The retention is still there.
    let kept = reasons(&repo, client.delete(repo.manifest(&reference)), 405);
    assert_eq!((&kept[0]["kind"], &kept[0]["class"]), (&json!("retention"), &json!("raw-evidence")));
    repo.put_manifest("v1", MANIFEST, &other).expect(201);
}

#[test]
fn what_is_immutable_keeps_its_tag() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let (_, reference) = package(&repo, "release-evidence", b"one", "v1");
    let other = other(&repo);
    let kept = reasons(&repo, repo.put_manifest("v1", MANIFEST, &other), 403);
    assert_eq!((&kept[0]["kind"], &kept[0]["mode"]), (&json!("retention"), &json!("compliance")));
    let draft = Pack::create(&repo, &json!({}));
    draft.ingest("x", b"two");
    let finalize = Request::post(draft.path("/finalize")).body(json!({ "tag": "v1" }).to_string());
    reasons(&repo, repo.client.send(&finalize), 403);
    let manifest = repo.client.get(repo.manifest("v1")).expect(200);
    let again = repo.put_manifest("v1", MANIFEST, &manifest.body).expect(201);
    assert_eq!(again.required("docker-content-digest"), reference);
    assert!(again.required("warning").contains("retention: class release-evidence until"), "{again}");
    let annotated = json!({ "annotations": { "dev.artifactstore.retention.class": "forever" } });
    let unknown = image(&[repo.push_layer(b"other")], annotated);
    repo.put_manifest("v2", MANIFEST, &unknown).refused(400, "MANIFEST_INVALID");
}

#[test]
fn a_held_draft_and_a_held_repository_lose_nothing() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let client = &repo.client;
    let pack = Pack::create(&repo, &json!({}));
    pack.ingest("x", b"one");
    let key = repo.path("_artifactstore/objects/k");
    client.send(&Request::put(&key).body("one")).expect(201);
    let blob = repo.push_blob(b"unnamed");
    repo.put_manifest("v1", MANIFEST, &other(&repo)).expect(201);
    place(&repo, &legal(None)).expect(201);
    for (answer, status) in [
        (client.delete(pack.path("")), 405),
        (client.delete(pack.path("/files/x")), 405),
        (client.send(&pack.put("x?replace=true", b"two")), 403),
        (client.delete(&key), 405),
        (client.send(&Request::put(&key).body("two")), 403),
        (client.delete(repo.blob(&blob)), 405),
        (client.delete(repo.manifest("v1")), 405),
    ] {
        let found = reasons(&repo, answer, status);
        assert_eq!((&found[0]["kind"], &found[0]["by"]), (&json!("hold"), &Value::Null));
    }
    assert_eq!(client.get(&key).expect(200).body, b"one");
}

#[test]
fn a_retention_is_shown_extended_and_explained() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "team/results");
    let client = &repo.client;
    let (pack, reference) = package(&repo, "transient", b"one", "v1");
    let show = |reference: &str| {
        let target = repo.path(format!("_artifactstore/retention?reference={reference}"));
        shaped(&client.get(target).expect(200), "Retention")
    };
    let before = show("v1");
    for name in [&*reference, &*pack.id] {
        assert_eq!(show(name)["target"], before["target"]);
    }
    assert_eq!((&before["class"], &before["is_eligible"]), (&json!("transient"), &json!(false)));
    assert_eq!(before["retain_until"], pack.read()["expires_at"]);
    let asked = json!({ "reference": "v1", "until": "2199-01-31T00:00:00+01:00", "reason": "audit" });
    let extended = shaped(&extend(&repo, &asked).expect(200), "Retention");
    assert_eq!(extended["retain_until"], "2199-01-30T23:00:00.000000Z");
    assert_eq!(pack.read()["expires_at"], extended["retain_until"]);
    let raised = json!({ "reference": pack.id, "class": "release-evidence", "reason": "a release" });
    let raised = shaped(&extend(&repo, &raised).expect(200), "Retention");
    assert_eq!((&raised["mode"], &raised["retain_until"]), (&json!("compliance"), &extended["retain_until"]));
    let for_ever = json!({ "reference": "v1", "until": "forever", "reason": "history" });
    assert_eq!(shaped(&extend(&repo, &for_ever).expect(200), "Retention")["retain_until"], Value::Null);
    let target = repo.path("_artifactstore/explain?reference=v1");
    let explained = shaped(&client.get(target).expect(200), "Explanation");
    assert_eq!((&explained["packages"], &explained["tags"]), (&json!([pack.id]), &json!(["v1"])));
    let whole = shaped(&client.get(repo.path("_artifactstore/explain")).expect(200), "Explanation");
    assert_eq!(whole["target"], Value::Null);
}

#[test]
fn what_waits_for_an_event_was_told_it_stays_for_ever_and_did_not() {
    let class = "strict-case period=P1D mode=compliance start=event";
    let server = Launch::new().env("ARTIFACTSTORE_RETENTION_CLASSES", class).start();
    let repo = Repo::new(&server.client(), "a");
    let (pack, _) = package(&repo, "strict-case", b"one", "v1");
    let show = || {
        let target = repo.path("_artifactstore/retention?reference=v1");
        shaped(&repo.client.get(target).expect(200), "Retention")
    };
    let extend =
        |until: &str| extend(&repo, &json!({ "reference": "v1", "until": until, "reason": "audit" }));
    extend("2199-01-01T00:00:00Z").expect(200);
    assert_eq!(show()["retain_at_least"], "2199-01-01T00:00:00.000000Z");
    let for_ever = shaped(&extend("forever").expect(200), "Retention");
    assert_eq!(
        (&for_ever["retain_at_least"], &for_ever["waits_for_event"]),
        (&json!("forever"), &json!(true))
    );
    extend("2040-01-01T00:00:00Z").refused(409, "DENIED");
    let event = json!({ "reference": "v1", "kind": "event", "matter": "case 7", "reason": "it goes on" });
    let hold = place(&repo, &event).expect(201).json()["id"].as_str().unwrap().to_owned();
    let release = repo.path(format!("_artifactstore/holds/{hold}?reason=over"));
    repo.client.send(&Request::delete(release)).expect(200);
    let begun = show();
    assert_ne!(begun["retain_from"], Value::Null);
    assert_eq!((&begun["retain_until"], &begun["retain_at_least"]), (&Value::Null, &Value::Null));
    assert_eq!(pack.read()["expires_at"], Value::Null);
}

#[test]
fn a_retention_is_shortened_with_a_header_in_governance_only() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    package(&repo, "raw-evidence", b"one", "v1");
    package(&repo, "release-evidence", b"two", "v2");
    let shorten = |reference: &str, bypass: bool| {
        let body = json!({ "reference": reference, "until": "2001-01-01T00:00:00Z", "reason": "a mistake" });
        let request = Request::post(repo.path("_artifactstore/retention/shorten")).body(body.to_string());
        let header = "artifactstore-bypass-governance-retention";
        repo.client.send(&if bypass { request.header(header, "true") } else { request })
    };
    shorten("v1", false).refused(403, "DENIED");
    shorten("v2", true).refused(409, "DENIED");
    let shortened = shaped(&shorten("v1", true).expect(200), "Retention");
    assert_eq!((&shortened["is_eligible"], &shortened["is_deletable"]), (&json!(true), &json!(false)));
    let kept = reasons(&repo, repo.client.delete(repo.manifest("v1")), 405);
    assert_eq!(kept[0]["kind"], "disposition");
}

#[test]
fn what_makes_no_hold_and_no_extension_is_refused_with_the_rule() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    package(&repo, "raw-evidence", b"one", "v1");
    let asked = |field: &str, value: Value| {
        let mut body = legal(Some("v1"));
        body[field] = value;
        place(&repo, &body)
    };
    for (field, value, word) in [
        ("reason", json!(""), "reason: give a text"),
        ("matter", json!("a\u{0}b"), "matter: give a text"),
        ("matter", json!("x".repeat(129)), "1 to 128 bytes"),
        ("kind", json!("moral"), "legal or event"),
        ("reference", json!("a b"), "a tag, a digest or the id"),
        ("reference", Value::Null, "null, expected a string"),
        ("matter", json!("7\u{202e}1"), "matter: give a text"),
        ("colour", json!("red"), "colour"),
    ] {
        let refused = asked(field, value).refused(400, "MANIFEST_INVALID");
        let message = refused.json()["errors"][0]["message"].to_string();
        assert!(message.contains(word), "{field}: {message}");
    }
    asked("reference", json!("v9")).refused(404, "MANIFEST_UNKNOWN");
    let mut on_all = legal(None);
    on_all["kind"] = json!("event");
    place(&repo, &on_all).refused(400, "MANIFEST_INVALID");
    for (body, status) in [
        (json!({ "reference": "v1", "until": "2001-01-01T00:00:00Z", "reason": "x" }), 409),
        (json!({ "reference": "v1", "class": "transient", "reason": "x" }), 409),
        (json!({ "reference": "v1", "class": "forever", "reason": "x" }), 400),
        (json!({ "reference": "v1", "until": "tomorrow", "reason": "x" }), 400),
        (json!({ "reference": "v1", "until": "2999-01-01T00:00:00Z", "reason": "x" }), 400),
        (json!({ "reference": "v1", "until": "forever", "class": "transient", "reason": "x" }), 400),
        (json!({ "reference": "v1", "reason": "x" }), 400),
        (json!({ "reference": "v1", "until": "forever" }), 400),
        (json!({ "reference": "v9", "until": "forever", "reason": "x" }), 404),
    ] {
        extend(&repo, &body).expect(status);
    }
    let hold = "_artifactstore/holds/hold_01arz3ndektsv4rrffq69g5fav";
    repo.client.get(repo.path(hold)).refused(404, "MANIFEST_UNKNOWN");
    repo.client.delete(repo.path(format!("{hold}?reason=x"))).refused(404, "MANIFEST_UNKNOWN");
    repo.client.delete(repo.path("_artifactstore/holds/x?reason=x")).refused(404, "MANIFEST_UNKNOWN");
    repo.client.get(repo.path("_artifactstore/explain?reference=a%20b")).refused(400, "MANIFEST_INVALID");
    Repo::new(&repo.client, "b").client.get("/v2/b/_artifactstore/holds").refused(404, "NAME_UNKNOWN");
    assert_eq!(
        shaped(&repo.client.get(repo.path("_artifactstore/holds")).expect(200), "Holds")["holds"],
        json!([])
    );
}

#[test]
fn holds_are_listed_page_by_page() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    package(&repo, "raw-evidence", b"one", "v1");
    let mut placed: Vec<String> = (0..5)
        .map(|_| place(&repo, &legal(Some("v1"))).expect(201).json()["id"].as_str().unwrap().to_owned())
        .collect();
    placed.sort();
    let (mut next, mut found) = (Some(repo.path("_artifactstore/holds?n=2")), Vec::new());
    while let Some(target) = next {
        let page = repo.client.get(target).expect(200);
        let holds = shaped(&page, "Holds");
        found.extend(
            holds["holds"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()),
        );
        next = page.next_page();
    }
    assert_eq!(found, placed);
}

#[test]
fn an_explanation_tells_where_the_bytes_are() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let (pack, _) = package(&repo, "raw-evidence", b"one", "v1");
    let image = other(&repo);
    repo.put_manifest("v2", MANIFEST, &image).expect(201);
    let explain = |reference: &str| {
        let target = repo.path(format!("_artifactstore/explain?reference={reference}"));
        shaped(&repo.client.get(target).expect(200), "Explanation")
    };
    let found = explain("v1");
    assert_eq!((found["stored"].as_array().unwrap().len(), &found["stored_more"]), (2, &json!(false)));
    let digest = crate::support::sha256(b"one");
    let one =
        found["stored"].as_array().unwrap().iter().find(|blob| blob["sha256"] == digest).unwrap().clone();
    let file = &shaped(&pack.get("/files").expect(200), "Files")["files"][0];
    assert_eq!((&one["location"], &one["size"]), (&file["location"], &json!(3)));
    assert_eq!(explain("v2")["stored"].as_array().unwrap().len(), 2, "a config and a layer");
    let whole = shaped(&repo.client.get(repo.path("_artifactstore/explain")).expect(200), "Explanation");
    assert_eq!(whole["stored"], json!([]));
}

/// The answer told that it is no draft, without reasons, and nothing was on record.
#[test]
fn what_is_finalized_and_retained_was_refused_without_its_reasons() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let client = &repo.client;
    let (pack, _) = package(&repo, "release-evidence", b"one", "v1");
    for (answer, status) in [
        (client.delete(pack.path("")), 405),
        (client.delete(pack.path("/files/x")), 405),
        (client.send(&pack.put("x?replace=true", b"two")), 403),
    ] {
        assert_eq!(reasons(&repo, answer, status)[0]["class"], "release-evidence");
    }
}

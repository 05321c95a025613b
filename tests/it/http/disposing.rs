//! Dispositions over HTTP: what is eligible, the workflow, what is left of it, and what is refused.

use serde_json::{Value, json};

use super::packages::{Pack, shaped};
use super::retention::{extend, legal, package, place, reasons};
use crate::support::{Launch, Repo, Request, Response, Server};

/// Ends the retention of something in governance mode.
fn end(repo: &Repo, reference: &str) {
    let body = json!({ "reference": reference, "until": "2001-01-01T00:00:00Z", "reason": "a mistake" });
    let shorten = Request::post(repo.path("_artifactstore/retention/shorten")).body(body.to_string());
    repo.client.send(&shorten.header("artifactstore-bypass-governance-retention", "true")).expect(200);
}

#[test]
fn what_was_disposed_of_is_gone_for_ever_and_said_to_be() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "team/results");
    let client = &repo.client;
    let (pack, reference) = package(&repo, "transient", b"one", "v1");
    let dispositions = repo.path("_artifactstore/disposition");
    let propose = |reference: &str, reason: &str| {
        let body = json!({ "reference": reference, "reason": reason });
        client.send(&Request::post(&dispositions).body(body.to_string()))
    };
    let kept = reasons(&repo, propose("v1", "it is over"), 405);
    assert_eq!(kept[0]["kind"], "retention");
    propose("v9", "x").refused(404, "MANIFEST_UNKNOWN");
    let shorten = json!({ "reference": "v1", "until": "2001-01-01T00:00:00Z", "reason": "a mistake" });
    let shorten = Request::post(repo.path("_artifactstore/retention/shorten")).body(shorten.to_string());
    client.send(&shorten.header("artifactstore-bypass-governance-retention", "true")).expect(200);
    let over = |query: &str| {
        let target = repo.path(format!("_artifactstore/retention/over{query}"));
        let page = client.get(target).expect(200);
        (shaped(&page, "Retentions")["retentions"].as_array().unwrap().clone(), page.next_page())
    };
    let (found, next) = over("?n=1");
    assert_eq!((&found[0]["target"], &found[0]["is_eligible"]), (&json!(pack.id), &json!(true)));
    let rest = client.get(next.unwrap()).expect(200);
    assert_eq!(shaped(&rest, "Retentions")["retentions"], json!([]));
    client.get(repo.path("_artifactstore/retention/over?last=x")).refused(400, "UNSUPPORTED");
    propose("v1", "").refused(400, "MANIFEST_INVALID");
    let proposed = propose(&pack.id, "it is over").expect(201);
    let disposition = shaped(&proposed, "Disposition");
    assert_eq!((&disposition["status"], &disposition["target"]), (&json!("approved"), &json!(pack.id)));
    propose("v1", "again").refused(409, "DENIED");
    // What is not understood does not dispose of anything.
    let execute = format!("{}/execute", proposed.location());
    for body in [r#"{"dry_run":true}"#, "no json", r#"{"revision":"1"}"#] {
        client.send(&Request::post(&execute).body(body.to_owned())).refused(400, "MANIFEST_INVALID");
    }
    client.post(format!("{execute}?dry_run=true")).refused(400, "UNSUPPORTED");
    client.send(&Request::post(&execute).body(r#"{"revision":1}"#.to_owned())).refused(409, "DENIED");
    client.post(&execute).expect(200);
    client.post(&execute).refused(409, "DENIED");
    let gone = client.get(repo.manifest(&reference)).refused(410, "MANIFEST_UNKNOWN");
    let tombstone = gone.json()["errors"][0]["detail"]["tombstone"].as_str().unwrap().to_owned();
    assert_eq!(tombstone, proposed.location());
    let left = shaped(&client.get(tombstone).expect(200), "Disposition");
    assert_eq!((&left["status"], &left["ended_by"]), (&json!("executed"), &json!("anonymous")));
    let package = shaped(&client.get(pack.path("")).expect(200), "Package");
    assert_eq!((&package["status"], &package["files"]), (&json!("deleted"), &json!([])));
    let certificate = format!("{}/certificate", proposed.location());
    assert_eq!(
        (&package["tombstone"], &package["certificate"]),
        (&json!(proposed.location()), &json!(certificate))
    );
    let file = client.get(pack.path("/files/x")).refused(410, "MANIFEST_UNKNOWN");
    assert_eq!(file.json()["errors"][0]["detail"]["tombstone"], proposed.location());
    let explain = repo.path(format!("_artifactstore/explain?reference={}", pack.id));
    let explained = shaped(&client.get(explain).expect(200), "Explanation");
    assert_eq!(
        (&explained["is_deletable"], &explained["dispositions"][0]["id"]),
        (&json!(false), &left["id"])
    );
    assert!(repo.tags().is_empty());
    let listed = client.get(format!("{dispositions}?status=executed")).expect(200);
    assert_eq!(shaped(&listed, "Dispositions")["dispositions"].as_array().unwrap().len(), 1);
    client.get(format!("{dispositions}?status=done")).expect(400);
}

#[test]
fn nobody_approves_what_he_proposed() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    package(&repo, "raw-evidence", b"one", "v1");
    let body = json!({ "reference": "v1", "until": "2001-01-01T00:00:00Z", "reason": "a mistake" });
    let shorten = Request::post(repo.path("_artifactstore/retention/shorten")).body(body.to_string());
    repo.client.send(&shorten.header("artifactstore-bypass-governance-retention", "true")).expect(200);
    let body = json!({ "reference": "v1", "reason": "it is over" }).to_string();
    let proposed = repo.client.send(&Request::post(repo.path("_artifactstore/disposition")).body(body));
    let at = proposed.expect(201).location();
    repo.client.post(format!("{at}/approve")).refused(403, "DENIED");
    repo.client.post(format!("{at}/execute")).refused(409, "DENIED");
    repo.client.post(format!("{at}/reject")).refused(400, "MANIFEST_INVALID");
    let reject = Request::post(format!("{at}/reject")).body(json!({ "reason": "not yet" }).to_string());
    assert_eq!(shaped(&repo.client.send(&reject).expect(200), "Disposition")["status"], "rejected");
    repo.client.send(&reject).refused(409, "DENIED");
    let unknown = repo.path("_artifactstore/disposition/disp_01arz3ndektsv4rrffq69g5fav");
    repo.client.get(&unknown).refused(404, "MANIFEST_UNKNOWN");
    repo.client.post(format!("{unknown}/approve")).refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn what_was_disposed_of_has_a_certificate() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "team/results");
    let client = &repo.client;
    let (pack, reference) = package(&repo, "transient", b"shared", "v1");
    let (other, _) = package(&repo, "raw-evidence", b"shared", "v2");
    other.read();
    end(&repo, &pack.id);
    let body = json!({ "reference": "v1", "reason": "it is over" }).to_string();
    let proposed =
        client.send(&Request::post(repo.path("_artifactstore/disposition")).body(body)).expect(201);
    let certificate = format!("{}/certificate", proposed.location());
    let early = client.get(&certificate).refused(409, "DENIED");
    assert_eq!(early.json()["errors"][0]["detail"]["status"], "approved");
    let done = client.post(format!("{}/execute", proposed.location())).expect(200);
    assert_eq!(shaped(&done, "Disposition")["certificate"], certificate);
    let gone = client.get(repo.manifest(&reference)).refused(410, "MANIFEST_UNKNOWN");
    assert_eq!(gone.json()["errors"][0]["detail"]["certificate"], certificate);
    let found = client.get(&certificate).expect(200);
    let document = shaped(&found, "Certificate");
    assert_eq!((&document["status"], &document["target"]), (&json!("interim"), &json!(pack.id)));
    let kept = document["blobs"].as_array().unwrap().iter().find(|blob| blob["outcome"] == "kept").unwrap();
    assert_eq!(kept["sha256"], crate::support::sha256(b"shared"));
    assert_eq!(kept["because"][0], json!({ "kind": "package", "id": other.id }));
    let etag = found.required("etag").to_owned();
    client.send(&Request::get(&certificate).header("if-none-match", &etag)).expect(304);
    client.post(&certificate).expect(405);
    let unknown = repo.path("_artifactstore/disposition/disp_01arz3ndektsv4rrffq69g5fav/certificate");
    client.get(unknown).refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn a_certificate_is_final_when_everything_was_collected_and_the_same_after_a_replay() {
    let launch = Launch::new().env("ARTIFACTSTORE_GC_ENABLED", "false");
    let launch = launch.env("ARTIFACTSTORE_GC_GRACE", "0s").env("ARTIFACTSTORE_GC_QUARANTINE", "0s");
    let mut server = launch.start();
    let client = server.client();
    let repo = Repo::new(&client, "a");
    package(&repo, "transient", b"one", "v1");
    end(&repo, "v1");
    let body = json!({ "reference": "v1", "reason": "it is over" }).to_string();
    let proposed =
        client.send(&Request::post(repo.path("_artifactstore/disposition")).body(body)).expect(201);
    client.post(format!("{}/execute", proposed.location())).expect(200);
    // Each run sees what is older than itself.
    let certificate = format!("{}/certificate", proposed.location());
    let mut document = Value::Null;
    for _ in 0..10 {
        client.post("/v2/_artifactstore/gc").expect(200);
        document = shaped(&client.get(&certificate).expect(200), "Certificate");
        if document["status"] == "final" {
            break;
        }
    }
    assert_eq!(document["status"], "final", "{document}");
    assert_eq!(document["summary"].as_object().unwrap().keys().collect::<Vec<_>>(), ["purged"]);
    let issued = client.get(&certificate).expect(200);
    assert!(issued.required("cache-control").contains("immutable"), "{issued}");
    server.stop();
    server.run(&["replay"]).expect(0);
    let server = server.restart();
    let again = server.client().get(&certificate).expect(200);
    assert_eq!(again.body, issued.body);
    assert_eq!(again.required("etag"), issued.required("etag"));
}

#[test]
fn what_is_eligible_is_listed_with_its_reasons_and_stays() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "team/results");
    let client = &repo.client;
    let packs: Vec<Pack> = [b"one", b"two", b"six", b"ten"]
        .into_iter()
        .enumerate()
        .map(|(n, file)| package(&repo, ["transient", "raw-evidence"][n % 2], file, &format!("v{n}")).0)
        .collect();
    let list = |query: &str| {
        let page = client.get(repo.path(format!("_artifactstore/packages?eligible=true{query}"))).expect(200);
        (shaped(&page, "Packages")["packages"].as_array().unwrap().clone(), page.next_page())
    };
    assert_eq!(list(""), (vec![], None));
    for pack in &packs[..3] {
        end(&repo, &pack.id);
    }
    place(&repo, &legal(Some(&packs[1].id))).expect(201);
    let (found, next) = list("");
    assert_eq!(next, None);
    let ids =
        |found: &[Value]| found.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let mut expected = vec![packs[0].id.clone(), packs[2].id.clone()];
    expected.sort();
    assert_eq!(ids(&found), expected, "held and running ones are none");
    let eligibility = &found[0]["eligibility"];
    assert_eq!((&eligibility["is_eligible"], &eligibility["is_deletable"]), (&json!(true), &json!(false)));
    assert_eq!(eligibility["reasons"][0]["kind"], "disposition");
    assert_eq!(eligibility["target"], found[0]["id"]);
    // Page by page; a page of what is held alone is empty and goes on.
    let (mut paged, mut next) =
        (Vec::new(), Some(repo.path("_artifactstore/packages?eligible=true&n=1&class=transient")));
    let mut count = 0;
    while let Some(target) = next {
        let page = client.get(target).expect(200);
        paged.extend(ids(shaped(&page, "Packages")["packages"].as_array().unwrap()));
        next = page.next_page();
        count += 1;
    }
    assert_eq!((paged, count), (expected.clone(), 4));
    assert_eq!(ids(&list("&class=raw-evidence").0), [""; 0]);
    assert_eq!(
        ids(&list(&format!("&reference={}", packs[2].read()["reference"].as_str().unwrap())).0),
        [packs[2].id.clone()]
    );
    let all = client.get(repo.path("_artifactstore/packages?eligible=false")).expect(200);
    assert_eq!(shaped(&all, "Packages")["packages"].as_array().unwrap().len(), 4);
    for pack in &packs {
        assert_eq!(pack.read()["status"], "finalized", "nothing was done about it");
    }
    Repo::new(client, "b")
        .client
        .get("/v2/b/_artifactstore/packages?eligible=true")
        .refused(404, "NAME_UNKNOWN");
}

/// The refusals on record, as what was tried on what.
fn denials(repo: &Repo, pack: &Pack) -> Vec<(String, String)> {
    let events = repo.client.get(pack.path("/events?since=0")).expect(200);
    let events = shaped(&events, "Events");
    let denied = events["events"].as_array().unwrap().iter().filter(|it| it["type"] == "v1.retention.denied");
    let text = |it: &Value, field: &str| it["payload"][field].as_str().unwrap().to_owned();
    denied.map(|it| (text(it, "action"), text(it, "subject"))).collect()
}

#[test]
fn what_weakens_a_protection_and_is_refused_names_the_rule_and_is_on_record() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let client = &repo.client;
    let (pack, _) = package(&repo, "raw-evidence", b"one", "v1");
    let (immutable, _) = package(&repo, "release-evidence", b"two", "v2");
    let refused = |answer: Response, status: u16, word: &str| {
        let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(word), "{message}");
        assert!(answer.json()["errors"][0]["detail"]["action"].is_string(), "{answer}");
        reasons(&repo, answer, status)[0].clone()
    };
    let shorten = |id: &str, bypass: &str| {
        let body = json!({ "reference": id, "until": "2001-01-01T00:00:00Z", "reason": "a mistake" });
        let request = Request::post(repo.path("_artifactstore/retention/shorten")).body(body.to_string());
        client.send(&request.header("artifactstore-bypass-governance-retention", bypass))
    };
    let earlier = json!({ "reference": pack.id, "until": "2001-01-01T00:00:00Z", "reason": "x" });
    let present = refused(extend(&repo, &earlier), 409, "only ever extended");
    assert_eq!(present["until"], pack.read()["expires_at"], "it says how long it lasts already");
    let weaker = json!({ "reference": immutable.id, "class": "raw-evidence", "reason": "x" });
    refused(extend(&repo, &weaker), 409, "raw-evidence");
    refused(shorten(&pack.id, "false"), 403, "bypass governance");
    refused(shorten(&immutable.id, "true"), 409, "compliance mode");
    let of_first = denials(&repo, &pack);
    let tried = |action: &str, id: &str| (action.to_owned(), id.to_owned());
    assert_eq!(of_first, [tried("retention.extend", &pack.id), tried("retention.shorten", &pack.id)]);
    let of_second = denials(&repo, &immutable);
    assert_eq!(
        of_second,
        [tried("retention.extend", &immutable.id), tried("retention.shorten", &immutable.id)]
    );

    end(&repo, &pack.id);
    let body = json!({ "reference": pack.id, "reason": "it is over" }).to_string();
    let proposed =
        client.send(&Request::post(repo.path("_artifactstore/disposition")).body(body)).expect(201);
    let revision = shaped(&proposed, "Disposition")["revision"].as_i64().unwrap();
    let step = |verb: &str, body: Value| {
        client.send(&Request::post(format!("{}/{verb}", proposed.location())).body(body.to_string()))
    };
    refused(step("approve", json!({})), 403, "by others than the one who proposed");
    refused(step("execute", json!({})), 409, "needs 1 more approvals");
    let of_first = denials(&repo, &pack);
    let expected = [tried("disposition.approve", &pack.id), tried("disposition.execute", &pack.id)];
    assert_eq!(of_first[2..], expected);
    refused(step("approve", json!({ "revision": revision - 1 })), 403, "by others");
    assert_eq!(denials(&repo, &pack).len(), 4, "the same again is counted");
}

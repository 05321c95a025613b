//! The audit and the history of tags over HTTP. Every page is held against the `OpenAPI` document.

use serde_json::{Value, json};

use super::packages::shaped;
use super::retention::{legal, package, place};
use crate::support::{Client, INDEX, MANIFEST, Repo, Request, Response, Server, image, sha256, until};

const AUDIT: &str = "/v2/_artifactstore/audit";

/// All entries of a question, page by page.
#[track_caller]
fn audited(client: &Client, target: &str, limit: usize) -> Vec<Value> {
    let mark = if target.contains('?') { '&' } else { '?' };
    let (mut entries, mut since) = (Vec::new(), 0);
    loop {
        let page = client.get(format!("{target}{mark}since={since}&limit={limit}")).expect(200);
        let page = shaped(&page, "Audit");
        assert_eq!(page["next_since"], page["scanned_to"]);
        entries.extend(page["entries"].as_array().unwrap().iter().cloned());
        let next = page["next_since"].as_i64().unwrap();
        if next >= page["head"].as_i64().unwrap() {
            return entries;
        }
        assert!(next > since, "{page}");
        since = next;
    }
}

/// Waits until it is written where everything came from: that is beside the answers.
#[track_caller]
fn settle(client: &Client) {
    until("every origin is written", || {
        audited(client, AUDIT, 1000).iter().all(|entry| entry["from"].is_object()).then_some(())
    });
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

fn accept(client: &Client, target: &str, media_type: &str) -> Response {
    client.send(&Request::get(target).header("Accept", media_type))
}

/// A repository in which something was held, and an attempt refused.
fn refused_once(server: &Server) -> (Repo, String) {
    let repo = Repo::new(&server.client(), "team/results");
    let (pack, _) = package(&repo, "raw-evidence", b"one", "v1");
    let mut body = legal(Some("v1"));
    body["reason"] = "=HYPERLINK(\"http://evil.example\", \"the court asked\")".into();
    place(&repo, &body).expect(201);
    let delete = Request::delete(repo.manifest("v1")).header("User-Agent", "crane/0.20 (linux)");
    repo.client.send(&delete.header("X-Request-Id", "r-17")).expect(405);
    repo.client.delete(repo.manifest("v1")).expect(405);
    (repo, pack.id)
}

#[test]
fn the_audit_says_who_did_what_and_what_was_refused() {
    let server = Server::start();
    let (repo, package) = refused_once(&server);
    let client = &repo.client;
    let other = Repo::new(client, "other");
    other.push_artifact("v1");
    settle(client);
    let all = audited(client, AUDIT, 1000);
    assert_eq!(audited(client, AUDIT, 1), all);
    assert_eq!(audited(client, AUDIT, 4), all);
    let here = repo.path("_artifactstore/audit");
    let told = audited(client, &here, 1000);
    assert!(told.len() < all.len() && told.iter().all(|entry| entry["repository"] == "team/results"));
    assert_eq!(audited(client, &format!("{AUDIT}?repository=team/results"), 7), told);
    let refused = audited(client, &format!("{here}?decision=refused"), 1000);
    assert_eq!(actions(&refused), ["tag.delete"], "the second attempt is counted: {refused:?}");
    let entry = &refused[0];
    assert_eq!(
        (&entry["reference"], &entry["attempts"], &entry["package"], &entry["actor"]),
        (&json!("v1"), &json!(1), &json!(package), &json!("anonymous"))
    );
    assert!(entry["reason"].as_str().unwrap().contains("hold"), "{entry}");
    let expected = json!({
        "via": "http", "address": "127.0.0.1", "client": "crane/0.20 (linux)", "request_id": "r-17",
    });
    assert_eq!(entry["from"], expected);
    let of_package = audited(client, &format!("{AUDIT}?package={package}"), 3);
    assert_eq!(audited(client, &format!("{here}?reference={package}"), 1000), of_package);
    for action in ["package.create", "file.ingest", "package.finalize", "retention.resolve", "hold.place"] {
        assert!(actions(&of_package).contains(&action), "{action}: {of_package:?}");
    }
    let moves = audited(client, &format!("{AUDIT}?action=tag.move"), 1000);
    assert_eq!(moves.iter().map(|entry| &entry["reference"]).collect::<Vec<_>>(), ["v1", "v1"]);
    let of_tag = audited(client, &format!("{here}?reference=v1"), 1000);
    assert_eq!(actions(&of_tag), ["tag.move", "tag.delete"]);
    assert_eq!(audited(client, &format!("{AUDIT}?actor=nobody"), 1000), [Value::Null; 0]);
    let at = |entry: &Value| entry["at"].as_str().unwrap().replace('+', "%2B");
    let (first, last) = (at(&all[0]), at(all.last().unwrap()));
    let between = audited(client, &format!("{AUDIT}?from={first}&until={last}"), 1000);
    assert!(!between.is_empty() && between.len() < all.len());
    assert!(between.iter().all(|entry| entry["at"] != all.last().unwrap()["at"]));
    client.head(AUDIT).expect(200);
    client.post(AUDIT).refused(405, "UNSUPPORTED").with("allow", "GET, HEAD");
}

#[test]
fn an_export_has_every_entry_once_in_lines_or_as_a_table() {
    let server = Server::start();
    let (repo, _) = refused_once(&server);
    let client = &repo.client;
    let told = audited(client, AUDIT, 1000);
    let sequences =
        |entries: &[Value]| -> Vec<Value> { entries.iter().map(|entry| entry["sequence"].clone()).collect() };
    let answer = accept(client, AUDIT, "application/x-ndjson").expect(200).without("content-length");
    let answer = answer.with("content-type", "application/x-ndjson");
    let text = String::from_utf8(answer.body).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(sequences(&lines), sequences(&told));
    let few = accept(client, &format!("{AUDIT}?limit=3&since=2"), "application/x-ndjson").expect(200);
    assert_eq!(String::from_utf8(few.body).unwrap().lines().count(), 3);
    let answer = accept(client, AUDIT, "text/csv").expect(200);
    answer.clone().with("content-type", "text/csv; charset=utf-8; header=present");
    let text = String::from_utf8(answer.body).unwrap();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert!(lines[0].starts_with("sequence,at,actor,action,decision,repository,"), "{}", lines[0]);
    assert_eq!(lines.len(), told.len() + 1);
    let numbers: Vec<&str> = lines[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(numbers, sequences(&told).iter().map(Value::to_string).collect::<Vec<_>>());
    let hold = lines.iter().find(|line| line.contains("hold.place")).unwrap();
    let guarded = "\"'=HYPERLINK(\"\"http://evil.example\"\", \"\"the court asked\"\")\"";
    assert!(hold.contains(guarded), "a cell is no formula: {hold}");
    // Nothing is there: a table has its header all the same.
    let none = accept(client, &format!("{AUDIT}?actor=nobody"), "text/csv").expect(200);
    assert_eq!(String::from_utf8(none.body).unwrap().lines().count(), 1);
    let none = accept(client, &format!("{AUDIT}?actor=nobody"), "application/x-ndjson").expect(200);
    assert_eq!(none.body, b"");
    // What is wrong is said with a status, and not in a stream.
    accept(client, &format!("{AUDIT}?since=999999"), "text/csv").expect(409);
    accept(client, "/v2/nowhere/_artifactstore/audit", "text/csv").refused(404, "NAME_UNKNOWN");
}

#[test]
fn a_malformed_question_is_refused_with_its_parameter() {
    let server = Server::start();
    let (repo, package) = refused_once(&server);
    let here = repo.path("_artifactstore/audit");
    for (query, words) in [
        ("actro=x", "actro"),
        ("repository=other", "repository"),
        ("n=10", "no query parameter \\\"n\\\""),
        ("since=-1", "since"),
        ("limit=0", "limit"),
        ("actor=", "actor"),
        ("actor=a&actor=b", "actor: it is there more than once"),
        ("action=tag.moved", "did you mean tag.move?"),
        ("action=everything", "manifest.delete"),
        ("package=v1", "package"),
        ("reference=", "reference"),
        ("reference=sha256:1", "reference"),
        (&format!("package={package}&reference=v1"), "reference: it is given beside package"),
        ("decision=denied", "decision"),
        ("from=yesterday", "from"),
        ("until=2026-01-31", "until"),
    ] {
        let answer = repo.client.get(format!("{here}?{query}")).refused(400, "UNSUPPORTED");
        assert!(String::from_utf8_lossy(&answer.body).contains(words), "{query}: {answer}");
    }
    let anywhere = repo.client.get(format!("{AUDIT}?reference=v1")).refused(400, "UNSUPPORTED");
    assert!(String::from_utf8_lossy(&anywhere.body).contains("reference: "), "{anywhere}");
    repo.client
        .get(format!("{here}?package=pkg_01arz3ndektsv4rrffq69g5fav"))
        .refused(404, "MANIFEST_UNKNOWN");
    repo.client.get(format!("{here}?since=999999")).expect(409);
    repo.client.get("/v2/nowhere/_artifactstore/audit").refused(404, "NAME_UNKNOWN");
}

/// The events of an index of a history, with the digests.
#[track_caller]
fn history(answer: &Response) -> Vec<(String, String)> {
    let index = answer.json();
    assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(INDEX)));
    let entry = |it: &Value| {
        let of = |name: &str| it["annotations"][name].as_str().unwrap().to_owned();
        assert!(it["mediaType"] == MANIFEST && it["size"].as_u64().unwrap() > 0, "{it}");
        assert!(of("org.opencontainers.distribution.tag.timestamp").ends_with('Z'));
        (of("org.opencontainers.distribution.tag.event"), it["digest"].as_str().unwrap().to_owned())
    };
    index["manifests"].as_array().unwrap().iter().map(entry).collect()
}

#[test]
fn a_tag_has_a_history_that_outlives_it_and_what_it_named() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "team/results");
    let client = &repo.client;
    repo.push_empty_config();
    let push = |text: &str| {
        let manifest = image(&[repo.push_layer(text.as_bytes())], json!({}));
        repo.put_manifest("v1", MANIFEST, &manifest).expect(201);
        sha256(&manifest)
    };
    let (one, two) = (push("one"), push("two"));
    client.delete(repo.manifest("v1")).expect(202);
    let again = push("one");
    assert_eq!(one, again);
    client.delete(repo.manifest(&one)).expect(202);
    let of = |event: &str, digest: &str| (event.to_owned(), digest.to_owned());
    let expected = [
        of("deleted", &one),
        of("created", &one),
        of("deleted", &two),
        of("created", &two),
        of("created", &one),
    ];
    let path = repo.path("_oci/tag-history/v1");
    let answer = client.get(&path).expect(200).with("content-type", INDEX).without("link");
    assert_eq!(history(&answer), expected);
    for n in [1, 2, 4] {
        let (mut found, mut next) = (Vec::new(), Some(format!("{path}?n={n}")));
        while let Some(target) = next {
            let page = client.get(target).expect(200);
            assert!(history(&page).len() <= n);
            found.extend(history(&page));
            next = page.next_page();
        }
        assert_eq!(found, expected, "by {n}");
    }
    let stamp = answer.json()["manifests"][2]["annotations"]["org.opencontainers.distribution.tag.timestamp"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(history(&client.get(format!("{path}?before={stamp}")).expect(200)), expected[3..]);
    assert_eq!(history(&client.get(format!("{path}?since={stamp}")).expect(200)), expected[..2]);
    assert_eq!(history(&client.get(format!("{path}?digest={two}")).expect(200)), expected[2..4]);
    let none = client.get(format!("{path}?n=0")).expect(200).without("link");
    assert_eq!(history(&none), []);
    for never in [repo.path("_oci/tag-history/v9"), "/v2/nowhere/_oci/tag-history/v1".to_owned()] {
        assert_eq!(history(&client.get(never).expect(200)), []);
    }
    for query in ["n=-1", "n=", "before=yesterday", "since=", "digest=x", "last=0", "n=1&n=2"] {
        client.get(format!("{path}?{query}")).expect(400);
    }
    client.get(repo.path("_oci/tag-history/-bad")).refused(400, "MANIFEST_INVALID");
    client.post(&path).refused(405, "UNSUPPORTED");
    let known = client.get("/v2/_oci/ext/discover").expect(200).json();
    assert_eq!(known["extensions"][0]["endpoints"], json!(["_oci/ext/discover", "_oci/tag-history"]));
}

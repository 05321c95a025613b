//! Packages over the extension API. Every JSON answer is held against the `OpenAPI` document.

use std::sync::LazyLock;

use artifactstore::codec::jcs;
use artifactstore::package::mapping::{self, BlobRef};
use artifactstore::package::{ContentManifest, Description, File, Object};
use serde_json::{Value, json};

use crate::support::{Client, MANIFEST, Repo, Request, Response, Server, blake3, noise, sha256};

/// `docs/openapi.json`
pub(super) static OPENAPI: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../docs/openapi.json")).expect("the document is JSON")
});

/// The JSON of an answer, which has the shape of this name in the document.
#[track_caller]
pub(super) fn shaped(answer: &Response, shape: &str) -> Value {
    let schema =
        json!({ "$ref": format!("#/components/schemas/{shape}"), "components": OPENAPI["components"] });
    let validator = jsonschema::validator_for(&schema).expect("the document has this shape");
    let value = answer.json();
    if let Err(error) = validator.validate(&value) {
        panic!("no {shape}: {error} at {}: {answer}", error.instance_path());
    }
    value
}

/// One package of a repository.
pub(super) struct Pack {
    pub(super) repo: Repo,
    pub(super) id: String,
}

impl Pack {
    #[track_caller]
    pub(super) fn create(repo: &Repo, body: &Value) -> Self {
        let request = Request::post(repo.path("_artifactstore/packages")).body(body.to_string());
        let answer = repo.client.send(&request).expect(201);
        let id = shaped(&answer, "Package")["id"].as_str().unwrap().to_owned();
        let pack = Self { repo: repo.clone(), id };
        assert_eq!(answer.location(), pack.path(""));
        pack
    }

    /// `R/packages/<id><rest>`
    pub(super) fn path(&self, rest: &str) -> String {
        self.repo.path(format!("_artifactstore/packages/{}{rest}", self.id))
    }

    pub(super) fn put(&self, path: &str, bytes: &[u8]) -> Request {
        Request::put(self.path(&format!("/files/{path}"))).body(bytes)
    }

    #[track_caller]
    pub(super) fn ingest(&self, path: &str, bytes: &[u8]) -> Value {
        shaped(&self.repo.client.send(&self.put(path, bytes)).expect(201), "File")
    }

    #[track_caller]
    pub(super) fn get(&self, rest: &str) -> Response {
        self.repo.client.get(self.path(rest))
    }

    #[track_caller]
    pub(super) fn read(&self) -> Value {
        shaped(&self.get("").expect(200), "Package")
    }

    #[track_caller]
    pub(super) fn finalize(&self, body: &Value) -> Value {
        let request = Request::post(self.path("/finalize")).body(body.to_string());
        shaped(&self.repo.client.send(&request).expect(200), "Package")
    }
}

/// The field of every entry of a list.
fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|entry| entry[field].as_str().unwrap()).collect()
}

/// Follows the links of a list and returns what its entries have in a field, page by page.
#[track_caller]
fn walk(client: &Client, first: &str, shape: &str, list: &str, field: &str) -> Vec<Vec<String>> {
    let (mut next, mut pages) = (first.to_owned(), Vec::new());
    loop {
        let page = client.get(&next).expect(200);
        let found = shaped(&page, shape);
        pages.push(each(&found[list], field).into_iter().map(str::to_owned).collect());
        let Some(link) = page.next_page() else { return pages };
        next = link;
    }
}

#[test]
fn a_draft_gathers_files_and_becomes_a_package() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "team/results");
    let client = &repo.client;
    let asked = json!({
        "kind": "test-run", "retention_class": "summary-evidence",
        "metadata": { "run": { "id": "r-1" }, "n": [1, null, "ä"] }, "provenance": { "commit": "abc" },
    });
    let pack = Pack::create(&repo, &asked);
    let draft = pack.read();
    for field in ["kind", "retention_class", "metadata", "provenance"] {
        assert_eq!(draft[field], asked[field]);
    }
    assert_eq!(draft["status"], "created");
    assert_eq!(draft["repository"], "team/results");

    let log = noise(1, 300_000);
    let put = pack.put("logs/run%201.txt?role=log", &log).header("Content-Type", "Text/Plain; charset=utf-8");
    let answer = client.send(&put).expect(201).with("location", &pack.path("/files/logs/run%201.txt"));
    let file = shaped(&answer, "File");
    assert_eq!(file["path"], "logs/run 1.txt");
    assert_eq!(file["media_type"], "Text/Plain");
    assert_eq!((&file["size"], &file["role"]), (&json!(300_000), &json!("log")));
    assert_eq!((&file["sha256"], &file["content_address"]), (&json!(sha256(&log)), &json!(blake3(&log))));
    // Empty, of a guessed type, with the same bytes as another, not ASCII, chunked, of a claimed digest.
    assert_eq!(pack.ingest("scores.json", b"")["media_type"], "application/json");
    pack.ingest("copy/%C3%A4.bin", &log);
    let claimed = format!("d.bin?digest={}", blake3(b"claimed"));
    assert_eq!(pack.ingest(&claimed, b"claimed")["media_type"], "application/octet-stream");
    let chunked = Request::put(pack.path("/files/e.txt")).header("Content-Type", UNSAID).chunked("chunked");
    assert_eq!(shaped(&client.send(&chunked).expect(201), "File")["media_type"], "text/plain");
    // Replaced, dropped, mounted.
    pack.ingest("d.bin?replace=true", b"replaced");
    client.delete(pack.path("/files/e.txt")).expect(204);
    pack.get("/files/e.txt").refused(404, "BLOB_UNKNOWN");
    let blob = repo.push_blob(b"pushed before");
    let mount = Request::put(pack.path(&format!("/files/m.txt?mount={blob}")));
    assert_eq!(shaped(&client.send(&mount).expect(201), "File")["sha256"], blob);

    let draft = pack.read();
    assert_eq!((&draft["status"], &draft["file_count"]), (&json!("uploading"), &json!(5)));
    let paths = ["copy/ä.bin", "d.bin", "logs/run 1.txt", "m.txt", "scores.json"];
    assert_eq!(each(&draft["files"], "path"), paths);
    assert_eq!(draft["size"], 2 * 300_000 + 8 + 13);
    pack.get("/files/d.bin").expect(200).with("cache-control", "private, no-cache");

    let package = pack.finalize(&json!({ "tag": "v1" }));
    assert_eq!(package["status"], "finalized");
    assert_eq!(each(&package["files"], "path"), paths);
    assert_eq!(package, pack.read());
    assert_eq!(package, shaped(&client.get(format!("/v2/_artifactstore/packages/{}", pack.id)), "Package"));
    // The same again is the same, and nothing else can be done to it.
    assert_eq!(pack.finalize(&json!({ "tag": "v1" })), package);
    client.send(&pack.put("new.txt", b"x")).refused(409, "DENIED");
    client.delete(pack.path("/files/d.bin")).refused(405, "DENIED");
    client.delete(pack.path("")).refused(405, "DENIED");

    let reference = package["reference"].as_str().unwrap();
    let manifest = client.get(repo.manifest("v1")).expect(200).with("docker-content-digest", reference);
    assert_eq!(manifest.json()["layers"].as_array().unwrap().len(), 6);
    for (path, bytes) in [("logs/run%201.txt", &log[..]), ("d.bin", b"replaced"), ("scores.json", b"")] {
        let file = pack.get(&format!("/files/{path}")).expect(200);
        assert!(file.body == bytes, "{path}");
        file.with("docker-content-digest", &sha256(bytes)).with("content-security-policy", "sandbox");
    }
}

const UNSAID: &str = "application/x-www-form-urlencoded";

#[test]
fn files_come_in_parallel_and_one_path_is_given_once() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let pack = Pack::create(&repo, &json!({}));
    let won: usize = std::thread::scope(|scope| {
        let client = |n: u8| {
            let pack = &pack;
            move || {
                for file in 0..8 {
                    pack.ingest(&format!("{n}/{file}"), &[n, file]);
                }
                let contested = pack.repo.client.send(&pack.put("contested", &[n]));
                if contested.status == 201 { 1 } else { contested.refused(409, "DENIED").codes().len() - 1 }
            }
        };
        let clients: Vec<_> = (0..6).map(|n| scope.spawn(client(n))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(won, 1);
    let package = pack.finalize(&json!({}));
    assert_eq!(package["file_count"], 49);
    for file in package["files"].as_array().unwrap() {
        let path = file["path"].as_str().unwrap();
        let bytes = pack.get(&format!("/files/{path}")).expect(200).body;
        assert_eq!(sha256(&bytes), file["sha256"].as_str().unwrap(), "{path}");
    }
}

#[test]
fn a_file_is_served_as_a_blob_is() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let pack = Pack::create(&repo, &json!({}));
    let bytes = noise(2, 100_000);
    pack.ingest("page.html", &bytes);
    pack.finalize(&json!({}));
    let path = pack.path("/files/page.html");
    let etag = format!("\"{}\"", sha256(&bytes));
    let immutable = "private, max-age=31536000, immutable";
    let whole = repo.client.get(&path).expect(200).with("etag", &etag).with("cache-control", immutable);
    assert!(whole.with("content-type", "text/html").body == bytes);
    let head = repo.client.head(&path).expect(200).with("content-length", "100000");
    head.with("content-type", "text/html").with("accept-ranges", "bytes");
    let ranged = |range: &str| repo.client.send(&Request::get(&path).header("Range", range));
    let part = ranged("bytes=5-9").expect(206).with("content-range", "bytes 5-9/100000");
    assert_eq!(part.with("content-type", "text/html").body, bytes[5..10]);
    assert_eq!(ranged("bytes=-7").expect(206).body, bytes[99_993..]);
    let several = ranged("bytes=0-0,9-9").expect(206);
    assert!(String::from_utf8_lossy(&several.body).contains("Content-Type: text/html"), "{several}");
    ranged("bytes=100000-").refused(416, "SIZE_INVALID").with("content-range", "bytes */100000");
    let known = repo.client.send(&Request::get(&path).header("If-None-Match", &etag)).expect(304);
    known.with("etag", &etag);
}

#[test]
fn a_manifest_is_cbor_or_its_projection() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let pack = Pack::create(&repo, &json!({ "metadata": { "b": 1, "a": "ä" } }));
    pack.ingest("a.txt", b"a");
    pack.get("/manifest").refused(409, "DENIED");
    let package = pack.finalize(&json!({}));
    let digest = package["manifest_digest"].as_str().unwrap();
    let asked = |accept: &str| {
        repo.client.send(&Request::get(pack.path("/manifest")).header("Accept", accept)).expect(200)
    };
    let types =
        ["application/vnd.artifactstore.manifest.v1+cbor", "application/vnd.artifactstore.manifest.v1+json"];
    let cbor = asked("application/cbor").with("content-type", types[0]).with("vary", "Accept");
    let cbor = cbor.with("docker-content-digest", digest).with("etag", &format!("\"{digest}\"")).body;
    assert_eq!(blake3(&cbor), digest);
    let json = pack.get("/manifest").expect(200).with("content-type", types[1]);
    let json = json.with("etag", &format!("W/\"{digest}\"")).without("docker-content-digest");
    assert_eq!(json.body, jcs::from_cbor(&cbor).unwrap());
    assert_eq!(jcs::to_cbor(&json.body).unwrap(), cbor);
    assert_eq!(json.json()["package"]["id"], pack.id);
    assert_eq!(asked("text/html").body, json.body);
    for etag in [format!("\"{digest}\""), format!("W/\"{digest}\"")] {
        let request = Request::get(pack.path("/manifest")).header("If-None-Match", etag);
        repo.client.send(&request).expect(304);
    }
}

#[test]
fn what_happened_to_a_package_can_be_read() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let pack = Pack::create(&repo, &json!({ "kind": "k" }));
    pack.ingest("a.txt", b"a");
    // Of another package, in between.
    Pack::create(&repo, &json!({})).ingest("b.txt", b"b");
    pack.ingest("a.txt?replace=true", b"b");
    pack.ingest("c.txt", b"c");
    repo.client.delete(pack.path("/files/c.txt")).expect(204);
    pack.finalize(&json!({}));
    let page = shaped(&pack.get("/events").expect(200), "Events");
    let expected = [
        "package.created",
        "package.file_ingested",
        "package.file_replaced",
        "package.file_ingested",
        "package.file_dropped",
        "package.finalized",
        "retention.resolved",
    ];
    let expected = expected.map(|name| format!("v1.{name}"));
    assert_eq!(each(&page["events"], "type"), expected);
    assert!(each(&page["events"], "subject").iter().all(|subject| *subject == pack.id), "{page}");
    assert_eq!(page["scanned_to"], page["head"]);
    let manifest = pack.get("/manifest").expect(200).json();
    assert_eq!(page["events"][5]["payload"], manifest);
    assert_eq!(page["events"][0]["payload"]["description"]["kind"], "k");

    let (mut since, mut found) = (0, Vec::new());
    while found.len() < expected.len() {
        let page = pack.get(&format!("/events?since={since}&limit=4")).expect(200);
        let page = shaped(&page, "Events");
        found.extend(page["events"].as_array().unwrap().clone());
        assert!(page["next_since"].as_i64() > Some(since), "{page}");
        since = page["next_since"].as_i64().unwrap();
    }
    assert_eq!(Value::from(found), page["events"]);
    let rest = shaped(&pack.get(&format!("/events?since={since}")).expect(200), "Events");
    assert_eq!((&rest["events"], &rest["next_since"]), (&json!([]), &json!(since)));
}

#[test]
fn packages_are_listed_in_pages_and_by_what_they_are() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "many");
    let list = repo.path("_artifactstore/packages");
    repo.client.get(&list).refused(404, "NAME_UNKNOWN");
    let mut ids: Vec<String> = (0..7)
        .map(|n| {
            let kind = if n % 2 == 0 { "even" } else { "odd" };
            let class = if n == 6 { "transient" } else { "raw-evidence" };
            let pack = Pack::create(&repo, &json!({ "kind": kind, "retention_class": class }));
            if n < 3 {
                pack.ingest("a.txt", format!("{n}").as_bytes());
            }
            if n < 2 {
                pack.finalize(&json!({}));
            }
            pack.id
        })
        .collect();
    let of =
        |query: &str| walk(&repo.client, &format!("{list}?{query}"), "Packages", "packages", "id").concat();
    assert_eq!(of("status=finalized").len(), 2);
    assert_eq!(of("status=finalized&kind=odd"), [ids[1].clone()]);
    assert_eq!(of("status=uploading"), [ids[2].clone()]);
    assert_eq!(of("status=created&kind=even&n=1"), [ids[4].clone(), ids[6].clone()]);
    assert_eq!(of("class=transient"), [ids[6].clone()]);
    assert_eq!(of("class=none"), [""; 0]);
    let package = repo.client.get(format!("{list}/{}", ids[0])).json();
    let reference = package["reference"].as_str().unwrap();
    assert_eq!(of(&format!("reference={reference}")), [ids[0].clone()]);
    let first = shaped(&repo.client.get(format!("{list}?n=1")).expect(200), "Packages");
    assert_eq!(first["packages"][0].get("files"), None);
    ids.sort();
    for n in [1, 3, 7, 8] {
        let pages = walk(&repo.client, &format!("{list}?n={n}"), "Packages", "packages", "id");
        assert_eq!(pages.len(), 7_usize.div_ceil(n), "n={n}");
        assert_eq!(pages.concat(), ids, "n={n}");
    }
    repo.client.get(format!("{list}?n=0")).expect(200).without("link");
}

/// Pushed as `artifactstore package push` does: blobs, then the OCI manifest.
#[test]
fn a_package_with_many_files_is_read_in_pages() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "many/files");
    repo.push_blob(b"same");
    let parsed = |digest: String| digest.parse().unwrap();
    let files = (0..1003).map(|n| File {
        path: format!("f/{n:04}").parse().unwrap(),
        media_type: "text/plain".to_owned(),
        size: 4,
        content_address: parsed(blake3(b"same")),
        sha256: parsed(sha256(b"same")),
        role: None,
    });
    let description = Description { kind: Some("bulk".to_owned()), ..Description::default() };
    let content = ContentManifest::new(description, files.collect(), Object::default()).unwrap();
    let cbor = content.encode().unwrap();
    repo.push_blob(&cbor);
    let composed = mapping::compose(&content, &BlobRef::of(&cbor));
    let pushed = repo.put_manifest("v1", MANIFEST, &composed.manifest).expect(201);
    let id = pushed.required("artifactstore-package").to_owned();
    let again = repo.put_manifest("v1", MANIFEST, &composed.manifest).expect(201);
    again.with("artifactstore-package", &id);
    let (_, ordinary) = repo.push_artifact("ordinary");
    repo.put_manifest("ordinary", MANIFEST, &ordinary).expect(201).without("artifactstore-package");

    let pack = Pack { repo, id };
    let package = pack.read();
    assert_eq!((&package["file_count"], &package["kind"]), (&json!(1003), &json!("bulk")));
    assert_eq!(package["files"].as_array().unwrap().len(), 1000);
    let next = package["files_next"].as_str().unwrap();
    let rest = shaped(&pack.repo.client.get(next).expect(200), "Files");
    assert_eq!(each(&rest["files"], "path"), ["f/1000", "f/1001", "f/1002"]);
    let pages = walk(&pack.repo.client, &pack.path("/files?n=400"), "Files", "files", "path");
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [400, 400, 203]);
    assert!(pages.concat().is_sorted());
    let (found, location) = (&package["files"][7], &package["files"][7]["location"]);
    assert_eq!(found["path"], "f/0007");
    assert_eq!(location["retrieval_tier"], "online");
    assert_eq!(pack.get("/files/f/0007").expect(200).body, b"same");
}

#[test]
fn a_draft_that_is_given_up_stays_as_a_record() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let pack = Pack::create(&repo, &json!({}));
    pack.ingest("a.txt", b"a");
    repo.client.delete(pack.path("")).expect(204);
    repo.client.delete(pack.path("")).expect(204);
    let failed = pack.read();
    assert_eq!((&failed["status"], &failed["failure"]), (&json!("failed"), &json!("aborted")));
    assert_eq!((&failed["files"], &failed["expires_at"]), (&json!([]), &Value::Null));
    repo.client.send(&pack.put("a.txt", b"a")).refused(409, "DENIED");
}

#[test]
fn schemas_and_classes_hold_for_every_repository() {
    let server = Server::start();
    let client = server.client();
    let put = |name: &str, schema: &str| {
        client.send(&Request::put(format!("/v2/_artifactstore/schemas/{name}")).body(schema))
    };
    let schema = r#"{ "type": "object", "required": ["run"] }"#;
    let answer = put("run", schema).expect(201).with("location", "/v2/_artifactstore/schemas/run");
    assert_eq!(shaped(&answer, "Schema")["digest"], blake3(schema.as_bytes()));
    assert_eq!(shaped(&put("run", schema).expect(201), "Schema"), answer.json());
    put("a-b.c_1", "true").expect(201);
    let found = client.get("/v2/_artifactstore/schemas/run").expect(200);
    let etag = found.required("etag").to_owned();
    assert_eq!(found.with("content-type", "application/schema+json").body, schema.as_bytes());
    let known = Request::get("/v2/_artifactstore/schemas/run").header("If-None-Match", etag);
    client.send(&known).expect(304);
    client.get("/v2/_artifactstore/schemas/none").refused(404, "MANIFEST_UNKNOWN");
    let pages = walk(&client, "/v2/_artifactstore/schemas?n=1", "Schemas", "schemas", "name");
    assert_eq!(pages, [["a-b.c_1"], ["run"]]);

    let repo = Repo::new(&client, "a");
    let good = json!({ "schema": "run", "metadata": { "run": 1 } });
    assert_eq!(Pack::create(&repo, &good).read()["schema"], "run");

    let classes = shaped(&client.get("/v2/_artifactstore/retention/classes").expect(200), "Classes");
    let names = ["transient", "raw-evidence", "summary-evidence", "release-evidence", "permanent-record"];
    assert_eq!(each(&classes["classes"], "name"), names);
    assert_eq!(classes["default"], "raw-evidence");
    let raw = json!({
        "name": names[1], "mode": "governance", "period": "P180D", "start": "finalized", "approvals": 1,
        "cooling_off": 86_400, "auto_dispose_after": "P7D",
    });
    assert_eq!(classes["classes"][1], raw, "everything a class demands");
    assert_eq!(classes["classes"][4]["auto_dispose_after"], Value::Null);
    assert_eq!(classes["classes"][4]["period"], Value::Null);
}

#[test]
fn the_extension_says_what_it_has() {
    let server = Server::start();
    let client = server.client();
    let document = client.get("/v2/_artifactstore/openapi.json").expect(200).json();
    assert!(document == *OPENAPI, "the server gives another document than docs/openapi.json");
    for path in ["/v2/_oci/ext/discover", "/v2/a/b/_oci/ext/discover"] {
        let found = client.get(path).expect(200).json();
        let ours = found["extensions"].as_array().unwrap().iter().find(|e| e["name"] == "_artifactstore");
        let endpoints: Vec<&str> =
            ours.unwrap()["endpoints"].as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
        assert!(endpoints.contains(&"_artifactstore/packages/{id}/files/{path}"), "{found}");
        let documented = |endpoint: &str| {
            let paths = OPENAPI["paths"].as_object().unwrap();
            paths.keys().any(|path| path.ends_with(&format!("/{endpoint}")))
        };
        assert!(endpoints.iter().all(|endpoint| documented(endpoint)), "{found}");
    }
}

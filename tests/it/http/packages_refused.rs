//! What the extension API refuses: with status, code and words that name what was wrong, and without a trace.

use serde_json::{Value, json};

use super::packages::{Pack, shaped};
use crate::support::{Client, Repo, Request, Server, sha256};

/// A request that is wrong, and how it is told so; words are separated by `|`.
pub(super) type Case = (Request, u16, &'static str, &'static str);

/// The number of the newest event.
#[track_caller]
fn recorded(client: &Client) -> Value {
    client.get("/health").expect(200).json()["sequence"].clone()
}

/// Sends every request; nothing is recorded of any.
#[track_caller]
pub(super) fn refused_without_a_trace(client: &Client, cases: Vec<Case>) {
    let before = recorded(client);
    for (request, status, code, words) in cases {
        let answer = client.send(&request);
        assert_eq!(answer.status, status, "{request}: {answer}");
        assert_eq!(answer.codes(), [code], "{request}: {answer}");
        let message = shaped(&answer, "Errors")["errors"][0]["message"].as_str().unwrap().to_owned();
        for word in words.split('|') {
            assert!(message.contains(word), "{request}: {message:?} does not say {word:?}");
        }
        if status == 405 {
            assert!(!answer.required("allow").contains(&request.method), "{request}: {answer}");
        }
        assert_eq!(recorded(client), before, "{request} left something behind");
    }
}

#[test]
fn a_file_that_cannot_be_one_leaves_the_draft_as_it_was() {
    let server = Server::start();
    let client = server.client();
    let repo = Repo::new(&client, "a/b");
    let pack = Pack::create(&repo, &json!({}));
    pack.ingest("logs/a.txt", b"a");
    pack.ingest("b", b"b");
    let before = pack.read();
    let put = |path: &str| pack.put(path, b"new bytes");
    let long = format!("{}/x", "d".repeat(1023));
    let wrong = format!("new.txt?digest={}", sha256(b"other bytes"));
    let held = |path: &str| format!("{path}?mount={}", sha256(b"b"));
    let unheld = format!("new.txt?mount={}", sha256(b"never pushed"));
    let other = Repo::new(&client, "other").path(format!("_artifactstore/packages/{}/files/x", pack.id));
    let unknown = repo.path("_artifactstore/packages/pkg_01arz3ndektsv4rrffq69g5fav/files/x");
    let malformed = repo.path(format!("_artifactstore/packages/{}/files/x", pack.id.to_uppercase()));
    let with_type = |media_type: &str| put("new.txt").header("Content-Type", media_type);
    refused_without_a_trace(
        &client,
        vec![
            // In the way of another
            (put("b"), 409, "DENIED", "b already|replace"),
            (put("b/c"), 409, "DENIED", "b would be a file|b/c"),
            (put("logs"), 409, "DENIED", "logs would be a file|logs/a.txt"),
            (put(&held("b")), 409, "DENIED", "b already|replace"),
            (put(&held("b/c")), 409, "DENIED", "b would be a file|b/c"),
            (put(&held("logs")), 409, "DENIED", "logs would be a file|logs/a.txt"),
            // Out of the package
            (put("../x"), 400, "MANIFEST_INVALID", "\"../x\"|\"..\""),
            (put("%2e%2e/x"), 400, "MANIFEST_INVALID", "\"../x\"|\"..\""),
            (put("a/%2E%2E/%2e./x"), 400, "MANIFEST_INVALID", "\"a/../../x\""),
            (put("..%2fx"), 400, "MANIFEST_INVALID", "\"../x\"|slash"),
            (put("a%2Fb"), 400, "MANIFEST_INVALID", "\"a/b\"|slash"),
            (put("/etc/passwd"), 400, "MANIFEST_INVALID", "\"/etc/passwd\"|absolute"),
            (put(""), 400, "MANIFEST_INVALID", "0"),
            (put("a//b"), 400, "MANIFEST_INVALID", "\"a//b\""),
            (put("a/"), 400, "MANIFEST_INVALID", "\"a/\""),
            (put("./a"), 400, "MANIFEST_INVALID", "\"./a\""),
            (put("a%5Cb"), 400, "MANIFEST_INVALID", "'\\\\'"),
            (put("a%00b"), 400, "MANIFEST_INVALID", "'\\0'"),
            (put("a%0d%0aX-Evil:1"), 400, "MANIFEST_INVALID", "'\\r'"),
            (put("e%CC%81"), 400, "MANIFEST_INVALID", "form C"),
            (put("%ff"), 400, "UNSUPPORTED", "%ff|UTF-8"),
            (put(".artifactstore/package.cbor"), 400, "MANIFEST_INVALID", ".artifactstore/"),
            (put(&long), 400, "MANIFEST_INVALID", "1024|1025"),
            // Not what it was said to be
            (put(&wrong), 400, "DIGEST_INVALID", "the content has digest"),
            (put("new.txt?digest=sha256:1"), 400, "DIGEST_INVALID", "1 characters"),
            (put("new.txt?digest="), 400, "DIGEST_INVALID", "parameter digest|\"\""),
            (put("new.txt?mount="), 400, "DIGEST_INVALID", "parameter mount|\"\""),
            (put("new.txt?replace"), 400, "UNSUPPORTED", "parameter replace"),
            (put("b?replace=false&replace=true"), 400, "UNSUPPORTED", "parameter replace|more than once"),
            (put("new.txt?role="), 400, "MANIFEST_INVALID", "role|\"\""),
            (put("new.txt?mount=x"), 400, "DIGEST_INVALID", "\"x\""),
            (put(&unheld), 404, "BLOB_UNKNOWN", "sha256:"),
            (put("new.txt?replace=maybe"), 400, "UNSUPPORTED", "replace|\"maybe\""),
            (put("new.txt?role=A%20B"), 400, "MANIFEST_INVALID", "role|\"A B\""),
            (with_type("text"), 400, "MANIFEST_INVALID", "new.txt|media_type"),
            // Nowhere
            (Request::put(other).body("x"), 404, "MANIFEST_UNKNOWN", "pkg_"),
            (Request::put(unknown).body("x"), 404, "MANIFEST_UNKNOWN", "pkg_01arz3ndektsv4rrffq69g5fav"),
            (Request::put(malformed).body("x"), 404, "MANIFEST_UNKNOWN", "lower case"),
            (Request::delete(pack.path("/files/none")), 404, "BLOB_UNKNOWN", "none"),
            (Request::get(pack.path("/files/none")), 404, "BLOB_UNKNOWN", "none"),
            (Request::post(pack.path("/files/x")), 405, "UNSUPPORTED", "GET, HEAD, PUT, DELETE"),
        ],
    );
    assert_eq!(pack.read(), before);
    assert_eq!(pack.get("/files/b").expect(200).body, b"b");
    client.head(repo.blob(&sha256(b"new bytes"))).expect(404);
    // And it still takes files.
    pack.ingest("new.txt", b"new bytes");
}

#[test]
fn a_body_that_breaks_off_makes_no_file() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let pack = Pack::create(&repo, &json!({}));
    let before = (pack.read(), recorded(&repo.client));
    let request = pack.put("a.txt", b"").header("Content-Length", "100");
    let mut connection = repo.client.connect();
    connection.write(request.head_bytes()).unwrap();
    connection.write("only this").unwrap();
    connection.finish_sending();
    let _ = connection.rest();
    assert_eq!((pack.read(), recorded(&repo.client)), before);
    pack.ingest("a.txt", b"whole");
}

#[test]
fn a_package_that_cannot_be_one_is_not_begun() {
    let server = Server::start();
    let client = server.client();
    let schema =
        json!({ "type": "object", "required": ["run"], "properties": { "n": { "type": "integer" } } });
    let register =
        |name: &str, schema: &str| Request::put(format!("/v2/_artifactstore/schemas/{name}")).body(schema);
    client.send(&register("run", &schema.to_string())).expect(201);
    let repo = Repo::new(&client, "a");
    let create = |body: &str| Request::post(repo.path("_artifactstore/packages")).body(body);
    let list = |query: &str| Request::get(repo.path(format!("_artifactstore/packages?{query}")));
    let schemas = |query: &str| Request::get(format!("/v2/_artifactstore/schemas?{query}"));
    let large = format!(r#"{{"metadata":{{"a":"{}"}}}}"#, "x".repeat(1 << 20));
    let heavy = json!({ "metadata": { "a": vec!["x".repeat(60_000); 5] } }).to_string();
    let blake = format!("reference=blake3:{}", "0".repeat(64));
    refused_without_a_trace(
        &client,
        vec![
            (create("{"), 400, "MANIFEST_INVALID", "EOF"),
            (create("[]"), 400, "MANIFEST_INVALID", "JSON object"),
            (create("{} x"), 400, "MANIFEST_INVALID", "trailing"),
            (create("\u{feff}{}"), 400, "MANIFEST_INVALID", "JSON object"),
            (create(r#"{"knid":"a"}"#), 400, "MANIFEST_INVALID", "knid|kind"),
            (create(r#"{"kind":"a","kind":"b"}"#), 400, "MANIFEST_INVALID", "/kind|duplicate"),
            (create(r#"{"kind":"A b"}"#), 400, "MANIFEST_INVALID", "kind|\"A b\""),
            (create(r#"{"kind":7}"#), 400, "MANIFEST_INVALID", "7|string"),
            (create(r#"{"retention_class":"forever"}"#), 400, "MANIFEST_INVALID", "\"forever\"|raw-evidence"),
            (create(r#"{"schema":"none"}"#), 400, "MANIFEST_INVALID", "\"none\"|register"),
            (
                create(r#"{"metadata":{"a":{"b":1,"b":2}}}"#),
                400,
                "MANIFEST_INVALID",
                "/metadata/a/b|duplicate",
            ),
            (create(r#"{"metadata":{"a":1.5}}"#), 400, "MANIFEST_INVALID", "/metadata/a|floating"),
            (create(&heavy), 400, "MANIFEST_INVALID", "metadata: more than 262144 bytes"),
            (create(&large), 413, "SIZE_INVALID", "1048576"),
            (Request::post("/v2/A/_artifactstore/packages"), 400, "NAME_INVALID", "\"A\""),
            (Request::post("/v2/_artifactstore/packages"), 404, "UNSUPPORTED", "nothing"),
            (Request::post("/v2/a/_artifactstore/schemas/x"), 404, "UNSUPPORTED", "nothing"),
            (Request::put(repo.path("_artifactstore/packages")), 405, "UNSUPPORTED", "GET, HEAD, POST"),
            (list("status=open"), 400, "UNSUPPORTED", "status|finalized"),
            (list("eligible=yes"), 400, "UNSUPPORTED", "parameter eligible|true or false"),
            (list("eligible=true&last=x"), 400, "UNSUPPORTED", "parameter last|the link"),
            (list("reference=x"), 400, "DIGEST_INVALID", "\"x\""),
            (list("reference="), 400, "DIGEST_INVALID", "parameter reference|\"\""),
            (list("status="), 400, "UNSUPPORTED", "parameter status"),
            (list("kind="), 400, "UNSUPPORTED", "parameter kind"),
            (list("class=A%20b"), 400, "UNSUPPORTED", "parameter class|\"A b\""),
            (list("last=a&last=b"), 400, "UNSUPPORTED", "parameter last|more than once"),
            (list("last=%ff"), 400, "UNSUPPORTED", "parameter last|UTF-8"),
            (schemas("n="), 400, "UNSUPPORTED", "parameter n|\"\""),
            (schemas("n=1&n=2"), 400, "UNSUPPORTED", "parameter n|more than once"),
            (schemas("n=%2B1"), 400, "UNSUPPORTED", "parameter n|\"+1\""),
            (list(&blake), 400, "UNSUPPORTED", "reference|sha256"),
            (list("n=many"), 400, "UNSUPPORTED", "parameter n"),
            (register("Run", "{}"), 400, "MANIFEST_INVALID", "schema|\"Run\""),
            (register("bad", "{"), 400, "MANIFEST_INVALID", "\"bad\"|JSON"),
            (register("bad", r#"{"type":"thing"}"#), 400, "MANIFEST_INVALID", "\"bad\"|/type"),
            (register("bad", r#"{"$ref":"http://127.0.0.1:1/x"}"#), 400, "MANIFEST_INVALID", "127.0.0.1"),
            (Request::delete("/v2/_artifactstore/schemas/run"), 405, "UNSUPPORTED", "GET, HEAD, PUT"),
        ],
    );
    client.get(repo.path("_artifactstore/packages")).refused(404, "NAME_UNKNOWN");
}

#[test]
fn a_draft_that_is_no_package_stays_a_draft() {
    let server = Server::start();
    let client = server.client();
    let schema = json!({ "required": ["run"], "properties": { "n": { "type": "integer" } } });
    let register = Request::put("/v2/_artifactstore/schemas/run").body(schema.to_string());
    client.send(&register).expect(201);
    let repo = Repo::new(&client, "a");
    let empty = Pack::create(&repo, &json!({}));
    let draft = Pack::create(&repo, &json!({ "schema": "run", "metadata": { "n": "x" } }));
    draft.ingest("a.txt", b"a");
    let before = draft.read();
    let finalize = |pack: &Pack, body: Value| Request::post(pack.path("/finalize")).body(body.to_string());
    let elsewhere = Pack { repo: Repo::new(&client, "b"), id: draft.id.clone() };
    let get = |path: &str| Request::get(draft.path(path));
    refused_without_a_trace(
        &client,
        vec![
            (finalize(&empty, json!({})), 400, "MANIFEST_INVALID", "at least one file"),
            (finalize(&draft, json!({})), 400, "MANIFEST_INVALID", "\"run\"|/n|integer"),
            (finalize(&draft, json!({ "metadata": {} })), 400, "MANIFEST_INVALID", "\"run\"|required"),
            (
                finalize(&draft, json!({ "retention_class": "x", "metadata": { "run": 1 } })),
                400,
                "MANIFEST_INVALID",
                "\"x\"|transient",
            ),
            (finalize(&draft, json!({ "tag": "-x" })), 400, "MANIFEST_INVALID", "tag|'-'"),
            (finalize(&draft, json!({ "tags": ["x"] })), 400, "MANIFEST_INVALID", "tags"),
            (finalize(&elsewhere, json!({})), 404, "MANIFEST_UNKNOWN", "pkg_"),
            (Request::delete(elsewhere.path("")), 404, "MANIFEST_UNKNOWN", "pkg_"),
            (Request::get(elsewhere.path("")), 404, "MANIFEST_UNKNOWN", "pkg_"),
            (Request::get(elsewhere.path("/files")), 404, "MANIFEST_UNKNOWN", "pkg_"),
            (Request::get(elsewhere.path("/files/a.txt")), 404, "MANIFEST_UNKNOWN", "pkg_"),
            (Request::get(elsewhere.path("/events")), 404, "MANIFEST_UNKNOWN", "pkg_"),
            (Request::get(elsewhere.path("/manifest")), 404, "MANIFEST_UNKNOWN", "pkg_"),
            (Request::get("/v2/_artifactstore/packages/pkg_x"), 404, "MANIFEST_UNKNOWN", "pkg_"),
            (get("/manifest"), 409, "DENIED", "uploading|finalized"),
            (get("/events?since=-1"), 400, "UNSUPPORTED", "since"),
            (get("/events?since=1.5"), 400, "UNSUPPORTED", "since"),
            (get("/events?since="), 400, "UNSUPPORTED", "parameter since"),
            (get("/events?since=9007199254740992"), 400, "UNSUPPORTED", "parameter since|9007199254740991"),
            (get("/events?limit=0"), 400, "UNSUPPORTED", "limit"),
            (get("/events?limit=1&limit=2"), 400, "UNSUPPORTED", "parameter limit|more than once"),
            (get("/files?n=x"), 400, "UNSUPPORTED", "parameter n"),
            (get("/nothing"), 404, "UNSUPPORTED", "nothing"),
            (Request::get(draft.path("/finalize")), 405, "UNSUPPORTED", "POST"),
            (Request::post(draft.path("/events")), 405, "UNSUPPORTED", "GET, HEAD"),
        ],
    );
    assert_eq!(draft.read(), before);
    repo.client.get(repo.path("tags/list")).expect(200);
    assert!(repo.tags().is_empty());
    let package = draft.finalize(&json!({ "metadata": { "run": 1 }, "tag": "v1" }));
    assert_eq!(package["metadata"], json!({ "run": 1 }));
    assert_eq!(repo.tags(), ["v1"]);
}

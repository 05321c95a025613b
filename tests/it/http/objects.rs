//! Keyed objects, as an application and as a stranger with a URL meet them.

use serde_json::{Value, json};

use super::packages::shaped;
use crate::support::{Launch, Repo, Request, Response, Server, blake3, is_production, noise, sha256, until};

/// `R/objects<rest>`
fn path(repo: &Repo, rest: &str) -> String {
    repo.path(format!("_artifactstore/objects{rest}"))
}

#[track_caller]
fn put(repo: &Repo, key: &str, bytes: &[u8]) -> Value {
    let answer = repo.client.send(&Request::put(path(repo, &format!("/{key}"))).body(bytes)).expect(201);
    shaped(&answer, "Object")
}

/// The bytes of an object, from the registry itself.
fn get(repo: &Repo, target: &str) -> Response {
    repo.client.send(&Request::get(target).header("X-Artifactstore-Redirect", "never"))
}

/// A URL of an object.
#[track_caller]
fn url(repo: &Repo, key: &str, seconds: u64) -> String {
    let answer = repo.client.post(path(repo, &format!("/{key}/url?expires_in={seconds}"))).expect(200);
    shaped(&answer.with("cache-control", "no-store"), "ObjectUrl")["url"].as_str().unwrap().to_owned()
}

#[test]
fn an_object_is_put_got_replaced_and_deleted() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "deals/a");
    let bytes = noise(1, 100_000);
    let memo = path(&repo, "/DEAL-001/documents/cim/investment%20memo.pdf");
    repo.client.get(&memo).refused(404, "BLOB_UNKNOWN");
    let answer = repo.client.send(&Request::put(&memo).body(&bytes[..])).expect(201);
    assert_eq!(answer.location(), memo);
    let object = shaped(&answer, "Object");
    assert_eq!(object["storage_key"], "DEAL-001/documents/cim/investment memo.pdf");
    assert_eq!(object["sha256"], sha256(&bytes));
    assert_eq!(object["content_address"], blake3(&bytes));
    assert_eq!((&object["size"], &object["mime_type"]), (&json!(100_000), &json!("application/pdf")));
    let (backend, scheme) = if is_production() { ("s3", "s3://") } else { ("local", "file:///") };
    assert_eq!(object["storage_backend"], backend);
    assert!(object["storage_uri"].as_str().unwrap().starts_with(scheme), "{object}");

    let etag = format!("\"{}\"", sha256(&bytes));
    let got = get(&repo, &memo).expect(200).with("etag", &etag).with("content-type", "application/pdf");
    assert!(got.with("content-security-policy", "sandbox").body == bytes);
    repo.client.head(&memo).expect(200).with("content-length", "100000").with("etag", &etag);
    repo.client.send(&Request::get(&memo).header("If-None-Match", &etag)).expect(304);
    let part = Request::get(&memo).header("Range", "bytes=-10").header("X-Artifactstore-Redirect", "never");
    assert!(repo.client.send(&part).expect(206).body == bytes[99_990..]);
    let beyond = Request::get(&memo).header("Range", "bytes=100000-");
    repo.client.send(&beyond).refused(416, "SIZE_INVALID");

    // The registry keeps what a key names.
    repo.client.delete(repo.blob(&sha256(&bytes))).refused(405, "DENIED");
    let other = Request::put(&memo).header("Content-Type", "text/plain; charset=utf-8").body(&b"other"[..]);
    assert_eq!(shaped(&repo.client.send(&other).expect(201), "Object")["mime_type"], "text/plain");
    assert_eq!(get(&repo, &memo).expect(200).with("content-type", "text/plain").body, b"other");
    repo.client.delete(repo.blob(&sha256(&bytes))).expect(202);
    repo.client.delete(&memo).expect(204);
    repo.client.delete(&memo).refused(404, "BLOB_UNKNOWN");
    repo.client.head(&memo).expect(404);
    server.run(&["replay", "--check"]).expect(0);
}

#[test]
fn a_key_is_put_right_or_refused_and_never_leads_elsewhere() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    for (spelling, key) in [
        ("x//y.txt", "x/y.txt"),
        ("./x/y.txt", "x/y.txt"),
        ("/x/y.txt/", "x/y.txt"),
        ("u%CC%88", "ü"),
        ("url", "url"),
    ] {
        assert_eq!(put(&repo, spelling, b"1")["storage_key"], key, "{spelling}");
    }
    for (spelling, word) in [
        ("..", "\"..\""),
        ("../../../etc/passwd", "\"..\""),
        ("x/../y", "\"..\""),
        ("x/%2e%2e/y", "\"..\""),
        ("x%2F..%2Fy", "encoded slash"),
        ("x%5Cy", "'\\\\'"),
        ("x%00", "'\\0'"),
        ("", "this one has 0"),
        (".artifactstore/x", "registry's own"),
    ] {
        let target = path(&repo, &format!("/{spelling}"));
        for method in ["PUT", "GET", "DELETE"] {
            let answer = repo.client.send(&Request::new(method, &target));
            assert_eq!(answer.status, 400, "{method} {spelling}: {answer}");
            let message = shaped(&answer, "Errors")["errors"][0]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(word), "{method} {spelling}: {message}");
        }
    }
    let found = shaped(&repo.client.get(path(&repo, "")).expect(200), "Objects");
    assert_eq!(found["objects"].as_array().unwrap().len(), 3, "{found}");
}

#[test]
fn what_is_wrong_with_a_put_leaves_the_object_as_it_was() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let before = put(&repo, "x", b"one");
    let target = path(&repo, "/x");
    let request = |query: &str| Request::put(format!("{target}{query}")).body(&b"two"[..]);
    let wrong = request(&format!("?digest={}", sha256(b"three")));
    repo.client.send(&wrong).refused(400, "DIGEST_INVALID");
    repo.client.send(&request("?digest=x")).refused(400, "DIGEST_INVALID");
    let twice = format!("?digest={0}&digest={0}", sha256(b"two"));
    for (query, code) in [("?digest=", "DIGEST_INVALID"), (&twice, "UNSUPPORTED")] {
        let refused = repo.client.send(&request(query)).refused(400, code).json();
        let message = refused["errors"][0]["message"].as_str().unwrap();
        assert!(message.starts_with("query parameter digest: "), "{message}");
    }
    repo.client.send(&request("").header("Content-Type", "nonsense")).refused(400, "UNSUPPORTED");
    repo.client.post(&target).refused(405, "UNSUPPORTED");
    let again = shaped(&repo.client.send(&Request::put(&target).body(&b"one"[..])).expect(201), "Object");
    assert_eq!(again, before, "and the same again changes nothing");
    let right = request(&format!("?digest={}", blake3(b"two")));
    repo.client.send(&right).expect(201).with("docker-content-digest", &sha256(b"two"));
}

#[test]
fn a_key_that_ends_in_url_is_a_key_to_all_methods_but_post() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    put(&repo, "x", b"of x");
    assert_eq!(put(&repo, "x/url", b"of x/url")["storage_key"], "x/url");
    let target = path(&repo, "/x/url");
    assert_eq!(get(&repo, &target).expect(200).body, b"of x/url");
    repo.client.head(&target).expect(200).with("content-length", "8");
    assert_eq!(get(&repo, &url(&repo, "x", 60)).expect(200).body, b"of x");
    assert_eq!(get(&repo, &url(&repo, "x/url", 60)).expect(200).body, b"of x/url");
    for (target, allowed) in [
        (&target[..], "GET, HEAD, PUT, DELETE, POST"),
        (&path(&repo, "/x"), "GET, HEAD, PUT, DELETE"),
        (&path(&repo, "/url"), "GET, HEAD, PUT, DELETE"),
    ] {
        for method in ["PATCH", "OPTIONS"] {
            let answer = repo.client.send(&Request::new(method, target));
            answer.refused(405, "UNSUPPORTED").with("allow", allowed);
        }
    }
    repo.client.post(path(&repo, "/url")).refused(405, "UNSUPPORTED");
    repo.client.delete(&target).expect(204);
    get(&repo, &target).refused(404, "BLOB_UNKNOWN");
    assert_eq!(get(&repo, &path(&repo, "/x")).expect(200).body, b"of x");
}

#[test]
fn keys_are_listed_by_prefix_level_and_page() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a/b");
    repo.client.get(path(&repo, "")).refused(404, "NAME_UNKNOWN");
    for key in ["d/1", "d/2", "d/e/3", "d/e/4", "f%20&", "g"] {
        put(&repo, key, key.as_bytes());
    }
    for (query, objects, prefixes) in [
        ("", &["d/1", "d/2", "d/e/3", "d/e/4", "f &", "g"][..], &[][..]),
        ("prefix=d/", &["d/1", "d/2", "d/e/3", "d/e/4"], &[]),
        ("recursive=false", &["f &", "g"], &["d/"]),
        ("prefix=d/&recursive=false", &["d/1", "d/2"], &["d/e/"]),
        ("prefix=x", &[], &[]),
    ] {
        for n in ["", "n=1", "n=2"] {
            let (mut keys, mut folders) = (Vec::new(), Vec::new());
            let mut next = Some(path(&repo, &format!("?{query}&{n}")));
            while let Some(page) = next {
                let answer = repo.client.get(page).expect(200);
                next = answer.next_page();
                let page = shaped(&answer, "Objects");
                let found =
                    page["objects"].as_array().unwrap().iter().map(|object| object["storage_key"].clone());
                keys.extend(found);
                folders.extend(page["prefixes"].as_array().unwrap().clone());
            }
            assert_eq!((json!(keys), json!(folders)), (json!(objects), json!(prefixes)), "{query} {n}");
        }
    }
    for query in ["recursive=1", "recursive=", "prefix=../", "prefix=a%5C", "prefix=a&prefix=b", "n=x", "n="]
    {
        repo.client.get(path(&repo, &format!("?{query}"))).refused(400, "UNSUPPORTED");
    }
}

#[test]
fn a_url_opens_one_object_for_reading_and_nothing_else() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a/b");
    for key in ["x/y", "x/z"] {
        put(&repo, key, b"evidence");
    }
    let url = url(&repo, "x/y", 600);
    assert!(url.starts_with(&format!("{}?expires=", path(&repo, "/x/y"))), "{url}");
    assert_eq!(get(&repo, &url).expect(200).body, b"evidence");
    repo.client.head(&url).expect(200).with("content-length", "8");
    for method in ["PUT", "DELETE"] {
        repo.client.send(&Request::new(method, &url)).refused(403, "DENIED");
    }
    repo.client.post(url.replace("/x/y?", "/x/y/url?")).refused(403, "DENIED");
    for method in ["POST", "PATCH", "OPTIONS"] {
        let answer = repo.client.send(&Request::new(method, &url));
        answer.refused(405, "UNSUPPORTED").with("allow", "GET, HEAD, PUT, DELETE");
    }
    let (target, query) = url.split_once('?').unwrap();
    let expires = query.split('&').next().unwrap();
    let last = if url.ends_with('0') { "1" } else { "0" };
    for forged in [
        format!("{}?{query}", path(&repo, "/x/z")),
        format!("{}?{query}", path(&repo, "/missing")),
        url.replace("/v2/a/b/", "/v2/a/"),
        url.replace(expires, "expires=9999999999"),
        format!("{}{last}", &url[..url.len() - 1]),
        format!("{target}?{expires}"),
        format!("{target}?signature="),
        url.replace("kid=", "kid=%00"),
    ] {
        get(&repo, &forged).refused(403, "DENIED");
    }
    put(&repo, "x/y", b"something else");
    get(&repo, &url).refused(403, "DENIED");
    put(&repo, "x/y", b"evidence");
    get(&repo, &url).expect(200);
    repo.client.delete(target).expect(204);
    get(&repo, &url).refused(403, "DENIED");
}

#[test]
fn a_url_ends() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    put(&repo, "x", b"evidence");
    let short = url(&repo, "x", 1);
    let ended = until("the URL has ended", || {
        let answer = get(&repo, &short);
        (answer.status == 403).then_some(answer)
    });
    let error = &ended.refused(403, "DENIED").json()["errors"][0];
    assert!(error["message"].as_str().unwrap().contains("ended at"), "{error}");
    assert!(error["detail"]["expired_at"].is_string(), "{error}");
    for seconds in ["0", "604801", "x", "-1", "18446744073709551615"] {
        let target = path(&repo, &format!("/x/url?expires_in={seconds}"));
        repo.client.post(target).refused(400, "UNSUPPORTED");
    }
    repo.client.post(path(&repo, "/missing/url")).refused(404, "BLOB_UNKNOWN");
}

#[test]
fn urls_outlive_the_key_that_signed_them_and_the_server() {
    let mut server = Launch::new().env("ARTIFACTSTORE_LOG_LEVEL", "debug").start();
    let repo = Repo::new(&server.client(), "a");
    put(&repo, "x", b"evidence");
    let before = url(&repo, "x", 3600);
    if !is_production() {
        server.run(&["keys", "rotate"]).refused(&["another artifactstore is using"]);
    }
    server.stop();
    let rotated = server.run(&["keys", "rotate", "--json"]).expect(0).json();
    let server = server.restart();
    let repo = Repo::new(&server.client(), "a");
    let after = url(&repo, "x", 3600);
    assert!(after.contains(&format!("kid={}&", rotated["key"].as_str().unwrap())), "{after} {rotated}");
    for url in [&before, &after] {
        assert_eq!(get(&repo, url).expect(200).body, b"evidence", "{url}");
    }
    assert_ne!(before, after);
    // A URL opens what it names for whoever reads the log.
    let log = server.log();
    assert!(log.contains("objects/x") && !log.contains("signature"), "{log}");
}

#[test]
fn a_condition_on_a_change_is_not_ignored() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let target = path(&repo, "/k");
    let [one, two] = [b"one", b"two"].map(|bytes| format!("\"{}\"", sha256(bytes)));
    let put = |bytes: &'static [u8], name: &str, value: &str| {
        repo.client.send(&Request::put(&target).header(name, value).body(bytes))
    };
    let delete = |name: &str, value: &str| repo.client.send(&Request::delete(&target).header(name, value));
    // Of a key that names nothing.
    put(b"one", "If-Match", "*").refused(412, "DENIED");
    put(b"one", "If-Match", &one).refused(412, "DENIED");
    delete("If-Match", &one).refused(412, "DENIED");
    repo.client.get(&target).refused(404, "BLOB_UNKNOWN");
    put(b"one", "If-None-Match", "*").expect(201).with("etag", &one);
    // Of one that names something.
    for (name, value) in
        [("If-None-Match", "*"), ("If-None-Match", &one), ("If-Match", &two), ("If-Match", "\"x\"")]
    {
        let refused = put(b"two", name, value).refused(412, "DENIED").json();
        assert_eq!(
            refused["errors"][0]["detail"],
            json!({ "key": "k", "sha256": sha256(b"one") }),
            "{name}: {value}"
        );
        delete(name, value).refused(412, "DENIED");
    }
    put(b"two", "If-Match", &format!("W/{one}")).refused(412, "DENIED");
    for name in ["If-Match", "If-None-Match"] {
        put(b"two", name, "").refused(412, "DENIED");
        delete(name, "").refused(412, "DENIED");
    }
    assert!(get(&repo, &target).expect(200).body == b"one");
    put(b"two", "If-Match", &format!("\"x\", {one}")).expect(201).with("etag", &two);
    put(b"one", "If-None-Match", &one).expect(201);
    delete("If-Match", &one).expect(204);
    delete("If-None-Match", "*").refused(404, "BLOB_UNKNOWN");
}

#[test]
fn of_many_that_create_one_key_at_once_one_does() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let target = path(&repo, "/once");
    let bodies: Vec<Vec<u8>> = (0..12).map(|n| noise(n, 50_000)).collect();
    let barrier = std::sync::Barrier::new(bodies.len());
    let created: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = bodies
            .iter()
            .map(|body| {
                let (repo, target, barrier) = (&repo, &target, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let request = Request::put(target).header("If-None-Match", "*").body(&body[..]);
                    let answer = repo.client.send(&request);
                    if answer.status == 412 { None } else { Some(shaped(&answer.expect(201), "Object")) }
                })
            })
            .collect();
        let won = all.into_iter().filter_map(|one| one.join().unwrap());
        won.map(|object| object["sha256"].as_str().unwrap().to_owned()).collect()
    });
    let [created] = &created[..] else { panic!("{created:?}") };
    assert_eq!(sha256(&get(&repo, &target).expect(200).body), *created);
}

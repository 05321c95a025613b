//! Lists: paging walks, the catalog, referrers of an older client.

use serde_json::{Value, json};

use crate::support::{
    Client, INDEX, MANIFEST, Repo, Request, Server, blake3, descriptor, empty_config, image, index, sha256,
    sha512,
};

/// Follows the links of a list from its first page and returns the entries and the number of pages.
fn walk(client: &Client, first: &str, field: &str) -> (Vec<String>, usize) {
    let (mut next, mut found, mut pages) = (first.to_owned(), Vec::new(), 0);
    loop {
        let page = client.get(&next).expect(200);
        let entries = page.json()[field].as_array().unwrap().clone();
        found.extend(entries.iter().map(|entry| entry.as_str().unwrap().to_owned()));
        pages += 1;
        let Some(link) = page.next_page() else { return (found, pages) };
        assert!(link.starts_with("/v2/"), "{link}");
        next = link;
        assert!(!entries.is_empty(), "a page before the end has entries");
    }
}

#[test]
fn walking_the_pages_of_a_list_gives_the_whole_list() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "many/tags");
    repo.push_empty_config();
    let bytes = image(&[], Value::Null);
    let mut tags: Vec<String> =
        (0..50).flat_map(|n| [format!("v{n}"), format!("V-{n}.x"), format!("_{n}")]).collect();
    for some in tags.chunks(10) {
        let tags: Vec<String> = some.iter().map(|tag| format!("tag={tag}")).collect();
        let target = format!("{}?{}", repo.manifest(&sha256(&bytes)), tags.join("&"));
        let put = Request::put(target).header("Content-Type", MANIFEST).body(&bytes[..]);
        assert_eq!(repo.client.send(&put).expect(201).all("oci-tag").count(), 10);
    }
    tags.sort();
    assert_eq!(repo.tags(), tags);
    for n in [1, 7, 50, 149, 150, 151] {
        let (found, pages) = walk(&repo.client, &repo.path(format!("tags/list?n={n}")), "tags");
        assert_eq!(found, tags, "n={n}");
        assert_eq!(pages, 150_usize.div_ceil(n), "n={n}");
    }
    // Tags that go away between two pages do not break the walk.
    let first = repo.client.get(repo.path("tags/list?n=5")).expect(200);
    repo.client.delete(repo.manifest(&tags[4])).expect(202);
    let next = first.next_page().unwrap();
    assert_eq!(walk(&repo.client, &next, "tags").0, tags[5..]);
}

#[test]
fn the_catalog_lists_repositories_in_bytewise_order() {
    let server = Server::start();
    let client = server.client();
    assert_eq!(client.get("/v2/_catalog").expect(200).json(), json!({ "repositories": [] }));
    let mut names = ["b", "a/b", "a-b", "a", "a.b/c", "a0", "z/y/x"];
    for name in names {
        Repo::new(&client, name).push_blob(b"x");
    }
    names.sort_unstable();
    for n in [1, 2, 7, 100] {
        let (found, _) = walk(&client, &format!("/v2/_catalog?n={n}"), "repositories");
        assert_eq!(found, names, "n={n}");
    }
    let none = client.get("/v2/_catalog?n=0").expect(200).without("link");
    assert_eq!(none.json(), json!({ "repositories": [] }));
    assert_eq!(walk(&client, "/v2/_catalog?last=a0", "repositories").0, ["b", "z/y/x"]);
    // An upload that was only begun makes no repository.
    Repo::new(&client, "only/begun").begin();
    assert_eq!(walk(&client, "/v2/_catalog", "repositories").0, names);
}

#[test]
fn a_referrer_is_described_by_its_manifest() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_empty_config();
    let (digest, bytes) = repo.push_artifact("v1");
    let subject = descriptor(MANIFEST, &digest, bytes.len());
    let notes = json!({ "org.example.note": "ä \"quoted\"", "empty": "" });
    let typed = image(
        &[empty_config()],
        json!({ "artifactType": "application/vnd.sbom", "subject": subject, "annotations": notes }),
    );
    let untyped = image(&[empty_config()], json!({ "subject": subject }));
    for bytes in [&typed, &untyped] {
        repo.put_manifest(&sha256(bytes), MANIFEST, bytes).expect(201).with("oci-subject", &digest);
    }
    let mut expected = [
        json!({ "mediaType": MANIFEST, "digest": sha256(&typed), "size": typed.len(),
                "artifactType": "application/vnd.sbom", "annotations": notes }),
        json!({ "mediaType": MANIFEST, "digest": sha256(&untyped), "size": untyped.len(),
                "artifactType": "application/vnd.oci.empty.v1+json" }),
    ];
    let by_digest = |entry: &Value| entry["digest"].as_str().unwrap().to_owned();
    expected.sort_by_key(by_digest);
    let mut found =
        repo.client.get(repo.path(format!("referrers/{digest}"))).expect(200).json()["manifests"].clone();
    let found = found.as_array_mut().unwrap();
    found.sort_by_key(by_digest);
    assert_eq!(found[..], expected);
    // Only in this repository, and only of this digest.
    assert!(Repo::new(&server.client(), "b").referrers(&digest).is_empty());
    assert!(repo.referrers(&sha256(&typed)).is_empty());
}

/// distribution-spec "Upgrade Procedures": what an older client listed under the fallback tag counts.
#[test]
fn referrers_listed_under_the_fallback_tag_are_found() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "upgraded");
    repo.push_empty_config();
    for subject in [sha256(b"subject"), sha512(b"subject")] {
        let plain = |note: &str| {
            let more = json!({ "artifactType": "application/vnd.old", "annotations": { "note": note } });
            let bytes = image(&[empty_config()], more);
            repo.put_manifest(&sha256(&bytes), MANIFEST, &bytes).expect(201);
            (sha256(&bytes), bytes.len())
        };
        // One whose manifest names no subject, one that does and is listed twice, one that is not there.
        let (old, size) = plain(&subject);
        let new = repo.push_referrer(&descriptor(MANIFEST, &subject, 7), "application/vnd.new", "new");
        let new_size =
            repo.client.head(repo.manifest(&new)).expect(200).required("content-length").parse().unwrap();
        let listed = [
            descriptor(MANIFEST, &old, size),
            descriptor(MANIFEST, &new, new_size),
            descriptor(MANIFEST, &sha256(b"absent"), 6),
        ];
        let (algorithm, hex) = subject.split_once(':').unwrap();
        let tag = format!("{algorithm}-{}", &hex[..64]);
        repo.put_manifest(&tag, INDEX, &index(&listed, Value::Null)).expect(201);
        let mut found = repo.referrers(&subject);
        found.sort();
        let mut expected = [old.clone(), new.clone()];
        expected.sort();
        assert_eq!(found, expected);
        let filtered = repo.path(format!("referrers/{subject}?artifactType=application/vnd.old"));
        assert_eq!(crate::support::digests(&repo.client.get(filtered).expect(200).json()), [old]);
        repo.client.delete(repo.manifest(&tag)).expect(202);
        assert_eq!(repo.referrers(&subject), [new]);
    }
}

#[test]
fn a_referrer_is_found_by_every_digest_of_its_subject() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "aliases");
    repo.push_empty_config();
    let subject = image(&[empty_config()], json!({ "annotations": { "is": "the subject" } }));
    repo.put_manifest(&sha512(&subject), MANIFEST, &subject).expect(201);
    let by =
        |digest: String| repo.push_referrer(&descriptor(MANIFEST, &digest, subject.len()), "a/b", &digest);
    let mut referrers = vec![by(sha256(&subject)), by(sha512(&subject))];
    referrers.sort();
    for digest in [sha256(&subject), sha512(&subject), blake3(&subject)] {
        let mut found = repo.referrers(&digest);
        found.sort();
        assert_eq!(found, referrers, "{digest}");
    }
}

#[test]
fn a_push_under_one_tag_does_not_change_what_another_is_served_as() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "types");
    repo.push_empty_config();
    let mut plain: serde_json::Value = serde_json::from_slice(&image(&[empty_config()], json!({}))).unwrap();
    plain.as_object_mut().unwrap().remove("mediaType");
    let plain = plain.to_string();
    repo.put_manifest("keep", MANIFEST, plain.as_bytes()).expect(201);
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    repo.put_manifest("other", docker, plain.as_bytes()).expect(201);
    repo.client.get(repo.manifest("keep")).expect(200).with("content-type", MANIFEST);
}

#[test]
fn a_nul_in_a_request_for_a_list_is_refused_and_not_sent_to_the_database() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a/b");
    let packages = repo.path("_artifactstore/packages");
    let package = repo.client.post(&packages).expect(201).location();
    for list in [
        "/v2/_catalog",
        "/v2/_artifactstore/schemas",
        &repo.path("tags/list"),
        &repo.path("_artifactstore/objects"),
        &packages,
        &format!("{package}/files"),
    ] {
        let refused = repo.client.get(format!("{list}?last=a%00")).refused(400, "UNSUPPORTED").json();
        let message = refused["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("parameter last") && message.contains("NUL"), "{list}: {message}");
    }
    repo.client.get("/v2/_artifactstore/schemas/a%00").refused(404, "MANIFEST_UNKNOWN");
}

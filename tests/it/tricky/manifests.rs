//! Cases 43 to 62: pushing manifests, referrers.

use serde_json::{Value, json};

use super::{Bench, Case};
use crate::support::{
    INDEX, MANIFEST, Repo, Request, Response, descriptor, empty_config, image, index, sha256, sha512,
};

pub(super) const CASES: &[Case] = &[
    (43, "parameters of the content type are dropped", content_type_parameters),
    (44, "a manifest may come chunked", chunked_manifest),
    (45, "a padded manifest has another digest", padded_manifest),
    (46, "a malformed digest is never a tag", malformed_digest),
    (47, "a manifest above 4 MiB is 413 before it is read", too_large),
    (48, "every missing blob is named", missing_blobs),
    (49, "layers that lie elsewhere may be missing", foreign_layers),
    (50, "an index and an image may be empty", empty_manifests),
    (51, "a tag may move to another type", tag_changes_type),
    (52, "schema 1 is 400 MANIFEST_INVALID", schema1),
    (53, "a subject need not exist", unknown_subject),
    (54, "an index may have a subject", index_with_subject),
    (55, "a repository never used has no referrers", referrers_of_nothing),
    (56, "referrers of a malformed digest are 400", referrers_of_a_malformed_digest),
    (57, "a raw plus in a filter is a plus", filter_with_a_plus),
    (58, "referrers come in one page up to 4 MiB and then with a link", many_referrers),
    (59, "a deleted referrer is gone at once", deleted_referrer),
    (60, "a push by digest may set tags, all or none", tags_by_parameter),
    (62, "a tag keeps the algorithm it was pushed with", sha512_tag),
];

fn push(repo: &Repo, reference: &str, bytes: &[u8]) -> Response {
    repo.put_manifest(reference, MANIFEST, bytes)
}

/// An artifact that says `note`, with its blobs pushed.
fn artifact(repo: &Repo, note: &str) -> Vec<u8> {
    repo.push_empty_config();
    image(
        &[empty_config()],
        json!({ "artifactType": "application/vnd.test", "annotations": { "note": note } }),
    )
}

fn content_type_parameters(bench: &Bench) {
    let repo = bench.repo();
    let bytes = artifact(&repo, "43");
    repo.put_manifest("v1", &format!("{MANIFEST}; charset=utf-8"), &bytes).expect(201);
    repo.client.get(repo.manifest("v1")).expect(200).with("content-type", MANIFEST);
}

fn chunked_manifest(bench: &Bench) {
    let repo = bench.repo();
    let bytes = artifact(&repo, "44");
    let put = Request::put(repo.manifest("v1")).header("Content-Type", MANIFEST).chunked(&bytes[..]);
    let pushed = repo.client.send(&put).expect(201).with("docker-content-digest", &sha256(&bytes));
    assert_eq!(repo.client.get(pushed.location()).expect(200).body, bytes);
}

fn padded_manifest(bench: &Bench) {
    let repo = bench.repo();
    let bytes = artifact(&repo, "45");
    let padded = [&bytes[..], b"  "].concat();
    push(&repo, &sha256(&bytes), &padded).refused(400, "DIGEST_INVALID");
    repo.client.get(repo.manifest(&sha256(&bytes))).refused(404, "MANIFEST_UNKNOWN");
    push(&repo, &sha256(&padded), &padded).expect(201);
    assert_eq!(repo.client.get(repo.manifest(&sha256(&padded))).expect(200).body, padded);
}

fn malformed_digest(bench: &Bench) {
    let repo = bench.repo();
    let bytes = artifact(&repo, "46");
    push(&repo, "sha256:baddigeststring", &bytes).refused(400, "DIGEST_INVALID");
    repo.client.get(repo.manifest("sha256:baddigeststring")).refused(400, "DIGEST_INVALID");
    repo.client.head(repo.manifest("sha256:baddigeststring")).expect(400);
    repo.client.get(repo.blob("sha256:baddigeststring")).refused(400, "DIGEST_INVALID");
    push(&repo, "v1", &bytes).expect(201);
    assert_eq!(repo.tags(), ["v1"]);
}

fn too_large(bench: &Bench) {
    const LIMIT: usize = 4 * 1024 * 1024;
    let repo = bench.repo();
    // The length alone decides: not a byte of the body is sent.
    let declared = Request::put(repo.manifest("v1")).header("Content-Length", (LIMIT + 1).to_string());
    let mut connection = repo.client.connect();
    connection.write(declared.head_bytes()).unwrap();
    connection.receive("PUT").unwrap().refused(413, "MANIFEST_INVALID");
    // Without a length it is refused as soon as it is too long: the last chunk is never sent.
    let chunked = Request::put(repo.manifest("v1")).header("Transfer-Encoding", "chunked");
    let mut connection = repo.client.connect();
    connection.write(chunked.head_bytes()).unwrap();
    let chunk = vec![b' '; LIMIT + 1];
    connection.write(format!("{:x}\r\n", chunk.len())).unwrap();
    connection.write(&chunk).unwrap();
    connection.receive("PUT").unwrap().refused(413, "MANIFEST_INVALID");
    // And exactly the limit is fine.
    let mut largest = artifact(&repo, "47");
    largest.resize(LIMIT, b' ');
    push(&repo, "v1", &largest).expect(201);
    assert_eq!(repo.client.get(repo.manifest("v1")).expect(200).body.len(), LIMIT);
}

fn missing_blobs(bench: &Bench) {
    let repo = bench.repo();
    let held = repo.push_layer(b"held");
    let missing = [sha256(b"missing 1"), sha256(b"missing 2"), sha512(b"missing 3")];
    let layer = |digest: &String| descriptor("application/octet-stream", digest, 9);
    let layers: Vec<Value> = [&missing[0], &missing[1], &missing[0], &missing[2]].map(layer).into();
    let bytes = image(&[&layers[..], &[held]].concat(), Value::Null);
    let refused = push(&repo, "v1", &bytes).refused(400, "MANIFEST_BLOB_UNKNOWN");
    let body = refused.json();
    let named: Vec<&str> =
        body["errors"].as_array().unwrap().iter().map(|e| e["detail"]["digest"].as_str().unwrap()).collect();
    let config = sha256(b"{}");
    assert_eq!(named, [&config, &missing[0], &missing[1], &missing[2]]);
    repo.client.get(repo.manifest("v1")).expect(404);
    // An image of another repository does not help.
    bench.named("other").push_empty_config();
    push(&repo, "v1", &bytes).refused(400, "MANIFEST_BLOB_UNKNOWN");
}

fn foreign_layers(bench: &Bench) {
    let repo = bench.repo();
    repo.push_empty_config();
    let mut with_urls = descriptor("application/vnd.oci.image.layer.v1.tar", &sha256(b"elsewhere 1"), 11);
    with_urls["urls"] = json!(["https://example.com/layer.tar"]);
    let types = [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ];
    let mut layers: Vec<Value> = types.iter().map(|t| descriptor(t, &sha256(t.as_bytes()), 5)).collect();
    layers.push(with_urls);
    push(&repo, "v1", &image(&layers, Value::Null)).expect(201);
}

fn empty_manifests(bench: &Bench) {
    let repo = bench.repo();
    repo.push_empty_config();
    repo.put_manifest("index", INDEX, &index(&[], Value::Null)).expect(201);
    push(&repo, "image", &image(&[], Value::Null)).expect(201);
    // The same child twice, and one that is not there.
    let child = descriptor(MANIFEST, &sha256(&image(&[], Value::Null)), image(&[], Value::Null).len());
    let absent = descriptor(MANIFEST, &sha256(b"absent"), 6);
    let bytes = index(&[child.clone(), child, absent], Value::Null);
    repo.put_manifest("twice", INDEX, &bytes).expect(201);
}

fn tag_changes_type(bench: &Bench) {
    let repo = bench.repo();
    let bytes = artifact(&repo, "51");
    push(&repo, "v1", &bytes).expect(201);
    repo.client.get(repo.manifest("v1")).expect(200).with("content-type", MANIFEST);
    let bytes = index(&[descriptor(MANIFEST, &sha256(&bytes), bytes.len())], Value::Null);
    repo.put_manifest("v1", INDEX, &bytes).expect(201);
    assert_eq!(repo.client.get(repo.manifest("v1")).expect(200).with("content-type", INDEX).body, bytes);
}

fn schema1(bench: &Bench) {
    let repo = bench.repo();
    let body = json!({ "schemaVersion": 1, "name": "x", "tag": "v1", "fsLayers": [], "history": [] });
    let body = body.to_string().into_bytes();
    for media_type in ["v1+json", "v1+prettyjws"] {
        let media_type = format!("application/vnd.docker.distribution.manifest.{media_type}");
        repo.put_manifest("v1", &media_type, &body).refused(400, "MANIFEST_INVALID");
    }
    repo.put_manifest("v1", "application/json", &body).refused(400, "MANIFEST_INVALID");
}

fn unknown_subject(bench: &Bench) {
    let repo = bench.repo();
    repo.push_empty_config();
    let subject = sha256(b"pushed later, or never");
    let more =
        json!({ "artifactType": "application/vnd.test", "subject": descriptor(MANIFEST, &subject, 22) });
    let bytes = image(&[empty_config()], more);
    for reference in ["v1", &sha256(&bytes)] {
        push(&repo, reference, &bytes).expect(201).with("oci-subject", &subject);
    }
    assert_eq!(repo.referrers(&subject), [sha256(&bytes)]);
}

fn index_with_subject(bench: &Bench) {
    let repo = bench.repo();
    let subject = sha256(b"subject of an index");
    let bytes = index(&[], json!({ "subject": descriptor(MANIFEST, &subject, 19) }));
    for reference in ["v1", &sha256(&bytes)] {
        repo.put_manifest(reference, INDEX, &bytes).expect(201).with("oci-subject", &subject);
    }
    let listed = repo.client.get(repo.path(format!("referrers/{subject}"))).expect(200).json();
    let expected = json!([{ "mediaType": INDEX, "digest": sha256(&bytes), "size": bytes.len() }]);
    assert_eq!(listed["manifests"], expected);
}

fn referrers_of_nothing(bench: &Bench) {
    let repo = bench.repo();
    for digest in [sha256(b"nothing"), sha512(b"nothing")] {
        let answer = repo.client.get(repo.path(format!("referrers/{digest}"))).expect(200);
        let answer = answer.with("content-type", INDEX).without("link");
        let expected = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
        assert_eq!(answer.json(), expected);
    }
}

fn referrers_of_a_malformed_digest(bench: &Bench) {
    let repo = bench.repo();
    for digest in ["sha256:zz", "zz", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:"] {
        repo.client.get(repo.path(format!("referrers/{digest}"))).refused(400, "DIGEST_INVALID");
    }
}

fn filter_with_a_plus(bench: &Bench) {
    let repo = bench.repo();
    let subject = descriptor(MANIFEST, &sha256(b"57"), 2);
    let json = repo.push_referrer(&subject, "application/vnd.a+json", "json");
    let cbor = repo.push_referrer(&subject, "application/vnd.a+cbor", "cbor");
    let path = repo.path(format!("referrers/{}?artifactType=", sha256(b"57")));
    for (query, expected) in [
        ("application/vnd.a+json", vec![&json]),
        ("application/vnd.a%2Bjson", vec![&json]),
        ("application%2Fvnd.a%2Bcbor", vec![&cbor]),
        ("application/vnd.a", vec![]),
    ] {
        let answer = repo.client.get(format!("{path}{query}")).expect(200);
        let answer = answer.with("oci-filters-applied", "artifactType");
        assert_eq!(crate::support::digests(&answer.json()).iter().collect::<Vec<_>>(), expected, "{query}");
    }
    let both = repo.client.get(format!("{path}application/vnd.a+json&artifactType=application/vnd.a+cbor"));
    assert_eq!(crate::support::digests(&both.expect(200).json()).len(), 2);
    let all = repo.client.get(repo.path(format!("referrers/{}", sha256(b"57")))).expect(200);
    all.without("oci-filters-applied");
}

fn many_referrers(bench: &Bench) {
    let repo = bench.repo();
    repo.push_empty_config();
    let refer = |subject: &str, n: usize, notes: Value| {
        let more = json!({ "subject": descriptor(MANIFEST, subject, 2), "annotations": notes });
        let bytes = image(&[empty_config()], more);
        let digest = sha256(&bytes);
        push(&repo, &digest, &bytes).expect(201);
        assert!(n < 1000);
        digest
    };
    let few = sha256(b"few");
    let mut expected: Vec<_> = (0..40).map(|n| refer(&few, n, json!({ "n": n.to_string() }))).collect();
    let page = repo.client.get(repo.path(format!("referrers/{few}"))).expect(200).without("link");
    let mut found = crate::support::digests(&page.json());
    expected.sort();
    found.sort();
    assert_eq!(found, expected);

    let many = sha256(b"many");
    let note = "x".repeat(60_000);
    let notes = |n: usize| json!({ "n": n.to_string(), "a": note, "b": note, "c": note });
    let mut expected: Vec<_> = (0..26).map(|n| refer(&many, n, notes(n))).collect();
    let (mut next, mut found, mut pages) = (repo.path(format!("referrers/{many}")), Vec::new(), 0);
    loop {
        let page = repo.client.get(&next).expect(200);
        assert!(page.body.len() <= 4 * 1024 * 1024, "{} bytes", page.body.len());
        found.extend(crate::support::digests(&page.json()));
        pages += 1;
        let Some(link) = page.header("link") else { break };
        next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
    assert_eq!(pages, 2);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

fn deleted_referrer(bench: &Bench) {
    let repo = bench.repo();
    let subject = sha256(b"59");
    let kept = repo.push_referrer(&descriptor(MANIFEST, &subject, 2), "application/vnd.a", "kept");
    let gone = repo.push_referrer(&descriptor(MANIFEST, &subject, 2), "application/vnd.a", "gone");
    repo.client.delete(repo.manifest(&gone)).expect(202);
    assert_eq!(repo.referrers(&subject), [kept]);
}

fn tags_by_parameter(bench: &Bench) {
    let repo = bench.repo();
    let bytes = artifact(&repo, "60");
    let digest = sha256(&bytes);
    let put = |query: &str| {
        let target = format!("{}?{query}", repo.manifest(&digest));
        repo.client.send(&Request::put(target).header("Content-Type", MANIFEST).body(&bytes[..]))
    };
    put("tag=v1&tag=-bad").refused(400, "MANIFEST_INVALID");
    repo.client.get(repo.manifest("v1")).expect(404);
    let pushed = put("tag=v1&tag=v1.2").expect(201);
    assert_eq!(pushed.all("oci-tag").collect::<Vec<_>>(), ["v1", "v1.2"]);
    assert_eq!(repo.tags(), ["v1", "v1.2"]);
    let ten: Vec<String> = (0..10).map(|n| format!("tag=t{n}")).collect();
    assert_eq!(put(&ten.join("&")).expect(201).all("oci-tag").count(), 10);
    let many: Vec<String> = (0..200).map(|n| format!("tag=m{n}")).collect();
    put(&many.join("&")).expect(414);
    let by_tag = Request::put(format!("{}?tag=x", repo.manifest("v1"))).header("Content-Type", MANIFEST);
    repo.client.send(&by_tag.body(&bytes[..])).expect(400);
    assert_eq!(repo.tags().len(), 12);
}

fn sha512_tag(bench: &Bench) {
    let repo = bench.repo();
    let bytes = artifact(&repo, "62");
    let digest = sha512(&bytes);
    let put = Request::put(format!("{}?tag=v1", repo.manifest(&digest))).header("Content-Type", MANIFEST);
    repo.client.send(&put.body(&bytes[..])).expect(201).with("docker-content-digest", &digest);
    repo.client.head(repo.manifest("v1")).expect(200).with("docker-content-digest", &digest);
    let by_sha256 = repo.client.get(repo.manifest(&sha256(&bytes))).expect(200);
    by_sha256.with("docker-content-digest", &sha256(&bytes));
}

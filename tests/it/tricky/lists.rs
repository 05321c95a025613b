//! Cases 63 to 70: tags and deletes.

use serde_json::json;

use super::{Bench, Case};
use crate::support::{MANIFEST, Repo, Request, image, sha256};

pub(super) const CASES: &[Case] = &[
    (63, "n=0 is empty, a negative n is 400, a huge n is no error", page_sizes),
    (64, "last need not exist", last_need_not_exist),
    (65, "tags are in the order of their bytes", bytewise_order),
    (66, "no tags are an empty list", no_tags),
    (67, "deleting a tag leaves the others and the manifest", delete_tag),
    (68, "deleting a manifest takes its tags with it", delete_manifest),
    (69, "deleting twice is 404", delete_twice),
    (70, "a blob that a manifest names stays", delete_blob_in_use),
];

/// A repository with these tags on one manifest, and its digest.
fn tagged(bench: &Bench, tags: &[&str]) -> (Repo, String) {
    let repo = bench.repo();
    repo.push_empty_config();
    let bytes = image(&[], json!({ "artifactType": "application/vnd.test" }));
    for tag in tags {
        repo.put_manifest(tag, MANIFEST, &bytes).expect(201);
    }
    (repo, sha256(&bytes))
}

fn page(repo: &Repo, query: &str) -> (Vec<String>, Option<String>) {
    let answer = repo.client.get(repo.path(format!("tags/list?{query}"))).expect(200);
    let body = answer.json();
    assert_eq!(body["name"], repo.name.as_str());
    let tags = body["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned());
    (tags.collect(), answer.header("link").map(str::to_owned))
}

fn page_sizes(bench: &Bench) {
    let (repo, _) = tagged(bench, &["a", "b", "c"]);
    assert_eq!(page(&repo, "n=0"), (vec![], None));
    for n in ["-1", "x", "1.5"] {
        let refused = repo.client.get(repo.path(format!("tags/list?n={n}"))).refused(400, "UNSUPPORTED");
        let message = refused.json()["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(n) && message.contains("parameter n"), "{message}");
    }
    assert_eq!(page(&repo, "n=100000"), (vec!["a".into(), "b".into(), "c".into()], None));
    let link = format!("</v2/{}/tags/list?n=2&last=b>; rel=\"next\"", repo.name);
    assert_eq!(page(&repo, "n=2"), (vec!["a".into(), "b".into()], Some(link)));
    assert_eq!(page(&repo, "n=2&last=b"), (vec!["c".into()], None));
    assert_eq!(page(&repo, "n=3"), (vec!["a".into(), "b".into(), "c".into()], None));
}

fn last_need_not_exist(bench: &Bench) {
    let (repo, _) = tagged(bench, &["a", "c"]);
    assert_eq!(page(&repo, "last=b").0, ["c"]);
    assert_eq!(page(&repo, "n=1&last=0").0, ["a"]);
    assert_eq!(page(&repo, "last=zzz-never-existed"), (vec![], None));
}

fn bytewise_order(bench: &Bench) {
    let (repo, _) = tagged(bench, &["b", "B", "a", "A", "_", "9"]);
    assert_eq!(repo.tags(), ["9", "A", "B", "_", "a", "b"]);
    assert_eq!(page(&repo, "last=B").0, ["_", "a", "b"]);
}

fn no_tags(bench: &Bench) {
    let (repo, _) = tagged(bench, &["a", "b"]);
    for tag in ["a", "b"] {
        repo.client.delete(repo.manifest(tag)).expect(202);
    }
    let answer = repo.client.get(repo.path("tags/list")).expect(200);
    assert_eq!(answer.json(), json!({ "name": repo.name, "tags": [] }));
}

fn delete_tag(bench: &Bench) {
    let (repo, digest) = tagged(bench, &["v1", "v2"]);
    repo.client.delete(repo.manifest("v1")).expect(202);
    repo.client.head(repo.manifest("v1")).expect(404);
    repo.client.head(repo.manifest("v2")).expect(200);
    repo.client.head(repo.manifest(&digest)).expect(200);
    assert_eq!(repo.tags(), ["v2"]);
}

fn delete_manifest(bench: &Bench) {
    let (repo, digest) = tagged(bench, &["v1", "v2"]);
    let more = image(&[], json!({ "artifactType": "application/vnd.other" }));
    repo.put_manifest("other", MANIFEST, &more).expect(201);
    repo.client.delete(repo.manifest(&digest)).expect(202);
    for reference in ["v1", "v2", &digest] {
        repo.client.get(repo.manifest(reference)).refused(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(repo.tags(), ["other"]);
}

fn delete_twice(bench: &Bench) {
    let (repo, digest) = tagged(bench, &["v1", "v2"]);
    let blob = repo.push_blob(b"deleted twice");
    for target in [repo.manifest("v1"), repo.manifest(&digest), repo.blob(&blob)] {
        repo.client.delete(&target).expect(202);
        repo.client.head(&target).expect(404);
        repo.client.delete(&target).expect(404);
    }
}

fn delete_blob_in_use(bench: &Bench) {
    let (repo, digest) = tagged(bench, &["v1"]);
    let config = repo.blob(&sha256(b"{}"));
    let refused = repo.client.delete(&config).refused(405, "DENIED");
    assert!(!refused.required("allow").contains("DELETE"), "{refused}");
    let naming = refused.json()["errors"][0]["detail"]["manifest"].as_str().unwrap().to_owned();
    repo.client.get(repo.manifest(&naming)).expect(200);
    repo.client.get(&config).expect(200);
    repo.client.get(repo.manifest("v1")).expect(200);
    // Once nothing names it, it may go.
    repo.client.delete(repo.manifest(&digest)).expect(202);
    repo.client.send(&Request::delete(&config)).expect(202);
    repo.client.get(&config).refused(404, "BLOB_UNKNOWN");
}

//! The routes of the distribution specification, which the document of the extension does not list: whatever method
//! they allow.

use std::collections::BTreeSet;

use super::Entry;
use super::operations::{adds, refused};
use super::record::Tried;
use super::world::World;
use crate::support::{MANIFEST, Request, blake3, sha256};

/// A path of each kind, with its name.
fn kinds(world: &World) -> [(&'static str, String); 8] {
    let repo = &world.archive;
    [
        ("the base", "/v2/".to_owned()),
        ("the catalog", "/v2/_catalog".to_owned()),
        ("a manifest", repo.manifest("plain")),
        ("a blob", repo.blob(&world.unnamed)),
        ("the uploads", repo.path("blobs/uploads/")),
        ("an upload", world.uploads[0].clone()),
        ("the tags", repo.path("tags/list")),
        ("the referrers", repo.path(format!("referrers/{}", sha256(&world.other)))),
    ]
}

/// What the server says it allows besides reading: `METHOD kind`.
#[track_caller]
pub(super) fn mutating(world: &World) -> BTreeSet<&'static str> {
    let client = world.server.client();
    let mut all = BTreeSet::new();
    for (kind, target) in kinds(world) {
        let allowed = client.send(&Request::new("OPTIONS", target)).expect(405).required("allow").to_owned();
        let methods = allowed.split(", ").filter(|method| !["GET", "HEAD"].contains(method));
        all.extend(methods.map(|method| &*format!("{method} {kind}").leak()));
    }
    all
}

pub(super) fn entries(world: &World) -> Vec<Entry> {
    let (mut deletes, mut puts, mut blobs) = (Vec::new(), Vec::new(), Vec::new());
    let put = |target: String| Request::put(target).header("Content-Type", MANIFEST).body(&*world.other);
    for kept in &world.kept {
        let (repo, client) = (&kept.repo, &kept.repo.client);
        let tried = |action: &str, subject: &str| Tried::new(repo, action, subject);
        for digest in kept.digests() {
            let delete = Request::delete(repo.manifest(&digest));
            deletes.push(refused(delete, &[405], tried("manifest.delete", &digest)));
        }
        if let Some(tag) = kept.tag {
            deletes.push(refused(Request::delete(repo.manifest(tag)), &[405], tried("tag.delete", tag)));
        }
        if let Some(tag) = kept.tag.filter(|_| kept.is_pinned) {
            puts.push(refused(put(repo.manifest(tag)), &[403], tried("tag.move", tag)));
            let by_digest = repo.manifest(&format!("{}?tag={tag}", sha256(&world.other)));
            puts.push(refused(put(by_digest), &[403], tried("tag.move", tag)));
        }
        for digest in kept.blobs() {
            let bytes = client.get(repo.blob(&digest)).expect(200).body;
            for digest in [digest, blake3(&bytes)] {
                let delete = Request::delete(repo.blob(&digest));
                blobs.push(refused(delete, &[405], tried("blob.delete", &digest)));
            }
        }
    }
    let unnamed = Request::delete(world.archive.blob(&world.unnamed));
    blobs.push(refused(unnamed, &[405], Tried::new(&world.archive, "blob.delete", &*world.unnamed)));
    puts.push(adds(put(world.archive.manifest("one-more")), 201));
    let [first, second] = &world.uploads;
    let whole = format!("{first}?digest={}", sha256(b"a part"));
    vec![
        ("DELETE a manifest", deletes, ""),
        ("PUT a manifest", puts, "a tag in governance moves: what it named stays by its digest and its id"),
        ("DELETE a blob", blobs, ""),
        (
            "POST the uploads",
            vec![adds(Request::post(world.archive.path("blobs/uploads/")), 202)],
            "a session",
        ),
        (
            "PATCH an upload",
            vec![adds(Request::patch(first).body("a part"), 202)],
            "is nothing until it is finished",
        ),
        ("PUT an upload", vec![adds(Request::put(whole), 201)], "adds content under the digest of its bytes"),
        ("DELETE an upload", vec![adds(Request::delete(second), 204)], "gives up what nothing names"),
    ]
}

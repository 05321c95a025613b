//! What is protected, in every way there is.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::packages::Pack;
use super::super::retention::{legal, package, place};
use crate::support::{
    INDEX, Launch, MANIFEST, Repo, Request, Server, blake3, descriptor, image, index, sha256, sha512,
};

/// A protected manifest.
pub(super) struct Kept {
    pub(super) repo: Repo,
    /// Its only tag, if it has one.
    pub(super) tag: Option<&'static str>,
    /// The package that it is.
    pub(super) package: Option<String>,
    pub(super) manifest: Vec<u8>,
    /// Whether its tag stays with it.
    pub(super) is_pinned: bool,
}

impl Kept {
    /// What can be proposed for disposition, as the log names it.
    pub(super) fn target(&self) -> String {
        self.package.clone().unwrap_or_else(|| blake3(&self.manifest))
    }

    pub(super) fn digests(&self) -> [String; 3] {
        [sha256(&self.manifest), sha512(&self.manifest), blake3(&self.manifest)]
    }

    /// Its config and its layers: of a package the table of its content and its files.
    pub(super) fn blobs(&self) -> Vec<String> {
        let manifest: Value = serde_json::from_slice(&self.manifest).unwrap();
        let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
        let all = [manifest["config"].clone()].into_iter().chain(layers);
        all.filter_map(|it| it["digest"].as_str().map(str::to_owned)).collect()
    }
}

/// A registry that collects when it is told to and without any grace, with something protected in every way.
pub(super) struct World {
    pub(super) server: Server,
    /// Some of what is in it is protected.
    pub(super) evidence: Repo,
    /// It is held as a whole.
    pub(super) archive: Repo,
    pub(super) kept: Vec<Kept>,
    /// A held draft in the one, and a draft in the other, each with the file `x`.
    pub(super) drafts: [Pack; 2],
    /// In each repository, pushed as `other` and by nothing protected: what could take a tag over.
    pub(super) other: Vec<u8>,
    /// A blob of the held repository that nothing names.
    pub(super) unnamed: String,
    /// A disposition that waits for its approval, and one that a hold has voided.
    pub(super) waiting: String,
    pub(super) voided: String,
    /// A hold that was released.
    pub(super) released: String,
    /// Two uploads that have begun.
    pub(super) uploads: [String; 2],
    /// A URL that opens a key of the held repository for reading.
    pub(super) url: String,
    /// For the files of commands.
    pub(super) folder: TempDir,
}

impl World {
    pub(super) fn make() -> Self {
        let off = ["GC_ENABLED", "SCRUB_ENABLED"].map(|name| format!("ARTIFACTSTORE_{name}"));
        let launch = off.iter().fold(Launch::new(), |launch, name| launch.env(name, "false"));
        let server =
            launch.env("ARTIFACTSTORE_GC_GRACE", "0s").env("ARTIFACTSTORE_GC_QUARANTINE", "0s").start();
        let client = server.client();
        let (evidence, archive) = (Repo::new(&client, "evidence"), Repo::new(&client, "archive"));
        let mut kept = Vec::new();
        for (class, tag, is_pinned) in [
            ("raw-evidence", "governed", false),
            ("release-evidence", "immutable", true),
            ("transient", "held", true),
            ("raw-evidence", "over", false),
        ] {
            let (pack, _) = package(&evidence, class, tag.as_bytes(), tag);
            let manifest = client.get(evidence.manifest(tag)).expect(200).body;
            let (repo, tag, package) = (evidence.clone(), Some(tag), Some(pack.id));
            kept.push(Kept { repo, tag, package, manifest, is_pinned });
        }
        bound_up(&evidence, &mut kept);
        end(&evidence, "over");
        end(&evidence, "held");
        let (waiting, voided) = (propose(&evidence, "over"), propose(&evidence, "held"));
        place(&evidence, &legal(Some("held"))).expect(201);
        let released = place(&evidence, &legal(Some("governed"))).expect(201).location();
        client.delete(format!("{released}?reason=over")).expect(200);
        let other = image_other(&evidence);
        let draft = Pack::create(&evidence, &json!({}));
        draft.ingest("x", b"a draft");
        place(&evidence, &legal(Some(&draft.id))).expect(201);

        let (_, manifest) = archive.push_artifact("plain");
        kept.push(Kept {
            repo: archive.clone(),
            tag: Some("plain"),
            package: None,
            manifest,
            is_pinned: true,
        });
        assert_eq!(image_other(&archive), other);
        let ready = Pack::create(&archive, &json!({}));
        ready.ingest("x", b"another draft");
        for key in ["k", "k/url"] {
            let target = archive.path(format!("_artifactstore/objects/{key}"));
            client.send(&Request::put(target).body(key)).expect(201);
        }
        let url = client.post(archive.path("_artifactstore/objects/k/url")).expect(200).json()["url"].clone();
        let unnamed = archive.push_blob(b"unnamed");
        let uploads = [evidence.begin(), evidence.begin()];
        place(&archive, &legal(None)).expect(201);
        // What was only on the way here is collected before anything is compared.
        for _ in 0..3 {
            client.post("/v2/_artifactstore/gc").expect(200);
        }
        Self {
            server,
            evidence,
            archive,
            kept,
            drafts: [draft, ready],
            other,
            unnamed,
            waiting,
            voided,
            released,
            uploads,
            url: url.as_str().unwrap().to_owned(),
            folder: TempDir::with_prefix("artifactstore-it-").unwrap(),
        }
    }

    /// The protected manifest with this tag.
    pub(super) fn tagged(&self, tag: &str) -> &Kept {
        self.kept.iter().find(|kept| kept.tag == Some(tag)).unwrap()
    }

    /// Everything protected, byte by byte, by its path.
    #[track_caller]
    pub(super) fn pull(&self) -> BTreeMap<String, Vec<u8>> {
        let mut targets = vec![self.archive.blob(&self.unnamed)];
        for kept in &self.kept {
            let references = kept.digests().into_iter().chain(kept.tag.map(str::to_owned));
            targets.extend(references.map(|it| kept.repo.manifest(&it)));
            targets.extend(kept.blobs().iter().map(|it| kept.repo.blob(it)));
            let file = |id| kept.repo.path(format!("_artifactstore/packages/{id}/files/x"));
            targets.extend(kept.package.as_ref().map(file));
        }
        targets.extend(self.drafts.iter().map(|draft| draft.path("/files/x")));
        targets.extend(["k", "k/url"].map(|key| self.archive.path(format!("_artifactstore/objects/{key}"))));
        let client = self.server.client();
        let pull = |target: String| {
            let body = client.get(&target).expect(200).body;
            (target, body)
        };
        targets.into_iter().map(pull).collect()
    }

    /// The same server again, after it was stopped.
    pub(super) fn restart(self) -> Self {
        Self { server: self.server.restart(), ..self }
    }
}

/// An index that protects its child, and a signature of what is immutable.
fn bound_up(repo: &Repo, kept: &mut Vec<Kept>) {
    repo.push_empty_config();
    let child = image(&[repo.push_layer(b"child")], json!({}));
    repo.put_manifest(&sha256(&child), MANIFEST, &child).expect(201);
    let class = json!({ "annotations": { "dev.artifactstore.retention.class": "release-evidence" } });
    let list = index(&[descriptor(MANIFEST, &sha256(&child), child.len())], class);
    repo.put_manifest("list", INDEX, &list).expect(201);
    let immutable = &kept.iter().find(|it| it.tag == Some("immutable")).unwrap().manifest;
    let subject = descriptor(MANIFEST, &sha256(immutable), immutable.len());
    let signature = repo.push_referrer(&subject, "application/vnd.test.signature", "signed");
    let signature = repo.client.get(repo.manifest(&signature)).expect(200).body;
    for (tag, manifest) in [(Some("list"), list), (None, child), (None, signature)] {
        kept.push(Kept { repo: repo.clone(), tag, package: None, manifest, is_pinned: true });
    }
}

/// An image with the tag `other`.
fn image_other(repo: &Repo) -> Vec<u8> {
    repo.push_empty_config();
    let other = image(&[repo.push_layer(b"other")], json!({}));
    repo.put_manifest("other", MANIFEST, &other).expect(201);
    other
}

/// Ends the retention of something in governance mode.
fn end(repo: &Repo, reference: &str) {
    let body = json!({ "reference": reference, "until": "2001-01-01T00:00:00Z", "reason": "a mistake" });
    let shorten = Request::post(repo.path("_artifactstore/retention/shorten")).body(body.to_string());
    repo.client.send(&shorten.header("artifactstore-bypass-governance-retention", "true")).expect(200);
}

/// The path of a new disposition.
fn propose(repo: &Repo, reference: &str) -> String {
    let body = json!({ "reference": reference, "reason": "it is over" }).to_string();
    repo.client
        .send(&Request::post(repo.path("_artifactstore/disposition")).body(body))
        .expect(201)
        .location()
}

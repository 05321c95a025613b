//! Packages that come as OCI manifests, on both engines.

use std::sync::Arc;

use serde_json::{Value, json};

use super::packages::{Bench, is_kept_by, new_file, object, tagged};
use super::*;
use crate::db::testing::{On, on_both};
use crate::events::{Decision, Fact, PackageFileIngested, Read, Rows, Target};
use crate::package::mapping::{BlobRef, Composed, compose, names};
use crate::package::{ContentManifest, Description, File, PackageId, guess_media_type};

on_both![
    one_tree_is_one_manifest_whichever_way_it_comes,
    a_declared_package_is_recorded_once,
    a_declared_package_that_says_something_false_is_refused,
    an_implicit_package_gets_its_table_published,
    a_package_whose_manifest_asked_for_a_class_had_a_second_retention,
    an_archive_package_is_listed_from_its_tar,
    a_package_of_many_files_comes_in_parts,
    what_is_no_package_stays_what_it_is,
];

const FILES: [(&str, &[u8]); 4] =
    [("empty", b""), ("logs/a.txt", b"one"), ("logs/b.json", b"{}"), ("z", b"one")];

fn file(path: &str, bytes: &[u8]) -> File {
    let path = path.parse().unwrap();
    File {
        media_type: guess_media_type(&path).to_owned(),
        path,
        size: bytes.len() as u64,
        content_address: hash::digest(Algorithm::Blake3, bytes),
        sha256: sha256(bytes),
        role: None,
    }
}

fn description() -> Description {
    let metadata = object(r#"{"run":"r-1"}"#);
    Description { kind: Some("run".to_owned()), metadata, ..Description::default() }
}

/// The tree as a producer packs it.
pub(super) fn content() -> ContentManifest {
    let files = FILES.iter().rev().map(|(path, bytes)| file(path, bytes)).collect();
    ContentManifest::new(description(), files, object(r#"{"commit":"abc"}"#)).unwrap()
}

impl Bench {
    pub(super) async fn blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = sha256(bytes);
        let body = whole(&Bytes::copy_from_slice(bytes));
        self.registry.push_blob(&name(repository), Actor::anonymous(), &digest, body).await.unwrap();
        digest
    }

    pub(super) async fn push(
        &self,
        repository: &str,
        reference: &str,
        bytes: &[u8],
    ) -> Result<PushedManifest, Error> {
        let bytes = Bytes::copy_from_slice(bytes);
        let reference = reference.parse().unwrap();
        let actor = Actor::anonymous();
        self.registry.push_manifest(&name(repository), actor, &reference, vec![], None, bytes).await
    }

    /// Everything of a declared package but its manifest.
    pub(super) async fn stage(&self, repository: &str, content: &ContentManifest) -> Composed {
        for (_, bytes) in FILES {
            self.blob(repository, bytes).await;
        }
        let cbor = content.encode().unwrap();
        self.blob(repository, &cbor).await;
        compose(content, &BlobRef::of(&cbor))
    }

    async fn native(&self, repository: &str, tag: &str) -> Package {
        let id = self.draft(repository, description()).await;
        for (path, bytes) in FILES {
            self.ingest(repository, &id, path, bytes).await.unwrap();
        }
        self.finalize(repository, &id, tagged(tag)).await.unwrap()
    }

    async fn nothing_is_named(&self, repository: &str) {
        assert_eq!(self.registry.tags(&name(repository), "", 10).await.unwrap(), (vec![], false));
        let packages = self.registry.packages(&name(repository), &Filter::default(), "", 10).await.unwrap();
        assert_eq!(packages, []);
    }
}

pub(super) fn edited(manifest: &[u8], edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut manifest: Value = serde_json::from_slice(manifest).unwrap();
    edit(&mut manifest);
    serde_json::to_vec(&manifest).unwrap()
}

async fn one_tree_is_one_manifest_whichever_way_it_comes(on: On) {
    let bench = Bench::new(on).await;
    let native = bench.native("a", "v1").await;
    let composed = bench.stage("b", &content()).await;
    let pushed = bench.push("b", "v1", &composed.manifest).await.unwrap();
    let declared = bench.registry.package(&pushed.package.unwrap()).await.unwrap();
    assert_eq!(declared.reference, native.reference);
    assert_eq!(declared.content_manifest, native.content_manifest);
    assert_eq!(Some(pushed.digest), native.reference);
    assert_eq!(pushed.warnings, ["retention: class raw-evidence until 1970-07-11"]);
    let [by_calls, by_push] = [bench.manifest(&native.id).await, bench.manifest(&declared.id).await];
    assert_eq!(by_calls.files, by_push.files);
    assert_eq!(by_calls.storage_receipts, by_push.storage_receipts);
    assert_eq!(by_calls.provenance, by_push.provenance);
    assert_eq!(by_calls.retention_summary.class, by_push.retention_summary.class);
    assert_eq!(bench.download(&declared.id, "logs/b.json").await, b"{}");
    let everywhere = bench.registry.packages(&name("b"), &Filter::default(), "", 10).await.unwrap();
    assert_eq!(everywhere, [declared]);
    bench.check().await;
}

async fn a_declared_package_is_recorded_once(on: On) {
    let bench = Arc::new(Bench::new(on).await);
    let composed = bench.stage("a", &content()).await;
    let pushes = (0..8).map(|n| {
        let (bench, manifest) = (Arc::clone(&bench), composed.manifest.clone());
        tokio::spawn(async move { bench.push("a", &format!("v{}", n % 2), &manifest).await.unwrap().package })
    });
    let mut ids = Vec::new();
    for push in pushes.collect::<Vec<_>>() {
        ids.push(push.await.unwrap().unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let before = bench.registry.last_sequence();
    let again = bench.push("a", "v1", &composed.manifest).await.unwrap();
    assert_eq!(again.package.as_ref(), Some(&ids[0]));
    assert_eq!(bench.registry.last_sequence(), before);
    let kept = bench.delete_manifest("a", again.digest.as_str()).await;
    assert!(is_kept_by(&kept, &ids[0]), "{kept:?}");
    // A draft of the same evidence is a package of its own.
    let native = bench.native("a", "v3").await;
    assert_ne!(native.id, ids[0]);
    assert_eq!(bench.push("a", "v4", &composed.manifest).await.unwrap().package.as_ref(), Some(&ids[0]));
    assert_eq!(
        bench.types(&ids[0]).await,
        ["v1.package.finalized", "v1.retention.resolved", "v1.retention.denied"]
    );
    bench.check().await;
}

async fn a_declared_package_that_says_something_false_is_refused(on: On) {
    let bench = Bench::new(on).await;
    let content = content();
    let composed = bench.stage("a", &content).await;
    let refused = async |manifest: &[u8]| {
        let refused = bench.push("a", "v1", manifest).await.unwrap_err();
        bench.nothing_is_named("a").await;
        refused
    };
    let size = edited(&composed.manifest, |manifest| manifest["layers"][2]["size"] = json!(4));
    let refusal = refused(&size).await.to_string();
    assert!(refusal.starts_with("file logs/a.txt as pushed has the size 4"), "{refusal}");
    let absent = edited(&composed.manifest, |manifest| {
        manifest["layers"].as_array_mut().unwrap().remove(4);
    });
    assert_eq!(refused(&absent).await.to_string(), "file z is in the package manifest and has no layer");
    let config = edited(&composed.manifest, |manifest| {
        manifest["config"]["size"] = json!(7);
        manifest["layers"][0]["size"] = json!(7);
    });
    let refusal = refused(&config).await.to_string();
    assert!(refusal.starts_with("config: its size is 7"), "{refusal}");

    // Manifest and table agree, and both say something else than the bytes.
    let declare = async |change: &dyn Fn(&mut ContentManifest)| {
        let mut content = content.clone();
        change(&mut content);
        let cbor = content.encode().unwrap();
        bench.blob("a", &cbor).await;
        refused(&compose(&content, &BlobRef::of(&cbor)).manifest).await
    };
    let address =
        declare(&|content| content.files[1].content_address = content.files[2].content_address.clone());
    assert!(address.await.to_string().starts_with("file logs/a.txt as pushed has the content address"));
    let size = declare(&|content| content.files[2].size = 9).await.to_string();
    assert!(size.starts_with("file logs/b.json as pushed has the size 2"), "{size}");
    let class = declare(&|content| content.package.retention_class = Some("forever".to_owned())).await;
    assert!(matches!(class, Error::ClassDenied(_)), "{class:?}");
    let schema = declare(&|content| content.package.schema = Some("unheard-of".to_owned())).await;
    assert!(matches!(schema, Error::SchemaMissing(_)), "{schema:?}");
    let missing = declare(&|content| content.files[1].sha256 = sha256(b"never pushed")).await;
    assert!(matches!(missing, Error::ReferencesUnknown(_)), "{missing:?}");

    // The same table, written in another way.
    let mut cbor = content.encode().unwrap();
    cbor.push(0xf6);
    bench.blob("a", &cbor).await;
    let trailing = refused(&compose(&content, &BlobRef::of(&cbor)).manifest).await;
    assert!(trailing.to_string().contains("canonical CBOR"), "{trailing}");

    // Known elsewhere is not held here.
    bench.blob("b", &content.encode().unwrap()).await;
    let elsewhere = bench.push("b", "v1", &composed.manifest).await;
    assert!(matches!(elsewhere, Err(Error::ReferencesUnknown(_))), "{elsewhere:?}");
    assert!(bench.push("a", "v1", &composed.manifest).await.unwrap().package.is_some());
    bench.check().await;
}

pub(super) fn titled(title: &str, bytes: &[u8], media_type: &str) -> Value {
    let digest = sha256(bytes);
    json!({"mediaType": media_type, "digest": digest, "size": bytes.len(), "annotations": {names::TITLE: title}})
}

pub(super) fn artifact(layers: &[Value]) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::OCI_IMAGE_MANIFEST, "artifactType": names::PACKAGE,
        "config": descriptor_of(names::EMPTY_CONFIG, media::OCI_EMPTY), "layers": layers,
        "annotations": {names::KIND: "run", names::RETENTION_CLASS: "summary-evidence"},
    });
    serde_json::to_vec(&manifest).unwrap()
}

pub(super) fn descriptor_of(bytes: &[u8], media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": sha256(bytes), "size": bytes.len()})
}

async fn a_package_whose_manifest_asked_for_a_class_had_a_second_retention(on: On) {
    let bench = Bench::new(on).await;
    bench.blob("a", names::EMPTY_CONFIG).await;
    bench.blob("a", b"one").await;
    let bytes = artifact(&[titled("z", b"one", "text/plain")]);
    let mut ids = Vec::new();
    for tag in ["v1", "v1", "v2"] {
        ids.push(bench.push("a", tag, &bytes).await.unwrap().package.unwrap());
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let events = bench.registry.events(0, 1000).await.unwrap();
    let retained: Vec<_> = events
        .into_iter()
        .filter_map(|event| match event.fact {
            Fact::RetentionResolved(fact) => Some((fact.target, fact.rule.class)),
            _ => None,
        })
        .collect();
    assert_eq!(retained, [(Target::Package(ids[0].clone()), "summary-evidence".to_owned())]);
    let kept = bench.delete_manifest("a", sha256(&bytes).as_str()).await;
    assert!(is_kept_by(&kept, &ids[0]), "{kept:?}");
}

async fn an_implicit_package_gets_its_table_published(on: On) {
    let bench = Bench::new(on).await;
    bench.blob("a", names::EMPTY_CONFIG).await;
    bench.blob("a", b"one").await;
    let bytes = artifact(&[titled("z", b"one", "text/plain"), titled("a/b", b"one", "text/x-log")]);
    let pushed = bench.push("a", "v1", &bytes).await.unwrap();
    assert_eq!(pushed.digest, sha256(&bytes), "what was pushed is not touched");
    let package = bench.registry.package(&pushed.package.clone().unwrap()).await.unwrap();
    assert_eq!(package.description.kind.as_deref(), Some("run"));
    assert_eq!(package.description.retention_class.as_deref(), Some("summary-evidence"));
    assert_eq!(bench.paths(&package.id).await, ["a/b", "z"]);
    assert_eq!(bench.download(&package.id, "a/b").await, b"one");

    let referrers = bench.registry.referrers(&name("a"), &pushed.digest, &[], None).await.unwrap();
    let referrers: Value = serde_json::from_slice(&referrers.index).unwrap();
    let [referrer] = referrers["manifests"].as_array().unwrap().as_slice() else { panic!("{referrers}") };
    assert_eq!(referrer["artifactType"], names::MANIFEST_CBOR);
    assert_eq!(referrer["annotations"][names::GENERATED], "true");
    let published = referrer["digest"].as_str().unwrap().to_owned();
    let referrer: Reference = referrer["digest"].as_str().unwrap().parse().unwrap();
    let referrer = bench.registry.manifest(&name("a"), &referrer).await.unwrap();
    let referrer: Value = serde_json::from_slice(&referrer.bytes).unwrap();
    let cbor: Digest = referrer["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
    let cbor = bench.registry.blob(&name("a"), &cbor).await.unwrap();
    let cbor = collect(bench.registry.open_blob(&cbor, None).await.unwrap().body).await.unwrap();
    assert_eq!(package.content_manifest, Some(hash::digest(Algorithm::Blake3, &cbor)));
    assert_eq!(ContentManifest::decode(&cbor).unwrap().files.len(), 2);

    let kept = bench.delete_manifest("a", &published).await;
    assert!(is_kept_by(&kept, &package.id), "the only table of the package was deleted: {kept:?}");
    // Whatever refers to what is retained stays with it.
    let subject = descriptor_of(&bytes, media::OCI_IMAGE_MANIFEST);
    let claims = edited(&artifact(&[titled("z", b"one", "text/plain")]), |manifest| {
        manifest["artifactType"] = json!(names::MANIFEST_CBOR);
        manifest["subject"] = subject;
    });
    let claims = bench.push("a", sha256(&claims).as_str(), &claims).await.unwrap().digest;
    let kept = bench.delete_manifest("a", claims.as_str()).await;
    assert!(is_kept_by(&kept, &package.id), "{kept:?}");

    let before = bench.registry.last_sequence();
    assert_eq!(bench.push("a", "v1", &bytes).await.unwrap().package, pushed.package);
    assert_eq!(bench.registry.last_sequence(), before);
    for (layers, reason) in [
        (vec![titled("../x", b"one", "text/plain")], "\"..\""),
        (vec![titled("x", b"one", "text/plain"), titled("x", b"one", "a/b")], "two layers"),
        (vec![titled("x", b"one", "text/plain"), titled("x/y", b"one", "a/b")], "folder of x/y"),
        (
            vec![
                json!({"mediaType": "a/b", "digest": sha256(b"one"), "size": 7, "annotations": {names::TITLE: "x"}}),
            ],
            "file x",
        ),
    ] {
        let refused = bench.push("a", "bad", &artifact(&layers)).await.unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");
    }
    assert_eq!(bench.registry.last_sequence(), before);
    bench.check().await;
}

/// A tar of one file and a link to somewhere else.
pub(super) fn packed(path: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, path, bytes).unwrap();
    let mut link = tar::Header::new_ustar();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    archive.append_link(&mut link, "run/latest", "/etc/passwd").unwrap();
    archive.into_inner().unwrap()
}

/// The entry of a folder, to be followed by others.
pub(super) fn folder(path: &str) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_path(path).unwrap();
    header.set_cksum();
    header.as_bytes().to_vec()
}

pub(super) fn archive(bytes: &[u8]) -> Value {
    let mut layer = titled("run", bytes, media::OCI_LAYER_TAR);
    layer["annotations"][names::UNPACK] = json!("true");
    layer
}

async fn an_archive_package_is_listed_from_its_tar(on: On) {
    let bench = Bench::new(on).await;
    let large = pattern(3_000_000);
    let bytes = packed("run/report.json", &large);
    bench.blob("a", names::EMPTY_CONFIG).await;
    bench.blob("a", &bytes).await;
    bench.blob("a", b"one").await;
    // Another repository has the file by itself, which is nobody's business here.
    bench.blob("b", &large).await;
    let pushed = bench
        .push("a", "v1", &artifact(&[archive(&bytes), titled("x", b"one", "text/plain")]))
        .await
        .unwrap();
    let id = pushed.package.unwrap();
    let files = bench.registry.package_files(&id, "", 10).await.unwrap();
    assert_eq!(files.len(), 2);
    assert_eq!((files[0].file.clone(), &files[0].location), (file("run/report.json", &large), &None));
    assert_eq!(files[1].location.as_ref().unwrap().backend_id, "memory");
    let inside = bench.registry.package_file(&id, &files[0].file.path).await;
    assert!(matches!(inside, Err(Error::FileInArchive { .. })), "{inside:?}");
    let manifest = bench.manifest(&id).await;
    let content = hash::digest(Algorithm::Blake3, &bytes);
    assert!(manifest.storage_receipts.iter().any(|receipt| receipt.content_address == content));
    assert!(manifest.provenance.to_json().contains("/etc/passwd"), "{:?}", manifest.provenance);

    let cut = &bytes[..bytes.len() - 2_000_000];
    bench.blob("a", cut).await;
    let refused = bench.push("a", "cut", &artifact(&[archive(cut)])).await.unwrap_err();
    assert!(refused.to_string().contains("run/report.json"), "{refused}");
    let through = [archive(&bytes), titled("run/latest/x", b"one", "a/b")];
    let through = bench.push("a", "through", &artifact(&through)).await;
    let through = through.unwrap_err();
    assert!(matches!(&through, Error::PackageInvalid(_)), "through a link: {through:?}");
    assert!(through.to_string().starts_with("file run/latest/x: run/latest is a link"), "{through}");
    let again = [archive(&bytes), titled("run/report.json", b"one", "a/b")];
    let twice = bench.push("a", "twice", &artifact(&again)).await.unwrap_err();
    assert_eq!(twice.to_string(), "file run/report.json is there twice");
    assert_eq!(bench.registry.tags(&name("a"), "", 10).await.unwrap().0, [tag("v1")]);
    bench.check().await;
}

/// Records many files of one content at once: what eight thousand requests would do, for the price of one.
struct Filled {
    repository: RepositoryName,
    package: PackageId,
    files: Vec<File>,
}

impl Command for Filled {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        Vec::new()
    }

    fn decide(&self, _: &Rows) -> Result<Decision, Error> {
        let fact = |file: &File| {
            let (repository, package) = (self.repository.clone(), self.package.clone());
            PackageFileIngested { repository, package, file: file.clone() }.into()
        };
        Ok(Decision { facts: self.files.iter().map(fact).collect(), contents: Vec::new() })
    }
}

async fn a_package_of_many_files_comes_in_parts(on: On) {
    let bench = Bench::new(on).await;
    let files: Vec<File> = (0..8_100).map(|n| file(&format!("d{:02}/f{n:05}", n % 50), b"one")).collect();
    let id = bench.draft("a", description()).await;
    bench.blob("a", b"one").await;
    let filled = Filled { repository: name("a"), package: id.clone(), files: files.clone() };
    bench.registry.submit(Actor::anonymous(), filled).await.unwrap();
    let package = bench.finalize("a", &id, tagged("v1")).await.unwrap();
    assert_eq!(package.files, 8_100);
    let index = bench.registry.manifest(&name("a"), &"v1".parse().unwrap()).await.unwrap();
    assert_eq!(index.media_type, media::OCI_IMAGE_INDEX);
    let index = crate::oci::Manifest::parse(&index.bytes, None).unwrap();
    assert_eq!(index.children.len(), 2);
    for part in &index.children {
        let kept = bench.delete_manifest("a", part.digest.as_str()).await;
        assert!(is_kept_by(&kept, &id), "{kept:?}");
    }
    let kept = bench.delete_blob("a", &sha256(b"one")).await;
    assert!(is_kept_by(&kept, &id), "{kept:?}");

    let content = ContentManifest::new(description(), files, object(r#"{"commit":"abc"}"#)).unwrap();
    let composed = bench.stage("b", &content).await;
    let reference = composed.reference();
    assert_eq!(package.reference.as_ref(), Some(&reference));
    bench.blob("b", names::EMPTY_CONFIG).await;
    let early = bench.push("b", "v1", &composed.manifest).await;
    assert!(matches!(early, Err(Error::ReferencesUnknown(_))), "its parts come first: {early:?}");
    for part in &composed.parts {
        let pushed = bench.push("b", sha256(part).as_str(), part).await.unwrap();
        assert_eq!(pushed.package, None);
    }
    let pushed = bench.push("b", "v1", &composed.manifest).await.unwrap();
    let declared = bench.registry.package(&pushed.package.unwrap()).await.unwrap();
    assert_eq!((declared.files, &declared.content_manifest), (8_100, &package.content_manifest));
    let last = bench.registry.package_files(&declared.id, "d49/f08049", 10).await.unwrap();
    assert_eq!(last.iter().map(|file| file.file.path.as_str()).collect::<Vec<_>>(), ["d49/f08099"]);
    bench.check().await;
}

async fn what_is_no_package_stays_what_it_is(on: On) {
    let bench = Bench::new(on).await;
    let config = bench.blob("a", b"config").await;
    let layer = bench.blob("a", b"one").await;
    let pushed = bench.push("a", "v1", &image(&config, &[layer])).await.unwrap();
    assert_eq!(pushed.package, None);
    bench.delete_manifest("a", pushed.digest.as_str()).await.unwrap();
    let id = bench.draft("a", Description::default()).await;
    bench.put("a", &id, new_file("x"), b"one").await.unwrap();
    let kept = bench.delete_blob("a", &sha256(b"one")).await;
    assert!(matches!(kept, Err(Error::BlobInPackage { .. })), "{kept:?}");
    bench.check().await;
}

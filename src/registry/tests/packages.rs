//! Drafts and what becomes of them, on both engines.

use std::sync::Arc;

use super::*;
use crate::db::testing::{On, Place, on_both};
use crate::package::{ContentManifest, Description, File, Manifest as PackageManifest, Object, PackageId};

on_both![
    a_draft_becomes_a_package,
    a_file_is_replaced_only_when_asked_and_dropped,
    a_path_is_a_file_or_a_folder,
    two_hundred_files_arrive_at_once,
    what_a_client_claims_is_checked_and_the_draft_unharmed,
    what_cannot_be_finalized_stays_a_draft,
    metadata_follows_the_schema_it_names,
    a_finalize_that_is_repeated_returns_the_package,
    a_draft_that_nobody_touches_expires,
    what_is_given_up_lets_its_files_go,
    nothing_leaves_that_a_package_or_a_draft_needs,
    a_file_may_be_a_blob_that_is_held,
    packages_are_listed_and_filtered,
];

/// A registry over storage in memory.
pub(super) struct Bench {
    pub(super) registry: Registry,
    pub(super) db: Db,
    pub(super) clock: ManualClock,
    pub(super) backend: Faulty,
    _place: Place,
}

impl Bench {
    pub(super) async fn new(on: On) -> Self {
        Self::with(on, Options::default()).await
    }

    pub(super) async fn with(on: On, options: Options) -> Self {
        let clock = ManualClock::at(1_000_000 * SECOND);
        let place = Place::new(on).await;
        let db = place.open(Access::Create).await;
        let backend = Faulty::new(Arc::new(Memory::with_clock(clock.clock())));
        let data = DataPlane::new(Arc::new(backend.clone()));
        let registry = Registry::open(db.clone(), data, clock.clock(), options).await.unwrap();
        Self { registry, db, clock, backend, _place: place }
    }

    pub(super) async fn draft(&self, repository: &str, description: Description) -> PackageId {
        let new = NewPackage { description, provenance: object(r#"{"commit":"abc"}"#) };
        self.registry.create_package(&name(repository), Actor::anonymous(), new).await.unwrap().id
    }

    pub(super) async fn ingest(
        &self,
        repository: &str,
        id: &PackageId,
        path: &str,
        bytes: &'static [u8],
    ) -> Result<File, Error> {
        self.put(repository, id, new_file(path), bytes).await
    }

    pub(super) async fn put(
        &self,
        repository: &str,
        id: &PackageId,
        new: NewFile,
        bytes: &'static [u8],
    ) -> Result<File, Error> {
        let body = whole(&Bytes::from_static(bytes));
        self.registry.ingest_file(&name(repository), Actor::anonymous(), id, new, body).await
    }

    pub(super) async fn drop_file(&self, repository: &str, id: &PackageId, path: &str) -> Result<(), Error> {
        let path = path.parse().unwrap();
        self.registry.drop_file(&name(repository), Actor::anonymous(), id, &path).await
    }

    pub(super) async fn finalize(
        &self,
        repository: &str,
        id: &PackageId,
        finalize: Finalize,
    ) -> Result<Package, Error> {
        self.registry.finalize_package(&name(repository), Actor::anonymous(), id, finalize).await
    }

    pub(super) async fn abort(&self, repository: &str, id: &PackageId) -> Result<(), Error> {
        self.registry.abort_package(&name(repository), Actor::anonymous(), id).await
    }

    pub(super) async fn delete_blob(&self, repository: &str, digest: &Digest) -> Result<(), Error> {
        self.registry.delete_blob(&name(repository), Actor::anonymous(), digest).await
    }

    pub(super) async fn delete_manifest(&self, repository: &str, reference: &str) -> Result<(), Error> {
        let reference: Reference = reference.parse().unwrap();
        self.registry.delete_manifest(&name(repository), Actor::anonymous(), &reference).await
    }

    pub(super) async fn paths(&self, id: &PackageId) -> Vec<String> {
        let files = self.registry.package_files(id, "", 10_000).await.unwrap();
        files.into_iter().map(|file| file.file.path.to_string()).collect()
    }

    pub(super) async fn download(&self, id: &PackageId, path: &str) -> Vec<u8> {
        let (file, blob) = self.registry.package_file(id, &path.parse().unwrap()).await.unwrap();
        assert_eq!((&file.sha256, file.size), (&blob.digest, blob.size));
        collect(self.registry.open_blob(&blob, None).await.unwrap().body).await.unwrap()
    }

    /// The registry manifest, read back.
    pub(super) async fn manifest(&self, id: &PackageId) -> PackageManifest {
        PackageManifest::decode(&self.registry.package_manifest(id).await.unwrap()).unwrap()
    }

    pub(super) async fn types(&self, id: &PackageId) -> Vec<&'static str> {
        let events = self.registry.package_events(id, 0, 1000).await.unwrap();
        events.iter().map(|event| event.fact.type_name()).collect()
    }

    /// The log has no gap, and the views are what it says.
    pub(super) async fn check(&self) {
        let scratch = TempDir::new().unwrap();
        let checked = replay_check(&self.db, scratch.path()).await.unwrap();
        let Check::Compared { replayed, live } = checked else { panic!("{checked:?}") };
        assert_eq!(replayed.state.differences(&live), [""; 0]);
        assert_eq!(replayed.state, live);
    }
}

pub(super) fn object(json: &str) -> Object {
    Object::from_json(json.as_bytes()).unwrap()
}

pub(super) fn new_file(path: &str) -> NewFile {
    NewFile { path: path.parse().unwrap(), media_type: None, role: None, claimed: None, replace: false }
}

pub(super) fn tagged(text: &str) -> Finalize {
    Finalize { tag: Some(tag(text)), ..Finalize::default() }
}

fn blake3(bytes: &[u8]) -> Digest {
    hash::digest(Algorithm::Blake3, bytes)
}

async fn a_draft_becomes_a_package(on: On) {
    let bench = Bench::new(on).await;
    let description = Description {
        kind: Some("test-run".to_owned()),
        metadata: object(r#"{"run":"r-1"}"#),
        ..Description::default()
    };
    let id = bench.draft("a/b", description).await;
    assert_eq!(bench.registry.package(&id).await.unwrap().status, Status::Created);
    let unfinished = bench.registry.package_manifest(&id).await;
    assert!(matches!(unfinished, Err(Error::PackageNotFinalized { .. })), "{unfinished:?}");
    let log = NewFile { role: Some("log".to_owned()), ..new_file("logs/a.txt") };
    let file = bench.put("a/b", &id, log, b"one").await.unwrap();
    assert_eq!((file.media_type.as_str(), file.size), ("text/plain", 3));
    assert_eq!((&file.content_address, &file.sha256), (&blake3(b"one"), &sha256(b"one")));
    bench.ingest("a/b", &id, "empty", b"").await.unwrap();
    bench.ingest("a/b", &id, "logs/same.txt", b"one").await.unwrap();
    let draft = bench.registry.package(&id).await.unwrap();
    assert_eq!((draft.status, draft.files, draft.size), (Status::Uploading, 3, 6));
    bench.clock.advance(SECOND);

    let package = bench.finalize("a/b", &id, tagged("v1")).await.unwrap();
    assert_eq!((package.status, package.files, package.size), (Status::Finalized, 3, 6));
    assert_eq!(package.description.retention_class.as_deref(), Some("raw-evidence"));
    assert_eq!(package.expires_at, Some((1_000_001 + 180 * 86_400) * SECOND));
    assert_eq!(bench.paths(&id).await, ["empty", "logs/a.txt", "logs/same.txt"]);
    assert_eq!(bench.download(&id, "logs/a.txt").await, b"one");
    assert_eq!(bench.download(&id, "empty").await, b"");

    let bytes = bench.registry.package_manifest(&id).await.unwrap();
    assert_eq!(package.manifest_digest, Some(blake3(&bytes)));
    let manifest = PackageManifest::decode(&bytes).unwrap();
    assert_eq!(manifest.package.id, id);
    assert_eq!(manifest.storage_receipts.len(), 2, "one per content");
    assert_eq!(manifest.retention_summary.class, "raw-evidence");
    assert_eq!(manifest.provenance, object(r#"{"commit":"abc"}"#));
    assert_eq!(manifest.package.created_at + SECOND, manifest.package.finalized_at);

    let pulled = bench.registry.manifest(&name("a/b"), &"v1".parse().unwrap()).await.unwrap();
    assert_eq!(Some(&pulled.digest), package.reference.as_ref());
    let oci = crate::oci::Manifest::parse(&pulled.bytes, Some(&pulled.media_type)).unwrap();
    let config = bench.registry.blob(&name("a/b"), &oci.config.unwrap().digest).await.unwrap();
    let cbor = collect(bench.registry.open_blob(&config, None).await.unwrap().body).await.unwrap();
    assert_eq!(package.content_manifest, Some(blake3(&cbor)));
    let content = ContentManifest::decode(&cbor).unwrap();
    assert_eq!(content.files, manifest.files);
    assert_eq!(content.package.retention_class, None, "what nobody asked for is not in it");

    for refused in [
        bench.ingest("a/b", &id, "late", b"x").await.map(drop),
        bench.drop_file("a/b", &id, "empty").await,
        bench.abort("a/b", &id).await,
    ] {
        let status = Status::Finalized;
        assert!(
            matches!(&refused, Err(Error::PackageNotDraft { status: s, .. }) if *s == status),
            "{refused:?}"
        );
    }
    assert_eq!(
        bench.types(&id).await,
        [
            "v1.package.created",
            "v1.package.file_ingested",
            "v1.package.file_ingested",
            "v1.package.file_ingested",
            "v1.package.finalized"
        ]
    );
    bench.check().await;
}

async fn a_file_is_replaced_only_when_asked_and_dropped(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    let again = bench.ingest("a", &id, "x", b"two").await;
    assert!(matches!(&again, Err(Error::FileExists { path, .. }) if path.as_str() == "x"), "{again:?}");
    assert_eq!(bench.download(&id, "x").await, b"one");
    let replacing = NewFile { replace: true, ..new_file("x") };
    bench.put("a", &id, replacing.clone(), b"three").await.unwrap();
    assert_eq!(bench.download(&id, "x").await, b"three");
    let before = bench.registry.last_sequence();
    bench.put("a", &id, replacing, b"three").await.unwrap();
    assert_eq!(bench.registry.last_sequence(), before, "the same file again changes nothing");
    bench.ingest("a", &id, "y", b"four").await.unwrap();
    bench.drop_file("a", &id, "x").await.unwrap();
    assert!(matches!(bench.drop_file("a", &id, "x").await, Err(Error::FileUnknown { .. })));
    let draft = bench.registry.package(&id).await.unwrap();
    assert_eq!((draft.files, draft.size), (1, 4));
    assert_eq!(bench.paths(&id).await, ["y"]);
    let elsewhere = bench.ingest("b", &id, "z", b"five").await;
    assert!(matches!(elsewhere, Err(Error::PackageUnknown(_))), "{elsewhere:?}");
    let file = bench.registry.package_file(&id, &"x".parse().unwrap()).await;
    assert!(matches!(file, Err(Error::FileUnknown { .. })), "{file:?}");
    bench.check().await;
}

async fn a_path_is_a_file_or_a_folder(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x/y", b"1").await.unwrap();
    for (path, file, inside) in [("x/y/z/w", "x/y", "x/y/z/w"), ("x", "x", "x/y")] {
        match bench.ingest("a", &id, path, b"2").await {
            Err(Error::PathConflict { file: f, inside: i }) => {
                assert_eq!((f.as_str(), i.as_str()), (file, inside))
            }
            other => panic!("{path}: {other:?}"),
        }
    }
    // What two requests at once can get past the look before, finalize finds.
    let link = |path: &str| crate::events::PackageFileIngested {
        repository: name("a"),
        package: id.clone(),
        file: File {
            path: path.parse().unwrap(),
            media_type: "text/plain".to_owned(),
            size: 1,
            content_address: blake3(b"1"),
            sha256: sha256(b"1"),
            role: None,
        },
    };
    bench.registry.submit(Actor::anonymous(), Recorded(link("x").into())).await.unwrap();
    let refused = bench.finalize("a", &id, Finalize::default()).await.unwrap_err();
    assert_eq!(refused.to_string(), "x is a file and also the folder of x/y");
    bench.drop_file("a", &id, "x").await.unwrap();
    bench.finalize("a", &id, Finalize::default()).await.unwrap();
}

/// Records a fact as it is.
struct Recorded(Fact);

impl Command for Recorded {
    type Rejection = Error;

    fn reads(&self) -> Vec<crate::events::Read> {
        Vec::new()
    }

    fn decide(&self, _: &crate::events::Rows) -> Result<crate::events::Decision, Error> {
        Ok(crate::events::Decision { facts: vec![self.0.clone()], contents: Vec::new() })
    }
}

async fn two_hundred_files_arrive_at_once(on: On) {
    let bench = Arc::new(Bench::new(on).await);
    let id = bench.draft("a", Description::default()).await;
    let uploads = (0..200).map(|n: usize| {
        let (bench, id) = (Arc::clone(&bench), id.clone());
        tokio::spawn(async move {
            let body = whole(&pattern(n % 50));
            let path = format!("d{}/f{n}", n % 7);
            let actor = Actor::anonymous();
            bench.registry.ingest_file(&name("a"), actor, &id, new_file(&path), body).await.unwrap()
        })
    });
    for upload in uploads.collect::<Vec<_>>() {
        upload.await.unwrap();
    }
    let package = bench.finalize("a", &id, tagged("all")).await.unwrap();
    assert_eq!((package.files, package.size), (200, (0..200).map(|n| n % 50).sum()));
    let manifest = bench.manifest(&id).await;
    assert_eq!((manifest.files.len(), manifest.storage_receipts.len()), (200, 50));
    let objects = bench.backend.list("", None, 1000).await.unwrap().objects.len();
    assert_eq!(objects, 51, "one per content and the content manifest");
    bench.check().await;
}

async fn what_a_client_claims_is_checked_and_the_draft_unharmed(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    let before = bench.registry.last_sequence();
    for claimed in [sha256(b"other"), blake3(b"other"), sha512(b"other")] {
        let new = NewFile { claimed: Some(claimed), ..new_file("y") };
        let refused = bench.put("a", &id, new, b"two").await;
        assert!(matches!(refused, Err(Error::DigestMismatch { .. })), "{refused:?}");
    }
    let broken = broken_after(&pattern(100_000));
    let broken = bench.registry.ingest_file(&name("a"), Actor::anonymous(), &id, new_file("y"), broken).await;
    assert!(matches!(broken, Err(Error::BodyBroken { .. })), "{broken:?}");
    let odd = NewFile { media_type: Some("text".to_owned()), ..new_file("y") };
    let refused = bench.put("a", &id, odd, b"two").await.unwrap_err();
    assert_eq!(refused.to_string(), "file y: media_type is not a media type");
    assert_eq!(bench.registry.last_sequence(), before);
    assert_eq!(bench.backend.list("", None, 10).await.unwrap().objects.len(), 1, "nothing was left behind");
    let claimed = NewFile { claimed: Some(sha512(b"two")), ..new_file("y") };
    bench.put("a", &id, claimed, b"two").await.unwrap();
    bench.registry.blob(&name("a"), &sha512(b"two")).await.unwrap();
    bench.finalize("a", &id, Finalize::default()).await.unwrap();
    bench.check().await;
}

async fn what_cannot_be_finalized_stays_a_draft(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    let empty = bench.finalize("a", &id, tagged("v1")).await.unwrap_err();
    assert_eq!(empty.to_string(), "a package has at least one file");
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    let classless = Finalize { retention_class: Some("forever".to_owned()), ..tagged("v1") };
    let refused = bench.finalize("a", &id, classless).await.unwrap_err();
    assert!(refused.to_string().contains("\"forever\""), "{refused}");
    let new = NewPackage {
        description: Description { retention_class: Some("forever".to_owned()), ..Description::default() },
        ..NewPackage::default()
    };
    let refused = bench.registry.create_package(&name("a"), Actor::anonymous(), new).await;
    assert!(matches!(refused, Err(Error::ClassUnknown(_))), "{refused:?}");
    let refused = bench.finalize("b", &id, tagged("v1")).await;
    assert!(matches!(refused, Err(Error::PackageUnknown(_))), "{refused:?}");
    assert_eq!(bench.registry.tags(&name("a"), "", 10).await.unwrap(), (vec![], false));
    assert_eq!(bench.registry.package(&id).await.unwrap().status, Status::Uploading);
    let class = Finalize {
        retention_class: Some("permanent-record".to_owned()),
        metadata: Some(object(r#"{"n":1}"#)),
        ..tagged("v1")
    };
    let package = bench.finalize("a", &id, class).await.unwrap();
    assert_eq!(package.expires_at, None);
    assert_eq!(package.description.metadata, object(r#"{"n":1}"#));
    bench.check().await;
}

async fn metadata_follows_the_schema_it_names(on: On) {
    let bench = Bench::new(on).await;
    let register = async |name: &str, schema: &str| {
        bench.registry.register_schema(Actor::anonymous(), name, schema.as_bytes()).await
    };
    let run = r#"{"type":"object","required":["run"],"properties":{"run":{"type":"string","pattern":"^r-[0-9]+$"}}}"#;
    for (schema, reason) in [
        ("{", "not JSON"),
        (r#"{"type":"nothing"}"#, "nothing"),
        (r#"{"$ref":"https://example.org/other.json"}"#, "example.org"),
        (r#"{"$ref":"file:///etc/passwd"}"#, "passwd"),
    ] {
        let refused = register("run", schema).await.unwrap_err();
        assert!(matches!(refused, Error::SchemaInvalid { .. }), "{refused:?}");
        assert!(refused.to_string().contains(reason), "{refused}");
    }
    assert!(matches!(register("Run 1", run).await, Err(Error::PackageInvalid(_))));
    let unknown = bench.registry.schema("run").await;
    assert!(matches!(unknown, Err(Error::SchemaUnknown(_))), "{unknown:?}");
    let described = |metadata: &str| Description {
        schema: Some("run".to_owned()),
        metadata: object(metadata),
        ..Description::default()
    };
    let early = NewPackage { description: described("{}"), provenance: Object::default() };
    let early = bench.registry.create_package(&name("a"), Actor::anonymous(), early).await;
    assert!(matches!(early, Err(Error::SchemaMissing(_))), "{early:?}");

    let schema = register("run", run).await.unwrap();
    let before = bench.registry.last_sequence();
    assert_eq!(register("run", run).await.unwrap(), schema);
    assert_eq!(bench.registry.last_sequence(), before);
    assert_eq!(bench.registry.schemas("", 10).await.unwrap(), [schema]);

    let id = bench.draft("a", described(r#"{"run":7}"#)).await;
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    let refused = bench.finalize("a", &id, tagged("v1")).await.unwrap_err();
    let Error::MetadataInvalid { schema, violations } = &refused else { panic!("{refused:?}") };
    assert_eq!((schema.as_str(), violations.len()), ("run", 1));
    assert!(violations[0].starts_with("metadata/run: "), "{violations:?}");
    assert_eq!(bench.registry.package(&id).await.unwrap().status, Status::Uploading);
    let right = Finalize { metadata: Some(object(r#"{"run":"r-7"}"#)), ..tagged("v1") };
    bench.finalize("a", &id, right).await.unwrap();
    bench.check().await;
}

async fn a_finalize_that_is_repeated_returns_the_package(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    let package = bench.finalize("a", &id, tagged("v1")).await.unwrap();
    let before = bench.registry.last_sequence();
    for again in [tagged("v1"), Finalize::default()] {
        assert_eq!(bench.finalize("a", &id, again).await.unwrap(), package);
    }
    let other_class = Finalize { retention_class: Some("transient".to_owned()), ..Finalize::default() };
    let other_metadata = Finalize { metadata: Some(object(r#"{"a":1}"#)), ..Finalize::default() };
    for other in [tagged("v2"), other_class, other_metadata] {
        let refused = bench.finalize("a", &id, other).await;
        assert!(matches!(refused, Err(Error::PackageNotDraft { .. })), "{refused:?}");
    }
    assert_eq!(bench.registry.last_sequence(), before);
    // The same evidence is another package with the same manifest.
    let twin = bench.draft("a", Description::default()).await;
    bench.ingest("a", &twin, "x", b"one").await.unwrap();
    let twin = bench.finalize("a", &twin, tagged("v2")).await.unwrap();
    assert_eq!((&twin.reference, &twin.content_manifest), (&package.reference, &package.content_manifest));
    assert_ne!(twin.manifest_digest, package.manifest_digest);
    let named =
        bench.registry.packages_of(&name("a"), package.reference.as_ref().unwrap(), 10).await.unwrap();
    assert_eq!(named.len(), 2);
    bench.check().await;
}

async fn a_draft_that_nobody_touches_expires(on: On) {
    let bench = Bench::new(on).await;
    let [idle, busy] =
        [bench.draft("a", Description::default()).await, bench.draft("a", Description::default()).await];
    bench.ingest("a", &idle, "x", b"one").await.unwrap();
    bench.clock.advance(7 * 86_400 * SECOND - SECOND);
    bench.ingest("a", &busy, "x", b"two").await.unwrap();
    assert_eq!(bench.registry.sweep().await.unwrap().drafts, 0);
    bench.clock.advance(2 * SECOND);
    assert_eq!(bench.registry.sweep().await.unwrap().drafts, 1);
    assert_eq!(bench.registry.sweep().await.unwrap().drafts, 0);
    let failed = bench.registry.package(&idle).await.unwrap();
    assert_eq!((failed.status, failed.failure.as_deref()), (Status::Failed, Some("expired")));
    assert_eq!(bench.paths(&idle).await, [""; 0]);
    let late = bench.ingest("a", &idle, "y", b"late").await;
    assert!(matches!(late, Err(Error::PackageNotDraft { status: Status::Failed, .. })), "{late:?}");
    bench.finalize("a", &busy, Finalize::default()).await.unwrap();
    bench.clock.advance(365 * 86_400 * SECOND);
    assert_eq!(bench.registry.sweep().await.unwrap().drafts, 0, "what is finalized does not expire so");
    bench.check().await;
}

async fn what_is_given_up_lets_its_files_go(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    let kept = bench.delete_blob("a", &sha256(b"one")).await;
    assert!(matches!(kept, Err(Error::BlobInPackage { .. })), "{kept:?}");
    bench.abort("a", &id).await.unwrap();
    let before = bench.registry.last_sequence();
    bench.abort("a", &id).await.unwrap();
    assert_eq!(bench.registry.last_sequence(), before);
    let refused = bench.finalize("a", &id, Finalize::default()).await;
    assert!(matches!(refused, Err(Error::PackageNotDraft { .. })), "{refused:?}");
    bench.delete_blob("a", &sha256(b"one")).await.unwrap();
    bench.check().await;
}

async fn nothing_leaves_that_a_package_or_a_draft_needs(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    bench.ingest("a", &id, "y", b"two").await.unwrap();
    let package = bench.finalize("a", &id, tagged("v1")).await.unwrap();
    let kept = bench.delete_blob("a", &sha256(b"one")).await;
    assert!(matches!(kept, Err(Error::BlobInUse { .. })), "{kept:?}");
    let reference = package.reference.unwrap();
    let content = hash::digest(
        Algorithm::Blake3,
        &bench.registry.manifest(&name("a"), &"v1".parse().unwrap()).await.unwrap().bytes,
    );
    for digest in [&reference, &content] {
        match bench.delete_manifest("a", digest.as_str()).await {
            Err(Error::PackageKeeps { package, class, until, .. }) => {
                assert_eq!((package, class.as_str()), (id.clone(), "raw-evidence"));
                assert_eq!(until, package_until());
            }
            other => panic!("{other:?}"),
        }
    }
    // A tag is only a name.
    bench.delete_manifest("a", "v1").await.unwrap();
    assert_eq!(bench.download(&id, "x").await, b"one");
    bench.check().await;
}

fn package_until() -> Option<Micros> {
    Some((1_000_000 + 180 * 86_400) * SECOND)
}

async fn a_file_may_be_a_blob_that_is_held(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    let bytes = Bytes::from_static(b"held");
    let digest = sha512(&bytes);
    let push = async |repository: &str| {
        bench.registry.push_blob(&name(repository), Actor::anonymous(), &digest, whole(&bytes)).await.unwrap()
    };
    push("b").await;
    let ingest = async |path: &str, claimed: Option<Digest>| {
        let new = NewFile { claimed, ..new_file(path) };
        bench.registry.ingest_blob(&name("a"), Actor::anonymous(), &id, new, &digest).await
    };
    let elsewhere = ingest("x", None).await;
    assert!(
        matches!(elsewhere, Err(Error::BlobUnknown(_))),
        "another repository's is none of ours: {elsewhere:?}"
    );
    push("a").await;
    let file = ingest("x", Some(sha256(b"held"))).await.unwrap();
    assert_eq!((file.size, &file.sha256), (4, &sha256(b"held")));
    let wrong = ingest("y", Some(sha256(b"other"))).await;
    assert!(matches!(wrong, Err(Error::DigestMismatch { .. })), "{wrong:?}");
    assert!(matches!(ingest("x", None).await, Err(Error::FileExists { .. })));
    bench.finalize("a", &id, Finalize::default()).await.unwrap();
    bench.check().await;
}

async fn packages_are_listed_and_filtered(on: On) {
    let bench = Bench::new(on).await;
    let unknown = bench.registry.packages(&name("a"), &Filter::default(), "", 10).await;
    assert!(matches!(unknown, Err(Error::RepositoryUnknown(_))), "{unknown:?}");
    let mut ids = Vec::new();
    for n in 0..5u8 {
        let kind = Some(if n % 2 == 0 { "even" } else { "odd" }.to_owned());
        let id = bench.draft("a", Description { kind, ..Description::default() }).await;
        if n < 2 {
            bench.ingest("a", &id, "x", [b"0", b"1"][usize::from(n)]).await.unwrap();
            bench.finalize("a", &id, Finalize::default()).await.unwrap();
        }
        ids.push(id);
    }
    bench.draft("b", Description::default()).await;
    let mut sorted = ids.clone();
    sorted.sort();
    let list = async |filter: Filter, after: &str, limit| {
        let found = bench.registry.packages(&name("a"), &filter, after, limit).await.unwrap();
        found.into_iter().map(|package| package.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Filter::default(), "", 10).await, sorted);
    assert_eq!(list(Filter::default(), sorted[1].as_str(), 2).await, sorted[2..4]);
    let finalized = Filter { status: Some(Status::Finalized), ..Filter::default() };
    assert_eq!(list(finalized, "", 10).await.len(), 2);
    let even = Filter { kind: Some("even".to_owned()), ..Filter::default() };
    assert_eq!(list(even.clone(), "", 10).await.len(), 3);
    let classed = Filter { class: Some("raw-evidence".to_owned()), ..even };
    assert_eq!(list(classed, "", 10).await, [ids[0].clone()]);
    let reference = bench.registry.package(&ids[1]).await.unwrap().reference;
    let named = Filter { reference, ..Filter::default() };
    assert_eq!(list(named, "", 10).await, [ids[1].clone()]);
}

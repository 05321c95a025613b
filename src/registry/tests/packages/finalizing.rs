//! From a draft to a package, or back to the draft.

use super::*;

on_both![
    what_cannot_be_finalized_stays_a_draft,
    metadata_follows_the_schema_it_names,
    a_finalize_that_is_repeated_returns_the_package,
    a_finalize_that_fails_halfway_leaves_the_draft_as_it_was,
    what_arrives_while_a_draft_is_finalized_is_in_the_package,
    a_draft_that_never_rests_is_not_finalized,
];

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
    assert!(matches!(refused, Err(Error::ClassDenied(_))), "{refused:?}");
    let refused = bench.finalize("b", &id, tagged("v1")).await;
    assert!(matches!(refused, Err(Error::PackageUnknown(_))), "{refused:?}");
    bench.nothing_is_tagged("a").await;
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
        (r##"{"$ref":"#"}"##, "circle"),
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
    let listed = Registered { name: schema.name, digest: schema.digest, registered_at: schema.registered_at };
    assert_eq!(bench.registry.schemas("", 10).await.unwrap(), [listed]);

    let id = bench.draft("a", described(r#"{"run":7}"#)).await;
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    let refused = bench.finalize("a", &id, tagged("v1")).await.unwrap_err();
    let Error::MetadataInvalid { schema, violations } = &refused else { panic!("{refused:?}") };
    assert_eq!((schema.as_str(), violations.len()), ("run", 1));
    assert!(violations[0].starts_with("metadata/run: "), "{violations:?}");
    assert_eq!(bench.registry.package(&id).await.unwrap().status, Status::Uploading);
    let nested = Description { schema: Some("nested".to_owned()), ..Description::default() };
    register("nested", r##"{"additionalProperties":{"$ref":"#"}}"##).await.unwrap();
    let nested = bench.draft("a", Description { metadata: object(r#"{"a":{"a":{}}}"#), ..nested }).await;
    bench.ingest("a", &nested, "x", b"one").await.unwrap();
    bench.finalize("a", &nested, Finalize::default()).await.unwrap();
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

async fn a_finalize_that_fails_halfway_leaves_the_draft_as_it_was(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    let (draft, before) = (bench.registry.package(&id).await.unwrap(), bench.registry.last_sequence());
    for cause in [Cause::NoSpace, Cause::ReadOnly] {
        bench.backend.faults().fail(Op::Put, cause);
        let failed = bench.finalize("a", &id, tagged("v1")).await;
        assert!(matches!(failed, Err(Error::Data(_))), "{failed:?}");
        assert_eq!(bench.registry.package(&id).await.unwrap(), draft);
    }
    assert_eq!(bench.registry.last_sequence(), before);
    bench.finalize("a", &id, tagged("v1")).await.unwrap();
    bench.check().await;
}

async fn what_arrives_while_a_draft_is_finalized_is_in_the_package(on: On) {
    let bench = Arc::new(Bench::new(on).await);
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    let hold = bench.backend.faults().hold(Op::Put);
    let finalizing = {
        let (bench, id) = (Arc::clone(&bench), id.clone());
        tokio::spawn(async move { bench.finalize("a", &id, tagged("v1")).await })
    };
    // Its table is read, and its content manifest on the way.
    hold.reached().await;
    bench.ingest("a", &id, "y", b"two").await.unwrap();
    hold.release();
    let package = finalizing.await.unwrap().unwrap();
    assert_eq!(package.files, 2);
    let manifest = bench.manifest(&id).await;
    assert_eq!(manifest.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    bench.check().await;
}

async fn a_draft_that_never_rests_is_not_finalized(on: On) {
    let bench = Arc::new(Bench::new(on).await);
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x", b"0").await.unwrap();
    let mut hold = bench.backend.faults().hold(Op::Put);
    let finalizing = {
        let (bench, id) = (Arc::clone(&bench), id.clone());
        tokio::spawn(async move { bench.finalize("a", &id, tagged("v1")).await })
    };
    for content in [b"1", b"2", b"3", b"4", b"5"] {
        hold.reached().await;
        let new = NewFile { replace: true, ..new_file("x") };
        bench.put("a", &id, new, content).await.unwrap();
        let next = bench.backend.faults().hold(Op::Put);
        hold.release();
        hold = next;
    }
    let refused = finalizing.await.unwrap();
    assert!(matches!(refused, Err(Error::PackageChanged(_))), "{refused:?}");
    bench.backend.faults().disarm();
    assert_eq!(bench.registry.package(&id).await.unwrap().status, Status::Uploading);
    bench.nothing_is_tagged("a").await;
    bench.finalize("a", &id, tagged("v1")).await.unwrap();
    bench.check().await;
}

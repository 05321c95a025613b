//! What becomes of drafts, and of what they hold.

use super::*;
use crate::retention::Reason;

on_both![
    a_draft_becomes_a_package,
    a_draft_that_nobody_touches_expires,
    a_draft_does_not_expire_while_a_file_is_on_its_way,
    pages_end_where_producers_say_much,
    what_is_given_up_lets_its_files_go,
    nothing_leaves_that_a_package_or_a_draft_needs,
    packages_are_listed_and_filtered,
];

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

    let refused = bench.ingest("a/b", &id, "late", b"x").await;
    let status = Status::Finalized;
    assert!(matches!(&refused, Err(Error::PackageNotDraft { status: s, .. }) if *s == status), "{refused:?}");
    for refused in [bench.drop_file("a/b", &id, "empty").await, bench.abort("a/b", &id).await] {
        assert!(matches!(&refused, Err(Error::Protected(_))), "{refused:?}");
    }
    assert_eq!(
        bench.types(&id).await,
        [
            "v1.package.created",
            "v1.package.file_ingested",
            "v1.package.file_ingested",
            "v1.package.file_ingested",
            "v1.package.finalized",
            "v1.retention.resolved",
            "v1.retention.denied",
            "v1.retention.denied"
        ]
    );
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

async fn a_draft_does_not_expire_while_a_file_is_on_its_way(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    bench.clock.advance(7 * 86_400 * SECOND - SECOND);
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    let frames = stream::unfold(receive, async |mut receive| Some((receive.recv().await?, receive)));
    let (registry, draft) = (bench.registry.clone(), id.clone());
    let ingest = tokio::spawn(async move {
        registry.ingest_file(&name("a"), Actor::anonymous(), &draft, new_file("x"), Box::pin(frames)).await
    });
    let uploads = "SELECT COUNT(*) FROM uploads";
    while bench.db.operational().query(uploads, vec![]).await.unwrap()[0].integer(0) == 0 {
        tokio::task::yield_now().await;
    }
    bench.clock.advance(3600 * SECOND);
    assert_eq!(bench.registry.sweep().await.unwrap().drafts, 0);
    send.send(Ok(Bytes::from_static(b"late"))).unwrap();
    drop(send);
    ingest.await.unwrap().unwrap();
    assert_eq!(bench.download(&id, "x").await, b"late");
    bench.clock.advance(7 * 86_400 * SECOND + SECOND);
    assert_eq!(bench.registry.sweep().await.unwrap().drafts, 1, "nothing is on its way any more");
    bench.check().await;
}

async fn pages_end_where_producers_say_much(on: On) {
    let bench = Bench::new(on).await;
    let much = object(&format!(r#"{{"a":["{}","{}"]}}"#, "x".repeat(60_000), "y".repeat(60_000)));
    let mut ids = Vec::new();
    for n in 0..20 {
        let metadata = if n == 0 { Object::default() } else { much.clone() };
        ids.push(bench.draft("a", Description { metadata, ..Description::default() }).await);
    }
    ids.sort();
    let page = async |after: &str, limit| {
        let found = bench.registry.packages_page(&name("a"), &Filter::default(), after, limit).await.unwrap();
        (found.0.into_iter().map(|package| package.id).collect::<Vec<_>>(), found.1)
    };
    let (first, has_more) = page("", 100).await;
    assert!((8..=9).contains(&first.len()) && has_more, "{}", first.len());
    assert_eq!(first, ids[..first.len()]);
    let after = first.last().unwrap().as_str();
    assert_eq!(page(after, 3).await, (ids[first.len()..first.len() + 3].to_vec(), true));
    assert_eq!(page(ids[16].as_str(), 3).await, (ids[17..].to_vec(), false));
    assert_eq!(page(ids[16].as_str(), 2).await, (ids[17..19].to_vec(), true));
    assert_eq!(page(ids[19].as_str(), 100).await, (vec![], false));
    assert_eq!(page("", 0).await, (vec![], true));
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
    assert!(is_kept_by(&kept, &id), "{kept:?}");
    let reference = package.reference.unwrap();
    let content = hash::digest(
        Algorithm::Blake3,
        &bench.registry.manifest(&name("a"), &"v1".parse().unwrap()).await.unwrap().bytes,
    );
    for digest in [&reference, &content] {
        match bench.delete_manifest("a", digest.as_str()).await {
            Err(Error::Protected(protected)) => {
                let [Reason::Retained { by, class, until, .. }] = &protected.reasons[..] else {
                    panic!("{protected:?}")
                };
                assert_eq!((by.as_str(), class.as_str()), (id.as_str(), "raw-evidence"));
                assert_eq!(*until, Some((1_000_000 + 180 * 86_400) * SECOND));
            }
            other => panic!("{other:?}"),
        }
    }
    let last = bench.delete_manifest("a", "v1").await;
    assert!(is_kept_by(&last, &id), "the only name people know it by: {last:?}");
    let manifest = bench.registry.manifest(&name("a"), &"v1".parse().unwrap()).await.unwrap();
    let (v2, actor) = ("v2".parse().unwrap(), Actor::anonymous());
    bench.registry.push_manifest(&name("a"), actor, &v2, vec![], None, manifest.bytes).await.unwrap();
    bench.delete_manifest("a", "v1").await.unwrap();
    assert_eq!(bench.download(&id, "x").await, b"one");
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

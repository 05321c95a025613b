//! Files on their way into drafts.

use super::*;

on_both![
    a_file_is_replaced_only_when_asked_and_dropped,
    a_path_is_a_file_or_a_folder,
    two_hundred_files_arrive_at_once,
    what_a_client_claims_is_checked_and_the_draft_unharmed,
    a_file_may_be_a_blob_that_is_held,
    a_blob_became_a_file_at_the_path_of_a_folder,
];

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
                assert_eq!((f.as_str(), i.as_str()), (file, inside));
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
    bench.registry.submit(Actor::anonymous(), Record(link("x").into())).await.unwrap();
    let refused = bench.finalize("a", &id, Finalize::default()).await.unwrap_err();
    assert_eq!(refused.to_string(), "x is a file and also the folder of x/y");
    bench.drop_file("a", &id, "x").await.unwrap();
    bench.finalize("a", &id, Finalize::default()).await.unwrap();
}

async fn a_blob_became_a_file_at_the_path_of_a_folder(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x/y", b"1").await.unwrap();
    let mount = async |path: &str| {
        let (registry, actor) = (&bench.registry, Actor::anonymous());
        registry.ingest_blob(&name("a"), actor, &id, new_file(path), &sha256(b"1")).await
    };
    let before = bench.registry.last_sequence();
    for (path, file, inside) in [("x", "x", "x/y"), ("x/y/z", "x/y", "x/y/z")] {
        match mount(path).await {
            Err(Error::PathConflict { file: f, inside: i }) => {
                assert_eq!((f.as_str(), i.as_str()), (file, inside));
            }
            other => panic!("{path}: {other:?}"),
        }
    }
    assert!(matches!(mount("x/y").await, Err(Error::FileExists { .. })));
    assert_eq!(bench.registry.last_sequence(), before);
    mount("x/z").await.unwrap();
    assert_eq!(bench.paths(&id).await, ["x/y", "x/z"]);
    bench.finalize("a", &id, Finalize::default()).await.unwrap();
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

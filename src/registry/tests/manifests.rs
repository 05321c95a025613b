//! Manifests, tags and the lists.

use super::*;

#[tokio::test]
async fn a_manifest_comes_back_byte_for_byte_by_tag_and_by_digest() {
    let fixture = Fixture::new().await;
    let config = fixture.push("a", &pattern(10)).await;
    let mut bytes = image(&config, &[]).to_vec();
    bytes.extend(b" \n"); // nobody re-serialises it
    let bytes = Bytes::from(bytes);
    let pushed = fixture.put("a", "v1", &bytes).await.unwrap();
    assert_eq!((pushed.digest.clone(), pushed.tags.clone()), (sha256(&bytes), vec![tag("v1")]));
    let by_tag = fixture.get("a", "v1").await.unwrap();
    assert_eq!((&by_tag.bytes, by_tag.media_type.as_str()), (&bytes, media::OCI_IMAGE_MANIFEST));
    for digest in [sha256(&bytes), hash::digest(Algorithm::Blake3, &bytes)] {
        let found = fixture.get("a", digest.as_str()).await.unwrap();
        assert_eq!((found.digest, found.bytes), (digest, bytes.clone()));
    }
    assert!(matches!(fixture.get("b", pushed.digest.as_str()).await, Err(Error::ManifestUnknown(_))));
    assert!(matches!(fixture.get("a", "v2").await, Err(Error::ManifestUnknown(_))));
}

#[tokio::test]
async fn every_missing_blob_is_named_and_named_once() {
    let fixture = Fixture::new().await;
    let config = fixture.push("a", &pattern(10)).await;
    fixture.push("b", &pattern(20)).await; // of no use to a
    let missing = [sha256(&pattern(20)), sha256(b"1"), sha256(b"2")];
    let mut layers = missing.to_vec();
    layers.extend(missing.iter().cloned());
    let error = fixture.put("a", "v1", &image(&config, &layers)).await.unwrap_err();
    let Error::ReferencesUnknown(named) = error else { panic!("{error:?}") };
    assert_eq!(named, missing);
    let error = fixture.put("a", "v1", &image(&missing[1], &[])).await.unwrap_err();
    assert!(matches!(error, Error::ReferencesUnknown(_)));
    assert!(fixture.get("a", "v1").await.is_err());
}

#[tokio::test]
async fn a_sparse_index_is_accepted() {
    let fixture = Fixture::new().await;
    let child = fixture.push_image("a", "child", "x").await;
    let bytes = index_of(&[child.clone(), sha256(b"not here")]);
    fixture.put("a", "all", &bytes).await.unwrap();
    assert_eq!(fixture.get("a", "all").await.unwrap().bytes, bytes);
    fixture.check().await;
}

#[tokio::test]
async fn a_tag_moves_and_what_it_named_stays() {
    let fixture = Fixture::new().await;
    let first = fixture.push_image("a", "latest", "1").await;
    assert_eq!(fixture.get("a", "latest").await.unwrap().digest, first);
    let second = fixture.push_image("a", "latest", "2").await;
    assert_eq!(fixture.get("a", "latest").await.unwrap().digest, second);
    fixture.get("a", first.as_str()).await.unwrap();
    let before = fixture.registry.last_sequence();
    fixture.push_image("a", "latest", "2").await;
    assert_eq!(fixture.registry.last_sequence(), before, "a push that changes nothing records nothing");
    fixture.check().await;
}

#[tokio::test]
async fn a_push_by_digest_may_set_many_tags_each_once() {
    let fixture = Fixture::new().await;
    let config = fixture.push("a", &pattern(10)).await;
    let bytes = image(&config, &[]);
    let before = fixture.registry.last_sequence();
    let tags = ["x", "y", "x"].map(tag).to_vec();
    let (repository, reference) = (name("a"), sha512(&bytes).into());
    let push = async |tags| {
        let actor = Actor::system();
        fixture.registry.push_manifest(&repository, actor, &reference, tags, None, bytes.clone()).await
    };
    let pushed = push(tags).await.unwrap();
    assert_eq!((pushed.digest, pushed.tags), (sha512(&bytes), vec![tag("x"), tag("y")]));
    assert_eq!(fixture.registry.last_sequence() - before, 3);
    assert_eq!(fixture.get("a", "y").await.unwrap().digest, sha512(&bytes));
    fixture.get("a", sha256(&bytes).as_str()).await.unwrap();
    let many = (0..65).map(|n| tag(&format!("t{n}"))).collect();
    assert!(matches!(push(many).await, Err(Error::TooManyTags { limit: 64 })));
    fixture.check().await;
}

#[tokio::test]
async fn a_manifest_pushed_again_by_another_digest_is_known_by_both() {
    let fixture = Fixture::new().await;
    let config = fixture.push("a", &pattern(10)).await;
    let bytes = image(&config, &[]);
    fixture.put("a", "v1", &bytes).await.unwrap();
    assert!(fixture.get("a", sha512(&bytes).as_str()).await.is_ok(), "before anybody used it");
    fixture.put("a", sha512(&bytes).as_str(), &bytes).await.unwrap();
    for digest in [sha256(&bytes), sha512(&bytes)] {
        assert_eq!(fixture.get("a", digest.as_str()).await.unwrap().digest, digest);
    }
    assert_eq!(fixture.get("a", "v1").await.unwrap().digest, sha256(&bytes), "a tag keeps its digest");
    fixture.check().await;
}

#[tokio::test]
async fn what_is_not_a_manifest_or_too_large_or_misnamed_is_refused() {
    let fixture = Fixture::with(Options { max_manifest: 1000, ..Options::default() }).await;
    let error = fixture.put("a", "v1", &Bytes::from_static(b"{}")).await.unwrap_err();
    assert!(matches!(error, Error::ManifestInvalid(_)));
    let error = fixture.put("a", "v1", &pattern(1001)).await.unwrap_err();
    assert!(matches!(error, Error::ManifestTooLarge { limit: 1000 }));
    let config = fixture.push("a", &pattern(10)).await;
    let error = fixture.put("a", sha256(b"x").as_str(), &image(&config, &[])).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }));
    assert_eq!(fixture.count("SELECT COUNT(*) FROM manifest_contents").await, 0);
}

#[tokio::test]
async fn deleting_a_manifest_takes_its_tags_with_it() {
    let fixture = Fixture::new().await;
    let digest = fixture.push_image("a", "v1", "x").await;
    fixture.push_image("a", "v2", "x").await;
    let other = fixture.push_image("a", "other", "y").await;
    for reference in ["v1", "v2", digest.as_str()] {
        fixture.get("a", reference).await.unwrap();
    }
    fixture.remove("a", digest.as_str()).await.unwrap();
    for reference in ["v1", "v2", digest.as_str()] {
        assert!(matches!(fixture.get("a", reference).await, Err(Error::ManifestUnknown(_))), "{reference}");
    }
    assert_eq!(fixture.registry.tags(&name("a"), "", 10).await.unwrap(), (vec![tag("other")], false));
    assert!(matches!(fixture.remove("a", digest.as_str()).await, Err(Error::ManifestUnknown(_))));
    assert!(matches!(fixture.remove("a", "v1").await, Err(Error::TagUnknown(_))));
    assert!(matches!(fixture.remove("b", other.as_str()).await, Err(Error::ManifestUnknown(_))));
    fixture.push_image("a", "v1", "x").await;
    assert_eq!(fixture.get("a", "v1").await.unwrap().digest, digest);
    fixture.check().await;
}

#[tokio::test]
async fn a_deleted_tag_leaves_its_manifest() {
    let fixture = Fixture::new().await;
    let digest = fixture.push_image("a", "v1", "x").await;
    fixture.get("a", "v1").await.unwrap();
    fixture.remove("a", "v1").await.unwrap();
    assert!(matches!(fixture.get("a", "v1").await, Err(Error::ManifestUnknown(_))));
    fixture.get("a", digest.as_str()).await.unwrap();
}

#[tokio::test]
async fn tags_are_listed_in_the_order_of_their_bytes() {
    let fixture = Fixture::new().await;
    assert!(matches!(fixture.registry.tags(&name("a"), "", 10).await, Err(Error::RepositoryUnknown(_))));
    fixture.push("a", &pattern(1)).await;
    assert_eq!(fixture.registry.tags(&name("a"), "", 10).await.unwrap(), (vec![], false));
    for text in ["b", "B", "a", "_", "10", "9", "A.1"] {
        fixture.push_image("a", text, "x").await;
    }
    let sorted = ["10", "9", "A.1", "B", "_", "a", "b"].map(tag).to_vec();
    let list = async |last: &str, limit| fixture.registry.tags(&name("a"), last, limit).await.unwrap();
    assert_eq!(list("", 100).await, (sorted.clone(), false));
    assert_eq!(list("", 7).await, (sorted.clone(), false));
    assert_eq!(list("", 3).await, (sorted[..3].to_vec(), true));
    assert_eq!(list("A.1", 3).await, (sorted[3..6].to_vec(), true));
    assert_eq!(list("A", 2).await, (sorted[2..4].to_vec(), true), "after what is no tag");
    assert_eq!(list("b", 3).await, (vec![], false));
    assert_eq!(list("", 0).await, (vec![], true));
    assert_eq!(list("", usize::MAX).await, (sorted, false));
}

#[tokio::test]
async fn repositories_are_listed_in_the_order_of_their_bytes() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.registry.repositories("", 10).await.unwrap(), (vec![], false));
    for text in ["b", "a/b", "a-b", "a", "a0"] {
        fixture.push(text, &pattern(1)).await;
    }
    let sorted = ["a", "a-b", "a/b", "a0", "b"].map(name).to_vec();
    let list = async |last: &str, limit| fixture.registry.repositories(last, limit).await.unwrap();
    assert_eq!(list("", 10).await, (sorted.clone(), false));
    assert_eq!(list("a-b", 2).await, (sorted[2..4].to_vec(), true));
    assert_eq!(list("a0", 2).await, (sorted[4..].to_vec(), false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_told_of_a_write_never_sees_what_was_before_it() {
    let fixture = Arc::new(Fixture::new().await);
    let digests = [fixture.push_image("a", "x", "0").await, fixture.push_image("a", "x", "1").await];
    let config = |n: usize| sha256(format!("config {n}").as_bytes());
    let layer = |n: usize| sha256(format!("layer {n}").as_bytes());
    let readers = [(); 2].map(|()| {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move {
            for _ in 0..300 {
                fixture.get("a", "x").await.unwrap();
            }
        })
    });
    for n in (0..40).map(|n| n % 2) {
        fixture.put("a", "x", &image(&config(n), &[layer(n)])).await.unwrap();
        assert_eq!(fixture.get("a", "x").await.unwrap().digest, digests[n]);
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

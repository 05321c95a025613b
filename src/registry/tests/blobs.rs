//! Push, pull, mount, delete.

use super::*;
use crate::storage::testing::Fault;

#[tokio::test]
async fn what_was_pushed_is_pulled_by_any_digest() {
    for fixture in [Fixture::new().await, Fixture::on_disk().await] {
        for bytes in [pattern(0), pattern(1000), pattern(LARGE)] {
            let digest = fixture.push("a/b", &bytes).await;
            assert_eq!(fixture.pull("a/b", &digest).await.unwrap(), bytes);
            let blake3 = hash::digest(Algorithm::Blake3, &bytes);
            assert_eq!(fixture.pull("a/b", &blake3).await.unwrap(), bytes);
            assert!(matches!(fixture.pull("a/b", &sha512(&bytes)).await, Err(Error::BlobUnknown(_))));
        }
        assert_eq!((fixture.objects().await, fixture.leftovers().await), (3, 0));
        fixture.check().await;
    }
}

#[tokio::test]
async fn a_further_digest_becomes_known_when_somebody_pushes_by_it() {
    let fixture = Fixture::new().await;
    let bytes = pattern(LARGE);
    fixture.push("a", &bytes).await;
    fixture.push_as("b", &sha512(&bytes), &bytes).await.unwrap();
    for repository in ["a", "b"] {
        assert_eq!(fixture.pull(repository, &sha512(&bytes)).await.unwrap(), bytes);
        assert_eq!(fixture.pull(repository, &sha256(&bytes)).await.unwrap(), bytes);
    }
    assert_eq!(fixture.objects().await, 1);
    fixture.check().await;
}

#[tokio::test]
async fn the_same_content_is_stored_once() {
    let fixture = Fixture::new().await;
    for len in [1000, LARGE] {
        for repository in ["a", "a", "b"] {
            fixture.push(repository, &pattern(len)).await;
        }
    }
    assert_eq!((fixture.objects().await, fixture.leftovers().await), (2, 0));
    assert_eq!(fixture.registry.last_sequence(), 6, "stored, linked and linked, twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_pushes_of_the_same_content_leave_one_object() {
    for len in [1000, LARGE] {
        let fixture = Arc::new(Fixture::on_disk().await);
        let push = |n: usize| {
            let fixture = Arc::clone(&fixture);
            tokio::spawn(async move { fixture.push(["a", "b", "c"][n % 3], &pattern(len)).await })
        };
        for push in (0..16).map(push).collect::<Vec<_>>() {
            push.await.unwrap();
        }
        assert_eq!((fixture.objects().await, fixture.leftovers().await), (1, 0));
        for repository in ["a", "b", "c"] {
            assert_eq!(fixture.pull(repository, &sha256(&pattern(len))).await.unwrap(), pattern(len));
        }
        fixture.check().await;
    }
}

#[tokio::test]
async fn the_copy_that_came_second_goes_and_its_removal_may_fail() {
    let fixture = Arc::new(Fixture::new().await);
    let bytes = pattern(1000);
    let hold = fixture.faults.hold(Op::Put);
    let slow = Arc::clone(&fixture);
    let same = bytes.clone();
    let first = tokio::spawn(async move { slow.push("a", &same).await });
    hold.reached().await;
    fixture.push("b", &bytes).await;
    fixture.faults.fail(Op::Delete, Cause::Broken);
    hold.release();
    first.await.unwrap();
    assert_eq!(fixture.objects().await, 2, "one is garbage, and nobody's error");
    assert_eq!(fixture.pull("a", &sha256(&bytes)).await.unwrap(), bytes);
}

#[tokio::test]
async fn staged_bytes_that_cannot_be_removed_failed_a_push_that_was_done() {
    let fixture = Fixture::new().await;
    fixture.push("a", &pattern(LARGE)).await;
    fixture.faults.fail(Op::Unstage, Cause::Broken);
    fixture.push("b", &pattern(LARGE)).await;
    assert_eq!(fixture.objects().await, 1);
}

#[tokio::test]
async fn a_failed_push_leaves_nothing_and_can_be_repeated() {
    let fixture = Fixture::new().await;
    for (op, len) in [(Op::Put, 1000), (Op::Stage, LARGE), (Op::Append, LARGE), (Op::Publish, LARGE)] {
        let bytes = pattern(len);
        for fault in [Fault::Fail(Cause::NoSpace), Fault::LoseResponse(Cause::Broken)] {
            fixture.faults.arm(op, 1, fault);
            let error = fixture.push_as("a", &sha256(&bytes), &bytes).await.unwrap_err();
            assert!(matches!(error, Error::Data(_)), "{error:?}");
            assert_eq!((fixture.objects().await, fixture.leftovers().await), (0, 0), "{op:?}");
        }
        assert!(matches!(fixture.pull("a", &sha256(&bytes)).await, Err(Error::BlobUnknown(_))));
    }
    assert_eq!(fixture.registry.last_sequence(), 0);
    fixture.push("a", &pattern(LARGE)).await;
}

#[tokio::test]
async fn a_push_with_a_wrong_digest_or_too_many_bytes_or_too_few_leaves_nothing() {
    let fixture = Fixture::with(Options { max_blob: LARGE as u64, ..Options::default() }).await;
    for bytes in [pattern(10), pattern(LARGE)] {
        let wrong = sha256(b"something else");
        let error = fixture.push_as("a", &wrong, &bytes).await.unwrap_err();
        assert!(matches!(error, Error::DigestMismatch { .. }));
        let (repository, actor) = (name("a"), Actor::anonymous());
        let pushed =
            fixture.registry.push_blob(&repository, actor, &sha256(&bytes), broken_after(&bytes)).await;
        assert!(matches!(pushed, Err(Error::BodyBroken { received: 0, .. })));
    }
    let large = pattern(LARGE + 1);
    let error = fixture.push_as("a", &sha256(&large), &large).await.unwrap_err();
    assert!(matches!(error, Error::BlobTooLarge { limit } if limit == LARGE as u64));
    assert_eq!((fixture.objects().await, fixture.leftovers().await), (0, 0));
    assert_eq!(fixture.registry.last_sequence(), 0);
}

#[tokio::test]
async fn a_client_that_went_away_left_its_staged_bytes() {
    let fixture = Fixture::new().await;
    let (feed, body) = fed();
    let (repository, digest) = (name("a"), sha256(b"x"));
    let mut push = Box::pin(fixture.registry.push_blob(&repository, Actor::anonymous(), &digest, body));
    feed.send(pattern(LARGE));
    while fixture.leftovers().await == 0 {
        assert!(futures_util::poll!(&mut push).is_pending());
        tokio::task::yield_now().await;
    }
    drop(push);
    feed.break_off();
    while fixture.leftovers().await > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_range_of_a_blob_is_read() {
    let fixture = Fixture::new().await;
    let digest = fixture.push("a", &pattern(LARGE)).await;
    let blob = fixture.registry.blob(&name("a"), &digest).await.unwrap();
    assert_eq!(blob.size, LARGE as u64);
    let object = fixture.registry.open_blob(&blob, Some(ByteRange { start: 5, end: 700_000 })).await.unwrap();
    assert_eq!(collect(object.body).await.unwrap(), pattern(LARGE)[5..700_000]);
}

#[tokio::test]
async fn knowing_a_digest_grants_nothing() {
    let fixture = Fixture::new().await;
    let digest = fixture.push("secret", &pattern(10)).await;
    assert!(matches!(fixture.pull("public", &digest).await, Err(Error::BlobUnknown(_))));
    assert!(matches!(fixture.delete("public", &digest).await, Err(Error::BlobUnknown(_))));
}

#[tokio::test]
async fn damage_is_not_absence() {
    let fixture = Fixture::new().await;
    let digest = fixture.push("a", &pattern(10)).await;
    let key = fixture.backend.list("", None, 1).await.unwrap().objects.remove(0).key;
    fixture.backend.delete(&key, None).await.unwrap();
    assert!(matches!(
        fixture.pull("a", &digest).await,
        Err(Error::Data(crate::dataplane::Error::Missing { .. }))
    ));
}

async fn mount(fixture: &Fixture, to: &str, digest: &Digest, from: Option<&str>) -> bool {
    let from = from.map(name);
    let mounted = fixture.registry.mount_blob(&name(to), Actor::anonymous(), digest, from.as_ref()).await;
    mounted.unwrap().is_some()
}

#[tokio::test]
async fn a_blob_is_mounted_from_a_repository_that_holds_it() {
    let fixture = Fixture::new().await;
    let bytes = pattern(10);
    let digest = fixture.push_as("a", &sha512(&bytes), &bytes).await.unwrap().digest;
    assert!(!mount(&fixture, "b", &digest, Some("c")).await, "c does not hold it");
    assert!(!mount(&fixture, "b", &sha256(b"unknown"), Some("a")).await);
    assert!(!mount(&fixture, "b", &sha256(b"unknown"), None).await);
    assert!(fixture.pull("b", &digest).await.is_err());
    assert!(mount(&fixture, "b", &digest, Some("a")).await);
    assert!(mount(&fixture, "b", &digest, Some("a")).await, "again, which changes nothing");
    assert!(mount(&fixture, "c", &sha256(&bytes), None).await, "whoever holds it");
    for repository in ["b", "c"] {
        assert_eq!(fixture.pull(repository, &digest).await.unwrap(), bytes);
    }
    assert_eq!(fixture.objects().await, 1);
    assert_eq!(fixture.registry.last_sequence(), 4);
    fixture.check().await;
}

#[tokio::test]
async fn a_blob_no_repository_holds_any_more_is_not_mounted() {
    let fixture = Fixture::new().await;
    let digest = fixture.push("a", &pattern(10)).await;
    fixture.delete("a", &digest).await.unwrap();
    assert!(!mount(&fixture, "b", &digest, Some("a")).await);
    assert!(!mount(&fixture, "b", &digest, None).await);
}

#[tokio::test]
async fn a_deleted_blob_is_gone_here_and_nowhere_else() {
    let fixture = Fixture::new().await;
    let digest = fixture.push("a", &pattern(10)).await;
    fixture.push("b", &pattern(10)).await;
    fixture.pull("a", &digest).await.unwrap(); // an answer to forget
    fixture.delete("a", &digest).await.unwrap();
    assert!(matches!(fixture.pull("a", &digest).await, Err(Error::BlobUnknown(_))));
    assert!(matches!(fixture.delete("a", &digest).await, Err(Error::BlobUnknown(_))));
    fixture.pull("b", &digest).await.unwrap();
    fixture.push("a", &pattern(10)).await;
    fixture.pull("a", &digest).await.unwrap();
    assert_eq!(fixture.objects().await, 1);
    fixture.check().await;
}

#[tokio::test]
async fn a_blob_that_a_manifest_names_is_not_deleted_until_the_manifest_is_and_its_pushed_digest_is_told() {
    let fixture = Fixture::new().await;
    let config = fixture.push("a", &pattern(10)).await;
    let layer = fixture.push("a", &pattern(20)).await;
    let manifest =
        fixture.put("a", "v1", &image(&config, std::slice::from_ref(&layer))).await.unwrap().digest;
    for blob in [&config, &layer] {
        let error = fixture.delete("a", blob).await.unwrap_err();
        let Error::BlobInUse { blob: named, manifest: by } = &error else { panic!("{error:?}") };
        assert_eq!((named, by), (blob, &manifest), "{error}");
    }
    fixture.remove("a", "v1").await.unwrap(); // the tag only
    assert!(matches!(fixture.delete("a", &layer).await, Err(Error::BlobInUse { .. })));
    fixture.remove("a", manifest.as_str()).await.unwrap();
    for blob in [&config, &layer] {
        fixture.delete("a", blob).await.unwrap();
    }
    fixture.check().await;
}

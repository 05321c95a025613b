//! Resumable uploads.

use super::*;
use crate::events::Actor;
use crate::oci::ContentRange;

impl Fixture {
    async fn begin(&self) -> Upload {
        self.registry.begin_upload(&name("a"), Actor::anonymous(), None).await.unwrap()
    }

    async fn append(&self, upload: &Upload, range: Option<&str>, bytes: &Bytes) -> Result<u64, Error> {
        let range = range.map(|text| ContentRange::parse(text).unwrap());
        Ok(self.registry.append_upload(upload.clone(), range, whole(bytes)).await?.received)
    }

    async fn finish(&self, upload: &Upload, bytes: &Bytes) -> Result<PushedBlob, Error> {
        self.registry.finish_upload(upload.clone(), sha256(bytes), None, empty()).await
    }

    async fn progress(&self, upload: &Upload) -> Result<u64, Error> {
        Ok(self.registry.upload_progress(upload).await?.received)
    }

    async fn cancel(&self, upload: &Upload) -> Result<(), Error> {
        self.registry.cancel_upload(upload.clone()).await
    }
}

fn is_unknown<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::UploadUnknown(_)))
}

/// Runs everything that can run without the future that is waited for.
async fn stand_still<T>(future: &mut (impl Future<Output = T> + Unpin)) {
    for _ in 0..200 {
        assert!(futures_util::poll!(&mut *future).is_pending());
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
}

#[tokio::test]
async fn an_upload_in_chunks_becomes_a_blob() {
    for fixture in [Fixture::new().await, Fixture::on_disk().await, Fixture::in_a_bucket().await] {
        let bytes = pattern(3 * LARGE);
        for cuts in [vec![0], vec![10, 20], vec![LARGE, LARGE + 1, 2 * LARGE]] {
            let upload = fixture.begin().await;
            let mut at = 0;
            for end in cuts {
                assert_eq!(fixture.append(&upload, None, &bytes.slice(at..end)).await.unwrap(), end as u64);
                assert_eq!(fixture.progress(&upload).await.unwrap(), end as u64);
                at = end;
            }
            let rest = whole(&bytes.slice(at..));
            fixture.registry.finish_upload(upload.clone(), sha256(&bytes), None, rest).await.unwrap();
            assert!(is_unknown(&fixture.progress(&upload).await));
        }
        assert_eq!(fixture.pull("a", &sha256(&bytes)).await.unwrap(), bytes);
        assert_eq!((fixture.objects().await, fixture.leftovers().await), (1, 0));
        fixture.check().await;
    }
}

#[tokio::test]
async fn a_digest_of_another_algorithm_is_hashed_on_the_way_or_at_the_end() {
    for fixture in [Fixture::new().await, Fixture::in_a_bucket().await] {
        for (begun, len) in [(Some(Algorithm::Sha512), LARGE), (None, LARGE + 1), (None, 5)] {
            let upload = fixture.registry.begin_upload(&name("a"), Actor::anonymous(), begun).await.unwrap();
            let bytes = pattern(len);
            fixture.append(&upload, None, &bytes).await.unwrap();
            fixture.registry.finish_upload(upload, sha512(&bytes), None, empty()).await.unwrap();
            assert_eq!(fixture.pull("a", &sha512(&bytes)).await.unwrap(), bytes);
        }
    }
}

#[tokio::test]
async fn a_chunk_that_does_not_continue_is_refused_and_changes_nothing() {
    for fixture in [Fixture::new().await, Fixture::in_a_bucket().await] {
        let bytes = pattern(100);
        let upload = fixture.begin().await;
        fixture.append(&upload, Some("0-39"), &bytes.slice(..40)).await.unwrap();
        for range in ["0-39", "41-80", "39-99"] {
            let error = fixture.append(&upload, Some(range), &bytes.slice(..1)).await.unwrap_err();
            assert!(matches!(error, Error::UploadOutOfOrder { received: 40 }), "{error:?}");
        }
        assert_eq!(fixture.append(&upload, Some("40-99"), &bytes.slice(40..)).await.unwrap(), 100);
        fixture.finish(&upload, &bytes).await.unwrap();
    }
}

#[tokio::test]
async fn a_chunk_of_another_length_than_its_range_leaves_the_offset() {
    for fixture in [Fixture::new().await, Fixture::in_a_bucket().await] {
        let bytes = pattern(2 * LARGE);
        for start in [0, 10, LARGE] {
            let upload = fixture.begin().await;
            fixture.append(&upload, None, &bytes.slice(..start)).await.unwrap();
            for actual in [LARGE - 1, 10, 0] {
                let range = format!("{start}-{}", start + LARGE - 1);
                let chunk = bytes.slice(start..start + actual);
                let error = fixture.append(&upload, Some(&range), &chunk).await.unwrap_err();
                assert!(matches!(error, Error::ChunkSize { .. }), "{error:?}");
                assert_eq!(fixture.progress(&upload).await.unwrap(), start as u64);
            }
            fixture.append(&upload, None, &bytes.slice(start..)).await.unwrap();
            fixture.finish(&upload, &bytes).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_arrived_of_a_broken_body_is_kept() {
    for fixture in [Fixture::new().await, Fixture::in_a_bucket().await] {
        let bytes = pattern(2 * LARGE);
        for at in [0, 7, LARGE] {
            let upload = fixture.begin().await;
            let broken = broken_after(&bytes.slice(..at));
            let error = fixture.registry.append_upload(upload.clone(), None, broken).await.unwrap_err();
            assert!(
                matches!(error, Error::BodyBroken { received, .. } if received == at as u64),
                "{error:?}"
            );
            assert_eq!(fixture.progress(&upload).await.unwrap(), at as u64);
            let broken = broken_after(&bytes.slice(at..at + 5));
            let finish = fixture.registry.finish_upload(upload.clone(), sha256(&bytes), None, broken).await;
            assert!(matches!(finish, Err(Error::BodyBroken { received, .. }) if received == at as u64 + 5));
            fixture.append(&upload, None, &bytes.slice(at + 5..)).await.unwrap();
            fixture.finish(&upload, &bytes).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_client_that_went_away_finds_what_it_sent() {
    for fixture in [Fixture::new().await, Fixture::in_a_bucket().await] {
        let bytes = pattern(LARGE);
        let upload = fixture.begin().await;
        let (feed, body) = fed();
        let mut append = Box::pin(fixture.registry.append_upload(upload.clone(), None, body));
        feed.send(bytes.slice(..1000));
        stand_still(&mut append).await;
        drop(append);
        // Whoever asks waits for the request that is about to notice.
        let mut asked = Box::pin(fixture.progress(&upload));
        stand_still(&mut asked).await;
        feed.break_off();
        assert_eq!(asked.await.unwrap(), 1000);
        fixture.append(&upload, Some("1000-1200000"), &bytes.slice(1000..)).await.unwrap();
        fixture.finish(&upload, &bytes).await.unwrap();
    }
}

#[tokio::test]
async fn two_writers_on_one_session_never_interleave() {
    for fixture in [Fixture::new().await, Fixture::in_a_bucket().await] {
        let bytes = pattern(LARGE);
        let upload = fixture.begin().await;
        let (feed, body) = fed();
        let mut first = Box::pin(fixture.registry.append_upload(upload.clone(), None, body));
        feed.send(bytes.slice(..600_000));
        stand_still(&mut first).await;
        let other = pattern(50);
        let mut blind = Box::pin(fixture.append(&upload, None, &other));
        stand_still(&mut blind).await;
        drop(feed);
        assert_eq!(first.await.unwrap().received, 600_000);
        // It did not know where the upload stands by now.
        assert!(matches!(blind.await, Err(Error::UploadOutOfOrder { received: 600_000 })));
        // One that does know may wait.
        let (feed, body) = fed();
        let mut second = Box::pin(fixture.registry.append_upload(upload.clone(), None, body));
        stand_still(&mut second).await;
        let rest = bytes.slice(700_000..);
        let mut knowing = Box::pin(fixture.append(&upload, Some("700000-1200000"), &rest));
        stand_still(&mut knowing).await;
        feed.send(bytes.slice(600_000..700_000));
        drop(feed);
        second.await.unwrap();
        assert_eq!(knowing.await.unwrap(), LARGE as u64);
        fixture.finish(&upload, &bytes).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writers_at_one_offset_one_wins() {
    let fixture = Arc::new(Fixture::on_disk().await);
    let upload = fixture.begin().await;
    let chunk = |writer: u8, round: usize| Bytes::from(vec![writer; 1000 + round]);
    let (mut at, mut expected) = (0, Vec::new());
    for round in 0..10 {
        let end = at + 1000 + round;
        let writers = (0..6_u8).map(|writer| {
            let (fixture, upload) = (Arc::clone(&fixture), upload.clone());
            let range = format!("{at}-{}", end - 1);
            tokio::spawn(async move {
                fixture.append(&upload, Some(&range), &chunk(writer, round)).await.is_ok().then_some(writer)
            })
        });
        let mut winners = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            winners.extend(writer.await.unwrap());
        }
        assert_eq!(winners.len(), 1);
        expected.extend(chunk(winners[0], round));
        at = end;
    }
    let expected = Bytes::from(expected);
    fixture.finish(&upload, &expected).await.unwrap();
    assert_eq!(fixture.pull("a", &sha256(&expected)).await.unwrap(), expected);
}

#[tokio::test]
async fn a_writer_whose_claim_ran_out_was_believed() {
    for (len, close) in [(10, false), (LARGE, false), (10, true), (LARGE, true)] {
        let fixture = Fixture::new().await;
        let upload = fixture.begin().await;
        let (feed, body) = fed();
        let (stale, fresh) = (pattern(len), Bytes::from(vec![7; len]));
        let registry = fixture.registry.clone();
        let (theirs, digest) = (upload.clone(), sha256(&stale));
        let mut first: std::pin::Pin<Box<dyn Future<Output = Result<(), Error>>>> = Box::pin(async move {
            if close {
                registry.finish_upload(theirs, digest, None, body).await.map(drop)
            } else {
                registry.append_upload(theirs, None, body).await.map(drop)
            }
        });
        feed.send(stale.clone());
        stand_still(&mut first).await;
        fixture.clock.advance(61 * SECOND); // the process stood still
        assert_eq!(fixture.append(&upload, None, &fresh).await.unwrap(), len as u64);
        drop(feed);
        let error = first.await.unwrap_err();
        assert!(matches!(error, Error::UploadOutOfOrder { received } if received == len as u64), "{error:?}");
        // Same length, other bytes: a hash state kept for the wrong ones would show here.
        fixture.finish(&upload, &fresh).await.unwrap();
        assert_eq!(fixture.pull("a", &sha256(&fresh)).await.unwrap(), fresh);
        assert!(fixture.pull("a", &sha256(&stale)).await.is_err());
    }
}

#[tokio::test]
async fn a_session_is_unknown_to_anybody_else() {
    let fixture = Fixture::new().await;
    let upload = fixture.begin().await;
    let elsewhere = Upload { repository: name("b"), ..upload.clone() };
    let somebody = Upload { actor: Actor::system(), ..upload.clone() };
    let nowhere = Upload { id: crate::oci::UploadId::from_random([1; 20]), ..upload.clone() };
    let bytes = pattern(10);
    for other in [elsewhere, somebody, nowhere] {
        assert!(is_unknown(&fixture.progress(&other).await));
        assert!(is_unknown(&fixture.append(&other, None, &bytes).await));
        assert!(is_unknown(&fixture.finish(&other, &bytes).await));
        assert!(is_unknown(&fixture.cancel(&other).await));
    }
    fixture.append(&upload, None, &bytes).await.unwrap();
    fixture.finish(&upload, &bytes).await.unwrap();
}

#[tokio::test]
async fn a_close_that_is_repeated_succeeds_again() {
    for fixture in [Fixture::new().await, Fixture::in_a_bucket().await] {
        let bytes = pattern(10);
        let upload = fixture.begin().await;
        fixture.append(&upload, None, &bytes).await.unwrap();
        for _ in 0..3 {
            fixture.finish(&upload, &bytes).await.unwrap();
        }
        assert_eq!(fixture.registry.last_sequence(), 2);
        assert!(is_unknown(&fixture.finish(&upload, &pattern(11)).await), "another digest is another upload");
        assert!(is_unknown(&fixture.append(&upload, None, &bytes).await));
        assert!(is_unknown(&fixture.cancel(&upload).await));
        fixture.delete("a", &sha256(&bytes)).await.unwrap();
        assert!(fixture.finish(&upload, &bytes).await.is_err(), "the blob is gone by now");
    }
}

#[tokio::test]
async fn a_close_with_the_wrong_digest_ends_the_upload_and_leaves_nothing() {
    for fixture in [Fixture::new().await, Fixture::in_a_bucket().await] {
        for len in [10, LARGE] {
            let upload = fixture.begin().await;
            fixture.append(&upload, None, &pattern(len)).await.unwrap();
            let error = fixture.finish(&upload, &pattern(len + 1)).await.unwrap_err();
            assert!(matches!(error, Error::DigestMismatch { .. }));
            assert!(is_unknown(&fixture.progress(&upload).await));
            assert_eq!((fixture.objects().await, fixture.leftovers().await), (0, 0));
        }
    }
}

#[tokio::test]
async fn a_cancelled_upload_is_gone_with_its_bytes() {
    let fixture = Fixture::on_disk().await;
    let upload = fixture.begin().await;
    fixture.append(&upload, None, &pattern(10)).await.unwrap();
    assert_eq!(fixture.leftovers().await, 1);
    fixture.cancel(&upload).await.unwrap();
    assert_eq!(fixture.leftovers().await, 0);
    assert!(is_unknown(&fixture.progress(&upload).await));
    assert!(is_unknown(&fixture.cancel(&upload).await));
}

#[tokio::test]
async fn cancelling_an_upload_that_was_in_use_was_refused() {
    let fixture = Fixture::new().await;
    let upload = fixture.begin().await;
    let (feed, body) = fed();
    let mut append = Box::pin(fixture.registry.append_upload(upload.clone(), None, body));
    feed.send(pattern(LARGE));
    stand_still(&mut append).await;
    let mut cancel = Box::pin(fixture.cancel(&upload));
    stand_still(&mut cancel).await;
    drop(feed);
    append.await.unwrap();
    cancel.await.unwrap();
    assert_eq!(fixture.leftovers().await, 0);
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    goes_on_after_a_restart(Fixture::on_disk().await).await;
    goes_on_after_a_restart(Fixture::in_a_bucket().await).await;
}

async fn goes_on_after_a_restart(mut fixture: Fixture) {
    let bytes = pattern(2 * LARGE);
    let upload = fixture.begin().await;
    fixture.append(&upload, None, &bytes.slice(..LARGE)).await.unwrap();
    fixture.restart().await; // no hash state survives
    assert_eq!(fixture.progress(&upload).await.unwrap(), LARGE as u64);
    fixture.append(&upload, Some("1200001-1200010"), &bytes.slice(LARGE..LARGE + 10)).await.unwrap();
    fixture.restart().await;
    fixture.append(&upload, None, &bytes.slice(LARGE + 10..)).await.unwrap();
    fixture.finish(&upload, &bytes).await.unwrap();
    assert_eq!(fixture.pull("a", &sha256(&bytes)).await.unwrap(), bytes);
    fixture.restart().await;
    fixture.finish(&upload, &bytes).await.unwrap();
    fixture.check().await;
}

#[tokio::test]
async fn a_claim_of_an_earlier_process_is_void() {
    let fixture = Fixture::new().await;
    let upload = fixture.begin().await;
    let (feed, body) = fed();
    let mut append = Box::pin(fixture.registry.append_upload(upload.clone(), None, body));
    feed.send(pattern(10));
    stand_still(&mut append).await;
    // As after a kill: another process opens the same files, and nobody released anything.
    let (_db, next) = open(&fixture.dir, &fixture.backend, &fixture.clock, &fixture.options).await;
    let bytes = pattern(20);
    assert_eq!(next.append_upload(upload.clone(), None, whole(&bytes)).await.unwrap().received, 20);
    next.finish_upload(upload, sha256(&bytes), None, empty()).await.unwrap();
}

#[tokio::test]
async fn a_blob_over_the_limit_names_the_limit() {
    let limit = LARGE as u64;
    let fixture = Fixture::with(Options { max_blob: limit, ..Options::default() }).await;
    let upload = fixture.begin().await;
    fixture.append(&upload, None, &pattern(LARGE - 5)).await.unwrap();
    let error = fixture.append(&upload, None, &pattern(6)).await.unwrap_err();
    assert!(matches!(error, Error::BlobTooLarge { limit: told } if told == limit), "{error:?}");
    assert_eq!(fixture.append(&upload, None, &pattern(5)).await.unwrap(), limit);
}

#[tokio::test]
async fn a_failing_storage_leaves_the_upload_where_it_stood() {
    for start in [0, 10, LARGE] {
        let fixture = Fixture::new().await;
        let bytes = pattern(start + LARGE);
        let upload = fixture.begin().await;
        fixture.append(&upload, None, &bytes.slice(..start)).await.unwrap();
        let ops = if start == 0 { [Op::Stage, Op::Append] } else { [Op::Resume, Op::Append] };
        for op in ops {
            fixture.faults.fail(op, Cause::NoSpace);
            let error = fixture.append(&upload, None, &bytes.slice(start..)).await.unwrap_err();
            assert!(matches!(error, Error::Data(_)), "{error:?}");
            assert_eq!(fixture.progress(&upload).await.unwrap(), start as u64);
        }
        fixture.append(&upload, None, &bytes.slice(start..)).await.unwrap();
        fixture.finish(&upload, &bytes).await.unwrap();
    }
}

#[tokio::test]
async fn a_failing_removal_kept_the_claim_for_a_minute() {
    for fixture in [Fixture::new().await, Fixture::in_a_bucket().await] {
        let upload = fixture.begin().await;
        fixture.faults.fail(Op::Append, Cause::NoSpace);
        fixture.faults.fail(Op::Unstage, Cause::Broken);
        assert!(fixture.append(&upload, None, &pattern(LARGE)).await.is_err());
        let bytes = pattern(LARGE);
        fixture.append(&upload, Some("0-1200000"), &bytes).await.unwrap();
        fixture.finish(&upload, &bytes).await.unwrap();
    }
}

#[tokio::test]
async fn a_close_that_fails_ends_the_upload_and_leaves_nothing() {
    for (op, len) in [(Op::Publish, LARGE), (Op::ReadStaged, LARGE), (Op::Put, 10)] {
        let fixture = Fixture::new().await;
        let upload = fixture.begin().await;
        let bytes = pattern(len);
        fixture.faults.fail(op, Cause::Broken);
        let body = whole(&bytes);
        let finish = fixture.registry.finish_upload(upload.clone(), sha512(&bytes), None, body).await;
        assert!(matches!(finish, Err(Error::Data(_))), "{op:?} {finish:?}");
        assert_eq!((fixture.objects().await, fixture.leftovers().await), (0, 0), "{op:?}");
        assert!(is_unknown(&fixture.progress(&upload).await));
        assert_eq!(fixture.registry.last_sequence(), 0);
    }
}

#[tokio::test]
async fn an_upload_whose_bytes_did_not_survive_is_unknown() {
    for fixture in [Fixture::new().await, Fixture::in_a_bucket().await] {
        let upload = fixture.begin().await;
        fixture.append(&upload, None, &pattern(10)).await.unwrap();
        fixture.backend.unstage(&upload.staging()).await.unwrap();
        assert!(is_unknown(&fixture.append(&upload, None, &pattern(10)).await));
        assert!(is_unknown(&fixture.progress(&upload).await));
    }
}

#[tokio::test]
async fn an_upload_of_content_that_is_there_adds_no_object() {
    for fixture in [Fixture::new().await, Fixture::in_a_bucket().await] {
        let bytes = pattern(LARGE);
        fixture.push("b", &bytes).await;
        let upload = fixture.begin().await;
        fixture.append(&upload, None, &bytes).await.unwrap();
        fixture.finish(&upload, &bytes).await.unwrap();
        assert_eq!((fixture.objects().await, fixture.leftovers().await), (1, 0));
        fixture.pull("a", &sha256(&bytes)).await.unwrap();
    }
}

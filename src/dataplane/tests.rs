//! Content addressing over real backends, and over ones that fail.

use std::path::PathBuf;

use futures_util::{StreamExt as _, stream};
use proptest::prelude::*;
use sha2::Digest as _;
use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::hash;
use crate::storage::testing::{Cause, Ending, Fault, Faults, Faulty, Op, Unreadable, collect, pattern};
use crate::storage::{Local, Memory};

/// More than one piece, not a multiple of anything.
const LARGE: usize = 1_700_001;

struct Plane {
    data: DataPlane,
    backend: Faulty,
    faults: Faults,
}

fn plane() -> Plane {
    over(Arc::new(Memory::new()))
}

fn over(backend: Arc<dyn Backend>) -> Plane {
    let backend = Faulty::new(backend);
    Plane { data: DataPlane::new(Arc::new(backend.clone())), faults: backend.faults(), backend }
}

impl Plane {
    async fn objects(&self) -> usize {
        self.backend.list("", None, 1000).await.unwrap().objects.len()
    }

    async fn leftovers(&self) -> usize {
        self.backend.leftovers(1000).await.unwrap().len()
    }

    async fn is_empty(&self) -> bool {
        self.objects().await == 0 && self.leftovers().await == 0
    }

    async fn seal(&self, bytes: &Bytes, claimed: Algorithm) -> Result<Sealed, Error> {
        let mut ingest = self.data.ingest(id(), None);
        match ingest.append(&mut whole(bytes), u64::MAX).await {
            Ok(_) => ingest.seal(&hash::digest(claimed, bytes)).await,
            Err(error) => {
                ingest.discard().await?;
                Err(error)
            }
        }
    }

    async fn store(&self, bytes: &Bytes) -> Result<Stored, Error> {
        self.seal(bytes, Algorithm::Sha256).await?.publish().await
    }
}

fn id() -> StagingId {
    "upload".parse().unwrap()
}

fn body(parts: Vec<Result<Bytes, ClientError>>) -> Body {
    Box::pin(stream::iter(parts))
}

/// In frames as a network gives them.
fn whole(bytes: &Bytes) -> Body {
    let frames = bytes.chunks(16 * 1024 - 1).map(|frame| Ok(bytes.slice_ref(frame))).collect();
    body(frames)
}

fn broken_after(bytes: &Bytes) -> Body {
    Box::pin(whole(bytes).chain(stream::iter([Err(ClientError("reset".to_owned()))])))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat()
}

fn check_digests(digests: &digester::Digests, bytes: &[u8]) -> Result<(), TestCaseError> {
    let of = |algorithm| digests.get(algorithm).unwrap().hex().to_owned();
    prop_assert_eq!(of(Algorithm::Sha256), hex(&sha2::Sha256::digest(bytes)));
    prop_assert_eq!(of(Algorithm::Blake3), blake3::hash(bytes).to_hex().to_string());
    if let Some(sha512) = digests.get(Algorithm::Sha512) {
        prop_assert_eq!(sha512.hex(), hex(&sha2::Sha512::digest(bytes)));
    }
    Ok(())
}

fn proptest_async(config: ProptestConfig) -> (ProptestConfig, tokio::runtime::Runtime) {
    (config, tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap())
}

#[test]
fn both_digests_are_right_however_the_bytes_arrive() {
    let (config, runtime) = proptest_async(ProptestConfig::with_cases(48));
    let all = pattern(LARGE);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..12);
    let extra = prop::sample::select(vec![None, Some(Algorithm::Sha512), Some(Algorithm::Blake3)]);
    proptest!(config, |(len in 0..LARGE, cuts in cuts, extra in extra)| {
        runtime.block_on(async {
            let plane = plane();
            let bytes = all.slice(..len);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).chain([0, len]).collect();
            at.sort_unstable();
            let parts = at.windows(2).map(|pair| Ok(bytes.slice(pair[0]..pair[1]))).collect();
            let mut ingest = plane.data.ingest(id(), extra);
            let received = ingest.append(&mut body(parts), u64::MAX).await.unwrap();
            prop_assert_eq!(received.length, len as u64);
            let sealed = ingest.seal(&hash::digest(Algorithm::Sha256, &bytes)).await.unwrap();
            check_digests(&sealed.digests, &bytes)?;
            prop_assert_eq!(sealed.digests.get(Algorithm::Sha512).is_some(), extra == Some(Algorithm::Sha512));
            let stored = sealed.publish().await.unwrap();
            let object = plane.data.open(&stored.location, None).await.unwrap();
            prop_assert_eq!(collect(object.body).await.unwrap(), &bytes[..]);
            prop_assert_eq!(plane.leftovers().await, 0);
            Ok(())
        })?;
    });
}

#[test]
fn an_upload_in_pieces_has_the_digests_of_one_in_one_piece_with_and_without_kept_state() {
    let (config, runtime) = proptest_async(ProptestConfig::with_cases(32));
    let all = pattern(LARGE);
    let piece = (1..700_000_usize, any::<bool>());
    proptest!(config, |(pieces in prop::collection::vec(piece, 1..5))| {
        runtime.block_on(async {
            let plane = plane();
            let (mut at, mut state) = (0, None);
            for (len, keeps) in pieces {
                let end = (at + len).min(LARGE);
                let mut ingest = plane.data.resume(id(), at as u64, None, state.take(), None).await.unwrap();
                ingest.append(&mut whole(&all.slice(at..end)), u64::MAX).await.unwrap();
                at = end;
                state = ingest.suspend().await.unwrap().digester.filter(|_| keeps);
            }
            let bytes = all.slice(..at);
            let ingest = plane.data.resume(id(), at as u64, None, state, None).await.unwrap();
            let sealed = ingest.seal(&hash::digest(Algorithm::Sha512, &bytes)).await.unwrap();
            check_digests(&sealed.digests, &bytes)?;
            let stored = sealed.publish().await.unwrap();
            prop_assert_eq!(plane.data.verify(&stored.location, stored.digests.content()).await.unwrap(), Verdict::Intact);
            Ok(())
        })?;
    });
}

#[tokio::test]
async fn a_small_object_never_touches_staging() {
    let plane = plane();
    plane.store(&pattern(500_000)).await.unwrap();
    assert_eq!((plane.faults.calls(Op::Stage), plane.faults.calls(Op::Put)), (0, 1));
}

#[tokio::test]
async fn a_large_object_is_staged_and_not_collected() {
    let plane = plane();
    plane.store(&pattern(LARGE)).await.unwrap();
    assert_eq!((plane.faults.calls(Op::Stage), plane.faults.calls(Op::Put)), (1, 0));
    assert!(plane.faults.calls(Op::Append) >= 3);
    assert_eq!((plane.objects().await, plane.leftovers().await), (1, 0));
}

#[tokio::test]
async fn an_empty_object_is_an_object() {
    let plane = plane();
    let stored = plane.store(&Bytes::new()).await.unwrap();
    assert_eq!(stored.location.size, 0);
    assert_eq!(plane.data.verify(&stored.location, stored.digests.content()).await.unwrap(), Verdict::Intact);
}

#[tokio::test]
async fn a_body_that_breaks_off_keeps_what_arrived() {
    let bytes = pattern(LARGE);
    for len in [0, 1000, LARGE - 1000] {
        let plane = plane();
        let mut ingest = plane.data.ingest(id(), None);
        let received = ingest.append(&mut broken_after(&bytes.slice(..len)), u64::MAX).await.unwrap();
        assert_eq!(received.length, len as u64);
        assert_eq!(received.broken.unwrap().0, "reset");
        drop(ingest.suspend().await.unwrap());
        let mut ingest = plane.data.resume(id(), len as u64, None, None, None).await.unwrap();
        ingest.append(&mut whole(&bytes.slice(len..)), u64::MAX).await.unwrap();
        ingest.seal(&hash::digest(Algorithm::Blake3, &bytes)).await.unwrap().publish().await.unwrap();
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    for limit in [10, LARGE as u64 - 1] {
        let plane = plane();
        let bytes = pattern(usize::try_from(limit).unwrap() + 1);
        let mut ingest = plane.data.ingest(id(), None);
        let error = ingest.append(&mut whole(&bytes), limit).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: at } if at == limit), "{error}");
        ingest.discard().await.unwrap();
        assert!(plane.is_empty().await);
        let mut ingest = plane.data.ingest(id(), None);
        ingest.append(&mut whole(&bytes.slice(1..)), limit).await.unwrap();
    }
}

#[tokio::test]
async fn a_digest_mismatch_leaves_nothing() {
    for len in [5, LARGE] {
        let plane = plane();
        let bytes = pattern(len);
        for algorithm in Algorithm::ALL {
            let mut ingest = plane.data.ingest(id(), None);
            ingest.append(&mut whole(&bytes), u64::MAX).await.unwrap();
            let claimed = hash::digest(algorithm, b"something else");
            let Err(Error::DigestMismatch { actual, .. }) = ingest.seal(&claimed).await else {
                panic!("it matched")
            };
            assert_eq!(actual, hash::digest(algorithm, &bytes));
            assert!(plane.is_empty().await);
        }
    }
}

#[tokio::test]
async fn a_digest_of_another_algorithm_may_be_asked_for_at_the_close() {
    for len in [5, LARGE] {
        let plane = plane();
        let bytes = pattern(len);
        let stored = plane.seal(&bytes, Algorithm::Sha512).await.unwrap().publish().await.unwrap();
        check_digests(&stored.digests, &bytes).unwrap();
        assert_eq!(stored.digests.all().len(), 3);
    }
}

#[tokio::test]
async fn two_copies_of_one_content_have_different_keys() {
    let plane = plane();
    let bytes = pattern(10);
    let (a, b) = (plane.store(&bytes).await.unwrap(), plane.store(&bytes).await.unwrap());
    assert_eq!(a.digests, b.digests);
    assert_ne!(a.location.key, b.location.key);
    let hex = a.digests.content().hex();
    assert!(a.location.key.starts_with(&format!("blake3/{}/{}/{hex}.", &hex[..2], &hex[2..4])));
    assert_eq!(plane.objects().await, 2);
}

#[tokio::test]
async fn parts_of_an_object_can_be_read() {
    let plane = plane();
    let bytes = pattern(LARGE);
    let stored = plane.store(&bytes).await.unwrap();
    let range = ByteRange { start: 100, end: 900_000 };
    let object = plane.data.open(&stored.location, Some(range)).await.unwrap();
    assert_eq!(object.size, LARGE as u64);
    assert_eq!(collect(object.body).await.unwrap(), bytes[100..900_000]);
}

/// A folder whose one object can be harmed.
struct Harmed {
    _dir: TempDir,
    plane: Plane,
    stored: Stored,
    file: PathBuf,
}

async fn harmed(harm: impl Fn(&std::path::Path)) -> Harmed {
    let dir = TempDir::new().unwrap();
    let plane = over(Arc::new(Local::open(dir.path()).unwrap()));
    let stored = plane.store(&pattern(LARGE)).await.unwrap();
    let key: Key = stored.location.key.parse().unwrap();
    let uri = plane.backend.uri(&key);
    let file = PathBuf::from(uri.strip_prefix("file://").unwrap());
    let mut permissions = std::fs::metadata(&file).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    std::fs::set_permissions(&file, permissions).unwrap();
    harm(&file);
    Harmed { _dir: dir, plane, stored, file }
}

#[tokio::test]
async fn a_missing_object_is_damage_and_never_not_found() {
    let Harmed { plane, stored, _dir, .. } = harmed(|file| std::fs::remove_file(file).unwrap()).await;
    for range in [None, Some(ByteRange { start: 0, end: 1 })] {
        let Err(error) = plane.data.open(&stored.location, range).await else { panic!("it was opened") };
        assert!(matches!(error, Error::Missing { .. }), "{error:?}");
    }
    let verdict = plane.data.verify(&stored.location, stored.digests.content()).await.unwrap();
    assert_eq!(verdict, Verdict::Damaged(Finding::Missing));
}

#[tokio::test]
async fn a_range_of_a_truncated_object_was_a_failing_storage() {
    let cut = |file: &std::path::Path| {
        std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(1000).unwrap();
    };
    let Harmed { plane, stored, _dir, .. } = harmed(cut).await;
    let ranges = [(0, 10), (500, 1500), (1_000_000, 1_000_001)].map(|(start, end)| ByteRange { start, end });
    for range in ranges.map(Some).into_iter().chain([None]) {
        let Err(error) = plane.data.open(&stored.location, range).await else { panic!("it was opened") };
        assert!(matches!(error, Error::Size { actual: 1000, .. }), "{range:?}: {error:?}");
    }
    let verdict = plane.data.verify(&stored.location, stored.digests.content()).await.unwrap();
    assert_eq!(verdict, Verdict::Damaged(Finding::Size { expected: LARGE as u64, actual: 1000 }));
}

#[tokio::test]
async fn verify_finds_a_flipped_bit_anywhere() {
    let Harmed { plane, stored, _dir, file } = harmed(|_| ()).await;
    let original = std::fs::read(&file).unwrap();
    for at in [0, LARGE / 2, LARGE - 1] {
        let mut bytes = original.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&file, &bytes).unwrap();
        let verdict = plane.data.verify(&stored.location, stored.digests.content()).await.unwrap();
        let actual = hash::digest(Algorithm::Blake3, &bytes);
        assert_eq!(verdict, Verdict::Damaged(Finding::Content { actual }));
    }
    std::fs::write(&file, &original).unwrap();
    assert_eq!(plane.data.verify(&stored.location, stored.digests.content()).await.unwrap(), Verdict::Intact);
}

#[tokio::test]
async fn what_cannot_be_read_is_found_and_named() {
    let plane = plane();
    let stored = plane.store(&pattern(LARGE)).await.unwrap();
    let verify = || plane.data.verify(&stored.location, stored.digests.content());
    let is_unreadable = |verdict| matches!(verdict, Verdict::Damaged(Finding::Unreadable { .. }));
    plane.faults.fail(Op::Get, Cause::Broken);
    assert!(is_unreadable(verify().await.unwrap()));
    let ending = Ending::Error(Cause::Broken);
    plane.faults.arm(Op::Get, 1, Fault::Shorten { keep: 600_000, ending });
    assert!(is_unreadable(verify().await.unwrap()));
    assert_eq!(verify().await.unwrap(), Verdict::Intact, "and says nothing about the next time");
}

#[tokio::test]
async fn a_backend_the_log_names_but_nobody_configured_is_its_own_error() {
    let plane = plane();
    let stored = plane.store(&pattern(10)).await.unwrap();
    let location = Location { backend: "elsewhere".to_owned(), ..stored.location };
    let Err(error) = plane.data.open(&location, None).await else { panic!("it was opened") };
    assert!(matches!(error, Error::UnknownBackend(name) if name == "elsewhere"));
}

#[tokio::test]
async fn a_backend_answers_for_the_ids_it_was_given_and_is_probed_once() {
    let plane = plane();
    let stored = plane.store(&pattern(10)).await.unwrap();
    let copied = Location { backend: "local".to_owned(), ..stored.location };
    assert!(matches!(plane.data.open(&copied, None).await, Err(Error::UnknownBackend(_))));
    let data = plane.data.clone().with_aliases(&["local".parse().unwrap(), "memory".parse().unwrap()]);
    assert_eq!(collect(data.open(&copied, None).await.unwrap().body).await.unwrap(), pattern(10));
    let probed: Vec<_> = data.health().await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(probed, ["memory"]);
}

#[tokio::test]
async fn an_object_of_a_copied_registry_stayed_since_its_version_is_the_originals() {
    let bucket = || Arc::new(Unreadable::new(Clock::system()));
    let (original, copy) = (over(bucket()), over(bucket()));
    let stored = original.store(&pattern(10)).await.unwrap();
    let (location, content) = (&stored.location, stored.digests.content());
    assert!(location.version.is_some());
    assert!(copy.data.copy_from(&original.data, location, content).await.unwrap());
    assert_eq!(copy.data.delete(location).await.unwrap(), Deletion::Deleted);
    assert_eq!((copy.objects().await, original.objects().await), (0, 1));
    assert_eq!(copy.data.delete(location).await.unwrap(), Deletion::Missing);
}

#[tokio::test]
async fn a_full_or_broken_disk_fails_the_upload_and_leaves_nothing() {
    for cause in [Cause::NoSpace, Cause::Broken] {
        for (op, nth, len) in [
            (Op::Stage, 1, LARGE),
            (Op::Append, 1, LARGE), // the first append was thought to have no bytes to remove
            (Op::Append, 2, LARGE),
            (Op::Publish, 1, LARGE),
            (Op::Put, 1, 1000),
        ] {
            let plane = plane();
            plane.faults.arm(op, nth, Fault::Fail(cause));
            let error = plane.store(&pattern(len)).await.unwrap_err();
            assert!(matches!(error, Error::Storage(_)), "{op:?}: {error:?}");
            assert!(plane.is_empty().await, "{op:?} {nth} {cause:?}");
            plane.store(&pattern(len)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_lost_answer_fails_the_upload_and_left_its_bytes_behind() {
    for (op, len) in [(Op::Stage, LARGE), (Op::Append, LARGE), (Op::Publish, LARGE), (Op::Put, 1000)] {
        let plane = plane();
        plane.faults.lose_response(op, Cause::Kind(std::io::ErrorKind::TimedOut));
        assert!(matches!(plane.store(&pattern(len)).await, Err(Error::Storage(_))), "{op:?}");
        assert!(plane.is_empty().await, "{op:?}");
    }
}

#[tokio::test]
async fn staged_bytes_that_cannot_be_read_back_fail_the_close_and_leave_nothing() {
    let plane = plane();
    plane.faults.fail(Op::ReadStaged, Cause::Broken);
    assert!(matches!(plane.seal(&pattern(LARGE), Algorithm::Sha512).await, Err(Error::Storage(_))));
    assert!(plane.is_empty().await);
}

#[tokio::test]
async fn a_failing_disk_waited_for_a_slow_client() {
    let plane = plane();
    plane.faults.fail(Op::Stage, Cause::NoSpace);
    let mut ingest = plane.data.ingest(id(), None);
    // A client that sends one piece and then nothing, without going away.
    let mut stalled: Body = Box::pin(whole(&pattern(600_000)).chain(stream::pending()));
    assert!(matches!(ingest.append(&mut stalled, u64::MAX).await, Err(Error::Storage(_))));
}

#[tokio::test]
async fn dropping_an_append_loses_nothing_that_was_reported_as_staged() {
    let plane = plane();
    let bytes = pattern(LARGE);
    let mut ingest = plane.data.ingest(id(), None);
    let progress = ingest.progress();
    {
        let mut stalled: Body = Box::pin(whole(&bytes).chain(stream::pending()));
        let append = ingest.append(&mut stalled, u64::MAX);
        tokio::pin!(append);
        while progress.staged() < 1_000_000 {
            assert!(futures_util::poll!(&mut append).is_pending());
            tokio::task::yield_now().await;
        }
    }
    drop(ingest);
    let staged = progress.staged();
    let mut ingest = plane.data.resume(id(), staged, None, None, None).await.unwrap();
    let rest = bytes.slice(usize::try_from(staged).unwrap()..);
    ingest.append(&mut whole(&rest), u64::MAX).await.unwrap();
    ingest.seal(&hash::digest(Algorithm::Sha256, &bytes)).await.unwrap().publish().await.unwrap();
}

#[tokio::test]
async fn an_id_that_is_staged_from_a_forgotten_attempt_is_begun_anew() {
    let plane = plane();
    let mut stale = plane.backend.stage(&id()).await.unwrap();
    stale.append(vec![pattern(100)]).await.unwrap();
    drop(stale);
    plane.store(&pattern(LARGE)).await.unwrap();
    assert_eq!(plane.leftovers().await, 0);
}

#[tokio::test]
async fn resuming_cuts_off_what_was_not_acknowledged() {
    let plane = plane();
    let bytes = pattern(LARGE);
    let mut ingest = plane.data.ingest(id(), None);
    ingest.append(&mut whole(&bytes), u64::MAX).await.unwrap();
    ingest.suspend().await.unwrap();
    let ingest = plane.data.resume(id(), 700_000, None, None, None).await.unwrap();
    let kept = bytes.slice(..700_000);
    let stored = ingest.seal(&hash::digest(Algorithm::Sha256, &kept)).await.unwrap().publish().await.unwrap();
    assert_eq!(stored.location.size, 700_000);
}

fn bucket() -> (Plane, Unreadable) {
    let bucket = Unreadable::new(Clock::system());
    (over(Arc::new(bucket.clone())), bucket)
}

#[test]
fn an_upload_in_pieces_has_the_digests_of_one_in_one_piece_where_nothing_can_be_read_back() {
    let (config, runtime) = proptest_async(ProptestConfig::with_cases(32));
    let all = pattern(LARGE);
    let pieces = prop::collection::vec(prop_oneof![0..20_000_usize, 1..700_000_usize], 1..6);
    let extra = prop::sample::select(vec![None, Some(Algorithm::Sha512)]);
    proptest!(config, |(pieces in pieces, extra in extra, closed in prop::sample::select(&Algorithm::ALL[..]))| {
        runtime.block_on(async {
            let (plane, bucket) = bucket();
            let (mut at, mut checkpoint) = (0, None);
            for len in pieces {
                let end = (at + len).min(LARGE);
                let mut ingest =
                    plane.data.resume(id(), at as u64, checkpoint.as_ref(), None, extra).await.unwrap();
                let progress = ingest.progress();
                ingest.append(&mut whole(&all.slice(at..end)), u64::MAX).await.unwrap();
                prop_assert_eq!(progress.staged(), at as u64, "no more than a checkpoint covers");
                let suspended = ingest.suspend().await.unwrap();
                prop_assert!(suspended.digester.is_none());
                // As stored and read by another process.
                checkpoint = suspended.checkpoint.map(|it| Checkpoint::from_bytes(it.as_bytes()));
                at = end;
            }
            let bytes = all.slice(..at);
            let ingest = plane.data.resume(id(), at as u64, checkpoint.as_ref(), None, extra).await.unwrap();
            let sealed = ingest.seal(&hash::digest(closed, &bytes)).await.unwrap();
            check_digests(&sealed.digests, &bytes)?;
            let stored = sealed.publish().await.unwrap();
            prop_assert!(at == 0 || stored.location.key.starts_with("multipart/upload."));
            prop_assert_eq!(plane.data.verify(&stored.location, stored.digests.content()).await.unwrap(), Verdict::Intact);
            prop_assert_eq!(plane.data.delete(&stored.location).await.unwrap(), Deletion::Deleted);
            prop_assert_eq!((plane.is_empty().await, bucket.hidden()), (true, 0), "deleted by its version");
            Ok(())
        })?;
    });
}

#[tokio::test]
async fn what_was_put_aside_is_cut_back_to_and_gone_on_with() {
    let (plane, _) = bucket();
    let bytes = pattern(LARGE);
    let mut ingest = plane.data.resume(id(), 0, None, None, None).await.unwrap();
    ingest.append(&mut whole(&bytes.slice(..900_000)), u64::MAX).await.unwrap();
    let checkpoint = ingest.suspend().await.unwrap().checkpoint;
    for _ in 0..2 {
        let resumed = plane.data.resume(id(), 900_000, checkpoint.as_ref(), None, None).await;
        resumed.unwrap().append(&mut whole(&pattern(800_000)), u64::MAX).await.unwrap();
        plane.data.cut_back(&id(), 900_000, checkpoint.as_ref()).await.unwrap();
    }
    let mut ingest = plane.data.resume(id(), 900_000, checkpoint.as_ref(), None, None).await.unwrap();
    ingest.append(&mut whole(&bytes.slice(900_000..)), u64::MAX).await.unwrap();
    ingest.seal(&hash::digest(Algorithm::Sha256, &bytes)).await.unwrap().publish().await.unwrap();
    let without = plane.data.resume(id(), 900_000, None, None, None).await;
    assert!(matches!(without, Err(Error::NotResumable(_))), "{without:?}");
}

#[tokio::test]
async fn an_object_that_was_read_back_and_refused_is_removed() {
    let (plane, bucket) = bucket();
    let mut ingest = plane.data.ingest(id(), None);
    ingest.append(&mut whole(&pattern(LARGE)), u64::MAX).await.unwrap();
    let refused = ingest.seal(&hash::digest(Algorithm::Sha512, b"something else")).await;
    assert!(matches!(refused, Err(Error::DigestMismatch { .. })), "{refused:?}");
    assert_eq!((plane.is_empty().await, bucket.hidden()), (true, 0));
    let sealed = plane.seal(&pattern(LARGE), Algorithm::Sha512).await.unwrap();
    sealed.discard().await.unwrap();
    assert_eq!((plane.is_empty().await, bucket.hidden()), (true, 0));
}

#[tokio::test]
async fn a_body_read_back_short_was_taken_for_the_clients_mistake() {
    for plane in [plane(), bucket().0] {
        let short = Fault::Shorten { keep: 600_000, ending: Ending::Silent };
        plane.faults.arm(Op::ReadStaged, 1, short);
        let sealed = plane.seal(&pattern(LARGE), Algorithm::Sha512).await;
        assert!(matches!(sealed, Err(Error::Size { actual: 600_000, .. })), "{sealed:?}");
        assert!(plane.is_empty().await);
    }
}

//! The part of the contract about staged writes that every backend keeps: what was suspended can be continued by
//! anybody, from the state of that suspend.

use std::sync::Arc;

use bytes::Bytes;

use super::contract::read;
use super::{collect, key, pattern, staging};
use crate::storage::{Backend, Deletion, Error, MAX_STATE};

/// The smallest part of a multipart upload that servers accept: things change around it.
const PART: usize = 5 * 1024 * 1024;

const MIB: usize = 1024 * 1024;

/// Bytes appended at once.
const PIECE: usize = 512 * 1024;

pub(super) async fn checks(make: &impl AsyncFn() -> Arc<dyn Backend>) {
    sizes_around_a_part(&*make().await).await;
    goes_on_from_every_suspend(&*make().await).await;
    an_earlier_state_is_still_good(&*make().await).await;
    reading_before_publishing(&*make().await).await;
    what_is_ended_is_gone(&*make().await).await;
    a_resumed_write_can_be_discarded(&*make().await).await;
    leftovers_and_unstage(&*make().await).await;
    a_state_of_nothing(&*make().await).await;
    streams_of_known_size(&*make().await).await;
}

async fn append(staged: &mut Box<dyn crate::storage::Staged>, bytes: &Bytes) {
    for piece in bytes.chunks(PIECE) {
        staged.append(vec![bytes.slice_ref(piece)]).await.expect("append");
    }
}

async fn sizes_around_a_part(backend: &dyn Backend) {
    for size in [0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 7] {
        let (id, body) = (staging(&format!("size-{size}")), pattern(size));
        let mut staged = backend.stage(&id).await.expect("stage");
        assert_eq!(staged.len(), 0, "a new staged write has no bytes");
        append(&mut staged, &body).await;
        assert_eq!(staged.len(), size as u64, "append counts");
        let receipt = staged.publish(&key(&format!("blake3/s/{size}"))).await.expect("publish");
        assert_eq!(receipt.size, size as u64, "the receipt of a publish tells the size");
        assert_eq!(receipt.uri, backend.uri(&receipt.key), "the receipt of a publish has the URI of its key");
        assert!(read(backend, receipt.key.as_str()).await == body, "{size} bytes are what was appended");
        let listed = backend.list(receipt.key.as_str(), None, 2).await.expect("list");
        assert_eq!(listed.objects.len(), 1, "a published write is an object");
        let deleted = backend.delete(&receipt.key, receipt.version.as_deref()).await.expect("delete");
        assert_eq!(deleted, Deletion::Deleted, "an object is deleted by its receipt");
    }
    assert_eq!(backend.leftovers(10).await.expect("leftovers"), [], "a published write is staged no more");
}

async fn goes_on_from_every_suspend(backend: &dyn Backend) {
    let body = pattern(2 * PART + 12_345);
    let cuts = [1, 1000, PART - 1, PART, PART + 1, PART + 2, 2 * PART, body.len()];
    let id = staging("On-and_on");
    let mut staged = backend.stage(&id).await.expect("stage");
    let (mut at, mut last) = (0, Vec::new());
    for cut in cuts {
        append(&mut staged, &body.slice(at..cut)).await;
        at = cut;
        let state = staged.suspend().await.expect("suspend");
        assert!(state.len() <= MAX_STATE, "a state is small");
        let page = backend.list("", None, 10).await.expect("list");
        assert!(page.objects.is_empty(), "a suspended write is no object: {page:?}");
        let leftovers = backend.leftovers(10).await.expect("leftovers");
        assert_eq!(leftovers.len(), 1, "a suspended write is a leftover: {leftovers:?}");
        assert_eq!(leftovers[0].id, id, "a leftover tells its id");
        assert!(leftovers[0].touched_at > 0, "a leftover tells when it was written");
        let more = at as u64 + 1;
        let short = backend.resume(&id, more, &state).await.err();
        assert!(
            matches!(short, Some(Error::Short { expected, actual, .. }) if (expected, actual) == (more, more - 1)),
            "resuming more than there is is Short: {short:?}"
        );
        last = state;
        staged = backend.resume(&id, at as u64, &last).await.expect("resume");
        assert_eq!((staged.len(), staged.kept()), (at as u64, at as u64), "a resumed write is where it was");
    }
    let receipt = staged.publish(&key("blake3/on/on")).await.expect("publish");
    assert!(read(backend, receipt.key.as_str()).await == body, "no byte is lost between suspends");
    assert_eq!(backend.leftovers(10).await.expect("leftovers"), [], "a published write is staged no more");
    let again = backend.resume(&id, at as u64, &last).await.err();
    assert!(matches!(again, Some(Error::NotFound { .. })), "a published write can not be resumed: {again:?}");
}

/// A process that died between putting bytes aside and noting it: the one before counts.
async fn an_earlier_state_is_still_good(backend: &dyn Backend) {
    let body = pattern(PART + 2000);
    let id = staging("earlier");
    let mut staged = backend.stage(&id).await.expect("stage");
    append(&mut staged, &body.slice(..1000)).await;
    let first = staged.suspend().await.expect("suspend");
    let mut lost = backend.resume(&id, 1000, &first).await.expect("resume");
    append(&mut lost, &pattern(PART + 99)).await;
    lost.suspend().await.expect("suspend");
    let mut staged = backend.resume(&id, 1000, &first).await.expect("the state before is good still");
    append(&mut staged, &body.slice(1000..)).await;
    let receipt = staged.publish(&key("blake3/ea/rlier")).await.expect("publish");
    assert!(read(backend, receipt.key.as_str()).await == body, "what was never noted is not published");
    backend.unstage(&id).await.expect("unstage");
    assert!(read(backend, receipt.key.as_str()).await == body, "unstage never removes what was published");
    assert_eq!(backend.leftovers(10).await.expect("leftovers"), [], "unstage removes what an id left");
}

async fn reading_before_publishing(backend: &dyn Backend) {
    for size in [0, 10, PART + 10] {
        let (id, body) = (staging(&format!("read-{size}")), pattern(size));
        let mut staged = backend.stage(&id).await.expect("stage");
        append(&mut staged, &body).await;
        for _ in 0..2 {
            let back = collect(staged.read().await.expect("read")).await.expect("read");
            assert!(back == body, "what was appended can be read back before it is published");
        }
        let receipt = staged.publish(&key(&format!("blake3/r/{size}"))).await.expect("publish after read");
        assert!(
            read(backend, receipt.key.as_str()).await == body,
            "a write that was read is published whole"
        );

        let mut staged = backend.stage(&id).await.expect("stage");
        append(&mut staged, &body).await;
        drop(staged.read().await.expect("read"));
        staged.discard().await.expect("discard after read");
    }
    let page = backend.list("", None, 10).await.expect("list");
    assert_eq!(page.objects.len(), 3, "a discarded write leaves no object, read or not: {page:?}");
    assert_eq!(backend.leftovers(10).await.expect("leftovers"), [], "nor anything staged");
}

async fn what_is_ended_is_gone(backend: &dyn Backend) {
    for size in [10, 2 * PART + 10] {
        let id = staging(&format!("ended-{size}"));
        let mut staged = backend.stage(&id).await.expect("stage");
        append(&mut staged, &pattern(size)).await;
        staged.discard().await.expect("discard");
        assert_eq!(backend.leftovers(10).await.expect("leftovers"), [], "discard removes the bytes");

        let mut staged = backend.stage(&id).await.expect("the id of a discarded write is free again");
        append(&mut staged, &pattern(size)).await;
        let state = staged.suspend().await.expect("suspend");
        assert_eq!(backend.unstage(&id).await.expect("unstage"), Deletion::Deleted, "unstage says Deleted");
        assert_eq!(backend.unstage(&id).await.expect("unstage"), Deletion::Missing, "unstage is idempotent");
        assert_eq!(backend.leftovers(10).await.expect("leftovers"), [], "unstage removes the bytes");
        // Some notice at once, others when they need what is gone; nobody publishes it.
        if let Ok(mut staged) = backend.resume(&id, size as u64, &state).await {
            let more = staged.append(vec![pattern(PART)]).await;
            let published = staged.publish(&key("blake3/en/ded")).await;
            assert!(more.is_err() || published.is_err(), "what was removed cannot be published");
        }
    }
    let page = backend.list("", None, 10).await.expect("list");
    assert!(page.objects.is_empty(), "nothing of an ended write becomes an object: {page:?}");
}

async fn a_resumed_write_can_be_discarded(backend: &dyn Backend) {
    for size in [3, 6 * MIB] {
        let id = staging("given-up");
        let mut staged = backend.stage(&id).await.expect("stage");
        staged.append(vec![pattern(size)]).await.expect("append");
        let state = staged.suspend().await.expect("suspend");
        backend.resume(&id, size as u64, &state).await.expect("resume").discard().await.expect("discard");
        assert_eq!(backend.leftovers(10).await.expect("leftovers"), [], "discard removes the bytes");
        let gone = backend.resume(&id, size as u64, &state).await.err();
        assert!(
            matches!(gone, Some(Error::NotFound { .. })),
            "a discarded write can not be resumed: {gone:?}"
        );
    }
    let page = backend.list("", None, 10).await.expect("list");
    assert!(page.objects.is_empty(), "discard leaves no object behind: {page:?}");
}

async fn leftovers_and_unstage(backend: &dyn Backend) {
    let mut states = Vec::new();
    for (name, size) in [("a", 3), ("b", 6 * MIB), ("ab", 4)] {
        let mut staged = backend.stage(&staging(name)).await.expect("stage");
        staged.append(vec![pattern(size)]).await.expect("append");
        states.push((staging(name), size as u64, staged.suspend().await.expect("suspend")));
    }
    let mut leftovers = backend.leftovers(10).await.expect("leftovers");
    leftovers.sort_by_key(|leftover| leftover.size);
    let told = leftovers.iter().map(|leftover| (leftover.id.as_str(), leftover.size)).collect::<Vec<_>>();
    assert_eq!(told, [("a", 3), ("ab", 4), ("b", 6 * MIB as u64)], "leftovers tell ids and sizes");
    assert_eq!(backend.leftovers(1).await.expect("leftovers").len(), 1, "leftovers keeps to its limit");
    for id in ["a", "b"] {
        assert_eq!(backend.unstage(&staging(id)).await.expect("unstage"), Deletion::Deleted, "it was there");
        assert_eq!(
            backend.unstage(&staging(id)).await.expect("unstage"),
            Deletion::Missing,
            "and is no more"
        );
    }
    for (id, size, state) in states {
        let resumed = backend.resume(&id, size, &state).await;
        match (id.as_str(), resumed) {
            ("ab", Ok(staged)) => {
                let receipt = staged.publish(&key("k")).await.expect("publish");
                assert_eq!(read(backend, receipt.key.as_str()).await, pattern(4));
            }
            ("a" | "b", Err(Error::NotFound { .. })) => {}
            (id, other) => panic!("unstage removes what it is told, {id}: {:?}", other.err()),
        }
    }
    let receipt = backend.put(&key("o"), Bytes::new()).await.expect("put stores");
    assert_eq!(
        backend.unstage(&staging("ab")).await.expect("unstage"),
        Deletion::Missing,
        "it was published"
    );
    backend.head(&receipt.key).await.expect("unstage touches no object");
    assert_eq!(backend.list("", None, 10).await.expect("list").objects.len(), 2, "unstage touches no object");
}

async fn a_state_of_nothing(backend: &dyn Backend) {
    let id = staging("unknown");
    for state in [&b""[..], b"{\"v\":1}", b"\xff"] {
        let resumed = backend.resume(&id, 5, state).await.err();
        assert!(
            matches!(resumed, Some(Error::NotFound { .. } | Error::Short { .. })),
            "what is not there cannot be continued: {resumed:?}"
        );
    }
}

async fn streams_of_known_size(backend: &dyn Backend) {
    let stream = |body: &Bytes| -> crate::storage::ByteStream {
        // One that must not be asked again after its end.
        Box::pin(futures_util::stream::unfold(body.clone(), |mut rest| async {
            let frame = rest.split_to(rest.len().min(100_000));
            (!frame.is_empty()).then(|| (Ok(frame), rest))
        }))
    };
    for size in [0, 1, PART, PART + 1, 2 * PART + 9] {
        let (key, body) = (key(&format!("blake3/st/{size}")), pattern(size));
        let receipt = backend.put_stream(&key, size as u64, stream(&body)).await.expect("put_stream");
        assert_eq!(
            (&receipt.key, receipt.size),
            (&key, size as u64),
            "a stream is stored under its very key"
        );
        assert!(read(backend, key.as_str()).await == body, "a stream of {size} bytes is stored whole");
    }
    let (short, body) = (key("blake3/st/wrong"), pattern(PART + 1));
    for promised in [0, PART as u64, PART as u64 + 2, 3 * PART as u64] {
        let stored = backend.put_stream(&short, promised, stream(&body)).await;
        assert!(stored.is_err(), "a stream of another length than promised is refused");
        let found = backend.head(&short).await;
        assert!(matches!(found, Err(Error::NotFound { .. })), "and leaves nothing: {found:?}");
    }
    assert_eq!(backend.leftovers(10).await.expect("leftovers"), [], "and nothing staged");
}
